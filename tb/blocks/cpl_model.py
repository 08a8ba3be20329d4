"""The requester's way back in plain words: which responses count, and how messages end."""

from __future__ import annotations

from dataclasses import dataclass, field

from spec.codes import CqeStatus, Syndrome
from spec.layouts import CqeOp, Sge
from spec.streams import MsgKind, RetireKind, RxFault, RxHeader
from tb.model.credits import CREDITS as TABLE

SPACE = 1 << 24
FIRST, MIDDLE, LAST, ONLY, ACK, ATOMIC_ACK = 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12
READS = (MsgKind.READ, MsgKind.ATOMIC)
CREDITS = Syndrome.ACK_NO_CREDITS
NO_LIMIT = 0x1F

OPS = {
    MsgKind.WRITE: CqeOp.WRITE,
    MsgKind.READ: CqeOp.READ,
    MsgKind.ATOMIC: CqeOp.ATOMIC,
    MsgKind.LOCAL: CqeOp.LOCAL,
}
REFUSALS = {
    Syndrome.NAK_SEQUENCE: CqeStatus.RETRY_EXC_ERR,
    Syndrome.NAK_INVALID_REQUEST: CqeStatus.REM_INV_REQ_ERR,
    Syndrome.NAK_REMOTE_ACCESS: CqeStatus.REM_ACCESS_ERR,
    Syndrome.NAK_REMOTE_OPERATION: CqeStatus.REM_OP_ERR,
}
FAULTS = {
    RxFault.KEY: CqeStatus.LOC_PROT_ERR,
    RxFault.LOCAL_KEY: CqeStatus.LOC_PROT_ERR,
    RxFault.BUS: CqeStatus.LOC_QP_OP_ERR,
}


def distance(a: int, b: int) -> int:
    """How far a is ahead of b, from -2^23 to 2^23 - 1."""
    return (a - b + SPACE // 2) % SPACE - SPACE // 2


@dataclass
class Message:
    """An outstanding message as it was posted."""

    index: int
    kind: MsgKind
    first: int
    packets: int
    signaled: bool
    wr_id: int
    sq_next: int
    length: int = 0
    status: CqeStatus = CqeStatus.SUCCESS
    sges: list[Sge] = field(default_factory=list)
    arrived: int = 0
    local_done: bool = False

    @property
    def last(self) -> int:
        """Its last PSN, or the one before it when it has none."""
        return (self.first + self.packets - 1) % SPACE

    def pieces(self, start: int, size: int) -> list[tuple[int, int, int]]:
        """Where ``size`` bytes from ``start`` on go: address, bytes, token."""
        found, end = [], start + size
        at = 0
        for sge in self.sges:
            low, high = max(start, at), min(end, at + sge.length)
            if low < high:
                found.append((sge.addr + low - at, high - low, sge.token))
            at += sge.length
        return found


@dataclass
class Verdict:
    """What becomes of a response: its kind, its memory, its status."""

    hdr: RxHeader
    kind: RetireKind = RetireKind.NONE
    status: CqeStatus = CqeStatus.SUCCESS
    segments: list[tuple[int, int, int]] = field(default_factory=list)
    reason: str = ""
    missing: int | None = None
    """First PSN that a read passed over lacks: a sequence NAK of that is implied."""

    @property
    def psn(self) -> int:
        """The PSN that it speaks of."""
        return self.hdr.psn if self.missing is None else self.missing

    @property
    def syndrome(self) -> int:
        """What it says of that PSN."""
        return self.hdr.syndrome if self.missing is None else Syndrome.NAK_SEQUENCE

    @property
    def credits(self) -> int | None:
        """Credit code of an AETH of type ACK, where there is one."""
        has_one = self.hdr.opcode != MIDDLE and not self.hdr.syndrome >> 5
        return self.hdr.syndrome if has_one and self.missing is None else None


@dataclass
class Qp:
    """A requester: what it sent, what was answered, how it ended."""

    number: int
    mtu: int
    pd: int
    cq: int
    psn: int
    messages: list[Message] = field(default_factory=list)
    retired: int = 0
    una: int = 0
    start: int = 0
    refused: tuple[CqeStatus, int] | None = None
    unsent: tuple[int, CqeStatus] | None = None
    """The oldest message of which a packet could not be sent."""
    local_failed: int | None = None
    """The first local operation that failed; behind it nothing counts."""
    failed: tuple[CqeStatus, int] | None = None
    errors: list[CqeStatus] = field(default_factory=list)
    dead: bool = False
    broken: bool = False
    retry_cnt: int = 0
    rnr_retry: int = 0
    retries: int = 0
    """Spent since the last progress."""
    rnr_retries: int = 0
    rnr_wait: bool = False
    returning: bool = False
    """Sent back, and has not begun to send again: what is lost now was lost before."""
    rewinds: int = 0
    """How often it was sent back."""
    implied: bool = False
    """What is missing has been asked for; until it comes, later responses say nothing new."""
    limit: int | None = None
    """Number of the newest message that the peer has a receive for, if it counts."""
    asked_again: int | None = None
    """PSN in the middle of the oldest read from which it was asked for again."""
    completions: list[tuple[Message, CqeStatus, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.una = self.start = self.psn

    # ------------------------------------------------------------------ check

    def oldest_read(self) -> Message | None:
        """The first read that is not answered to the end."""
        reads = (m for m in self.messages if m.kind in READS and m.arrived < m.packets)
        return next(reads, None)

    def judge(self, hdr: RxHeader) -> Verdict:
        """A response arrives."""
        if distance(hdr.psn, self.psn) >= 0:
            return Verdict(hdr, reason="ghost")
        read = self.oldest_read()
        if hdr.opcode in (FIRST, MIDDLE, LAST, ONLY, ATOMIC_ACK):
            return self._judge_read(hdr, read)
        kind = hdr.syndrome >> 5 & 3
        known_nak = kind == 3 and hdr.syndrome & 0x1F < 4
        if hdr.syndrome & 0x80 or kind == 2 or (kind == 3 and not known_nak):
            return Verdict(hdr, reason="syndrome")
        if read:
            # An acknowledge covers its own PSN, a NAK what is before it; a refusal may name any
            # PSN of the read.
            lacks = distance(hdr.psn, read.first + read.arrived)
            fatal = kind == 3 and hdr.syndrome & 0x1F != 0
            over = lacks > 0 or (kind == 0 and lacks == 0)
            if distance(hdr.psn, read.last) > 0 if fatal else over:
                return self._passed_over(hdr, read)
        status = CqeStatus.SUCCESS
        if kind == 1:
            status = CqeStatus.RNR_RETRY_EXC_ERR
        elif kind == 3:
            status = REFUSALS[Syndrome(hdr.syndrome)]
        return Verdict(hdr, RetireKind.RESP_ACK, status)

    def _passed_over(self, hdr: RxHeader, read: Message) -> Verdict:
        """Something of the read was lost: the first to tell is taken for a sequence NAK."""
        if self.implied or self.broken:
            return Verdict(hdr, reason="sequence")
        self.implied = True
        missing = (read.first + read.arrived) % SPACE
        return Verdict(hdr, RetireKind.RESP_ACK, CqeStatus.RETRY_EXC_ERR, missing=missing)

    def _judge_read(self, hdr: RxHeader, read: Message | None) -> Verdict:
        if self.broken or not read:
            return Verdict(hdr, reason="sequence")
        expected = (read.first + read.arrived) % SPACE
        if hdr.psn != expected:
            if distance(hdr.psn, expected) > 0:
                return self._passed_over(hdr, read)
            return Verdict(hdr, reason="sequence")
        verdict = Verdict(hdr, RetireKind.RESP_READ)
        self.implied = False
        at, left = read.arrived, read.packets - read.arrived
        size = read.length - at * self.mtu if left == 1 else self.mtu
        if read.kind == MsgKind.ATOMIC:
            size = 0
        if hdr.opcode not in self._good_opcodes(read) or (
            hdr.opcode != MIDDLE and hdr.syndrome >> 5
        ):
            verdict.status = CqeStatus.BAD_RESP_ERR
        elif hdr.payload_len != size:
            verdict.status = CqeStatus.LOC_LEN_ERR
        else:
            placed = 8 if read.kind == MsgKind.ATOMIC else size
            verdict.segments = read.pieces(at * self.mtu, placed)
        self.broken = verdict.status != CqeStatus.SUCCESS
        self.asked_again = None
        read.arrived += 1
        return verdict

    def _good_opcodes(self, read: Message) -> set[int]:
        """What may come next of a read (rocev2 3.9)."""
        if read.kind == MsgKind.ATOMIC:
            return {ATOMIC_ACK}
        at, left = read.arrived, read.packets - read.arrived
        good = {(True, True): ONLY, (True, False): FIRST, (False, True): LAST}.get(
            (at == 0, left == 1), MIDDLE
        )
        if at and self.asked_again == (read.first + at) % SPACE:
            return {good, ONLY if left == 1 else FIRST}
        return {good}

    # ------------------------------------------------------------------ walk

    def arrived(self, verdict: Verdict, fault: RxFault) -> None:
        """Its data is in memory, or is not."""
        if verdict.kind == RetireKind.NONE or self.refused:
            return
        status = FAULTS.get(fault, verdict.status)
        psn = verdict.psn
        stale = distance(psn, self.una) < 0
        if status == CqeStatus.SUCCESS:
            psn += 1
            if verdict.credits is not None and distance(psn, self.una) >= 0:
                self._told(verdict.credits, verdict.hdr.msn)
        if distance(psn, self.una) > 0:
            self.una = psn % SPACE
            self.retries = self.rnr_retries = 0
            self.rnr_wait = self.returning = False
        if stale or status == CqeStatus.SUCCESS:
            self.retire()
        elif status == CqeStatus.RETRY_EXC_ERR:
            self._lost(verdict.syndrome, counts=not self.rnr_wait and not self.returning)
        elif status == CqeStatus.RNR_RETRY_EXC_ERR:
            self._not_ready(verdict.syndrome)
        else:
            read = verdict.kind == RetireKind.RESP_READ
            self.refused = (status, CREDITS if read else verdict.syndrome)
            self.retire()

    def _told(self, code: int, msn: int) -> None:
        """Rocev2 3.7: a newer limit, or none."""
        if code == NO_LIMIT:
            self.limit = None
            return
        limit = (msn + TABLE[code]) % SPACE
        if self.limit is None or distance(limit, self.limit) > 0:
            self.limit = limit

    def _lost(self, syndrome: int, counts: bool) -> None:
        """A packet was lost: go back, unless it was tried too often (rocev2 3.11)."""
        back = counts and self.retries < self.retry_cnt
        if back:
            self.retries += 1
        elif counts:
            self.refused = (CqeStatus.RETRY_EXC_ERR, syndrome)
        self._return(back)

    def _not_ready(self, syndrome: int) -> None:
        """The peer has no receive WQE: wait and go back (rocev2 3.12)."""
        counts = not self.rnr_wait
        back = counts and (self.rnr_retry == 7 or self.rnr_retries < self.rnr_retry)
        if back:
            self.rnr_retries += self.rnr_retry != 7
            self.rnr_wait = True
        elif counts:
            self.refused = (CqeStatus.RNR_RETRY_EXC_ERR, syndrome)
        self._return(back)

    def _return(self, back: bool) -> None:
        self.returning = self.returning or back
        self.retire(back)

    def timeout(self) -> None:
        """The ACK timer ran out; nothing that was sent again was lost if nothing was."""
        if self.refused:
            return
        if self.returning:
            self._return(back=True)
        else:
            self._lost(0, counts=True)

    def rnr_over(self) -> None:
        """The RNR timer ran out."""
        self.rnr_wait = False

    def sent_again(self) -> None:
        """The requester has begun to send again."""
        self.returning = False

    def local(self, index: int, status: CqeStatus) -> None:
        """A local operation ended."""
        if self.local_failed is None and status == CqeStatus.SUCCESS:
            self.messages[index].local_done = True
        elif self.local_failed is None:
            self.local_failed = index
        self.retire()

    def cannot_send(self, index: int, status: CqeStatus) -> None:
        """A packet of a message could not be sent.

        Of one that was acknowledged it was not needed; but what was behind it was dropped, and is
        sent again for free.
        """
        gone = index < self.retired
        if not gone and (not self.unsent or index < self.unsent[0]):
            self.unsent = (index, status)
        self.retire(free=gone)

    def flush(self) -> None:
        """The queue pair is in ERR, and nothing of it is written any more."""
        self.dead = True
        self.retire()

    def retire(self, back: bool = False, free: bool = False) -> None:
        """End what can be ended, oldest first; then go back if there is a reason."""
        while self.retired < len(self.messages):
            message = self.messages[self.retired]
            end = self._end_of(message)
            if end is None:
                break
            if self.unsent and self.unsent[0] == message.index:
                self.unsent, free = None, True
            self.retired += 1
            self.completions.append((message, *end))
        some = self.retired < len(self.messages)
        if ((back and some) or free) and not self.failed and not self.dead:
            self.rewinds += 1

    def _end_of(self, message: Message) -> tuple[CqeStatus, int] | None:
        if self.dead:
            end, self.failed = self.failed, None
            return end or (CqeStatus.WR_FLUSH_ERR, 0)
        if self.failed:
            return None
        if message.kind == MsgKind.FLUSH:
            return CqeStatus.WR_FLUSH_ERR, 0
        fault = self._fault_of(message)
        if self._is_over(message) and (message.packets or not fault):
            return CqeStatus.SUCCESS, 0
        if not fault and message.kind != MsgKind.LOCAL and self.refused:
            return self._fail(*self.refused)
        return self._fail(fault, 0) if fault else None

    def _fault_of(self, message: Message) -> CqeStatus | None:
        """What went wrong on this side; it counts unless every packet is acknowledged."""
        if self.local_failed == message.index:
            return CqeStatus.LOC_QP_OP_ERR
        if self.unsent and self.unsent[0] == message.index:
            return self.unsent[1]
        return message.status if message.kind == MsgKind.BAD else None

    def _is_over(self, message: Message) -> bool:
        if message.kind == MsgKind.LOCAL:
            return message.local_done
        return distance(message.last, self.una) < 0

    def _fail(self, status: CqeStatus, syndrome: int) -> None:
        self.failed = (status, syndrome)
        self.errors.append(status)
