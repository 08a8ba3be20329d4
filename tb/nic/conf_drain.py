"""Draining a send queue: what was begun is finished, and only then its path may change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import AdminStatus, CqeStatus, EventType, QpState
from spec.layouts import QpAttr
from spec.registers import PortReg
from tb.conformance import covers
from tb.nic.conf_states import RTR, Subject
from tb.nic.wire import Conn, Wire
from tb.nic.wire_ask import (
    SEQUENCE,
    ack,
    collect,
    psns,
    respond_read,
    rest,
    same,
    set_time,
    take,
    timeout_cycles,
)
from tb.nic.wire_work import read_wqe, write_wqe

Q, T = QpState, QpAttr
S = CqeStatus
FIRST = 0x100


async def drain(conn: Conn) -> None:
    """To SQD, with an event when it is done."""
    assert await Subject(conn.wire, conn.number).modify(Q.SQD, T.EN_SQD_ASYNC_NOTIFY) == 0


@cocotb.test()
@covers("ROCE-182", "ROCE-183")
async def a_drain_finishes_what_was_begun(dut: Any) -> None:
    """Three messages are on their way; the last is lost and sent again while draining.

    SQ_DRAINED comes behind the last completion, once; requests of the peer are served all along;
    in RTS the work that waited goes on with the next number.
    """
    wire = await Wire.start(dut)
    set_time(wire)
    conn = await wire.connect(timeout=7)
    for number in range(3):
        conn.post(write_wqe(conn, 300, wr_id=number))
    first = await take(conn, 6)
    await drain(conn)
    for number in (3, 4):
        conn.post(write_wqe(conn, 10, wr_id=number))
    conn.write(0x4000, b"meanwhile")
    await conn.ack()
    ack(conn, FIRST + 4, syndrome=SEQUENCE)
    for number in (0, 1):
        await conn.completion(wr_id=number, status=S.SUCCESS)
    assert same(await take(conn, 2)) == same(first[4:])
    again = await collect(conn, 2, 5 * timeout_cycles(7))
    assert same(again) == same(first[4:])
    wire.poll()
    assert not [e for e in wire.events if e.event_type == EventType.SQ_DRAINED]
    ack(conn, FIRST + 5)
    await conn.completion(wr_id=2, status=S.SUCCESS)
    await conn.event(EventType.SQ_DRAINED)
    assert await rest(conn, 1000) == []
    conn.no_completion()
    wire.poll()
    assert not [e for e in wire.events if e.event_type == EventType.SQ_DRAINED]
    await conn.modify(Q.RTS)
    later = await take(conn, 2)
    assert psns(later) == [FIRST + 6, FIRST + 7]
    ack(conn, FIRST + 7)
    for number in (3, 4):
        await conn.completion(wr_id=number, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-182", "ROCE-183")
async def a_drain_of_nothing_is_done_at_once(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    for _ in range(2):
        await drain(conn)
        await conn.event(EventType.SQ_DRAINED)
        await conn.modify(Q.RTS)
        conn.post(read_wqe(conn, 10, wr_id=1))
        (read,) = await take(conn, 1)
        await drain(conn)
        respond_read(conn, read.bth.psn, b"0123456789")
        await conn.completion(wr_id=1, status=S.SUCCESS)
        await conn.event(EventType.SQ_DRAINED)
        await conn.modify(Q.RTS)
    await conn.alive()
    # Nobody asked to be told.
    await conn.modify(Q.SQD)
    await wire.cycles(1000)
    wire.poll()
    assert not [e for e in wire.events if e.event_type == EventType.SQ_DRAINED]


@cocotb.test()
@covers("ROCE-182")
async def a_path_changes_only_behind_the_drain(dut: Any) -> None:
    """While a message is on its way the change is refused, and its repeats go where it went."""
    wire = await Wire.start(dut)
    set_time(wire)
    conn = await wire.connect(timeout=7)
    subject = Subject(wire, conn.number)
    subject.good = replace(subject.good, traffic_class=0x54, udp_sport=0xD00D)
    conn.post(write_wqe(conn, 10, wr_id=0))
    (first,) = await take(conn, 1)
    assert first.path.sport == 0xC000 + conn.number
    await drain(conn)
    conn.post(write_wqe(conn, 10, wr_id=1))
    for attribute in (T.AV, T.TIMEOUT, T.AV | T.MIN_RNR_TIMER):
        assert await subject.modify(Q.SQD, attribute) == AdminStatus.BUSY
    assert await subject.modify(Q.SQD, T.MIN_RNR_TIMER | T.ACCESS_FLAGS) == AdminStatus.OK
    (again,) = await collect(conn, 1, 5 * timeout_cycles(7))
    assert replace(again.path, ident=first.path.ident) == first.path
    ack(conn, FIRST)
    await conn.completion(wr_id=0, status=S.SUCCESS)
    await conn.event(EventType.SQ_DRAINED)
    assert await subject.modify(Q.SQD, T.AV | T.TIMEOUT) == AdminStatus.OK
    assert await rest(conn, 500) == []
    await conn.modify(Q.RTS)
    (later,) = await take(conn, 1)
    assert later.bth.psn == FIRST + 1
    changed = replace(first.path, traffic_class=0x54, sport=0xD00D)
    assert replace(later.path, ident=changed.ident) == changed
    ack(conn, FIRST + 1)
    await conn.completion(wr_id=1, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-178")
async def a_path_mtu_that_the_port_cannot_carry_is_refused(dut: Any) -> None:
    """A port for packets of 1500 bytes takes path MTUs up to 1024."""
    wire = await Wire.start(dut)
    await wire.driver.create_qp(100, 3, sq_log=4, rq_log=4)
    subject = Subject(wire, 100)
    wire.device.write32(PortReg.ADDRESS, PortReg(mtu=1500).to_int())
    for code in (1, 2, 3, 4, 5):
        await subject.bring(Q.INIT)
        subject.good = replace(subject.good, path_mtu=code)
        status = await subject.modify(Q.RTR, RTR)
        assert status == (AdminStatus.OK if code <= 3 else AdminStatus.BAD_PARAM_MTU), code
        assert await subject.query() == (Q.RTR if code <= 3 else Q.INIT)
