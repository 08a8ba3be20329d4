"""rnic_responder where the 16-bit indices of a receive ring wrap; reaches into its memories."""

from __future__ import annotations

import cocotb

from spec.codes import CqeStatus, QpState
from tb.blocks.rsp_bench import Bench
from tb.streams import cycles

SEND_ONLY = 4


@cocotb.test()
@cocotb.parametrize(log_size=[4, 15])
async def ring_indices_wrap(dut, log_size):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, log_size=log_size)
    begin = 0x10000 - 5
    dut.u_check.u_producer.mem[1].value = begin
    dut.u_check.u_consumer.mem[1].value = begin
    await cycles(dut, 2)
    qp.ring.posted = [None] * begin
    qp.ring.claimed = begin
    for _ in range(10):
        await bench.post(qp.ring, 100)
    for _ in range(8):
        bench.request(qp, SEND_ONLY, 20)
    await bench.settle()
    bench.check(qp)
    qp.error = CqeStatus.WR_FLUSH_ERR
    bench.errors[1] = [qp.error]
    bench.set_state(1, QpState.ERR)
    await bench.flush.send(1)
    await bench.settle()
    bench.check(qp)


@cocotb.test()
async def full_ring_of_the_largest_size_has_entries(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, log_size=15)
    begin = 0x9000
    dut.u_check.u_producer.mem[1].value = (begin + 0x7FFF) & 0xFFFF
    dut.u_check.u_consumer.mem[1].value = begin
    await cycles(dut, 2)
    qp.ring.posted = [None] * (begin + 0x7FFF)
    last = await bench.post(qp.ring, 100)
    qp.ring.posted[begin] = last
    qp.ring.claimed = begin
    last.index = begin
    bench.memory[qp.ring.base + 64 * (begin & 0x7FFF)] = (last.wqe().to_int(), False)
    bench.request(qp, SEND_ONLY, 20)
    await bench.settle()
    bench.check(qp)
