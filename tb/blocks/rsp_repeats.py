"""rnic_responder: reads and atomics, and everything that is asked for twice (rocev2 4.6)."""

from __future__ import annotations

import cocotb

from spec.codes import CqeStatus, Syndrome
from spec.streams import RxFault
from tb.blocks.rsp_bench import Bench
from tb.blocks.rsp_model import (
    ADD,
    READ,
    SEND_ONLY,
    SPACE,
    SWAP,
    WRITE_FIRST,
    WRITE_LAST,
    WRITE_MIDDLE,
    WRITE_ONLY,
    Order,
    Qp,
)
from tb.streams import cycles

ACK, ATOMIC_ACK = 0x11, 0x12


def again(bench: Bench, qp: Qp, old: Order, skip: int = 0) -> None:
    """Repeat a read from its packet ``skip`` on, or an atomic."""
    fields = {"psn": (old.psn + skip) % SPACE, "reth_rkey": old.rkey}
    if old.kind == "atomic":
        bench.request(qp, ADD, reth_va=old.va, **fields)
        return
    offset = skip * qp.mtu
    bench.request(qp, READ, reth_va=old.va + offset, reth_len=old.length - offset, **fields)


def psns(bench: Bench, qp: Qp) -> list[tuple[int, int]]:
    """Opcode and PSN of every response, the PSN from the first one of the QP on."""
    begin = bench.packets[qp.number][0].psn
    return [(p.opcode, (p.psn - begin) % SPACE) for p in bench.packets[qp.number]]


# ---------- the key of a read, the range of a write


@cocotb.test()
@cocotb.parametrize(opcode=[READ, SWAP])
async def refused_key_fails_in_request_order(dut, opcode):
    bench = await Bench.start(dut)
    bench.fault = lambda out: RxFault.KEY if out.hdr.opcode == opcode else RxFault.NONE
    bench.move_time = 100
    qp = await bench.create_qp(1, path_mtu=1)
    entries = [await bench.post(qp.ring, 100) for _ in range(3)]
    bench.request(qp, SEND_ONLY, 10, ack_req=1)
    bench.request(qp, WRITE_ONLY, 10, reth_len=10)
    refused = bench.request(qp, opcode, reth_len=1000)
    bench.request(qp, SEND_ONLY, 10, ack_req=1)
    bench.request(qp, READ, reth_len=100)
    await bench.settle()
    nak = bench.packets[1][-1]
    assert (nak.opcode, nak.syndrome, nak.psn, nak.msn) == (ACK, 0x62, refused.hdr.psn, 2)
    assert all(packet.opcode == ACK for packet in bench.packets[1])
    found = [(cqe.wr_id, cqe.status) for cqe in bench.completions[1]]
    flushed = CqeStatus.WR_FLUSH_ERR
    assert found[0] == (entries[0].wr_id, CqeStatus.SUCCESS)
    assert found[1:] == [(entries[1].wr_id, flushed), (entries[2].wr_id, flushed)]
    assert bench.errors[1] == [CqeStatus.REM_ACCESS_ERR]
    bench.check(qp)


@cocotb.test()
async def repeated_read_whose_key_is_gone_is_forgotten(dut):
    """It was answered in its time, and its key taken back since; the connection goes on."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=700)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.settle()
    count = len(bench.packets[1])
    bench.fault = lambda out: RxFault.KEY
    for skip in (0, 1, 2):
        again(bench, qp, qp.table[0], skip)
    await bench.settle()
    assert len(bench.packets[1]) == count
    bench.fault = lambda out: RxFault.NONE
    bench.request(qp, WRITE_ONLY, 8, reth_len=8, ack_req=1)
    bench.request(qp, READ, reth_len=300)
    bench.request(qp, ADD, reth_va=16)
    again(bench, qp, qp.table[0], 1)
    await bench.settle()
    assert len(bench.packets[1]) >= count + 2 + 1 + 2
    bench.check(qp)


@cocotb.test()
async def forgotten_repeat_leaves_the_first_answer_alone(dut):
    """What happens to that is decided when its own packets are made."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=256 * 20)
    await bench.until(lambda: len(bench.packets.get(1, [])) >= 5)
    bench.sinks["m_pkt"].paused = True
    bench.fault = lambda out: RxFault.KEY if out.hdr.opcode == READ else RxFault.NONE
    again(bench, qp, qp.table[0], skip=2)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await cycles(dut, 100)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    stream = [(0x0D, 0), *[(0x0E, n) for n in range(1, 19)], (0x0F, 19), (ACK, 20)]
    assert psns(bench, qp) == stream
    bench.check(qp)


@cocotb.test()
async def only_what_was_answered_to_its_end_may_fail_unseen(dut):
    """A reader that never had all of it is told when it cannot be had."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=256 * 8)
    await bench.until(lambda: len(bench.packets.get(1, [])) >= 3)
    bench.sinks["m_pkt"].paused = True
    again(bench, qp, qp.table[0], skip=1)
    await cycles(dut, 100)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    assert not any(packet.again for packet in bench.packets[1])
    count = len(bench.packets[1])
    again(bench, qp, qp.table[0], skip=4)
    await bench.settle()
    assert [packet.again for packet in bench.packets[1][count:]] == [1] * 4
    bench.request(qp, READ, reth_len=10)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.settle()
    assert [packet.again for packet in bench.packets[1][count + 4 :]] == [0, 0]
    bench.check(qp)


@cocotb.test()
async def first_packet_of_a_write_has_the_whole_range_checked(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    begin = bench.request(qp, WRITE_FIRST, 256, reth_va=1000, reth_len=600, reth_rkey=7)
    middle = bench.request(qp, WRITE_MIDDLE, 256, reth_va=5, reth_len=5, reth_rkey=5)
    end = bench.request(qp, WRITE_LAST, 88, ack_req=1)
    place = (7, qp.config.pd)
    assert begin.segments == [("remote", 1000, 256, *place, 600)]
    assert middle.segments == [("remote", 1256, 256, *place, 0)]
    assert end.segments == [("remote", 1512, 88, *place, 0)]
    await bench.settle()
    bench.check(qp)


# ---------- atomics


@cocotb.test()
async def atomics_are_answered_in_order_with_reads_and_acknowledges(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.sinks["m_pkt"].paused = True
    bench.request(qp, READ, reth_len=600)
    bench.request(qp, ADD, swap=5, reth_va=16, reth_rkey=3)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    bench.request(qp, SWAP, swap=5, compare=6, reth_va=16, reth_rkey=3)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await cycles(dut, 200)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    assert psns(bench, qp) == [
        (0x0D, 0), (0x0E, 1), (0x0F, 2), (ATOMIC_ACK, 3), (ATOMIC_ACK, 5), (ACK, 6),
    ]  # fmt: skip
    assert [p.msn for p in bench.packets[1][-3:]] == [2, 4, 5]
    assert bench.executed == 2
    bench.check(qp)


@cocotb.test()
async def repeated_atomic_is_answered_and_not_executed(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    bench.request(qp, ADD, swap=5, reth_va=16)
    await bench.settle()
    for _ in range(20):
        again(bench, qp, qp.table[0])
        bench.request(qp, WRITE_ONLY, ack_req=1)
        await bench.settle()
    answers = [p for p in bench.packets[1] if p.opcode == ATOMIC_ACK]
    assert len(answers) == 21
    assert {(p.psn, p.swap) for p in answers} == {(qp.table[0].psn, qp.table[0].value)}
    assert bench.executed == 1
    bench.check(qp)


@cocotb.test()
async def repeated_atomic_needs_no_key(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    bench.request(qp, SWAP, reth_va=16)
    await bench.settle()
    bench.fault = lambda out: RxFault.KEY  # of whatever is looked at
    again(bench, qp, qp.table[0])
    await bench.settle()
    assert [packet.opcode for packet in bench.packets[1]] == [ATOMIC_ACK] * 2
    bench.check(qp)


@cocotb.test()
async def atomic_repeated_before_it_was_executed_is_executed_once(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    bench.moves = False
    bench.request(qp, SWAP, reth_va=16)
    for _ in range(3):
        again(bench, qp, qp.table[0])
    await cycles(dut, 300)
    bench.moves = True
    await bench.settle()
    assert bench.executed == 1
    assert {p.swap for p in bench.packets[1]} == {qp.table[0].value}
    bench.check(qp)


@cocotb.test()
@cocotb.parametrize(newer=[15, 16])
async def the_last_sixteen_are_remembered(dut, newer):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    bench.request(qp, ADD, reth_va=16)
    old = qp.table[0]
    for i in range(newer):
        bench.request(qp, READ if i % 2 else ADD, reth_len=8)
        await bench.settle()
    count = len(bench.packets[1])
    again(bench, qp, old)
    await bench.settle()
    assert len(bench.packets[1]) - count == (1 if newer == 15 else 0)
    assert bench.event_count["resource"] == (0 if newer == 15 else 1)
    bench.check(qp)


@cocotb.test()
async def reads_and_atomics_share_the_limit(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, max_dest_rd_atomic=3)
    bench.unchecked.add(1)
    bench.sinks["m_pkt"].paused = True
    for _ in range(2):
        bench.request(qp, READ, reth_len=5000)
    for _ in range(2):
        bench.request(qp, ADD)
    await cycles(dut, 100)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    nak = bench.packets[1][-1]
    assert (nak.syndrome, nak.psn) == (0x61, (qp.epsn - 1) % SPACE)
    assert bench.packets[1][-2].opcode == ATOMIC_ACK


@cocotb.test()
async def no_reads_allowed_means_no_atomics(dut):
    bench = await Bench.start(dut)
    for opcode in (READ, ADD, SWAP):
        qp = await bench.create_qp(1, max_dest_rd_atomic=0)
        bench.request(qp, opcode, reth_len=8)
        await bench.settle()
        assert bench.packets[1][-1].syndrome == 0x61
        bench.check(qp)
        await bench.destroy_qp(1)


# ---------- repeated reads


@cocotb.test()
async def repeated_read_abandons_the_old_stream(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=256 * 20)
    await bench.until(lambda: len(bench.packets.get(1, [])) >= 5)
    bench.sinks["m_pkt"].paused = True
    again(bench, qp, qp.table[0], skip=2)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await cycles(dut, 100)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    found = psns(bench, qp)
    at = found.index((0x0D, 2))
    assert found[:at] == [(0x0D, 0), *[(0x0E, n) for n in range(1, at)]]
    assert at < 12
    assert found[at:] == [(0x0D, 2), *[(0x0E, n) for n in range(3, 19)], (0x0F, 19), (ACK, 20)]
    bench.check(qp)


@cocotb.test()
async def read_repeated_without_end_takes_no_more_room(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.sinks["m_pkt"].paused = True
    bench.request(qp, READ, reth_len=2560)
    bench.request(qp, READ, reth_len=256)
    for _ in range(60):
        again(bench, qp, qp.table[0])
        again(bench, qp, qp.table[1])
        bench.request(qp, WRITE_ONLY, psn=(qp.epsn - 1) % SPACE, ack_req=1)
    bench.request(qp, READ, reth_len=256)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.moved()
    await cycles(dut, 50)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    assert len(bench.packets[1]) < 10 + 4 + 3
    assert psns(bench, qp)[-3:] == [(0x10, 10), (0x10, 11), (ACK, 12)]
    bench.check(qp)


@cocotb.test()
async def repeated_older_read_goes_before_a_newer_one(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=512)
    bench.request(qp, READ, reth_len=256 * 10)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.until(lambda: len(bench.packets.get(1, [])) >= 4)
    bench.sinks["m_pkt"].paused = True
    again(bench, qp, qp.table[0])
    again(bench, qp, qp.table[1])
    bench.request(qp, WRITE_ONLY, psn=(qp.epsn - 1) % SPACE, ack_req=1)
    await cycles(dut, 100)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    wanted = [(0x0D, 0), (0x0F, 1), (0x0D, 2), *[(0x0E, n) for n in range(3, 11)], (0x0F, 11)]
    assert psns(bench, qp)[-len(wanted) - 1 :] == [*wanted, (ACK, 12)]
    bench.check(qp)


@cocotb.test()
async def stray_repeat_does_not_disturb_a_newer_read(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=10)
    bench.request(qp, READ, reth_len=256 * 30)
    await bench.until(lambda: len(bench.packets.get(1, [])) >= 4)
    again(bench, qp, qp.table[0])
    await bench.settle()
    rest = [entry for entry in psns(bench, qp) if entry[1]]
    assert rest == [(0x0D, 1), *[(0x0E, n) for n in range(2, 30)], (0x0F, 30)]
    assert psns(bench, qp).count((0x10, 0)) == 2
    bench.check(qp)


@cocotb.test()
async def acknowledge_of_a_repeated_write_waits_for_a_repeated_read(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.request(qp, READ, reth_len=5120)
    bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.settle()
    count = len(bench.packets[1])
    again(bench, qp, qp.table[0], skip=4)
    bench.request(qp, WRITE_ONLY, psn=(qp.epsn - 1) % SPACE, ack_req=1)
    await bench.settle()
    assert [opcode for opcode, _ in psns(bench, qp)[count:]] == [0x0D, *[0x0E] * 14, 0x0F, ACK]
    bench.check(qp)


@cocotb.test()
async def repeats_without_ackreq_are_not_answered(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    await bench.post(qp.ring, 10)
    bench.request(qp, SEND_ONLY, 10)
    bench.request(qp, WRITE_ONLY)
    await bench.settle()
    for opcode, back in ((SEND_ONLY, 2), (WRITE_ONLY, 1), (0x1D, 1), (0x1C, 1)):
        bench.request(qp, opcode, psn=(qp.epsn - back) % SPACE, ack_req=int(opcode >= 0x1C))
    await bench.settle()
    assert not bench.packets.get(1)
    for opcode, back in ((SEND_ONLY, 2), (WRITE_ONLY, 1)):
        bench.request(qp, opcode, psn=(qp.epsn - back) % SPACE, ack_req=1)
        await bench.settle()
        packet = bench.packets[1][-1]
        assert (packet.psn, packet.syndrome, packet.msn) == ((qp.epsn - 1) % SPACE, 0x1F, 2)
    assert len(bench.completions[1]) == 1
    bench.check(qp)


# ---------- NAKs


@cocotb.test()
async def no_sequence_nak_follows_an_rnr_nak(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, min_rnr_timer=7)
    bench.request(qp, SEND_ONLY, 10, ack_req=1)
    for ahead in (1, 2, 3):
        bench.request(qp, WRITE_ONLY, psn=(qp.epsn + ahead) % SPACE, ack_req=1)
    bench.request(qp, WRITE_ONLY, psn=(qp.epsn - 1) % SPACE, ack_req=1)  # changes nothing
    bench.request(qp, WRITE_ONLY, psn=(qp.epsn + 1) % SPACE, ack_req=1)
    await bench.settle()
    naks = [p.syndrome for p in bench.packets[1] if p.syndrome != Syndrome.ACK_NO_CREDITS]
    assert naks == [Syndrome.RNR_NAK | 7]
    bench.check(qp)


@cocotb.test()
async def rnr_timer_may_change_at_any_time(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, min_rnr_timer=7)
    for code in (7, 0, 31, 12):
        qp.config = bench.set_config(1, min_rnr_timer=code)
        bench.request(qp, SEND_ONLY, 10)
        await bench.settle()
        assert bench.packets[1][-1].syndrome == Syndrome.RNR_NAK | code
    bench.check(qp)


@cocotb.test()
async def nak_is_taken_back_when_its_request_has_come(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, path_mtu=1)
    bench.sinks["m_pkt"].paused = True
    bench.request(qp, READ, reth_len=1000)
    bench.request(qp, WRITE_ONLY, psn=(qp.epsn + 1) % SPACE, ack_req=1)
    await cycles(dut, 50)
    last = bench.request(qp, WRITE_ONLY)
    await cycles(dut, 50)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    ack = bench.packets[1][-1]
    assert (ack.opcode, ack.syndrome, ack.psn) == (ACK, Syndrome.ACK_NO_CREDITS, last.hdr.psn)
    assert bench.event_count["nak"] == 0
    bench.check(qp)
