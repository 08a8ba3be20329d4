"""Two model peers, the wire between them, and a clock that jumps from event to event."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any

from tb.model.headers import Packet, Path
from tb.model.memory import Region
from tb.model.packets import decode, encode
from tb.model.peer import Peer, reverse
from tb.model.qp import QpConfig, QueuePair
from tb.model.verbs import Access, Completion, RecvWork, SendWork, Sge, Status, WrOp

WIRE_NS = 1000
A_BASE, B_BASE = 0x10000, 0x7_0000_0000
PSN = 0x100000  # the first one of a
SEND, WRITE, READ = WrOp.SEND, WrOp.WRITE, WrOp.READ
OK, FLUSHED = Status.SUCCESS, Status.WR_FLUSH_ERR
Verdict = Callable[[str, Packet], list[Packet] | None]


class Pair:
    """Peer `a` and peer `b` with one connected queue pair each, 64 KiB registered on both sides."""

    def __init__(self, size: int = 1 << 16, **config: Any) -> None:
        self.now = 0
        self.a, self.b = Peer(), Peer()
        path = Path(sport=0xC123)
        a_psn, b_psn = config.pop("a_psn", 0x100000), config.pop("b_psn", 0x200000)
        b_config = {**config, **config.pop("b", {})}
        config.pop("b", None)
        b_config.pop("b", None)
        a_config = QpConfig(17, 18, path, sq_psn=a_psn, rq_psn=b_psn, **config)
        self.qa = self.a.create_qp(a_config)
        there = QpConfig(18, 17, reverse(path), sq_psn=b_psn, rq_psn=a_psn, **b_config)
        self.qb = self.b.create_qp(there)
        self.ma = self.a.memory.register(bytearray(random.Random(1).randbytes(size)), A_BASE)
        self.mb = self.b.memory.register(bytearray(random.Random(2).randbytes(size)), B_BASE)
        self.wire: list[tuple[int, int, str, bytes]] = []
        self.log: list[tuple[str, Packet]] = []
        self.verdict: Verdict = lambda way, packet: None
        self._count = 0

    # ------------------------------------------------------------ the wire

    def send(self, way: str, frames: list[bytes]) -> None:
        for frame in frames:
            packet = decode(frame)
            self.log.append((way, packet))
            fate = self.verdict(way, packet)
            for each in [frame] if fate is None else [encode(p) for p in fate]:
                self.inject(way, each)

    def inject(self, way: str, frame: bytes, late: int = 0) -> None:
        self._count += 1
        heappush(self.wire, (self.now + WIRE_NS + late, self._count, way, frame))

    def run(self, until: int = 1 << 62) -> None:
        """Deliver frames and fire timers until nothing is left to happen."""
        for _ in range(200_000):
            times = [self.wire[0][0]] if self.wire else []
            times += [d for d in (self.a.next_deadline(), self.b.next_deadline()) if d is not None]
            if not times or min(times) > until:
                return
            self.now = max(self.now, min(times))
            if self.wire and self.wire[0][0] <= self.now:
                _, _, way, frame = heappop(self.wire)
                if way == "ab":
                    self.send("ba", self.b.receive(frame, self.now))
                else:
                    self.send("ab", self.a.receive(frame, self.now))
            else:
                self.send("ab", self.a.advance(self.now))
                self.send("ba", self.b.advance(self.now))
        raise AssertionError("the pair never comes to rest")

    # ------------------------------------------------------------ the consumers

    def post(self, work: SendWork) -> None:
        self.send("ab", self.a.post_send(17, work, self.now))

    def post_b(self, work: SendWork) -> None:
        self.send("ba", self.b.post_send(18, work, self.now))

    def recv(self, length: int = 4096, wr_id: int = 0, at: int = 0) -> None:
        sges = (Sge(B_BASE + at, length, self.mb.key),) if length else ()
        self.b.post_recv(18, RecvWork(wr_id, sges))

    def here(self, length: int, at: int = 0) -> tuple[Sge, ...]:
        """Local memory of `a`."""
        return (Sge(A_BASE + at, length, self.ma.key),)

    def there(self, at: int = 0, key: int | None = None) -> dict[str, int]:
        """Remote memory on `b`, as fields of a work request."""
        return {
            "remote_address": B_BASE + at,
            "remote_key": self.mb.key if key is None else key,
        }

    def opcodes(self, way: str) -> list[int]:
        return [packet.bth.opcode for w, packet in self.log if w == way]

    def sent(self, way: str) -> list[Packet]:
        return [packet for w, packet in self.log if w == way]


def statuses(qp: QueuePair) -> list[tuple[int, Status]]:
    """Work request and status of each completion."""
    return [(c.wr_id, c.status) for c in qp.completions]


def last(qp: QueuePair) -> Completion:
    """The latest completion."""
    return qp.completions[-1]


def lose(way: str, fits: Callable[[Packet], bool], count: int = 1, skip: int = 0) -> Verdict:
    """A verdict that loses some of the packets that fit."""
    seen = 0

    def verdict(where: str, packet: Packet) -> list[Packet] | None:
        nonlocal seen
        if where != way or not fits(packet):
            return None
        seen += 1
        return [] if skip < seen <= skip + count else None

    return verdict


__all__ = ["Access", "Pair", "Region", "last", "lose", "replace", "statuses"]


def syndromes(pair: Pair, way: str = "ba") -> list[int]:
    """The syndromes of the acknowledges that were sent."""
    return [packet.aeth.syndrome for packet in pair.sent(way) if packet.aeth]
