"""The bench of rnic_event: a host that writes, reads entries and takes interrupts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import EventType
from spec.layouts import Eqe
from spec.streams import EqConfig, EventReq, RingUpdate
from tb.blocks.cq_host import WritePort
from tb.lanes import LaneSources
from tb.streams import StreamSource, cycles, reset, stall_pattern, start_clock

EQS, SOURCES, US = 4, 2, 20


@dataclass
class Queue:
    """An event queue as the host keeps it."""

    number: int
    base: int
    log_size: int
    vector: int
    consumer: int = 0
    seen: list[EventReq] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Entries."""
        return 1 << self.log_size


class Interrupts:
    """Takes vectors; a vector that is offered stays until it is taken."""

    def __init__(self, dut: SimHandleBase, stall: str) -> None:
        self.dut, self.stall = dut, stall_pattern(stall)
        self.taken: list[tuple[int, int]] = []
        self.held = False
        dut.m_axis_irq_tready.value = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        edge, now, ready, before = RisingEdge(self.dut.clk), 0, False, None
        while True:
            await edge
            now += 1
            valid = self.dut.rst.value == 0 and self.dut.m_axis_irq_tvalid.value == 1
            vector = int(self.dut.m_axis_irq_tdata.value) if valid else None
            assert before in (None, vector), "an interrupt went away before it was taken"
            if valid and ready:
                self.taken.append((now, vector))
            before = None if ready or not valid else vector
            ready = not (self.held or self.stall())
            self.dut.m_axis_irq_tready.value = int(ready)


class Bench:
    """Clock, reset, events in, entries and interrupts out."""

    def __init__(self, dut: SimHandleBase, stall: str, idle: str) -> None:
        self.dut = dut
        self.events = LaneSources(dut, "s_event", SOURCES, idle=stall_pattern(idle))
        self.update = StreamSource(dut, "s_update")
        self.cfg = StreamSource(dut, "s_cfg")
        self.host = WritePort(dut, stall)
        self.irqs = Interrupts(dut, stall)
        self.queues: dict[int, Queue] = {}

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: str = "none", idle: str = "none") -> Self:
        """Connect and reset."""
        start_clock(dut)
        bench = cls(dut, stall, idle)
        await reset(dut, bench.events, bench.update, bench.cfg, *bench.host.ends)
        return bench

    async def create(self, number: int, log_size: int = 3, **fields: int) -> Queue:
        """A queue, empty."""
        queue = Queue(number, 0x10_0000 * (number + 1), log_size, 0x40 + number)
        values = {"eqn": number, "exists": 1, "base": queue.base, "log_size": log_size}
        await self.cfg.send(EqConfig(**{**values, "vector": queue.vector, **fields}))
        for place in range(queue.base, queue.base + 16 * min(queue.size, 64)):
            self.host.bytes.pop(place, None)
        self.queues[number] = queue
        return queue

    def raise_event(self, eqn: int, lane: int | None = None) -> EventReq:
        """An event of random content."""
        event = EventReq(
            eqn=eqn, event_type=random.choice(list(EventType)),
            number=random.getrandbits(24), detail=random.getrandbits(32),
        )  # fmt: skip
        lane = random.randrange(SOURCES) if lane is None else lane
        self.events.send_nowait(lane, data=event.to_int())
        return event

    def poll(self, queue: Queue) -> Eqe | None:
        """The next entry the host has not seen."""
        slot = queue.consumer % queue.size
        data = self.host.read(queue.base + 16 * slot, 16)
        if data is None:
            return None
        entry = Eqe.unpack(data)
        if entry.phase != 1 - (queue.consumer // queue.size) % 2:
            return None
        queue.consumer += 1
        return entry

    def poll_all(self, queue: Queue) -> list[Eqe]:
        """All of them."""
        return list(iter(lambda: self.poll(queue), None))

    async def consume(self, queue: Queue) -> None:
        """Tell the adapter how far the host has read."""
        await self.update.send(RingUpdate(number=queue.number, index=queue.consumer & 0xFFFF))

    async def settle(self, cycles_quiet: int = 20) -> None:
        """Until nothing is on its way to the host."""
        quiet = 0
        for _ in range(20_000):
            await cycles(self.dut)
            busy = not self.events.empty() or self.host.busy()
            busy = busy or self.dut.m_wreq_valid.value == 1
            quiet = 0 if busy else quiet + 1
            if quiet > cycles_quiet:
                return
        raise AssertionError("never quiet")


def same(entry: Eqe, event: EventReq) -> bool:
    """The entry reports this event."""
    return (entry.number, entry.event_type, entry.detail) == (
        event.number, event.event_type, event.detail,
    )  # fmt: skip
