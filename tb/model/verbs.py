"""What a consumer of a queue pair says and hears: work requests, completions, states, rights."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum, IntFlag

from tb.model.opcodes import Kind

MAX_MESSAGE = 1 << 31
MAX_OUTSTANDING = (1 << 23) - 1


class State(IntEnum):
    """Queue pair states."""

    RESET = 0
    INIT = 1
    RTR = 2
    RTS = 3
    SQD = 4
    SQE = 5
    ERR = 6


class Status(IntEnum):
    """Completion statuses."""

    SUCCESS = 0
    LOC_LEN_ERR = 1
    LOC_QP_OP_ERR = 2
    LOC_PROT_ERR = 4
    WR_FLUSH_ERR = 5
    MW_BIND_ERR = 6
    BAD_RESP_ERR = 7
    REM_INV_REQ_ERR = 9
    REM_ACCESS_ERR = 10
    REM_OP_ERR = 11
    RETRY_EXC_ERR = 12
    RNR_RETRY_EXC_ERR = 13


class Access(IntFlag):
    """Rights of a region, a window or a queue pair."""

    NONE = 0
    LOCAL_WRITE = 1
    REMOTE_WRITE = 2
    REMOTE_READ = 4
    REMOTE_ATOMIC = 8
    MW_BIND = 16
    ZERO_BASED = 32
    FLUSH_GLOBAL = 256
    FLUSH_PERSISTENT = 512
    ALL = 1 | 2 | 4 | 8 | 16 | 256 | 512


class WrOp(Enum):
    """Operations of the send queue that go over the wire."""

    SEND = Kind.SEND
    WRITE = Kind.WRITE
    READ = Kind.READ
    CMP_SWAP = "compare and swap"
    FETCH_ADD = "fetch and add"
    ATOMIC_WRITE = Kind.ATOMIC_WRITE
    FLUSH = Kind.FLUSH

    @property
    def kind(self) -> Kind:
        """What its request packets are."""
        return self.value if isinstance(self.value, Kind) else Kind.ATOMIC

    @property
    def gathers(self) -> bool:
        """Takes its payload from local memory."""
        return self in (WrOp.SEND, WrOp.WRITE, WrOp.ATOMIC_WRITE)


class WcOp(IntEnum):
    """What completed."""

    SEND = 0
    WRITE = 1
    READ = 2
    CMP_SWAP = 3
    FETCH_ADD = 4
    FLUSH = 8
    ATOMIC_WRITE = 9
    RECV = 128
    RECV_WRITE_IMM = 129


class EventKind(Enum):
    """Asynchronous events."""

    COMM_EST = "first request in RTR"
    QP_REQ_ERR = "a request was invalid"
    QP_ACCESS_ERR = "a request had no right"
    QP_FATAL = "local failure"
    SQ_DRAINED = "send queue drained"
    LAST_WQE_REACHED = "last shared receive of this queue pair is complete"


@dataclass(frozen=True, slots=True)
class Sge:
    """Local memory: where, how much, under which key."""

    address: int
    length: int
    key: int


@dataclass(frozen=True, slots=True)
class SendWork:
    """A work request of the send queue."""

    op: WrOp
    wr_id: int = 0
    sges: tuple[Sge, ...] = ()
    inline: bytes | None = None
    remote_address: int = 0
    remote_key: int = 0
    imm: int | None = None
    invalidate: int | None = None
    signaled: bool = True
    solicited: bool = False
    fence: bool = False
    swap_or_add: int = 0
    compare: int = 0
    placement: int = 1
    selectivity: int = 0
    flush_length: int = 0

    @property
    def length(self) -> int:
        """Bytes of the message."""
        if self.inline is not None:
            return len(self.inline)
        if self.op is WrOp.FLUSH:
            return self.flush_length
        return sum(sge.length for sge in self.sges)


@dataclass(frozen=True, slots=True)
class RecvWork:
    """A work request of a receive queue."""

    wr_id: int = 0
    sges: tuple[Sge, ...] = ()

    @property
    def length(self) -> int:
        """Room for so many bytes."""
        return sum(sge.length for sge in self.sges)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a completion queue gets."""

    wr_id: int
    status: Status
    op: WcOp
    qpn: int
    byte_len: int = 0
    imm: int | None = None
    invalidated: int | None = None
    solicited: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An asynchronous event of a queue pair."""

    kind: EventKind
    qpn: int


def psn_diff(a: int, b: int) -> int:
    """How far a is ahead of b, negative when behind, modulo 2^24."""
    return (a - b + 0x800000) % 0x1000000 - 0x800000


def psn_add(psn: int, step: int) -> int:
    """The PSN so many packets later."""
    return (psn + step) & 0xFFFFFF


def packet_count(length: int, pmtu: int) -> int:
    """Packets of a message; an empty one has one."""
    return max(1, -(-length // pmtu))


@dataclass(slots=True, eq=False)
class ReceiveQueue:
    """Receives in post order, of one queue pair or shared by several."""

    shared: bool = False
    pd: int = 1
    works: list[RecvWork] = field(default_factory=list)

    def post(self, work: RecvWork) -> None:
        """Add at the end."""
        self.works.append(work)
