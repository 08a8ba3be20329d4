"""What NDKPI defines: constants, flags, and the structures that cross the interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Generic, TypeVar

PAGE_SIZE = 4096
MAXULONG = 0xFFFF_FFFF

T = TypeVar("T")


class ObjectType(IntEnum):
    """NDK_OBJECT_TYPE."""

    UNDEFINED = 0
    ADAPTER = 1
    QP = 2
    CQ = 3
    MR = 4
    MW = 5
    PD = 6
    SHARED_ENDPOINT = 7
    CONNECTOR = 8
    LISTENER = 9
    SRQ = 10


class OperationType(IntEnum):
    """NDK_OPERATION_TYPE: what a result is the result of."""

    RECEIVE = 1
    SEND = 2
    FAST_REGISTER = 4
    BIND = 8
    INVALIDATE = 16
    READ = 32
    WRITE = 64
    RECEIVE_AND_INVALIDATE = 0x8001


class OpFlag(IntFlag):
    """NDK_OP_FLAG of a work request; remote write is decided by REMOTE_WRITE_BIT alone."""

    SILENT_SUCCESS = 0x001
    READ_FENCE = 0x002
    SEND_AND_SOLICIT_EVENT = 0x004
    ALLOW_REMOTE_READ = 0x008
    ALLOW_LOCAL_WRITE = 0x010
    REMOTE_WRITE_BIT = 0x020
    ALLOW_REMOTE_WRITE = 0x030
    INLINE = 0x040
    RDMA_READ_SINK = 0x080
    RDMA_READ_LOCAL_INVALIDATE = 0x100
    DEFER = 0x200


class MrFlag(IntFlag):
    """NDK_MR_FLAG of a registration; remote write is decided by REMOTE_WRITE_BIT alone."""

    ALLOW_LOCAL_READ = 0
    ALLOW_LOCAL_WRITE = 1
    ALLOW_REMOTE_READ = 2
    REMOTE_WRITE_BIT = 4
    ALLOW_REMOTE_WRITE = 5
    RDMA_READ_SINK = 8


class CqNotify(IntEnum):
    """NDK_CQ_NOTIFY: what an armed CQ fires on; the codes are not in the order of width."""

    ERRORS = 0
    ANY = 1
    SOLICITED = 2

    @property
    def width(self) -> int:
        """How much it fires on: ERRORS < SOLICITED < ANY."""
        return (0, 2, 1)[self]


class AdapterFlag(IntFlag):
    """NDK_ADAPTER_FLAG."""

    IN_ORDER_DMA_SUPPORTED = 0x1
    RDMA_READ_SINK_NOT_REQUIRED = 0x2
    CQ_INTERRUPT_MODERATION_SUPPORTED = 0x4
    MULTI_ENGINE_SUPPORTED = 0x8
    RDMA_READ_LOCAL_INVALIDATE_SUPPORTED = 0x10
    CQ_RESIZE_SUPPORTED = 0x100
    LOOPBACK_CONNECTIONS_SUPPORTED = 0x1_0000


class RdmaTechnology(IntEnum):
    """NDK_RDMA_TECHNOLOGY."""

    UNDEFINED = 0
    IWARP = 1
    INFINIBAND = 2
    ROCE = 3
    ROCEV2 = 4


@dataclass(frozen=True, slots=True, order=True)
class NdkVersion:
    """NDK_VERSION."""

    major: int
    minor: int


HIGHEST_VERSION = NdkVersion(2, 1)
LOWEST_VERSION = NdkVersion(1, 1)


@dataclass(slots=True)
class NdkObjectHeader:
    """NDK_OBJECT_HEADER; `ndk_reserved` belongs to the consumer's side."""

    version: NdkVersion
    object_type: ObjectType
    ndk_reserved: list[object] = field(default_factory=lambda: [0, 0, 0, 0])


@dataclass(slots=True)
class Out(Generic[T]):
    """An output parameter: a place that a function may write."""

    value: T | None = None


@dataclass(frozen=True, slots=True)
class NdkSge:
    """NDK_SGE; the address is a logical one with the privileged token, else a virtual one."""

    address: int
    length: int
    memory_region_token: int = 0


@dataclass(frozen=True, slots=True)
class NdkResult:
    """NDK_RESULT."""

    status: int
    bytes_transferred: int
    qp_context: object
    request_context: object


@dataclass(frozen=True, slots=True)
class NdkResultEx:
    """NDK_RESULT_EX."""

    status: int
    bytes_transferred: int
    qp_context: object
    request_context: object
    type: OperationType
    provider_error_code: int = 0
    type_specific_completion_output: int = 0


@dataclass(slots=True)
class NdkLogicalAddressMapping:
    """NDK_LOGICAL_ADDRESS_MAPPING: the bus address of every page of a region."""

    adapter_context: object = None
    adapter_page_array: list[int] = field(default_factory=list)

    @property
    def adapter_page_count(self) -> int:
        """Entries of the array."""
        return len(self.adapter_page_array)


@dataclass(frozen=True, slots=True)
class NdkAdapterInfo:
    """NDK_ADAPTER_INFO."""

    SIZE = 104

    version: NdkVersion
    vendor_id: int
    device_id: int
    max_registration_size: int
    max_window_size: int
    frmr_page_count: int
    max_initiator_request_sge: int
    max_receive_request_sge: int
    max_read_request_sge: int
    max_transfer_length: int
    max_inline_data_size: int
    max_inbound_read_limit: int
    max_outbound_read_limit: int
    max_receive_queue_depth: int
    max_initiator_queue_depth: int
    max_srq_depth: int
    max_cq_depth: int
    large_request_threshold: int
    max_caller_data: int
    max_callee_data: int
    adapter_flags: AdapterFlag
    rdma_technology: RdmaTechnology
