"""Completion queues: moderation, resize, overrun."""

from __future__ import annotations

import pytest

from driver_model.ndkpi import MAXULONG, CqNotify
from driver_model.status import Status
from tests.driver.pair import Pair, paired
from tests.driver.watched import Watched, watched

ERRORS, ANY, SOLICITED = CqNotify.ERRORS, CqNotify.ANY, CqNotify.SOLICITED


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
