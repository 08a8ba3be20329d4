"""RoCEv2 packets as values: their headers, and why one may be dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from tb.model.opcodes import OPCODES, Shape, name_of

PSN_MASK = 0xFFFFFF
NO_CREDIT_LIMIT = 0x1F


class Drop(Enum):
    """Why a frame was not acted on."""

    NOT_ROCE = "another EtherType, protocol or UDP port"
    DOUBLE_TAG = "more than one VLAN tag"
    TRUNCATED = "the frame ends before its headers or before its IP length"
    IP_VERSION = "IP version disagrees with the EtherType"
    IP_OPTIONS = "IPv4 header longer than 20 bytes"
    IP_FRAGMENT = "IPv4 fragment"
    IP_CHECKSUM = "IPv4 header checksum"
    UDP_LENGTH = "UDP length disagrees with the IP length, or is no multiple of four"
    TOO_SHORT = "no room for the headers and pad of the opcode"
    BAD_ICRC = "ICRC"
    BTH_VERSION = "transport header version"
    OPCODE_CLASS = "transport class that no device here speaks"
    UNKNOWN_QP = "no such queue pair"
    WRONG_TRANSPORT = "transport class is not that of the queue pair"
    QP_STATE = "queue pair state does not allow it"
    WRONG_ADDRESS = "addresses are not those of the connection"
    P_KEY = "partition key"
    Q_KEY = "queue key"
    GHOST = "response to nothing outstanding"
    AETH = "reserved acknowledge type or code"
    OUT_OF_ORDER = "ahead of the expected PSN, a NAK already stands"
    STALE = "duplicate that is not remembered or does not match"
    DUPLICATE = "duplicate that asks for no answer"
    RESPONSE_OUT_OF_ORDER = "response after a lost one, a retry is under way"
    FRAME_ERROR = "marked bad by the MAC"


class DecodeError(ValueError):
    """The frame says nothing that may be acted on."""

    def __init__(self, reason: Drop, detail: str = "") -> None:
        super().__init__(f"{reason.value}{': ' if detail else ''}{detail}")
        self.reason = reason


class AethType(IntEnum):
    """Bits 6:5 of the syndrome."""

    ACK = 0
    RNR = 1
    RESERVED = 2
    NAK = 3


class Nak(IntEnum):
    """Syndromes of a NAK."""

    SEQUENCE = 0x60
    INVALID_REQUEST = 0x61
    REMOTE_ACCESS = 0x62
    REMOTE_OPERATION = 0x63


@dataclass(frozen=True, slots=True)
class Path:
    """Everything below the BTH, as the sender chose it or the receiver saw it."""

    src_mac: bytes = b"\x02\0\0\0\0\x01"
    dst_mac: bytes = b"\x02\0\0\0\0\x02"
    src_ip: bytes = b"\x0a\0\0\x01"
    dst_ip: bytes = b"\x0a\0\0\x02"
    vlan: int | None = None  # the whole tag control field: PCP, DEI, VID
    traffic_class: int = 0
    hop_limit: int = 64
    flow_label: int = 0
    ident: int = 0
    fragment: int = 0x4000  # don't fragment
    sport: int = 0xC000
    udp_checksum: int = 0

    @property
    def ecn(self) -> int:
        """The two ECN bits; 3 is Congestion Experienced."""
        return self.traffic_class & 3


@dataclass(frozen=True, slots=True)
class Bth:
    """Base transport header."""

    opcode: int
    dest_qp: int
    psn: int = 0
    ack_req: bool = False
    solicited: bool = False
    migrated: bool = True
    p_key: int = 0xFFFF
    version: int = 0
    fecn: bool = False
    becn: bool = False
    reserved6: int = 0
    reserved7: int = 0


@dataclass(frozen=True, slots=True)
class Reth:
    """Remote address."""

    va: int
    key: int
    length: int


@dataclass(frozen=True, slots=True)
class Aeth:
    """Acknowledge: syndrome and message sequence number."""

    syndrome: int
    msn: int

    @property
    def type(self) -> AethType:
        """ACK, RNR NAK, NAK or reserved; bit 7 makes it reserved."""
        return AethType.RESERVED if self.syndrome & 0x80 else AethType(self.syndrome >> 5)

    @property
    def value(self) -> int:
        """Credit code, timer code or NAK code."""
        return self.syndrome & 0x1F


@dataclass(frozen=True, slots=True)
class AtomicEth:
    """Atomic operands."""

    va: int
    key: int
    swap_or_add: int
    compare: int = 0


@dataclass(frozen=True, slots=True)
class Deth:
    """Datagram: queue key and source queue pair."""

    q_key: int
    src_qp: int


@dataclass(frozen=True, slots=True)
class Feth:
    """Flush: selectivity and placement."""

    placement: int
    selectivity: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One RoCEv2 packet; the headers that its opcode carries are set, the others are None."""

    bth: Bth
    path: Path = field(default_factory=Path)
    payload: bytes = b""
    reth: Reth | None = None
    aeth: Aeth | None = None
    atomic_eth: AtomicEth | None = None
    atomic_ack: int | None = None
    imm: int | None = None
    ieth: int | None = None
    deth: Deth | None = None
    xrceth: int | None = None
    feth: Feth | None = None
    pad: bytes | None = None  # None: as many zeros as needed

    @property
    def shape(self) -> Shape | None:
        """The opcode's row of the table; None for a reserved opcode."""
        return OPCODES.get(self.bth.opcode)

    def __str__(self) -> str:
        tail = f" psn=0x{self.bth.psn:06x} qp=0x{self.bth.dest_qp:x} len={len(self.payload)}"
        extra = f" syndrome=0x{self.aeth.syndrome:02x} msn={self.aeth.msn}" if self.aeth else ""
        return name_of(self.bth.opcode) + tail + extra
