"""NDK_SRQ: receives that several queue pairs share, and word when few of them are left.

The adapter watches the threshold: its limit fires once, when a receive is taken and fewer are left,
or at MODIFY_SRQ when fewer are left already. A limit given at creation waits for the count to fall
from the threshold, so that filling a new queue notifies nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from driver_model.hw.receive_queue import ReceiveQueue
from driver_model.ndkpi import NdkSge, ObjectType
from driver_model.objects import (
    CreateCompletion,
    NdkObject,
    PendingCreate,
    PendingRequest,
    RequestCompletion,
)
from driver_model.posting import check_sges, hardware_sges
from driver_model.status import Status, admin_status
from spec.codes import AdminStatus
from spec.layouts import AdminCommand, AdminCqe, AdminOp, AdminQueue, Doorbell

if TYPE_CHECKING:
    from driver_model.cq import Cq
    from driver_model.pd import Pd

SrqNotification = Callable[[object, Status], None]
GROWTH = 4  # the ring has room for a depth so many times as large
MAX_LIMIT = 0xFFFF  # more than any queue holds


class Srq(NdkObject):
    """A shared receive queue."""

    def __init__(
        self,
        pd: Pd,
        number: int,
        depth: int,
        max_sge: int,
        notification: SrqNotification | None = None,
        context: object = None,
    ) -> None:
        super().__init__(ObjectType.SRQ, pd.header.version, [pd])
        self.pd = pd
        self.number = number
        self._nic = pd.adapter.nic
        self._max_sge = max_sge
        self._notification = notification
        self._context = context
        self.members: dict[int, Cq] = {}
        most = min(GROWTH * depth, pd.adapter.info.max_srq_depth)
        self.queue = ReceiveQueue(self._nic.device, Doorbell.SRQ, number, depth, most)

    @classmethod
    def create(
        cls,
        pd: Pd,
        depth: int,
        max_sge: int,
        notify_threshold: int,
        notification: SrqNotification | None,
        context: object,
        completion: CreateCompletion | None,
        request_context: object,
    ) -> Status:
        """What NdkCreateSrq does."""
        info = pd.adapter.info
        if depth > info.max_srq_depth or max_sge > info.max_receive_request_sge or depth == 0:
            return Status.INVALID_PARAMETER
        number = pd.adapter.nic.srqns.take()
        if number is None:
            return Status.INSUFFICIENT_RESOURCES
        srq = cls(pd, number, depth, max_sge, notification, context)
        pending = PendingCreate(srq, completion, request_context)

        def answered(answer: AdminCqe) -> None:
            if answer.status == AdminStatus.OK:
                srq._nic.on_srq_limit[number] = srq._on_limit
            else:
                srq._forget()
            pending.complete(admin_status(answer.status))

        pd.adapter.nic.submit(srq._create_command(notify_threshold), answered)
        return Status.PENDING

    def _create_command(self, notify_threshold: int) -> AdminQueue:
        return AdminQueue(
            opcode=AdminOp.CREATE_SRQ,
            number=self.number,
            log_size=self.queue.log,
            pd=self.pd.number,
            limit=min(notify_threshold, MAX_LIMIT),
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
        """NdkModifySrq; 0 leaves the depth, or the threshold and its arm, as they are."""
        if srq_depth > self.pd.adapter.info.max_srq_depth:
            return Status.INVALID_PARAMETER
        self._reap()
        if srq_depth and srq_depth < len(self.queue):
            return Status.BUFFER_OVERFLOW
        if srq_depth > self.queue.size:
            return Status.INSUFFICIENT_RESOURCES
        if srq_depth:
            self.queue.depth = srq_depth
        if not notify_threshold:
            return Status.SUCCESS
        pending = PendingRequest(self, request_completion, request_context)
        command = AdminQueue(
            opcode=AdminOp.MODIFY_SRQ, number=self.number, limit=min(notify_threshold, MAX_LIMIT)
        )
        self._nic.submit(command, lambda answer: pending.complete(admin_status(answer.status)))
        return Status.PENDING

    def srq_receive(
        self, request_context: object, sgl: Sequence[NdkSge] | None, n_sge: int
    ) -> Status:
        """NdkSrqReceive."""
        sges = list(sgl or ())[:n_sge]
        status = check_sges(sges, self._max_sge, self.pd.adapter.info.max_transfer_length)
        if status is not Status.SUCCESS:
            return status
        if self.queue.full:
            self._reap()
        if self.queue.full:
            return Status.NO_MORE_ENTRIES
        self.queue.post(hardware_sges(sges), request_context)
        return Status.SUCCESS

    def _reap(self) -> None:
        """Look which receives are used up."""
        for cq in self.members.values():
            cq.reap()

    # ------------------------------------------------------------ notification

    def _on_limit(self) -> None:
        """The adapter's limit fired, and is gone."""
        if self.is_open and self._notification is not None:
            notify = self._notification
            self.callback(lambda: notify(self._context, Status.SUCCESS))

    # ------------------------------------------------------------ the end

    def _teardown(self, done: Callable[[], None]) -> None:
        def answered(_answer: AdminCqe) -> None:
            self._forget()
            done()

        command = AdminCommand(opcode=AdminOp.DESTROY_SRQ, number=self.number)
        self._nic.submit(command, answered)

    def _forget(self) -> None:
        self._nic.on_srq_limit.pop(self.number, None)
        self._nic.device.free(self.queue.buffer)
        self._nic.srqns.give(self.number)
