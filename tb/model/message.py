"""A work request on its way through the requester, and the packets it asks with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tb.model.headers import AtomicEth, Feth, Packet, Reth
from tb.model.opcodes import Kind, Op, part_of, send_op, write_op
from tb.model.verbs import SendWork, Status, WrOp, psn_add, psn_diff

if TYPE_CHECKING:
    from tb.model.qp import QueuePair

RNR_MS = (
    *(655.36, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48, 0.64, 0.96),
    *(1.28, 1.92, 2.56, 3.84, 5.12, 7.68, 10.24, 15.36, 20.48, 30.72, 40.96, 61.44, 81.92),
    *(122.88, 163.84, 245.76, 327.68, 491.52),
)


def rnr_ns(code: int) -> int:
    """How long to wait after an RNR NAK."""
    return round(RNR_MS[code] * 1_000_000)


def timeout_ns(code: int) -> int | None:
    """The acknowledge time-out; None for never."""
    return 4096 << code if code else None


@dataclass(slots=True, eq=False)
class Message:
    """A work request with its place in the PSN space."""

    work: SendWork
    count: int
    first: int = -1
    data: bytes = b""
    sent: int = 0  # packets sent at least once
    answered: int = 0  # response packets received
    restarted: int = 0  # packet from which the answer was asked for again
    error: Status | None = None  # local failure, reported when its turn comes

    @property
    def last(self) -> int:
        """Its last PSN."""
        return psn_add(self.first, self.count - 1)

    @property
    def expected(self) -> int:
        """The PSN of the next response to it."""
        return psn_add(self.first, self.answered)

    @property
    def owes_data(self) -> bool:
        """Completes by a response of its own."""
        return self.work.op.kind.owes_data

    def holds(self, psn: int) -> bool:
        """The PSN is one of its own."""
        return psn_diff(psn, self.first) >= 0 and psn_diff(psn, self.last) <= 0


def request(qp: QueuePair, message: Message, index: int, psn: int, ask: bool) -> Packet:
    """Packet `index` of a message; `ask` for an acknowledge in any case."""
    work, pmtu = message.work, qp.config.pmtu
    part = part_of(index, message.count)
    payload = message.data[index * pmtu : (index + 1) * pmtu]
    reth = Reth(work.remote_address, work.remote_key, work.length)
    imm = work.imm if part.ends else None
    se = work.solicited and part.ends
    build = qp.packet
    if work.op is WrOp.SEND:
        ieth = work.invalidate if part.ends else None
        op = send_op(part, imm is not None, ieth is not None)
        fields = {"ack_req": ask, "solicited": se, "payload": payload}
        return build(op, psn, **fields, imm=imm, ieth=ieth)
    if work.op is WrOp.WRITE:
        fields = {"ack_req": ask, "solicited": se and imm is not None, "payload": payload}
        first = reth if part.starts else None
        return build(write_op(part, imm is not None), psn, **fields, imm=imm, reth=first)
    if work.op is WrOp.READ:
        skip = index * pmtu
        rest = Reth(reth.va + skip, reth.key, reth.length - skip)
        return build(Op.READ_REQUEST, psn, ack_req=True, reth=rest)
    if work.op is WrOp.ATOMIC_WRITE:
        return build(Op.ATOMIC_WRITE, psn, ack_req=True, reth=reth, payload=payload)
    if work.op is WrOp.FLUSH:
        feth = Feth(work.placement, work.selectivity)
        return build(Op.FLUSH, psn, ack_req=True, reth=reth, feth=feth)
    atomic = AtomicEth(reth.va, reth.key, work.swap_or_add, work.compare)
    op = Op.CMP_SWAP if work.op is WrOp.CMP_SWAP else Op.FETCH_ADD
    return build(op, psn, ack_req=True, atomic_eth=atomic)


def acceptable(head: Message, index: int) -> tuple[Op, ...]:
    """The opcodes that response `index` to a message may have."""
    if head.work.op.kind is Kind.ATOMIC:
        return (Op.ATOMIC_ACK,)
    final = index == head.count - 1
    if head.restarted and index == head.restarted:
        # Soft-RoCE goes on with Middle and Last where the standard starts afresh.
        if final:
            return (Op.READ_RESPONSE_ONLY, Op.READ_RESPONSE_LAST)
        return (Op.READ_RESPONSE_FIRST, Op.READ_RESPONSE_MIDDLE)
    if head.count == 1:
        return (Op.READ_RESPONSE_ONLY,)
    if index == 0:
        return (Op.READ_RESPONSE_FIRST,)
    return (Op.READ_RESPONSE_LAST,) if final else (Op.READ_RESPONSE_MIDDLE,)
