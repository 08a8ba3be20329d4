"""NDK_CQ: results in, arms, resize, moderation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driver_model.cq_resize import Resizer
from driver_model.hw.cq_ring import MAX_LOG, REPORT_AFTER, CqRing
from driver_model.hw.fault import AdapterFault
from driver_model.hw.nic import EQN, Nic
from driver_model.ndkpi import MAXULONG, CqNotify, NdkResult, NdkResultEx, ObjectType
from driver_model.notification import Notifier
from driver_model.objects import (
    CreateCompletion,
    NdkObject,
    PendingCreate,
    PendingRequest,
    RequestCompletion,
)
from driver_model.status import Status, admin_status
from spec.codes import AdminStatus
from spec.layouts import AdminCommand, AdminCqe, AdminOp, ArmType, Cqe, CqeFlag

if TYPE_CHECKING:
    from driver_model.adapter import Adapter

HIDDEN_EACH = 4  # completions a QP may have under way that the consumer never sees
FIRST_QPS = 12


@dataclass(slots=True, eq=False)
class Member:
    """A queue pair on a CQ: what becomes of its completions, and how it is told of the end."""

    route: Callable[[Cqe], list[NdkResultEx]]
    fail: Callable[[], None]


class Cq(NdkObject):
    """Completions are moved from the ring to `_results` lazily, in order, and handed out there."""

    def __init__(
        self,
        adapter: Adapter,
        number: int,
        depth: int,
        notification: Callable[[object, Status], None],
        context: object,
    ) -> None:
        super().__init__(ObjectType.CQ, adapter.header.version, [adapter])
        self.adapter = adapter
        self.number = number
        self.depth = depth
        self.members: dict[int, Member] = {}
        self._nic: Nic = adapter.nic
        self._ring = CqRing(self._nic.device, number, self._entries(depth, FIRST_QPS))
        self._results: deque[NdkResultEx] = deque()
        self._placed = 0
        self._limit = self._ring.size
        self._failed: Status | None = None
        self._waiters: list[Callable[[], bool]] = []
        self._resizer = Resizer(self._nic, self._ring, self)
        self._notifier = Notifier(
            self._nic.device,
            self,
            lambda status: self.callback(lambda: notification(context, status)),
        )

    @staticmethod
    def _entries(depth: int, members: int) -> int:
        """Entries for all that may stand there: results, hidden ones, taken but unreported."""
        return depth + HIDDEN_EACH * members + REPORT_AFTER

    @classmethod
    def create(
        cls,
        adapter: Adapter,
        depth: int,
        notification: Callable[[object, Status], None],
        context: object,
        completion: CreateCompletion | None,
        request_context: object,
    ) -> Status:
        """What NdkCreateCq does."""
        if not 0 < depth <= adapter.info.max_cq_depth:
            return Status.INVALID_PARAMETER
        number = adapter.nic.cqns.take()
        if number is None:
            return Status.INSUFFICIENT_RESOURCES
        cq = cls(adapter, number, depth, notification, context)
        pending = PendingCreate(cq, completion, request_context)

        def answered(answer: AdminCqe) -> None:
            if answer.status == AdminStatus.OK:
                cq._nic.on_completion[number] = cq._on_event
                cq._nic.on_cq_error[number] = cq._on_error
            else:
                cq._forget()
            pending.complete(admin_status(answer.status))

        adapter.nic.submit(cq._ring.create_command(EQN), answered)
        return Status.PENDING

    # ------------------------------------------------------------ dispatch table

    def resize_cq(
        self, cq_depth: int, request_completion: RequestCompletion | None, request_context: object
    ) -> Status:
        """NdkResizeCq; while one resize is under way the next waits for it."""
        if not 0 < cq_depth <= self.adapter.info.max_cq_depth:
            return Status.INVALID_PARAMETER
        self.reap()
        if len(self._results) > cq_depth:
            return Status.BUFFER_OVERFLOW
        pending = PendingRequest(self, request_completion, request_context)

        def resized(status: Status) -> None:
            if status is Status.SUCCESS:
                self.depth = cq_depth
            pending.complete(status)

        self._resizer.resize(self._entries(cq_depth, max(FIRST_QPS, len(self.members))), resized)
        return Status.PENDING

    def arm_cq(self, kind: int) -> None:
        """NdkArmCq; a type that is none is ignored."""
        if kind not in tuple(CqNotify):
            return
        self.reap()
        self._notifier.arm(CqNotify(kind))
        self._arm_adapter()

    def get_cq_results(self, results: list[NdkResult], n_results: int) -> int:
        """NdkGetCqResults: appends up to so many results, and returns how many."""
        taken = self._take(n_results)
        results.extend(
            NdkResult(r.status, r.bytes_transferred, r.qp_context, r.request_context) for r in taken
        )
        return len(taken)

    def get_cq_results_ex(self, results: list[NdkResultEx], n_results: int) -> int:
        """NdkGetCqResultsEx: the same with the kind of each result."""
        taken = self._take(n_results)
        results.extend(taken)
        return len(taken)

    def control_cq_interrupt_moderation(
        self, moderation_interval: int, moderation_count: int
    ) -> Status:
        """NdkControlCqInterruptModeration; in microseconds and completions."""
        unbounded = moderation_count == MAXULONG or moderation_count > self.depth
        if moderation_interval == MAXULONG and unbounded:
            return Status.INVALID_PARAMETER_MIX
        self._notifier.moderate(moderation_interval, moderation_count, self.depth)
        return Status.SUCCESS

    # ------------------------------------------------------------ completions

    def first_queued(self) -> int:
        """Number of the oldest result that waits, or the next to come."""
        return self._placed - len(self._results)

    def next_number(self) -> int:
        """Number of the next result to come."""
        return self._placed

    def _take(self, limit: int) -> list[NdkResultEx]:
        if len(self._results) < limit:
            self.reap()
        return [self._results.popleft() for _ in range(min(limit, len(self._results)))]

    def reap(self) -> None:
        """Move what the adapter completed to the results."""
        while (cqe := self._ring.take()) is not None:
            self._route(cqe)

    def _route(self, cqe: Cqe) -> None:
        member = self.members.get(cqe.qpn)
        if member is None:
            raise AdapterFault(f"completion queue {self.number}: completion of no queue pair")
        for result in member.route(cqe):
            self.place(result, bool(cqe.flags & CqeFlag.SOLICITED))

    def place(self, result: NdkResultEx, solicited: bool = False) -> None:
        """Queue a result; more than the queue holds make it unusable."""
        if self._failed is None and len(self._results) >= self._limit:
            self._fail(Status.BUFFER_OVERFLOW)
        if self._failed is not None and len(self._results) >= self._limit:
            return
        self._results.append(result)
        self._placed += 1
        self._notifier.placed(self._placed - 1, solicited or result.status != Status.SUCCESS)

    def _on_event(self, detail: int) -> None:
        """The adapter's arm fired."""
        self._ring.fired(detail)
        self._serve()

    def _serve(self) -> None:
        """Look at the ring for everybody who waits for something."""
        self.reap()
        self._waiters = [waiting for waiting in self._waiters if not waiting()]
        self._notifier.run()
        self._arm_adapter()

    def wait(self, waiting: Callable[[], bool]) -> None:
        """Ask after every reap for a while whether something came; for the provider itself."""
        self.reap()
        if not waiting():
            self._waiters.append(waiting)
            self._arm_adapter()

    def _arm_adapter(self) -> None:
        """Arm for the consumer and for those inside who wait."""
        wanted = ArmType.ANY if self._waiters else self._notifier.wanted_arm()
        covered = self._ring.armed in (wanted, ArmType.ANY)
        if wanted is not ArmType.NONE and not covered and self._failed is None:
            self._ring.arm(wanted)

    # ------------------------------------------------------------ resize

    def reserve(self, qpn: int, member: Member, done: Callable[[Status], None]) -> None:
        """A QP joins: its hidden completions must find room; `done` is called when they do."""
        self.members[qpn] = member
        self._resizer.when_settled(lambda: self._grow(done))

    def _grow(self, done: Callable[[Status], None]) -> None:
        entries = self._entries(self.depth, len(self.members))
        if entries <= self._ring.size:
            done(Status.SUCCESS)
        else:
            self._resizer.resize(min(2 * entries, 1 << MAX_LOG), done)

    def moved(self, left: list[Cqe]) -> None:
        """A resize has ended: results in the old ring come before all in the new one."""
        for cqe in left:
            self._route(cqe)
        self._limit = max(self._ring.size, len(self._results))
        self._serve()

    def when_settled(self, action: Callable[[], None]) -> None:
        """Do something when no resize is under way: then a reap finds all there is."""
        self._resizer.when_settled(action)

    # ------------------------------------------------------------ errors and the end

    def _on_error(self) -> None:
        """An entry was lost: the adapter had no room for it, or could not write it."""

        def answered(answer: AdminCqe) -> None:
            self.reap()
            lost_in_memory = answer.detail & 0xFF_FFFF != self._ring.consumer
            self._fail(Status.INTERNAL_ERROR if lost_in_memory else Status.BUFFER_OVERFLOW)

        command = AdminCommand(opcode=AdminOp.QUERY_CQ, number=self.number)
        self._resizer.when_settled(lambda: self._nic.submit(command, answered))

    def _fail(self, status: Status) -> None:
        if self._failed is not None:
            return
        self._failed = status
        for member in list(self.members.values()):
            member.fail()
        self._waiters = [waiting for waiting in self._waiters if not waiting()]
        self._notifier.error(status)

    @property
    def failed(self) -> bool:
        """The queue reports nothing any more."""
        return self._failed is not None

    def _begin_close(self) -> None:
        self._notifier.stop()

    def _teardown(self, done: Callable[[], None]) -> None:
        def answered(_answer: AdminCqe) -> None:
            self._forget()
            done()

        command = AdminCommand(opcode=AdminOp.DESTROY_CQ, number=self.number)
        self._nic.submit(command, answered)

    def _forget(self) -> None:
        self._nic.on_completion.pop(self.number, None)
        self._nic.on_cq_error.pop(self.number, None)
        self._ring.free()
        self._nic.cqns.give(self.number)
