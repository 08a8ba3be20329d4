"""What a queue pair is made of: rings, creation, results, errors, the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from driver_model.cq import Cq, Member
from driver_model.hw.admin import Command
from driver_model.hw.receive_queue import ReceiveQueue
from driver_model.hw.registers import gid_of, largest_path_mtu
from driver_model.hw.send_queue import Request, SendQueue
from driver_model.hw.wqe import Nop
from driver_model.ndkpi import NdkResultEx, ObjectType, OperationType
from driver_model.objects import NdkObject, PendingRequest, RequestCompletion
from driver_model.out_of_band import OutOfBandEndpoint, OutOfBandPath, to_rtr, to_rts
from driver_model.qp_drain import Drain
from driver_model.qp_shape import QpPhase, QpShape
from driver_model.status import Status, admin_status, completion_status
from spec.codes import Access, AdminStatus, CqeStatus, QpState, QpType
from spec.layouts import (
    AdminCommand,
    AdminCqe,
    AdminCreateQp,
    AdminModifyQp,
    AdminOp,
    Cqe,
    CqeFlag,
    CqeOp,
    Doorbell,
    QpAttr,
)

if TYPE_CHECKING:
    from driver_model.pd import Pd
    from driver_model.srq import Srq

DEFAULT_PKEY = 0xFFFF


class QpBase(NdkObject):
    """A queue pair without its dispatch functions."""

    def __init__(
        self,
        pd: Pd,
        number: int,
        receive_cq: Cq,
        initiator_cq: Cq,
        srq: Srq | None,
        context: object,
        shape: QpShape,
    ) -> None:
        antecedents = [pd, receive_cq, initiator_cq, *([srq] if srq is not None else [])]
        super().__init__(ObjectType.QP, pd.header.version, antecedents)
        self.pd = pd
        self.number = number
        self.receive_cq = receive_cq
        self.initiator_cq = initiator_cq
        self.shape = shape
        self.srq = srq
        self.phase = QpPhase.IDLE
        self.was_connected = False
        self._context = context
        self._nic = pd.adapter.nic
        device = self._nic.device
        blocks = shape.blocks_each(pd.adapter.info)
        self.sq = SendQueue(
            device, number, shape.initiator_queue_depth, blocks, self._nic.config.push
        )
        self.rq: ReceiveQueue | None = None
        if srq is None:
            self.rq = ReceiveQueue(device, Doorbell.RQ, number, shape.receive_queue_depth)

    # ------------------------------------------------------------ creation

    def start(self, done: Callable[[Status], None]) -> None:
        """Make room on the CQs, then let the adapter know the queue pair."""
        member = Member(self._route, self.flush)

        def second(status: Status) -> None:
            if status is not Status.SUCCESS:
                self._created([AdminStatus.NO_RESOURCE], done)
            elif self.receive_cq is self.initiator_cq:
                third(status)
            else:
                self.receive_cq.reserve(self.number, member, third)

        def third(status: Status) -> None:
            if status is not Status.SUCCESS:
                self._created([AdminStatus.NO_RESOURCE], done)
            else:
                commands: list[Command] = [self._create_command(), self._init_command()]
                self._nic.submit_all(commands, lambda statuses: self._created(statuses, done))

        self.initiator_cq.reserve(self.number, member, second)

    def _create_command(self) -> AdminCreateQp:
        rq = self.rq
        return AdminCreateQp(
            opcode=AdminOp.CREATE_QP,
            number=self.number,
            qp_type=QpType.RC,
            pd=self.pd.number,
            send_cq=self.initiator_cq.number,
            recv_cq=self.receive_cq.number,
            srq=self.srq.number if self.srq is not None else 0,
            use_srq=int(self.srq is not None),
            e2e_credits=int(self.srq is None and self._nic.config.credits),
            sq_base=self.sq.buffer.bus_address,
            sq_log=self.sq.log,
            rq_base=rq.buffer.bus_address if rq is not None else 0,
            rq_log=rq.log if rq is not None else 0,
        )

    def _init_command(self) -> AdminModifyQp:
        return AdminModifyQp(
            opcode=AdminOp.MODIFY_QP,
            number=self.number,
            state=QpState.INIT,
            mask=QpAttr.STATE | QpAttr.PKEY_INDEX | QpAttr.PORT | QpAttr.ACCESS_FLAGS,
            access=Access.REMOTE_READ | Access.REMOTE_WRITE,
            pkey=DEFAULT_PKEY,
        )

    def _created(self, statuses: list[int], done: Callable[[Status], None]) -> None:
        wrong = [status for status in statuses if status != AdminStatus.OK]
        if wrong:
            self._forget()
        else:
            self._nic.on_qp_error[self.number] = self._on_error
            if self.srq is not None:
                self.srq.members[self.number] = self.receive_cq
        done(admin_status(wrong[0] if wrong else AdminStatus.OK))

    # ------------------------------------------------------------ test hook

    def out_of_band_endpoint(
        self, gid_index: int = 0, *, psn: int | None = None, inbound: int = 16, outbound: int = 16
    ) -> OutOfBandEndpoint:
        """TEST HOOK, not NDKPI: what the other side needs to connect to this queue pair."""
        config = self._nic.config
        return OutOfBandEndpoint(
            qpn=self.number,
            psn=(self.number * 0x01_2345 + 0xAB_CDEF) & 0xFF_FFFF if psn is None else psn,
            gid=gid_of(config.addresses[gid_index]),
            mac=config.mac,
            gid_index=gid_index,
            inbound_reads=min(inbound, self.pd.adapter.info.max_inbound_read_limit),
            outbound_reads=min(outbound, self.pd.adapter.info.max_outbound_read_limit),
            uses_srq=self.srq is not None,
            path_mtu=largest_path_mtu(config.port_mtu),
        )

    def connect_out_of_band(
        self,
        local: OutOfBandEndpoint,
        peer: OutOfBandEndpoint,
        path: OutOfBandPath,
        request_completion: RequestCompletion | None,
        request_context: object,
    ) -> Status:
        """TEST HOOK, not NDKPI: bring the queue pair to RTS with facts somebody carried."""
        if self.phase is not QpPhase.IDLE:
            return Status.INVALID_DEVICE_REQUEST
        self.phase = QpPhase.CONNECTING
        pending = PendingRequest(self, request_completion, request_context)

        def answered(statuses: list[int]) -> None:
            wrong = [status for status in statuses if status != AdminStatus.OK]
            if not wrong:
                self.was_connected = True
                if self.phase is QpPhase.CONNECTING:
                    self.phase = QpPhase.CONNECTED
            pending.complete(admin_status(wrong[0] if wrong else AdminStatus.OK))

        commands = [to_rtr(local, peer, path), to_rts(local, peer, path)]
        self._nic.submit_all(commands, answered)
        return Status.PENDING

    # ------------------------------------------------------------ results

    def _route(self, cqe: Cqe) -> list[NdkResultEx]:
        """The results that a completion gives; none when the consumer is not to see it."""
        if cqe.status != CqeStatus.SUCCESS:
            self.phase = QpPhase.ERROR
        if cqe.opcode >= CqeOp.RECV:
            return [self._received(cqe)]
        results = [
            self._result(replace(cqe, status=status), request.operation, request.context)
            for request, status in self.sq.complete(cqe)
            if not request.internal and not (request.silent and status == CqeStatus.SUCCESS)
        ]
        if cqe.status == CqeStatus.LOC_QP_OP_ERR and self.sq.outstanding:
            # The adapter may have passed entries over with one it could not read: something must
            # come behind them that tells so.
            self.sq.post(Nop(), Request(None, OperationType.SEND, internal=True))
        return results

    def _received(self, cqe: Cqe) -> NdkResultEx:
        queue = self.rq if self.srq is None else self.srq.queue
        assert queue is not None
        context = queue.complete(cqe)
        if cqe.flags & CqeFlag.INVALIDATED and cqe.status == CqeStatus.SUCCESS:
            return self._result(cqe, OperationType.RECEIVE_AND_INVALIDATE, context)
        return self._result(cqe, OperationType.RECEIVE, context)

    def _result(self, cqe: Cqe, operation: OperationType, context: object) -> NdkResultEx:
        status = completion_status(cqe.status, operation)
        invalidated = operation is OperationType.RECEIVE_AND_INVALIDATE
        return NdkResultEx(
            status=status,
            bytes_transferred=cqe.byte_len,
            qp_context=self._context,
            request_context=context,
            type=operation,
            provider_error_code=0 if status is Status.SUCCESS else cqe.status << 8 | cqe.syndrome,
            type_specific_completion_output=cqe.imm if invalidated else 0,
        )

    # ------------------------------------------------------------ errors and the end

    def flush(self) -> None:
        """NdkFlush: everything pending, deferred requests included, ends with STATUS_CANCELLED."""
        self.sq.hold()
        self._to_error(self.sq.unhold)

    def _to_error(self, done: Callable[[], None]) -> None:
        """The adapter's state first: what it is told about later is flushed."""

        def answered(_answer: AdminCqe) -> None:
            self.phase = QpPhase.ERROR
            done()

        command = AdminModifyQp(
            opcode=AdminOp.MODIFY_QP, number=self.number, state=QpState.ERR, mask=QpAttr.STATE
        )
        self._nic.submit(command, answered)

    def _on_error(self, _status: int) -> None:
        """The adapter took the queue pair down."""
        self.phase = QpPhase.ERROR

    def _begin_close(self) -> None:
        if self.sq.outstanding or self.rq:
            self.flush()

    def _teardown(self, done: Callable[[], None]) -> None:
        if self.sq.outstanding or self.rq:
            self._to_error(lambda: self._drain(done))
        else:
            self._destroy(done)

    def _drain(self, done: Callable[[], None]) -> None:
        send = (self.sq, self.initiator_cq)
        receive = (self.rq, self.receive_cq)
        Drain(self._nic.device, send, receive, lambda: self._destroy(done))

    def _destroy(self, done: Callable[[], None]) -> None:
        def settled() -> None:
            self.receive_cq.reap()
            self.initiator_cq.reap()
            self._report_unanswered()
            self._forget()
            done()

        def answered(_answer: AdminCqe) -> None:
            self.receive_cq.when_settled(lambda: self.initiator_cq.when_settled(settled))

        command = AdminCommand(opcode=AdminOp.DESTROY_QP, number=self.number)
        self._nic.submit(command, answered)

    def _report_unanswered(self) -> None:
        """The adapter has let go of the queues: nobody else will ever report these."""
        for request in self.sq.abandon():
            if not request.internal and not self.initiator_cq.failed:
                self.initiator_cq.place(self._cancelled(request.operation, request.context))
        for context in self.rq.abandon() if self.rq is not None else ():
            if not self.receive_cq.failed:
                self.receive_cq.place(self._cancelled(OperationType.RECEIVE, context))

    def _cancelled(self, operation: OperationType, context: object) -> NdkResultEx:
        return NdkResultEx(Status.CANCELLED, 0, self._context, context, operation)

    def _forget(self) -> None:
        self._nic.on_qp_error.pop(self.number, None)
        self.receive_cq.members.pop(self.number, None)
        self.initiator_cq.members.pop(self.number, None)
        if self.srq is not None:
            self.srq.members.pop(self.number, None)
        self._nic.device.free(self.sq.buffer)
        if self.rq is not None:
            self._nic.device.free(self.rq.buffer)
        self._nic.qpns.give(self.number)
