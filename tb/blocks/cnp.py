"""rnic_cnp: one CNP per queue pair and interval, none is forgotten, the way in is never held up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.streams import SegKind, TxPacket
from tb.conformance import covers
from tb.streams import StreamSink, cycles, reset, stall_pattern, start_clock

CNP = 0x81
QPS = 16
US = 10  # cycles in a microsecond of the block
INTERVAL = 20  # microseconds


@dataclass
class Bench:
    """Clock, reset, marks, and the CNPs that were taken with their cycle."""

    dut: SimHandleBase
    sink: StreamSink = field(init=False)
    sent: list[tuple[int, int]] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    cycle: int = 0

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: str = "none") -> Self:
        start_clock(dut)
        for name in ("mark_en", "mark_qpn", "drain_req_en"):
            getattr(dut, name).value = 0
        dut.enable.value = 1
        dut.interval.value = INTERVAL
        bench = cls(dut)
        bench.sink = StreamSink(
            dut, "m_pkt", record=TxPacket, stall=stall_pattern(stall), on_beat=bench._on_packet
        )
        cocotb.start_soon(bench._count())
        await reset(dut, bench.sink)
        return bench

    async def _count(self) -> None:
        edge = RisingEdge(self.dut.clk)
        while True:
            await edge
            self.cycle += 1

    def _on_packet(self, packet: TxPacket) -> None:
        assert (packet.opcode, packet.psn, packet.payload_len) == (CNP, 0, 0)
        assert (packet.first, packet.last, packet.response, packet.local_op) == (1, 1, 1, 0)
        assert (packet.ack_req, packet.solicited, packet.mem.kind) == (0, 0, SegKind.NONE)
        self.sent.append((self.cycle, packet.qpn))

    async def mark(self, *qpns: int) -> None:
        """A mark per cycle."""
        for qpn in qpns:
            self.dut.mark_en.value = 1
            self.dut.mark_qpn.value = qpn
            await cycles(self.dut)
            self.marks.append((self.cycle, qpn))
        self.dut.mark_en.value = 0

    def qpns(self) -> list[int]:
        return [qpn for _, qpn in self.sent]

    def check_intervals(self) -> None:
        """No two CNPs of a queue pair are closer than the interval."""
        last: dict[int, int] = {}
        for cycle, qpn in self.sent:
            assert cycle - last.get(qpn, -(10**9)) >= INTERVAL * US, (qpn, cycle)
            last[qpn] = cycle


@cocotb.test()
@covers("ROCE-223")
async def a_mark_is_answered_once_per_interval(dut):
    bench = await Bench.start(dut)
    for _ in range(3 * INTERVAL * US):
        await bench.mark(3)
    assert 2 <= len(bench.sent) <= 3
    bench.check_intervals()
    first, second = bench.sent[0][0], bench.sent[1][0]
    assert second - first <= (INTERVAL + 1) * US + 8


@cocotb.test()
async def queue_pairs_have_intervals_of_their_own(dut):
    bench = await Bench.start(dut)
    await bench.mark(*range(QPS), *range(QPS))
    await cycles(dut, 60)
    assert bench.qpns() == list(range(QPS))


@cocotb.test()
async def what_is_due_waits_for_the_way_out(dut):
    bench = await Bench.start(dut)
    bench.sink.paused = True
    order = random.sample(range(QPS), QPS)
    for _ in range(20):
        await bench.mark(*order)
    await cycles(dut, 2 * INTERVAL * US)
    bench.sink.paused = False
    await cycles(dut, 40)
    assert bench.qpns() == order
    # Their interval began when they left.
    await bench.mark(*order)
    await cycles(dut, 40)
    assert len(bench.sent) == QPS
    await cycles(dut, (INTERVAL + 2) * US)
    await bench.mark(*order)
    await cycles(dut, 40)
    assert bench.qpns() == order * 2
    bench.check_intervals()


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "bursts"])
async def any_traffic_keeps_the_interval_and_loses_no_first_mark(dut, stall):
    bench = await Bench.start(dut, stall)
    for _ in range(3000):
        if random.random() < 0.3:
            await bench.mark(random.randrange(QPS))
        else:
            await cycles(dut, random.randrange(4))
    await cycles(dut, 200)
    bench.check_intervals()
    # Whoever is marked when nothing of it is due or at rest is answered.
    for cycle, qpn in bench.marks:
        window = (INTERVAL + 2) * US + 50
        assert any(q == qpn and abs(c - cycle) <= window for c, q in bench.sent), (cycle, qpn)


@cocotb.test()
async def no_cnps_when_they_are_off(dut):
    bench = await Bench.start(dut)
    dut.enable.value = 0
    await bench.mark(*range(QPS))
    await cycles(dut, 100)
    assert not bench.sent


@cocotb.test()
async def a_drain_waits_for_what_is_due(dut):
    bench = await Bench.start(dut)

    async def drain(limit: int) -> bool:
        dut.drain_req_en.value = 1
        await cycles(dut)
        dut.drain_req_en.value = 0
        for _ in range(limit):
            await cycles(dut)
            if int(dut.drain_done_en.value):
                return True
        return False

    assert await drain(4)
    bench.sink.paused = True
    await bench.mark(1, 2)
    assert not await drain(50)
    bench.sink.paused = False
    await RisingEdge(dut.drain_done_en)
    await cycles(dut, 2)
    assert bench.qpns() == [1, 2]


@cocotb.test()
async def every_event_is_counted(dut):
    bench = await Bench.start(dut, "half")
    count = 0

    async def watch() -> None:
        nonlocal count
        while True:
            await RisingEdge(dut.clk)
            count += int(dut.ev_cnp_en.value)

    cocotb.start_soon(watch())
    await bench.mark(*range(QPS))
    await cycles(dut, 100)
    assert count == len(bench.sent) == QPS
