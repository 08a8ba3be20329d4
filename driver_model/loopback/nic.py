"""The plain-Python adapter: admin commands, doorbells, memory checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from driver_model.loopback.state import (
    MASK16,
    CompletionRing,
    EventRing,
    Key,
    KeyFault,
    QueuePair,
    ReceiveRing,
)
from driver_model.loopback.world import World
from spec.codes import Access, AdminStatus, EventType, QpState
from spec.layouts import (
    AdminCommand,
    AdminCreateQp,
    AdminKey,
    AdminModifyQp,
    AdminOp,
    AdminQueue,
    KeyKind,
    QpAttr,
    Sge,
)

Answer = tuple[AdminStatus, int]
OK: Answer = (AdminStatus.OK, 0)
SRQ_COMMANDS = (AdminOp.CREATE_SRQ, AdminOp.MODIFY_SRQ, AdminOp.QUERY_SRQ, AdminOp.DESTROY_SRQ)


class SoftNic:
    """Objects of one adapter. `work` is called when a QP may have something to do."""

    def __init__(self, world: World, interrupt: Callable[[int], None]) -> None:
        self.world = world
        self.interrupt = interrupt
        self.keys: dict[int, Key] = {}
        self.events: dict[int, EventRing] = {}
        self.cqs: dict[int, CompletionRing] = {}
        self.srqs: dict[int, ReceiveRing] = {}
        self.qps: dict[int, QueuePair] = {}
        self.work: Callable[[QueuePair], None] = lambda _qp: None

    # ------------------------------------------------------------ memory

    def memory(
        self, pd: int, token: int, address: int, length: int, needs: Access, remote: bool
    ) -> list[memoryview]:
        """The memory behind a token, or KeyFault."""
        if length == 0:
            return []
        key = self.keys.get(token >> 8)
        if key is None or not key.valid or key.fields.key != token & 0xFF or key.fields.pd != pd:
            raise KeyFault("no such key")
        privileged = key.fields.kind == KeyKind.PRIVILEGED
        if (remote and privileged) or (not privileged and needs & ~key.fields.access):
            raise KeyFault("no right")
        return key.pieces(self.world, address, length)

    def gather(self, pd: int, sges: Iterable[Sge]) -> bytes:
        """The bytes of a list of SGEs."""
        parts: list[bytes] = []
        for sge in sges:
            pieces = self.memory(pd, sge.token, sge.addr, sge.length, Access(0), False)
            parts.extend(bytes(piece) for piece in pieces)
        return b"".join(parts)

    def scatter(self, pd: int, sges: Iterable[Sge], data: bytes) -> None:
        """Put bytes where SGEs say; all of them are checked first."""
        needed: list[memoryview] = []
        left = len(data)
        for sge in sges:
            take = min(left, sge.length)
            needed += self.memory(pd, sge.token, sge.addr, take, Access.LOCAL_WRITE, False)
            left -= take
        put(needed, data)

    # ------------------------------------------------------------ admin commands

    def command(self, data: bytes) -> Answer:
        """Carry one out."""
        head = AdminCommand.unpack(data)
        op = head.opcode
        if op in (AdminOp.REGISTER_KEY, AdminOp.DEREGISTER_KEY):
            return self._key(AdminKey.unpack(data))
        if op is AdminOp.CREATE_QP:
            return self._create_qp(AdminCreateQp.unpack(data))
        if op is AdminOp.MODIFY_QP:
            return self._modify_qp(AdminModifyQp.unpack(data))
        if op is AdminOp.DESTROY_QP:
            return OK if self.qps.pop(head.number, None) else (AdminStatus.NOT_FOUND, 0)
        queue = AdminQueue.unpack(data)
        return self._srq(queue) if op in SRQ_COMMANDS else self._queue(queue)

    def _key(self, key: AdminKey) -> Answer:
        if key.opcode is AdminOp.DEREGISTER_KEY:
            return OK if self.keys.pop(key.number, None) else (AdminStatus.NOT_FOUND, 0)
        if key.number in self.keys:
            return AdminStatus.IN_USE, 0
        if key.kind == KeyKind.MR and (key.length == 0 or key.page_shift < 12):
            return AdminStatus.BAD_PARAM_LENGTH, 0
        self.keys[key.number] = Key(key, key.kind != KeyKind.FAST_REG)
        return OK

    def _queue(self, queue: AdminQueue) -> Answer:
        number = queue.number
        if queue.opcode is AdminOp.CREATE_EQ:
            self.events[number] = EventRing(self.world, queue, self.interrupt)
        elif queue.opcode is AdminOp.CREATE_CQ:
            self.cqs[number] = CompletionRing(self.world, queue, self.events[queue.eqn])
        elif queue.opcode is AdminOp.DESTROY_CQ:
            used = (cq for qp in self.qps.values() for cq in (qp.send_cq, qp.recv_cq))
            if any(cq is self.cqs[number] for cq in used):
                return AdminStatus.BUSY, 0
            del self.cqs[number]
        elif queue.opcode is AdminOp.RESIZE_CQ:
            return AdminStatus.OK, self.cqs[number].resize(queue)
        elif queue.opcode is AdminOp.QUERY_CQ:
            cq = self.cqs[number]
            return AdminStatus.OK, cq.producer | cq.consumer << 32 | int(cq.bad) << 56
        else:
            return AdminStatus.BAD_OPCODE, 0
        return OK

    def _srq(self, queue: AdminQueue) -> Answer:
        number = queue.number
        if queue.opcode is AdminOp.CREATE_SRQ:
            self.srqs[number] = ReceiveRing(
                self.world,
                queue.base,
                queue.log_size,
                queue.pd,
                queue.limit,
                lambda: self.events[0].post(EventType.SRQ_LIMIT, number, 0),
            )
            return OK
        srq = self.srqs.get(number)
        if srq is None:
            return AdminStatus.NOT_FOUND, 0
        if queue.opcode is AdminOp.QUERY_SRQ:
            indices = srq.producer & MASK16 | (srq.consumer & MASK16) << 32
            return AdminStatus.OK, indices | srq.limit << 48
        if queue.opcode is AdminOp.DESTROY_SRQ:
            del self.srqs[number]
        elif queue.limit:
            srq.arm(queue.limit)
        return OK

    def _create_qp(self, new: AdminCreateQp) -> Answer:
        if new.number in self.qps:
            return AdminStatus.IN_USE, 0
        if new.use_srq and new.e2e_credits:
            return AdminStatus.BAD_PARAM_CREDITS, 0
        if new.use_srq:
            receives = self.srqs[new.srq]
        else:
            receives = ReceiveRing(self.world, new.rq_base, new.rq_log, new.pd)
        self.qps[new.number] = QueuePair(
            new, self.cqs[new.send_cq], self.cqs[new.recv_cq], receives
        )
        return OK

    def _modify_qp(self, modify: AdminModifyQp) -> Answer:
        qp = self.qps.get(modify.number)
        if qp is None:
            return AdminStatus.NOT_FOUND, 0
        state = QpState(modify.state)
        follows = state in (QpState.INIT, QpState.RTR, QpState.RTS) and state == qp.state + 1
        if not follows and (state is not QpState.ERR or qp.state is QpState.RESET):
            return AdminStatus.BAD_STATE, 0
        if modify.mask & QpAttr.ACCESS_FLAGS:
            qp.access = modify.access
        if modify.mask & QpAttr.AV:
            qp.path = modify
        if modify.mask & QpAttr.RNR_RETRY:
            qp.path = replace(
                qp.path, rnr_retry=modify.rnr_retry, max_rd_atomic=modify.max_rd_atomic
            )
            qp.rnr_left = modify.rnr_retry
        qp.state = state
        self.work(qp)
        return OK

    # ------------------------------------------------------------ doorbells, errors

    def send_doorbell(self, qpn: int, index: int) -> None:
        """Send entries up to this index are there."""
        qp = self.qps.get(qpn)
        if qp is not None and qp.state >= QpState.RTS:
            qp.producer += (index - qp.producer) & MASK16
            self.work(qp)

    def receive_doorbell(self, qpn: int, index: int) -> None:
        """Receive entries up to this index are there."""
        qp = self.qps.get(qpn)
        if qp is not None:
            qp.receives.doorbell(index)
            self.work(qp)

    def down(self, qp: QueuePair, status: int) -> None:
        """A fatal error of a QP."""
        if qp.state is not QpState.ERR and qp.state is not QpState.RESET:
            qp.state = QpState.ERR
            self.events[0].post(EventType.QP_ERROR, qp.fields.number, status)
            self.work(qp)


def put(pieces: Iterable[memoryview], data: bytes) -> None:
    """Fill memory, piece after piece."""
    at = 0
    for piece in pieces:
        piece[:] = data[at : at + len(piece)]
        at += len(piece)
