"""What the plain-Python adapter remembers: keys, completion queues, event queue, queue pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from driver_model.loopback.world import World
from spec.codes import Access, CqeStatus, EventType, QpState
from spec.layouts import (
    AdminCreateQp,
    AdminKey,
    AdminModifyQp,
    AdminQueue,
    ArmType,
    Cqe,
    CqeFlag,
    Eqe,
    KeyKind,
    RqWqe,
    Sge,
)

MASK16 = 0xFFFF
NO_ACCESS = Access(0)


class KeyFault(Exception):
    """A token does not allow what was asked."""


@dataclass(slots=True)
class Key:
    """An entry of the key table."""

    fields: AdminKey
    valid: bool

    def pieces(self, world: World, address: int, length: int) -> list[memoryview]:
        """The memory behind a range, page by page."""
        entry = self.fields
        if entry.kind == KeyKind.PRIVILEGED:
            return [world.at(address, length)]
        offset = address - entry.base
        if offset < 0 or offset + length > entry.length:
            raise KeyFault("out of range")
        if entry.direct:
            return [world.at(entry.pages + offset, length)]
        size = 1 << entry.page_shift
        place = entry.base % size + offset
        pieces = []
        while length:
            listed = world.at(entry.pages + 8 * (place // size), 8)
            take = min(length, size - place % size)
            page = int.from_bytes(listed, "little")
            pieces.append(world.at(page + place % size, take))
            place += take
            length -= take
        return pieces


@dataclass(slots=True)
class EventRing:
    """An event queue."""

    world: World
    fields: AdminQueue
    interrupt: Callable[[int], None]
    producer: int = 0
    consumer: int = 0

    def post(self, event_type: EventType, number: int, detail: int) -> None:
        """Write an event, then interrupt."""
        size = 1 << self.fields.log_size
        if self.producer - self.consumer == size:
            raise RuntimeError("event queue overflow")
        phase = int(self.producer & size == 0)
        entry = Eqe(number=number, event_type=event_type, detail=detail, phase=phase)
        slot = self.fields.base + self.producer % size * Eqe.SIZE
        self.world.at(slot, Eqe.SIZE)[:] = entry.pack()
        self.producer += 1
        self.interrupt(self.fields.vector)


@dataclass(slots=True)
class CompletionRing:
    """A completion queue with its arm, as the adapter's documentation describes it."""

    world: World
    fields: AdminQueue
    events: EventRing
    producer: int = 0
    consumer: int = 0
    waking: int = 0
    bad: bool = False
    arm: ArmType = ArmType.NONE
    arm_seq: int = 0

    def post(self, cqe: Cqe) -> bool:
        """Write a completion; False when it is lost."""
        size = 1 << self.fields.log_size
        if self.bad:
            return False
        if self.producer - self.consumer == size:
            self.bad = True
            self.events.post(EventType.CQ_ERROR, self.fields.number, 0)
            return False
        slot = self.fields.base + self.producer % size * Cqe.SIZE
        phase = int(self.producer & size == 0)
        self.world.at(slot, Cqe.SIZE)[:] = replace(cqe, phase=phase).pack()
        self.producer += 1
        wakes = cqe.status != CqeStatus.SUCCESS or bool(cqe.flags & CqeFlag.SOLICITED)
        if wakes:
            self.waking = self.producer
        if self.arm == ArmType.ANY or (self.arm == ArmType.SOLICITED and wakes):
            self._fire()
        return True

    def update(self, index: int, arm: ArmType, arm_seq: int) -> None:
        """A doorbell."""
        freed = (index - self.consumer) & 0xFF_FFFF
        if freed > self.producer - self.consumer:
            raise RuntimeError(f"doorbell of CQ {self.fields.number} beyond what was written")
        self.consumer += freed
        if arm == ArmType.NONE or arm_seq == self.arm_seq:
            return
        self.arm, self.arm_seq = arm, arm_seq
        unseen = self.producer if arm == ArmType.ANY else self.waking
        if arm in (ArmType.ANY, ArmType.SOLICITED) and unseen > self.consumer:
            self._fire()

    def _fire(self) -> None:
        self.arm = ArmType.NONE
        self.events.post(EventType.COMPLETION, self.fields.number, self.arm_seq)

    def resize(self, fields: AdminQueue) -> int:
        """Another ring from now on; what was written to the old one."""
        written = self.producer
        self.fields = replace(self.fields, base=fields.base, log_size=fields.log_size)
        self.producer = self.consumer = self.waking = 0
        return written


@dataclass(slots=True)
class ReceiveRing:
    """A receive queue, of one QP or shared."""

    world: World
    base: int
    log: int
    pd: int
    limit: int = 0
    low: Callable[[], None] = lambda: None
    producer: int = 0
    consumer: int = 0

    @property
    def left(self) -> int:
        """Entries that wait."""
        return self.producer - self.consumer

    def arm(self, limit: int) -> None:
        """Tell `low` once, when fewer are left: now, or when one is taken."""
        self.limit = limit
        if self.left < limit:
            self._fire()

    def _fire(self) -> None:
        self.limit = 0
        self.low()

    def take(self) -> RqWqe | None:
        """The next entry."""
        if self.producer == self.consumer:
            return None
        slot = self.base + self.consumer % (1 << self.log) * RqWqe.SIZE
        entry = RqWqe.unpack(self.world.at(slot, RqWqe.SIZE))
        if entry.index != self.consumer & MASK16:
            raise RuntimeError(f"receive entry {self.consumer} says that it is {entry.index}")
        falls = self.left == self.limit
        self.consumer += 1
        if falls:
            self._fire()
        return entry

    def doorbell(self, index: int) -> None:
        """Entries up to this index are there."""
        self.producer += (index - self.producer) & MASK16


def receive_sges(entry: RqWqe) -> list[Sge]:
    """The scatter list of a receive."""
    return [entry.sge0, entry.sge1, entry.sge2][: entry.num_sge]


@dataclass(slots=True)
class QueuePair:
    """A queue pair."""

    fields: AdminCreateQp
    send_cq: CompletionRing
    recv_cq: CompletionRing
    receives: ReceiveRing
    path: AdminModifyQp = field(default_factory=AdminModifyQp)
    access: Access = NO_ACCESS
    state: QpState = QpState.RESET
    producer: int = 0
    fetch: int = 0
    busy: bool = False
    rnr_left: int = 0
