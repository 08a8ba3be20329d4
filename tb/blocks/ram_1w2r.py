"""ram_1w2r: two reads of one memory in each cycle, each as ram_1w1r answers."""

from __future__ import annotations

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from tb.blocks.ram_1w1r import expected_read


@cocotb.test()
async def both_ports_read_what_was_written(dut):
    Clock(dut.clk, 4, "ns").start()
    depth, width = int(dut.DEPTH.value), len(dut.wr_data)
    bypass = int(dut.BYPASS.value)
    ports = {"a": None, "b": None}
    memory = {}
    await FallingEdge(dut.clk)
    for _ in range(2000):
        write = (random.randrange(depth), random.getrandbits(width))
        dut.wr_en.value = enabled = random.randint(0, 1)
        dut.wr_addr.value, dut.wr_data.value = write
        reads = {port: random.choice([None, random.randrange(depth)]) for port in ports}
        for port, address in reads.items():
            getattr(dut, f"rd_{port}_en").value = int(address is not None)
            getattr(dut, f"rd_{port}_addr").value = address or 0
        await FallingEdge(dut.clk)
        for port, address in reads.items():
            if address is not None:
                ports[port] = expected_read(memory, bypass, address, write if enabled else None)
            if ports[port] is not None:
                assert int(getattr(dut, f"rd_{port}_data").value) == ports[port]
        if enabled:
            memory[write[0]] = write[1]
