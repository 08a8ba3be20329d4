"""A RoCEv2 host in plain Python: frames and time go in, frames and completions come out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tb.model.headers import DecodeError, Drop, Packet, Path
from tb.model.memory import Memory
from tb.model.packets import decode, encode
from tb.model.qp import QpConfig, QueuePair
from tb.model.verbs import ReceiveQueue, RecvWork, SendWork, State


class Peer:
    """Queue pairs behind one set of addresses; every call that takes a time may return frames."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self.qps: dict[int, QueuePair] = {}
        self.drops: Counter[Drop] = Counter()
        self.received: list[Packet] = []
        self.keep_received = False
        self._ident = 0

    def create_qp(
        self, config: QpConfig, rq: ReceiveQueue | None = None, state: State = State.RTS
    ) -> QueuePair:
        """A connected queue pair."""
        qp = QueuePair(config, self.memory, rq or ReceiveQueue(pd=config.pd), state)
        self.qps[config.qpn] = qp
        return qp

    def receive(self, frame: bytes, now: int) -> list[bytes]:
        """A frame has arrived; the frames to send."""
        try:
            packet = decode(frame)
        except DecodeError as error:
            self.drops[error.reason] += 1
            return []
        if self.keep_received:
            self.received.append(packet)
        qp = self.qps.get(packet.bth.dest_qp)
        if qp is None:
            self.drops[Drop.UNKNOWN_QP] += 1
            return []
        return self.frames(qp.receive(packet, now))

    def post_send(self, qpn: int, work: SendWork, now: int) -> list[bytes]:
        """Post to a send queue; the frames to send."""
        return self.frames(self.qps[qpn].post_send(work, now))

    def post_recv(self, qpn: int, work: RecvWork) -> None:
        """Post to a receive queue."""
        self.qps[qpn].post_recv(work)

    def advance(self, now: int) -> list[bytes]:
        """Time has passed; the frames to send."""
        return self.frames([p for qp in self.qps.values() for p in qp.advance(now)])

    def next_deadline(self) -> int | None:
        """When `advance` has something to do at the earliest."""
        times = [qp.next_deadline for qp in self.qps.values()]
        return min((t for t in times if t is not None), default=None)

    def frames(self, packets: list[Packet]) -> list[bytes]:
        """Encode, with an identification for each IPv4 packet."""
        out = []
        for packet in packets:
            self._ident = (self._ident + 1) & 0xFFFF
            ident = self._ident if len(packet.path.src_ip) == 4 else 0
            out.append(encode(replace(packet, path=replace(packet.path, ident=ident))))
        return out


def reverse(path: Path) -> Path:
    """The same path seen from its other end."""
    return replace(
        path,
        src_mac=path.dst_mac,
        dst_mac=path.src_mac,
        src_ip=path.dst_ip,
        dst_ip=path.src_ip,
    )
