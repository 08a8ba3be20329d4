"""Gives a slot back to a full pool, which the block's assertion must notice."""

from __future__ import annotations

import cocotb
from cocotb.triggers import FallingEdge

from tb.blocks.ram_free_list import Bench


@cocotb.test()
async def slot_given_back_to_a_full_pool(dut):
    await Bench.start(dut)
    dut.s_slot_en.value = 1
    for _ in range(4):
        await FallingEdge(dut.clk)
