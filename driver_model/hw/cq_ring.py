"""A completion ring: entries come out by their phase bit, doorbells make room and arm."""

from __future__ import annotations

from driver_model.device import Device, DmaBuffer
from driver_model.hw.doorbell import ring_cq
from driver_model.hw.fault import AdapterFault
from driver_model.hw.phase_ring import new_entry
from spec.layouts import AdminOp, AdminQueue, ArmType, Cqe

ENTRY = Cqe.SIZE
INDEX_MASK = 0xFF_FFFF
REPORT_AFTER = 16
MAX_LOG = 15


def ring_log(entries: int) -> int:
    """log2 of the ring that holds so many."""
    return max(1, (entries - 1).bit_length())


class CqRing:
    """The ring of one completion queue; the consumer index runs free."""

    def __init__(self, device: Device, number: int, entries: int) -> None:
        self._device = device
        self.number = number
        self.log = ring_log(entries)
        self.buffer = device.allocate(self.size * ENTRY)
        self._view = self.buffer.memory
        self._next: tuple[DmaBuffer, int] | None = None
        self._consumer = 0
        self._reported = 0
        self._arm_seq = 0
        self.armed = ArmType.NONE

    @property
    def size(self) -> int:
        """Entries of the ring."""
        return 1 << self.log

    @property
    def resizing(self) -> bool:
        """A new ring is on its way; no doorbell may name an index until it is there."""
        return self._next is not None

    @property
    def consumer(self) -> int:
        """Entries taken since the ring was made."""
        return self._consumer & INDEX_MASK

    def create_command(self, eqn: int) -> AdminQueue:
        """The admin command that makes the adapter know the queue."""
        return AdminQueue(
            opcode=AdminOp.CREATE_CQ,
            number=self.number,
            log_size=self.log,
            eqn=eqn,
            base=self.buffer.bus_address,
        )

    def take(self) -> Cqe | None:
        """The next completion, or None.

        While a resize is under way consumption is not reported, so no more is taken than the ring
        can do without: who has not seen a completion has not posted in its place.
        """
        if self.resizing and self._consumer - self._reported >= REPORT_AFTER:
            return None
        cqe = self._peek()
        if cqe is not None:
            self._consumer += 1
            if self._consumer - self._reported >= REPORT_AFTER:
                self.report()
        return cqe

    def _peek(self) -> Cqe | None:
        entry = new_entry(self._view, ENTRY, self.log, self._consumer)
        return None if entry is None else Cqe.unpack(entry)

    def report(self) -> None:
        """Tell the adapter how much was taken."""
        if self._reported != self._consumer and not self.resizing:
            self._reported = self._consumer
            ring_cq(self._device, self.number, self._consumer)

    def arm(self, kind: ArmType) -> None:
        """Ask for an event when something arrives behind what was taken."""
        if self.resizing:
            return
        self._arm_seq += 1
        self.armed = kind
        self._reported = self._consumer
        ring_cq(self._device, self.number, self._consumer, kind, self._arm_seq)

    def fired(self, detail: int) -> None:
        """The adapter honoured an arm; it is the latest one or does not matter any more."""
        if detail & 3 == self._arm_seq & 3:
            self.armed = ArmType.NONE

    def begin_resize(self, entries: int) -> AdminQueue:
        """Prepare a ring of another size; the command that makes the adapter use it."""
        log = ring_log(entries)
        buffer = self._device.allocate((1 << log) * ENTRY)
        self.report()
        self._next = (buffer, log)
        return AdminQueue(
            opcode=AdminOp.RESIZE_CQ, number=self.number, log_size=log, base=buffer.bus_address
        )

    def cancel_resize(self) -> None:
        """The adapter refused: everything is as it was."""
        if self._next is not None:
            self._device.free(self._next[0])
            self._next = None
            self.report()

    def finish_resize(self, producer: int) -> list[Cqe]:
        """The adapter writes to the new ring; what it wrote to the old one before that index."""
        if self._next is None:
            raise AdapterFault(f"completion queue {self.number}: nobody asked for a resize")
        left = []
        while self.consumer != producer & INDEX_MASK:
            cqe = self._peek()
            if cqe is None:
                raise AdapterFault(f"completion queue {self.number}: the old ring has a hole")
            self._consumer += 1
            left.append(cqe)
        self._device.free(self.buffer)
        self.buffer, self.log = self._next
        self._view = self.buffer.memory
        self._next = None
        self._consumer = self._reported = 0
        return left

    def free(self) -> None:
        """Give the memory back."""
        self._device.free(self.buffer)
