"""Resizing a completion queue: one at a time, and those who must wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from driver_model.hw.cq_ring import CqRing
from driver_model.hw.nic import Nic
from driver_model.status import Status, admin_status
from spec.codes import AdminStatus
from spec.layouts import AdminCqe, Cqe

INDEX_MASK = 0xFF_FFFF


class Resized(Protocol):
    """The queue that is resized."""

    def hold(self) -> None:
        """It may not be closed meanwhile."""
        ...

    def release(self) -> None:
        """It may again."""
        ...

    def reap(self) -> None:
        """Take what is in the ring."""
        ...

    def moved(self, left: list[Cqe]) -> None:
        """The new ring is in use; these were left in the old one."""
        ...


class Resizer:
    """Does resizes one after the other, and things that must not happen during one."""

    def __init__(self, nic: Nic, ring: CqRing, queue: Resized) -> None:
        self._nic = nic
        self._ring = ring
        self._queue = queue
        self._waiting: list[Callable[[], None]] = []

    def when_settled(self, action: Callable[[], None]) -> None:
        """Do something when no resize is under way; what it starts, the next one waits for."""
        if self._ring.resizing:
            self._waiting.append(lambda: self.when_settled(action))
        else:
            action()

    def resize(self, entries: int, done: Callable[[Status], None]) -> None:
        """Move to a ring of so many entries."""
        self.when_settled(lambda: self._start(entries, done))

    def _start(self, entries: int, done: Callable[[Status], None]) -> None:
        self._queue.reap()
        self._queue.hold()

        def answered(answer: AdminCqe) -> None:
            left: list[Cqe] = []
            if answer.status == AdminStatus.OK:
                left = self._ring.finish_resize(answer.detail & INDEX_MASK)
            else:
                self._ring.cancel_resize()
            self._queue.moved(left)
            while self._waiting and not self._ring.resizing:
                self._waiting.pop(0)()
            done(admin_status(answer.status))
            self._queue.release()

        self._nic.submit(self._ring.begin_resize(entries), answered)
