"""stream_register: order, full rate, one cycle of latency."""

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
    assert await bench.cycles_for(100) == 100


@cocotb.test()
async def valid_comes_a_cycle_later(dut):
    bench = await Bench.start(dut)
    bench.source.send_nowait(1)
    await cycles(dut)
    await FallingEdge(dut.clk)
    assert dut.s_valid.value
    assert not dut.m_valid.value
    await FallingEdge(dut.clk)
    assert dut.m_valid.value


@cocotb.test()
async def reset_empties(dut):
    bench = await Bench.start(dut)
    await bench.reset_in_traffic()
