"""A queue pair: what both of its halves share, its states, and how its packets look."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from tb.model.credits import credit_code
from tb.model.headers import Bth, Drop, Packet, Path
from tb.model.memory import Memory
from tb.model.opcodes import CNP, Transport
from tb.model.requester import Requester
from tb.model.responder import Responder
from tb.model.verbs import (
    Access,
    Completion,
    Event,
    EventKind,
    ReceiveQueue,
    RecvWork,
    SendWork,
    State,
    Status,
    WcOp,
    psn_add,
)


@dataclass(slots=True)
class QpConfig:
    """The attributes of a connected queue pair, and the freedoms that the protocol leaves."""

    qpn: int
    dest_qpn: int
    path: Path  # as sent: from us to the peer
    pmtu: int = 1024
    sq_psn: int = 0
    rq_psn: int = 0
    access: Access = Access.REMOTE_READ | Access.REMOTE_WRITE | Access.REMOTE_ATOMIC
    timeout: int = 14
    retry_cnt: int = 7
    rnr_retry: int = 7
    min_rnr_timer: int = 12
    max_rd_atomic: int = 16
    max_dest_rd_atomic: int = 16
    p_key: int = 0xFFFF
    pd: int = 1
    ack_every: int = 64  # AckReq at least once in so many packets
    window: int = 1 << 20  # packets in flight
    ack_delay_ns: int = 0  # acknowledge at most so much later, one for many
    ack_all_duplicates: bool = False  # also those without AckReq
    real_credits: bool = False  # acknowledges count the receives that are posted
    honour_credits: bool = False  # and what the peer's acknowledges say of his is heeded
    cnp_interval_ns: int | None = None  # answer CE marks with a CNP this often at most


@dataclass(slots=True, eq=False)
class QueuePair:
    """An RC queue pair."""

    config: QpConfig
    memory: Memory
    rq: ReceiveQueue = field(default_factory=ReceiveQueue)
    state: State = State.RTS
    completions: list[Completion] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    drops: Counter[Drop] = field(default_factory=Counter)
    cnps: int = 0
    requester: Requester = field(init=False)
    responder: Responder = field(init=False)
    _next_cnp: int = 0

    def __post_init__(self) -> None:
        self.requester = Requester(self)
        self.responder = Responder(self)

    # ------------------------------------------------------------ packets out

    def packet(self, op: int, psn: int, **fields: Any) -> Packet:
        """A packet to the peer; keyword arguments are fields of the BTH or of the packet."""
        bth = {k: fields.pop(k) for k in ("ack_req", "solicited", "becn") if k in fields}
        header = Bth(op, self.config.dest_qpn, psn & 0xFFFFFF, p_key=self.config.p_key, **bth)
        return Packet(header, self.config.path, **fields)

    @property
    def credit_syndrome(self) -> int:
        """The syndrome of a positive acknowledge."""
        if not self.config.real_credits or self.rq.shared:
            return 0x1F
        return credit_code(len(self.rq.works))

    # ------------------------------------------------------------ packets in

    def receive(self, packet: Packet, now: int) -> list[Packet]:
        """Act on a packet that is addressed to this queue pair; the packets to send."""
        reason = self._refusal(packet)
        if reason:
            self.drops[reason] += 1
            return []
        out = self._notify_congestion(packet, now)
        shape = packet.shape
        if packet.bth.opcode == CNP:
            self.cnps += 1
        elif shape and shape.kind.is_response:
            out += self.requester.receive(packet, now)
        else:
            out += self.responder.receive(packet, now)
            if self.state is State.ERR:
                self.requester.stop()
        return out

    def _refusal(self, packet: Packet) -> Drop | None:
        path, config = packet.path, self.config
        if packet.bth.opcode & 0xE0 != Transport.RC and packet.bth.opcode != CNP:
            return Drop.WRONG_TRANSPORT
        shape = packet.shape
        states = [State.RTS, State.SQD]
        if not (shape and shape.kind.is_response):
            states.append(State.RTR)
        if self.state not in states:
            return Drop.QP_STATE
        if path.src_ip != config.path.dst_ip or path.dst_ip != config.path.src_ip:
            return Drop.WRONG_ADDRESS
        if packet.bth.opcode != CNP and not p_keys_match(packet.bth.p_key, config.p_key):
            return Drop.P_KEY
        return None

    def _notify_congestion(self, packet: Packet, now: int) -> list[Packet]:
        interval = self.config.cnp_interval_ns
        marked = packet.path.ecn == 3 or packet.bth.fecn
        if interval is None or not marked or packet.bth.opcode == CNP or now < self._next_cnp:
            return []
        self._next_cnp = now + interval
        cnp = self.packet(CNP, 0, becn=True, payload=bytes(16))
        traffic = replace(cnp.path, traffic_class=48 << 2 | 2)
        return [replace(cnp, bth=replace(cnp.bth, migrated=False), path=traffic)]

    # ------------------------------------------------------------ the consumer's side

    def post_send(self, work: SendWork, now: int) -> list[Packet]:
        """Add to the send queue; the packets to send."""
        if self.state in (State.RESET, State.INIT, State.RTR):
            raise ValueError(f"post_send in {self.state.name}")
        self.requester.queue.append(self.requester.accept(work))
        if self.state is State.ERR:
            self.requester.flush()
            return []
        return self.requester.pump(now)

    def post_recv(self, work: RecvWork) -> None:
        """Add to the receive queue."""
        if self.state is State.RESET:
            raise ValueError("post_recv in RESET")
        self.rq.post(work)
        if self.state is State.ERR:
            self._flush_receives()

    def modify(self, state: State, now: int) -> list[Packet]:
        """Change the state; the packets to send."""
        if state is State.ERR:
            self.fail()
        elif state is State.RESET:
            if not self.rq.shared:
                self.rq.works.clear()
            self.requester, self.responder = Requester(self), Responder(self)
        self.state = state
        return self.requester.pump(now)

    def complete(self, completion: Completion) -> None:
        """A work request is done."""
        self.completions.append(completion)

    def raise_event(self, kind: EventKind) -> None:
        """Something happened that no work request stands for."""
        self.events.append(Event(kind, self.config.qpn))

    def fail(self) -> None:
        """Enter ERR: whatever is posted completes as flushed, whatever arrives is dropped."""
        if self.state is State.ERR:
            return
        self.state = State.ERR
        self.requester.flush()
        self.responder.flush()
        self._flush_receives()

    def _flush_receives(self) -> None:
        if self.rq.shared:
            self.raise_event(EventKind.LAST_WQE_REACHED)
            return
        works, self.rq.works = self.rq.works, []
        for work in works:
            self.complete(Completion(work.wr_id, Status.WR_FLUSH_ERR, WcOp.RECV, self.config.qpn))

    @property
    def next_deadline(self) -> int | None:
        """When time alone makes something happen."""
        times = (self.requester.deadline, self.responder.ack_due)
        return min((t for t in times if t is not None), default=None)

    def advance(self, now: int) -> list[Packet]:
        """Time has passed; the packets to send."""
        return self.responder.advance(now) + self.requester.advance(now)

    @property
    def previous_epsn(self) -> int:
        """The PSN of the latest request accepted."""
        return psn_add(self.responder.epsn, -1)


def p_keys_match(a: int, b: int) -> bool:
    """Same partition, and not both of them limited members."""
    return a & 0x7FFF == b & 0x7FFF != 0 and bool((a | b) & 0x8000)
