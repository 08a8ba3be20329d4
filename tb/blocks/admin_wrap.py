"""rnic_admin where the indices of its rings wrap: set to values just before (Icarus only)."""

from __future__ import annotations

import cocotb

from spec.codes import AdminStatus
from spec.layouts import AdminCommand, AdminOp
from tb.blocks.admin_bench import Bench
from tb.streams import cycles


@cocotb.test()
@cocotb.parametrize(log_size=[0, 3, 15])
async def the_indices_wrap(dut, log_size):
    bench = await Bench.start(dut, "half", log_size, log_size)
    start = 0xFFFA
    ring = dut.u_ring
    for name in ("sq_head", "cq_head", "sq_tail_q", "cq_tail_q"):
        getattr(ring, name).value = start
    bench.head = bench.tail = bench.taken = start
    await cycles(dut, 2)
    for _ in range(20):
        found = await bench.run(AdminCommand(opcode=AdminOp.NOP))
        assert found.status == AdminStatus.OK
    assert bench.head > 0x10000
