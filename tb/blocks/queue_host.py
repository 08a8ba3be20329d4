"""A driver and a completer around the send path: they post, retire late, and check everything."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from spec.codes import CqeStatus, QpState
from spec.layouts import WqeFlag, WrOp
from spec.streams import MsgKind, MsgRecord, SqProgress, TxPacket
from tb.blocks.queue_bench import Bench
from tb.blocks.queue_work import Beat, Work, observed


@dataclass
class Message:
    """A message whose record was written and that is not retired."""

    work: Work
    kind: MsgKind
    sq_next: int
    to_come: int  # beats that were not seen
    ripe: int | None = None
    """Cycle from which it may be retired; None while packets or a kick are missing."""


@dataclass
class Qp:
    """What driver and completer know of a QP."""

    number: int
    mtu: int
    psn: int
    producer: int = 0
    tail: int = 0  # blocks the driver may use again
    rung: int = 0
    msgs: int = 0
    reads: int = 0
    reads_done: int = 0
    tail_msg: int = 0
    count: int = 0
    limited: int = 0
    limit: int = 0
    """What the completer publishes of the peer's credits."""
    posted: deque[tuple[int, Work, CqeStatus]] = field(default_factory=deque)
    beats: deque[Beat] = field(default_factory=deque)
    out: deque[Message] = field(default_factory=deque)
    flushing: bool = False
    down: bool = False


class Host:
    """Posts works, checks what comes out of them, retires them."""

    def __init__(
        self, bench: Bench, depth: int = 256, delay: tuple[int, int] = (0, 30), quick: bool = False
    ) -> None:
        self.bench = bench
        self.depth = depth
        self.delay = delay
        self.quick = quick
        """Do not look into packets: for long runs."""
        self.qps: dict[int, Qp] = {}
        self.retired = 0
        self.hold = False
        bench.on_msg = self._on_msg
        bench.on_pkt = self._on_pkt
        bench.on_kick = self._on_kick
        bench.reacts.append(self._retire)

    async def create(self, qpn: int, psn: int = 0, **fields: object) -> Qp:
        """A QP in RTS."""
        await self.bench.create(qpn, psn, **fields)
        qp = Qp(qpn, 128 << self.bench.cfg[qpn].path_mtu, psn)
        self.qps[qpn] = qp
        return qp

    def room(self, qp: Qp) -> int:
        """Blocks that may be posted."""
        return (1 << self.bench.cfg[qp.number].sq_log) - (qp.producer - qp.tail)

    def post(self, qp: Qp, work: Work, status: CqeStatus = CqeStatus.SUCCESS) -> list[bytes]:
        """Write an entry into the ring; status other than success is what it must end with."""
        blocks = work.encode(qp.producer)
        self.bench.store(qp.number, qp.producer, blocks)
        qp.posted.append((qp.producer, work, status))
        qp.producer += len(blocks)
        return blocks

    def ring(self, qp: Qp) -> None:
        """Ring for everything posted."""
        self.bench.ring(qp.number, qp.producer)
        qp.rung = qp.producer

    def push(self, qp: Qp, work: Work) -> None:
        """Post an entry of one block and push it."""
        (block,) = self.post(qp, work)
        self.bench.push(qp.number, block)
        qp.rung = qp.producer

    def fail(self, qp: Qp) -> None:
        """The QP goes to ERR, as rnic_qp_table does it."""
        self.bench.configure(qp.number, state=int(QpState.ERR))
        self.bench.flush.queue.append(qp.number)
        qp.down = True
        self._on_kick(qp.number)

    def empty(self) -> bool:
        """Everything posted was issued and retired."""
        return all(not qp.posted and not qp.out for qp in self.qps.values())

    async def finish(self, limit: int = 60_000) -> None:
        """Wait until all is done, and a little longer for what should not come."""
        await self.bench.until(self.empty, limit, "work left over: " + self.left())
        await self.bench.cycles(80)
        assert all(not qp.beats or qp.down for qp in self.qps.values())

    def left(self) -> str:
        """Who has work left."""
        return ", ".join(
            f"{qp.number}: {len(qp.posted)} posted, {len(qp.out)} out" for qp in self.qps.values()
        )

    # What comes out

    def _on_msg(self, qpn: int, index: int, record: MsgRecord) -> None:
        qp = self.qps[qpn]
        assert qp.posted, f"a message of QP {qpn} that nobody posted: {record}"
        first, work, status = qp.posted.popleft()
        kind = self._kind(qp, record, work, status)
        blocks = work.change.get("blocks", len(work.encode(0)))
        framed = 1 <= blocks <= 4 and "index" not in work.change
        sq_next = first + (blocks if framed else 1)
        psns = work.psns(qp.mtu) if kind == work.kind() else 0
        where = f"QP {qpn} entry at {first}"
        assert record.kind == kind, f"{where}: {record}, expected {kind!r}"
        assert index == qp.msgs & 0xFFFF, where
        assert (record.sq_first, record.sq_next) == (first & 0xFFFF, sq_next & 0xFFFF), where
        assert record.wr_id == work.wr_id, where
        assert record.signaled == (work.flags & 1), where
        assert record.first_psn == qp.psn, where
        assert record.last_psn == qp.psn + psns - 1 & 0xFFFFFF, where
        if kind == work.kind():
            self._start(qp, work, record)
        else:
            assert record.status == (status if kind == MsgKind.BAD else 0), f"{where}: {record}"
        beats = (
            work.beats(qpn, index, qp.psn, qp.mtu, self.bench.cfg[qpn].pd)
            if psns or (kind == MsgKind.LOCAL)
            else []
        )
        qp.beats.extend(beats)
        qp.out.append(Message(work, kind, sq_next, len(beats)))
        qp.msgs += 1
        qp.psn = qp.psn + psns & 0xFFFFFF
        assert qp.msgs - qp.tail_msg <= self.depth, f"{where}: too many messages"

    def _kind(self, qp: Qp, record: MsgRecord, work: Work, status: CqeStatus) -> MsgKind:
        if qp.flushing or (qp.down and record.kind == MsgKind.FLUSH):
            qp.flushing = True
            return MsgKind.FLUSH
        if status:
            qp.flushing = True
            return MsgKind.BAD
        return work.kind()

    def _start(self, qp: Qp, work: Work, record: MsgRecord) -> None:
        """A good message: its fences held, and its read is written down."""
        reads_out = qp.reads - qp.reads_done
        if work.flags & WqeFlag.FENCE:
            assert reads_out == 0, "a fenced entry passed a read"
        if work.op == WrOp.LOCAL_INV:
            assert not qp.out, "an invalidation passed a message"
        if work.kind() != MsgKind.LOCAL:
            assert record.length == work.length
        if work.counts_as_read():
            self._check_read(qp, work, record)
            qp.reads += 1
            most = min(16, self.bench.cfg[qp.number].max_rd_atomic)
            assert qp.reads - qp.reads_done <= most, "too many reads"

    def _check_read(self, qp: Qp, work: Work, record: MsgRecord) -> None:
        slot = qp.reads % 16
        read = self.bench.read_records.pop((qp.number, slot))
        sges = [sge for sge in work.sges if sge[1]]
        assert (read.first_psn, read.last_psn) == (record.first_psn, record.last_psn)
        assert read.length == work.length
        assert read.num_sge == len(sges)
        assert read.atomic == (work.op != WrOp.READ)
        for number, (addr, length, token) in enumerate(sges):
            sge = self.bench.sge_records.pop((qp.number, slot, number))
            assert (sge.addr, sge.length, sge.token) == (addr, length, token)

    def _on_pkt(self, pkt: TxPacket) -> None:
        qp = self.qps[pkt.qpn]
        assert qp.beats, f"a packet that nobody asked for: {pkt}"
        expected = qp.beats.popleft()
        if not self.quick:
            seen = observed(pkt, expected)
            assert seen == expected, f"\nseen     {seen}\nexpected {expected}"
        if "bytes" in expected:
            payload = self.bench.inline_bytes(pkt.inline_slot, expected["length"])
            assert payload == expected["bytes"]
        for message in qp.out:
            if message.to_come:
                message.to_come -= 1
                break

    def _on_kick(self, qpn: int) -> None:
        """A kick, or a flush: what is known now may be retired in ERR or without packets."""
        qp = self.qps[qpn]
        for message in qp.out:
            if qp.down or message.kind in (MsgKind.FLUSH, MsgKind.BAD):
                message.ripe = message.ripe or self._soon()

    def _soon(self) -> int:
        return self.bench.cycle + self.bench.rng.randint(*self.delay)

    # Retire

    def _retire(self) -> None:
        if self.hold:
            return
        for qp in self.qps.values():
            if qp.out:
                self._retire_one(qp)

    def _retire_one(self, qp: Qp) -> None:
        first = qp.out[0]
        packets_gone = first.kind not in (MsgKind.FLUSH, MsgKind.BAD) and not first.to_come
        if first.ripe is None and packets_gone and not qp.down:
            first.ripe = self._soon()
        if first.ripe is None or first.ripe > self.bench.cycle:
            return
        qp.out.popleft()
        self.retired += 1
        qp.tail = first.sq_next
        qp.tail_msg += 1
        if first.work.counts_as_read() and first.kind == first.work.kind():
            qp.reads_done += 1
        self._publish(qp)

    def tell(self, qp: Qp, limit: int | None) -> None:
        """An acknowledge that ends nothing says how far the peer's receives reach, or no limit."""
        qp.limited, qp.limit = int(limit is not None), (limit or 0) & 0xFFFFFF
        self._publish(qp)

    def _publish(self, qp: Qp) -> None:
        qp.count += 1
        self.bench.set_progress(
            qp.number,
            SqProgress(
                msg_tail=qp.tail_msg & 0xFFFF,
                reads_done=qp.reads_done & 0xFFFF,
                count=qp.count & 0xFFFF,
                sq_tail=qp.tail & 0xFFFF,
                limited=qp.limited,
                limit=qp.limit,
            ),
        )
        self.bench.kick.queue.append(qp.number)
