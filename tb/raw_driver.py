"""The adapter's programming model with bare hands: rings, commands and doorbells, no checks.

For tests that need what a driver would never do, and that must not depend on the driver. A method
either does exactly what it says or raises; statuses are data.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from cocotb.triggers import RisingEdge, with_timeout

from spec.codes import Access, AdminStatus, QpState, QpType
from spec.fields import Record
from spec.layouts import (
    PUSH_OFFSET,
    WQE_BLOCK,
    AdminCommand,
    AdminCqe,
    AdminCreateQp,
    AdminKey,
    AdminModifyQp,
    AdminOp,
    AdminQueue,
    ArmType,
    CqDoorbell,
    Cqe,
    Doorbell,
    Eqe,
    FastRegWqe,
    KeyKind,
    QpAttr,
    QueueDoorbell,
    RqWqe,
    SqWqe,
)
from spec.registers import (
    GID_BASE,
    GID_STRIDE,
    AdminConfigReg,
    AdminCqHiReg,
    AdminCqIndexReg,
    AdminCqLoReg,
    AdminDoorbellReg,
    AdminSqHiReg,
    AdminSqLoReg,
    ControlReg,
    GidEntry,
    MacHiReg,
    MacLoReg,
    StatusReg,
    stat_address,
)
from tb.host import SimBuffer, SimDevice

ADMIN_LOG = 4
TIMEOUT_NS = 200_000
EVERY_RIGHT = Access(0xF)


class CommandRefused(AssertionError):
    """An admin command that had to succeed did not."""


@dataclass(slots=True)
class Ring:
    """A ring in host memory that the adapter writes, with a phase bit on top of each entry."""

    buffer: SimBuffer
    entry: type[Record]
    log: int
    index: int = 0

    def poll(self) -> Any | None:
        """The next entry, if it is there."""
        size = self.entry.size_bytes()
        at = (self.index & (1 << self.log) - 1) * size
        entry = self.entry.unpack(self.buffer.memory[at : at + size])
        if entry.phase != 1 - (self.index >> self.log & 1):  # type: ignore[attr-defined]
            return None
        self.index += 1
        return entry


@dataclass(slots=True)
class RawQp:
    """A queue pair: its rings and producer indices."""

    number: int
    sq: SimBuffer
    rq: SimBuffer
    sq_log: int
    rq_log: int
    sq_index: int = 0
    rq_index: int = 0


@dataclass(slots=True)
class Port:
    """Addresses of an adapter."""

    mac: bytes
    gids: list[bytes] = field(default_factory=list)


def ipv4_gid(address: str) -> bytes:
    """An IPv4 address as a GID."""
    return bytes(10) + b"\xff\xff" + bytes(int(part) for part in address.split("."))


class RawDriver:
    """Drives one adapter."""

    def __init__(self, device: SimDevice, port: Port) -> None:
        self.device = device
        self.port = port
        self.commands = device.allocate(64 << ADMIN_LOG)
        self.answers = Ring(device.allocate(64 << ADMIN_LOG), AdminCqe, ADMIN_LOG)
        self.posted = 0
        self.arm_seq: dict[int, int] = {}
        self._edge = RisingEdge(device.ticker._edge_trigger.signal)

    async def until(self, condition: Any, timeout_ns: int = TIMEOUT_NS) -> Any:
        """Wait until the condition gives something; a test that waits in vain fails."""

        async def wait() -> Any:
            while True:
                found = condition()
                if found not in (None, False):
                    return found
                await self._edge

        return await with_timeout(wait(), timeout_ns, "ns")

    # ------------------------------------------------------------ registers

    async def start(self) -> None:
        """Bring the adapter up: addresses, admin queue, enable."""
        write = self.device.write32
        while not StatusReg.from_int(await self.device.read32(StatusReg.ADDRESS)).ready:
            pass
        write(MacLoReg.ADDRESS, int.from_bytes(self.port.mac[:4], "little"))
        write(MacHiReg.ADDRESS, int.from_bytes(self.port.mac[4:], "little"))
        for index, gid in enumerate(self.port.gids):
            entry = GidEntry(gid=gid, valid=1, is_v4=int(gid[:12] == ipv4_gid("0.0.0.0")[:12]))
            data = entry.pack()
            for at in range(0, 20, 4):
                word = int.from_bytes(data[at : at + 4], "little")
                write(GID_BASE + index * GID_STRIDE + at, word)
        for lo, hi, buffer in (
            (AdminSqLoReg, AdminSqHiReg, self.commands),
            (AdminCqLoReg, AdminCqHiReg, self.answers.buffer),
        ):
            write(lo.ADDRESS, buffer.bus_address & 0xFFFF_FFFF)
            write(hi.ADDRESS, buffer.bus_address >> 32)
        config = AdminConfigReg(enable=1, irq_enable=0, sq_log=ADMIN_LOG, cq_log=ADMIN_LOG)
        write(AdminConfigReg.ADDRESS, config.to_int())
        write(ControlReg.ADDRESS, ControlReg(rx_enable=1, tx_enable=1).to_int())

    async def counter(self, stat: int) -> int:
        """A statistics counter, low word; at most a hundred cycles old."""
        for _ in range(100):
            await self._edge
        return await self.device.read32(stat_address(stat))

    # ------------------------------------------------------------ admin queue

    async def command(self, command: Record) -> AdminCqe:
        """Give a command and wait for its answer, whatever that is."""
        tag = self.posted & 0xFFFF
        at = (self.posted & (1 << ADMIN_LOG) - 1) * 64
        self.commands.memory[at : at + 64] = replace(command, tag=tag).pack()  # type: ignore[call-arg]
        self.posted += 1
        self.device.write32(AdminDoorbellReg.ADDRESS, self.posted & 0xFFFF)
        answer: AdminCqe = await self.until(self.answers.poll)
        assert answer.tag == tag, f"answer to command {answer.tag}, not {tag}"
        self.device.write32(AdminCqIndexReg.ADDRESS, self.answers.index & 0xFFFF)
        return answer

    async def must(self, command: Record) -> AdminCqe:
        """Give a command that has to succeed."""
        answer = await self.command(command)
        if answer.status != AdminStatus.OK:
            raise CommandRefused(f"{command}: {AdminStatus(answer.status).name}")
        return answer

    async def create_eq(self, number: int = 0, log: int = 6, vector: int = 0) -> Ring:
        """An event queue."""
        ring = Ring(self.device.allocate(16 << log), Eqe, log)
        await self.must(
            AdminQueue(
                opcode=AdminOp.CREATE_EQ,
                number=number,
                log_size=log,
                base=ring.buffer.bus_address,
                vector=vector,
            )
        )
        self.device.on_interrupt(vector, lambda: None)
        return ring

    async def create_cq(self, number: int, log: int = 8, eqn: int = 0) -> Ring:
        """A completion queue."""
        ring = Ring(self.device.allocate(32 << log), Cqe, log)
        await self.must(
            AdminQueue(
                opcode=AdminOp.CREATE_CQ,
                number=number,
                log_size=log,
                eqn=eqn,
                base=ring.buffer.bus_address,
            )
        )
        return ring

    async def create_srq(
        self, number: int, log: int = 6, *, pd: int = 1, limit: int = 0
    ) -> SimBuffer:
        """A shared receive queue; returns its ring."""
        ring = self.device.allocate(64 << log)
        await self.must(
            AdminQueue(
                opcode=AdminOp.CREATE_SRQ,
                number=number,
                log_size=log,
                pd=pd,
                limit=limit,
                base=ring.bus_address,
            )
        )
        return ring

    async def create_qp(
        self, number: int, cqn: int = 0, *, recv_cqn: int | None = None, pd: int = 1,
        sq_log: int = 8, rq_log: int = 8, srq: int | None = None, credits: bool = False,
    ) -> RawQp:  # fmt: skip
        """A queue pair in RESET."""
        sq, rq = self.device.allocate(64 << sq_log), self.device.allocate(64 << rq_log)
        await self.must(
            AdminCreateQp(
                opcode=AdminOp.CREATE_QP,
                number=number,
                qp_type=QpType.RC,
                pd=pd,
                send_cq=cqn,
                recv_cq=cqn if recv_cqn is None else recv_cqn,
                sq_base=sq.bus_address,
                rq_base=rq.bus_address,
                sq_log=sq_log,
                rq_log=rq_log,
                srq=srq or 0,
                use_srq=int(srq is not None),
                e2e_credits=int(credits),
            )
        )
        return RawQp(number, sq, rq, sq_log, rq_log)

    async def connect(
        self, qp: RawQp, peer: Port, peer_qpn: int, *, gid: int = 0, sq_psn: int = 0x100,
        rq_psn: int = 0x200, mtu: int = 5, access: Access = EVERY_RIGHT, reads: int = 16,
        until: QpState = QpState.RTS, **attributes: int,
    ) -> None:  # fmt: skip
        """INIT, RTR, RTS or less; further attributes overwrite what the modify commands carry."""
        common = AdminModifyQp(
            opcode=AdminOp.MODIFY_QP, number=qp.number, dest_qpn=peer_qpn, access=access,
            dest_gid=int.from_bytes(peer.gids[gid], "little"),
            dest_mac=int.from_bytes(peer.mac, "little"), sgid_index=gid, hop_limit=64,
            udp_sport=0xC000 + qp.number, rq_psn=rq_psn, sq_psn=sq_psn, path_mtu=mtu,
            max_rd_atomic=reads, max_dest_rd_atomic=reads, min_rnr_timer=1, timeout=14,
            retry_cnt=7, rnr_retry=7, pkey=0xFFFF,
        )  # fmt: skip
        common = replace(common, **attributes)
        for state, mask in (
            (QpState.INIT, QpAttr.PKEY_INDEX | QpAttr.PORT | QpAttr.ACCESS_FLAGS),
            (QpState.RTR, QpAttr.AV | QpAttr.PATH_MTU | QpAttr.DEST_QPN | QpAttr.RQ_PSN
             | QpAttr.MAX_DEST_RD_ATOMIC | QpAttr.MIN_RNR_TIMER),
            (QpState.RTS, QpAttr.TIMEOUT | QpAttr.RETRY_CNT | QpAttr.RNR_RETRY | QpAttr.SQ_PSN
             | QpAttr.MAX_RD_ATOMIC),
        ):  # fmt: skip
            if state <= until:
                await self.must(replace(common, state=state, mask=mask | QpAttr.STATE))

    async def modify(self, number: int, state: QpState, mask: QpAttr = QpAttr.STATE) -> AdminCqe:
        """A state change without attributes, or with those that have no value."""
        return await self.command(
            AdminModifyQp(
                opcode=AdminOp.MODIFY_QP, number=number, state=state, mask=mask | QpAttr.STATE
            )
        )

    async def query_state(self, number: int) -> QpState:
        """The state a queue pair is in."""
        answer = await self.must(AdminCommand(opcode=AdminOp.QUERY_QP, number=number))
        return QpState(answer.detail & 7)

    async def register(
        self, index: int, buffer: SimBuffer, *, key: int = 0x5A, pd: int = 1,
        base: int | None = None,
        access: Access = EVERY_RIGHT, length: int | None = None,
    ) -> int:  # fmt: skip
        """A contiguous region over a buffer; returns its token."""
        await self.must(
            AdminKey(
                opcode=AdminOp.REGISTER_KEY,
                number=index,
                key=key,
                kind=KeyKind.MR,
                access=access,
                direct=1,
                page_shift=12,
                pd=pd,
                pages=buffer.bus_address,
                base=buffer.bus_address if base is None else base,
                length=len(buffer.memory) if length is None else length,
            )
        )
        return index << 8 | key

    # ------------------------------------------------------------ work requests

    def put_send(self, qp: RawQp, wqe: SqWqe | FastRegWqe, more: bytes = b"") -> None:
        """Write a send queue entry (and its further blocks) without telling the adapter."""
        blocks = replace(wqe, index=qp.sq_index & 0xFFFF).pack() + more
        for at in range(0, len(blocks), WQE_BLOCK):
            slot = (qp.sq_index & (1 << qp.sq_log) - 1) * WQE_BLOCK
            qp.sq.memory[slot : slot + WQE_BLOCK] = blocks[at : at + WQE_BLOCK]
            qp.sq_index += 1

    def post_send(self, qp: RawQp, wqe: SqWqe | FastRegWqe, more: bytes = b"") -> None:
        """Post a send queue entry."""
        self.put_send(qp, wqe, more)
        self.ring_sq(qp.number, qp.sq_index)

    def ring_sq(self, number: int, index: int) -> None:
        """The send doorbell."""
        self.device.ring(Doorbell.SQ, QueueDoorbell(number=number, index=index & 0xFFFF).pack())

    def push(self, qp: RawQp, wqe: SqWqe) -> None:
        """Post a one-block entry through the push window."""
        data = replace(wqe, index=qp.sq_index & 0xFFFF).pack()
        self.put_send(qp, wqe)
        self.device.ring(PUSH_OFFSET + 64 * qp.number, data)

    def post_recv(self, qp: RawQp, wqe: RqWqe, ring: bool = True) -> None:
        """Post a receive."""
        at = (qp.rq_index & (1 << qp.rq_log) - 1) * 64
        qp.rq.memory[at : at + 64] = replace(wqe, index=qp.rq_index & 0xFFFF).pack()
        qp.rq_index += 1
        if ring:
            index = qp.rq_index & 0xFFFF
            self.device.ring(Doorbell.RQ, QueueDoorbell(number=qp.number, index=index).pack())

    def consume(self, number: int, ring: Ring, arm: ArmType = ArmType.NONE) -> None:
        """Tell a completion queue what was read, and arm it."""
        seq = self.arm_seq.get(number, 0)
        if arm is not ArmType.NONE:
            seq = self.arm_seq[number] = seq + 1 & 3
        doorbell = CqDoorbell(number=number, arm=arm, arm_seq=seq, index=ring.index & 0xFF_FFFF)
        self.device.ring(Doorbell.CQ, doorbell.pack())
