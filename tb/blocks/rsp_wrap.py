"""rnic_responder where indices and the message count wrap; reaches into its memories."""

from __future__ import annotations

import cocotb

from spec.codes import CqeStatus, QpState
from spec.streams import RxFault
from tb.blocks.rsp_bench import Bench
from tb.blocks.rsp_model import ADD, READ, SEND_FIRST, SEND_LAST, SEND_ONLY, SPACE, WRITE_ONLY, Qp
from tb.streams import cycles


def set_message_count(dut, qp: Qp, count: int) -> None:
    """As if so many messages had completed; the context begins with expected PSN and MSN."""
    row = dut.u_check.u_context.mem[qp.number]
    bits, below = int(row.value), len(row.value) - 48
    assert bits >> below == qp.epsn << 24 | qp.msn
    row.value = bits | count << below
    qp.msn = count


@cocotb.test()
@cocotb.parametrize(log_size=[4, 15])
async def ring_indices_wrap(dut, log_size):
    """The rule and the count of credits are the same on both sides of the wrap."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, log_size=log_size, e2e_credits=1)
    begin = 0x10000 - 5
    dut.u_check.u_producer.mem[1].value = begin
    dut.u_check.u_consumer.mem[1].value = begin
    await cycles(dut, 2)
    qp.ring.posted = [None] * begin
    qp.ring.claimed = begin
    for _ in range(10):
        await bench.post(qp.ring, 100)
    for _ in range(8):
        bench.request(qp, SEND_ONLY, 20, ack_req=1)
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


@cocotb.test()
async def the_message_count_wraps(dut):
    """24 bits, whatever the message; a message is counted once, and not before its end."""
    bench = await Bench.start(dut)
    for back in range(1, 6):
        qp = await bench.create_qp(1, path_mtu=1)
        for _ in range(3):
            await bench.post(qp.ring, 1000)
        set_message_count(dut, qp, SPACE - back)
        await cycles(dut, 2)
        bench.request(qp, WRITE_ONLY, ack_req=1)
        bench.request(qp, READ, reth_len=600)
        bench.request(qp, ADD, reth_va=16)
        bench.request(qp, SEND_FIRST, 256, ack_req=1)
        bench.request(qp, WRITE_ONLY, psn=(qp.epsn + 1) % SPACE)
        bench.request(qp, SEND_LAST, 10, ack_req=1)
        bench.request(qp, SEND_ONLY, 10, ack_req=1)
        bench.request(qp, SEND_ONLY, 10, psn=(qp.epsn - 1) % SPACE, ack_req=1)
        await bench.settle()
        assert bench.packets[1][-1].msn == qp.msn == 5 - back
        bench.check(qp)
        await bench.destroy_qp(1)


@cocotb.test()
async def every_entry_of_a_failed_queue_pair_is_flushed_for_ever(dut):
    """The entry that failed has its completion; the one that has its index a round later, too."""
    bench = await Bench.start(dut)
    bench.fault = lambda outcome: RxFault.LOCAL_KEY
    qp = await bench.create_qp(1)
    await bench.post(qp.ring, 100)
    bench.request(qp, SEND_ONLY, 20)
    await bench.settle()
    bench.check(qp)
    dut.u_check.u_producer.mem[1].value = 0xFFFF
    dut.u_check.u_consumer.mem[1].value = 0xFFFF
    await cycles(dut, 2)
    qp.ring.posted = [None] * 0xFFFF
    qp.ring.claimed = 0xFFFF
    for _ in range(3):
        await bench.post(qp.ring, 100)
    await bench.settle()
    bench.check(qp)
