"""rnic_responder: acknowledges that wait for more, asynchronous events, drains."""

from __future__ import annotations

import itertools

import cocotb
from cocotb.utils import get_sim_time

from spec.codes import CqeStatus, EventType, QpState
from spec.streams import RxFault
from tb.blocks.rsp_bench import Bench
from tb.blocks.rsp_model import READ, SEND_FIRST, SEND_ONLY, SPACE, WRITE_ONLY
from tb.streams import CLOCK_NS, cycles


async def keep_last(bench: Bench) -> tuple:
    """Wait until all requests are inside, then let the data of all but the last move."""
    await bench.until(lambda: not bench.expected)
    late = bench.moving.pop()
    bench.moves = True
    await bench.until(lambda: not bench.moving)
    return late


# ---------- acknowledges


@cocotb.test()
async def last_acknowledge_does_not_wait(dut):
    bench = await Bench.start(dut)
    bench.set_ack_wait(200, 60_000)
    qp = await bench.create_qp(1)
    for count in (1, 2, 7):
        before = len(bench.packet_times)
        for _ in range(count):
            bench.request(qp, WRITE_ONLY, ack_req=1)
        await bench.moved()
        begin = get_sim_time("ns") / CLOCK_NS
        await cycles(dut, 30)
        assert len(bench.packet_times) > before
        assert bench.packet_times[-1] - begin < 20
        assert bench.packets[1][-1].psn == (qp.epsn - 1) % SPACE
    bench.check(qp)


@cocotb.test()
@cocotb.parametrize(every=[0, 1, 4, 16])
async def acknowledge_covers_no_more_requests_than_allowed(dut, every):
    bench = await Bench.start(dut)
    bench.set_ack_wait(every, 5_000)
    bench.move_time = 200
    qp = await bench.create_qp(1)
    first = qp.epsn
    for _ in range(64):
        bench.request(qp, WRITE_ONLY, 64, reth_len=64, ack_req=1)
    await bench.settle()
    ends = [-1, *[(packet.psn - first) % SPACE for packet in bench.packets[1]]]
    steps = [new - old for old, new in itertools.pairwise(ends)]
    assert sum(steps) == 64
    # While one is on its way out, the next may come and go with it.
    assert max(steps) <= max(every, 1) + 8
    if every > 1:
        assert len(steps) <= 64 // every + 3
    bench.check(qp)


@cocotb.test()
@cocotb.parametrize(delay=[0, 100, 1000])
async def acknowledge_waits_no_longer_than_allowed(dut, delay):
    bench = await Bench.start(dut)
    bench.set_ack_wait(100, delay)
    bench.move_time = 1
    qp = await bench.create_qp(1)
    bench.moves = False
    for _ in range(2):
        bench.request(qp, WRITE_ONLY, ack_req=1)
    late = await keep_last(bench)
    begin = get_sim_time("ns") / CLOCK_NS
    await bench.until(lambda: bench.packet_times)
    assert delay - 5 <= bench.packet_times[0] - begin < delay + 25
    bench.moving.append(late)
    await bench.settle()
    bench.check(qp)


@cocotb.test()
async def nobody_waits_for_a_repeat_that_is_forgotten(dut):
    bench = await Bench.start(dut)
    bench.set_ack_wait(100, 60_000)
    qp = await bench.create_qp(1)
    old = bench.request(qp, READ, reth_len=10).hdr
    await bench.settle()
    bench.moves = False
    bench.fault = lambda out: RxFault.KEY if out.hdr.opcode == READ else RxFault.NONE
    last = bench.request(qp, WRITE_ONLY, ack_req=1)
    fields = {"psn": old.psn, "reth_va": old.reth_va, "reth_rkey": old.reth_rkey}
    bench.request(qp, READ, reth_len=10, **fields)
    await bench.until(lambda: not bench.expected)
    bench.moves = True
    await bench.moved()
    await cycles(dut, 30)
    assert (bench.packets[1][-1].opcode, bench.packets[1][-1].psn) == (0x11, last.hdr.psn)
    # Nor does anybody later: it has been counted.
    last = bench.request(qp, WRITE_ONLY, ack_req=1)
    await bench.moved()
    await cycles(dut, 30)
    assert bench.packets[1][-1].psn == last.hdr.psn
    bench.check(qp)


@cocotb.test()
@cocotb.parametrize(opcode=[READ, SEND_ONLY])
async def read_or_nak_lets_no_acknowledge_wait(dut, opcode):
    bench = await Bench.start(dut)
    bench.set_ack_wait(100, 60_000)
    qp = await bench.create_qp(1)
    bench.moves = False
    bench.request(qp, WRITE_ONLY, ack_req=1)
    bench.request(qp, opcode, reth_len=10 if opcode == READ else 0)
    if opcode == READ:
        bench.request(qp, WRITE_ONLY, ack_req=1)
    late = None
    if opcode == READ:
        late = await keep_last(bench)
    bench.moves = True
    await bench.until(lambda: bench.packet_times)
    last = bench.packets[1][-1]
    assert last.opcode == 0x10 if opcode == READ else last.syndrome >> 5 == 1
    if late:
        bench.moving.append(late)
    await bench.settle()
    bench.check(qp)


@cocotb.test()
async def queue_pairs_wait_side_by_side(dut):
    bench = await Bench.start(dut, "half", "bursts")
    bench.set_ack_wait(8, 40)
    bench.move_time = 60
    qps = [await bench.create_qp(n) for n in range(8)]
    for i in range(400):
        bench.request(qps[i * 5 % 8], WRITE_ONLY, 8, reth_len=8, ack_req=1)
    await bench.settle()
    for qp in qps:
        bench.check(qp)


# ---------- events


@cocotb.test()
async def first_request_in_rtr_tells_that_the_peer_is_there(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1)
    bench.request(qp, WRITE_ONLY, psn=(qp.epsn + 1) % SPACE)
    bench.request(qp, SEND_ONLY, 4)
    await bench.settle()
    assert not bench.events.get(1)
    for _ in range(3):
        bench.request(qp, WRITE_ONLY)
    await bench.settle()
    assert bench.events[1] == [EventType.COMM_EST]
    bench.check(qp)


@cocotb.test()
async def no_such_event_in_rts(dut):
    bench = await Bench.start(dut)
    qp = await bench.create_qp(1, state=QpState.RTS)
    bench.request(qp, WRITE_ONLY)
    await bench.settle()
    assert not bench.events.get(1)


@cocotb.test()
@cocotb.parametrize(held=[False, True])
async def last_entry_of_a_shared_ring_is_told_once(dut, held):
    bench = await Bench.start(dut)
    srq = await bench.create_ring(8, 4)
    qp = await bench.create_qp(1, srq, path_mtu=1)
    for _ in range(4):
        await bench.post(srq, 1000)
    bench.request(qp, SEND_ONLY, 10)
    if held:
        bench.request(qp, SEND_FIRST, 256)
    await bench.settle()
    bench.sinks["m_cqe"].paused = True
    qp.error = CqeStatus.WR_FLUSH_ERR
    bench.errors[1] = [qp.error]
    bench.set_state(1, QpState.ERR)
    await bench.flush.send(1)
    await cycles(dut, 100)
    if held:
        assert bench.events[1] == [EventType.COMM_EST]
    bench.sinks["m_cqe"].paused = False
    await bench.settle()
    assert bench.events[1] == [EventType.COMM_EST, EventType.LAST_WQE_REACHED]
    assert [cqe.status for cqe in bench.completions[1]][1:] == [CqeStatus.WR_FLUSH_ERR] * held
    await bench.post(srq, 1000)
    await bench.settle()
    bench.check(qp)


@cocotb.test()
@cocotb.parametrize(begin=[0, 0xFFFE])
async def last_entry_is_told_when_all_before_it_are_in_memory(dut, begin):
    """Others' entries that begin later do not count; nobody else's event waits for long."""
    bench = await Bench.start(dut)
    srq = await bench.create_ring(8, 4)
    qp = await bench.create_qp(1, srq)
    for _ in range(2):
        await bench.post(srq, 1000)
    bench.set_entries(begin, begin, beginning=True)
    bench.request(qp, SEND_ONLY, 10)
    await bench.settle()
    qp.error = CqeStatus.WR_FLUSH_ERR
    bench.errors[1] = [qp.error]
    bench.set_state(1, QpState.ERR)
    await bench.flush.send(1)
    told = [EventType.COMM_EST]
    for begun, answered, beginning in ((0, 0, True), (3, 0, False), (9, 1, True), (9, 2, False)):
        bench.set_entries(begin + begun & 0xFFFF, begin + answered & 0xFFFF, beginning)
        await cycles(dut, 100)
        assert bench.events[1] == told, (begun, answered)
    bench.set_entries(begin + 9 & 0xFFFF, begin + 3 & 0xFFFF)
    await cycles(dut, 30)
    assert bench.events[1] == [*told, EventType.LAST_WQE_REACHED]
    bench.check(qp)


# ---------- drains


@cocotb.test()
@cocotb.parametrize(opcode=[SEND_ONLY, READ])
async def drain_waits_for_completions_and_errors(dut, opcode):
    bench = await Bench.start(dut)
    bench.fault = lambda out: RxFault.KEY if opcode == READ else RxFault.NONE
    qp = await bench.create_qp(1)
    await bench.post(qp.ring, 100)
    sink = bench.sinks["m_cqe" if opcode == SEND_ONLY else "m_error"]
    sink.paused = True
    bench.request(qp, opcode, 10 if opcode == SEND_ONLY else 0, reth_len=10, ack_req=1)
    await bench.req.drain()
    drain = cocotb.start_soon(bench.drain())
    await cycles(dut, 300)
    assert not drain.done()
    sink.paused = False
    await drain
    results = bench.completions if opcode == SEND_ONLY else bench.errors
    assert len(results[1]) == 1
    await bench.settle()
    bench.check(qp)


@cocotb.test()
async def drain_lets_no_acknowledge_wait(dut):
    bench = await Bench.start(dut)
    bench.set_ack_wait(100, 60_000)
    qp, other = await bench.create_qp(1), await bench.create_qp(2)
    # Poisoned: promised acknowledges of the frames behind never come.
    bench.fault = lambda out: RxFault.KEY if out.hdr.qpn == 2 else RxFault.NONE
    for _ in range(20):
        bench.request(qp, WRITE_ONLY, 8, reth_len=8, ack_req=1)
        bench.request(other, WRITE_ONLY, 8, reth_len=8, ack_req=1)
    await bench.req.drain()
    await bench.drain()
    assert bench.packets[1][-1].psn == (qp.epsn - 1) % SPACE
    bench.check(qp)
    bench.check(other)


@cocotb.test()
async def queue_pair_may_go_at_any_moment(dut):
    bench = await Bench.start(dut, "half", "half")
    bench.latency = 60
    for moment in range(0, 200, 5):
        bench.move_time = 80
        qp = await bench.create_qp(1, path_mtu=1)
        other = await bench.create_qp(2, path_mtu=1)
        for _ in range(4):
            await bench.post(qp.ring, 600)
        bench.request(qp, SEND_ONLY, 100, ack_req=1)
        bench.request(qp, READ, reth_len=1000)
        bench.request(qp, 0x14, reth_va=8)
        bench.request(qp, SEND_FIRST, 256)
        bench.request(other, READ, reth_len=1000)
        await cycles(dut, moment)
        await bench.req.drain()
        await bench.destroy_qp(1)
        assert not any(task.hdr.qpn == 1 for _, _, task in bench.moving)
        count = len(bench.packets.get(1, []))
        cqes = len(bench.completions.get(1, []))
        qp = await bench.create_qp(1, path_mtu=1)
        await bench.post(qp.ring, 600)
        for _ in range(3):
            bench.request(qp, READ, reth_len=300)
        bench.request(qp, SEND_ONLY, 100, ack_req=1)
        await bench.settle()
        assert (count, cqes) != (-1, -1)
        bench.check(qp)
        bench.check(other)
        await bench.destroy_qp(1)
        await bench.destroy_qp(2)
