"""What a completion queue does, in plain words: a ring, an arm, and what fires it."""

from __future__ import annotations

from dataclasses import dataclass, field

from spec.codes import CqeStatus, EventType
from spec.layouts import ArmType, CqeFlag
from spec.streams import CqeReq

WRAP = 1 << 24


def strength(request: CqeReq) -> ArmType:
    """The narrowest arm that this completion fires."""
    if request.status != CqeStatus.SUCCESS:
        return ArmType.ERRORS
    if request.flags & CqeFlag.SOLICITED:
        return ArmType.SOLICITED
    return ArmType.ANY


def fires(arm: ArmType, request: CqeReq) -> bool:
    """An armed queue notices this completion."""
    order = [ArmType.ERRORS, ArmType.SOLICITED, ArmType.ANY]
    return arm != ArmType.NONE and order.index(strength(request)) <= order.index(arm)


@dataclass
class CompletionQueue:
    """The adapter's side of one queue; indices run free here and are cut where they leave."""

    number: int
    base: int
    log_size: int
    eqn: int
    entries: list[CqeReq] = field(default_factory=list)
    first: int = 0
    consumer: int = 0
    bad: bool = False
    arm: ArmType = ArmType.NONE
    arm_seq: int = 0
    events: list[tuple[EventType, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Entries of the ring."""
        return 1 << self.log_size

    @property
    def producer(self) -> int:
        """Index of the next entry."""
        return self.first + len(self.entries)

    def complete(self, request: CqeReq) -> None:
        """A completion arrives."""
        if self.bad or self.producer - self.consumer == self.size:
            self.lost.append(request.qpn)
            self.spoil()
            return
        self.entries.append(request)
        if fires(self.arm, request):
            self.fire()

    def spoil(self) -> None:
        """Something was lost: the queue is of no use any more, and says so once."""
        if not self.bad:
            self.events.append((EventType.CQ_ERROR, 0))
        self.bad = True

    def fire(self) -> None:
        """Tell the host, once per arm."""
        self.events.append((EventType.COMPLETION, self.arm_seq))
        self.arm = ArmType.NONE

    def doorbell(self, index: int, arm: ArmType, arm_seq: int) -> bool:
        """Consumer index and perhaps an arm; False when it makes no sense."""
        freed = (index - self.consumer) % WRAP
        if freed > self.producer - self.consumer:
            return False
        self.consumer += freed
        if arm == ArmType.NONE or arm_seq == self.arm_seq:
            return True
        self.arm, self.arm_seq = arm, arm_seq
        unseen = self.entries[self.consumer - self.first :]
        if self.bad or any(fires(arm, request) for request in unseen):
            self.fire()
        return True
