"""Admin commands with something wrong: each is refused with its own status and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import Access, AdminStatus, QpState, QpType
from spec.fields import Record
from spec.layouts import (
    AdminCommand,
    AdminCreateQp,
    AdminKey,
    AdminModifyQp,
    AdminOp,
    AdminQueue,
    KeyKind,
    QpAttr,
)
from tb.nic.pair import Pair
from tb.nic.smoke import two_sides

S = AdminStatus
RING = 0x1_0000_0000  # never touched: every command with it is refused

SRQ = 2

Case = tuple[Record, AdminStatus]


def queue_cases() -> list[Case]:
    """Event, completion and shared receive queues; EQ 0 and CQ 3 exist."""
    eq = AdminQueue(opcode=AdminOp.CREATE_EQ, number=1, log_size=4, base=RING, vector=1)
    cq = AdminQueue(opcode=AdminOp.CREATE_CQ, number=4, log_size=4, base=RING, eqn=0)
    resize = AdminQueue(opcode=AdminOp.RESIZE_CQ, number=3, log_size=4, base=RING)
    srq = AdminQueue(opcode=AdminOp.CREATE_SRQ, number=0, log_size=4, base=RING, pd=1)
    return [
        (replace(eq, number=16), S.BAD_PARAM_EQN),
        (replace(eq, number=1 << 23), S.BAD_PARAM_EQN),
        (replace(eq, number=0), S.IN_USE),
        (replace(eq, log_size=0), S.BAD_PARAM_SIZE),
        (replace(eq, base=RING + 8), S.BAD_PARAM_ADDRESS),
        (replace(eq, vector=16), S.BAD_PARAM_VECTOR),
        (replace(eq, opcode=AdminOp.MODIFY_EQ), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DESTROY_EQ, number=2), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DESTROY_EQ, number=99), S.BAD_PARAM_EQN),
        (AdminCommand(opcode=AdminOp.DESTROY_EQ, number=0), S.BUSY),
        (replace(cq, number=256), S.BAD_PARAM_CQN),
        (replace(cq, number=3), S.IN_USE),
        (replace(cq, log_size=0), S.BAD_PARAM_SIZE),
        (replace(cq, base=RING + 32), S.BAD_PARAM_ADDRESS),
        (replace(cq, eqn=1), S.BAD_PARAM_EQN),
        (replace(cq, eqn=200), S.BAD_PARAM_EQN),
        (replace(resize, number=5), S.NOT_FOUND),
        (replace(resize, number=700), S.BAD_PARAM_CQN),
        (replace(resize, log_size=0), S.BAD_PARAM_SIZE),
        (replace(resize, base=RING + 1), S.BAD_PARAM_ADDRESS),
        (AdminCommand(opcode=AdminOp.QUERY_CQ, number=5), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DESTROY_CQ, number=5), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DESTROY_CQ, number=3), S.BUSY),
        (replace(srq, number=64), S.BAD_PARAM_SRQN),
        (replace(srq, base=RING + 16), S.BAD_PARAM_ADDRESS),
        (replace(srq, opcode=AdminOp.MODIFY_SRQ), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.QUERY_SRQ, number=0), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DESTROY_SRQ, number=0), S.NOT_FOUND),
        (AdminCommand(opcode=200, number=0), S.BAD_OPCODE),  # type: ignore[arg-type]
    ]


def qp_cases() -> list[Case]:
    """Queue pairs; 7 is in RTS, 8 in RESET."""
    create = AdminCreateQp(
        opcode=AdminOp.CREATE_QP, number=10, qp_type=QpType.RC, pd=1, send_cq=3, recv_cq=3,
        sq_base=RING, rq_base=RING, sq_log=4, rq_log=4,
    )  # fmt: skip
    init = AdminModifyQp(
        opcode=AdminOp.MODIFY_QP, number=8, state=QpState.INIT, pkey=0xFFFF,
        mask=QpAttr.STATE | QpAttr.PKEY_INDEX | QpAttr.PORT | QpAttr.ACCESS_FLAGS,
    )  # fmt: skip
    cases: list[Case] = [
        (replace(create, number=0), S.BAD_PARAM_QPN),
        (replace(create, number=1), S.BAD_PARAM_QPN),
        (replace(create, number=256), S.BAD_PARAM_QPN),
        (replace(create, number=7), S.IN_USE),
        (replace(create, qp_type=QpType.UD), S.BAD_PARAM_TYPE),
        (replace(create, qp_type=QpType.NONE), S.BAD_PARAM_TYPE),
        (replace(create, send_cq=4), S.BAD_PARAM_CQN),
        (replace(create, recv_cq=4), S.BAD_PARAM_CQN),
        (replace(create, send_cq=256 + 3), S.BAD_PARAM_CQN),
        (replace(create, use_srq=1, srq=0), S.BAD_PARAM_SRQN),
        (replace(create, use_srq=1, srq=SRQ, e2e_credits=1), S.BAD_PARAM_CREDITS),
        (replace(create, sq_base=RING + 4), S.BAD_PARAM_ADDRESS),
        (replace(create, rq_base=RING + 4), S.BAD_PARAM_ADDRESS),
        (replace(init, number=11), S.NOT_FOUND),
        (replace(init, number=3000), S.BAD_PARAM_QPN),
        (replace(init, pkey=0x8000), S.BAD_PARAM_RESERVED),
        (replace(init, mask=init.mask | 1 << 20), S.BAD_PARAM_MASK),
        (replace(init, mask=init.mask | QpAttr.QKEY), S.BAD_PARAM_MASK),
        (AdminCommand(opcode=AdminOp.QUERY_QP, number=11), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DESTROY_QP, number=11), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DESTROY_QP, number=1 << 20), S.BAD_PARAM_QPN),
    ]
    required = [QpAttr.PKEY_INDEX, QpAttr.PORT, QpAttr.ACCESS_FLAGS]
    cases += [(replace(init, mask=init.mask & ~each), S.BAD_PARAM_MASK) for each in required]
    for state in (QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE, QpState.ERR):
        cases.append((replace(init, state=state, mask=QpAttr.STATE), S.BAD_STATE))
    for state in (QpState.INIT, QpState.RTR, QpState.SQE):
        cases.append((replace(init, number=7, state=state, mask=QpAttr.STATE), S.BAD_STATE))
    return cases


def key_cases() -> list[Case]:
    """Memory keys; index 5 is registered."""
    key = AdminKey(
        opcode=AdminOp.REGISTER_KEY, number=6, key=1, kind=KeyKind.MR, access=Access.LOCAL_WRITE,
        page_shift=12, pd=1, base=0x1000, length=0x1000, pages=RING,
    )  # fmt: skip
    return [
        (replace(key, number=1024), S.BAD_PARAM_KEY),
        (replace(key, number=5), S.IN_USE),
        (replace(key, kind=KeyKind.NONE), S.BAD_PARAM_TYPE),
        (replace(key, kind=KeyKind.WINDOW1), S.BAD_PARAM_TYPE),
        (replace(key, access=Access.REMOTE_WRITE), S.BAD_PARAM_ACCESS),
        (replace(key, access=Access.REMOTE_ATOMIC), S.BAD_PARAM_ACCESS),
        (replace(key, access=Access.ZERO_BASED), S.BAD_PARAM_ACCESS),
        (
            replace(key, kind=KeyKind.PRIVILEGED, access=Access.LOCAL_WRITE | Access.REMOTE_READ),
            S.BAD_PARAM_ACCESS,
        ),
        (replace(key, length=0), S.BAD_PARAM_LENGTH),
        (replace(key, base=(1 << 64) - 0x800), S.BAD_PARAM_LENGTH),
        (replace(key, page_shift=11), S.BAD_PARAM_PAGE_SIZE),
        (replace(key, page_shift=31), S.BAD_PARAM_PAGE_SIZE),
        (replace(key, pages=RING + 4), S.BAD_PARAM_ADDRESS),
        (AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=6), S.NOT_FOUND),
        (AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=5000), S.BAD_PARAM_KEY),
        (AdminCommand(opcode=AdminOp.QUERY_KEY, number=6), S.NOT_FOUND),
    ]


async def refuse(driver: Any, cases: list[Case]) -> None:
    """Every case is answered with its status, and the adapter goes on."""
    for command, status in cases:
        answer = await driver.command(command)
        got = AdminStatus(answer.status)
        assert got == status, f"{command}: {got.name}, not {status.name}"


@cocotb.test()
async def refused_commands_name_what_is_wrong(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, _ = await two_sides(pair)
    await a.driver.create_qp(8, 3)
    await a.driver.create_srq(SRQ)
    await refuse(a.driver, queue_cases() + qp_cases() + key_cases())
    assert await a.driver.query_state(7) == QpState.RTS
    assert await a.driver.query_state(8) == QpState.RESET


@cocotb.test()
async def what_is_missing_on_the_way_to_rts_is_noticed(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, _ = await two_sides(pair)
    await a.driver.create_qp(8, 3)
    modify = AdminModifyQp(opcode=AdminOp.MODIFY_QP, number=8, pkey=0xFFFF, path_mtu=3)
    steps = (
        (QpState.INIT, QpAttr.PKEY_INDEX | QpAttr.PORT | QpAttr.ACCESS_FLAGS),
        (QpState.RTR, QpAttr.AV | QpAttr.PATH_MTU | QpAttr.DEST_QPN | QpAttr.RQ_PSN
         | QpAttr.MAX_DEST_RD_ATOMIC | QpAttr.MIN_RNR_TIMER),
        (QpState.RTS, QpAttr.TIMEOUT | QpAttr.RETRY_CNT | QpAttr.RNR_RETRY | QpAttr.SQ_PSN
         | QpAttr.MAX_RD_ATOMIC),
    )  # fmt: skip
    for state, required in steps:
        command = replace(modify, state=state, mask=QpAttr.STATE | required)
        await refuse(
            a.driver,
            [(replace(command, mask=command.mask & ~each), S.BAD_PARAM_MASK) for each in required],
        )
        if state == QpState.RTR:
            bad: list[Case] = [
                (replace(command, path_mtu=mtu), S.BAD_PARAM_MTU) for mtu in (0, 6, 7)
            ]
            bad.append((replace(command, max_dest_rd_atomic=17), S.BAD_PARAM_READS))
            await refuse(a.driver, bad)
        if state == QpState.RTS:
            await refuse(a.driver, [(replace(command, max_rd_atomic=17), S.BAD_PARAM_READS)])
        await a.driver.must(command)
        assert await a.driver.query_state(8) == state
