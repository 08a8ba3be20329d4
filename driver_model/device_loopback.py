"""Adapters in plain Python that share a world: a `Device` each, connected to each other."""

from __future__ import annotations

from collections.abc import Callable

from driver_model.loopback.nic import SoftNic
from driver_model.loopback.transport import Transport
from driver_model.loopback.world import Buffer, Timer, World
from spec.layouts import (
    MAX_INLINE,
    MAX_READ_SGE,
    MAX_RECV_SGE,
    MAX_SGE,
    PUSH_OFFSET,
    AdminCommand,
    AdminCqe,
    CqDoorbell,
    Doorbell,
    QueueDoorbell,
    SqWqe,
)
from spec.registers import (
    GID_BASE,
    GID_COUNT,
    GID_STRIDE,
    AdminConfigReg,
    AdminCqHiReg,
    AdminCqIndexReg,
    AdminCqLoReg,
    AdminDoorbellReg,
    AdminSqHiReg,
    AdminSqLoReg,
    CqLimitsReg,
    Feature,
    FeaturesReg,
    GidEntry,
    IdReg,
    KeyLimitsReg,
    QpLimitsReg,
    ReadLimitsReg,
    StatusReg,
    VersionReg,
    WrLimitsReg,
)

COMMAND_NS = 500
INTERRUPT_NS = 50
READ_NS = 100


class LoopbackDevice:
    """One adapter: registers, admin queue, doorbells, interrupts."""

    def __init__(
        self, world: World, *, qps: int = 256, cqs: int = 256, keys: int = 1024, srqs: int = 16
    ) -> None:
        self.world = world
        self.nic = SoftNic(world, self._interrupt)
        self.doorbells: list[tuple[int, bytes]] = []
        self._handlers: dict[int, Callable[[], None]] = {}
        self._fetched = 0
        self._written = 0
        Transport(self.nic)
        reads = ReadLimitsReg(
            max_reads_out=16, max_reads_in=16, max_read_sge=MAX_READ_SGE, max_mtu=5
        )
        limits = WrLimitsReg(max_send_sge=MAX_SGE, max_recv_sge=MAX_RECV_SGE, max_inline=MAX_INLINE)
        values = (
            IdReg(),
            VersionReg(),
            QpLimitsReg(qp_count=qps, srq_count=srqs),
            CqLimitsReg(cq_count=cqs, eq_count=4),
            KeyLimitsReg(key_count=keys),
            limits,
            reads,
            FeaturesReg(features=Feature.SRQ | Feature.FAST_REGISTER),
            StatusReg(ready=1),
        )
        self.registers = {value.ADDRESS: value.to_int() for value in values}

    # ------------------------------------------------------------ Device

    async def read32(self, offset: int) -> int:
        """Read a register; time passes meanwhile."""
        self.world.settle(READ_NS)
        return self.registers.get(offset, 0)

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        self.registers[offset] = value
        if offset == AdminDoorbellReg.ADDRESS:
            self.world.call_later(COMMAND_NS, self._command)
        elif offset == AdminConfigReg.ADDRESS and not value & 1:
            self._fetched = self._written = 0
        elif GID_BASE <= offset < GID_BASE + GID_COUNT * GID_STRIDE:
            self._gid((offset - GID_BASE) // GID_STRIDE)

    def ring(self, offset: int, data: bytes) -> None:
        """Write to the doorbell space."""
        self.doorbells.append((offset, data))
        if offset >= PUSH_OFFSET:
            wqe = SqWqe.unpack(data)
            self.nic.send_doorbell((offset - PUSH_OFFSET) // 64, wqe.index + wqe.blocks)
            return
        if offset == Doorbell.CQ:
            bell = CqDoorbell.unpack(data)
            self.nic.cqs[bell.number].update(bell.index, bell.arm, bell.arm_seq)
            return
        queue = QueueDoorbell.unpack(data)
        if offset == Doorbell.SQ:
            self.nic.send_doorbell(queue.number, queue.index)
        elif offset == Doorbell.RQ:
            self.nic.receive_doorbell(queue.number, queue.index)
        elif offset == Doorbell.SRQ:
            self.nic.srqs[queue.number].doorbell(queue.index)
        elif offset == Doorbell.EQ:
            events = self.nic.events[queue.number]
            events.consumer += (queue.index - events.consumer) & 0xFFFF

    def allocate(self, size: int, align: int = 4096) -> Buffer:
        """Memory for the adapter."""
        return self.world.allocate(size, align)

    def free(self, buffer: Buffer) -> None:
        """Give memory back."""
        self.world.free(buffer)

    def on_interrupt(self, vector: int, handler: Callable[[], None]) -> None:
        """Call the handler for every interrupt of a vector."""
        self._handlers[vector] = handler

    def now_ns(self) -> int:
        """The world's time."""
        return self.world.now

    def call_later(self, delay_ns: int, action: Callable[[], None]) -> Timer:
        """Do something later."""
        return self.world.call_later(delay_ns, action)

    # ------------------------------------------------------------ inside

    def _interrupt(self, vector: int) -> None:
        self.world.call_later(INTERRUPT_NS, self._handlers[vector])

    def _gid(self, index: int) -> None:
        words = [self.registers.get(GID_BASE + index * GID_STRIDE + 4 * w, 0) for w in range(8)]
        entry = GidEntry.unpack(b"".join(word.to_bytes(4, "little") for word in words))
        if entry.valid:
            self.world.nics[entry.gid] = self.nic

    def _command(self) -> None:
        config = AdminConfigReg.from_int(self.registers[AdminConfigReg.ADDRESS])
        room = (1 << config.cq_log) - (
            (self._written - self.registers.get(AdminCqIndexReg.ADDRESS, 0)) & 0xFFFF
        )
        if self._fetched & 0xFFFF == self.registers[AdminDoorbellReg.ADDRESS] or not room:
            return
        base = self._base(AdminSqLoReg.ADDRESS, AdminSqHiReg.ADDRESS)
        data = bytes(self.world.at(base + self._fetched % (1 << config.sq_log) * 64, 64))
        self._fetched += 1
        status, detail = self.nic.command(data)
        size = 1 << config.cq_log
        answer = AdminCqe(
            tag=AdminCommand.unpack(data).tag,
            status=status,
            sq_head=self._fetched & 0xFFFF,
            detail=detail,
            phase=int(self._written & size == 0),
        )
        base = self._base(AdminCqLoReg.ADDRESS, AdminCqHiReg.ADDRESS)
        self.world.at(base + self._written % size * 64, 64)[:] = answer.pack()
        self._written += 1
        self._interrupt(config.vector)
        self.world.call_later(COMMAND_NS, self._command)

    def _base(self, low: int, high: int) -> int:
        return self.registers[low] | self.registers[high] << 32
