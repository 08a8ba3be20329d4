"""Queue pairs driven without the provider, beside it: what NDKPI has no function for.

`RawEnd` takes the same calls as the provider's queue pair, so that moves, desks and sequences serve
both, and three more: SEND and WRITE with immediate, atomics. It shares the adapter's admin queue
and numbers with the provider. Its results come by polling.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cocotb.triggers import Timer

from driver_model.hw.admin import Command
from driver_model.hw.wqe import NO_FLAGS, InlineTransfer, Transfer, Work, encode_receive
from driver_model.ndkpi import NdkResultEx, NdkSge, OperationType, OpFlag
from driver_model.out_of_band import OutOfBandEndpoint
from driver_model.posting import gather, hardware_flags, hardware_sges
from driver_model.status import Status, completion_status
from spec.codes import AdminStatus, CqeStatus, QpState
from spec.fields import Record
from spec.layouts import (
    AdminCommand,
    AdminCqe,
    AdminKey,
    AdminOp,
    Cqe,
    CqeFlag,
    CqeOp,
    Doorbell,
    KeyKind,
    QueueDoorbell,
    Sge,
    SqWqe,
    WqeFlag,
    WrOp,
)
from tb.nic.image import Region
from tb.nic.ndk import Host
from tb.nic.pair import PORTS
from tb.raw_driver import EVERY_RIGHT, RawDriver, RawQp, Ring
from tb.streams import CLOCK_NS
from tb.uvm.ask import ask

BLOCKS_EACH = 4
SQ_LOG, RQ_LOG, CQ_LOG = 7, 5, 10
LOOK = 120
"""Cycles between two looks at the completion ring."""

COMPLETED = {
    WrOp.SEND: CqeOp.SEND,
    WrOp.SEND_IMM: CqeOp.SEND,
    WrOp.SEND_INV: CqeOp.SEND,
    WrOp.WRITE: CqeOp.WRITE,
    WrOp.WRITE_IMM: CqeOp.WRITE,
    WrOp.READ: CqeOp.READ,
    WrOp.CMP_SWAP: CqeOp.ATOMIC,
    WrOp.FETCH_ADD: CqeOp.ATOMIC,
}
TYPES = {
    CqeOp.SEND: OperationType.SEND,
    CqeOp.WRITE: OperationType.WRITE,
    CqeOp.READ: OperationType.READ,
    CqeOp.ATOMIC: OperationType.READ,
}


@dataclass(frozen=True, slots=True)
class Atomic:
    """An atomic operation before it has its place in the ring."""

    op: WrOp
    sge: Sge
    remote_addr: int
    rkey: int
    operand: int
    compare: int
    flags: WqeFlag = NO_FLAGS
    blocks: int = 1

    def encode(self, index: int, wr_id: int, signaled: bool) -> bytes:
        """The entry as it lies in the ring at this index."""
        data = self.sge.to_int() | self.operand << 128 | self.compare << 192
        flags = self.flags | WqeFlag.SIGNALED if signaled else self.flags
        return SqWqe(
            opcode=self.op, flags=flags, blocks=1, num_sge=1, index=index & 0xFFFF, length=8,
            remote_addr=self.remote_addr, rkey=self.rkey, wr_id=wr_id, data=data,
        ).pack()  # fmt: skip


@dataclass(slots=True)
class Entry:
    """A posted request."""

    context: object
    op: WrOp
    end: int
    signaled: bool


class RawSq:
    """How far a send queue has come, by the names that the provider's has."""

    def __init__(self, log: int, depth: int) -> None:
        self.log, self.depth = log, depth
        self._producer = 0
        self.outstanding: deque[Entry] = deque()


class RawRq:
    """The same of a receive queue."""

    def __init__(self, log: int) -> None:
        self.log = log
        self._producer = 0
        self.outstanding: deque[object] = deque()

    @property
    def full(self) -> bool:
        """No room for another receive."""
        return len(self.outstanding) >= 1 << self.log


class BorrowedDriver(RawDriver):
    """Bare hands on an adapter that a provider has brought up: commands go through its queue."""

    def __init__(self, host: Host) -> None:
        super().__init__(host.device, PORTS[host.name])
        self.host = host

    async def command(self, command: Record) -> AdminCqe:
        """Give a command and wait for its answer, whatever that is."""
        given: Command = command  # type: ignore[assignment]
        return await ask(self.host, given)


class RawSide:
    """One adapter's raw objects: a completion queue, keys, queue pairs."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.nic = host.facade.adapter.nic
        self.driver = BorrowedDriver(host)
        self.ends: dict[int, RawEnd] = {}
        self.tokens: list[int] = []
        self.cqn: int
        self.ring: Ring

    async def open(self) -> None:
        """The completion queue."""
        number = self.nic.cqns.take()
        assert number is not None
        self.cqn, self.ring = number, await self.driver.create_cq(number, CQ_LOG)

    async def create(self, context: str) -> RawEnd:
        """A queue pair in RESET."""
        number = self.nic.qpns.take()
        assert number is not None
        qp = await self.driver.create_qp(
            number, self.cqn, pd=self.host.pd.number, sq_log=SQ_LOG, rq_log=RQ_LOG,
            credits=self.host.credits,
        )  # fmt: skip
        self.ends[number] = RawEnd(self, qp, context)
        return self.ends[number]

    async def register(self, region: Region) -> None:
        """A contiguous region with every right, atomics too."""
        assert region.contiguous
        token = self.nic.keys.take()
        assert token is not None
        await self.driver.must(
            AdminKey(
                opcode=AdminOp.REGISTER_KEY, number=token >> 8, key=token & 0xFF, kind=KeyKind.MR,
                access=EVERY_RIGHT, direct=1, page_shift=12, pd=self.host.pd.number,
                pages=region.buffer.pages[0] + region.lead, base=region.base + region.lead,
                length=region.size,
            )
        )  # fmt: skip
        region.token = token
        self.tokens.append(token)

    async def results(self) -> list[NdkResultEx]:
        """The next results; waits until there are some."""
        while True:
            found = []
            while (cqe := self.ring.poll()) is not None:
                found.append(self.ends[cqe.qpn].completed(cqe))
            if found:
                self.driver.consume(self.cqn, self.ring)
                return found
            await Timer(LOOK * CLOCK_NS, "ns")

    async def close(self) -> list[tuple[AdminOp, int]]:
        """Destroy everything; what was destroyed, as queries that must fail."""
        gone = []
        steps = [(AdminOp.DESTROY_QP, AdminOp.QUERY_QP, number) for number in self.ends]
        steps.append((AdminOp.DESTROY_CQ, AdminOp.QUERY_CQ, self.cqn))
        steps += [(AdminOp.DEREGISTER_KEY, AdminOp.QUERY_KEY, token >> 8) for token in self.tokens]
        for destroy, query, number in steps:
            await self.driver.must(AdminCommand(opcode=destroy, number=number))
            gone.append((query, number))
        return gone


class RawEnd:
    """A queue pair with the provider's functions, and more."""

    def __init__(self, side: RawSide, qp: RawQp, context: str) -> None:
        self.side, self.qp, self.context = side, qp, context
        self.number = qp.number
        self.sq = RawSq(qp.sq_log, (1 << qp.sq_log) // BLOCKS_EACH)
        self.rq = RawRq(qp.rq_log)
        self.watchers: list[Callable[[bool], None]] = []
        """Told when the queue pair begins to drain and before it goes on."""

    def endpoint(self, gid: int, psn: int) -> OutOfBandEndpoint:
        """What the predictor must know."""
        port = PORTS[self.side.host.name]
        return OutOfBandEndpoint(self.number, psn, port.gids[gid], port.mac, gid)

    async def connect(
        self, peer: RawEnd, psns: tuple[int, int], gid: int, mtu: int, **attributes: int
    ) -> None:
        """To RTS; the PSNs are ours and the peer's."""
        await self.side.driver.connect(
            self.qp, PORTS[peer.side.host.name], peer.number,
            gid=gid, sq_psn=psns[0], rq_psn=psns[1], mtu=mtu, **attributes,
        )  # fmt: skip

    async def drain(self) -> None:
        """To SQD: when this returns, no further request begins."""
        await self._state(QpState.SQD)
        for watcher in self.watchers:
            watcher(True)

    async def go_on(self) -> None:
        """Back to RTS."""
        for watcher in self.watchers:
            watcher(False)
        await self._state(QpState.RTS)

    async def _state(self, state: QpState) -> None:
        answer = await self.side.driver.modify(self.number, state)
        assert answer.status == AdminStatus.OK, f"{self.context} to {state.name}: {answer.status}"

    # ------------------------------------------------------------ requests

    def send(
        self,
        context: object,
        sgl: Sequence[NdkSge],
        _count: int,
        flags: int,
        imm: int | None = None,
    ) -> Status:
        """SEND, with immediate or without."""
        op = WrOp.SEND if imm is None else WrOp.SEND_IMM
        return self._post(context, self._transfer(op, sgl, flags, imm=imm or 0), op, flags)

    def write(
        self, context: object, sgl: Sequence[NdkSge], _count: int, address: int, token: int,
        flags: int, imm: int | None = None,
    ) -> Status:  # fmt: skip
        """RDMA WRITE, with immediate or without."""
        op = WrOp.WRITE if imm is None else WrOp.WRITE_IMM
        work = self._transfer(op, sgl, flags, address, token, imm or 0)
        return self._post(context, work, op, flags)

    def read(
        self, context: object, sgl: Sequence[NdkSge], _count: int, address: int, token: int,
        flags: int,
    ) -> Status:  # fmt: skip
        """RDMA READ."""
        work = self._transfer(WrOp.READ, sgl, flags, address, token)
        return self._post(context, work, WrOp.READ, flags)

    def atomic(
        self, context: object, op: WrOp, sge: NdkSge, address: int, token: int, operand: int,
        compare: int, flags: int,
    ) -> Status:  # fmt: skip
        """COMPARE & SWAP or FETCH & ADD."""
        (place,) = hardware_sges([sge])
        work = Atomic(op, place, address, token, operand, compare, hardware_flags(flags))
        return self._post(context, work, op, flags)

    def receive(self, context: object, sgl: Sequence[NdkSge], _count: int) -> Status:
        """Post a receive."""
        if self.rq.full:
            return Status.NO_MORE_ENTRIES
        index = self.rq._producer
        place = (index & (1 << self.qp.rq_log) - 1) * 64
        entry = encode_receive(hardware_sges(sgl), index, index)
        self.qp.rq.memory[place : place + 64] = entry
        self.rq._producer += 1
        self.rq.outstanding.append(context)
        doorbell = QueueDoorbell(number=self.number, index=self.rq._producer & 0xFFFF)
        self.side.driver.device.ring(Doorbell.RQ, doorbell.pack())
        return Status.SUCCESS

    def _transfer(
        self, op: WrOp, sgl: Sequence[NdkSge], flags: int, address: int = 0, token: int = 0,
        imm: int = 0,
    ) -> Work:  # fmt: skip
        place = {"remote_addr": address, "rkey": token, "imm": imm, "flags": hardware_flags(flags)}
        if flags & OpFlag.INLINE:
            return InlineTransfer(op, gather(self.side.host.facade.memory, sgl), **place)  # type: ignore[arg-type]
        return Transfer(op, hardware_sges(sgl), **place)  # type: ignore[arg-type]

    def _post(self, context: object, work: Work, op: WrOp, flags: int) -> Status:
        sq = self.sq
        if len(sq.outstanding) >= sq.depth:
            return Status.NO_MORE_ENTRIES
        # So that half of the queue is always known to be free.
        silent = flags & OpFlag.SILENT_SUCCESS and len(sq.outstanding) % (sq.depth // 2) != 1
        index = sq._producer
        entry = work.encode(index, index & 0xFFFF_FFFF, not silent)
        for at in range(0, len(entry), 64):
            place = (sq._producer & (1 << sq.log) - 1) * 64
            self.qp.sq.memory[place : place + 64] = entry[at : at + 64]
            sq._producer += 1
        sq.outstanding.append(Entry(context, op, index, not silent))
        self.side.driver.ring_sq(self.number, sq._producer)
        return Status.SUCCESS

    # ------------------------------------------------------------ results

    def completed(self, cqe: Cqe) -> NdkResultEx:
        """What the provider would make of a completion."""
        good = cqe.status == CqeStatus.SUCCESS
        if cqe.opcode >= CqeOp.RECV:
            context = self.rq.outstanding.popleft()
            imm = bool(cqe.flags & CqeFlag.IMMEDIATE)
            assert not good or imm == (cqe.opcode in (CqeOp.RECV_IMM, CqeOp.RECV_WRITE_IMM))
            return self._result(cqe, OperationType.RECEIVE, context, cqe.imm if imm else 0)
        while True:
            entry = self.sq.outstanding.popleft()
            if entry.end == cqe.wr_id:
                break
            assert not entry.signaled, f"QP {self.number}: no completion for {entry.context}"
        if good:
            assert cqe.opcode == COMPLETED[entry.op], f"{entry.context}: {cqe.opcode.name}"
        return self._result(cqe, TYPES[CqeOp(cqe.opcode)], entry.context, 0)

    def _result(
        self, cqe: Cqe, operation: OperationType, context: object, output: int
    ) -> NdkResultEx:
        return NdkResultEx(
            status=completion_status(cqe.status, operation),
            bytes_transferred=cqe.byte_len,
            qp_context=self.context,
            request_context=context,
            type=operation,
            provider_error_code=cqe.status << 8 | cqe.syndrome,
            type_specific_completion_output=output,
        )
