"""rnic_cpl_barrier: words wait for a drain that began behind them, in order, and for no more."""

from __future__ import annotations

import random
from typing import Any, Self

import cocotb
from cocotb.triggers import RisingEdge

from tb.streams import Beat, StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

DEPTH = 16


class Bench:
    """Words in and out, and a receive pipeline that takes its time to drain."""

    def __init__(self, dut: Any, idle: str, stall: str) -> None:
        self.dut = dut
        self.now = 0
        self.entered: dict[int, int] = {}
        self.drains: list[tuple[int, int]] = []
        self.asked: int | None = None
        self.latency = (1, 20)
        self.left: list[int] = []
        self.held: set[int] = set()
        self.source = StreamSource(dut, "s", fields=("data", "hold"), idle=stall_pattern(idle))
        self.sink = StreamSink(dut, "m", stall=stall_pattern(stall), on_beat=self._leave)
        dut.drain_done_en.value = 0

    @classmethod
    async def start(cls, dut: Any, idle: str = "none", stall: str = "none") -> Self:
        """Reset."""
        start_clock(dut)
        bench = cls(dut, idle, stall)
        await reset(dut, bench.source, bench.sink)
        cocotb.start_soon(bench._run())
        return bench

    def _leave(self, word: int) -> None:
        self.left.append(word)
        if word in self.held:
            began = self.entered[word]
            assert any(began < start < end < self.now for start, end in self.drains), word

    async def _run(self) -> None:
        due = 0
        while True:
            await RisingEdge(self.dut.clk)
            self.now += 1
            if self.dut.s_valid.value == 1 and self.dut.s_ready.value == 1:
                self.entered[int(self.dut.s_data.value)] = self.now
            done = self.asked is not None and self.now >= due
            if done:
                self.drains.append((self.asked, self.now))
                self.asked = None
            self.dut.drain_done_en.value = int(done)
            if self.dut.drain_req_en.value == 1:
                assert self.asked is None, "asked again while a drain is under way"
                self.asked = self.now
                due = self.now + random.randint(*self.latency)

    def send(self, word: int, hold: bool) -> None:
        """A word."""
        if hold:
            self.held.add(word)
        self.source.send_nowait(Beat(data=word, hold=int(hold)))

    async def until_left(self, count: int) -> None:
        """Until so many words have left."""
        for _ in range(20000):
            if len(self.left) >= count:
                return
            await cycles(self.dut)
        raise AssertionError(f"{len(self.left)} of {count} words left")


@cocotb.test()
@cocotb.parametrize(idle=["none", "half", "mostly"], stall=["none", "half", "mostly"])
async def words_leave_in_order_behind_their_drain(dut, idle, stall):
    bench = await Bench.start(dut, idle, stall)
    for word in range(300):
        bench.send(word, hold=random.random() < 0.4)
    await bench.until_left(300)
    assert bench.left == list(range(300))
    assert bench.drains


@cocotb.test()
async def words_that_need_no_drain_start_none(dut):
    bench = await Bench.start(dut)
    for word in range(40):
        bench.send(word, hold=False)
    await bench.until_left(40)
    assert not bench.drains
    assert bench.now < 60


@cocotb.test()
async def one_drain_serves_all_that_wait(dut):
    bench = await Bench.start(dut)
    bench.sink.paused = True
    bench.latency = (60, 60)
    for word in range(DEPTH):
        bench.send(word, hold=word % 3 != 1)
    await cycles(dut, 40)
    bench.sink.paused = False
    await bench.until_left(DEPTH)
    assert len(bench.drains) <= 2
    assert int(dut.count.value) == 0


@cocotb.test()
async def the_count_is_what_is_inside(dut):
    bench = await Bench.start(dut, "half", "half")
    for word in range(200):
        bench.send(word, hold=random.random() < 0.3)
    while len(bench.left) < 200:
        await cycles(dut)
        inside = len(bench.entered) - len(bench.left)
        assert abs(int(dut.count.value) - inside) <= 2
        assert int(dut.count.value) <= DEPTH


@cocotb.test()
async def a_reset_while_waiting_forgets_everything(dut):
    bench = await Bench.start(dut)
    bench.latency = (30, 30)
    for word in range(5):
        bench.send(word, hold=True)
    await cycles(dut, 12)
    await reset(dut, bench.source, bench.sink)
    bench.asked = None
    dut.drain_done_en.value = 0
    bench.left.clear()
    await cycles(dut, 60)
    assert bench.left == []
    bench.send(50, hold=True)
    await bench.until_left(1)
    assert bench.left == [50]
