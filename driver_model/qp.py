"""NDK_QP: work requests, flush, and the test hook that connects.

A queue pair is created in state INIT, so that it can be flushed before it was ever connected. Its
end: flush, wait until the adapter has answered for every request, destroy; what the adapter did not
answer for is then reported cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from driver_model.cq import Cq
from driver_model.hw.send_queue import Request
from driver_model.hw.wqe import InlineTransfer, Transfer, Work
from driver_model.mr import Mr
from driver_model.ndkpi import NdkSge, OperationType, OpFlag
from driver_model.objects import CreateCompletion, PendingCreate
from driver_model.posting import (
    FAST_REGISTER_FLAGS,
    INVALIDATE_FLAGS,
    READ_FLAGS,
    SEND_FLAGS,
    WRITE_FLAGS,
    check_sges,
    gather,
    hardware_flags,
    hardware_sges,
)
from driver_model.qp_base import QpBase
from driver_model.qp_shape import QpShape
from driver_model.status import Status
from spec.layouts import WrOp

if TYPE_CHECKING:
    from driver_model.pd import Pd
    from driver_model.srq import Srq

Done = Callable[[bool], None]


class Qp(QpBase):
    """The dispatch table's functions; `QpBase` is what they stand on."""

    @classmethod
    def create(
        cls,
        pd: Pd,
        receive_cq: Cq,
        initiator_cq: Cq,
        srq: Srq | None,
        context: object,
        shape: QpShape,
        completion: CreateCompletion | None,
        request_context: object,
    ) -> Status:
        """What NdkCreateQp and NdkCreateQpWithSrq do."""
        strange = srq is not None and srq.pd is not pd
        if strange or any(cq.adapter is not pd.adapter for cq in (receive_cq, initiator_cq)):
            return Status.INVALID_PARAMETER
        if not shape.fits(pd.adapter.info):
            return Status.INVALID_PARAMETER
        number = pd.adapter.nic.qpns.take()
        if number is None:
            return Status.INSUFFICIENT_RESOURCES
        qp = cls(pd, number, receive_cq, initiator_cq, srq, context, shape)
        qp.start(PendingCreate(qp, completion, request_context).complete)
        return Status.PENDING

    # ------------------------------------------------------------ dispatch table

    def send(
        self, request_context: object, sgl: Sequence[NdkSge] | None, n_sge: int, flags: int
    ) -> Status:
        """NdkSend."""
        return self._transfer(
            WrOp.SEND, OperationType.SEND, request_context, sgl, n_sge, flags, SEND_FLAGS
        )

    def receive(self, request_context: object, sgl: Sequence[NdkSge] | None, n_sge: int) -> Status:
        """NdkReceive."""
        if self.rq is None:
            return Status.INVALID_DEVICE_REQUEST
        sges = list(sgl or ())[:n_sge]
        info = self.pd.adapter.info
        status = check_sges(sges, self.shape.max_receive_request_sge, info.max_transfer_length)
        if status is not Status.SUCCESS:
            return status
        if self.rq.full:
            self.receive_cq.reap()
        if self.rq.full:
            return Status.NO_MORE_ENTRIES
        self.rq.post(hardware_sges(sges), request_context)
        return Status.SUCCESS

    def fast_register(
        self,
        request_context: object,
        mr: Mr,
        adapter_page_count: int,
        adapter_page_array: Sequence[int],
        fbo: int,
        length: int,
        base_virtual_address: int,
        flags: int,
    ) -> Status:
        """NdkFastRegister."""
        status = self._may_initiate(flags, FAST_REGISTER_FLAGS)
        work: Work | None = None
        done: Done | None = None
        if status is Status.SUCCESS and mr.pd is not self.pd:
            status = Status.ACCESS_VIOLATION
        if status is Status.SUCCESS:
            pages = list(adapter_page_array)[:adapter_page_count]
            if len(pages) != adapter_page_count:
                raise ValueError("the page array is shorter than the page count")
            status, work, done = mr.fast_register_work(
                pages, fbo, length, base_virtual_address, flags
            )
        return self._post(
            status, work, flags, Request(request_context, OperationType.FAST_REGISTER, done=done)
        )

    def invalidate(self, request_context: object, mr_or_mw: Mr, flags: int) -> Status:
        """NdkInvalidate; of a fast-register region, there are no windows yet."""
        status = self._may_initiate(flags, INVALIDATE_FLAGS)
        work: Work | None = None
        if status is Status.SUCCESS:
            status, work = mr_or_mw.invalidate_work(flags)
        return self._post(status, work, flags, Request(request_context, OperationType.INVALIDATE))

    def read(
        self,
        request_context: object,
        sgl: Sequence[NdkSge] | None,
        n_sge: int,
        remote_address: int,
        remote_token: int,
        flags: int,
    ) -> Status:
        """NdkRead; RDMA_READ_LOCAL_INVALIDATE is ignored, the adapter does not offer it."""
        return self._transfer(
            WrOp.READ,
            OperationType.READ,
            request_context,
            sgl,
            n_sge,
            flags,
            READ_FLAGS,
            remote=(remote_address, remote_token),
        )

    def write(
        self,
        request_context: object,
        sgl: Sequence[NdkSge] | None,
        n_sge: int,
        remote_address: int,
        remote_token: int,
        flags: int,
    ) -> Status:
        """NdkWrite."""
        return self._transfer(
            WrOp.WRITE,
            OperationType.WRITE,
            request_context,
            sgl,
            n_sge,
            flags,
            WRITE_FLAGS,
            remote=(remote_address, remote_token),
        )

    def send_and_invalidate(
        self,
        request_context: object,
        sgl: Sequence[NdkSge] | None,
        n_sge: int,
        flags: int,
        remote_token: int,
    ) -> Status:
        """NdkSendAndInvalidate."""
        return self._transfer(
            WrOp.SEND_INV,
            OperationType.SEND,
            request_context,
            sgl,
            n_sge,
            flags,
            SEND_FLAGS,
            invalidate=remote_token,
        )

    # ------------------------------------------------------------ posting

    def _transfer(
        self,
        op: WrOp,
        operation: OperationType,
        context: object,
        sgl: Sequence[NdkSge] | None,
        n_sge: int,
        flags: int,
        allowed: OpFlag,
        remote: tuple[int, int] = (0, 0),
        invalidate: int = 0,
    ) -> Status:
        sges = list(sgl or ())[:n_sge]
        status = self._may_initiate(flags, allowed)
        if status is Status.SUCCESS:
            status = self._check_payload(op, sges, flags)
        work: Work | None = None
        if status is Status.SUCCESS and flags & OpFlag.INLINE:
            data = gather(self.pd.adapter.memory, sges)
            work = InlineTransfer(op, data, hardware_flags(flags), *remote, invalidate)
        elif status is Status.SUCCESS:
            listed = hardware_sges(sges)
            work = Transfer(op, listed, hardware_flags(flags), *remote, invalidate)
        return self._post(status, work, flags, Request(context, operation))

    def _may_initiate(self, flags: int, allowed: OpFlag) -> Status:
        if not self.was_connected:
            return Status.CONNECTION_INVALID
        if flags & ~int(allowed):
            return Status.INVALID_PARAMETER
        if self.sq.full:
            self.initiator_cq.reap()
        return Status.NO_MORE_ENTRIES if self.sq.full else Status.SUCCESS

    def _check_payload(self, op: WrOp, sges: Sequence[NdkSge], flags: int) -> Status:
        info = self.pd.adapter.info
        if flags & OpFlag.INLINE:
            fits = sum(sge.length for sge in sges) <= self.shape.inline_data_size
            return Status.SUCCESS if fits else Status.INVALID_PARAMETER
        limit = self.shape.max_initiator_request_sge
        if op is WrOp.READ:
            limit = info.max_read_request_sge
        return check_sges(sges, limit, info.max_transfer_length)

    def _post(self, status: Status, work: Work | None, flags: int, request: Request) -> Status:
        """Post, or refuse; a refusal hands over everything deferred before it."""
        if work is None or status is not Status.SUCCESS:
            self.sq.release()
            return status
        request.silent = bool(flags & OpFlag.SILENT_SUCCESS)
        if request.silent and self.sq.must_signal():
            # Its completion will be hidden: those before it must not pile up in the ring.
            self.initiator_cq.reap()
        inline = bool(flags & OpFlag.INLINE)
        self.sq.post(work, request, defer=bool(flags & OpFlag.DEFER), inline=inline)
        return Status.SUCCESS
