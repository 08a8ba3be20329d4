"""What host and adapter share in memory: queue entries, events, doorbells, admin commands.

All records are little-endian. Ring indices run free (16 bit) and wrap only when an entry is addressed; a phase bit,
toggled on each pass over a ring and starting at 1, says that an entry is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import ClassVar

from spec.codes import Access, CqeStatus, EventType, QpType
from spec.fields import Record, auto, bits, coded

WQE_BLOCK = 64
MAX_WQE_BLOCKS = 4
MAX_SGE = 14
MAX_READ_SGE = 8
MAX_RECV_SGE = 3
MAX_INLINE = 224
MAX_MESSAGE = 1 << 31
PUSH_OFFSET = 0x1_0000
DOORBELL_SPACE = 0x2_0000


class WrOp(IntEnum):
    """Operations of a send queue entry."""

    SEND = 0
    SEND_IMM = 1
    SEND_INV = 2
    WRITE = 3
    WRITE_IMM = 4
    READ = 5
    CMP_SWAP = 6
    FETCH_ADD = 7
    LOCAL_INV = 8
    FAST_REG = 9
    BIND_MW = 10
    NOP = 11


class WqeFlag(IntFlag):
    """Flags of a send queue entry."""

    SIGNALED = 1
    FENCE = 2
    SOLICITED = 4
    INLINE = 8


class CqeOp(IntEnum):
    """What a completion reports."""

    SEND = 0
    WRITE = 1
    READ = 2
    ATOMIC = 3
    LOCAL = 4
    RECV = 8
    RECV_IMM = 9
    RECV_INV = 10
    RECV_WRITE_IMM = 11


class CqeFlag(IntFlag):
    """Flags of a completion."""

    SOLICITED = 1
    IMMEDIATE = 2
    INVALIDATED = 4


@coded(2)
class ArmType(IntEnum):
    """What fires an armed completion queue."""

    NONE = 0
    ANY = 1
    SOLICITED = 2
    ERRORS = 3


@coded(4)
class KeyKind(IntEnum):
    """What a memory key stands for."""

    NONE = 0
    PRIVILEGED = 1
    MR = 2
    FAST_REG = 3
    WINDOW1 = 4
    WINDOW2 = 5


@dataclass(frozen=True, slots=True)
class Sge(Record):
    """One piece of local memory."""

    SIZE: ClassVar[int] = 16
    addr: int = bits(0, 64, "first byte: virtual address of the region, bus address with the privileged token")
    length: int = bits(64, 32, "bytes")
    token: int = bits(96, 32, "local token")


@dataclass(frozen=True, slots=True)
class SqWqe(Record):
    """First block of a send queue entry; blocks 1 to 3 hold four SGEs or 64 inline bytes each."""

    SIZE: ClassVar[int] = 64
    opcode: WrOp = bits(0, 8, "operation")
    flags: WqeFlag = bits(8, 8, "signaled, fence, solicited, inline")
    blocks: int = bits(16, 4, "64-byte blocks of this entry, 1 to 4")
    num_sge: int = bits(20, 4, "SGEs, 0 to 14; 0 with inline data")
    index: int = bits(32, 16, "send queue index of this block; must equal its place in the ring")
    length: int = bits(64, 32, "bytes of the message: the sum of the SGEs, or of the inline data")
    imm: int = bits(96, 32, "immediate data as it goes on the wire (first byte lowest), or token to invalidate")
    remote_addr: int = bits(128, 64, "remote address; FAST_REG: see FastRegWqe; atomics: target")
    rkey: int = bits(192, 32, "remote token")
    wr_id: int = bits(224, 32, "request context, returned in the completion")
    data: int = bits(256, 256, "two SGEs, or the first 32 inline bytes")


@dataclass(frozen=True, slots=True)
class FastRegWqe(Record):
    """Send queue entry that registers a fast-register region, or invalidates a token (LOCAL_INV: token only)."""

    SIZE: ClassVar[int] = 64
    opcode: WrOp = bits(0, 8, "FAST_REG or LOCAL_INV")
    flags: WqeFlag = bits(8, 8, "signaled, fence")
    blocks: int = bits(16, 4, "1")
    access: Access = bits(24, 6, "rights of the registration")
    index: int = bits(32, 16, "send queue index of this block")
    page_shift: int = bits(64, 5, "log2 of the page size, 12 to 30")
    direct: int = bits(69, 1, "pages is the bus address of one contiguous piece, not of a page list")
    token: int = bits(96, 32, "new token (FAST_REG: index of the region, key byte chosen) or token to invalidate")
    base: int = bits(128, 64, "virtual address of the first byte")
    wr_id: int = bits(224, 32, "request context")
    pages: int = bits(256, 64, "bus address of the page list, 8-byte aligned, or of the region when direct")
    length: int = bits(320, 64, "bytes of the region")


@dataclass(frozen=True, slots=True)
class RqWqe(Record):
    """Receive queue entry: up to three SGEs."""

    SIZE: ClassVar[int] = 64
    wr_id: int = bits(0, 32, "request context, returned in the completion")
    num_sge: int = bits(32, 4, "SGEs, 0 to 3")
    index: int = bits(48, 16, "receive queue index of this entry; must equal its place in the ring")
    sge0: Sge = bits(128, Sge, "first SGE")
    sge1: Sge = bits(256, Sge, "second SGE")
    sge2: Sge = bits(384, Sge, "third SGE")


@dataclass(frozen=True, slots=True)
class Cqe(Record):
    """Completion queue entry."""

    SIZE: ClassVar[int] = 32
    wr_id: int = bits(0, 32, "request context of the entry that completed")
    wqe_index: int = bits(32, 16, "send queue: index behind this entry, so everything before it is free; RQ: its index")
    qpn: int = bits(64, 24, "queue pair")
    opcode: CqeOp = bits(88, 8, "what completed")
    byte_len: int = bits(96, 32, "bytes received, read or sent")
    imm: int = bits(128, 32, "immediate data as it came on the wire (first byte lowest), or invalidated token")
    status: CqeStatus = bits(160, 8, "how it ended")
    flags: CqeFlag = bits(168, 8, "solicited, immediate, invalidated")
    syndrome: int = bits(176, 8, "NAK syndrome or detail of an error, for diagnosis")
    phase: int = bits(255, 1, "1 on the first pass over the ring, then toggling")


@dataclass(frozen=True, slots=True)
class Eqe(Record):
    """Event queue entry."""

    SIZE: ClassVar[int] = 16
    number: int = bits(0, 24, "completion queue, queue pair or SRQ")
    event_type: EventType = bits(24, 8, "what happened")
    detail: int = bits(32, 32, "arm sequence number, or code of an error")
    phase: int = bits(127, 1, "1 on the first pass over the ring, then toggling")


class Doorbell(IntEnum):
    """Byte offsets in the doorbell page; a doorbell is one aligned 8-byte write."""

    SQ = 0x00
    RQ = 0x08
    SRQ = 0x10
    CQ = 0x18
    EQ = 0x20


@dataclass(frozen=True, slots=True)
class QueueDoorbell(Record):
    """Value of the SQ, RQ, SRQ and EQ doorbells. At PUSH_OFFSET + 64 * qpn lies the pushed-WQE window: one block."""

    SIZE: ClassVar[int] = 8
    number: int = bits(0, 24, "queue pair, SRQ or event queue")
    index: int = bits(32, 16, "producer index (SQ in blocks, RQ, SRQ) or consumer index (EQ)")


@dataclass(frozen=True, slots=True)
class CqDoorbell(Record):
    """Value of the CQ doorbell: consumer index, and an arm when its type is not NONE."""

    SIZE: ClassVar[int] = 8
    number: int = bits(0, 24, "completion queue")
    arm: ArmType = bits(24, ArmType, "NONE leaves the arm as it is")
    arm_seq: int = bits(26, 2, "arm number modulo 4; repeating the last one is not a new arm")
    index: int = bits(32, 24, "consumer index")


class AdminOp(IntEnum):
    """Admin commands."""

    NOP = 0
    CREATE_EQ = 1
    DESTROY_EQ = 2
    MODIFY_EQ = 3
    CREATE_CQ = 4
    DESTROY_CQ = 5
    RESIZE_CQ = 6
    QUERY_CQ = 7
    CREATE_QP = 8
    MODIFY_QP = 9
    QUERY_QP = 10
    DESTROY_QP = 11
    REGISTER_KEY = 12
    DEREGISTER_KEY = 13
    QUERY_KEY = 14
    CREATE_SRQ = 15
    MODIFY_SRQ = 16
    QUERY_SRQ = 17
    DESTROY_SRQ = 18


@dataclass(frozen=True, slots=True)
class AdminCommand(Record):
    """Head of every admin command."""

    SIZE: ClassVar[int] = 64
    opcode: AdminOp = bits(0, 8, "command")
    tag: int = bits(16, 16, "returned in the completion")
    number: int = bits(32, 24, "object the command is about")


@dataclass(frozen=True, slots=True)
class AdminQueue(Record):
    """CREATE_EQ, MODIFY_EQ (moderation only), CREATE_CQ, RESIZE_CQ, CREATE_SRQ, MODIFY_SRQ, and their DESTROY."""

    SIZE: ClassVar[int] = 64
    opcode: AdminOp = bits(0, 8, "command")
    tag: int = bits(16, 16, "returned in the completion")
    number: int = bits(32, 24, "queue number")
    log_size: int = bits(64, 4, "log2 of the entries (EQ, CQ: 1 to 15; SRQ: 0 to 15)")
    eqn: int = bits(72, 8, "CQ: event queue")
    vector: int = bits(80, 8, "EQ: interrupt vector")
    pd: int = bits(96, 16, "SRQ: protection domain")
    limit: int = bits(112, 16, "SRQ: event when fewer entries are left, once; MODIFY_SRQ: 0 leaves it")
    base: int = bits(128, 64, "bus address of the ring, 64-byte aligned")
    mod_count: int = bits(192, 16, "EQ: events per interrupt, 0 or 1 for none")
    mod_time: int = bits(208, 16, "EQ: microseconds an interrupt may wait, 0 for none")


@dataclass(frozen=True, slots=True)
class AdminCreateQp(Record):
    """CREATE_QP: queues and protection domain; the QP is then in RESET."""

    SIZE: ClassVar[int] = 64
    opcode: AdminOp = bits(0, 8, "CREATE_QP")
    tag: int = bits(16, 16, "returned in the completion")
    number: int = bits(32, 24, "queue pair number")
    qp_type: QpType = bits(56, QpType, "transport service")
    e2e_credits: int = bits(60, 1, "answers tell the peer how many receives are posted; not with an SRQ")
    pd: int = bits(64, 16, "protection domain")
    send_cq: int = bits(80, 16, "completion queue of the send queue")
    recv_cq: int = bits(96, 16, "completion queue of the receive queue")
    srq: int = bits(112, 15, "shared receive queue")
    use_srq: int = bits(127, 1, "receives come from the SRQ")
    sq_base: int = bits(128, 64, "bus address of the send queue, 64-byte aligned")
    rq_base: int = bits(192, 64, "bus address of the receive queue, 64-byte aligned")
    sq_log: int = bits(256, 4, "log2 of the send queue's blocks, 0 to 15")
    rq_log: int = bits(260, 4, "log2 of the receive queue's entries, 0 to 15")


class QpAttr(IntFlag):
    """Attributes that a MODIFY_QP carries, named after the IBTA modifiers."""

    STATE = 1 << 0
    ACCESS_FLAGS = 1 << 1
    PKEY_INDEX = 1 << 2
    PORT = 1 << 3
    QKEY = 1 << 4
    AV = 1 << 5
    PATH_MTU = 1 << 6
    DEST_QPN = 1 << 7
    RQ_PSN = 1 << 8
    MAX_DEST_RD_ATOMIC = 1 << 9
    MIN_RNR_TIMER = 1 << 10
    TIMEOUT = 1 << 11
    RETRY_CNT = 1 << 12
    RNR_RETRY = 1 << 13
    SQ_PSN = 1 << 14
    MAX_RD_ATOMIC = 1 << 15
    CUR_STATE = 1 << 16
    EN_SQD_ASYNC_NOTIFY = 1 << 17


@dataclass(frozen=True, slots=True)
class AdminModifyQp(Record):
    """MODIFY_QP; also what QUERY_QP writes back. Addresses are 16-byte GIDs, first byte of the wire lowest."""

    SIZE: ClassVar[int] = 64
    opcode: AdminOp = bits(0, 8, "MODIFY_QP")
    tag: int = bits(16, 16, "returned in the completion")
    number: int = bits(32, 24, "queue pair number")
    state: int = bits(56, 3, "QpState to go to (with STATE)")
    cur_state: int = bits(59, 3, "QpState the QP must be in (with CUR_STATE)")
    mask: QpAttr = bits(64, 32, "attributes present")
    dest_qpn: int = bits(96, 24, "peer's QPN")
    access: Access = bits(120, 6, "remote rights of this QP")
    dest_gid: int = bits(128, 128, "AV: peer's GID (IPv4 mapped: ::ffff:a.b.c.d)")
    dest_mac: int = bits(256, 48, "AV: next hop's MAC, first byte of the wire lowest")
    sgid_index: int = bits(304, 4, "AV: own GID")
    vlan_valid: int = bits(308, 1, "AV: frames carry an 802.1Q tag")
    vlan: int = bits(312, 16, "AV: PCP, DEI, VID of the tag")
    traffic_class: int = bits(328, 8, "AV: DSCP and ECN")
    hop_limit: int = bits(336, 8, "AV: TTL or hop limit")
    udp_sport: int = bits(344, 16, "AV: UDP source port")
    rq_psn: int = bits(360, 24, "first PSN expected")
    sq_psn: int = bits(384, 24, "first PSN sent")
    path_mtu: int = bits(408, 3, "1 to 5 for 256 to 4096")
    max_rd_atomic: int = bits(411, 5, "reads and atomics outstanding at the peer, 0 to 16")
    max_dest_rd_atomic: int = bits(416, 5, "reads and atomics served at once, 0 to 16")
    min_rnr_timer: int = bits(421, 5, "RNR timer code sent")
    timeout: int = bits(426, 5, "local ACK timeout code")
    retry_cnt: int = bits(431, 3, "retries")
    rnr_retry: int = bits(434, 3, "RNR retries, 7 for ever")
    pkey: int = bits(440, 16, "partition key")
    qkey: int = bits(456, 32, "queue key (UD)")
    flow_label: int = bits(488, 20, "AV: IPv6 flow label")


@dataclass(frozen=True, slots=True)
class AdminKey(Record):
    """REGISTER_KEY, DEREGISTER_KEY (number only), QUERY_KEY. number is the index, token = index << 8 | key byte."""

    SIZE: ClassVar[int] = 64
    opcode: AdminOp = bits(0, 8, "command")
    tag: int = bits(16, 16, "returned in the completion")
    number: int = bits(32, 24, "index of the key")
    key: int = bits(56, 8, "key byte")
    kind: KeyKind = bits(64, 4, "what it stands for")
    access: Access = bits(68, 6, "rights")
    direct: int = bits(74, 1, "pages is the bus address of one contiguous piece, not of a page list")
    page_shift: int = bits(75, 5, "log2 of the page size, 12 to 30")
    pd: int = bits(80, 16, "protection domain")
    base: int = bits(128, 64, "virtual address of the first byte")
    length: int = bits(192, 64, "bytes; FAST_REG: most pages that a list of it may have, 0 for any number")
    pages: int = bits(256, 64, "bus address of the page list, 8-byte aligned, or of the region when direct")


@dataclass(frozen=True, slots=True)
class AdminCqe(Record):
    """Admin completion."""

    SIZE: ClassVar[int] = 64
    tag: int = bits(0, 16, "of the command")
    status: int = bits(16, 8, "AdminStatus")
    sq_head: int = bits(32, 16, "commands fetched so far")
    detail: int = bits(64, 64, "QUERY_QP: state; QUERY_CQ, QUERY_SRQ: producer, consumer << 32; SRQ: armed limit << 48")
    data: int = bits(128, 352, "QUERY: bytes 8 to 51 of the record a MODIFY or REGISTER would carry")
    phase: int = bits(511, 1, "1 on the first pass over the ring, then toggling")


@dataclass(frozen=True, slots=True)
class KeyEntry(Record):
    """Entry of the adapter's key table."""

    key: int = auto(8, "key byte")
    valid: int = auto(1, "may be used; a fast-register key is invalid until registered")
    kind: KeyKind = auto(KeyKind, "what it stands for")
    access: Access = auto(Access, "rights")
    direct: int = auto(1, "pages is the bus address itself")
    page_shift: int = auto(5, "log2 of the page size")
    pd: int = auto(16, "protection domain")
    qpn: int = auto(16, "window of type 2: its queue pair")
    base: int = auto(64, "virtual address of the first byte")
    length: int = auto(64, "bytes")
    pages: int = auto(64, "page list or region")
    limit: int = auto(24, "fast-register: most pages of its list, 0 for any number")
