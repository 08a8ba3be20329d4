"""The requester's way back in plain words: which responses count, and how messages end."""

from __future__ import annotations

from dataclasses import dataclass, field

from spec.codes import CqeStatus, Syndrome
from spec.layouts import CqeOp, Sge
from spec.streams import MsgKind, RetireKind, RxFault, RxHeader

SPACE = 1 << 24
FIRST, MIDDLE, LAST, ONLY, ACK = 0x0D, 0x0E, 0x0F, 0x10, 0x11
CREDITS = Syndrome.ACK_NO_CREDITS

OPS = {MsgKind.WRITE: CqeOp.WRITE, MsgKind.READ: CqeOp.READ, MsgKind.LOCAL: CqeOp.LOCAL}
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
    refused: tuple[CqeStatus, int] | None = None
    unsent: dict[int, CqeStatus] = field(default_factory=dict)
    failed: tuple[CqeStatus, int] | None = None
    errors: list[CqeStatus] = field(default_factory=list)
    dead: bool = False
    broken: bool = False
    completions: list[tuple[Message, CqeStatus, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.una = self.psn

    # ------------------------------------------------------------------ check

    def oldest_read(self) -> Message | None:
        """The first read that is not answered to the end."""
        reads = (m for m in self.messages if m.kind == MsgKind.READ and m.arrived < m.packets)
        return next(reads, None)

    def judge(self, hdr: RxHeader) -> Verdict:
        """A response arrives."""
        if distance(hdr.psn, self.psn) >= 0:
            return Verdict(hdr, reason="ghost")
        read = self.oldest_read()
        if hdr.opcode in (FIRST, MIDDLE, LAST, ONLY):
            return self._judge_read(hdr, read)
        kind = hdr.syndrome >> 5 & 3
        known_nak = kind == 3 and hdr.syndrome & 0x1F < 4
        if hdr.syndrome & 0x80 or kind == 2 or (kind == 3 and not known_nak):
            return Verdict(hdr, reason="syndrome")
        if read and kind == 0 and distance(hdr.psn, read.first) >= 0:
            return Verdict(hdr, reason="sequence")
        if read and kind != 0 and distance(hdr.psn, read.last) > 0:
            return Verdict(hdr, reason="sequence")
        status = CqeStatus.SUCCESS
        if kind == 1:
            status = CqeStatus.RNR_RETRY_EXC_ERR
        elif kind == 3:
            status = REFUSALS[Syndrome(hdr.syndrome)]
        return Verdict(hdr, RetireKind.RESP_ACK, status)

    def _judge_read(self, hdr: RxHeader, read: Message | None) -> Verdict:
        if self.broken or not read or hdr.psn != (read.first + read.arrived) % SPACE:
            return Verdict(hdr, reason="sequence")
        at, left = read.arrived, read.packets - read.arrived
        opcode = {(True, True): ONLY, (True, False): FIRST, (False, True): LAST}.get(
            (at == 0, left == 1), MIDDLE
        )
        size = read.length - at * self.mtu if left == 1 else self.mtu
        verdict = Verdict(hdr, RetireKind.RESP_READ)
        if hdr.opcode != opcode or (opcode != MIDDLE and hdr.syndrome >> 5):
            verdict.status = CqeStatus.BAD_RESP_ERR
        elif hdr.payload_len != size:
            verdict.status = CqeStatus.LOC_LEN_ERR
        else:
            verdict.segments = read.pieces(at * self.mtu, size)
        self.broken = verdict.status != CqeStatus.SUCCESS
        read.arrived += 1
        return verdict

    # ------------------------------------------------------------------ walk

    def arrived(self, verdict: Verdict, fault: RxFault) -> None:
        """Its data is in memory, or is not."""
        if verdict.kind == RetireKind.NONE or self.refused:
            return
        status = FAULTS.get(fault, verdict.status)
        psn = verdict.hdr.psn
        if status == CqeStatus.SUCCESS:
            psn += 1
        elif distance(psn, self.una) >= 0:
            read = verdict.kind == RetireKind.RESP_READ
            self.refused = (status, CREDITS if read else verdict.hdr.syndrome)
        if distance(psn, self.una) > 0:
            self.una = psn % SPACE
        self.retire()

    def local(self, index: int, status: CqeStatus) -> None:
        """A local operation ended."""
        self.messages[index].local_done = True
        if status != CqeStatus.SUCCESS:
            self.unsent.setdefault(index, status)
        self.retire()

    def cannot_send(self, index: int, status: CqeStatus) -> None:
        """A packet of a message could not be sent."""
        self.unsent.setdefault(index, status)
        self.retire()

    def flush(self) -> None:
        """The queue pair is in ERR, and nothing of it is written any more."""
        self.dead = True
        self.retire()

    def retire(self) -> None:
        """End what can be ended, oldest first."""
        while self.retired < len(self.messages):
            message = self.messages[self.retired]
            end = self._end_of(message)
            if end is None:
                return
            self.retired += 1
            self.completions.append((message, *end))

    def _end_of(self, message: Message) -> tuple[CqeStatus, int] | None:
        if self.dead:
            end, self.failed = self.failed, None
            return end or (CqeStatus.WR_FLUSH_ERR, 0)
        if self.failed:
            return None
        if message.kind == MsgKind.FLUSH:
            return CqeStatus.WR_FLUSH_ERR, 0
        if message.index in self.unsent or message.kind == MsgKind.BAD:
            return self._fail(self.unsent.get(message.index, message.status), 0)
        if self._is_over(message):
            return CqeStatus.SUCCESS, 0
        refused = self.refused and message.kind != MsgKind.LOCAL
        return self._fail(*self.refused) if refused else None

    def _is_over(self, message: Message) -> bool:
        if message.kind == MsgKind.LOCAL:
            return message.local_done
        return distance(message.last, self.una) < 0

    def _fail(self, status: CqeStatus, syndrome: int) -> None:
        self.failed = (status, syndrome)
        self.errors.append(status)
