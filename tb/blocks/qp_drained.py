"""rnic_qp_drained: one event when the last message that was started has been retired."""

from __future__ import annotations

import random
from typing import Any, Self

import cocotb
from cocotb.triggers import RisingEdge

from spec.codes import EventType
from spec.streams import EventReq, QpInit, QpInitOp, QpWatch, SqProgress
from tb.streams import StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

QPS = 8


class Bench:
    """Requester and completer, one pulse each per cycle at most, and what they know."""

    def __init__(self, dut: Any, stall: str) -> None:
        self.dut = dut
        self.watch = StreamSource(dut, "s_watch")
        self.init = StreamSource(dut, "init")
        self.events = StreamSink(dut, "m_event", record=EventReq, stall=stall_pattern(stall))
        self.started = [0] * QPS
        self.retired = [0] * QPS
        dut.rd_qpn.value = 0
        for name in ("started", "progress", "error"):
            getattr(dut, f"{name}_en").value = 0
            getattr(dut, f"{name}_qpn").value = 0

    @classmethod
    async def start(cls, dut: Any, stall: str = "none") -> Self:
        """Reset; every queue pair begins its life."""
        start_clock(dut)
        bench = cls(dut, stall)
        await reset(dut, bench.watch, bench.init, bench.events)
        for qpn in range(QPS):
            await bench.begin(qpn)
        return bench

    async def begin(self, qpn: int) -> None:
        """A new life."""
        await self.init.send(QpInit(op=QpInitOp.CREATE, qpn=qpn))
        self.started[qpn] = self.retired[qpn] = 0

    async def step(self, start: int | None = None, retire: int | None = None) -> None:
        """One cycle, in which a message starts, and all started ones but some retire."""
        self.dut.started_en.value = int(start is not None)
        if start is not None:
            self.dut.started_qpn.value = start
            self.dut.started_index.value = self.started[start] & 0xFFFF
            self.started[start] += 1
        self.dut.progress_en.value = int(retire is not None)
        if retire is not None:
            self.retired[retire] += 1
            self.dut.progress_qpn.value = retire
            tail = self.retired[retire] & 0xFFFF
            self.dut.progress_data.value = SqProgress(msg_tail=tail, count=tail).to_int()
        await RisingEdge(self.dut.clk)
        self.dut.started_en.value = self.dut.progress_en.value = 0

    async def is_drained(self, qpn: int) -> bool:
        """The answer to a question, two cycles later."""
        self.dut.rd_qpn.value = qpn
        await cycles(self.dut, 3)
        return bool(self.dut.rd_drained.value)

    async def ask(self, qpn: int, on: int = 1) -> None:
        """A word of rnic_admin."""
        await self.watch.send(QpWatch(qpn=qpn, on=on))

    async def heard(self, timeout: int = 60) -> list[int]:
        """The QPs whose events came within some cycles."""
        await cycles(self.dut, timeout)
        found = []
        while not self.events.empty():
            event = self.events.recv_nowait()
            assert (event.eqn, event.event_type) == (0, EventType.SQ_DRAINED)
            found.append(event.number)
        return found


@cocotb.test()
async def an_idle_queue_has_drained_at_once(dut):
    bench = await Bench.start(dut)
    await bench.ask(5)
    assert await bench.heard() == [5]
    assert await bench.heard() == []


@cocotb.test()
async def the_event_waits_for_the_last_message(dut):
    bench = await Bench.start(dut)
    for _ in range(3):
        await bench.step(start=2)
    await bench.ask(2)
    await bench.step(start=4)
    for _ in range(3):
        assert await bench.heard() == []
        await bench.step(retire=2)
    assert await bench.heard() == [2]
    await bench.step(retire=4)
    assert await bench.heard() == []


@cocotb.test()
async def anybody_may_ask_whether_a_queue_has_drained(dut):
    bench = await Bench.start(dut)
    for qpn in (3, 5, 5, 3, 5):
        await bench.step(start=qpn)
    for _ in range(40):
        pending = [qpn for qpn in range(QPS) if bench.retired[qpn] < bench.started[qpn]]
        for qpn in range(QPS):
            assert await bench.is_drained(qpn) == (qpn not in pending)
        if not pending:
            break
        await bench.step(retire=random.choice(pending))
    assert not pending
    assert await bench.heard() == []


@cocotb.test()
@cocotb.parametrize(how=["told", "error", "destroyed"])
async def a_watch_that_has_ended_raises_nothing(dut, how):
    bench = await Bench.start(dut)
    await bench.step(start=3)
    await bench.ask(3)
    assert await bench.heard() == []
    if how == "error":
        dut.error_en.value, dut.error_qpn.value = 1, 3
        await cycles(dut)
        dut.error_en.value = 0
    else:
        await bench.ask(3, on=0)
    if how == "destroyed":
        await bench.begin(3)
    else:
        await bench.step(retire=3)
    assert await bench.heard() == []
    if how == "destroyed":
        await bench.ask(3)
        assert await bench.heard() == [3]


@cocotb.test()
@cocotb.parametrize(stall=["none", "mostly"])
async def every_watched_queue_is_heard_of_once(dut, stall):
    """Random work on all; no message of a watched queue starts, as the requester promises."""
    bench = await Bench.start(dut, stall)
    watched: set[int] = set()
    expected = []
    for _ in range(3000):
        free = [qpn for qpn in range(QPS) if qpn not in watched]
        busy = [qpn for qpn in range(QPS) if bench.retired[qpn] < bench.started[qpn]]
        retire = random.choice(busy) if busy and random.random() < 0.4 else None
        start = random.choice(free) if free and random.random() < 0.35 else None
        await bench.step(start, retire)
        if random.random() < 0.02 and free:
            qpn = random.choice(free)
            watched.add(qpn)
            expected.append(qpn)
            await bench.ask(qpn)
        while not bench.events.empty():
            qpn = bench.events.recv_nowait().number
            assert bench.started[qpn] == bench.retired[qpn]
            watched.remove(qpn)
    for qpn in range(QPS):
        while bench.retired[qpn] < bench.started[qpn]:
            await bench.step(retire=qpn)
    assert sorted(await bench.heard(400)) == sorted(watched)
    assert len(expected) > 20
