"""Work requests as a driver would write them, and the packets that the transport asks for.

The second opinion of the queue and requester tests: plain Python after rocev2 2 and 3, which knows
nothing of how the design goes about it.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field, replace
from typing import Any

from spec.codes import Access, CqeStatus
from spec.layouts import FastRegWqe, Sge, SqWqe, WqeFlag, WrOp
from spec.streams import KeyOp, MsgKind, SegKind, TxPacket

SENDS = (WrOp.SEND, WrOp.SEND_IMM, WrOp.SEND_INV)
WRITES = (WrOp.WRITE, WrOp.WRITE_IMM)
ATOMICS = (WrOp.CMP_SWAP, WrOp.FETCH_ADD)
LOCAL = (WrOp.LOCAL_INV, WrOp.FAST_REG, WrOp.NOP)
HAS_IMM = (0x03, 0x05, 0x09, 0x0B, 0x16, 0x17)
HAS_RETH = (0x06, 0x0A, 0x0B, 0x0C)

# First, Middle, Last, Only (rocev2 2.1).
OPCODES = {
    WrOp.SEND: (0x00, 0x01, 0x02, 0x04),
    WrOp.SEND_IMM: (0x00, 0x01, 0x03, 0x05),
    WrOp.SEND_INV: (0x00, 0x01, 0x16, 0x17),
    WrOp.WRITE: (0x06, 0x07, 0x08, 0x0A),
    WrOp.WRITE_IMM: (0x06, 0x07, 0x09, 0x0B),
}

Beat = dict[str, Any]


@dataclass
class Work:
    """One send queue entry."""

    op: int = WrOp.SEND
    flags: int = WqeFlag.SIGNALED
    sges: list[tuple[int, int, int]] = field(default_factory=list)
    inline: bytes = b""
    imm: int = 0
    remote_addr: int = 0
    rkey: int = 0
    wr_id: int = 0
    swap: int = 0
    compare: int = 0
    register: FastRegWqe | None = None
    change: dict[str, int] = field(default_factory=dict)
    """Fields of the head that lie."""

    @property
    def length(self) -> int:
        """Bytes of the message."""
        if self.flags & WqeFlag.INLINE:
            return len(self.inline)
        return sum(length for _, length, _ in self.sges)

    @property
    def blocks(self) -> int:
        """64-byte blocks that the entry takes."""
        if self.flags & WqeFlag.INLINE:
            return 1 + -(-max(0, len(self.inline) - 32) // 64)
        return 1 + -(-max(0, len(self.sges) - 2) // 4)

    def encode(self, index: int) -> list[bytes]:
        """The blocks, for this place in the ring."""
        if self.op in (WrOp.LOCAL_INV, WrOp.FAST_REG) and self.register:
            record = replace(
                self.register, opcode=WrOp(self.op), flags=WqeFlag(self.flags), blocks=1,
                index=index & 0xFFFF, wr_id=self.wr_id,
            )  # fmt: skip
            return [record.pack()]
        values: dict[str, Any] = {
            "opcode": self.op, "flags": self.flags, "blocks": self.blocks, "index": index & 0xFFFF,
            "num_sge": len(self.sges), "length": self.length, "imm": self.imm,
            "remote_addr": self.remote_addr, "rkey": self.rkey, "wr_id": self.wr_id, "data": 0,
        }  # fmt: skip
        values |= self.change
        tail = b"".join(Sge(addr=a, length=n, token=t).pack() for a, n, t in self.sges)
        if self.flags & WqeFlag.INLINE:
            tail = self.inline
        if self.op in ATOMICS:
            tail = tail[:16] + self.swap.to_bytes(8, "little") + self.compare.to_bytes(8, "little")
        head = bytearray(SqWqe(**values).pack())
        head[32:64] = tail[:32].ljust(32, b"\0")
        rest = tail[32:]
        return [
            bytes(head),
            *(rest[at : at + 64].ljust(64, b"\xa5") for at in range(0, len(rest), 64)),
        ]

    def psns(self, mtu: int) -> int:
        """PSNs that it takes."""
        if self.op in LOCAL:
            return 0
        if self.op in ATOMICS:
            return 1
        return max(1, -(-self.length // mtu))

    def kind(self) -> MsgKind:
        """How it completes."""
        if self.op in LOCAL:
            return MsgKind.LOCAL
        if self.op in WRITES:
            return MsgKind.WRITE
        if self.op in ATOMICS:
            return MsgKind.ATOMIC
        return MsgKind.READ if self.op == WrOp.READ else MsgKind.SEND

    def takes_receive(self) -> bool:
        """Whether it takes one of the peer's receives."""
        return self.op in SENDS or self.op == WrOp.WRITE_IMM

    def counts_as_read(self) -> bool:
        """Whether it takes part of the read limit."""
        return self.op == WrOp.READ or self.op in ATOMICS

    def beats(self, qpn: int, msg_idx: int, psn: int, mtu: int, pd: int) -> list[Beat]:
        """Every beat of every packet."""
        common = {"qpn": qpn, "msg_idx": msg_idx & 0xFFFF, "local_op": int(self.op in LOCAL)}
        if self.op in LOCAL:
            return [common | self._local(pd)]
        if self.counts_as_read():
            return [common | self._read(psn)]
        beats = []
        count = self.psns(mtu)
        pieces = self._cut(mtu)
        for number in range(count):
            head = self._head(number, count, (psn + number) & 0xFFFFFF, mtu)
            for place, piece in enumerate(pieces[number]):
                beat = (
                    common
                    | piece
                    | {
                        "first": int(place == 0),
                        "last": int(place == len(pieces[number]) - 1),
                        "pd": pd if piece["kind"] == SegKind.KEY else None,
                    }
                )
                beats.append(beat | head if place == 0 else beat)
        return beats

    def _head(self, number: int, count: int, psn: int, mtu: int) -> Beat:
        last = number == count - 1
        names = OPCODES[WrOp(self.op)]
        if count == 1:
            opcode = names[3]
        else:
            opcode = names[0] if number == 0 else names[2] if last else names[1]
        every = min(64, 0x10000 // mtu)
        may_solicit = last and self.op != WrOp.WRITE
        head = {
            "opcode": opcode,
            "psn": psn,
            "ack_req": int(last or number % every == every - 1),
            "solicited": int(may_solicit and bool(self.flags & WqeFlag.SOLICITED)),
            "payload_len": min(mtu, self.length - number * mtu),
        }
        if opcode in HAS_IMM:
            head["imm"] = self.imm
        if opcode in HAS_RETH:
            head["reth"] = (self.remote_addr, self.rkey, self.length)
        return head

    def _cut(self, mtu: int) -> list[list[Beat]]:
        """The pieces of each packet: byte by byte would be the definition, this is its shortcut."""
        if self.length == 0:
            return [[{"kind": SegKind.NONE, "length": 0}]]
        if self.flags & WqeFlag.INLINE:
            return [[{"kind": SegKind.INLINE, "length": self.length, "bytes": self.inline}]]
        edges = set(range(0, self.length, mtu))
        start = 0
        places = []
        for addr, length, token in self.sges:
            places.append((start, start + length, addr, token))
            start += length
            edges.add(start)
        edges.add(self.length)
        order = sorted(edges)
        packets: list[list[Beat]] = [[] for _ in range(self.psns(mtu))]
        for low, high in itertools.pairwise(order):
            begin, _, addr, token = next(p for p in places if p[0] <= low < p[1])
            packets[low // mtu].append(
                {
                    "kind": SegKind.KEY,
                    "length": high - low,
                    "va": (addr + low - begin) & 0xFFFF_FFFF_FFFF_FFFF,
                    "token": token,
                    "access": 0,
                }
            )
        return packets

    def _read(self, psn: int) -> Beat:
        beat: Beat = {
            "first": 1, "last": 1, "psn": psn & 0xFFFFFF, "ack_req": 1, "solicited": 0,
            "payload_len": 0, "kind": SegKind.NONE, "length": 0, "pd": None,
        }  # fmt: skip
        if self.op == WrOp.READ:
            return beat | {"opcode": 0x0C, "reth": (self.remote_addr, self.rkey, self.length)}
        compare = self.compare if self.op == WrOp.CMP_SWAP else 0
        return beat | {
            "opcode": 0x13 if self.op == WrOp.CMP_SWAP else 0x14,
            "atomic": (self.remote_addr, self.rkey, self.swap, compare),
        }

    def _local(self, pd: int) -> Beat:
        beat: Beat = {"first": 1, "last": 1}
        if self.op == WrOp.NOP:
            return beat | {"kind": SegKind.NONE, "length": 0, "pd": None, "key": (KeyOp.CHECK, 0)}
        assert self.register is not None
        reg = self.register
        if self.op == WrOp.LOCAL_INV:
            return beat | {"pd": pd, "key": (KeyOp.INVALIDATE, reg.token)}
        shape = reg.direct << 5 | reg.page_shift
        details = (reg.base, int(reg.access), reg.pages, reg.length, shape)
        return beat | {"pd": pd, "key": (KeyOp.REGISTER, reg.token), "register": details}


def observed(pkt: TxPacket, expected: Beat) -> Beat:
    """What a packet says about the things that the expected one has an opinion on."""
    mem = pkt.mem
    said = {
        "reth": (pkt.reth_va, pkt.reth_rkey, pkt.reth_len),
        "atomic": (pkt.reth_va, pkt.reth_rkey, pkt.swap, pkt.compare),
        "kind": mem.kind, "length": mem.length, "va": mem.va, "token": mem.token,
        "pd": mem.pd, "access": mem.access, "key": (mem.op, mem.token),
        "register": (mem.va, int(mem.access), pkt.reth_va, pkt.swap, pkt.reth_len),
    }  # fmt: skip
    seen = {k: said[k] if k in said else getattr(pkt, k) for k in expected if k != "bytes"}
    if expected.get("pd", 0) is None:
        seen["pd"] = None
    if "bytes" in expected:
        seen["bytes"] = expected["bytes"]
    return seen


def random_length(rng: random.Random, mtu: int, most: int) -> int:
    """Lengths that like the edges of packets."""
    near = rng.choice((0, 1, mtu, mtu, 2 * mtu, 3 * mtu, 7 * mtu, rng.randint(0, most)))
    return max(0, min(most, near + rng.choice((-1, 0, 0, 0, 1, rng.randint(-64, 64)))))


def split(rng: random.Random, length: int, pieces: int) -> list[tuple[int, int, int]]:
    """SGEs that add up to a length; some of them may be empty."""
    cuts = sorted(rng.randint(0, length) for _ in range(pieces - 1))
    if rng.random() < 0.3:
        cuts = sorted(rng.choice((0, length, cut)) for cut in cuts)
    edges = [0, *cuts, length]
    return [
        (rng.getrandbits(64), high - low, rng.getrandbits(32))
        for low, high in itertools.pairwise(edges)
    ]


def random_work(rng: random.Random, mtu: int, wr_id: int, most: int = 20_000) -> Work:
    """Any good entry."""
    op = rng.choice([*SENDS, *WRITES, *SENDS, *WRITES, WrOp.READ, WrOp.READ, *ATOMICS, *LOCAL])
    work = Work(
        op=op,
        flags=rng.choice((0, 1)) | rng.choice((0, 0, 0, 2)) | rng.choice((0, 4)),
        imm=rng.getrandbits(32),
        remote_addr=rng.getrandbits(64),
        rkey=rng.getrandbits(32),
        wr_id=wr_id,
        swap=rng.getrandbits(64),
        compare=rng.getrandbits(64),
    )
    if op in LOCAL:
        work.register = FastRegWqe(
            opcode=WrOp(op), flags=WqeFlag(0), blocks=1, access=Access(rng.getrandbits(6)), index=0,
            page_shift=12, direct=rng.getrandbits(1), token=rng.getrandbits(32),
            base=rng.getrandbits(64), wr_id=0, pages=rng.getrandbits(64),
            length=rng.getrandbits(64),
        )  # fmt: skip
    elif op in ATOMICS:
        work.sges = [(rng.getrandbits(64), 8, rng.getrandbits(32))]
    elif op != WrOp.READ and rng.random() < 0.3:
        work.flags |= WqeFlag.INLINE
        work.inline = rng.randbytes(rng.choice((0, 1, 31, 32, 33, 96, 97, 160, 224)))
    else:
        pieces = rng.choice((1, 1, 1, 2, 3, 6, 7, 8) + ((10, 11, 14) if op != WrOp.READ else ()))
        work.sges = split(rng, random_length(rng, mtu, most), pieces)
        if work.length == 0 and rng.random() < 0.5:
            work.sges = []
    return work


@dataclass(frozen=True)
class Expected:
    """A message as the record and the packets must show it."""

    work: Work
    kind: MsgKind
    status: CqeStatus
    sq_first: int
    sq_next: int
