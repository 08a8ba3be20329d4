"""How the plain-Python adapter carries out work: one entry at a time, straight into the peer."""

from __future__ import annotations

from driver_model.loopback.nic import SoftNic, put
from driver_model.loopback.state import MASK16, KeyFault, QueuePair, receive_sges
from spec.codes import Access, CqeStatus, QpState
from spec.layouts import (
    Cqe,
    CqeFlag,
    CqeOp,
    FastRegWqe,
    KeyKind,
    RqWqe,
    Sge,
    SqWqe,
    WqeFlag,
    WrOp,
)

STEP_NS = 100
RNR_WAIT_NS = 10_000
TIMEOUT_NS = 100_000

SENDS = (WrOp.SEND, WrOp.SEND_IMM, WrOp.SEND_INV)
LOCALS = (WrOp.NOP, WrOp.FAST_REG, WrOp.LOCAL_INV)


class WorkError(Exception):
    """An entry that ends with an error status."""

    def __init__(self, status: CqeStatus) -> None:
        super().__init__(status.name)
        self.status = status


def received(
    nic: SoftNic, qp: QueuePair, entry: RqWqe, status: CqeStatus, wqe: SqWqe | None = None
) -> None:
    """Complete a receive, the one that the send `wqe` met or a flushed one."""
    flags = CqeFlag(0)
    opcode = CqeOp.RECV
    if wqe is not None and wqe.flags & WqeFlag.SOLICITED:
        flags |= CqeFlag.SOLICITED
    if wqe is not None and wqe.opcode is WrOp.SEND_INV:
        flags |= CqeFlag.INVALIDATED
        opcode = CqeOp.RECV_INV
    cqe = Cqe(
        wr_id=entry.wr_id,
        wqe_index=entry.index,
        qpn=qp.fields.number,
        opcode=opcode,
        byte_len=wqe.length if wqe is not None else 0,
        imm=wqe.imm if wqe is not None else 0,
        status=status,
        flags=flags,
    )
    if not qp.recv_cq.post(cqe):
        nic.down(qp, CqeStatus.FATAL_ERR)


class Transport:
    """The engine of one adapter."""

    def __init__(self, nic: SoftNic) -> None:
        self.nic = nic
        nic.work = self.wake

    def wake(self, qp: QueuePair, delay: int = STEP_NS) -> None:
        """Look at a queue pair soon."""
        if not qp.busy:
            qp.busy = True
            self.nic.world.call_later(delay, lambda: self._turn(qp))

    def _turn(self, qp: QueuePair) -> None:
        qp.busy = False
        if self.nic.qps.get(qp.fields.number) is not qp:
            return
        if qp.state is QpState.ERR and not qp.fields.use_srq:
            self._flush_receives(qp)
        if qp.fetch == qp.producer or qp.state < QpState.RTS:
            return
        wqe, raw = self._fetch(qp)
        if qp.state is QpState.ERR:
            self._complete(qp, wqe, CqeStatus.WR_FLUSH_ERR)
            self.wake(qp)
            return
        try:
            wait = self._execute(qp, wqe, raw)
        except WorkError as error:
            self._complete(qp, wqe, error.status)
            self.nic.down(qp, error.status)
            wait = 0
        else:
            if not wait:
                self._complete(qp, wqe, CqeStatus.SUCCESS)
        self.wake(qp, wait or STEP_NS)

    def _fetch(self, qp: QueuePair) -> tuple[SqWqe, bytes]:
        size = 1 << qp.fields.sq_log
        blocks = [bytes(self._block(qp, qp.fetch % size))]
        wqe = SqWqe.unpack(blocks[0])
        if wqe.index != qp.fetch & MASK16 or not 1 <= wqe.blocks <= 4:
            raise RuntimeError(f"send entry {qp.fetch} says that it is {wqe.index}")
        blocks += [
            bytes(self._block(qp, (qp.fetch + number) % size)) for number in range(1, wqe.blocks)
        ]
        return wqe, b"".join(blocks)

    def _block(self, qp: QueuePair, place: int) -> memoryview:
        return self.nic.world.at(qp.fields.sq_base + 64 * place, 64)

    def _complete(self, qp: QueuePair, wqe: SqWqe, status: CqeStatus) -> None:
        qp.fetch += wqe.blocks
        if status == CqeStatus.SUCCESS and not wqe.flags & WqeFlag.SIGNALED:
            return
        opcode = CqeOp.READ if wqe.opcode is WrOp.READ else CqeOp.SEND
        if wqe.opcode in (WrOp.WRITE, WrOp.WRITE_IMM):
            opcode = CqeOp.WRITE
        if wqe.opcode in LOCALS:
            opcode = CqeOp.LOCAL
        cqe = Cqe(
            wr_id=wqe.wr_id,
            wqe_index=qp.fetch & MASK16,
            qpn=qp.fields.number,
            opcode=opcode,
            byte_len=wqe.length,
            status=status,
        )
        if not qp.send_cq.post(cqe):
            self.nic.down(qp, CqeStatus.FATAL_ERR)

    def _flush_receives(self, qp: QueuePair) -> None:
        while (entry := qp.receives.take()) is not None:
            received(self.nic, qp, entry, CqeStatus.WR_FLUSH_ERR)

    # ------------------------------------------------------------ operations

    def _execute(self, qp: QueuePair, wqe: SqWqe, raw: bytes) -> int:
        """Do one entry; the time to wait before trying again, or 0 when it is done."""
        if wqe.opcode in LOCALS:
            self._local(qp, wqe, raw)
            return 0
        if wqe.opcode is WrOp.READ and not qp.path.max_rd_atomic:
            raise WorkError(CqeStatus.LOC_QP_OP_ERR)
        other = self.nic.world.nics.get(qp.path.dest_gid.to_bytes(16, "little"))
        peer = other.qps.get(qp.path.dest_qpn) if other is not None else None
        if other is None or peer is None or peer.state not in (QpState.RTR, QpState.RTS):
            raise WorkError(CqeStatus.RETRY_EXC_ERR)
        data = raw[32:]
        sges = [Sge.unpack(data[16 * n : 16 * n + 16]) for n in range(wqe.num_sge)]
        try:
            if wqe.flags & WqeFlag.INLINE:
                payload = data[: wqe.length]
            elif wqe.opcode is not WrOp.READ:
                payload = self.nic.gather(qp.fields.pd, sges)
            if wqe.opcode in SENDS:
                return self._send(qp, wqe, payload, other, peer)
            if wqe.opcode is WrOp.WRITE:
                put(self._remote(other, peer, wqe, Access.REMOTE_WRITE), payload)
            else:
                pieces = self._remote(other, peer, wqe, Access.REMOTE_READ)
                payload = b"".join(bytes(piece) for piece in pieces)
                self.nic.scatter(qp.fields.pd, sges, payload)
        except KeyFault:
            raise WorkError(CqeStatus.LOC_PROT_ERR) from None
        return 0

    def _local(self, qp: QueuePair, wqe: SqWqe, raw: bytes) -> None:
        if wqe.opcode is WrOp.NOP:
            return
        key = self.nic.keys.get(wqe.imm >> 8)
        fast = key is not None and key.fields.kind == KeyKind.FAST_REG
        if key is None or not fast or key.fields.pd != qp.fields.pd:
            raise WorkError(CqeStatus.LOC_QP_OP_ERR)
        if key.valid is (wqe.opcode is WrOp.FAST_REG):
            raise WorkError(CqeStatus.LOC_QP_OP_ERR)
        key.valid = not key.valid
        if key.valid:
            order = FastRegWqe.unpack(raw)
            old = key.fields
            key.fields = type(old)(
                number=old.number,
                key=order.token & 0xFF,
                kind=old.kind,
                access=order.access,
                direct=order.direct,
                page_shift=order.page_shift,
                pd=old.pd,
                base=order.base,
                length=order.length,
                pages=order.pages,
            )

    def _remote(
        self, other: SoftNic, peer: QueuePair, wqe: SqWqe, right: Access
    ) -> list[memoryview]:
        try:
            if right & ~peer.access:
                raise KeyFault("the queue pair does not serve this")
            return other.memory(peer.fields.pd, wqe.rkey, wqe.remote_addr, wqe.length, right, True)
        except KeyFault:
            other.down(peer, CqeStatus.REM_ACCESS_ERR)
            raise WorkError(CqeStatus.REM_ACCESS_ERR) from None

    def _send(
        self, qp: QueuePair, wqe: SqWqe, payload: bytes, other: SoftNic, peer: QueuePair
    ) -> int:
        entry = peer.receives.take()
        if entry is None:
            qp.rnr_left -= int(qp.path.rnr_retry != 7)
            if qp.rnr_left < 0:
                raise WorkError(CqeStatus.RNR_RETRY_EXC_ERR)
            return RNR_WAIT_NS
        qp.rnr_left = qp.path.rnr_retry
        sges = receive_sges(entry)
        status = CqeStatus.SUCCESS
        if wqe.opcode is WrOp.SEND_INV:
            key = other.keys.get(wqe.imm >> 8)
            fast = key is not None and key.fields.kind == KeyKind.FAST_REG and key.valid
            if key is None or not fast or key.fields.pd != peer.fields.pd:
                status = CqeStatus.LOC_PROT_ERR
            else:
                key.valid = False
        if len(payload) > sum(sge.length for sge in sges):
            status = CqeStatus.LOC_LEN_ERR
        try:
            if status == CqeStatus.SUCCESS:
                other.scatter(peer.receives.pd, sges, payload)
        except KeyFault:
            status = CqeStatus.LOC_PROT_ERR
        received(other, peer, entry, status, wqe)
        if status != CqeStatus.SUCCESS:
            other.down(peer, status)
            too_long = status == CqeStatus.LOC_LEN_ERR
            raise WorkError(CqeStatus.REM_INV_REQ_ERR if too_long else CqeStatus.REM_OP_ERR)
        return 0
