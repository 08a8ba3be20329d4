"""The RoCEv2 opcode table: the headers of an opcode, and its part in a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Transport(IntEnum):
    """Bits 7:5 of the opcode, in place."""

    RC = 0x00
    UC = 0x20
    RD = 0x40
    UD = 0x60
    CNP = 0x80
    XRC = 0xA0


class Op(IntEnum):
    """Bits 4:0 of the opcode."""

    SEND_FIRST = 0x00
    SEND_MIDDLE = 0x01
    SEND_LAST = 0x02
    SEND_LAST_IMM = 0x03
    SEND_ONLY = 0x04
    SEND_ONLY_IMM = 0x05
    WRITE_FIRST = 0x06
    WRITE_MIDDLE = 0x07
    WRITE_LAST = 0x08
    WRITE_LAST_IMM = 0x09
    WRITE_ONLY = 0x0A
    WRITE_ONLY_IMM = 0x0B
    READ_REQUEST = 0x0C
    READ_RESPONSE_FIRST = 0x0D
    READ_RESPONSE_MIDDLE = 0x0E
    READ_RESPONSE_LAST = 0x0F
    READ_RESPONSE_ONLY = 0x10
    ACK = 0x11
    ATOMIC_ACK = 0x12
    CMP_SWAP = 0x13
    FETCH_ADD = 0x14
    SEND_LAST_INV = 0x16
    SEND_ONLY_INV = 0x17
    FLUSH = 0x1C
    ATOMIC_WRITE = 0x1D


class Header(Enum):
    """An extended header; the value is its length in bytes."""

    XRCETH = ("xrceth", 4)
    DETH = ("deth", 8)
    FETH = ("feth", 4)
    RETH = ("reth", 16)
    ATOMIC_ETH = ("atomic_eth", 28)
    AETH = ("aeth", 4)
    ATOMIC_ACK = ("atomic_ack", 8)
    IMM = ("imm", 4)
    IETH = ("ieth", 4)

    @property
    def size(self) -> int:
        """Length on the wire."""
        return self.value[1]


class Part(Enum):
    """Where in its message a packet stands."""

    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"
    ONLY = "only"

    @property
    def starts(self) -> bool:
        """Begins a message."""
        return self in (Part.FIRST, Part.ONLY)

    @property
    def ends(self) -> bool:
        """Ends a message."""
        return self in (Part.LAST, Part.ONLY)


class Kind(Enum):
    """What a packet asks or answers."""

    SEND = "send"
    WRITE = "write"
    READ = "read"
    ATOMIC = "atomic"
    FLUSH = "flush"
    ATOMIC_WRITE = "atomic write"
    READ_RESPONSE = "read response"
    ACK = "ack"
    ATOMIC_ACK = "atomic ack"
    CNP = "cnp"

    @property
    def is_response(self) -> bool:
        """Travels from responder to requester."""
        return self in (Kind.READ_RESPONSE, Kind.ACK, Kind.ATOMIC_ACK)

    @property
    def owes_data(self) -> bool:
        """Is answered by a response of its own, which an ACK cannot stand for."""
        return self in (Kind.READ, Kind.ATOMIC, Kind.FLUSH, Kind.ATOMIC_WRITE)


@dataclass(frozen=True, slots=True)
class Shape:
    """One row of the opcode table."""

    kind: Kind
    part: Part
    headers: tuple[Header, ...]

    @property
    def header_bytes(self) -> int:
        """Bytes between BTH and payload."""
        return sum(header.size for header in self.headers)

    @property
    def takes_receive(self) -> bool:
        """Needs a receive work request in hand to be executed."""
        if self.kind is Kind.SEND:
            return self.part.starts
        return Header.IMM in self.headers


def _rows() -> dict[Op, Shape]:
    first, middle, last, only = Part.FIRST, Part.MIDDLE, Part.LAST, Part.ONLY
    imm, inv, reth, aeth = Header.IMM, Header.IETH, Header.RETH, Header.AETH
    return {
        Op.SEND_FIRST: Shape(Kind.SEND, first, ()),
        Op.SEND_MIDDLE: Shape(Kind.SEND, middle, ()),
        Op.SEND_LAST: Shape(Kind.SEND, last, ()),
        Op.SEND_LAST_IMM: Shape(Kind.SEND, last, (imm,)),
        Op.SEND_ONLY: Shape(Kind.SEND, only, ()),
        Op.SEND_ONLY_IMM: Shape(Kind.SEND, only, (imm,)),
        Op.WRITE_FIRST: Shape(Kind.WRITE, first, (reth,)),
        Op.WRITE_MIDDLE: Shape(Kind.WRITE, middle, ()),
        Op.WRITE_LAST: Shape(Kind.WRITE, last, ()),
        Op.WRITE_LAST_IMM: Shape(Kind.WRITE, last, (imm,)),
        Op.WRITE_ONLY: Shape(Kind.WRITE, only, (reth,)),
        Op.WRITE_ONLY_IMM: Shape(Kind.WRITE, only, (reth, imm)),
        Op.READ_REQUEST: Shape(Kind.READ, only, (reth,)),
        Op.READ_RESPONSE_FIRST: Shape(Kind.READ_RESPONSE, first, (aeth,)),
        Op.READ_RESPONSE_MIDDLE: Shape(Kind.READ_RESPONSE, middle, ()),
        Op.READ_RESPONSE_LAST: Shape(Kind.READ_RESPONSE, last, (aeth,)),
        Op.READ_RESPONSE_ONLY: Shape(Kind.READ_RESPONSE, only, (aeth,)),
        Op.ACK: Shape(Kind.ACK, only, (aeth,)),
        Op.ATOMIC_ACK: Shape(Kind.ATOMIC_ACK, only, (aeth, Header.ATOMIC_ACK)),
        Op.CMP_SWAP: Shape(Kind.ATOMIC, only, (Header.ATOMIC_ETH,)),
        Op.FETCH_ADD: Shape(Kind.ATOMIC, only, (Header.ATOMIC_ETH,)),
        Op.SEND_LAST_INV: Shape(Kind.SEND, last, (inv,)),
        Op.SEND_ONLY_INV: Shape(Kind.SEND, only, (inv,)),
        Op.FLUSH: Shape(Kind.FLUSH, only, (Header.FETH, reth)),
        Op.ATOMIC_WRITE: Shape(Kind.ATOMIC_WRITE, only, (reth,)),
    }


def _table() -> dict[int, Shape]:
    table: dict[int, Shape] = {}
    for op, shape in _rows().items():
        table[Transport.RC | op] = shape
        if op <= Op.WRITE_ONLY_IMM:
            table[Transport.UC | op] = shape
        headers = shape.headers if shape.kind.is_response else (Header.XRCETH, *shape.headers)
        table[Transport.XRC | op] = Shape(shape.kind, shape.part, headers)
    deth, imm = Header.DETH, Header.IMM
    table[Transport.UD | Op.SEND_ONLY] = Shape(Kind.SEND, Part.ONLY, (deth,))
    table[Transport.UD | Op.SEND_ONLY_IMM] = Shape(Kind.SEND, Part.ONLY, (deth, imm))
    table[CNP] = Shape(Kind.CNP, Part.ONLY, ())
    return table


CNP = 0x81
OPCODES: dict[int, Shape] = _table()


def transport_of(opcode: int) -> Transport | None:
    """The transport class, or None for one that no device here speaks."""
    try:
        transport = Transport(opcode & 0xE0)
    except ValueError:
        return None
    return None if transport is Transport.RD else transport


def send_op(part: Part, imm: bool = False, invalidate: bool = False) -> Op:
    """The SEND opcode of a packet; immediate and invalidate count in Last and Only alone."""
    plain = {
        Part.FIRST: Op.SEND_FIRST,
        Part.MIDDLE: Op.SEND_MIDDLE,
        Part.LAST: Op.SEND_LAST,
        Part.ONLY: Op.SEND_ONLY,
    }[part]
    if part.ends and imm:
        return Op(plain + 1)
    if part.ends and invalidate:
        return Op.SEND_LAST_INV if part is Part.LAST else Op.SEND_ONLY_INV
    return plain


def write_op(part: Part, imm: bool = False) -> Op:
    """The WRITE opcode of a packet; immediate counts in Last and Only alone."""
    plain = {
        Part.FIRST: Op.WRITE_FIRST,
        Part.MIDDLE: Op.WRITE_MIDDLE,
        Part.LAST: Op.WRITE_LAST,
        Part.ONLY: Op.WRITE_ONLY,
    }[part]
    return Op(plain + 1) if part.ends and imm else plain


def read_response_op(part: Part) -> Op:
    """The READ RESPONSE opcode of a packet."""
    return {
        Part.FIRST: Op.READ_RESPONSE_FIRST,
        Part.MIDDLE: Op.READ_RESPONSE_MIDDLE,
        Part.LAST: Op.READ_RESPONSE_LAST,
        Part.ONLY: Op.READ_RESPONSE_ONLY,
    }[part]


def part_of(index: int, count: int) -> Part:
    """Where packet `index` of a message of `count` packets stands."""
    if count == 1:
        return Part.ONLY
    if index == 0:
        return Part.FIRST
    return Part.LAST if index == count - 1 else Part.MIDDLE


def name_of(opcode: int) -> str:
    """`RC_SEND_ONLY`, `CNP`, or the number when it has no name."""
    if opcode == CNP:
        return "CNP"
    transport = transport_of(opcode)
    if transport is None or opcode not in OPCODES:
        return f"0x{opcode:02x}"
    return f"{transport.name}_{Op(opcode & 0x1F).name}"
