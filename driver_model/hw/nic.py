"""One adapter function, brought up: what all NDK adapters opened on it share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from driver_model.device import Device
from driver_model.hw.admin import Answered, Command, CommandQueue
from driver_model.hw.congestion import Congestion
from driver_model.hw.counters import COUNTERS, read_counter
from driver_model.hw.events import EventQueue
from driver_model.hw.fault import AdapterFault
from driver_model.hw.numbers import KeyPool, NumberPool
from driver_model.hw.registers import Limits, configure, identify, switch_on
from driver_model.hw.send_queue import PushMode
from driver_model.memory import HostMemory
from spec.codes import AdminStatus, EventType
from spec.layouts import AdminCqe, Eqe

FIRST_QPN = 2  # 0 and 1 belong to management
EQN = 0
ADMIN_VECTOR = 0
MAX_PDS = 1 << 16
QP_ERRORS = (EventType.QP_ERROR, EventType.QP_REQ_ERROR, EventType.QP_ACCESS_ERROR)


@dataclass(frozen=True, slots=True)
class NicConfig:
    """What the operator chooses."""

    mac: bytes
    addresses: tuple[str, ...]
    port_mtu: int = 4200
    admin_log: int = 5
    event_log: int = 10
    push: PushMode = PushMode.INLINE_WHEN_EMPTY
    congestion: Congestion = field(default_factory=Congestion)
    credits: bool = True  # queue pairs tell their peers how many receives are posted


class Nic:
    """Queues that serve everybody, numbers, and who gets which event."""

    def __init__(self, device: Device, config: NicConfig, limits: Limits) -> None:
        self.device = device
        self.config = config
        self.limits = limits
        self.memory = HostMemory(device)
        self.fatal = False
        self.qpns = NumberPool(FIRST_QPN, limits.qp_count)
        self.cqns = NumberPool(0, limits.cq_count)
        self.srqns = NumberPool(0, limits.srq_count)
        self.pds = NumberPool(1, MAX_PDS)
        self.keys = KeyPool(limits.key_count)
        self.on_completion: dict[int, Callable[[int], None]] = {}
        self.on_cq_error: dict[int, Callable[[], None]] = {}
        self.on_qp_error: dict[int, Callable[[int], None]] = {}
        self.on_srq_limit: dict[int, Callable[[], None]] = {}
        self._admin = CommandQueue(device, config.admin_log, ADMIN_VECTOR)
        vector = 1 if limits.eq_count > 1 else ADMIN_VECTOR
        self._events = EventQueue(device, EQN, vector, config.event_log, self._on_event)
        device.on_interrupt(ADMIN_VECTOR, self._on_admin_interrupt)
        if vector != ADMIN_VECTOR:
            device.on_interrupt(vector, self._events.on_interrupt)

    @classmethod
    async def bring_up(cls, device: Device, config: NicConfig) -> Nic:
        """Check that this is the adapter we know, set it up, and let it send and receive."""
        limits = await identify(device)
        configure(device, config.mac, config.addresses, config.port_mtu)
        config.congestion.write(device)
        nic = cls(device, config, limits)
        nic._admin.start()
        answers: list[AdminCqe] = []
        nic.submit(nic._events.create_command(), answers.append)
        while not answers:
            await device.read32(0)
        if answers[0].status != AdminStatus.OK:
            raise AdapterFault(f"event queue refused with status {answers[0].status}")
        switch_on(device)
        return nic

    def submit(self, command: Command, answered: Answered) -> None:
        """Give an admin command; `answered` is called once, later."""
        self._admin.submit(command, answered)

    def submit_all(
        self, commands: Sequence[Command], answered: Callable[[list[int]], None]
    ) -> None:
        """Give commands that are carried out in order; their statuses come together."""
        statuses: list[int] = []

        def one(answer: AdminCqe) -> None:
            statuses.append(answer.status)
            if len(statuses) == len(commands):
                answered(statuses)

        for command in commands:
            self.submit(command, one)

    def set_congestion(self, congestion: Congestion) -> None:
        """Treat congestion differently from now on."""
        congestion.write(self.device)

    async def counter(self, name: str) -> int:
        """A statistics counter: a name of `COUNTERS`."""
        return await read_counter(self.device, name)

    async def counters(self) -> dict[str, int]:
        """All statistics counters by name, one after the other."""
        return {name: await self.counter(name) for name in COUNTERS}

    def _on_admin_interrupt(self) -> None:
        self._admin.on_interrupt()
        if self.limits.eq_count == 1:
            self._events.on_interrupt()

    def _on_event(self, event: Eqe) -> None:
        """Objects that are gone get no more events; theirs may still be on the way."""
        if event.event_type == EventType.COMPLETION:
            if (completion := self.on_completion.get(event.number)) is not None:
                completion(event.detail)
        elif event.event_type == EventType.CQ_ERROR:
            if (cq_error := self.on_cq_error.get(event.number)) is not None:
                cq_error()
        elif event.event_type in QP_ERRORS:
            if (qp_error := self.on_qp_error.get(event.number)) is not None:
                qp_error(event.detail)
        elif event.event_type == EventType.SRQ_LIMIT:
            if (srq_limit := self.on_srq_limit.get(event.number)) is not None:
                srq_limit()
        elif event.event_type == EventType.FATAL:
            self.fatal = True
