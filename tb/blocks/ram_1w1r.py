"""ram_1w1r: what was written is read, one cycle later, and stays until the next read."""

from __future__ import annotations

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


async def start(dut):
    """Inputs change on the falling edge, so that each rising edge sees them settled."""
    Clock(dut.clk, 4, "ns").start()
    dut.wr_en.value = 0
    dut.rd_en.value = 0
    await FallingEdge(dut.clk)


def expected_read(memory, bypass, address, write):
    """What a read gives: the old word, or with BYPASS the one written in the same cycle."""
    if bypass and write is not None and write[0] == address:
        return write[1]
    return memory.get(address)


@cocotb.test()
async def random_reads_and_writes(dut):
    await start(dut)
    depth, width = int(dut.DEPTH.value), len(dut.wr_data)
    bypass = int(dut.BYPASS.value)
    memory, shown = {}, None
    for _ in range(2000):
        offered = (random.randrange(depth), random.getrandbits(width))
        write = offered if random.random() < 0.5 else None
        dut.wr_addr.value, dut.wr_data.value = offered
        dut.wr_en.value = int(write is not None)
        read = random.randrange(depth) if random.random() < 0.6 else None
        dut.rd_en.value = int(read is not None)
        dut.rd_addr.value = random.randrange(depth) if read is None else read
        await FallingEdge(dut.clk)
        if read is not None:
            shown = expected_read(memory, bypass, read, write)
        if write is not None:
            memory[write[0]] = write[1]
        if shown is not None:
            assert int(dut.rd_data.value) == shown
    assert len(memory) == depth


@cocotb.test()
async def meeting_at_one_address(dut):
    await start(dut)
    dut.wr_en.value, dut.wr_addr.value, dut.wr_data.value = 1, 1, 5
    await FallingEdge(dut.clk)
    dut.wr_data.value = 6
    dut.rd_en.value, dut.rd_addr.value = 1, 1
    await FallingEdge(dut.clk)
    dut.rd_en.value, dut.wr_data.value = 0, 7
    first = 6 if int(dut.BYPASS.value) else 5
    assert int(dut.rd_data.value) == first
    await FallingEdge(dut.clk)
    assert int(dut.rd_data.value) == first, "a later write changed an answer"
