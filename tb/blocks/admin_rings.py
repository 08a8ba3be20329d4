"""rnic_admin: its rings, interrupts and resets."""

from __future__ import annotations

import cocotb

from spec.codes import AdminStatus
from spec.layouts import AdminCommand, AdminKey, AdminOp
from tb.blocks.admin_bench import Bench
from tb.blocks.admin_commands import create_qp, furnish, queue, register
from tb.streams import cycles

Op = AdminOp


@cocotb.test()
async def a_command_that_cannot_be_read_changes_nothing(dut):
    bench = await Bench.start(dut)
    found = await bench.run(queue(Op.CREATE_EQ, 0), error=True)
    assert found.status == AdminStatus.DMA_ERROR
    assert bench.log == []
    await bench.succeed(queue(Op.CREATE_EQ, 0))


@cocotb.test()
async def completions_wait_for_room(dut):
    bench = await Bench.start(dut, sq_log=4, cq_log=2)
    for _ in range(10):
        bench.write(AdminCommand(opcode=Op.NOP))
    await bench.ring()
    await cycles(dut, 1000)
    assert len(bench.host.written) == 4
    assert int(dut.admin_status.value) == 4 << 16 | 4
    for n in range(10):
        assert (await bench.wait()).sq_head <= n + 5
    await cycles(dut, 200)
    assert len(bench.host.written) == 10
    assert bench.irqs == [7] * 10


@cocotb.test()
async def an_offered_interrupt_is_not_taken_back(dut):
    """Also when interrupts are switched off meanwhile."""
    bench = await Bench.start(dut)
    bench.irq.paused = True
    await cycles(dut)
    await bench.run(AdminCommand(opcode=Op.NOP))
    await cycles(dut, 40)
    assert dut.m_irq_valid.value == 1
    config = int(dut.admin_config.value)
    dut.admin_config.value = config & ~2
    await cycles(dut, 10)
    bench.irq.paused = False
    await cycles(dut, 10)
    assert bench.irqs == [7]
    await bench.run(AdminCommand(opcode=Op.NOP))
    await cycles(dut, 40)
    assert bench.irqs == [7]


@cocotb.test()
async def disabling_the_queue_resets_its_indices(dut):
    """Even when it is enabled again before the command under way has ended."""
    bench = await Bench.start(dut)
    for _ in range(3):
        await bench.run(AdminCommand(opcode=Op.NOP))
    bench.drain_latency = 200
    await bench.run(register(1))
    bench.log.clear()
    bench.write(AdminKey(opcode=Op.DEREGISTER_KEY, number=1))
    await bench.ring()
    while "drain" not in bench.names():
        await cycles(dut)
    dut.admin_config.value = 0
    await cycles(dut, 3)
    await bench.enable()
    for _ in range(2000):
        await cycles(dut)
        if int(dut.admin_status.value) == 0:
            break
    assert int(dut.admin_status.value) == 0
    bench.host.bytes.clear()
    bench.drain_latency = 5
    found = await bench.run(AdminCommand(opcode=Op.NOP))
    assert (found.status, found.phase) == (AdminStatus.OK, 1)


@cocotb.test()
async def a_reset_ends_everything(dut):
    bench = await Bench.start(dut, "half")
    await furnish(bench)
    await bench.succeed(create_qp(5, 1, 2))
    bench.write(AdminCommand(opcode=Op.DESTROY_QP, number=5))
    await bench.ring()
    await cycles(dut, 60)
    dut.rst.value = 1
    ends = [*bench.sinks, bench.irq, *bench.host.ends]
    for end in ends:
        end.in_reset = True
    await cycles(dut, 30)
    for end in ends:
        end.clear()
        end.in_reset = False
    bench.host.clear()
    bench.host.bytes.clear()
    bench.fetches.clear()
    bench.qps.clear()
    dut.rst.value = 0
    await cycles(dut, 2)
    while dut.ready.value != 1:
        await cycles(dut)
    await bench.enable()
    found = await bench.run(AdminCommand(opcode=Op.QUERY_CQ, number=1))
    assert found.status == AdminStatus.NOT_FOUND
    await furnish(bench)


@cocotb.test()
async def indices_of_small_rings_go_round(dut):
    bench = await Bench.start(dut, sq_log=1, cq_log=1)
    for n in range(40):
        found = await bench.run(AdminCommand(opcode=Op.NOP))
        assert found.status == AdminStatus.OK
        await cycles(dut, 20)
        assert int(dut.admin_status.value) == (n + 1) << 16 | (n + 1)
