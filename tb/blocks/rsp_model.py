"""What a responder must do with a request, written from the protocol (rocev2 4.2 to 4.8, B.1).

A request has a part that is decided when it arrives (PSN, sequence, resources, lengths: `Outcome`)
and a part that is decided when its data has been moved (`Model.done`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from spec.codes import Access, CqeStatus, Syndrome
from spec.layouts import CqeFlag, CqeOp, RqWqe, Sge
from spec.streams import AtomicOp, QpConfig, RxFault, RxHeader
from tb.model.credits import CREDITS

SPACE = 1 << 24
SENDS = {0: "first", 1: "middle", 2: "last", 3: "last", 4: "only", 5: "only"}
SENDS |= {0x16: "last", 0x17: "only"}
WRITES = {6: "first", 7: "middle", 8: "last", 9: "last", 10: "only", 11: "only"}
IMMEDIATE = {3, 5, 9, 11}
INVALIDATE = {0x16, 0x17}
SEND_FIRST, SEND_MIDDLE, SEND_LAST, SEND_ONLY = 0, 1, 2, 4
WRITE_FIRST, WRITE_MIDDLE, WRITE_LAST, WRITE_ONLY = 6, 7, 8, 10
WRITE_ONLY_IMM = 11
READ = 12
SWAP, ADD = 0x13, 0x14
ATOMICS = {SWAP: AtomicOp.SWAP, ADD: AtomicOp.ADD}


@dataclass
class Entry:
    """A posted receive."""

    index: int
    wr_id: int
    sges: list[Sge]
    pd: int
    bad: bool = False
    completed: bool = False

    def wqe(self) -> RqWqe:
        """As it lies in memory."""
        sges = [*self.sges, *[Sge(0xDEAD, 99, 7)] * 3]
        return RqWqe(
            wr_id=self.wr_id, num_sge=len(self.sges), index=self.index,
            sge0=sges[0], sge1=sges[1], sge2=sges[2],
        )  # fmt: skip


@dataclass
class Ring:
    """A receive ring."""

    number: int
    base: int
    log_size: int
    pd: int
    posted: list[Entry] = field(default_factory=list)
    claimed: int = 0


@dataclass
class Order:
    """A response that is due."""

    psn: int
    msn: int
    syndrome: int
    kind: str = "ack"  # ack, settle (an acknowledge, if a NAK for its PSN waits), read, atomic
    va: int = 0
    rkey: int = 0
    length: int = 0
    value: int = 0  # atomic: the number before
    sequence: int = 0  # read, atomic: place in the order of first requests
    first: Order | None = None  # the request that this one repeats


@dataclass
class Completion:
    """A receive completion that is due; on errors only who and why counts."""

    qpn: int
    cqn: int
    wr_id: int
    index: int
    status: CqeStatus
    opcode: int = 0
    byte_len: int = 0
    imm: int = 0
    flags: int = 0


@dataclass
class Outcome:
    """What a request does, as far as it is known when it arrives."""

    hdr: RxHeader
    segments: list[tuple] = field(default_factory=list)
    order: Order | None = None
    fatal: CqeStatus | None = None
    entry: Entry | None = None  # held by the message
    atomic: AtomicOp = AtomicOp.NONE
    completes: bool = False
    good: Completion | None = None
    prior_msn: int = 0
    silent: bool = True


class Qp:
    """Responder half of a queue pair."""

    def __init__(self, number: int, config: QpConfig, ring: Ring, psn: int) -> None:
        self.number, self.config, self.ring = number, config, ring
        self.mtu = 128 << config.path_mtu
        self.epsn, self.msn = psn, 0
        self.current: str | None = None
        self.nak_sent = False
        self.dead = False  # answered fatally on arrival
        self.failed = False  # the entry in hand failed: only entries are still taken
        self.poisoned = False  # a failure has retired
        self.entry: Entry | None = None
        self.used = 0
        self.va = self.rkey = self.left = self.total = 0
        self.table: deque[Order] = deque(maxlen=16)  # the last reads and atomics
        self.accepted = 0  # of them
        self.established = False
        self.completions: list[Completion] = []
        self.error: CqeStatus | None = None

    @property
    def positive(self) -> int:
        """Syndrome of an answer without complaint: credits are entries that nobody has taken."""
        if not self.config.e2e_credits or self.config.use_srq:
            return Syndrome.ACK_NO_CREDITS
        free = len(self.ring.posted) - self.ring.claimed
        return max(code for code, credits in enumerate(CREDITS) if credits <= free)


class Model:
    """All queue pairs."""

    def __init__(self) -> None:
        self.qps: dict[int, Qp] = {}

    # ------------------------------------------------------------------ arrival

    def arrive(self, hdr: RxHeader) -> Outcome:
        """Decide what the request does."""
        qp = self.qps[hdr.qpn]
        out = Outcome(hdr, prior_msn=qp.msn)
        if qp.dead:
            return out
        distance = (hdr.psn - qp.epsn) % SPACE
        if 0 < distance < SPACE // 2:
            if not qp.nak_sent:
                self._order(qp, out, qp.epsn, Syndrome.NAK_SEQUENCE)
            qp.nak_sent = True
        elif distance:
            self._duplicate(qp, hdr, out)
        else:
            settles, qp.nak_sent = qp.nak_sent, False
            self._expected(qp, hdr, out)
            if out.order and out.silent and settles:
                out.order.kind, out.silent = "settle", False
        return out

    @staticmethod
    def _order(qp: Qp, out: Outcome, psn: int, syndrome: int) -> None:
        out.order = Order(psn % SPACE, qp.msn, syndrome)
        out.silent = False

    def _duplicate(self, qp: Qp, hdr: RxHeader, out: Outcome) -> None:
        op = hdr.opcode
        if op in SENDS or op in WRITES:
            if hdr.ack_req:
                self._order(qp, out, qp.epsn - 1, qp.positive)
        elif op == READ or op in ATOMICS:
            for old in qp.table:
                if self._repeats(qp, hdr, old):
                    self._answer(qp, hdr, out, old)

    @staticmethod
    def _repeats(qp: Qp, hdr: RxHeader, old: Order) -> bool:
        """The strict rule: from the start of a packet of the old request to its end."""
        if hdr.opcode in ATOMICS:
            same = (hdr.psn, hdr.reth_va, hdr.reth_rkey)
            return old.kind == "atomic" and same == (old.psn, old.va, old.rkey)
        offset = (hdr.psn - old.psn) % SPACE * qp.mtu
        inside = offset == 0 or offset < old.length
        rest = (old.va + offset, old.length - offset, old.rkey)
        wanted = (hdr.reth_va, hdr.reth_len, hdr.reth_rkey)
        return old.kind == "read" and inside and wanted == rest

    @staticmethod
    def _answer(qp: Qp, hdr: RxHeader, out: Outcome, old: Order | None) -> None:
        kind = "read" if hdr.opcode == READ else "atomic"
        out.order = Order(
            hdr.psn, qp.msn, qp.positive, kind, hdr.reth_va, hdr.reth_rkey,
            hdr.reth_len if kind == "read" else 0,
            sequence=old.sequence if old else qp.accepted, first=old,
        )  # fmt: skip
        out.silent = False
        place = (hdr.reth_rkey, qp.config.pd)
        if kind == "read":
            out.segments.append(("read", hdr.reth_va, 0, *place, hdr.reth_len))
        elif not old:
            out.atomic = ATOMICS[hdr.opcode]
            out.segments.append(("atomic", hdr.reth_va, 8, *place, 0))
        if not old:
            qp.accepted += 1
            qp.table.append(out.order)

    def _expected(self, qp: Qp, hdr: RxHeader, out: Outcome) -> None:
        op = hdr.opcode
        kind = self._kind(op)
        place = SENDS.get(op) or WRITES.get(op) or "only"
        if not self._allowed(qp, kind, place):
            self._refuse(qp, out, CqeStatus.REM_INV_REQ_ERR, qp.entry)
            return
        if kind in ("read", "atomic") and qp.config.max_dest_rd_atomic == 0:
            self._refuse(qp, out, CqeStatus.REM_INV_REQ_ERR, None)
            return
        takes = (kind == "send" and place in ("first", "only")) or op in (9, 11)
        if takes:
            ring = qp.ring
            if ring.claimed == len(ring.posted):
                self._order(qp, out, hdr.psn, Syndrome.RNR_NAK | qp.config.min_rnr_timer)
                qp.nak_sent = True
                return
            out.entry = ring.posted[ring.claimed]
            ring.claimed += 1
        elif kind == "send":
            out.entry = qp.entry
        if self._bad_length(qp, hdr, kind, place):
            status = CqeStatus.LOC_LEN_ERR if kind == "send" else CqeStatus.REM_INV_REQ_ERR
            self._refuse(qp, out, status, out.entry)
            return
        self._execute(qp, hdr, out, kind, place, takes)

    @staticmethod
    def _kind(op: int) -> str:
        if op in SENDS or op in WRITES:
            return "send" if op in SENDS else "write"
        return "atomic" if op in ATOMICS else "read" if op == READ else ""

    @staticmethod
    def _allowed(qp: Qp, kind: str, place: str) -> bool:
        if not kind:
            return False
        if qp.current:
            return kind == qp.current and place in ("middle", "last")
        right = {
            "send": 0, "write": Access.REMOTE_WRITE, "read": Access.REMOTE_READ,
            "atomic": Access.REMOTE_ATOMIC,
        }[kind]  # fmt: skip
        return place in ("first", "only") and (qp.config.access & right) == right

    @staticmethod
    def _refuse(qp: Qp, out: Outcome, status: CqeStatus, entry: Entry | None) -> None:
        Model._order(qp, out, out.hdr.psn, Syndrome.NAK_INVALID_REQUEST)
        out.fatal, out.entry, out.completes = status, entry, entry is not None
        qp.dead, qp.entry = True, None

    @staticmethod
    def _bad_length(qp: Qp, hdr: RxHeader, kind: str, place: str) -> bool:
        size = hdr.payload_len
        whole = place in ("first", "middle")
        if hdr.pad != -size % 4 or size > qp.mtu or (whole and size != qp.mtu):
            return True
        if place == "last" and size == 0:
            return True
        if kind in ("read", "atomic"):
            return size != 0 or (
                hdr.reth_va % 8 != 0 if kind == "atomic" else hdr.reth_len > 1 << 31
            )
        if kind != "write":
            return False
        left = hdr.reth_len if place in ("first", "only") else qp.left
        if left > 1 << 31:
            return True
        return size != left if place in ("last", "only") else size >= left

    def _execute(
        self, qp: Qp, hdr: RxHeader, out: Outcome, kind: str, place: str, takes: bool
    ) -> None:
        ends = place in ("last", "only")
        packets = max(1, -(-hdr.reth_len // qp.mtu)) if kind == "read" else 1
        qp.epsn = (qp.epsn + packets) % SPACE
        if ends:
            qp.msn = (qp.msn + 1) % SPACE
        qp.current = None if ends else kind
        qp.established = True
        if kind in ("read", "atomic"):
            self._answer(qp, hdr, out, None)
            return
        if takes and kind == "send":
            qp.entry, qp.used = out.entry, 0
        out.completes = out.entry is not None and ends
        if takes and out.entry.bad and not qp.failed:
            self._fail(qp, out, CqeStatus.LOC_QP_OP_ERR, Syndrome.NAK_REMOTE_OPERATION)
        elif kind == "send":
            self._send(qp, hdr, out, ends)
        else:
            self._write(qp, hdr, out, place)
        if ends and kind == "send":
            qp.entry = None
        if out.fatal is None:
            out.silent = not hdr.ack_req
            out.order = Order(hdr.psn, qp.msn, qp.positive)

    @staticmethod
    def _fail(qp: Qp, out: Outcome, status: CqeStatus, syndrome: int) -> None:
        qp.failed = True
        out.fatal, out.completes, out.silent = status, True, False
        out.order = Order(out.hdr.psn, out.prior_msn, syndrome)

    def _send(self, qp: Qp, hdr: RxHeader, out: Outcome, ends: bool) -> None:
        size = hdr.payload_len
        room = sum(sge.length for sge in out.entry.sges)
        if not qp.failed and qp.used + size > room:
            self._fail(qp, out, CqeStatus.LOC_LEN_ERR, Syndrome.NAK_INVALID_REQUEST)
            return
        skip = qp.used
        for sge in out.entry.sges:
            start = min(skip, sge.length)
            skip -= start
            take = min(size, sge.length - start)
            if take:
                piece = ("local", sge.addr + start, take, sge.token, out.entry.pd, 0)
                out.segments.append(piece)
                size -= take
        qp.used += hdr.payload_len
        if hdr.opcode in INVALIDATE:
            out.segments.append(("invalidate", 0, 0, hdr.imm, qp.config.pd, 0))
        op = CqeOp.RECV
        flags = CqeFlag.SOLICITED if hdr.solicited else 0
        if hdr.opcode in IMMEDIATE:
            op, flags = CqeOp.RECV_IMM, flags | CqeFlag.IMMEDIATE
        if hdr.opcode in INVALIDATE:
            op, flags = CqeOp.RECV_INV, flags | CqeFlag.INVALIDATED
        if ends:
            out.good = self._completion(qp, out.entry, CqeStatus.SUCCESS)
            out.good.opcode, out.good.byte_len = op, qp.used
            out.good.imm, out.good.flags = hdr.imm, flags

    def _write(self, qp: Qp, hdr: RxHeader, out: Outcome, place: str) -> None:
        if place in ("first", "only"):
            qp.va, qp.rkey, qp.left, qp.total = (
                hdr.reth_va, hdr.reth_rkey, hdr.reth_len, hdr.reth_len,
            )  # fmt: skip
        if hdr.payload_len:
            whole = qp.total if place in ("first", "only") else 0
            where = ("remote", qp.va, hdr.payload_len, qp.rkey, qp.config.pd)
            out.segments.append((*where, whole))
        qp.va += hdr.payload_len
        qp.left -= hdr.payload_len
        if out.completes:
            out.good = self._completion(qp, out.entry, CqeStatus.SUCCESS)
            out.good.opcode, out.good.byte_len = CqeOp.RECV_WRITE_IMM, qp.total
            out.good.imm = hdr.imm
            out.good.flags = CqeFlag.IMMEDIATE | (CqeFlag.SOLICITED if hdr.solicited else 0)

    @staticmethod
    def _completion(qp: Qp, entry: Entry, status: CqeStatus) -> Completion:
        return Completion(qp.number, qp.config.recv_cq, entry.wr_id, entry.index, status)

    # ------------------------------------------------------------------ data moved

    def done(self, out: Outcome, fault: RxFault, original: int) -> Order | None:
        """The data of the request was moved, or could not be; what is to be answered."""
        qp = self.qps[out.hdr.qpn]
        if qp.poisoned:
            if out.completes:
                self._complete(qp, out.entry, CqeStatus.WR_FLUSH_ERR)
            return None
        status = out.fatal
        if self.forgets(out, fault):
            return None
        if fault:
            status = self._faulted(out, fault)
        if status is not None:
            qp.poisoned = True
            qp.error = CqeStatus.WR_FLUSH_ERR if out.entry else status
            if out.entry:
                self._complete(qp, out.entry, status)
        elif out.good:
            out.entry.completed = True
            qp.completions.append(out.good)
        if out.silent:
            return None
        if out.order.kind == "atomic":
            out.order.value = out.order.first.value if out.order.first else original
        return out.order

    @staticmethod
    def forgets(out: Outcome, fault: RxFault) -> bool:
        """The key of a read that is asked for again is gone: as if nobody had asked (4.6)."""
        order = out.order
        again = order is not None and order.kind == "read" and order.first is not None
        return again and fault == RxFault.KEY

    @staticmethod
    def _faulted(out: Outcome, fault: RxFault) -> CqeStatus:
        order = out.order
        if fault == RxFault.KEY and out.hdr.opcode in INVALIDATE:
            order.msn = out.prior_msn
            out.silent = out.silent or order.kind == "settle"
            return CqeStatus.REM_INV_REQ_ERR
        status, syndrome = {
            RxFault.KEY: (CqeStatus.REM_ACCESS_ERR, Syndrome.NAK_REMOTE_ACCESS),
            RxFault.LOCAL_KEY: (CqeStatus.LOC_PROT_ERR, Syndrome.NAK_REMOTE_OPERATION),
            RxFault.BUS: (CqeStatus.LOC_QP_OP_ERR, Syndrome.NAK_REMOTE_OPERATION),
        }[fault]
        out.order = Order(out.hdr.psn, out.prior_msn, syndrome)
        out.silent = False
        return status

    def _complete(self, qp: Qp, entry: Entry, status: CqeStatus) -> None:
        if not entry.completed:
            entry.completed = True
            qp.completions.append(self._completion(qp, entry, status))

    def flush(self, qp: Qp) -> None:
        """The queue pair went to ERR: what is in hand, then what was not taken."""
        qp.dead = True
        if qp.entry:
            self._complete(qp, qp.entry, CqeStatus.WR_FLUSH_ERR)
            qp.entry = None
        if not qp.config.use_srq:
            for entry in qp.ring.posted[qp.ring.claimed :]:
                self._complete(qp, entry, CqeStatus.WR_FLUSH_ERR)
            qp.ring.claimed = len(qp.ring.posted)
