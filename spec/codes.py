"""Numbers with a name: status, states, types, rights, events, reasons.

``coded(n)`` says how many bits a code takes in the RTL; without it, eight.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from spec.fields import coded


class CqeStatus(IntEnum):
    """Completion status, numbered as in the verbs interface."""

    SUCCESS = 0
    LOC_LEN_ERR = 1
    LOC_QP_OP_ERR = 2
    LOC_EEC_OP_ERR = 3
    LOC_PROT_ERR = 4
    WR_FLUSH_ERR = 5
    MW_BIND_ERR = 6
    BAD_RESP_ERR = 7
    LOC_ACCESS_ERR = 8
    REM_INV_REQ_ERR = 9
    REM_ACCESS_ERR = 10
    REM_OP_ERR = 11
    RETRY_EXC_ERR = 12
    RNR_RETRY_EXC_ERR = 13
    LOC_RDD_VIOL_ERR = 14
    REM_INV_RD_REQ_ERR = 15
    REM_ABORT_ERR = 16
    INV_EECN_ERR = 17
    INV_EEC_STATE_ERR = 18
    FATAL_ERR = 19
    RESP_TIMEOUT_ERR = 20
    GENERAL_ERR = 21


class Syndrome(IntEnum):
    """AETH syndrome byte; the low five bits of ACK and RNR_NAK are a credit or timer code."""

    ACK = 0x00
    ACK_NO_CREDITS = 0x1F
    RNR_NAK = 0x20
    NAK_SEQUENCE = 0x60
    NAK_INVALID_REQUEST = 0x61
    NAK_REMOTE_ACCESS = 0x62
    NAK_REMOTE_OPERATION = 0x63
    NAK_INVALID_RD_REQUEST = 0x64


@coded(2)
class AethType(IntEnum):
    """Bits 6:5 of the AETH syndrome."""

    ACK = 0
    RNR = 1
    RESERVED = 2
    NAK = 3


@coded(3)
class QpState(IntEnum):
    """State of a queue pair."""

    RESET = 0
    INIT = 1
    RTR = 2
    RTS = 3
    SQD = 4
    SQE = 5
    ERR = 6


@coded(4)
class QpType(IntEnum):
    """Transport service of a queue pair; GSI is the UD queue pair number 1."""

    NONE = 0
    GSI = 1
    RC = 2
    UC = 3
    UD = 4
    RAW = 8


@coded(3)
class Mtu(IntEnum):
    """Path MTU code: payload bytes of a full packet are 128 << code."""

    BYTES_256 = 1
    BYTES_512 = 2
    BYTES_1024 = 3
    BYTES_2048 = 4
    BYTES_4096 = 5


@coded(6)
class Access(IntFlag):
    """Rights of a memory region, a memory window, or a queue pair's peer."""

    LOCAL_WRITE = 1
    REMOTE_WRITE = 2
    REMOTE_READ = 4
    REMOTE_ATOMIC = 8
    MW_BIND = 16
    ZERO_BASED = 32


class AdminStatus(IntEnum):
    """Why an admin command was refused; a refused command changed nothing."""

    OK = 0
    BAD_OPCODE = 1
    NOT_FOUND = 2
    IN_USE = 3
    BUSY = 4
    NO_RESOURCE = 5
    BAD_STATE = 6
    DMA_ERROR = 7
    BAD_PARAM_RESERVED = 16
    BAD_PARAM_QPN = 17
    BAD_PARAM_CQN = 18
    BAD_PARAM_EQN = 19
    BAD_PARAM_SRQN = 20
    BAD_PARAM_PD = 21
    BAD_PARAM_KEY = 22
    BAD_PARAM_SIZE = 23
    BAD_PARAM_ADDRESS = 24
    BAD_PARAM_LENGTH = 25
    BAD_PARAM_PAGE_SIZE = 26
    BAD_PARAM_ACCESS = 27
    BAD_PARAM_TYPE = 28
    BAD_PARAM_STATE = 29
    BAD_PARAM_MTU = 30
    BAD_PARAM_GID = 31
    BAD_PARAM_VECTOR = 32
    BAD_PARAM_PSN = 33
    BAD_PARAM_TIMER = 34
    BAD_PARAM_READS = 35
    BAD_PARAM_MASK = 36
    BAD_PARAM_CREDITS = 37


class EventType(IntEnum):
    """What an event queue entry reports."""

    NONE = 0
    COMPLETION = 1
    QP_ERROR = 2
    CQ_ERROR = 3
    SRQ_LIMIT = 4
    COMM_EST = 5
    SQ_DRAINED = 6
    FATAL = 7
    QP_REQ_ERROR = 8
    QP_ACCESS_ERROR = 9
    LAST_WQE_REACHED = 10
    SRQ_ERROR = 11
    PORT_CHANGE = 12


@coded(5)
class DropReason(IntEnum):
    """Why a received packet had no effect; NONE is a packet that lives."""

    NONE = 0
    SHORT = 1
    LONG = 2
    BAD_FRAME = 3
    BAD_MAC = 4
    ETHERTYPE = 5
    IP_HEADER = 6
    IP_CHECKSUM = 7
    FRAGMENT = 8
    LENGTH = 9
    NOT_ROCE = 10
    BAD_ICRC = 11
    BAD_TVER = 12
    BAD_OPCODE = 13
    BAD_QPN = 14
    QP_STATE = 15
    QP_TYPE = 16
    BAD_ADDRESS = 17
    BAD_PKEY = 18
    BAD_QKEY = 19
    RX_OVERFLOW = 20
    GHOST_RESPONSE = 21
    DUPLICATE = 22
    OUT_OF_SEQUENCE = 23
    BAD_SYNDROME = 24
    NO_RECEIVE_WQE = 25
    UC_SEQUENCE = 26
    RAW_OVERFLOW = 27
    RESPONSE_SEQUENCE = 28
    RESOURCE = 29
    CNP_UNSUPPORTED = 30
    DISABLED = 31


@coded(6)
class Stat(IntEnum):
    """Index of a statistics counter; DROP + r counts the packets dropped for DropReason r.

    BYTES counters grow by a byte count, all others by one per event. DROP itself is no counter of
    drops, as no reason is 0: its place is TX_STALE, requests that were not sent because their queue
    pair had been sent back meanwhile. RETRANSMISSIONS less TX_STALE have been on the wire before.
    """

    TX_PACKETS = 0
    TX_BYTES = 1
    RX_PACKETS = 2
    RX_BYTES = 3
    TX_RDMA_PACKETS = 4
    TX_RDMA_BYTES = 5
    RX_RDMA_PACKETS = 6
    RX_RDMA_BYTES = 7
    TX_ACKS = 8
    TX_NAKS = 9
    TX_RNR_NAKS = 10
    RX_ACKS = 11
    RX_NAKS = 12
    RX_RNR_NAKS = 13
    RETRANSMISSIONS = 14
    TIMEOUTS = 15
    RETRIES_EXHAUSTED = 16
    ECN_MARKED = 17
    TX_CNPS = 18
    RX_CNPS = 19
    DOORBELLS = 20
    PUSHED_WQES = 21
    WQES = 22
    CQES = 23
    EQES = 24
    INTERRUPTS = 25
    DMA_READ_ERRORS = 26
    DMA_WRITE_ERRORS = 27
    TX_ABORTED = 28
    BAD_DOORBELLS = 29
    ADMIN_COMMANDS = 30
    QP_ERRORS = 31
    TX_STALE = 32
    DROP = 32
