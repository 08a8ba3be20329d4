"""Shared receive queues."""

from __future__ import annotations

import pytest

from driver_model.facade import connect_pair
from driver_model.ndkpi import Out
from driver_model.qp import Qp
from driver_model.srq import Srq
from driver_model.status import Status
from tests.driver.pair import Pair, paired


async def shared(pair: Pair, depth: int = 8, count: int = 2) -> tuple[Srq, list[Qp], list[Qp]]:
    """An SRQ on side b, queue pairs that use it, and who sends to them."""
    a, b = pair.a, pair.b
    srq = await b.facade.create_srq(b.pd, depth)
    near, far = [], []
    for number in range(count):
        near.append(await a.facade.create_qp(a.pd, a.cq, a.cq))
        far.append(await b.facade.create_qp(b.pd, b.cq, b.cq, context=number, srq=srq))
        await connect_pair((a.facade, near[-1]), (b.facade, far[-1]))
    return srq, near, far


def test_receives_are_consumed_in_order_by_whoever_needs_one() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        srq, near, far = await shared(pair)
        for number in range(4):
            assert srq.srq_receive(number, [b.sge(100 * number, 50)], 1) is Status.SUCCESS
        for number, qp in enumerate((near[1], near[0], near[1], near[1])):
            a.memory.write(bytes([number]) * 10)
            assert qp.send(None, [a.sge(0, 10)], 1, 0) is Status.SUCCESS
            await a.cq.results(1)
        got = await b.cq.results(4)
        assert [(r.request_context, r.qp_context) for r in got] == [(0, 1), (1, 0), (2, 1), (3, 1)]
        assert [b.memory.read(100 * n, 10) for n in range(4)] == [bytes([n]) * 10 for n in range(4)]
        assert far[0].receive(None, [], 0) is Status.INVALID_DEVICE_REQUEST

    paired(scenario)


def test_depth_and_sges_are_limited() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        srq, near, _ = await shared(pair, depth=2)
        assert srq.srq_receive(None, [b.sge()] * 4, 4) is Status.DATA_OVERRUN
        for _ in range(3):
            assert srq.srq_receive(None, [b.sge()], 1) is Status.SUCCESS
            assert srq.srq_receive(None, [b.sge()], 1) is Status.SUCCESS
            assert srq.srq_receive(None, [b.sge()], 1) is Status.NO_MORE_ENTRIES
            for qp in near:
                qp.send(None, [a.sge()], 1, 0)
            pair.world.settle()
        assert len(b.cq.poll()) == 6

    paired(scenario)


@pytest.mark.parametrize(
    ("depth", "sges", "threshold", "status"),
    [
        ((1 << 14) + 1, 3, 0, Status.INVALID_PARAMETER),
        (4, 4, 0, Status.INVALID_PARAMETER),
        (4, 3, 2, Status.NOT_SUPPORTED),
        (4, 3, 0, Status.PENDING),
    ],
)
def test_creation(depth: int, sges: int, threshold: int, status: Status) -> None:
    async def scenario(pair: Pair) -> None:
        create = pair.a.pd.create_srq
        got = create(depth, sges, threshold, None, None, None, None, None, Out())
        assert got is status

    paired(scenario)


def test_modify_changes_nothing_yet() -> None:
    async def scenario(pair: Pair) -> None:
        srq, _, _ = await shared(pair, depth=4)
        for _ in range(3):
            srq.srq_receive(None, [], 0)
        assert srq.modify_srq(0, 0, None, None) is Status.SUCCESS
        assert srq.modify_srq(4, 0, None, None) is Status.SUCCESS
        assert srq.modify_srq(2, 0, None, None) is Status.BUFFER_OVERFLOW
        assert srq.modify_srq(1 << 20, 0, None, None) is Status.INVALID_PARAMETER
        assert srq.modify_srq(0, 1, None, None) is Status.NOT_SUPPORTED
        assert srq.modify_srq(8, 0, None, None) is Status.NOT_SUPPORTED

    paired(scenario)


def test_breaking_one_queue_pair_leaves_the_receives_to_the_others() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        srq, near, far = await shared(pair)
        srq.srq_receive("kept", [b.sge()], 1)
        far[0].flush()
        pair.world.settle()
        assert b.cq.poll() == []
        near[1].send(None, [a.sge()], 1, 0)
        (got,) = await b.cq.results(1)
        assert (got.request_context, got.qp_context) == ("kept", 1)

    paired(scenario)


def test_close_waits_for_the_queue_pairs_and_discards_what_is_queued() -> None:
    async def scenario(pair: Pair) -> None:
        b = pair.b
        srq, _, far = await shared(pair)
        srq.srq_receive("discarded", [b.sge()], 1)
        closed: list[str] = []
        assert srq.close(lambda _: closed.append("srq"), None) is Status.PENDING
        await b.facade.close(far[0])
        pair.world.settle()
        assert closed == []
        await b.facade.close(far[1])
        pair.world.settle()
        assert closed == ["srq"]
        assert b.cq.poll() == []

    paired(scenario)


def test_sender_waits_for_a_receive_as_long_as_it_takes() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        srq, near, _ = await shared(pair)
        near[0].send("late", [a.sge()], 1, 0)
        pair.world.settle(50_000_000)
        assert a.cq.poll() == []
        srq.srq_receive(None, [b.sge()], 1)
        assert (await a.cq.results(1))[0].status == 0

    paired(scenario)
