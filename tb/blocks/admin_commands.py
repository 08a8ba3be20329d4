"""Admin commands that are right unless told otherwise, and ways to states."""

from __future__ import annotations

import random

from spec.codes import Access, QpState, QpType
from spec.layouts import (
    AdminCreateQp,
    AdminKey,
    AdminModifyQp,
    AdminOp,
    AdminQueue,
    KeyKind,
    QpAttr,
)
from tb.blocks.admin_bench import Bench
from tb.blocks.admin_model import INIT, RTR, RTS

Op = AdminOp


def queue(opcode: Op, number: int, **fields: int) -> AdminQueue:
    """A command about a queue, right unless fields say otherwise."""
    values = {"log_size": 3, "base": random.getrandbits(40) << 6}
    return AdminQueue(opcode=opcode, number=number, **{**values, **fields})


def create_qp(number: int, send: int, recv: int, srq: int | None = None, **fields) -> AdminCreateQp:
    """A queue pair on these queues."""
    values = {
        "qp_type": QpType.RC, "pd": random.getrandbits(16), "send_cq": send, "recv_cq": recv,
        "srq": srq or 0, "use_srq": int(srq is not None), "sq_base": random.getrandbits(40) << 6,
        "rq_base": random.getrandbits(40) << 6, "sq_log": random.getrandbits(4),
        "rq_log": random.getrandbits(4),
    }  # fmt: skip
    return AdminCreateQp(opcode=Op.CREATE_QP, number=number, **{**values, **fields})


def modify(number: int, state: QpState, mask: QpAttr, **fields: int) -> AdminModifyQp:
    """A transition with random attributes."""
    values = {
        "access": Access(random.getrandbits(4)), "pkey": 0x8001, "path_mtu": random.randint(1, 5),
        "dest_qpn": random.getrandbits(24), "rq_psn": random.getrandbits(24),
        "sq_psn": random.getrandbits(24), "max_rd_atomic": random.randint(0, 16),
        "max_dest_rd_atomic": random.randint(0, 16), "min_rnr_timer": random.getrandbits(5),
        "timeout": random.getrandbits(5), "retry_cnt": random.getrandbits(3),
        "rnr_retry": random.getrandbits(3), "dest_gid": random.getrandbits(128),
        "dest_mac": random.getrandbits(48), "udp_sport": random.getrandbits(16),
    }  # fmt: skip
    return AdminModifyQp(
        opcode=Op.MODIFY_QP, number=number, state=state, mask=mask, **{**values, **fields}
    )


def register(number: int, **fields: int) -> AdminKey:
    """A memory region."""
    values = {
        "kind": KeyKind.MR, "access": Access.LOCAL_WRITE, "page_shift": 12, "direct": 1,
        "key": random.getrandbits(8), "length": 4096, "base": random.getrandbits(48),
    }  # fmt: skip
    return AdminKey(opcode=Op.REGISTER_KEY, number=number, **{**values, **fields})


async def furnish(bench: Bench) -> None:
    """EQ 0, CQs 1 and 2, SRQ 3."""
    await bench.succeed(queue(Op.CREATE_EQ, 0))
    await bench.succeed(queue(Op.CREATE_CQ, 1))
    await bench.succeed(queue(Op.CREATE_CQ, 2))
    await bench.succeed(queue(Op.CREATE_SRQ, 3))


async def lead_to(bench: Bench, number: int, state: QpState) -> None:
    """A queue pair on its way from RESET, or from anywhere."""
    way = [(QpState.RESET, QpAttr(0)), (QpState.INIT, INIT), (QpState.RTR, RTR), (QpState.RTS, RTS)]
    last = {QpState.SQD: QpState.RTS, QpState.ERR: QpState.INIT}.get(state, state)
    for step, attributes in way[: last + 1]:
        await bench.succeed(modify(number, step, QpAttr.STATE | attributes))
    if last != state:
        await bench.succeed(modify(number, state, QpAttr.STATE))
    assert bench.qps[number].state == state
