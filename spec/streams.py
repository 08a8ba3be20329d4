"""Records that travel between the blocks of the adapter. Nothing outside the RTL and its benches sees them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from spec.codes import Access, CqeStatus, EventType, QpType
from spec.fields import Record, auto, coded
from spec.layouts import ArmType, CqeFlag, CqeOp, KeyEntry

# ---------------------------------------------------------------------------------------------- host


@dataclass(frozen=True, slots=True)
class DmaReadReq(Record):
    """One host read: the bytes addr .. addr + length - 1, which do not cross 4 KiB."""

    addr: int = auto(64, "bus address of the first byte")
    length: int = auto(13, "bytes, 1 to 4096")


@dataclass(frozen=True, slots=True)
class DmaReadData(Record):
    """One 64-byte line of a host read, as it lies in memory (not shifted)."""

    data: int = auto(512, "the line, lowest address in bits 7:0")
    last: int = auto(1, "last line of its request")
    error: int = auto(1, "SLVERR or DECERR in this line")


@dataclass(frozen=True, slots=True)
class DmaWriteReq(Record):
    """One host write burst of whole lines; strobes come with the data. It does not cross 4 KiB."""

    addr: int = auto(64, "bus address of the first byte touched")
    beats: int = auto(7, "lines, 1 to 64")


@dataclass(frozen=True, slots=True)
class DmaWriteData(Record):
    """One line of a host write."""

    data: int = auto(512, "the line")
    strb: int = auto(64, "bytes to write")
    last: int = auto(1, "last line of its burst")


# ---------------------------------------------------------------------------------------------- queue pairs


@dataclass(frozen=True, slots=True)
class QpConfig(Record):
    """What CREATE_QP and MODIFY_QP set; rnic_qp_table alone writes it, every block reads it."""

    state: int = auto(3, "QpState; RESET also for numbers that do not exist")
    exists: int = auto(1, "the number is in use")
    qp_type: QpType = auto(QpType, "transport service")
    pd: int = auto(16, "protection domain")
    send_cq: int = auto(16, "completion queue of the send queue")
    recv_cq: int = auto(16, "completion queue of the receive queue")
    rq_id: int = auto(16, "receive ring: the QPN, or QP_COUNT + SRQ number")
    use_srq: int = auto(1, "rq_id is an SRQ")
    e2e_credits: int = auto(1, "AETHs carry credits, and sending begins with one message")
    sq_base: int = auto(64, "send queue")
    sq_log: int = auto(4, "log2 of its blocks")
    access: Access = auto(Access, "remote rights")
    pkey: int = auto(16, "partition key")
    path_mtu: int = auto(3, "1 to 5")
    dest_qpn: int = auto(24, "peer")
    dest_gid: int = auto(128, "peer's GID, first byte of the wire in bits 7:0")
    dest_mac: int = auto(48, "next hop, first byte of the wire in bits 7:0")
    sgid_index: int = auto(4, "own GID")
    vlan_valid: int = auto(1, "frames are tagged")
    vlan: int = auto(16, "tag")
    traffic_class: int = auto(8, "DSCP and ECN")
    hop_limit: int = auto(8, "TTL")
    flow_label: int = auto(20, "IPv6")
    udp_sport: int = auto(16, "UDP source port")
    max_rd_atomic: int = auto(5, "requester limit")
    max_dest_rd_atomic: int = auto(5, "responder limit")
    min_rnr_timer: int = auto(5, "code in RNR NAKs")
    timeout: int = auto(5, "local ACK timeout")
    retry_cnt: int = auto(3, "retries")
    rnr_retry: int = auto(3, "RNR retries")
    qkey: int = auto(32, "UD")


@dataclass(frozen=True, slots=True)
class RqConfig(Record):
    """A receive ring, of a QP or an SRQ; rnic_qp_table alone writes it."""

    exists: int = auto(1, "the ring is in use")
    base: int = auto(64, "ring")
    log_size: int = auto(4, "log2 of its entries")
    pd: int = auto(16, "protection domain of its SGEs")


@coded(3)
class QpInitOp(IntEnum):
    """What a block does to its own context of a QP when rnic_admin asks."""

    CREATE = 0
    RTR = 1
    RTS = 2
    DESTROY = 3
    RQ_CREATE = 4


@dataclass(frozen=True, slots=True)
class QpInit(Record):
    """Broadcast to every block that keeps state per QP (or per ring for RQ_CREATE)."""

    op: QpInitOp = auto(QpInitOp, "CREATE, DESTROY: everything to zero; RTR: rq_psn; RTS: sq_psn")
    qpn: int = auto(16, "queue pair; RQ_CREATE: rq_id")
    psn: int = auto(24, "RTR: first expected PSN; RTS: first PSN to send")
    limited: int = auto(1, "RTS: until the peer has told its credits it is taken to have none")


@dataclass(frozen=True, slots=True)
class QpError(Record):
    """A pipeline asks for a QP to go to ERR; rnic_qp_table does it and raises the event."""

    qpn: int = auto(16, "queue pair")
    status: CqeStatus = auto(CqeStatus, "why; WR_FLUSH_ERR raises no event")
    remote: int = auto(1, "a request of the peer was refused: the event tells which kind of error")


@dataclass(frozen=True, slots=True)
class QpWatch(Record):
    """rnic_admin wants to be told, or no longer, when the send queue of a QP in SQD has drained."""

    qpn: int = auto(16, "queue pair")
    on: int = auto(1, "watch it")


# ---------------------------------------------------------------------------------------------- way out


@dataclass(frozen=True, slots=True)
class RingUpdate(Record):
    """A doorbell that named an index."""

    number: int = auto(16, "QPN, rq_id, or EQ")
    index: int = auto(16, "producer index, or consumer index of an EQ")


@dataclass(frozen=True, slots=True)
class CqUpdate(Record):
    """A CQ doorbell."""

    cqn: int = auto(16, "completion queue")
    arm: ArmType = auto(ArmType, "what to fire on")
    arm_seq: int = auto(2, "arm number")
    index: int = auto(24, "consumer index")


@dataclass(frozen=True, slots=True)
class PushedWqe(Record):
    """A WQE pushed through the doorbell page."""

    qpn: int = auto(16, "queue pair")
    data: int = auto(512, "its only block")


@dataclass(frozen=True, slots=True)
class WqeBlock(Record):
    """One send queue block on its way to the requester, in ring order per QP."""

    qpn: int = auto(16, "queue pair")
    index: int = auto(16, "its index in the send queue")
    error: int = auto(1, "the host did not deliver it")
    data: int = auto(512, "the block")


@dataclass(frozen=True, slots=True)
class SqPark(Record):
    """The requester gives the rest of a grant back: fetch again from index."""

    qpn: int = auto(16, "queue pair")
    index: int = auto(16, "next block wanted")
    park: int = auto(1, "1: only after a kick (window, read limit, RNR wait); 0: at once")
    paced: int = auto(1, "only after a kick unless the rate limiter lets the QP send by now")
    started: int = auto(16, "index behind the newest entry that was started: as far as SQD may fetch")
    seen: int = auto(16, "value of the completer's progress count that the decision was based on")


@dataclass(frozen=True, slots=True)
class SqProgress(Record):
    """What the completer publishes per QP for requester and scheduler."""

    msg_tail: int = auto(16, "messages retired, free running")
    reads_done: int = auto(16, "reads and atomics finished, free running")
    count: int = auto(16, "changes at every progress, and when the QP is sent back or waits no more")
    rnr_wait: int = auto(1, "the peer had no receive WQE: nothing is sent until the RNR timer has run out")
    sq_tail: int = auto(16, "send queue index of the oldest outstanding message, or of the next one")
    psn: int = auto(24, "its first PSN")
    una: int = auto(24, "first PSN not acknowledged")
    limited: int = auto(1, "the peer counts its receive WQEs")
    limit: int = auto(24, "then: number of the newest message that it has one for (rocev2 3.7)")


@coded(3)
class MsgKind(IntEnum):
    """How a message completes."""

    SEND = 0
    WRITE = 1
    READ = 2
    ATOMIC = 3
    LOCAL = 4
    FLUSH = 5
    BAD = 6


@dataclass(frozen=True, slots=True)
class MsgRecord(Record):
    """An outstanding message: entry msg_idx of its QP's ring, written by the requester, read by the completer."""

    kind: MsgKind = auto(MsgKind, "FLUSH: completes as flushed; BAD: status tells the error")
    signaled: int = auto(1, "completion wanted on success")
    first_psn: int = auto(24, "first PSN")
    last_psn: int = auto(24, "last PSN; LOCAL, FLUSH, BAD: the PSN before it")
    wr_id: int = auto(32, "request context")
    sq_first: int = auto(16, "send queue index of its first block")
    sq_next: int = auto(16, "send queue index behind it")
    length: int = auto(32, "bytes")
    status: CqeStatus = auto(CqeStatus, "kind BAD: the error")


@dataclass(frozen=True, slots=True)
class ReadRecord(Record):
    """An outstanding read: entry (reads issued mod 16) of its QP, written by the requester, read by the completer."""

    first_psn: int = auto(24, "first PSN")
    last_psn: int = auto(24, "last PSN")
    length: int = auto(32, "bytes")
    num_sge: int = auto(4, "SGEs, up to MAX_READ_SGE")
    atomic: int = auto(1, "an atomic: 8 bytes from AtomicAckETH")


@coded(2)
class SegKind(IntEnum):
    """Where a payload segment comes from."""

    NONE = 0
    KEY = 1
    INLINE = 2
    WORD = 3


@coded(2)
class AtomicOp(IntEnum):
    """What a received frame does to eight bytes of memory, in one piece."""

    NONE = 0
    SWAP = 1
    ADD = 2


@coded(2)
class KeyOp(IntEnum):
    """What the key check does with a segment."""

    CHECK = 0
    INVALIDATE = 1
    REGISTER = 2


@dataclass(frozen=True, slots=True)
class MemReq(Record):
    """A piece of memory to check and translate; or a token to invalidate or register, in pipeline order."""

    op: KeyOp = auto(KeyOp, "CHECK, INVALIDATE or REGISTER")
    kind: SegKind = auto(SegKind, "NONE and INLINE pass unchecked; WORD is checked like KEY")
    va: int = auto(64, "first byte")
    length: int = auto(13, "bytes to move, 0 to 4096")
    span: int = auto(32, "bytes from va that must be inside, when more than length; both 0 pass unchecked")
    token: int = auto(32, "local or remote token")
    pd: int = auto(16, "of the QP or SRQ")
    qpn: int = auto(16, "for type 2 windows")
    access: Access = auto(Access, "rights needed; 0: local read. A remote right excludes the privileged key")


@dataclass(frozen=True, slots=True)
class MemRsp(Record):
    """The answer: up to two pieces of one page each (a page is at least 4 KiB)."""

    ok: int = auto(1, "0: key check failed, invalidation or registration refused")
    bus_error: int = auto(1, "the page list could not be read")
    addr0: int = auto(64, "bus address of the first piece")
    len0: int = auto(13, "its bytes; 0 when there is nothing to move")
    addr1: int = auto(64, "bus address of the second piece")
    len1: int = auto(13, "its bytes, 0 for none")


@dataclass(frozen=True, slots=True)
class TxPacket(Record):
    """The packet descriptor, one beat per payload segment (at least one); header fields count in the first beat.

    Requester, read responder and acknowledger make it, the transmit pipeline turns any of them into a frame and never
    looks at QP state.
    """

    first: int = auto(1, "first segment: starts a packet")
    last: int = auto(1, "last segment of the packet")
    local_op: int = auto(1, "no packet: only the memory operation (LOCAL_INV, FAST_REG)")
    response: int = auto(1, "made by the responder")
    again: int = auto(1, "of a read that was answered before: when its key is gone, nobody is told")
    qpn: int = auto(16, "own queue pair")
    msg_idx: int = auto(16, "requester: index of the message, for error reports")
    epoch: int = auto(3, "requester: how often, modulo 8, the queue pair had gone back; an old one is stale")
    opcode: int = auto(8, "BTH opcode")
    psn: int = auto(24, "BTH PSN")
    solicited: int = auto(1, "BTH SE")
    ack_req: int = auto(1, "BTH AckReq")
    payload_len: int = auto(13, "bytes of payload in the whole packet")
    reth_va: int = auto(64, "RETH, AtomicETH")
    reth_rkey: int = auto(32, "RETH, AtomicETH")
    reth_len: int = auto(32, "RETH DMA length")
    imm: int = auto(32, "ImmDt, IETH as a number: ImmDt first wire byte in bits 7:0, IETH an R_Key")
    syndrome: int = auto(8, "AETH")
    msn: int = auto(24, "AETH")
    swap: int = auto(64, "AtomicETH swap or add; AtomicAckETH original value")
    compare: int = auto(64, "AtomicETH compare")
    inline_slot: int = auto(6, "kind INLINE: slot of the inline buffer; payload starts at its byte 32")
    mem: MemReq = auto(MemReq, "this segment")


@dataclass(frozen=True, slots=True)
class TxResult(Record):
    """Sent by the transmit pipeline for a packet that failed, and for every local operation."""

    qpn: int = auto(16, "queue pair")
    response: int = auto(1, "a response failed: msg_idx means nothing")
    local_op: int = auto(1, "a local operation ended")
    msg_idx: int = auto(16, "message")
    psn: int = auto(24, "PSN of the packet that was not sent")
    status: CqeStatus = auto(CqeStatus, "SUCCESS (local operations), LOC_PROT_ERR, LOC_QP_OP_ERR")


@dataclass(frozen=True, slots=True)
class TxBeat(Record):
    """One beat of a frame between the stages of the transmit pipeline."""

    data: int = auto(512, "first byte of the wire in bits 7:0")
    count: int = auto(7, "valid bytes, 1 to 64; 64 in all but the last beat")
    last: int = auto(1, "end of frame")
    drop: int = auto(1, "with last: the frame must not be sent")


# ---------------------------------------------------------------------------------------------- way in


@dataclass(frozen=True, slots=True)
class RxHeader(Record):
    """Everything a good RoCEv2 frame said; behind the parser nobody looks at wire bytes again."""

    opcode: int = auto(8, "BTH opcode; it is in the opcode table")
    psn: int = auto(24, "BTH PSN")
    qpn: int = auto(24, "BTH DestQP")
    pkey: int = auto(16, "BTH P_Key")
    solicited: int = auto(1, "BTH SE")
    ack_req: int = auto(1, "BTH AckReq")
    pad: int = auto(2, "BTH PadCnt")
    ce: int = auto(1, "IP ECN was CE, or BTH FECN set")
    becn: int = auto(1, "BTH BECN")
    src_gid: int = auto(128, "source address as a GID, first byte of the wire in bits 7:0")
    dest_hit: int = auto(1, "destination address is one of ours")
    sgid_index: int = auto(4, "which")
    reth_va: int = auto(64, "RETH, AtomicETH")
    reth_rkey: int = auto(32, "RETH, AtomicETH")
    reth_len: int = auto(32, "RETH")
    imm: int = auto(32, "ImmDt (first wire byte in bits 7:0) or IETH (an R_Key)")
    syndrome: int = auto(8, "AETH")
    msn: int = auto(24, "AETH")
    swap: int = auto(64, "AtomicETH swap or add, AtomicAckETH original value")
    compare: int = auto(64, "AtomicETH compare")
    qkey: int = auto(32, "DETH")
    src_qpn: int = auto(24, "DETH")
    payload_len: int = auto(13, "bytes without pad")
    payload_off: int = auto(6, "offset of the payload's first byte in its first beat of the payload buffer")
    payload_beats: int = auto(7, "beats it takes there; 0 without payload")


@coded(3)
class RetireKind(IntEnum):
    """What happens when a frame's data is in host memory."""

    NONE = 0
    ACK = 1
    READ = 2
    ATOMIC = 3
    RESP_ACK = 4
    RESP_READ = 5


@dataclass(frozen=True, slots=True)
class RxRetire(Record):
    """The consequences of one received frame; they take effect behind its last write response, in frame order."""

    kind: RetireKind = auto(RetireKind, "NONE: dropped; ACK, READ, ATOMIC: a request; RESP_*: a response")
    qpn: int = auto(16, "own queue pair")
    psn: int = auto(24, "of the frame")
    opcode: int = auto(8, "of the frame")
    reply: int = auto(1, "ACK: an acknowledge is due (AckReq, NAK, RNR, duplicate); RESP_*: credits came with it")
    syndrome: int = auto(8, "ACK, READ, ATOMIC: AETH to send; RESP_*: AETH received")
    msn: int = auto(24, "ACK, READ, ATOMIC: MSN to send when all went well; RESP_*: MSN received, plus credits")
    prior_msn: int = auto(24, "MSN to send when the frame fails behind the check")
    fatal: int = auto(1, "the syndrome is a NAK that ends the QP: go to ERR after it")
    cqe: int = auto(1, "a receive completes")
    cqe_status: CqeStatus = auto(CqeStatus, "its status")
    cqe_op: CqeOp = auto(CqeOp, "its opcode")
    cqe_flags: CqeFlag = auto(CqeFlag, "its flags")
    cqn: int = auto(16, "receive CQ")
    wr_id: int = auto(32, "its request context")
    wqe_index: int = auto(16, "its receive queue index; READ, ATOMIC: place in the resource table")
    byte_len: int = auto(32, "bytes of the message")
    imm: int = auto(32, "immediate or token")
    holds_wqe: int = auto(1, "the message in progress holds this receive WQE: complete it if the frame fails")
    reth_va: int = auto(64, "READ, ATOMIC: where")
    reth_rkey: int = auto(32, "READ, ATOMIC: token")
    reth_len: int = auto(32, "READ: bytes")
    swap: int = auto(64, "ATOMIC")
    compare: int = auto(64, "ATOMIC")
    read_last: int = auto(1, "RESP_READ: the read is complete; ACK: what a NAK asked for has come")


@dataclass(frozen=True, slots=True)
class RxWork(Record):
    """What to do with one received frame, one beat per memory segment (at least one); retire counts in the first.

    Every frame whose header was handed out comes back as exactly one group of beats, in frame order.
    """

    first: int = auto(1, "first segment")
    last: int = auto(1, "last segment")
    payload_off: int = auto(6, "first: copied from the header")
    payload_beats: int = auto(7, "first: copied from the header; all are consumed, written or not")
    mem: MemReq = auto(MemReq, "takes the next mem.length payload bytes; kind WORD: retire.swap, little-endian")
    atomic: AtomicOp = auto(AtomicOp, "read, modify and write the 8 bytes, with retire.swap and retire.compare")
    retire: RxRetire = auto(RxRetire, "first: consequences")


@coded(2)
class RxFault(IntEnum):
    """How moving a frame's data ended."""

    NONE = 0
    KEY = 1
    LOCAL_KEY = 2
    BUS = 3


@dataclass(frozen=True, slots=True)
class RxDone(Record):
    """A frame whose data is in memory: its consequences and how the move ended."""

    fault: RxFault = auto(RxFault, "KEY: remote token refused; LOCAL_KEY: local token refused; BUS: SLVERR")
    original: int = auto(64, "an atomic: the number that was there before")
    retire: RxRetire = auto(RxRetire, "consequences")


@dataclass(frozen=True, slots=True)
class CplEvent(Record):
    """A response that arrived, its data in memory; in arrival order."""

    qpn: int = auto(16, "own queue pair")
    psn: int = auto(24, "everything up to it is acknowledged (ACK) or before it (NAK)")
    syndrome: int = auto(8, "AETH; READ RESPONSE Middle: 0x1F")
    read_last: int = auto(1, "completes the oldest read")
    status: CqeStatus = auto(CqeStatus, "SUCCESS, or the error that the message holding psn ends with")
    told: int = auto(1, "the peer told about its receive WQEs")
    limited: int = auto(1, "how many: see SqProgress")
    limit: int = auto(24, "see SqProgress")


@dataclass(frozen=True, slots=True)
class CqeReq(Record):
    """A completion for rnic_cq."""

    cqn: int = auto(16, "completion queue")
    wr_id: int = auto(32, "request context")
    wqe_index: int = auto(16, "see Cqe")
    qpn: int = auto(16, "queue pair")
    opcode: CqeOp = auto(CqeOp, "what completed")
    byte_len: int = auto(32, "bytes")
    imm: int = auto(32, "immediate or token")
    status: CqeStatus = auto(CqeStatus, "how")
    flags: CqeFlag = auto(CqeFlag, "flags")
    syndrome: int = auto(8, "detail")


@dataclass(frozen=True, slots=True)
class EventReq(Record):
    """An event for rnic_event."""

    eqn: int = auto(8, "event queue")
    event_type: EventType = auto(EventType, "what happened")
    number: int = auto(24, "object")
    detail: int = auto(32, "see Eqe")


# ---------------------------------------------------------------------------------------------- admin


@dataclass(frozen=True, slots=True)
class KeyWrite(Record):
    """An entry for the key table."""

    index: int = auto(24, "entry")
    entry: KeyEntry = auto(KeyEntry, "new content")


@dataclass(frozen=True, slots=True)
class CqConfig(Record):
    """A completion queue as rnic_admin sets it."""

    cqn: int = auto(16, "completion queue")
    exists: int = auto(1, "0 destroys it")
    keep: int = auto(1, "RESIZE: keep the arm; indices start again at 0")
    query: int = auto(1, "change nothing, only answer")
    base: int = auto(64, "ring")
    log_size: int = auto(4, "log2 of its entries")
    eqn: int = auto(8, "event queue")


@dataclass(frozen=True, slots=True)
class CqAnswer(Record):
    """What a CqConfig found: the queue as it was before the change."""

    exists: int = auto(1, "it was in use")
    bad: int = auto(1, "it had overflowed or could not be written")
    producer: int = auto(24, "producer index")
    consumer: int = auto(24, "consumer index")


@dataclass(frozen=True, slots=True)
class QpWrite(Record):
    """A change of a queue pair's configuration by rnic_admin."""

    qpn: int = auto(16, "queue pair")
    state_only: int = auto(1, "write state and exists alone")
    cfg: QpConfig = auto(QpConfig, "new content")


@dataclass(frozen=True, slots=True)
class RqWrite(Record):
    """A change of a receive ring by rnic_admin."""

    rq_id: int = auto(16, "ring")
    cfg: RqConfig = auto(RqConfig, "new content")


@dataclass(frozen=True, slots=True)
class EqConfig(Record):
    """An event queue as rnic_admin sets it."""

    eqn: int = auto(8, "event queue")
    exists: int = auto(1, "0 destroys it")
    keep: int = auto(1, "MODIFY: moderation only")
    base: int = auto(64, "ring")
    log_size: int = auto(4, "log2 of its entries")
    vector: int = auto(8, "interrupt vector")
    mod_count: int = auto(16, "events per interrupt")
    mod_time: int = auto(16, "microseconds")


@dataclass(frozen=True, slots=True)
class SrqConfig(Record):
    """A shared receive queue as rnic_admin sets it; without create and arm it is only asked."""

    srqn: int = auto(16, "shared receive queue")
    create: int = auto(1, "indices start at 0")
    arm: int = auto(1, "limit is new; except with create it fires at once when fewer entries are left")
    limit: int = auto(16, "event when fewer entries are left, once; 0 for none")


@dataclass(frozen=True, slots=True)
class SrqAnswer(Record):
    """What an SrqConfig found: the queue as it was before the change."""

    producer: int = auto(16, "producer index")
    consumer: int = auto(16, "entries taken, free running")
    limit: int = auto(16, "limit that is armed, 0 for none")
