"""Shared receive queues."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from driver_model.facade import connect_pair
from driver_model.ndkpi import OpFlag, Out
from driver_model.qp import Qp
from driver_model.srq import Srq
from driver_model.status import Status
from tests.driver.pair import Pair, paired

SILENT = OpFlag.SILENT_SUCCESS


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
        (4, 3, 2, Status.PENDING),
        (4, 3, 0, Status.PENDING),
    ],
)
def test_creation(depth: int, sges: int, threshold: int, status: Status) -> None:
    async def scenario(pair: Pair) -> None:
        create = pair.a.pd.create_srq
        got = create(depth, sges, threshold, None, None, None, None, None, Out())
        assert got is status

    paired(scenario)


def test_depth_changes_within_what_the_ring_holds() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        srq, near, _ = await shared(pair, depth=4)

        def room() -> int:
            """Receives posted until the queue is full."""
            count = 0
            while srq.srq_receive(None, [b.sge()], 1) is Status.SUCCESS:
                count += 1
            return count

        assert room() == 4
        assert srq.modify_srq(0, 0, None, None) is Status.SUCCESS
        assert srq.modify_srq(4, 0, None, None) is Status.SUCCESS
        assert room() == 0
        assert srq.modify_srq(3, 0, None, None) is Status.BUFFER_OVERFLOW
        assert srq.modify_srq(1 << 20, 0, None, None) is Status.INVALID_PARAMETER
        assert srq.modify_srq(17, 0, None, None) is Status.INSUFFICIENT_RESOURCES
        assert room() == 0
        assert srq.modify_srq(16, 0, None, None) is Status.SUCCESS
        assert room() == 12
        near[0].send(None, [a.sge()], 1, 0)
        await b.cq.results(1)
        assert srq.modify_srq(15, 0, None, None) is Status.SUCCESS
        assert room() == 0

    paired(scenario)


class Notified:
    """An SRQ of side b, and what its notification callback was told."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.calls: list[Status] = []
        self.inside: Callable[[], None] = lambda: None
        self.srq: Srq
        self.sender: Qp
        self.receiver: Qp

    @classmethod
    async def make(cls, pair: Pair, threshold: int, silent: bool = False) -> Notified:
        """With one queue pair on it."""
        self = cls(pair)
        a, b = pair.a, pair.b
        created: list[Srq] = []
        notify = None if silent else self._notified
        status = b.pd.create_srq(
            32, 3, threshold, notify, "context", None, lambda *r: created.append(r[2]), None, Out()
        )
        assert status is Status.PENDING
        pair.world.settle(10_000)
        (self.srq,) = created
        self.sender = await a.facade.create_qp(a.pd, a.cq, a.cq)
        self.receiver = await b.facade.create_qp(b.pd, b.cq, b.cq, srq=self.srq)
        await connect_pair((a.facade, self.sender), (b.facade, self.receiver))
        return self

    def _notified(self, context: object, status: Status) -> None:
        assert context == "context"
        self.calls.append(status)
        self.inside()

    def post(self, count: int) -> None:
        """Receives are posted."""
        for _ in range(count):
            assert self.srq.srq_receive(None, [self.pair.b.sge()], 1) is Status.SUCCESS

    def arrive(self, count: int = 1) -> None:
        """Messages take receives."""
        for _ in range(count):
            assert self.sender.send(None, [self.pair.a.sge()], 1, SILENT) is Status.SUCCESS
        self.pair.world.settle(20_000)

    def arm(self, threshold: int, depth: int = 0) -> None:
        """NdkModifySrq, to its end."""
        done: list[Status] = []
        status = self.srq.modify_srq(depth, threshold, lambda _c, s: done.append(s), None)
        assert status is Status.PENDING
        assert done == []
        self.pair.world.settle(20_000)
        assert done == [Status.SUCCESS]


def notified(scenario: Callable[[Notified], None], threshold: int = 0, **options: bool) -> None:
    """Run a scenario on an SRQ whose notifications are written down."""

    async def whole(pair: Pair) -> None:
        scenario(await Notified.make(pair, threshold, **options))

    paired(whole)


def test_a_new_queue_notifies_when_its_count_falls_from_the_threshold() -> None:
    def scenario(it: Notified) -> None:
        it.post(2)
        it.arrive(2)  # it never held three
        it.post(2)
        assert it.calls == []
        it.post(2)
        it.arrive()
        assert it.calls == []
        it.arrive()
        assert it.calls == [Status.SUCCESS]
        it.arrive(2)
        it.post(4)
        it.arrive(4)
        assert it.calls == [Status.SUCCESS]

    notified(scenario, threshold=3)


def test_an_arm_notifies_once_when_fewer_are_left() -> None:
    def scenario(it: Notified) -> None:
        it.post(5)
        it.arm(4)
        it.arrive()
        assert it.calls == []
        it.arrive()
        assert it.calls == [Status.SUCCESS]
        it.post(5)
        it.arrive(6)
        assert it.calls == [Status.SUCCESS]
        it.post(4)
        it.arm(6)
        assert it.calls == [Status.SUCCESS]
        it.arrive()
        assert it.calls == [Status.SUCCESS] * 2

    notified(scenario)


def test_a_threshold_above_the_count_notifies_without_traffic() -> None:
    def scenario(it: Notified) -> None:
        it.arm(1)
        assert it.calls == [Status.SUCCESS]
        it.post(3)
        it.arm(1_000_000)
        assert it.calls == [Status.SUCCESS] * 2

    notified(scenario)


def test_a_threshold_of_zero_leaves_arm_and_threshold() -> None:
    def scenario(it: Notified) -> None:
        it.post(4)
        it.arm(4)
        assert it.srq.modify_srq(20, 0, None, None) is Status.SUCCESS
        it.arrive()
        assert it.calls == [Status.SUCCESS]

    notified(scenario)


def test_a_threshold_may_come_with_a_depth() -> None:
    def scenario(it: Notified) -> None:
        it.post(32)
        assert it.srq.srq_receive(None, [], 0) is Status.NO_MORE_ENTRIES
        it.arm(33, depth=33)
        it.post(1)
        assert it.srq.srq_receive(None, [], 0) is Status.NO_MORE_ENTRIES
        assert it.calls == [Status.SUCCESS]
        assert it.srq.modify_srq(32, 5, None, None) is Status.BUFFER_OVERFLOW
        it.pair.world.settle(20_000)
        it.arrive(30)
        assert it.calls == [Status.SUCCESS]

    notified(scenario)


def test_the_callback_may_arm_again() -> None:
    def scenario(it: Notified) -> None:
        def refill() -> None:
            it.post(2)
            assert it.srq.modify_srq(0, 2, None, None) is Status.PENDING

        it.inside = refill
        it.post(2)
        it.arm(2)
        it.arrive(6)
        assert len(it.calls) == 3

    notified(scenario)


def test_a_queue_without_a_callback_works() -> None:
    def scenario(it: Notified) -> None:
        it.post(3)
        it.arm(3)
        it.arrive(3)
        assert len(it.pair.b.cq.poll()) == 3

    notified(scenario, threshold=2, silent=True)


def test_no_callback_starts_behind_the_close_and_the_close_waits_for_one() -> None:
    def scenario(it: Notified) -> None:
        closed: list[str] = []
        it.post(2)
        it.arm(2)
        it.inside = lambda: closed.append(
            "pending" if it.srq.close(lambda _: closed.append("srq"), None) else "at once"
        )
        it.arrive()
        assert closed == ["pending"]
        it.arrive()
        assert it.calls == [Status.SUCCESS]
        it.receiver.close(lambda _: closed.append("qp"), None)
        it.pair.world.settle()
        assert closed == ["pending", "qp", "srq"]

    notified(scenario)


def test_nothing_is_heard_of_a_limit_that_fires_behind_the_close() -> None:
    def scenario(it: Notified) -> None:
        it.post(2)
        it.arm(2)
        assert it.srq.close(lambda _: None, None) is Status.PENDING
        it.arrive()
        assert it.calls == []

    notified(scenario)


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
