"""stream_fifo: order, capacity, full rate, and a count that tells the truth."""

from __future__ import annotations

import cocotb
from cocotb.triggers import FallingEdge

from tb.blocks.stream_bench import Bench
from tb.streams import STALL_NAMES, cycles


def depth(dut) -> int:
    return int(dut.DEPTH.value)


async def check_count(bench):
    """In every cycle `count` is beats in minus beats out, as the ends saw them."""
    while True:
        await FallingEdge(bench.dut.clk)
        inside = bench.inward.count - bench.sink.count
        if not bench.sink.in_reset:
            assert int(bench.dut.count.value) == inside
            assert inside <= depth(bench.dut)


@cocotb.test()
@cocotb.parametrize(idle=STALL_NAMES, stall=STALL_NAMES)
async def every_beat_in_order(dut, idle, stall):
    bench = await Bench.start(dut, idle=idle, stall=stall)
    cocotb.start_soon(check_count(bench))
    await bench.exchange(10 * depth(dut))


@cocotb.test()
async def one_beat_per_cycle(dut):
    bench = await Bench.start(dut)
    assert await bench.cycles_for(100) == 100


@cocotb.test()
async def full_takes_depth_beats_and_no_more(dut):
    bench = await Bench.start(dut)
    bench.sink.paused = True
    sent = bench.beats(depth(dut) + 3)
    for beat in sent:
        bench.source.send_nowait(beat)
    await cycles(dut, depth(dut) + 10)
    assert bench.source.count == depth(dut)
    assert int(dut.count.value) == depth(dut)
    bench.sink.paused = False
    assert await bench.sink.recv_many(len(sent)) == sent


@cocotb.test()
async def full_rate_when_it_leaves_full(dut):
    """Nearly full with a beat leaving in each cycle, a beat enters in each cycle."""
    bench = await Bench.start(dut)
    bench.sink.paused = True
    for beat in bench.beats(depth(dut) + 60):
        bench.source.send_nowait(beat)
    await cycles(dut, depth(dut) + 10)
    bench.sink.paused = False
    await bench.sink.recv()
    entered = bench.inward.count
    await cycles(dut, 40)
    assert bench.inward.count - entered >= 39


@cocotb.test()
async def empties_after_the_last_beat(dut):
    bench = await Bench.start(dut)
    for _ in range(5):
        await bench.exchange(1)
        await FallingEdge(dut.clk)
        assert int(dut.count.value) == 0
        assert not dut.m_valid.value


@cocotb.test()
async def reset_empties(dut):
    bench = await Bench.start(dut)
    await bench.reset_in_traffic()
    assert int(dut.count.value) == 0
