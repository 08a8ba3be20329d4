"""NDK_PD: regions, queues and queue pairs that may use each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from driver_model.cq import Cq
from driver_model.mr import Mr
from driver_model.ndkpi import ObjectType, Out
from driver_model.objects import CreateCompletion, NdkObject, PendingCreate, created_inline
from driver_model.qp import Qp
from driver_model.qp_shape import QpShape
from driver_model.srq import Srq
from driver_model.status import Status, admin_status
from spec.codes import Access, AdminStatus
from spec.layouts import AdminCommand, AdminCqe, AdminKey, AdminOp, KeyKind

if TYPE_CHECKING:
    from driver_model.adapter import Adapter


class Pd(NdkObject):
    """A protection domain and its privileged token."""

    def __init__(self, adapter: Adapter, number: int, token: int) -> None:
        super().__init__(ObjectType.PD, adapter.header.version, [adapter])
        self.adapter = adapter
        self.number = number
        self._token = token

    @classmethod
    def create(
        cls, adapter: Adapter, completion: CreateCompletion | None, request_context: object
    ) -> Status:
        """What NdkCreatePd does: asking for the privileged token cannot pend, so it is made now."""
        nic = adapter.nic
        number = nic.pds.take()
        token = nic.keys.take()
        if number is None or token is None:
            if number is not None:
                nic.pds.give(number)
            if token is not None:
                nic.keys.give(token)
            return Status.INSUFFICIENT_RESOURCES
        pd = cls(adapter, number, token)
        pending = PendingCreate(pd, completion, request_context)

        def answered(answer: AdminCqe) -> None:
            if answer.status != AdminStatus.OK:
                pd._forget()
            pending.complete(admin_status(answer.status))

        nic.submit(pd._token_command(), answered)
        return Status.PENDING

    def _token_command(self) -> AdminKey:
        return AdminKey(
            opcode=AdminOp.REGISTER_KEY,
            number=self._token >> 8,
            key=self._token & 0xFF,
            kind=KeyKind.PRIVILEGED,
            access=Access.LOCAL_WRITE,
            pd=self.number,
        )

    # ------------------------------------------------------------ dispatch table

    def create_mr(
        self,
        fast_register: bool,
        create_completion: CreateCompletion | None,
        request_context: object,
        mr: Out[Mr],
    ) -> Status:
        """NdkCreateMr; always finishes inline."""
        del create_completion, request_context
        return created_inline(mr, Mr(self, fast_register))

    def create_srq(
        self,
        srq_depth: int,
        max_receive_request_sge: int,
        notify_threshold: int,
        srq_notification: Callable[[object, Status], None] | None,
        srq_notification_context: object,
        affinity: object,
        create_completion: CreateCompletion | None,
        request_context: object,
        srq: Out[Srq],
    ) -> Status:
        """NdkCreateSrq; the affinity is a hint that one event queue cannot take."""
        del affinity, srq
        return Srq.create(
            self,
            srq_depth,
            max_receive_request_sge,
            notify_threshold,
            srq_notification,
            srq_notification_context,
            create_completion,
            request_context,
        )

    def create_qp(
        self,
        receive_cq: Cq,
        initiator_cq: Cq,
        qp_context: object,
        receive_queue_depth: int,
        initiator_queue_depth: int,
        max_receive_request_sge: int,
        max_initiator_request_sge: int,
        inline_data_size: int,
        create_completion: CreateCompletion | None,
        request_context: object,
        qp: Out[Qp],
    ) -> Status:
        """NdkCreateQp."""
        del qp
        shape = QpShape(
            receive_queue_depth,
            initiator_queue_depth,
            max_receive_request_sge,
            max_initiator_request_sge,
            inline_data_size,
        )
        return Qp.create(
            self,
            receive_cq,
            initiator_cq,
            None,
            qp_context,
            shape,
            create_completion,
            request_context,
        )

    def create_qp_with_srq(
        self,
        receive_cq: Cq,
        initiator_cq: Cq,
        srq: Srq,
        qp_context: object,
        initiator_queue_depth: int,
        max_initiator_request_sge: int,
        inline_data_size: int,
        create_completion: CreateCompletion | None,
        request_context: object,
        qp: Out[Qp],
    ) -> Status:
        """NdkCreateQpWithSrq."""
        del qp
        shape = QpShape(0, initiator_queue_depth, 0, max_initiator_request_sge, inline_data_size)
        return Qp.create(
            self,
            receive_cq,
            initiator_cq,
            srq,
            qp_context,
            shape,
            create_completion,
            request_context,
        )

    def get_privileged_memory_region_token(self, token: Out[int]) -> None:
        """NdkGetPrivilegedMemoryRegionToken."""
        token.value = self._token

    # ------------------------------------------------------------ the end

    def _teardown(self, done: Callable[[], None]) -> None:
        def answered(_answer: AdminCqe) -> None:
            self._forget()
            done()

        command = AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=self._token >> 8)
        self.adapter.nic.submit(command, answered)

    def _forget(self) -> None:
        self.adapter.nic.keys.give(self._token)
        self.adapter.nic.pds.give(self.number)
