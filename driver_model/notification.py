"""When an armed completion queue calls its consumer: arms, newness, serialization, moderation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from driver_model.device import Device, TimerHandle
from driver_model.ndkpi import MAXULONG, CqNotify
from driver_model.status import Status
from spec.layouts import ArmType


class Queued(Protocol):
    """What the notifier must know about the results that wait; numbers grow by one per result."""

    def first_queued(self) -> int:
        """Number of the oldest result that waits, or the next to come."""
        ...

    def next_number(self) -> int:
        """Number of the next result to come."""
        ...


class Notifier:
    """The arm of one queue.

    The adapter's arm only wakes the provider; what is due is decided here, from the completions
    themselves, so an event too many does no harm and moderation needs no help of the hardware.
    """

    def __init__(self, device: Device, queued: Queued, notify: Callable[[Status], None]) -> None:
        self._device = device
        self._queued = queued
        self._notify = notify
        self._armed: CqNotify | None = None
        self._due = False
        self._running = False
        self._scheduled = False
        self._stopped = False
        self._seen = 0  # results numbered below were there when the last callback began
        self._last_waking = -1
        self._status = Status.SUCCESS
        self._interval_us = 0
        self._count = 0
        self._gathered = 0
        self._timer: TimerHandle | None = None

    # ------------------------------------------------------------ what happens

    def placed(self, number: int, wakes: bool) -> None:
        """A result was queued; `wakes` when it is solicited or failed."""
        if wakes:
            self._last_waking = number
        if self._armed is CqNotify.ANY or (self._armed is CqNotify.SOLICITED and wakes):
            self._satisfied()
        elif self._gathered:
            self._gather()

    def arm(self, kind: CqNotify) -> None:
        """NdkArmCq: combines with an arm that has not fired to the wider of both."""
        if self._armed is None or kind.width > self._armed.width:
            self._armed = kind
        if self._status is not Status.SUCCESS:
            self._become_due()
        elif not self._due and not self._gathered and self._matches_what_is_new():
            self._satisfied()

    def error(self, status: Status) -> None:
        """The queue is unusable: every arm fires, now or when it is made."""
        if self._status is Status.SUCCESS:
            self._status = status
            if self._armed is not None:
                self._become_due()

    def stop(self) -> None:
        """No callback starts any more."""
        self._stopped = True
        self._cancel_timer()

    def moderate(self, interval_us: int, count: int, depth: int) -> None:
        """From now on hold callbacks back; 0 or 1 in one of them switches moderation off."""
        off = interval_us == 0 or count <= 1
        self._interval_us = 0 if off else interval_us
        self._count = 0 if off or count > depth else count
        if off and self._gathered:
            self._become_due()

    # ------------------------------------------------------------ what follows

    def wanted_arm(self) -> ArmType:
        """What the adapter must be armed with, so that nothing is missed."""
        if self._stopped or self._due or self._armed is None:
            return ArmType.NONE
        if self._gathered:
            return ArmType.ANY if self._count else ArmType.NONE
        return (ArmType.NONE, ArmType.ANY, ArmType.SOLICITED)[self._armed]

    def run(self) -> None:
        """Call the consumer if that is due and it is not in the callback already."""
        if not self._due or self._running or self._stopped:
            return
        self._due = False
        self._armed = None
        self._gathered = 0
        self._cancel_timer()
        self._seen = self._queued.next_number()
        self._running = True
        try:
            self._notify(self._status)
        finally:
            self._running = False
        if self._due:
            self._run_soon()

    def _matches_what_is_new(self) -> bool:
        oldest_new = max(self._seen, self._queued.first_queued())
        if self._armed is CqNotify.ANY:
            return self._queued.next_number() > oldest_new
        return self._armed is CqNotify.SOLICITED and self._last_waking >= oldest_new

    def _satisfied(self) -> None:
        """The arm has its completion; moderation may still hold the callback."""
        if not self._interval_us:
            self._become_due()
            return
        if not self._gathered and self._interval_us != MAXULONG:
            self._timer = self._device.call_later(self._interval_us * 1000, self._time_is_up)
        self._gather()

    def _gather(self) -> None:
        self._gathered += 1
        if self._count and self._gathered >= self._count:
            self._become_due()

    def _time_is_up(self) -> None:
        self._timer = None
        if self._gathered:
            self._become_due()

    def _become_due(self) -> None:
        self._due = True
        self._run_soon()

    def _run_soon(self) -> None:
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self._device.call_later(0, self._scheduled_run)

    def _scheduled_run(self) -> None:
        self._scheduled = False
        self.run()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
