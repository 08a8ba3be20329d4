"""Arms of completion queues: what fires, how often, when not."""

from __future__ import annotations

import pytest

from driver_model.ndkpi import CqNotify, OpFlag
from driver_model.status import Status
from tests.driver.watched import Watched, watched

ERRORS, ANY, SOLICITED = CqNotify.ERRORS, CqNotify.ANY, CqNotify.SOLICITED


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
