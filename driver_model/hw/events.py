"""Event queues: what the adapter has to say besides completions."""

from __future__ import annotations

from collections.abc import Callable

from driver_model.device import Device
from driver_model.hw.doorbell import ring_queue
from driver_model.hw.phase_ring import new_entry
from spec.layouts import AdminOp, AdminQueue, Doorbell, Eqe

ENTRY = Eqe.SIZE


class EventQueue:
    """A ring of events; the handler gets each of them once."""

    def __init__(
        self,
        device: Device,
        number: int,
        vector: int,
        log_size: int,
        handler: Callable[[Eqe], None],
    ) -> None:
        self._device = device
        self._number = number
        self._vector = vector
        self._log = log_size
        self._handler = handler
        self._ring = device.allocate(ENTRY << log_size)
        self._consumer = 0

    def create_command(self) -> AdminQueue:
        """The admin command that makes the adapter know the queue."""
        return AdminQueue(
            opcode=AdminOp.CREATE_EQ,
            number=self._number,
            log_size=self._log,
            vector=self._vector,
            base=self._ring.bus_address,
        )

    def on_interrupt(self) -> None:
        """Handle every event that is there, then make room for as many."""
        events: list[Eqe] = []
        while (event := self._next()) is not None:
            events.append(event)
        if events:
            ring_queue(self._device, Doorbell.EQ, self._number, self._consumer)
        for event in events:
            self._handler(event)

    def _next(self) -> Eqe | None:
        entry = new_entry(self._ring.memory, ENTRY, self._log, self._consumer)
        if entry is None:
            return None
        self._consumer += 1
        return Eqe.unpack(entry)
