"""stream_drain: done when everything that was inside at the request has left, and not before."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge

from tb.streams import reset, start_clock


class Pipeline:
    """What enters and leaves, in order, and the drain it should give."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.entered = self.left = 0
        self.target: int | None = None
        for name in ("enter_en", "leave_en", "drain_req_en"):
            getattr(dut, name).value = 0

    async def step(self, enter: bool, leave: bool, request: bool = False) -> bool:
        """One cycle; says whether the drain ended in it, and that is checked."""
        leave = leave and self.left < self.entered
        dut = self.dut
        dut.enter_en.value, dut.leave_en.value = int(enter), int(leave)
        dut.drain_req_en.value = int(request)
        await RisingEdge(dut.clk)
        done = dut.drain_done_en.value == 1
        expected = self.target is not None and not request and self.left >= self.target
        assert done == expected, (self.entered, self.left, self.target)
        if done:
            self.target = None
        self.entered += enter
        self.left += leave
        if request:
            self.target = self.entered
        return done


async def start(dut) -> Pipeline:
    """Reset."""
    start_clock(dut)
    pipeline = Pipeline(dut)
    await reset(dut)
    return pipeline


@cocotb.test()
async def an_empty_pipeline_drains_at_once(dut):
    pipeline = await start(dut)
    await pipeline.step(False, False, request=True)
    assert await pipeline.step(False, False)
    assert not await pipeline.step(False, False)


@cocotb.test()
async def what_enters_with_the_request_counts(dut):
    pipeline = await start(dut)
    await pipeline.step(True, False, request=True)
    for _ in range(20):
        assert not await pipeline.step(True, False)
    await pipeline.step(False, True)
    assert await pipeline.step(False, False)


@cocotb.test()
@cocotb.parametrize(busy=[0.2, 0.5, 0.9])
async def random_traffic(dut, busy):
    """Also requests that take another's place, and counters that go round 16 bits."""
    pipeline = await start(dut)
    drains = 0
    for _ in range(12_000):
        inside = pipeline.entered - pipeline.left
        enter = random.random() < busy and inside < 200
        request = random.random() < 0.02
        drains += await pipeline.step(enter, random.random() < busy, request)
    assert drains > 20


@cocotb.test()
async def counters_go_round(dut):
    pipeline = await start(dut)
    for _ in range(0xFFF0):
        await pipeline.step(True, True)
    for _ in range(40):
        await pipeline.step(True, False, request=True)
        for _ in range(3):
            await pipeline.step(True, True)
    assert pipeline.entered > 0x1_0000


@cocotb.test()
async def a_reset_forgets_the_request(dut):
    pipeline = await start(dut)
    for _ in range(5):
        await pipeline.step(True, False)
    await pipeline.step(False, False, request=True)
    fresh = Pipeline(dut)
    await reset(dut)
    for _ in range(10):
        await fresh.step(False, False)
