"""NTSTATUS values, and the one table that maps a completion to its status."""

from __future__ import annotations

from enum import IntEnum

from driver_model.ndkpi import OperationType
from spec.codes import AdminStatus, CqeStatus


class Status(IntEnum):
    """The NTSTATUS values that NDKPI functions and results use."""

    SUCCESS = 0x0000_0000
    TIMEOUT = 0x0000_0102
    PENDING = 0x0000_0103
    BUFFER_OVERFLOW = 0x8000_0005
    DEVICE_BUSY = 0x8000_0011
    NO_MORE_ENTRIES = 0x8000_001A
    UNSUCCESSFUL = 0xC000_0001
    ACCESS_VIOLATION = 0xC000_0005
    INVALID_PARAMETER = 0xC000_000D
    INVALID_DEVICE_REQUEST = 0xC000_0010
    NO_MEMORY = 0xC000_0017
    BUFFER_TOO_SMALL = 0xC000_0023
    INVALID_PARAMETER_MIX = 0xC000_0030
    DATA_OVERRUN = 0xC000_003C
    DATA_ERROR = 0xC000_003E
    SHARING_VIOLATION = 0xC000_0043
    INSUFFICIENT_RESOURCES = 0xC000_009A
    DEVICE_NOT_READY = 0xC000_00A3
    IO_TIMEOUT = 0xC000_00B5
    NOT_SUPPORTED = 0xC000_00BB
    INTERNAL_ERROR = 0xC000_00E5
    CANCELLED = 0xC000_0120
    REMOTE_RESOURCES = 0xC000_013D
    INVALID_ADDRESS = 0xC000_0141
    INVALID_DEVICE_STATE = 0xC000_0184
    INVALID_BUFFER_SIZE = 0xC000_0206
    TOO_MANY_ADDRESSES = 0xC000_0209
    ADDRESS_ALREADY_EXISTS = 0xC000_020A
    CONNECTION_DISCONNECTED = 0xC000_020C
    CONNECTION_REFUSED = 0xC000_0236
    ADDRESS_ALREADY_ASSOCIATED = 0xC000_0238
    CONNECTION_INVALID = 0xC000_023A
    CONNECTION_ACTIVE = 0xC000_023B
    NETWORK_UNREACHABLE = 0xC000_023C
    HOST_UNREACHABLE = 0xC000_023D
    CONNECTION_ABORTED = 0xC000_0241
    DEVICE_REMOVED = 0xC000_02B6
    IMPLEMENTATION_LIMIT = 0xC000_042B


class NdisStatus(IntEnum):
    """What the NDIS side of the provider answers."""

    SUCCESS = 0
    RESOURCES = 0xC000_009A
    BAD_VERSION = 0xC001_0004
    ADAPTER_NOT_READY = 0xC001_0011


def nt_success(status: int) -> bool:
    """NT_SUCCESS: success and information, PENDING included; the 0x8... warnings are none."""
    return status < 0x8000_0000


_RECEIVES = (OperationType.RECEIVE, OperationType.RECEIVE_AND_INVALIDATE)
_LOCAL = (OperationType.FAST_REGISTER, OperationType.BIND, OperationType.INVALIDATE)

# Status of a transfer, of a receive, and of an operation on a key. A remote access error names the
# token that the request carried, so it is an access violation; what else the peer could not digest
# is its resources. A key operation is checked where transfers are, but has no memory to violate.
_COMPLETION: dict[CqeStatus, tuple[Status, Status, Status]] = {
    CqeStatus.SUCCESS: (Status.SUCCESS,) * 3,
    CqeStatus.LOC_LEN_ERR: (
        Status.DATA_OVERRUN,
        Status.BUFFER_OVERFLOW,
        Status.INVALID_DEVICE_REQUEST,
    ),
    CqeStatus.LOC_QP_OP_ERR: (Status.INVALID_DEVICE_REQUEST,) * 3,
    CqeStatus.LOC_PROT_ERR: (
        Status.ACCESS_VIOLATION,
        Status.ACCESS_VIOLATION,
        Status.INVALID_DEVICE_REQUEST,
    ),
    CqeStatus.WR_FLUSH_ERR: (Status.CANCELLED,) * 3,
    CqeStatus.MW_BIND_ERR: (Status.INVALID_DEVICE_REQUEST,) * 3,
    CqeStatus.BAD_RESP_ERR: (Status.INTERNAL_ERROR,) * 3,
    CqeStatus.LOC_ACCESS_ERR: (Status.ACCESS_VIOLATION,) * 3,
    CqeStatus.REM_INV_REQ_ERR: (Status.REMOTE_RESOURCES,) * 3,
    CqeStatus.REM_ACCESS_ERR: (Status.ACCESS_VIOLATION,) * 3,
    CqeStatus.REM_OP_ERR: (Status.REMOTE_RESOURCES,) * 3,
    CqeStatus.RETRY_EXC_ERR: (Status.IO_TIMEOUT,) * 3,
    CqeStatus.RNR_RETRY_EXC_ERR: (Status.IO_TIMEOUT,) * 3,
    CqeStatus.REM_INV_RD_REQ_ERR: (Status.REMOTE_RESOURCES,) * 3,
    CqeStatus.REM_ABORT_ERR: (Status.REMOTE_RESOURCES,) * 3,
    CqeStatus.RESP_TIMEOUT_ERR: (Status.IO_TIMEOUT,) * 3,
}


def completion_status(status: int, operation: OperationType) -> Status:
    """The status of a result; what no line of the table names is an error of the QP itself."""
    try:
        row = _COMPLETION[CqeStatus(status)]
    except (KeyError, ValueError):
        return Status.INTERNAL_ERROR
    if operation in _RECEIVES:
        return row[1]
    return row[2] if operation in _LOCAL else row[0]


def admin_status(status: int) -> Status:
    """The status of a request that the adapter refused; the provider asks for nothing malformed."""
    if status == AdminStatus.OK:
        return Status.SUCCESS
    if status in (AdminStatus.NO_RESOURCE, AdminStatus.IN_USE, AdminStatus.BUSY):
        return Status.INSUFFICIENT_RESOURCES
    return Status.INTERNAL_ERROR
