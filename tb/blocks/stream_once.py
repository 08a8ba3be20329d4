"""stream_once: every number that was said is seen once afterwards, however often it was said."""

from __future__ import annotations

import random
from collections import deque

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import ReadOnly, RisingEdge

from tb.streams import STALL_NAMES, stall_pattern, start_clock


class Model:
    """A queue that holds each number once."""

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        self.said = 0
        self.seen = 0

    def step(self, said: int | None, seen: int | None) -> None:
        """A cycle: first one leaves, then one comes."""
        if seen is not None:
            assert self.waiting, f"{seen} came although nothing waits"
            assert self.waiting.popleft() == seen
            self.seen += 1
        if said is not None:
            self.said += 1
            if said not in self.waiting:
                self.waiting.append(said)


class Bench:
    """Says numbers by a plan, takes them by a pattern, and compares in every cycle."""

    def __init__(self, dut: SimHandleBase, stall: str) -> None:
        self.dut = dut
        self.model = Model()
        self.stall = stall_pattern(stall)
        self.paused = False
        self.numbers = int(dut.COUNT.value)

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: str = "none") -> Bench:
        """Clock and reset."""
        start_clock(dut)
        dut.s_en.value = dut.s_number.value = dut.m_ready.value = 0
        for _ in range(4):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        return cls(dut, stall)

    async def cycle(self, said: int | None = None, ready: bool | None = None) -> int | None:
        """One cycle; says what left."""
        dut = self.dut
        ready = (not self.paused and not self.stall()) if ready is None else ready
        dut.s_en.value = int(said is not None)
        dut.s_number.value = said or 0
        dut.m_ready.value = int(ready)
        await ReadOnly()
        seen = int(dut.m_number.value) if ready and dut.m_valid.value == 1 else None
        assert int(dut.count.value) == len(self.model.waiting)
        self.model.step(said, seen)
        await RisingEdge(dut.clk)
        return seen

    async def empty(self) -> None:
        """Everything that waits comes out."""
        self.paused = False
        for _ in range(40 * self.numbers):
            if not self.model.waiting:
                break
            await self.cycle()
        assert not self.model.waiting
        for _ in range(4):
            await self.cycle(ready=True)


@cocotb.test()
@cocotb.parametrize(stall=STALL_NAMES, rate=[0.1, 0.6, 1.0])
async def what_is_said_is_seen_once(dut: SimHandleBase, stall: str, rate: float) -> None:
    bench = await Bench.start(dut, stall)
    for _ in range(1500):
        say = random.random() < rate
        await bench.cycle(random.randrange(bench.numbers) if say else None)
    await bench.empty()
    assert bench.model.seen > 50


@cocotb.test()
async def all_numbers_wait_and_one_more_is_said(dut: SimHandleBase) -> None:
    """The number that leaves is said again in the same cycle, with everybody else waiting."""
    bench = await Bench.start(dut)
    for number in range(bench.numbers):
        await bench.cycle(number, ready=False)
    for _ in range(3):
        for number in range(bench.numbers):
            await bench.cycle(number, ready=False)
    for number in range(2 * bench.numbers):
        await bench.cycle(number % bench.numbers, ready=True)
        assert len(bench.model.waiting) == bench.numbers
    await bench.empty()
    assert bench.model.seen == 3 * bench.numbers


@cocotb.test()
async def one_in_and_one_out_per_cycle(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    for at in range(100):
        await bench.cycle(at % bench.numbers, ready=True)
    assert bench.model.seen >= 98


@cocotb.test()
async def a_reset_forgets_who_waits(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    for number in range(bench.numbers):
        await bench.cycle(number, ready=False)
    dut.s_en.value = 0
    dut.rst.value = 1
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    bench.model.waiting.clear()
    await bench.cycle(ready=True)
    for number in range(bench.numbers):
        await bench.cycle(number, ready=False)
    await bench.empty()
    assert bench.model.seen == bench.numbers
