"""States of an RC queue pair: transitions with their attributes, and work in each state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import Access, AdminStatus, CqeStatus, EventType, QpState, Stat
from spec.layouts import AdminModifyQp, AdminOp, CqeOp, QpAttr, WqeFlag, WrOp
from tb.conformance import covers
from tb.model.opcodes import Op
from tb.nic.conf_receive import Shared
from tb.nic.pair import PORTS
from tb.nic.wire import Wire
from tb.nic.wire_ask import (
    ack,
    delivered,
    psns,
    rest,
    take,
)
from tb.nic.wire_work import send_wqe, write_wqe

Q, T = QpState, QpAttr
S = CqeStatus
FIRST = 0x100
INIT = T.PKEY_INDEX | T.PORT | T.ACCESS_FLAGS
RTR = T.AV | T.PATH_MTU | T.DEST_QPN | T.RQ_PSN | T.MAX_DEST_RD_ATOMIC | T.MIN_RNR_TIMER
RTS = T.TIMEOUT | T.RETRY_CNT | T.RNR_RETRY | T.SQ_PSN | T.MAX_RD_ATOMIC
DRAINED = (
    T.PORT | T.AV | T.TIMEOUT | T.RETRY_CNT | T.RNR_RETRY | T.MAX_RD_ATOMIC | T.MAX_DEST_RD_ATOMIC
    | T.ACCESS_FLAGS | T.PKEY_INDEX | T.MIN_RNR_TIMER
)  # fmt: skip
NO = QpAttr(0)
LIVE = T.CUR_STATE | T.ACCESS_FLAGS | T.MIN_RNR_TIMER
TABLE: dict[tuple[QpState, QpState], tuple[QpAttr, QpAttr]] = {
    (Q.RESET, Q.INIT): (INIT, NO),
    (Q.INIT, Q.INIT): (NO, INIT),
    (Q.INIT, Q.RTR): (RTR, T.ACCESS_FLAGS | T.PKEY_INDEX),
    (Q.RTR, Q.RTS): (RTS, LIVE),
    (Q.RTS, Q.RTS): (NO, LIVE),
    (Q.RTS, Q.SQD): (NO, T.EN_SQD_ASYNC_NOTIFY),
    (Q.SQD, Q.SQD): (NO, DRAINED),
    (Q.SQD, Q.RTS): (NO, LIVE),
}
"""Section 5.2 for RC: required and optional attributes; to RESET and ERR none are."""
REACHABLE = (Q.RESET, Q.INIT, Q.RTR, Q.RTS, Q.SQD, Q.ERR)
ATTRIBUTES = [attr for attr in QpAttr if attr != QpAttr.STATE]


def rule(old: QpState, new: int) -> tuple[QpAttr, QpAttr] | None:
    """Required and optional attributes of a transition; None for one that there is not."""
    if new == Q.RESET or (new == Q.ERR and old != Q.RESET):
        return NO, NO
    return TABLE.get((old, QpState(new))) if new in list(QpState) else None


class Subject:
    """A queue pair that is brought into states."""

    def __init__(self, wire: Wire, number: int) -> None:
        self.wire, self.number = wire, number
        self.good = AdminModifyQp(
            opcode=AdminOp.MODIFY_QP, number=number, dest_qpn=5, access=Access(0xF),
            dest_gid=int.from_bytes(PORTS["b"].gids[0], "little"),
            dest_mac=int.from_bytes(PORTS["b"].mac, "little"), hop_limit=64, udp_sport=0xC000,
            path_mtu=3, max_rd_atomic=4, max_dest_rd_atomic=4, timeout=14, retry_cnt=7,
            pkey=0xFFFF,
        )  # fmt: skip

    async def modify(self, state: int, mask: QpAttr) -> int:
        """One command; its status."""
        command = replace(self.good, state=state, mask=mask | QpAttr.STATE)
        return (await self.wire.driver.command(command)).status

    async def bring(self, state: QpState) -> None:
        """Into a state, from wherever it is."""
        assert await self.modify(Q.RESET, NO) == AdminStatus.OK
        way = [Q.INIT, Q.RTR, Q.RTS, Q.SQD]
        way = way[: way.index(state) + 1] if state in way else []
        if state == Q.ERR:
            way = [Q.INIT, Q.ERR]
        old = Q.RESET
        for new in way:
            found = rule(old, new)
            assert found is not None
            assert await self.modify(new, found[0]) == AdminStatus.OK
            old = new
        assert await self.query() == state

    async def query(self) -> QpState:
        """Its state."""
        return await self.wire.driver.query_state(self.number)


@cocotb.test()
@covers("ROCE-178", "ROCE-186")
async def transitions_and_attributes_are_those_of_the_table(dut: Any) -> None:
    """Every pair of states, SQE and a state that does not exist included; then every attribute.

    A required one left out, an optional one added and one of neither list added.
    """
    wire = await Wire.start(dut)
    await wire.driver.create_qp(100, 3, sq_log=4, rq_log=4)
    subject = Subject(wire, 100)
    for old in REACHABLE:
        for new in range(8):
            found = rule(old, new)
            await subject.bring(old)
            status = await subject.modify(new, found[0] if found else NO)
            what = f"{old.name} to {new}: {AdminStatus(status).name}"
            if found is None:
                assert status != AdminStatus.OK, what
                assert await subject.query() == old, what
                assert await subject.modify(new, INIT | RTR | RTS) != AdminStatus.OK, what
                assert await subject.query() == old, what
                continue
            assert status == AdminStatus.OK, what
            assert await subject.query() == new, what
            await _attributes(subject, old, QpState(new), *found)


async def _attributes(
    subject: Subject, old: QpState, new: QpState, required: QpAttr, optional: QpAttr
) -> None:
    await subject.bring(old)
    for attr in ATTRIBUTES:
        what = f"{old.name} to {new.name}, {attr.name}"
        if attr in required:
            assert await subject.modify(new, required & ~attr) == AdminStatus.BAD_PARAM_MASK, what
        elif attr not in optional:
            assert await subject.modify(new, required | attr) == AdminStatus.BAD_PARAM_MASK, what
        else:
            continue
        assert await subject.query() == old, what
    for attr in ATTRIBUTES:
        if attr in optional:
            await subject.bring(old)
            subject.good = replace(subject.good, cur_state=old)
            status = await subject.modify(new, required | attr)
            assert status == AdminStatus.OK, f"{old.name} to {new.name} with {attr.name}"
    if T.CUR_STATE in optional:
        await subject.bring(old)
        subject.good = replace(subject.good, cur_state=Q.INIT)
        assert await subject.modify(new, required | T.CUR_STATE) != AdminStatus.OK
        assert await subject.query() == old


@cocotb.test()
@covers("ROCE-179")
async def sends_before_rts_are_refused(dut: Any) -> None:
    """The doorbell does nothing and is counted; what is in the ring goes when it is rung in RTS."""
    wire = await Wire.start(dut)
    for state in (Q.RESET, Q.INIT, Q.RTR):
        conn = await wire.connect(state=state)
        bad = await wire.driver.counter(Stat.BAD_DOORBELLS)
        conn.post(write_wqe(conn, 10, wr_id=1))
        assert await rest(conn, 600) == []
        conn.no_completion()
        assert await wire.driver.counter(Stat.BAD_DOORBELLS) == bad + 1
        assert await conn.query() == state
        conn.state = Q.RTS
        await conn.modify(Q.RESET)
        await conn.connect()
        assert await rest(conn, 600) == []
        wire.driver.ring_sq(conn.number, conn.qp.sq_index)
        (packet,) = await take(conn, 1)
        ack(conn, packet.bth.psn)
        await conn.completion(wr_id=1, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-180")
async def receives_of_init_are_used_in_rtr(dut: Any) -> None:
    """A SEND in INIT is dropped and takes none; one in RTR takes the first. RESET forgets."""
    wire = await Wire.start(dut)
    conn = await wire.connect(state=Q.INIT)
    for number in range(2):
        conn.receive(conn.sge(0x100 * number, 100), wr_id=number)
    await conn.rung()
    conn.send(b"too early")
    conn.psn -= 1
    await conn.quiet()
    conn.no_completion()
    connect = replace(
        Subject(wire, conn.number).good, dest_qpn=conn.peer_qpn, rq_psn=conn.psn, state=Q.RTR,
        mask=RTR | QpAttr.STATE, path_mtu=1, sq_psn=FIRST,
    )  # fmt: skip
    await wire.driver.must(connect)
    for number in range(2):
        conn.send(b"in time")
        await conn.ack(msn=number + 1)
        await conn.completion(wr_id=number, status=S.SUCCESS, byte_len=7)
        assert wire.memory[0x100 * number : 0x100 * number + 7] == b"in time"
    await wire.driver.must(replace(connect, state=Q.RTS, mask=RTS | QpAttr.STATE))
    conn.send(b"no more")
    conn.psn -= 1
    await conn.nak(0x20, conn.psn)

    # What was posted before a RESET is gone; a driver posts nothing in that state.
    conn.receive(conn.sge(0, 100), wr_id=9)
    await conn.rung()
    await conn.modify(Q.RESET)
    conn.state = Q.RTS
    conn.qp.rq_index = 0
    await conn.connect()
    conn.psn = 0x200
    conn.send(b"none")
    await conn.nak(0x21, 0x200)
    conn.no_completion()


@cocotb.test()
@covers("ROCE-181")
async def err_flushes_both_queues_in_order(dut: Any) -> None:
    """What was sent and not acknowledged, what waited behind a read limit, and what comes later."""
    wire = await Wire.start(dut)
    conn = await wire.connect(reads=1)
    for number in range(10):
        op = WrOp.READ if number in (3, 4) else WrOp.WRITE
        flags = WqeFlag(0) if number == 5 else WqeFlag.SIGNALED
        conn.post(write_wqe(conn, 300, op=op, wr_id=number, flags=flags))
        conn.receive(conn.sge(0, 1000), wr_id=100 + number)
    await rest(conn)
    conn.give(Op.SEND_FIRST, bytes(256))
    await wire.cycles(300)
    await conn.modify(Q.ERR)
    for number in range(10, 15):
        conn.post(write_wqe(conn, 10, wr_id=number))
        conn.receive(conn.sge(0, 100), wr_id=100 + number)
    done = [await conn.completion(status=S.WR_FLUSH_ERR) for _ in range(30)]
    assert [d.wr_id for d in done if d.opcode < CqeOp.RECV] == list(range(15))
    assert [d.wr_id for d in done if d.opcode >= CqeOp.RECV] == list(range(100, 115))
    ack(conn, FIRST + 2)
    conn.give(Op.SEND_LAST, bytes(4), ack_req=True)
    assert await rest(conn) == []
    conn.no_completion()
    await conn.dead()


@cocotb.test()
@covers("ROCE-185")
async def reset_forgets_everything(dut: Any) -> None:
    """Work without completions, numbers, the message count, and the READ that could be repeated."""
    wire = await Wire.start(dut)
    wire.memory[0x100:0x120] = bytes(range(32))
    conn = await wire.connect()
    for life in range(3):
        conn.receive(conn.sge(0, 100), wr_id=60)
        conn.read(0x100, 32)
        await conn.data(0x200, bytes(wire.memory[0x100:0x120]), msn=1)
        conn.write(0x200, b"second")
        await conn.ack(0x201, msn=2)
        for number in range(4):
            conn.post(write_wqe(conn, 10, wr_id=number))
        sent = await take(conn, 4)
        assert psns(sent) == [FIRST + n for n in range(4)], f"life {life}"
        await conn.modify(Q.RESET)
        ack(conn, FIRST + 3)
        await delivered(wire)
        await wire.cycles(300)
        conn.no_completion()
        conn.qp.sq_index = conn.qp.rq_index = 0
        await conn.connect()
        assert await rest(conn) == [], "old work was sent"
        # The READ of the life before: an old number of a read nobody remembers.
        conn.psn = 0x200
        conn.read(0x100, 32, psn=0x1FF)
        await conn.quiet()
        conn.no_completion()


@cocotb.test()
@covers("ROCE-186")
async def a_failed_send_goes_to_err_and_not_to_sqe(dut: Any) -> None:
    wire = await Wire.start(dut)
    bad = {
        S.LOC_QP_OP_ERR: {"opcode": 99}, S.LOC_LEN_ERR: {"length": 99999},
        S.LOC_PROT_ERR: {"sge": 1},
    }  # fmt: skip
    for status, fields in bad.items():
        conn = await wire.connect()
        wqe = write_wqe(conn, 100, wr_id=1)
        if "sge" in fields:
            wqe = replace(wqe, data=conn.sge(0, 100, token=wire.token ^ 0x80).to_int())
        else:
            wqe = replace(wqe, **fields)  # type: ignore[arg-type]
        conn.post(wqe)
        await conn.completion(wr_id=1, status=status)
        assert await conn.query() == Q.ERR
        subject = Subject(wire, conn.number)
        assert await subject.modify(Q.SQE, NO) != AdminStatus.OK
        assert await conn.query() == Q.ERR


@cocotb.test()
@covers("ROCE-187")
async def the_last_shared_receive_is_told_once(dut: Any) -> None:
    """With none held, and with one that a SEND in progress holds: that one completes first."""
    wire = await Wire.start(dut)
    shared = Shared(wire, 2)
    await shared.create()
    for held in (False, True):
        conn = await wire.connect(create={"srq": 2})
        shared.post(conn, 0, 1000, wr_id=30)
        await conn.rung()
        if held:
            conn.give(Op.SEND_FIRST, bytes(256))
            await wire.cycles(400)
        await conn.modify(Q.ERR)
        await conn.event(EventType.LAST_WQE_REACHED)
        if held:
            await conn.completion(wr_id=30, status=S.WR_FLUSH_ERR)
        await wire.cycles(1000)
        conn.no_completion()
        assert not [e for e in wire.events if e.event_type == EventType.LAST_WQE_REACHED]
    # Receives that nobody took stay for others.
    conn = await wire.connect(create={"srq": 2})
    conn.send(b"still there")
    await conn.completion(wr_id=30, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-189")
async def another_rnr_timer_holds_from_the_next_nak_on(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(min_rnr_timer=12)
    subject = Subject(wire, conn.number)
    for code in (12, 1, 31, 0, 20):
        if code != 12:
            subject.good = replace(subject.good, min_rnr_timer=code)
            assert await subject.modify(Q.RTS, QpAttr.MIN_RNR_TIMER) == AdminStatus.OK
        conn.send(b"nobody")
        conn.psn -= 1
        await conn.nak(0x20 | code, conn.psn)


@cocotb.test()
@covers("ROCE-190")
async def numbers_have_24_bits(dut: Any) -> None:
    """The command carries 24 bits of each: no larger number can be said, the largest wraps."""
    wire = await Wire.start(dut)
    conn = await wire.connect(state=Q.RESET)
    raw = {Q.INIT: INIT, Q.RTR: RTR, Q.RTS: RTS}
    good = replace(
        Subject(wire, conn.number).good, rq_psn=0xFFFFFF, sq_psn=0xFFFFFF, path_mtu=1,
        dest_qpn=conn.peer_qpn,
    )  # fmt: skip
    for state, mask in raw.items():
        await wire.driver.must(replace(good, state=state, mask=mask | QpAttr.STATE))
    conn.psn = 0xFFFFFF
    for number in range(3):
        conn.write(0, bytes([number]))
        await conn.ack(0xFFFFFF + number & 0xFFFFFF, msn=number + 1)
        conn.post(send_wqe(conn, 1, wr_id=number))
        (packet,) = await take(conn, 1)
        assert packet.bth.psn == 0xFFFFFF + number & 0xFFFFFF
        ack(conn, packet.bth.psn)
        await conn.completion(wr_id=number, status=S.SUCCESS)
