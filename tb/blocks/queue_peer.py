"""The send path's other end when packets get lost: a peer, a completer, and what they may see.

Every packet must be the one that its PSN says, whenever it comes: packets are cut once, when their
message is first recorded. They come in order; back only as far as somebody asked for, forward only
over what is acknowledged.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from spec.codes import QpState
from spec.layouts import WrOp
from spec.streams import MsgKind, MsgRecord, SqProgress, TxPacket
from tb.blocks.queue_bench import Bench
from tb.blocks.queue_host import Host, Qp
from tb.blocks.queue_work import Beat, Work, observed
from tb.model.credits import CREDITS

SPACE = 1 << 24


@dataclass
class Sent:
    """A message that was recorded. PSNs run free here."""

    index: int
    work: Work
    kind: MsgKind
    first: int
    psns: int
    sq_next: int
    packets: list[list[Beat]]
    """Beats of each packet; one packet for a read."""
    answered: int = 0
    """PSNs of a read whose response arrived."""
    local_seen: bool = False
    kicked: bool = False

    @property
    def end(self) -> int:
        """The PSN behind it."""
        return self.first + self.psns

    @property
    def reads(self) -> bool:
        """It is answered with data."""
        return self.kind in (MsgKind.READ, MsgKind.ATOMIC)


@dataclass
class State:
    """Peer and completer of one queue pair."""

    base: int
    messages: list[Sent] = field(default_factory=list)
    tail: int = 0
    una: int = 0
    expected: int = 0  # by the peer
    nak_sent: bool = False
    course: int = 0  # PSN that comes next
    returns: deque[int] = field(default_factory=deque)
    """PSNs to go back to that were published and may still be on their way."""
    beats: list[TxPacket] = field(default_factory=list)
    count: int = 0
    reads_done: int = 0
    rnr_until: int = 0
    waits: bool = False
    waits_since: int = 0
    quiet_since: int = 0
    packets: int = 0
    repeated: int = 0
    stopped_at: int | None = None
    limited: bool = False
    """The peer counts its receive entries."""
    entries: int = 0
    """Posted so far; the same unwrapped numbers as those below."""
    taken: int = 0  # by messages that arrived
    started: int = 0  # messages that will take one
    msn: int = 0  # messages that arrived
    limit: int = 0  # newest message that the requester was told of
    epoch: int = 0  # of the last packet
    last_epoch: int = 0  # of the last packet on the wire
    asked: int = 0  # returns not yet seen


class Peer(Host):
    """A host whose completer loses packets, answers late, and sends queue pairs back."""

    def __init__(self, bench: Bench, depth: int = 256, **knobs: Any) -> None:
        super().__init__(bench, depth)
        self.loss: float = knobs.get("loss", 0.0)
        self.rnr: float = knobs.get("rnr", 0.0)
        self.spurious: float = knobs.get("spurious", 0.0)
        self.patience: int = knobs.get("patience", 1500)
        self.credits: bool = knobs.get("credits", False)
        self.not_readies = 0
        self.auto = True
        """Acknowledge and retire; else the test says when."""
        self.state: dict[int, State] = {}
        self.returns = 0
        self.log: list[tuple[int, int, int]] = []
        """Packets as they came: QP, PSN from its first on, opcode."""
        bench.reacts.append(self._live)

    async def create(self, qpn: int, psn: int = 0, **fields: object) -> Qp:
        """A QP in RTS."""
        self.state[qpn] = State(psn, limited=self.credits)
        qp = await super().create(qpn, psn, **fields)
        if self.credits:
            self.publish(qpn, self.state[qpn])
        return qp

    def empty(self) -> bool:
        """Everything posted was issued and retired."""
        return all(
            not qp.posted and self.state[n].tail == len(self.state[n].messages)
            for n, qp in self.qps.items()
        )

    def left(self) -> str:
        """Who has work left."""
        return ", ".join(
            f"{n}: {len(qp.posted)} posted, {len(s.messages) - s.tail} out, una {s.una}"
            f" expected {s.expected} course {s.course}"
            for n, qp in self.qps.items()
            for s in [self.state[n]]
        )

    # What comes out

    def _on_msg(self, qpn: int, index: int, record: MsgRecord) -> None:
        qp, state = self.qps[qpn], self.state[qpn]
        assert self.bench.msg_new, "a record was written again"
        work = qp.posted[0][1] if qp.posted else Work()
        if work.op == WrOp.LOCAL_INV:
            assert qp.down or qp.flushing or state.tail == len(state.messages)
        super()._on_msg(qpn, index, record)
        if state.limited and work.takes_receive() and record.kind == work.kind():
            state.started += 1
            alone = state.tail == len(state.messages)
            assert alone or state.started <= state.entries, f"QP {qpn}: no credit for {record}"
        beats, message = list(qp.beats), qp.out.pop()
        qp.beats.clear()
        packets: list[list[Beat]] = []
        for beat in beats:
            if beat["first"]:
                packets.append([])
            packets[-1].append(beat)
        psns = work.psns(qp.mtu) if message.kind == work.kind() else 0
        first = state.messages[-1].end if state.messages else 0
        state.messages.append(
            Sent(len(state.messages), work, message.kind, first, psns, message.sq_next, packets)
        )

    def _on_pkt(self, pkt: TxPacket) -> None:
        state = self.state[pkt.qpn]
        state.beats.append(pkt)
        if not pkt.last:
            return
        beats, state.beats = state.beats, []
        self._epoch(pkt.qpn, state, beats)
        assert beats[0].first
        assert not any(beat.first for beat in beats[1:])
        number = self._unwrap(pkt.msg_idx, len(state.messages), 1 << 16)
        assert 0 <= number < len(state.messages), f"a packet of no message: {pkt}"
        message = state.messages[number]
        if message.kind == MsgKind.LOCAL:
            self._local(state, message, beats)
        else:
            psn = self._unwrap(beats[0].psn - state.base, state.course, SPACE)
            self._compare(state, message, psn, beats)
            self._order(pkt.qpn, state, message, psn, beats[0].epoch)
            self._receive(pkt.qpn, state, message, psn)

    def _unwrap(self, value: int, near: int, space: int) -> int:
        return near + (value - near + space // 2) % space - space // 2

    def _epoch(self, qpn: int, state: State, beats: list[TxPacket]) -> None:
        """It changes with each return that is taken, and with nothing else."""
        now = beats[0].epoch
        assert all(beat.epoch == now for beat in beats)
        steps = (now - state.epoch) % 8
        assert steps <= state.asked, f"QP {qpn}: epoch {state.epoch} to {now}"
        if steps:
            state.epoch, state.asked = now, state.asked - steps
        told = self.bench.epochs.get(qpn, 0)
        assert (told - now) % 8 <= state.asked, f"QP {qpn}: in {told}, a packet of {now}"

    def _local(self, state: State, message: Sent, beats: list[TxPacket]) -> None:
        assert not message.local_seen, "a local operation was done twice"
        message.local_seen = True
        seen = [observed(beat, want) for beat, want in zip(beats, message.packets[0], strict=True)]
        assert seen == message.packets[0]

    def _compare(self, state: State, message: Sent, psn: int, beats: list[TxPacket]) -> None:
        """The packet is the one that belongs to its PSN."""
        assert message.first <= psn < message.end, (message.first, psn, message.end)
        at = psn - message.first
        wanted = message.packets[0 if message.reads else at]
        if message.kind == MsgKind.READ and at:
            va, rkey, length = wanted[0]["reth"]
            mtu = self.qps[beats[0].qpn].mtu
            rest = (va + at * mtu & (1 << 64) - 1, rkey, length - at * mtu)
            wanted = [wanted[0] | {"psn": (state.base + psn) % SPACE, "reth": rest}]
        seen = [observed(beat, want) for beat, want in zip(beats, wanted, strict=True)]
        assert seen == wanted, f"\nseen     {seen}\nexpected {wanted}"
        if "bytes" in wanted[0]:
            payload = self.bench.inline_bytes(beats[0].inline_slot, wanted[0]["length"])
            assert payload == wanted[0]["bytes"]

    def _order(self, qpn: int, state: State, message: Sent, psn: int, epoch: int) -> None:
        """In order, back on demand, forward over what is acknowledged."""
        if psn > state.course:
            down = self.bench.cfg[qpn].state not in (QpState.RTS, QpState.SQD)
            assert down or psn <= state.una, f"QP {qpn}: {state.course} to {psn} left out"
        if psn < state.course:
            assert epoch != state.last_epoch, f"QP {qpn}: {psn} again in the same epoch"
            state.repeated += 1
            assert state.returns, f"QP {qpn} went back to {psn} and nobody asked"
            assert psn >= state.returns[0], f"QP {qpn}: {psn} had been acknowledged"
            state.returns.popleft()
        state.course = message.end if message.reads else psn + 1
        state.last_epoch = epoch
        state.packets += 1
        state.quiet_since = self.bench.cycle
        self.log.append((qpn, psn, int(message.work.op)))
        if state.waits:
            # The packet in progress and a few behind it; not a message.
            late = self.bench.cycle - state.waits_since
            assert late < 400, f"QP {qpn} sends although its peer is not ready"

    # The peer

    def _receive(self, qpn: int, state: State, message: Sent, psn: int) -> None:
        if not self.auto or self.bench.rng.random() < self.loss:
            return
        if psn > state.expected:
            if not state.nak_sent:
                state.nak_sent = True
                self.go_back(qpn)
            return
        state.nak_sent = False
        if psn < state.expected:
            return
        consumes = message.work.takes_receive() and psn + 1 == message.end
        none = state.limited and state.taken == state.entries
        if consumes and not state.waits and (none or self.bench.rng.random() < self.rnr):
            state.nak_sent = True
            self.not_ready(qpn, self.bench.rng.randint(20, 600))
            return
        if consumes and none:
            return
        state.expected = message.end if message.reads else psn + 1
        state.taken += consumes
        state.msn += state.expected == message.end

    def acknowledged(self, state: State) -> int:
        """As far as it can be, with answers of reads still missing."""
        for message in state.messages[state.tail :]:
            if message.first >= state.expected:
                break
            if message.reads and message.answered < message.psns:
                return min(state.expected, message.first + message.answered)
        return state.expected

    # The completer

    def publish(self, qpn: int, state: State) -> None:
        """What the completer knows."""
        state.count += 1
        oldest = state.messages[state.tail] if state.tail < len(state.messages) else None
        behind = state.messages[state.tail - 1].end if state.tail else 0
        first = oldest.first if oldest else behind
        done = state.messages[state.tail - 1].sq_next if state.tail else 0
        self.bench.set_progress(
            qpn,
            SqProgress(
                msg_tail=state.tail & 0xFFFF, reads_done=state.reads_done & 0xFFFF,
                count=state.count & 0xFFFF, rnr_wait=int(state.waits), sq_tail=done & 0xFFFF,
                psn=(state.base + first) % SPACE, una=(state.base + state.una) % SPACE,
                limited=int(state.limited), limit=state.limit % SPACE,
            ),
        )  # fmt: skip

    def _told(self, state: State) -> bool:
        """The newest acknowledge raises the limit."""
        if not state.limited:
            return False
        left = state.entries - state.taken
        limit = state.msn + max(credits for credits in CREDITS if credits <= left)
        raised = limit > state.limit
        state.limit = max(limit, state.limit)
        return raised

    def go_back(self, qpn: int) -> None:
        """Send the QP back to what is not acknowledged."""
        state = self.state[qpn]
        if self.qps[qpn].down:
            return
        self._acknowledge(qpn, state)
        if state.tail == len(state.messages):
            return
        state.returns.append(state.una)
        state.asked += qpn not in self.bench.rewind.queue
        self.returns += 1
        self.publish(qpn, state)
        self.bench.send_back(qpn)
        state.quiet_since = self.bench.cycle

    def not_ready(self, qpn: int, cycles: int) -> None:
        """An RNR NAK."""
        self.not_readies += 1
        state = self.state[qpn]
        self._acknowledge(qpn, state)
        state.waits = True
        state.waits_since = self.bench.cycle
        state.rnr_until = self.bench.cycle + cycles
        self.go_back(qpn)

    def _ready(self, qpn: int, state: State) -> None:
        state.waits = False
        self.publish(qpn, state)
        self.bench.kick.queue.append(qpn)
        state.quiet_since = self.bench.cycle

    def acknowledge(self, qpn: int, psn: int) -> None:
        """Everything before a PSN arrived."""
        state = self.state[qpn]
        state.expected = max(state.expected, psn)
        for message in state.messages[state.tail :]:
            if message.reads:
                message.answered = max(0, min(message.psns, psn - message.first))
        self._acknowledge(qpn, state)

    def _acknowledge(self, qpn: int, state: State) -> None:
        una = self.acknowledged(state)
        before = state.una, state.tail
        state.una = una
        while state.tail < len(state.messages) and self._over(qpn, state):
            message = state.messages[state.tail]
            self._free(qpn, message)
            state.tail += 1
            self.retired += 1
            state.reads_done += message.reads
            qp = self.qps[qpn]
            qp.tail_msg, qp.reads_done = state.tail, state.reads_done
        moved = before != (state.una, state.tail)
        told = (moved or self.bench.rng.random() < 0.01) and self._told(state)
        if not moved and not told:
            return
        if una > before[0]:
            state.quiet_since = self.bench.cycle
            if state.waits:
                self._ready(qpn, state)
        self.publish(qpn, state)
        if state.tail != before[1] or told:
            self.bench.kick.queue.append(qpn)

    def _over(self, qpn: int, state: State) -> bool:
        message = state.messages[state.tail]
        if self.qps[qpn].down or message.kind in (MsgKind.FLUSH, MsgKind.BAD):
            return message.kicked or self.qps[qpn].down
        if message.kind == MsgKind.LOCAL:
            return message.local_seen
        return message.end <= state.una

    def _free(self, qpn: int, message: Sent) -> None:
        """The host may use the blocks again, and what is there now means nothing to anybody."""
        qp, cfg = self.qps[qpn], self.bench.cfg[qpn]
        for index in range(qp.tail, message.sq_next):
            place = index & (1 << cfg.sq_log) - 1
            self.bench.memory.pop(cfg.sq_base + 64 * place, None)
        qp.tail = message.sq_next

    def _on_kick(self, qpn: int) -> None:
        state = self.state[qpn]
        for message in state.messages[state.tail :]:
            message.kicked = message.kicked or message.kind in (MsgKind.FLUSH, MsgKind.BAD)

    # Once a cycle

    def _retire(self) -> None:
        """The completer of this host is `_live`."""

    def _live(self) -> None:
        rng = self.bench.rng
        for qpn, state in self.state.items():
            if qpn not in self.qps:
                continue
            if state.waits and self.bench.cycle >= state.rnr_until and not self.qps[qpn].down:
                self._ready(qpn, state)
            if not self.auto:
                if self.qps[qpn].down or self.qps[qpn].flushing:
                    self._acknowledge(qpn, state)
                continue
            if state.limited and rng.random() < 0.01 and state.entries - state.taken < 8:
                state.entries += rng.randint(1, 4)
            if rng.random() < 0.05:
                self._answer(qpn, state)
                self._acknowledge(qpn, state)
            if rng.random() < self.spurious:
                self.go_back(qpn)
            self._patience(qpn, state)

    def _answer(self, qpn: int, state: State) -> None:
        """Some response packets of the oldest read arrive, or do not."""
        for message in state.messages[state.tail :]:
            if message.reads and message.answered < message.psns:
                if message.first < state.expected:
                    if self.bench.rng.random() < self.loss:
                        self.go_back(qpn)
                    else:
                        message.answered += self.bench.rng.randint(1, message.psns)
                        message.answered = min(message.answered, message.psns)
                return

    def _patience(self, qpn: int, state: State) -> None:
        held = self.bench.holds[qpn] or self.bench.cfg[qpn].state != QpState.RTS
        if state.waits or held or state.tail == len(state.messages):
            state.quiet_since = self.bench.cycle
        elif self.bench.cycle - state.quiet_since > self.patience:
            self.go_back(qpn)
