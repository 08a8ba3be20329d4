"""One host of a recorded trace, as a model that knows what it owned and what it was asked to do.

Traces driven by a verbs shell say so in their transcript. The others (pingpong tools, rdma_cm
programs) do not: there the work is read from the frames that it led to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tb.model.headers import Packet
from tb.model.memory import Region
from tb.model.opcodes import Kind, Part
from tb.model.packets import decode
from tb.model.peer import Peer
from tb.model.qp import QpConfig, QueuePair
from tb.model.verbs import Access, RecvWork, SendWork, Sge, WrOp, psn_add
from tests.model.golden import MAC_A, Trace
from tests.model.replay import Host, as_delivered

PAGE = 4096
LOCAL_KEY = 700 << 8 | 0x77
REMOTE = Access.REMOTE_READ | Access.REMOTE_WRITE | Access.REMOTE_ATOMIC
CM_MTU = 4096
"""Path MTU of the connections that rdma_cm made in these traces."""


@dataclass
class Station:
    """Regions, queue pairs and work of one host; `peer` is a model of it with all of that."""

    name: str
    peer: Peer
    regions: list[Region]
    qps: dict[int, QueuePair]
    works: dict[int, list[SendWork]] = field(default_factory=dict)
    shown: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """By PSN of a READ that the host answers: where it put what, just before."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of the trace."""

    number: int
    sender: str
    packet: Packet
    arrived: bool

    @property
    def response(self) -> bool:
        """Answers something."""
        return self.packet.shape is not None and self.packet.shape.kind.is_response


def rc_frames(trace: Trace) -> Iterator[Heard]:
    """The frames of reliable connections, as delivered."""
    numbers = [n for n, _ in trace.roce]
    for number, (sender, packet, arrived) in zip(numbers, as_delivered(trace), strict=True):
        if packet.bth.opcode < 0x20:
            yield Heard(number, sender, packet, arrived)


def station(trace: Trace, name: str) -> Station:
    """A host of a trace."""
    if any(line.startswith(f"{name}> rts") for line in trace.info["transcript"]):
        return _from_transcript(trace, name)
    return _from_frames(trace, name)


def _from_transcript(trace: Trace, name: str) -> Station:
    host = Host(trace, name)
    qps = {qp.config.qpn: qp for qp in host.qps.values()}
    for qp in qps.values():
        qp.config.path = _path(trace, name, qp.config.dest_qpn) or qp.config.path
    works: dict[int, list[SendWork]] = {qpn: [] for qpn in qps}
    for queue, work in host.works:
        works[host.qps[queue].config.qpn].append(work)
    return Station(name, host.peer, [host.region], qps, works)


def _path(trace: Trace, name: str, dest_qpn: int) -> object | None:
    """How frames of this queue pair looked below the transport."""
    frames = [decode(f) for _, f in trace.roce if (f[6:12] == MAC_A) == (name == "a")]
    return next((p.path for p in frames if p.bth.dest_qp == dest_qpn), None)


# ------------------------------------------------------------ traces without a transcript


class _Ground:
    """Memory given out piece by piece."""

    def __init__(self, address: int) -> None:
        self.address, self.data = address, bytearray()

    def take(self, content: bytes) -> tuple[Sge, ...]:
        """A place that holds these bytes; never at a round address."""
        self.data += bytes(3)
        at = self.address + len(self.data)
        self.data += content
        return (Sge(at, len(content), LOCAL_KEY),)


def _from_frames(trace: Trace, name: str) -> Station:
    heard = list(rc_frames(trace))
    mine = [h.packet for h in heard if h.sender == name]
    theirs = [h.packet for h in heard if h.sender != name]
    peer, ground = Peer(), _Ground(0x7000_0000)
    made = Station(name, peer, [], {})
    for region in _asked_for(theirs):
        made.regions.append(peer.memory.register(region.data, region.address, REMOTE | 1,
                                                 key=region.key))  # fmt: skip
    made.shown = _shown(theirs, mine)
    receives: list[tuple[int, RecvWork]] = []
    for qpn, dest in _pairs(mine, theirs):
        out = [p for p in mine if p.bth.dest_qp == dest]
        into = [p for p in theirs if p.bth.dest_qp == qpn]
        config = QpConfig(
            qpn, dest, out[0].path, pmtu=trace.info["mtu"] or CM_MTU,
            sq_psn=_first_request(out), rq_psn=_first_request(into),
        )  # fmt: skip
        made.works[qpn] = list(_works(out, into, ground))
        sizes = _message_sizes(into)
        receives += [(qpn, RecvWork(0, ground.take(bytes(size)))) for size in sizes]
        made.qps[qpn] = peer.create_qp(config)
    region = peer.memory.register(ground.data or bytearray(64), ground.address, key=LOCAL_KEY)
    made.regions.append(region)
    for qpn, work in receives:
        peer.post_recv(qpn, work)
    return made


def _pairs(mine: list[Packet], theirs: list[Packet]) -> list[tuple[int, int]]:
    """Own and other number of each queue pair; a connection has one UDP port in both directions."""
    there = {p.path.sport: p.bth.dest_qp for p in mine}
    here = {p.path.sport: p.bth.dest_qp for p in theirs}
    return [(here[port], there[port]) for port in there]


def _requests(packets: list[Packet]) -> list[Packet]:
    return [p for p in packets if p.shape and not p.shape.kind.is_response]


def _first_request(packets: list[Packet]) -> int:
    requests = _requests(packets)
    return requests[0].bth.psn if requests else 0


def _messages(packets: list[Packet]) -> Iterator[list[Packet]]:
    message: list[Packet] = []
    for packet in _requests(packets):
        message.append(packet)
        if packet.shape and packet.shape.part in (Part.LAST, Part.ONLY):
            yield message
            message = []


def _message_sizes(packets: list[Packet]) -> Iterator[int]:
    for message in _messages(packets):
        if message[0].shape and message[0].shape.kind is Kind.SEND:
            yield sum(len(p.payload) for p in message)


def _works(out: list[Packet], into: list[Packet], ground: _Ground) -> Iterator[SendWork]:
    ops = {Kind.SEND: WrOp.SEND, Kind.WRITE: WrOp.WRITE, Kind.READ: WrOp.READ}
    for number, message in enumerate(_messages(out)):
        first, last = message[0], message[-1]
        assert first.shape
        op = ops[first.shape.kind]
        reth = first.reth
        content = b"".join(p.payload for p in message)
        if op is WrOp.READ:
            assert reth
            content = bytes(reth.length)
        yield SendWork(
            op, number, ground.take(content), imm=last.imm, invalidate=last.ieth,
            remote_address=reth.va if reth else 0, remote_key=reth.key if reth else 0,
            solicited=last.bth.solicited,
        )  # fmt: skip


def _asked_for(theirs: list[Packet]) -> Iterator[Region]:
    """What the other side reached by remote keys."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for packet in _requests(theirs):
        if packet.reth:
            reth = packet.reth
            spans.setdefault(reth.key, []).append((reth.va, reth.va + reth.length))
    for key, pieces in spans.items():
        start = min(at for at, _ in pieces) & -PAGE
        yield Region(key, bytearray(max(end for _, end in pieces) - start), start, REMOTE, 1)


def _shown(theirs: list[Packet], mine: list[Packet]) -> dict[int, tuple[int, bytes]]:
    """What the host's memory must hold when a READ of the other side comes, each of one packet."""
    read = {p.bth.psn: p.payload for p in mine if p.shape and p.shape.kind is Kind.READ_RESPONSE}
    found = {}
    for packet in _requests(theirs):
        if packet.reth and packet.bth.psn in read:
            assert len(read[packet.bth.psn]) == packet.reth.length
            found[packet.bth.psn] = (packet.reth.va, read[packet.bth.psn])
    return found


def place_answers(host: Station, qpn: int, packet: Packet) -> None:
    """Let the model's memory hold what a response brought."""
    qp = host.qps[qpn]
    first = qp.config.sq_psn
    for work in host.works[qpn]:
        one = work.op in (WrOp.CMP_SWAP, WrOp.FETCH_ADD)
        count = 1 if one else max(1, -(-work.length // qp.config.pmtu))
        index = (packet.bth.psn - first) & 0xFFFFFF
        if index < count:
            content = packet.payload
            if packet.atomic_ack is not None:
                content = packet.atomic_ack.to_bytes(8, "little")
            host.peer.memory.scatter(work.sges, index * qp.config.pmtu, content, 1)
            return
        first = psn_add(first, count)


def with_keys(packet: Packet, keys: dict[int, int]) -> Packet:
    """The packet with other remote keys."""
    if packet.reth and packet.reth.key in keys:
        packet = replace(packet, reth=replace(packet.reth, key=keys[packet.reth.key]))
    if packet.ieth in keys:
        packet = replace(packet, ieth=keys[packet.ieth])
    return packet
