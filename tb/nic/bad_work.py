"""Work requests and doorbells with something wrong: defined status, nobody else disturbed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import Access, CqeStatus, EventType, QpState, Stat
from spec.layouts import (
    PUSH_OFFSET,
    AdminCommand,
    AdminOp,
    ArmType,
    CqDoorbell,
    CqeOp,
    Doorbell,
    QueueDoorbell,
    RqWqe,
    Sge,
    SqWqe,
    WqeFlag,
    WrOp,
)
from tb.axi_memory import Resp
from tb.nic.pair import PORTS, Pair
from tb.nic.smoke import Side, sges, two_sides
from tb.raw_driver import RawQp

SIGNALED = WqeFlag.SIGNALED
C = CqeStatus
LENGTH = 100


def good_write(a: Side, b: Side, wr_id: int = 1) -> SqWqe:
    """A write that works."""
    return SqWqe(
        opcode=WrOp.WRITE, flags=SIGNALED, blocks=1, num_sge=1, length=LENGTH, wr_id=wr_id,
        remote_addr=b.address + 4096, rkey=b.token,
        data=sges(Sge(addr=a.address, length=LENGTH, token=a.token)),
    )  # fmt: skip


async def fresh(a: Side, b: Side, number: int) -> tuple[RawQp, RawQp]:
    """Another connected pair with the same number on both sides."""
    qps = []
    for side, peer in ((a, "b"), (b, "a")):
        qp = await side.driver.create_qp(number, 3, sq_log=4, rq_log=4)
        await side.driver.connect(qp, PORTS[peer], number, sq_psn=5, rq_psn=5)
        qps.append(qp)
    return qps[0], qps[1]


async def works(a: Side, b: Side) -> None:
    """The first queue pair still carries data."""
    data = bytes(range(LENGTH))
    a.buffer.memory[:LENGTH] = data
    b.buffer.memory[4096 : 4096 + LENGTH] = bytes(LENGTH)
    a.driver.post_send(a.qp, good_write(a, b, 77))
    done = await a.completion()
    assert (done.qpn, done.wr_id, done.status) == (7, 77, CqeStatus.SUCCESS)
    assert b.buffer.memory[4096 : 4096 + LENGTH] == data


def bad_wqes(a: Side, b: Side) -> list[tuple[str, SqWqe, CqeStatus]]:
    """What is wrong, the entry, and how it ends."""
    good = good_write(a, b)
    read = replace(good, opcode=WrOp.READ)
    sge = Sge(addr=a.address, length=LENGTH, token=a.token)

    def gather(**fields: int) -> SqWqe:
        return replace(good, data=sges(replace(sge, **fields)))

    return [
        ("opcode", replace(good, opcode=99), CqeStatus.LOC_QP_OP_ERR),  # type: ignore[arg-type]
        ("no blocks", replace(good, blocks=0), CqeStatus.LOC_QP_OP_ERR),
        ("five blocks", replace(good, blocks=5), CqeStatus.LOC_QP_OP_ERR),
        ("15 SGEs", replace(good, num_sge=15), CqeStatus.LOC_QP_OP_ERR),
        ("SGEs beyond the blocks", replace(good, num_sge=3), CqeStatus.LOC_QP_OP_ERR),
        ("SGEs too short", replace(good, length=LENGTH + 1), CqeStatus.LOC_LEN_ERR),
        ("message too long", replace(good, length=0x8000_0001), CqeStatus.LOC_LEN_ERR),
        ("inline read", replace(read, flags=SIGNALED | WqeFlag.INLINE), CqeStatus.LOC_QP_OP_ERR),
        ("key byte", gather(token=a.token ^ 1), CqeStatus.LOC_PROT_ERR),
        ("unknown key", gather(token=0x00FFFF00), CqeStatus.LOC_PROT_ERR),
        ("before the region", gather(addr=a.address - 1), CqeStatus.LOC_PROT_ERR),
        ("behind the region", gather(addr=a.address + 65536 - 50), CqeStatus.LOC_PROT_ERR),
        ("remote key", replace(good, rkey=b.token ^ 2), CqeStatus.REM_ACCESS_ERR),
        ("remote range", replace(good, remote_addr=b.address + 65530), CqeStatus.REM_ACCESS_ERR),
        ("remote read range", replace(read, remote_addr=b.address - 8), CqeStatus.REM_ACCESS_ERR),
        ("read sink key", replace(read, data=sges(replace(sge, token=1))), CqeStatus.LOC_PROT_ERR),
    ]


@cocotb.test()
async def bad_send_entries_end_their_own_queue_pair(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    for number, (what, wqe, status) in enumerate(bad_wqes(a, b), 20):
        qp, _ = await fresh(a, b, number)
        a.driver.put_send(qp, replace(wqe, wr_id=number))
        a.driver.post_send(qp, replace(good_write(a, b), wr_id=1000 + number))
        first = await a.completion()
        got = CqeStatus(first.status)
        assert (first.qpn, first.wr_id) == (number, number), what
        assert got == status, f"{what}: {got.name}, not {status.name}"
        second = await a.completion()
        assert (second.wr_id, second.status) == (1000 + number, CqeStatus.WR_FLUSH_ERR), what
        assert await a.driver.query_state(number) == QpState.ERR, what
        await works(a, b)
    sent = {frame.packet.bth.dest_qp for _, frame in pair.link.frames if frame.packet}
    assert 20 not in sent, "a malformed entry was sent"


@cocotb.test()
async def a_send_entry_that_cannot_be_read_ends_its_queue_pair(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    qp, _ = await fresh(a, b, 30)
    fault = a.driver.device.axi.inject(
        Resp.SLVERR, address=qp.sq.bus_address, size=64, writes=False
    )
    a.driver.post_send(qp, good_write(a, b))
    done = await a.completion()
    assert (done.qpn, done.status) == (30, CqeStatus.LOC_QP_OP_ERR)
    a.driver.device.axi.faults.remove(fault)
    await works(a, b)


@cocotb.test()
async def payload_that_cannot_be_read_ends_its_message(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    qp, _ = await fresh(a, b, 31)
    a.driver.device.axi.inject(Resp.DECERR, address=a.address + 8192, size=64, writes=False)
    wqe = replace(
        good_write(a, b), length=9000, data=sges(Sge(addr=a.address, length=9000, token=a.token))
    )
    a.driver.post_send(qp, wqe)
    done = await a.completion()
    assert (done.qpn, done.status) == (31, CqeStatus.LOC_QP_OP_ERR)
    await works(a, b)


@cocotb.test()
async def memory_that_cannot_be_written_is_a_remote_operation_error(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    qp, _ = await fresh(a, b, 32)
    fault = b.driver.device.axi.inject(Resp.SLVERR, address=b.address + 4096, size=64, reads=False)
    a.driver.post_send(qp, good_write(a, b))
    done = await a.completion()
    assert (done.qpn, done.status) == (32, CqeStatus.REM_OP_ERR)
    assert await b.driver.query_state(32) == QpState.ERR
    b.driver.device.axi.faults.remove(fault)
    await works(a, b)


@cocotb.test()
async def bad_receives_end_their_queue_pair(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    good = RqWqe(wr_id=5, num_sge=1, sge0=Sge(addr=b.address, length=4096, token=b.token))

    def sink(**fields: int) -> RqWqe:
        return replace(good, sge0=replace(good.sge0, **fields))

    cases = [
        ("too small", sink(length=99), C.LOC_LEN_ERR, C.REM_INV_REQ_ERR),
        ("bad key", sink(token=3), C.LOC_PROT_ERR, C.REM_OP_ERR),
        ("range", sink(addr=b.address + 65500), C.LOC_PROT_ERR, C.REM_OP_ERR),
        ("15 SGEs", replace(good, num_sge=15), C.LOC_QP_OP_ERR, C.REM_OP_ERR),
    ]  # fmt: skip
    for number, (what, wqe, mine, theirs) in enumerate(cases, 40):
        qp, peer = await fresh(a, b, number)
        b.driver.post_recv(peer, wqe)
        b.driver.post_recv(peer, replace(good, wr_id=6))
        a.driver.post_send(qp, replace(good_write(a, b), opcode=WrOp.SEND))
        done = await a.completion()
        assert (done.qpn, done.status) == (number, theirs), f"{what}: {CqeStatus(done.status).name}"
        received = await b.completion()
        assert (received.wr_id, received.status) == (5, mine), f"{what}: {received}"
        flushed = await b.completion()
        assert (flushed.wr_id, flushed.status) == (6, CqeStatus.WR_FLUSH_ERR), what
        await works(a, b)


@cocotb.test()
async def bad_doorbells_are_counted_and_do_nothing(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    ring, driver = a.driver.device.ring, a.driver

    def queue(number: int, index: int) -> bytes:
        return QueueDoorbell(number=number, index=index).pack()

    wrong = [
        (Doorbell.SQ, queue(200, 1)),  # no such queue pair
        (Doorbell.SQ, queue(0xFFFFFF, 1)),  # no such number
        (Doorbell.SQ, queue(7, 257)),  # more than the ring holds
        (Doorbell.RQ, queue(0x10000, 1)),
        (Doorbell.SRQ, queue(9999, 1)),
        (Doorbell.EQ, queue(77, 1)),
        (Doorbell.CQ, CqDoorbell(number=5000, index=1).pack()),
        (Doorbell.CQ, CqDoorbell(number=3, index=9, arm=ArmType.ANY, arm_seq=1).pack()),
        (PUSH_OFFSET + 64 * 200, replace(good_write(a, b), index=0).pack()),
        (PUSH_OFFSET + 64 * 7, replace(good_write(a, b), index=5).pack()),  # not its turn
        (PUSH_OFFSET + 64 * 7, replace(good_write(a, b), blocks=2, index=0).pack()),
    ]
    for offset, data in wrong:
        ring(offset, data)
    refused = [(0x28, bytes(8)), (0x04, bytes(4)), (0x1000, bytes(8)), (PUSH_OFFSET, bytes(8))]
    for offset, data in refused:
        ring(offset, data)
    await ClockCycles(dut.clk, 300)
    assert driver.device.doorbells.errors == len(refused)
    counted = await driver.counter(Stat.BAD_DOORBELLS)
    assert counted == len(wrong) + len(refused), f"{counted} counted"
    assert a.cq.poll() is None
    await works(a, b)


@cocotb.test()
async def an_overfull_completion_queue_says_so(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    events = await a.driver.create_eq(1, vector=1)
    ring = await a.driver.create_cq(8, log=2, eqn=1)
    qp = await a.driver.create_qp(50, 8, sq_log=4)
    await a.driver.connect(qp, PORTS["b"], 50, sq_psn=5, rq_psn=5)
    peer = await b.driver.create_qp(50, 3)
    await b.driver.connect(peer, PORTS["a"], 50, sq_psn=5, rq_psn=5)
    for number in range(6):
        a.driver.post_send(qp, good_write(a, b, number))
    event = await a.driver.until(events.poll)
    assert (event.event_type, event.number) == (EventType.CQ_ERROR, 8)
    for number in range(4):
        assert (await a.driver.until(ring.poll)).wr_id == number
    assert ring.poll() is None
    assert await a.driver.query_state(50) == QpState.ERR
    await works(a, b)


@cocotb.test()
async def an_armed_queue_fires_once(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    events = await a.driver.create_eq(1, vector=1)
    ring = await a.driver.create_cq(8, eqn=1)
    qp = await a.driver.create_qp(50, 8)
    await a.driver.connect(qp, PORTS["b"], 50, sq_psn=5, rq_psn=5)
    peer = await b.driver.create_qp(50, 3)
    await b.driver.connect(peer, PORTS["a"], 50, sq_psn=5, rq_psn=5)

    a.driver.consume(8, ring, ArmType.ANY)
    for number in range(3):
        a.driver.post_send(qp, good_write(a, b, number))
    event = await a.driver.until(events.poll)
    assert (event.event_type, event.number, event.detail) == (EventType.COMPLETION, 8, 1)
    for number in range(3):
        assert (await a.driver.until(ring.poll)).wr_id == number
    assert events.poll() is None
    counts = a.driver.device.interrupts.counts
    assert await a.driver.until(lambda: counts.get(1)) == 1

    # An arm behind completions nobody consumed fires at once; the same doorbell again does not.
    a.driver.device.ring(
        Doorbell.CQ, CqDoorbell(number=8, arm=ArmType.ANY, arm_seq=2, index=1).pack()
    )
    event = await a.driver.until(events.poll)
    assert event.detail == 2
    a.driver.device.ring(
        Doorbell.CQ, CqDoorbell(number=8, arm=ArmType.ANY, arm_seq=2, index=1).pack()
    )
    # A solicited arm ignores what is not solicited, and fires on an error.
    a.driver.arm_seq[8] = 2
    a.driver.consume(8, ring, ArmType.SOLICITED)
    a.driver.post_send(qp, good_write(a, b, 9))
    assert (await a.driver.until(ring.poll)).wr_id == 9
    await ClockCycles(dut.clk, 200)
    assert events.poll() is None
    a.driver.post_send(qp, replace(good_write(a, b, 10), rkey=1))
    assert (await a.driver.until(events.poll)).detail == 3


@cocotb.test()
async def a_queue_pair_can_be_destroyed_under_load_and_reused(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    for round_number in range(3):
        qp, peer = await fresh(a, b, 60)
        for number in range(8):
            wqe = replace(
                good_write(a, b, number), length=20000,
                data=sges(Sge(addr=a.address, length=20000, token=a.token)),
            )  # fmt: skip
            a.driver.post_send(qp, wqe)
        await ClockCycles(dut.clk, 150 * (round_number + 1))
        for side in (a, b):
            modify = await side.driver.modify(60, QpState.RESET)
            assert modify.status == 0
            assert await side.driver.query_state(60) == QpState.RESET
        for side in (a, b):
            await side.driver.must(AdminCommand(opcode=AdminOp.DESTROY_QP, number=60))
        a.driver.device.free(qp.sq)
        a.driver.device.free(qp.rq)
        b.driver.device.free(peer.sq)
        b.driver.device.free(peer.rq)
        while a.cq.poll():
            pass
        await works(a, b)


@cocotb.test()
async def a_deregistered_key_is_gone_for_both_sides(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    spare = b.driver.device.allocate(1 << 16)
    token = await b.driver.register(6, spare, access=Access.LOCAL_WRITE | Access.REMOTE_WRITE)
    qp, _ = await fresh(a, b, 61)
    wqe = replace(
        good_write(a, b), length=60000, rkey=token, remote_addr=spare.bus_address,
        data=sges(Sge(addr=a.address, length=60000, token=a.token)),
    )  # fmt: skip
    a.driver.post_send(qp, wqe)
    await ClockCycles(dut.clk, 250)
    await b.driver.must(AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=6))
    b.driver.device.free(spare)  # from here on a write to it fails the test
    done = await a.completion()
    assert (done.qpn, done.status) == (61, CqeStatus.REM_ACCESS_ERR)
    assert done.opcode == CqeOp.WRITE
    await works(a, b)
