"""rnic_responder against the rules, one at a time: every refusal, and order."""

from __future__ import annotations

import cocotb

from spec.codes import Access, CqeStatus, QpState, Syndrome
from spec.streams import QpInit, QpInitOp, RxFault, TxResult
from tb.blocks.rsp_bench import Bench
from tb.blocks.rsp_model import (
    ADD,
    READ,
    SEND_FIRST,
    SEND_LAST,
    SEND_MIDDLE,
    SEND_ONLY,
    SPACE,
    SWAP,
    WRITE_FIRST,
    WRITE_LAST,
    WRITE_MIDDLE,
    WRITE_ONLY,
    WRITE_ONLY_IMM,
    Qp,
)
from tb.streams import cycles


async def refused(bench: Bench, qp: Qp, opcode: int, size: int = 0, **fields: int) -> None:
    """The request ends the queue pair, as the model says."""
    bench.request(qp, opcode, size, **fields)
    await bench.settle()
    assert qp.error is not None
    bench.check(qp)


@cocotb.test()
async def too_many_reads_are_refused(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, max_dest_rd_atomic=2, path_mtu=1)
    bench.unchecked.add(1)
    bench.sinks["m_pkt"].paused = True
    for _ in range(3):
        bench.request(qp, READ, reth_len=2000)
    await cycles(dut, 100)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    packets = bench.packets[1]
    assert len(packets) == 17
    assert (packets[-1].opcode, packets[-1].syndrome) == (0x11, Syndrome.NAK_INVALID_REQUEST)
    assert packets[-1].psn == (packets[0].psn + 16) % SPACE
    assert bench.errors[1] == [CqeStatus.REM_INV_REQ_ERR]


@cocotb.test()
async def limit_of_reads_counts_only_unfinished_ones(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, max_dest_rd_atomic=1)
    for _ in range(36):
        bench.request(qp, READ, reth_len=10)
        await bench.settle()
    bench.check(qp)


@cocotb.test()
async def repeated_reads_do_not_count_against_the_limit(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, max_dest_rd_atomic=4, path_mtu=1)
    bench.sinks["m_pkt"].paused = True
    for _ in range(4):
        bench.request(qp, READ, reth_len=1000)
    for old in list(qp.table):
        bench.request(qp, READ, psn=old.psn, reth_va=old.va, reth_len=1000, reth_rkey=old.rkey)
    await cycles(dut, 200)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    bench.request(qp, READ, reth_len=1)
    await bench.settle()
    bench.check(qp)


@cocotb.test()
@cocotb.parametrize(status=[CqeStatus.LOC_PROT_ERR, CqeStatus.LOC_QP_OP_ERR])
async def failed_response_becomes_a_nak_and_nothing_follows(dut, status):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    entry = await bench.post(qp.ring, 100)
    other = await bench.create_qp(2, path_mtu=1)
    first = bench.request(qp, READ, reth_len=2560).hdr.psn
    await bench.until(lambda: len(bench.packets.get(1, [])) >= 2)
    bench.sinks["m_pkt"].paused = True
    bench.request(qp, READ, reth_len=2560)
    bench.request(other, READ, reth_len=300)
    await cycles(dut, 100)
    failed = (first + 1) % SPACE
    await bench.result.send(TxResult(qpn=1, response=1, psn=failed, status=status))
    bench.sinks["m_pkt"].paused = False
    bench.request(qp, WRITE_ONLY, 4, reth_len=4, ack_req=1)
    await bench.settle()
    await bench.result.send(TxResult(qpn=1, response=1, psn=failed + 1, status=status))
    await bench.settle()
    packets = bench.packets[1]
    assert len(packets) <= 6
    wanted = 0x62 if status == CqeStatus.LOC_PROT_ERR else 0x63
    assert (packets[-1].opcode, packets[-1].psn, packets[-1].syndrome) == (0x11, failed, wanted)
    assert len(bench.errors[1]) == 1
    assert [cqe.wr_id for cqe in bench.completions[1]] == [entry.wr_id]
    bench.check(other)


@cocotb.test()
async def repeated_acknowledge_does_not_remove_a_nak(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    bench.sinks["m_pkt"].paused = True
    for _ in range(4):
        bench.request(qp, WRITE_ONLY, ack_req=1)
        await cycles(dut, 30)
    bench.request(qp, SEND_ONLY, ack_req=1)
    bench.request(qp, WRITE_ONLY, psn=(qp.epsn - 1) % SPACE, ack_req=1)
    await cycles(dut, 100)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    assert bench.packets[1][-1].syndrome & 0xE0 == Syndrome.RNR_NAK
    bench.check(qp)


@cocotb.test()
async def entry_of_a_send_that_failed_in_its_first_packet_completes_once(dut):
    bench = await Bench.start(dut)
    bench.fault = lambda outcome: RxFault.LOCAL_KEY
    qp = await bench.create_qp(1, path_mtu=1)
    for _ in range(3):
        await bench.post(qp.ring, 1000)
    await refused(bench, qp, SEND_FIRST, 256)


@cocotb.test()
async def repeated_read_does_not_swallow_a_newer_acknowledge(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=10)
    await bench.settle()
    other = await bench.create_qp(2, path_mtu=1)
    bench.sinks["m_pkt"].paused = True
    for _ in range(3):
        bench.request(other, WRITE_ONLY, ack_req=1)
        await cycles(dut, 30)
    last = bench.request(qp, WRITE_ONLY, ack_req=1).hdr.psn
    old = qp.table[0]
    bench.request(qp, READ, psn=old.psn, reth_va=old.va, reth_len=10, reth_rkey=old.rkey)
    await cycles(dut, 60)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    assert [(p.opcode, p.psn) for p in bench.packets[1][1:]] == [(0x10, old.psn), (0x11, last)]


@cocotb.test()
async def one_sequence_nak_per_gap(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    for expected in (1, 2):
        for ahead in (1, 2, 3):
            bench.request(qp, WRITE_ONLY, psn=(qp.epsn + ahead) % SPACE, ack_req=1)
        await bench.settle()
        assert bench.event_count["nak"] == expected
        bench.request(qp, WRITE_ONLY)
        await bench.settle()
    bench.check(qp)
    assert bench.event_count["sequence"] == 6


@cocotb.test()
async def send_after_rnr_nak_is_accepted_once_an_entry_is_there(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    for opcode, fields in ((SEND_ONLY, {}), (WRITE_ONLY_IMM, {"reth_len": 10})):
        for _ in range(2):
            bench.request(qp, opcode, 10, ack_req=1, **fields)
            await bench.settle()
        await bench.post(qp.ring, 10)
        outcome = bench.request(qp, opcode, 10, ack_req=1, **fields)
        await bench.settle()
        assert outcome.completes
    bench.check(qp)
    assert bench.event_count["rnr_nak"] == 4


@cocotb.test()
async def each_refusal_ends_the_queue_pair(dut):
    bench = await Bench.start(dut)
    cases = [
        (SEND_MIDDLE, 256, {}), (SEND_LAST, 4, {}), (WRITE_LAST, 4, {}), (WRITE_MIDDLE, 256, {}),
        (0x15, 0, {}), (0x18, 0, {}), (0x1E, 0, {}), (0x1C, 0, {}), (0x1D, 8, {}),
        (SWAP, 0, {"reth_va": 12}), (ADD, 0, {"reth_va": 1}), (ADD, 4, {}),
        (SEND_FIRST, 255, {}), (SEND_ONLY, 257, {}), (WRITE_FIRST, 256, {"reth_len": 256}),
        (WRITE_ONLY, 4, {"reth_len": 5}), (WRITE_ONLY, 8, {"reth_len": 5}),
        (READ, 0, {"reth_len": (1 << 31) + 1}), (READ, 4, {"reth_len": 4}),
        (WRITE_FIRST, 256, {"reth_len": 0xFFFFFFFF}), (SEND_ONLY, 4, {"pad": 1}),
        (SEND_ONLY, 101, {}),
    ]  # fmt: skip
    for opcode, size, fields in cases:
        qp = await bench.create_qp(1, path_mtu=1)
        await bench.post(qp.ring, 100)
        await bench.post(qp.ring, 100)
        await refused(bench, qp, opcode, size, **fields)
        await bench.destroy_qp(1)


@cocotb.test()
async def read_of_two_gigabytes_is_accepted(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    before = qp.epsn
    bench.request(qp, READ, reth_len=1 << 31)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.until(lambda: len(bench.packets.get(1, [])) >= 40)
    assert [p.opcode for p in bench.packets[1][:3]] == [0x0D, 0x0E, 0x0E]
    assert qp.epsn == (before + (1 << 23) + 1) % SPACE
    bench.set_state(1, QpState.RESET)
    await bench.drain()


@cocotb.test()
@cocotb.parametrize(opcode=[READ, WRITE_ONLY, WRITE_ONLY_IMM, SWAP, ADD])
async def right_is_needed(dut, opcode):
    bench = await Bench.start(dut)
    needed = Access.REMOTE_WRITE
    if opcode in (READ, SWAP, ADD):
        needed = Access.REMOTE_READ if opcode == READ else Access.REMOTE_ATOMIC
    others = Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC
    qp = await bench.create_qp(1, access=others & ~needed)
    await bench.post(qp.ring, 100)
    await refused(bench, qp, opcode, 0)


@cocotb.test()
@cocotb.parametrize(after_first=[False, True])
async def error_from_elsewhere_flushes_all_entries_in_order(dut, after_first):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    for _ in range(16):
        await bench.post(qp.ring, 1000)
    bench.request(qp, SEND_ONLY, 256)
    if after_first:
        bench.request(qp, SEND_FIRST, 256)
    await bench.settle()
    qp.error = CqeStatus.WR_FLUSH_ERR
    bench.errors[1] = [qp.error]
    bench.set_state(1, QpState.ERR)
    await bench.flush.send(1)
    await bench.settle()
    bench.check(qp)
    # What is posted now is flushed as well.
    for _ in range(5):
        await bench.post(qp.ring, 8)
        await bench.settle()
        bench.check(qp)
    await bench.destroy_qp(1)


@cocotb.test()
async def flush_waits_for_requests_on_their_way(dut):
    bench = await Bench.start(dut)
    bench.move_time = 300
    qp = await bench.create_qp(1)
    for _ in range(10):
        await bench.post(qp.ring, 1000)
    for _ in range(6):
        bench.request(qp, SEND_ONLY, 64)
    while bench.expected:
        await cycles(dut)
    qp.error = CqeStatus.WR_FLUSH_ERR
    bench.errors[1] = [qp.error]
    bench.set_state(1, QpState.ERR)
    await bench.flush.send(1)
    await bench.settle()
    bench.check(qp)


@cocotb.test()
async def srq_entries_outlive_a_queue_pair(dut):
    bench = await Bench.start(dut)
    srq = await bench.create_ring(8, 4)
    first = await bench.create_qp(1, srq, path_mtu=1)
    second = await bench.create_qp(2, srq, path_mtu=1)
    for _ in range(4):
        await bench.post(srq, 1000)
    bench.request(first, SEND_FIRST, 256)
    bench.request(second, SEND_ONLY, 10)
    await refused(bench, first, WRITE_ONLY)
    await bench.destroy_qp(1)
    first = await bench.create_qp(1, srq, path_mtu=1)
    bench.request(first, SEND_ONLY, 10)
    bench.request(second, SEND_ONLY, 10)
    await bench.settle()
    bench.check(first)
    bench.check(second)


@cocotb.test()
async def way_in_does_not_wait_for_the_way_out(dut):
    bench = await Bench.start(dut)
    bench.sinks["m_pkt"].paused = True
    qps = [await bench.create_qp(n) for n in range(8)]
    for _ in range(15):
        for qp in qps:
            bench.request(qp, READ, reth_len=3000)
            bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.moved()
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    for qp in qps:
        bench.check(qp)


@cocotb.test()
async def drain_waits_for_everything_inside(dut):
    bench = await Bench.start(dut)
    bench.move_time = 100
    qp = await bench.create_qp(1)
    other = await bench.create_qp(2)
    for _ in range(8):
        await bench.post(qp.ring, 100)
    for _ in range(8):
        bench.request(qp, SEND_ONLY, 64, ack_req=1)
    bench.request(other, READ, reth_len=64)
    await bench.req.drain()
    await bench.drain()
    assert len(bench.completions[1]) == 8
    assert bench.packets[1][-1].psn == (qp.epsn - 1) % SPACE
    assert bench.packets[2]
    for _ in range(3):
        await bench.drain()
    bench.check(qp)


@cocotb.test()
async def init_while_others_work(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    for i in range(60):
        bench.request(qp, WRITE_ONLY, 16, reth_len=16, ack_req=1)
        await bench.init.send(QpInit(op=QpInitOp.RTS, qpn=1, psn=i))
        if i % 5 == 0:
            await bench.create_qp(2)
    await bench.settle()
    bench.check(qp)
