"""stream_skid: order, full rate, and a registered ready."""

from __future__ import annotations

import cocotb
from cocotb.triggers import FallingEdge

from tb.blocks.stream_bench import Bench
from tb.streams import STALL_NAMES, cycles


@cocotb.test()
@cocotb.parametrize(idle=STALL_NAMES, stall=STALL_NAMES)
async def every_beat_in_order(dut, idle, stall):
    bench = await Bench.start(dut, idle=idle, stall=stall)
    await bench.exchange(200)


@cocotb.test()
async def one_beat_per_cycle(dut):
    bench = await Bench.start(dut)
    assert await bench.cycles_for(100) <= 102


@cocotb.test()
async def ready_does_not_follow_ready_in_the_same_cycle(dut):
    bench = await Bench.start(dut)
    bench.sink.paused = True
    bench.source.send_nowait(1)
    bench.source.send_nowait(1)
    await cycles(dut, 6)
    await FallingEdge(dut.clk)
    assert not dut.s_ready.value
    dut.m_ready.value = 1
    await cocotb.triggers.ReadOnly()
    assert not dut.s_ready.value


@cocotb.test()
async def reset_empties(dut):
    bench = await Bench.start(dut)
    await bench.reset_in_traffic()
