"""rnic_qp_srq where its indices wrap: set to values just before (Icarus only)."""

from __future__ import annotations

import random

import cocotb

from tb.blocks.qp_srq import QPS, Bench
from tb.streams import cycles


@cocotb.test()
async def the_indices_go_round(dut):
    bench = await Bench.start(dut)
    queue = bench.queues[1]
    queue.producer = queue.consumer = 0xFFF0
    dut.u_context.mem[1].value = 0xFFF0 << 16
    dut.u_producer.mem[1].value = 0xFFF0
    await cycles(dut, 2)
    fired = 0
    for _ in range(12):
        await bench.post(1, 9)
        await bench.configure(1, arm=1, limit=random.randint(1, 9))
        while queue.left > 2:
            await bench.take(1)
        fired += len(bench.expected)
        await bench.check()
    assert fired > 3
    assert queue.consumer > 0x1_0000
    answer = await bench.configure(1)
    assert answer.consumer == queue.consumer & 0xFFFF
    await bench.take(0, ring=QPS - 1)
    await bench.check()
