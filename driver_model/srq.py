"""NDK_SRQ: receives that several queue pairs share.

The provider does not hear the adapter's limit events yet. A threshold would promise notifications
that never come, so a threshold other than zero is refused with STATUS_NOT_SUPPORTED, here and in
NdkModifySrq; a depth is fixed at creation (MODIFY_SRQ sets the limit alone).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from driver_model.hw.receive_queue import ReceiveQueue
from driver_model.ndkpi import NdkSge, ObjectType
from driver_model.objects import CreateCompletion, NdkObject, PendingCreate, RequestCompletion
from driver_model.posting import check_sges, hardware_sges
from driver_model.status import Status, admin_status
from spec.codes import AdminStatus
from spec.layouts import AdminCommand, AdminCqe, AdminOp, AdminQueue, Doorbell

if TYPE_CHECKING:
    from driver_model.cq import Cq
    from driver_model.pd import Pd


class Srq(NdkObject):
    """A shared receive queue."""

    def __init__(self, pd: Pd, number: int, depth: int, max_sge: int) -> None:
        super().__init__(ObjectType.SRQ, pd.header.version, [pd])
        self.pd = pd
        self.number = number
        self._nic = pd.adapter.nic
        self._max_sge = max_sge
        self.members: dict[int, Cq] = {}
        self.queue = ReceiveQueue(self._nic.device, Doorbell.SRQ, number, depth)

    @classmethod
    def create(
        cls,
        pd: Pd,
        depth: int,
        max_sge: int,
        notify_threshold: int,
        completion: CreateCompletion | None,
        request_context: object,
    ) -> Status:
        """What NdkCreateSrq does."""
        info = pd.adapter.info
        if depth > info.max_srq_depth or max_sge > info.max_receive_request_sge or depth == 0:
            return Status.INVALID_PARAMETER
        if notify_threshold:
            return Status.NOT_SUPPORTED
        number = pd.adapter.nic.srqns.take()
        if number is None:
            return Status.INSUFFICIENT_RESOURCES
        srq = cls(pd, number, depth, max_sge)
        pending = PendingCreate(srq, completion, request_context)

        def answered(answer: AdminCqe) -> None:
            if answer.status != AdminStatus.OK:
                srq._forget()
            pending.complete(admin_status(answer.status))

        pd.adapter.nic.submit(srq._create_command(), answered)
        return Status.PENDING

    def _create_command(self) -> AdminQueue:
        return AdminQueue(
            opcode=AdminOp.CREATE_SRQ,
            number=self.number,
            log_size=self.queue.log,
            pd=self.pd.number,
            base=self.queue.buffer.bus_address,
        )

    # ------------------------------------------------------------ dispatch table

    def modify_srq(
        self,
        srq_depth: int,
        notify_threshold: int,
        request_completion: RequestCompletion | None,
        request_context: object,
    ) -> Status:
        """NdkModifySrq; 0 leaves depth or threshold as it is, and nothing else is possible yet."""
        del request_completion, request_context
        if srq_depth > self.pd.adapter.info.max_srq_depth:
            return Status.INVALID_PARAMETER
        if srq_depth and srq_depth < len(self.queue):
            return Status.BUFFER_OVERFLOW
        if notify_threshold or srq_depth not in (0, self.queue.depth):
            return Status.NOT_SUPPORTED
        return Status.SUCCESS

    def srq_receive(
        self, request_context: object, sgl: Sequence[NdkSge] | None, n_sge: int
    ) -> Status:
        """NdkSrqReceive."""
        sges = list(sgl or ())[:n_sge]
        status = check_sges(sges, self._max_sge, self.pd.adapter.info.max_transfer_length)
        if status is not Status.SUCCESS:
            return status
        if self.queue.full:
            for cq in self.members.values():
                cq.reap()
        if self.queue.full:
            return Status.NO_MORE_ENTRIES
        self.queue.post(hardware_sges(sges), request_context)
        return Status.SUCCESS

    # ------------------------------------------------------------ the end

    def _teardown(self, done: Callable[[], None]) -> None:
        def answered(_answer: AdminCqe) -> None:
            self._forget()
            done()

        command = AdminCommand(opcode=AdminOp.DESTROY_SRQ, number=self.number)
        self._nic.submit(command, answered)

    def _forget(self) -> None:
        self._nic.device.free(self.queue.buffer)
        self._nic.srqns.give(self.number)
