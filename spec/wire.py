"""Headers as they go on the wire, and the one table that knows what every BTH opcode means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from spec.fields import Record, WireRecord, auto, coded, wire

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_IPV6 = 0x86DD
IP_PROTOCOL_UDP = 17
UDP_PORT_ROCE = 4791
PKEY_DEFAULT = 0xFFFF
GSI_QPN = 1
GSI_QKEY = 0x80010000
MULTICAST_QPN = 0xFFFFFF
ICRC_BYTES = 4

CONSTANT_WIDTHS = {
    "ETHERTYPE_IPV4": 16,
    "ETHERTYPE_ARP": 16,
    "ETHERTYPE_VLAN": 16,
    "ETHERTYPE_IPV6": 16,
    "IP_PROTOCOL_UDP": 8,
    "UDP_PORT_ROCE": 16,
    "PKEY_DEFAULT": 16,
    "GSI_QPN": 24,
    "GSI_QKEY": 32,
    "MULTICAST_QPN": 24,
    "ICRC_BYTES": 16,
}
"""Bits of each constant above in the RTL."""


@dataclass(frozen=True, slots=True)
class Ethernet(WireRecord):
    """Ethernet II header."""

    dst: int = wire(48, "destination MAC")
    src: int = wire(48, "source MAC")
    ethertype: int = wire(16, "what follows")


@dataclass(frozen=True, slots=True)
class VlanTag(WireRecord):
    """802.1Q tag behind ethertype 0x8100."""

    pcp: int = wire(3, "priority")
    dei: int = wire(1, "drop eligible")
    vid: int = wire(12, "VLAN; 0 is a priority tag only")
    ethertype: int = wire(16, "what follows")


@dataclass(frozen=True, slots=True)
class Ipv4(WireRecord):
    """IPv4 header without options."""

    version: int = wire(4, "4", default=4)
    ihl: int = wire(4, "header words", default=5)
    dscp: int = wire(6, "traffic class")
    ecn: int = wire(2, "congestion bits")
    total_length: int = wire(16, "bytes from this header on")
    identification: int = wire(16, "any")
    reserved: int = wire(1, "0")
    df: int = wire(1, "do not fragment")
    mf: int = wire(1, "more fragments")
    fragment_offset: int = wire(13, "0 unless fragmented")
    ttl: int = wire(8, "hop limit", default=64)
    protocol: int = wire(8, "17 for UDP")
    checksum: int = wire(16, "of this header")
    src: int = wire(32, "source address")
    dst: int = wire(32, "destination address")


@dataclass(frozen=True, slots=True)
class Ipv6(WireRecord):
    """IPv6 header without extension headers."""

    version: int = wire(4, "6", default=6)
    dscp: int = wire(6, "traffic class")
    ecn: int = wire(2, "congestion bits")
    flow_label: int = wire(20, "flow label")
    payload_length: int = wire(16, "bytes behind this header")
    next_header: int = wire(8, "17 for UDP")
    hop_limit: int = wire(8, "hop limit", default=64)
    src: int = wire(128, "source address")
    dst: int = wire(128, "destination address")


@dataclass(frozen=True, slots=True)
class Udp(WireRecord):
    """UDP header."""

    src_port: int = wire(16, "entropy for ECMP, constant per connection")
    dst_port: int = wire(16, "4791")
    length: int = wire(16, "this header to ICRC")
    checksum: int = wire(16, "0 on transmit, ignored on receive")


@dataclass(frozen=True, slots=True)
class Bth(WireRecord):
    """Base Transport Header."""

    opcode: int = wire(8, "transport class and operation")
    se: int = wire(1, "solicited event")
    migreq: int = wire(1, "path migrated")
    pad: int = wire(2, "pad bytes behind the payload")
    tver: int = wire(4, "0")
    pkey: int = wire(16, "partition")
    fecn: int = wire(1, "congestion on the forward path")
    becn: int = wire(1, "congestion notification")
    reserved_a: int = wire(6, "0, not in the ICRC")
    dest_qp: int = wire(24, "destination queue pair")
    ackreq: int = wire(1, "requester wants an acknowledge")
    reserved_b: int = wire(7, "0, in the ICRC")
    psn: int = wire(24, "packet sequence number")


@dataclass(frozen=True, slots=True)
class Reth(WireRecord):
    """RDMA Extended Transport Header."""

    va: int = wire(64, "virtual address")
    rkey: int = wire(32, "remote token")
    length: int = wire(32, "bytes of the whole message")


@dataclass(frozen=True, slots=True)
class Aeth(WireRecord):
    """Acknowledge Extended Transport Header."""

    reserved: int = wire(1, "0")
    kind: int = wire(2, "AethType")
    value: int = wire(5, "credit, timer or NAK code")
    msn: int = wire(24, "messages completed")


@dataclass(frozen=True, slots=True)
class AtomicEth(WireRecord):
    """Atomic Extended Transport Header."""

    va: int = wire(64, "virtual address, multiple of 8")
    rkey: int = wire(32, "remote token")
    swap_add: int = wire(64, "value to store or to add")
    compare: int = wire(64, "value to compare with")


@dataclass(frozen=True, slots=True)
class AtomicAckEth(WireRecord):
    """Atomic Acknowledge Extended Transport Header."""

    original: int = wire(64, "value before the operation")


@dataclass(frozen=True, slots=True)
class ImmDt(WireRecord):
    """Immediate data."""

    data: int = wire(32, "as given by the sender")


@dataclass(frozen=True, slots=True)
class Ieth(WireRecord):
    """Invalidate Extended Transport Header."""

    rkey: int = wire(32, "token to invalidate")


@dataclass(frozen=True, slots=True)
class Deth(WireRecord):
    """Datagram Extended Transport Header."""

    qkey: int = wire(32, "queue key")
    reserved: int = wire(8, "0")
    src_qp: int = wire(24, "source queue pair")


@dataclass(frozen=True, slots=True)
class XrcEth(WireRecord):
    """XRC Extended Transport Header."""

    reserved: int = wire(8, "0")
    srqn: int = wire(24, "shared receive queue")


@dataclass(frozen=True, slots=True)
class Feth(WireRecord):
    """Flush Extended Transport Header."""

    reserved: int = wire(26, "0")
    sel: int = wire(2, "0 memory range, 1 whole region")
    plt: int = wire(4, "bit 0 global visibility, bit 1 persistence")


@coded(3)
class Transport(IntEnum):
    """Bits 7:5 of the opcode."""

    RC = 0
    UC = 1
    RD = 2
    UD = 3
    CNP = 4
    XRC = 5


@coded(4)
class PacketKind(IntEnum):
    """What a packet does, whatever its transport and its place in the message."""

    NONE = 0
    SEND = 1
    WRITE = 2
    READ = 3
    READ_RESPONSE = 4
    ACK = 5
    ATOMIC = 6
    ATOMIC_ACK = 7
    FLUSH = 8
    ATOMIC_WRITE = 9
    CNP = 10


@coded(5)
class Operation(IntEnum):
    """Bits 4:0 of the opcode, alike in every transport."""

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
    ACKNOWLEDGE = 0x11
    ATOMIC_ACKNOWLEDGE = 0x12
    COMPARE_SWAP = 0x13
    FETCH_ADD = 0x14
    SEND_LAST_INV = 0x16
    SEND_ONLY_INV = 0x17
    FLUSH = 0x1C
    ATOMIC_WRITE = 0x1D


@dataclass(frozen=True, slots=True)
class OpcodeInfo(Record):
    """What an opcode says; all zero for an opcode that does not exist."""

    valid: bool = auto(1, "the opcode exists", default=False)
    transport: Transport = auto(Transport, "service")
    kind: PacketKind = auto(PacketKind, "what the packet does")
    request: bool = auto(1, "goes to a responder", default=False)
    response: bool = auto(1, "goes to a requester", default=False)
    first: bool = auto(1, "first of several packets", default=False)
    middle: bool = auto(1, "neither first nor last", default=False)
    last: bool = auto(1, "last of several packets", default=False)
    only: bool = auto(1, "the whole message", default=False)
    takes_wqe: bool = auto(1, "takes a receive WQE", default=False)
    payload: bool = auto(1, "may carry payload", default=False)
    payload_full: bool = auto(1, "carries exactly PMTU bytes", default=False)
    payload_empty: bool = auto(1, "may carry nothing", default=False)
    xrceth: bool = auto(1, "has an XRCETH", default=False)
    deth: bool = auto(1, "has a DETH", default=False)
    feth: bool = auto(1, "has a FETH", default=False)
    reth: bool = auto(1, "has a RETH", default=False)
    atomiceth: bool = auto(1, "has an AtomicETH", default=False)
    immdt: bool = auto(1, "has immediate data", default=False)
    ieth: bool = auto(1, "has an IETH", default=False)
    aeth: bool = auto(1, "has an AETH", default=False)
    atomicacketh: bool = auto(1, "has an AtomicAckETH", default=False)
    header_bytes: int = auto(6, "bytes between BTH and payload")


HEADERS: dict[str, type[WireRecord]] = {
    "xrceth": XrcEth,
    "deth": Deth,
    "feth": Feth,
    "reth": Reth,
    "atomiceth": AtomicEth,
    "immdt": ImmDt,
    "ieth": Ieth,
    "aeth": Aeth,
    "atomicacketh": AtomicAckEth,
}
"""Extension headers by their flag in OpcodeInfo, in the order they stand in a packet."""


class _Row(NamedTuple):
    """One line of the opcode table."""

    kind: PacketKind
    place: str  # first, middle, last, only
    payload: str  # full: PMTU; some: 1..PMTU; any: 0..PMTU; none
    headers: str = ""
    takes_wqe: bool = False


_K = PacketKind
_ROWS: dict[Operation, _Row] = {
    Operation.SEND_FIRST: _Row(_K.SEND, "first", "full", "", True),
    Operation.SEND_MIDDLE: _Row(_K.SEND, "middle", "full"),
    Operation.SEND_LAST: _Row(_K.SEND, "last", "some"),
    Operation.SEND_LAST_IMM: _Row(_K.SEND, "last", "some", "immdt"),
    Operation.SEND_ONLY: _Row(_K.SEND, "only", "any", "", True),
    Operation.SEND_ONLY_IMM: _Row(_K.SEND, "only", "any", "immdt", True),
    Operation.WRITE_FIRST: _Row(_K.WRITE, "first", "full", "reth"),
    Operation.WRITE_MIDDLE: _Row(_K.WRITE, "middle", "full"),
    Operation.WRITE_LAST: _Row(_K.WRITE, "last", "some"),
    Operation.WRITE_LAST_IMM: _Row(_K.WRITE, "last", "some", "immdt", True),
    Operation.WRITE_ONLY: _Row(_K.WRITE, "only", "any", "reth"),
    Operation.WRITE_ONLY_IMM: _Row(_K.WRITE, "only", "any", "reth immdt", True),
    Operation.READ_REQUEST: _Row(_K.READ, "only", "none", "reth"),
    Operation.READ_RESPONSE_FIRST: _Row(_K.READ_RESPONSE, "first", "full", "aeth"),
    Operation.READ_RESPONSE_MIDDLE: _Row(_K.READ_RESPONSE, "middle", "full"),
    Operation.READ_RESPONSE_LAST: _Row(_K.READ_RESPONSE, "last", "some", "aeth"),
    Operation.READ_RESPONSE_ONLY: _Row(_K.READ_RESPONSE, "only", "any", "aeth"),
    Operation.ACKNOWLEDGE: _Row(_K.ACK, "only", "none", "aeth"),
    Operation.ATOMIC_ACKNOWLEDGE: _Row(_K.ATOMIC_ACK, "only", "none", "aeth atomicacketh"),
    Operation.COMPARE_SWAP: _Row(_K.ATOMIC, "only", "none", "atomiceth"),
    Operation.FETCH_ADD: _Row(_K.ATOMIC, "only", "none", "atomiceth"),
    Operation.SEND_LAST_INV: _Row(_K.SEND, "last", "some", "ieth"),
    Operation.SEND_ONLY_INV: _Row(_K.SEND, "only", "any", "ieth", True),
    Operation.FLUSH: _Row(_K.FLUSH, "only", "none", "feth reth"),
    Operation.ATOMIC_WRITE: _Row(_K.ATOMIC_WRITE, "only", "some", "reth"),
}

_RESPONSES = {PacketKind.READ_RESPONSE, PacketKind.ACK, PacketKind.ATOMIC_ACK}
_UD = (Operation.SEND_ONLY, Operation.SEND_ONLY_IMM)
CNP = 0x81


def _explain(transport: Transport, row: _Row) -> OpcodeInfo:
    response = row.kind in _RESPONSES
    flags = set(row.headers.split())
    if transport is Transport.XRC and not response:
        flags.add("xrceth")
    if transport is Transport.UD:
        flags.add("deth")
    return OpcodeInfo(
        valid=True,
        transport=transport,
        kind=row.kind,
        request=not response and row.kind is not PacketKind.CNP,
        response=response,
        takes_wqe=row.takes_wqe,
        payload=row.payload != "none",
        payload_full=row.payload == "full",
        payload_empty=row.payload in ("any", "none"),
        header_bytes=sum(HEADERS[flag].WIDTH for flag in flags) // 8,
        **{row.place: True},
        **dict.fromkeys(flags, True),
    )


def _opcodes() -> Iterator[tuple[str, int, OpcodeInfo]]:
    """Every opcode that exists: name, value, meaning."""
    for transport in (Transport.RC, Transport.UC, Transport.UD, Transport.XRC):
        for operation, row in _ROWS.items():
            if transport is Transport.UC and operation > Operation.WRITE_ONLY_IMM:
                continue
            if transport is Transport.UD and operation not in _UD:
                continue
            value = transport << 5 | operation
            yield f"{transport.name}_{operation.name}", value, _explain(transport, row)
    yield "CNP", CNP, _explain(Transport.CNP, _Row(PacketKind.CNP, "only", "any"))


OPCODES: dict[int, OpcodeInfo] = {value: meaning for _, value, meaning in _opcodes()}
OPCODE_NAMES: dict[int, str] = {value: name for name, value, _ in _opcodes()}
"""``RC_SEND_ONLY`` and so on, by value."""


def opcode_info(opcode: int) -> OpcodeInfo:
    """What an opcode means."""
    return OPCODES.get(opcode, OpcodeInfo())


def extension_headers(opcode: int) -> tuple[type[WireRecord], ...]:
    """Headers that stand between BTH and payload, in order."""
    meaning = opcode_info(opcode)
    return tuple(header for flag, header in HEADERS.items() if getattr(meaning, flag))


RNR_TIMER_10US = (
    65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536,
    2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
)  # fmt: skip
"""RNR NAK timer code -> least wait in units of 10 microseconds."""

CREDITS = (
    0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536,
    2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768,
)  # fmt: skip
"""AETH credit code -> receive WQEs that are posted; code 31 means unlimited."""
