"""rnic_responder: the credits that answers carry (rocev2 1.8, 4.4), and the moment they are of."""

from __future__ import annotations

import random

import cocotb

from spec.codes import Syndrome
from spec.streams import RingUpdate, RxFault
from tb.blocks.rsp_bench import Bench
from tb.blocks.rsp_model import INVALIDATE, READ, SPACE, Entry, Qp
from tb.model.credits import CREDITS
from tb.streams import cycles

SEND_FIRST, SEND_MIDDLE, SEND_LAST, SEND_ONLY, SEND_ONLY_INV = 0, 1, 2, 4, 0x17
WRITE_ONLY, WRITE_ONLY_IMM, FETCH_ADD = 10, 11, 0x14

MOST = 1 << 15  # entries of the largest ring
COUNTS = sorted({min(max(0, n + step), MOST) for n in CREDITS for step in (-1, 0, 1)})


async def answer(bench: Bench, qp: Qp, opcode: int, size: int = 0, **fields: int) -> int:
    """Send a request alone; the syndrome of its last answer."""
    bench.packets.pop(qp.number, None)
    bench.request(qp, opcode, size, ack_req=1, **fields)
    await bench.settle()
    return bench.packets[qp.number][-1].syndrome


@cocotb.test()
async def every_number_of_entries_has_its_code(dut):
    """Below, at and above every line of the table."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, e2e_credits=1, log_size=15)
    for count in COUNTS:
        qp.ring.posted = [Entry(0, 0, [], 0)] * count
        await bench.rq.send(RingUpdate(number=1, index=count))
        await cycles(dut, 2)
        code = await answer(bench, qp, WRITE_ONLY)
        assert CREDITS[code] <= count, (count, code)
        assert code == len(CREDITS) - 1 or CREDITS[code + 1] > count, (count, code)
    bench.check(qp)


@cocotb.test()
async def every_kind_of_answer_carries_credits(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, e2e_credits=1)
    for _ in range(9):
        await bench.post(qp.ring, 600)
    mtu = qp.mtu
    assert await answer(bench, qp, SEND_ONLY, 8) == 6, "eight are left"
    assert await answer(bench, qp, WRITE_ONLY_IMM, 8, reth_len=8) == 5, "seven: the code of six"
    assert await answer(bench, qp, WRITE_ONLY, 8, reth_len=8) == 5
    for length in (0, 8, 3 * mtu):
        at = len(bench.history.get(1, []))
        await answer(bench, qp, READ, reth_len=length)
        seen = [thing for thing in bench.history[1][at:] if hasattr(thing, "syndrome")]
        assert {packet.syndrome for packet in seen} == {5}
    assert await answer(bench, qp, FETCH_ADD) == 5
    # Repeated requests: what is so now, not what was so then.
    old = qp.epsn
    assert await answer(bench, qp, SEND_ONLY, 8) == 5, "six are left"
    assert await answer(bench, qp, SEND_ONLY, 8) == 4, "five: the code of four"
    assert await answer(bench, qp, SEND_ONLY, 8, psn=old) == 4
    read = next(order for order in qp.table if order.kind == "read" and order.length == 3 * mtu)
    repeat = {"psn": read.psn, "reth_va": read.va, "reth_rkey": read.rkey}
    assert await answer(bench, qp, READ, reth_len=3 * mtu, **repeat) == 4
    atomic = next(order for order in qp.table if order.kind == "atomic")
    repeat = {"psn": atomic.psn, "reth_va": atomic.va, "reth_rkey": atomic.rkey}
    assert await answer(bench, qp, FETCH_ADD, **repeat) == 4
    bench.check(qp)


@cocotb.test()
async def a_message_in_progress_has_its_entry(dut):
    """From its first packet on the entry counts no more, its MSN counts with the last."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, e2e_credits=1)
    for _ in range(2):
        await bench.post(qp.ring, 4 * qp.mtu)
    assert await answer(bench, qp, SEND_FIRST, qp.mtu) == 1
    assert bench.packets[1][-1].msn == 0
    await bench.post(qp.ring, 4 * qp.mtu)
    assert await answer(bench, qp, SEND_MIDDLE, qp.mtu) == 2
    assert await answer(bench, qp, SEND_LAST, 1) == 2
    assert bench.packets[1][-1].msn == 1
    bench.check(qp)


@cocotb.test()
async def complaints_carry_no_credits(dut):
    """RNR NAK, sequence NAK; and what was asked for is acknowledged with credits."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, e2e_credits=1, min_rnr_timer=9)
    assert await answer(bench, qp, WRITE_ONLY) == 0, "none posted"
    assert await answer(bench, qp, SEND_ONLY) == Syndrome.RNR_NAK | 9
    for _ in range(3):
        await bench.post(qp.ring, 8)
    assert await answer(bench, qp, SEND_ONLY) == 2
    assert await answer(bench, qp, SEND_ONLY, psn=(qp.epsn + 5) % SPACE) == Syndrome.NAK_SEQUENCE
    assert await answer(bench, qp, SEND_ONLY) == 1
    bench.check(qp)


@cocotb.test()
async def a_refused_invalidation_is_acknowledged_with_credits(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, e2e_credits=1)
    for _ in range(4):
        await bench.post(qp.ring, 8)
    bench.fault = lambda outcome: RxFault.KEY if outcome.hdr.opcode in INVALIDATE else RxFault.NONE
    assert await answer(bench, qp, SEND_ONLY_INV, 8) == 3
    bench.check(qp)


@cocotb.test()
async def credits_and_msn_are_of_one_moment(dut):
    """Answers that leave late say what was so when their requests were judged."""
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, e2e_credits=1)
    other = await bench.create_qp(2, e2e_credits=1)
    for _ in range(4):
        await bench.post(qp.ring, 8)
    bench.sinks["m_pkt"].paused = True
    # The first two of these wait behind the output, the rest in the tables.
    for _ in range(4):
        bench.request(other, READ, reth_len=8)
    await bench.moved()
    for number in range(3):
        bench.request(qp, READ, reth_len=8)
        bench.request(qp, SEND_ONLY, 8, ack_req=1)
        await bench.moved()
        await cycles(dut, 20)
        for _ in range(3 + number):
            await bench.post(qp.ring, 8)
    bench.sinks["m_pkt"].paused = False
    await bench.settle()
    # Free entries at each request: 4, 3; 6, 5; 9, 8. The last acknowledge covers the others.
    seen = [(packet.msn, packet.syndrome) for packet in bench.packets[1]]
    assert seen == [(1, 4), (3, 5), (5, 6), (6, 6)], seen
    bench.check(qp)
    bench.check(other)


@cocotb.test()
async def a_shared_receive_queue_has_no_credits(dut):
    bench = await Bench.start(dut)
    ring = await bench.create_ring(9)
    qp = await bench.create_qp(1, srq=ring, e2e_credits=1)
    plain = await bench.create_qp(2)
    for _ in range(3):
        await bench.post(ring, 8)
        await bench.post(plain.ring, 8)
    for target in (qp, plain):
        assert await answer(bench, target, SEND_ONLY, 8) == 0x1F
        assert await answer(bench, target, READ, reth_len=8) == 0x1F
        bench.check(target)


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "bursts"])
async def random_requests(dut, stall):
    """Entries are posted between bursts of requests; every answer is the model's."""
    bench = await Bench.start(dut, stall, "half")
    qps = [await bench.create_qp(number, e2e_credits=number % 2) for number in range(4)]
    for _ in range(60):
        for qp in qps:
            for _ in range(random.choice([0, 0, 1, 2, 5])):
                if len(qp.ring.posted) - qp.ring.claimed < 16:
                    await bench.post(qp.ring, 100)
        for _ in range(random.randint(1, 12)):
            qp = random.choice(qps)
            opcode = random.choice([SEND_ONLY, SEND_ONLY, WRITE_ONLY, WRITE_ONLY_IMM, READ])
            size = random.randint(0, 100) if opcode != READ else 0
            length = random.randint(0, 3 * qp.mtu) if opcode == READ else size
            psn = (qp.epsn - random.choice([0, 0, 0, 0, 0, 1, 2])) % SPACE
            ask = int(random.random() < 0.7)
            bench.request(qp, opcode, size, reth_len=length, psn=psn, ack_req=ask)
        await bench.moved()
    await bench.settle()
    for qp in qps:
        bench.check(qp)
