"""Completion queues: arms, serialization, moderation, resize, overrun."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from driver_model.cq import Cq
from driver_model.facade import WaitedCq, connect_pair
from driver_model.ndkpi import MAXULONG, CqNotify, NdkResult, OpFlag, Out
from driver_model.status import Status
from tests.driver.pair import Pair, paired

ERRORS, ANY, SOLICITED = CqNotify.ERRORS, CqNotify.ANY, CqNotify.SOLICITED


class Watched:
    """A receiving CQ of side b whose notifications are written down."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.calls: list[Status] = []
        self.inside: Callable[[], None] = lambda: None
        self.cq: Cq
        self.taken = 0

    @classmethod
    async def make(cls, pair: Pair, depth: int = 64) -> Watched:
        """The queue, and a QP connected to side a's new one that receives into it."""
        self = cls(pair)
        created: list[Cq] = []
        pair.b.facade.adapter.create_cq(
            depth, self._notified, "context", None, lambda *r: created.append(r[2]), None, Out()
        )
        pair.world.settle(10_000)
        self.cq = created[0]
        waited = WaitedCq(pair.world.event)
        waited.cq = self.cq
        b = pair.b
        self.qp = await b.facade.create_qp(b.pd, waited, b.cq, depth=(100, 100))
        self.sender = await pair.a.facade.create_qp(pair.a.pd, pair.a.cq, pair.a.cq)
        await connect_pair((pair.a.facade, self.sender), (b.facade, self.qp))
        for _ in range(100):
            self.qp.receive(None, [b.sge(0, 4)], 1)
        return self

    def _notified(self, context: object, status: Status) -> None:
        assert context == "context"
        self.calls.append(status)
        self.inside()

    def arrive(self, solicited: bool = False, count: int = 1) -> None:
        """Messages arrive, and time passes."""
        flags = OpFlag.SILENT_SUCCESS | (OpFlag.SEND_AND_SOLICIT_EVENT if solicited else 0)
        for _ in range(count):
            assert self.sender.send(None, [self.pair.a.sge(0, 4)], 1, flags) is Status.SUCCESS
        self.pair.world.settle(20_000)

    def fail(self) -> None:
        """A message too long arrives."""
        assert self.sender.send(None, [self.pair.a.sge(0, 5)], 1, 0) is Status.SUCCESS
        self.pair.world.settle(20_000)

    def drain(self) -> int:
        """Read everything; how much it was."""
        results: list[NdkResult] = []
        return self.cq.get_cq_results(results, 1000)

    def arm(self, kind: int) -> None:
        """Arm, and let time pass."""
        self.cq.arm_cq(kind)
        self.pair.world.settle(20_000)


def watched(scenario: Callable[[Watched], None], depth: int = 64) -> None:
    """Run a scenario that needs no waiting."""

    async def whole(pair: Pair) -> None:
        scenario(await Watched.make(pair, depth))

    paired(whole)


def test_unarmed_queue_is_silent_and_an_arm_fires_once() -> None:
    def scenario(w: Watched) -> None:
        w.arrive(solicited=True)
        assert w.calls == []
        assert w.drain() == 1
        w.arm(ANY)
        w.arrive(count=3)
        assert w.calls == [Status.SUCCESS]

    watched(scenario)


@pytest.mark.parametrize("kind", [ERRORS, ANY, SOLICITED])
@pytest.mark.parametrize("event", ["plain", "solicited", "failed"])
@pytest.mark.parametrize("before", [False, True], ids=["arm_first", "completion_first"])
def test_arm_matches_what_its_type_says(kind: CqNotify, event: str, before: bool) -> None:
    def scenario(w: Watched) -> None:
        happen = {"plain": w.arrive, "solicited": lambda: w.arrive(True), "failed": w.fail}[event]
        for step in (happen, lambda: w.arm(kind))[:: 1 if before else -1]:
            step()
        due = {"plain": kind is ANY, "solicited": kind is not ERRORS, "failed": kind is not ERRORS}
        assert len(w.calls) == due[event]

    watched(scenario)


@pytest.mark.parametrize("first", [ERRORS, ANY, SOLICITED])
@pytest.mark.parametrize("second", [ERRORS, ANY, SOLICITED])
def test_two_arms_are_the_wider_one(first: CqNotify, second: CqNotify) -> None:
    width = {ERRORS: 0, SOLICITED: 1, ANY: 2}

    def scenario(w: Watched) -> None:
        w.arm(first)
        w.arm(second)
        wider = max(width[first], width[second])
        w.arrive()
        assert len(w.calls) == (wider == 2)
        if wider < 2:
            w.arrive(solicited=True)
            assert len(w.calls) == (wider == 1)

    watched(scenario)


def test_undefined_type_leaves_the_arm_alone() -> None:
    def scenario(w: Watched) -> None:
        w.arm(SOLICITED)
        w.arm(7)
        w.arrive()
        assert w.calls == []
        w.arrive(solicited=True)
        assert len(w.calls) == 1

    watched(scenario)


def test_what_was_there_at_the_last_callback_does_not_satisfy_the_next_arm() -> None:
    def scenario(w: Watched) -> None:
        w.arm(ANY)
        w.arrive()
        assert len(w.calls) == 1
        w.arm(ANY)
        assert len(w.calls) == 1
        w.arrive()
        assert len(w.calls) == 2
        w.arrive()
        w.arm(ANY)
        assert len(w.calls) == 3

    watched(scenario)


def test_callbacks_never_overlap_and_an_arm_inside_one_is_new() -> None:
    def scenario(w: Watched) -> None:
        depth = [0]

        def inside() -> None:
            depth[0] += 1
            assert depth[0] == 1
            w.inside = leave
            w.cq.arm_cq(ANY)
            w.arrive(count=2)
            assert len(w.calls) == 1
            depth[0] -= 1

        def leave() -> None:
            assert depth[0] == 0
            assert w.drain() == 3

        w.inside = inside
        w.arm(ANY)
        w.arrive()
        w.pair.world.settle()
        assert len(w.calls) == 2

    watched(scenario)


def test_drain_arm_wait_loses_no_wake_up() -> None:
    def scenario(w: Watched) -> None:
        taken = [0]

        def inside() -> None:
            taken[0] += w.drain()
            w.cq.arm_cq(ANY)

        w.inside = inside
        w.arm(ANY)
        for number in range(90):
            assert w.sender.send(None, [], 0, OpFlag.SILENT_SUCCESS) is Status.SUCCESS
            w.pair.world.settle((number * 37) % 450)
        w.pair.world.settle()
        assert taken[0] == 90

    watched(scenario)


def test_no_callback_starts_after_close_was_issued() -> None:
    def scenario(w: Watched) -> None:
        closed: list[object] = []
        w.cq.arm_cq(ANY)
        w.cq.close(closed.append, None)
        w.arrive()
        assert w.calls == []
        w.qp.close(None, None)
        w.pair.world.settle()
        assert closed == [None]

    watched(scenario)


def test_close_inside_a_callback_waits_for_its_return() -> None:
    def scenario(w: Watched) -> None:
        log: list[str] = []

        def inside() -> None:
            w.qp.close(None, None)
            w.cq.close(lambda _: log.append("closed"), None)
            w.pair.world.settle()
            log.append("returns")

        w.inside = inside
        w.arm(ANY)
        w.arrive()
        w.pair.world.settle()
        assert log == ["returns", "closed"]

    watched(scenario)


# ---------------------------------------------------------------- moderation


def test_moderation_parameters() -> None:
    def scenario(w: Watched) -> None:
        control = w.cq.control_cq_interrupt_moderation
        assert control(MAXULONG, MAXULONG) is Status.INVALID_PARAMETER_MIX
        assert control(MAXULONG, 65) is Status.INVALID_PARAMETER_MIX
        for good in ((MAXULONG, 64), (20, MAXULONG), (0, MAXULONG), (MAXULONG, 1), (0, 0)):
            assert control(*good) is Status.SUCCESS

    watched(scenario)


def test_interval_delays_the_callback_no_longer_than_it_says() -> None:
    def scenario(w: Watched) -> None:
        w.cq.control_cq_interrupt_moderation(100, MAXULONG)
        w.arm(ANY)
        w.arrive()
        assert w.calls == []
        w.pair.world.settle(79_000)
        assert w.calls == []
        w.pair.world.settle(22_000)
        assert len(w.calls) == 1

    watched(scenario)


def test_count_alone_decides_without_an_interval() -> None:
    def scenario(w: Watched) -> None:
        w.cq.control_cq_interrupt_moderation(MAXULONG, 4)
        w.arm(ANY)
        w.arrive(count=3)
        w.pair.world.settle()
        assert w.calls == []
        w.arrive()
        assert len(w.calls) == 1

    watched(scenario)


def test_whichever_bound_comes_first() -> None:
    def scenario(w: Watched) -> None:
        w.cq.control_cq_interrupt_moderation(1000, 3)
        w.arm(ANY)
        w.arrive(count=3)
        assert len(w.calls) == 1
        w.drain()
        w.arm(ANY)
        w.arrive(count=2)
        assert len(w.calls) == 1
        w.pair.world.settle(1_000_000)
        assert len(w.calls) == 2

    watched(scenario)


def test_later_setting_supersedes_and_off_releases_what_was_held() -> None:
    def scenario(w: Watched) -> None:
        w.cq.control_cq_interrupt_moderation(MAXULONG, 4)
        w.arm(ANY)
        w.arrive()
        assert w.calls == []
        w.cq.control_cq_interrupt_moderation(50, 1)
        w.pair.world.settle(1000)
        assert len(w.calls) == 1

    watched(scenario)


# ---------------------------------------------------------------- resize


def test_no_result_is_lost_or_reordered_by_resizes_during_traffic() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        got: list[object] = []
        pending: list[Status] = []
        posted = 0
        for turn in range(60):
            while a.qp.write(posted, [], 0, 0, 0, 0) is Status.SUCCESS:
                posted += 1
            if turn % 5 == 0:
                depth = 16 if turn % 10 else 300
                a.cq.cq.resize_cq(depth, lambda _c, status: pending.append(status), None)
            pair.world.settle(turn * 61 % 900)
            got += [r.request_context for r in a.cq.poll(5)]
        while len(got) < posted:
            got += [r.request_context for r in await a.cq.results(1)]
        del b
        assert got == list(range(posted))
        assert pending == [Status.SUCCESS] * len(pending)
        assert pending

    paired(scenario, depth=(1, 16), cq_depth=16)


def test_resize_refuses_what_does_not_fit() -> None:
    def scenario(w: Watched) -> None:
        w.arrive(count=5)
        assert w.cq.resize_cq(4, None, None) is Status.BUFFER_OVERFLOW
        assert w.cq.resize_cq(1 << 20, None, None) is Status.INVALID_PARAMETER
        assert w.cq.resize_cq(5, None, None) is Status.PENDING
        w.pair.world.settle()
        assert w.drain() == 5

    watched(scenario)


@pytest.mark.parametrize("kind", [None, ANY, SOLICITED])
def test_resize_keeps_the_arm(kind: CqNotify | None) -> None:
    def scenario(w: Watched) -> None:
        if kind is not None:
            w.cq.arm_cq(kind)
        w.cq.resize_cq(500, None, None)
        w.arrive(solicited=True)
        w.arrive()
        assert len(w.calls) == (kind is not None)

    watched(scenario)


# ---------------------------------------------------------------- overrun


def test_overrun_calls_an_armed_queue_and_ends_its_queue_pairs() -> None:
    def scenario(w: Watched) -> None:
        w.arm(ERRORS)
        for _ in range(8):
            w.arrive(count=50)
            for _ in range(50):
                w.qp.receive(None, [w.pair.b.sge(0, 4)], 1)
        assert w.calls == [Status.BUFFER_OVERFLOW]
        left = w.drain()
        assert left >= 1
        assert w.drain() == 0
        w.arm(SOLICITED)
        assert w.calls == [Status.BUFFER_OVERFLOW] * 2
        assert w.qp.send("after", [], 0, 0) is Status.SUCCESS
        w.pair.world.settle()
        assert [r.status for r in w.pair.b.cq.poll()] == [Status.CANCELLED]
        closed: list[str] = []
        w.qp.close(lambda _: closed.append("qp"), None)
        w.cq.close(lambda _: closed.append("cq"), None)
        w.pair.world.settle()
        assert closed == ["qp", "cq"]

    watched(scenario, depth=1)


def test_fatal_error_is_told_apart_from_an_overrun() -> None:
    def scenario(w: Watched) -> None:
        w.arm(ANY)
        ring = w.pair.b.device.nic.cqs[w.cq.number]
        ring.producer += 1  # an entry that never reached memory
        ring.bad = True
        w.cq._on_error()
        w.pair.world.settle()
        assert w.calls == [Status.INTERNAL_ERROR]

    watched(scenario)


def test_results_of_a_closed_queue_pair_stay_readable() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        assert a.qp.write("done", [], 0, 0, 0, 0) is Status.SUCCESS
        pair.world.settle()
        a.qp.receive("pending", [], 0)
        await a.facade.close(a.qp)
        results = a.cq.poll()
        assert [(r.request_context, r.status) for r in results] == [
            ("done", Status.SUCCESS),
            ("pending", Status.CANCELLED),
        ]
        del b

    paired(scenario)
