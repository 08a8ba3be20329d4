"""NDK_ADAPTER: what it can do, and the objects made from it."""

from __future__ import annotations

from collections.abc import Callable

from driver_model.adapter_limits import (
    FRMR_PAGES,
    LARGE_REQUEST,
    MAX_CQ_DEPTH,
    MAX_RECEIVE_DEPTH,
    MAX_REGISTRATION,
    MAX_SEND_DEPTH,
)
from driver_model.cq import Cq
from driver_model.hw.nic import Nic
from driver_model.lam import build_mapping
from driver_model.memory import HostMemory, Mdl
from driver_model.ndkpi import (
    HIGHEST_VERSION,
    LOWEST_VERSION,
    AdapterFlag,
    NdkAdapterInfo,
    NdkLogicalAddressMapping,
    NdkVersion,
    ObjectType,
    Out,
    RdmaTechnology,
)
from driver_model.objects import CreateCompletion, NdkObject, RequestCompletion
from driver_model.pd import Pd
from driver_model.status import NdisStatus, Status
from spec.layouts import MAX_MESSAGE
from spec.registers import Feature

VENDOR_ID = 0x00_0000
DEVICE_ID = 1
FLAGS = (
    AdapterFlag.RDMA_READ_SINK_NOT_REQUIRED
    | AdapterFlag.CQ_INTERRUPT_MODERATION_SUPPORTED
    | AdapterFlag.CQ_RESIZE_SUPPORTED
)


def adapter_info(nic: Nic) -> NdkAdapterInfo:
    """The limits of the hardware in NDKPI's terms."""
    limits = nic.limits
    return NdkAdapterInfo(
        version=HIGHEST_VERSION,
        vendor_id=VENDOR_ID,
        device_id=DEVICE_ID,
        max_registration_size=MAX_REGISTRATION,
        max_window_size=0,
        frmr_page_count=FRMR_PAGES,
        max_initiator_request_sge=limits.max_send_sge,
        max_receive_request_sge=limits.max_recv_sge,
        max_read_request_sge=limits.max_read_sge,
        max_transfer_length=MAX_MESSAGE,
        max_inline_data_size=limits.max_inline,
        max_inbound_read_limit=limits.max_reads_in,
        max_outbound_read_limit=limits.max_reads_out,
        max_receive_queue_depth=MAX_RECEIVE_DEPTH,
        max_initiator_queue_depth=MAX_SEND_DEPTH,
        max_srq_depth=MAX_RECEIVE_DEPTH if limits.features & Feature.SRQ else 0,
        max_cq_depth=MAX_CQ_DEPTH,
        large_request_threshold=LARGE_REQUEST,
        max_caller_data=0,
        max_callee_data=0,
        adapter_flags=FLAGS,
        rdma_technology=RdmaTechnology.ROCEV2,
    )


class Adapter(NdkObject):
    """One open of the adapter; several may share a `Nic`."""

    def __init__(self, nic: Nic, version: NdkVersion) -> None:
        super().__init__(ObjectType.ADAPTER, version)
        self.nic = nic
        self.info = adapter_info(nic)

    @property
    def memory(self) -> HostMemory:
        """The consumer's memory, where buffers come from."""
        return self.nic.memory

    def query_adapter_info(self, info: Out[NdkAdapterInfo] | None, buffer_size: Out[int]) -> Status:
        """NdkQueryAdapterInfo."""
        offered = buffer_size.value or 0
        buffer_size.value = NdkAdapterInfo.SIZE
        if info is None or offered < NdkAdapterInfo.SIZE:
            return Status.BUFFER_TOO_SMALL
        info.value = self.info
        return Status.SUCCESS

    def create_cq(
        self,
        cq_depth: int,
        cq_notification: Callable[[object, Status], None],
        cq_notification_context: object,
        affinity: object,
        create_completion: CreateCompletion | None,
        request_context: object,
        cq: Out[Cq],
    ) -> Status:
        """NdkCreateCq; the affinity is a hint that one event queue cannot take."""
        del affinity, cq  # written only when the creation finishes inline; this one pends
        return Cq.create(
            self,
            cq_depth,
            cq_notification,
            cq_notification_context,
            create_completion,
            request_context,
        )

    def create_pd(
        self, create_completion: CreateCompletion | None, request_context: object, pd: Out[Pd]
    ) -> Status:
        """NdkCreatePd."""
        del pd  # written only when the creation finishes inline; this one pends
        return Pd.create(self, create_completion, request_context)

    def build_lam(
        self,
        mdl: Mdl,
        length: int,
        request_completion: RequestCompletion | None,
        request_context: object,
        lam: NdkLogicalAddressMapping | None,
        lam_size: Out[int],
        fbo: Out[int],
    ) -> Status:
        """NdkBuildLAM; always finishes inline."""
        del request_completion, request_context
        return build_mapping(mdl, length, lam, lam_size, fbo)

    def release_lam(self, lam: NdkLogicalAddressMapping) -> None:
        """NdkReleaseLAM."""
        lam.adapter_page_array.clear()


def open_adapter(
    nic: Nic, version: NdkVersion = HIGHEST_VERSION
) -> tuple[NdisStatus, Adapter | None]:
    """Open for a consumer of this interface version."""
    if nic.fatal:
        return NdisStatus.ADAPTER_NOT_READY, None
    highest = {1: NdkVersion(1, 2), 2: HIGHEST_VERSION}.get(version.major)
    if highest is None or not LOWEST_VERSION <= version <= highest:
        return NdisStatus.BAD_VERSION, None
    return NdisStatus.SUCCESS, Adapter(nic, version)


def close_adapter(adapter: Adapter, closed: Callable[[], None]) -> None:
    """Close; `closed` is called when all objects made from the adapter are gone."""
    if adapter.close(lambda _context: closed(), None) is Status.SUCCESS:
        closed()
