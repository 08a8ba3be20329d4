"""Posting: limits, refusals, deferral, silent success, pushed entries, order."""

from __future__ import annotations

import pytest

from driver_model.hw.send_queue import PushMode
from driver_model.ndkpi import NdkSge, OpFlag, Out
from driver_model.status import Status
from spec.layouts import PUSH_OFFSET, Doorbell
from tb.conformance import covers
from tests.driver.pair import Pair, paired


def initiator_posts(pair: Pair, flags: int = 0) -> dict[str, Status]:
    """Every initiator operation once, on side a."""
    a, b = pair.a, pair.b
    sges = [a.sge()]
    return {
        "send": a.qp.send(None, sges, 1, flags),
        "send_inv": a.qp.send_and_invalidate(None, sges, 1, flags, 1),
        "write": a.qp.write(None, sges, 1, b.memory.address, b.token, flags),
        "read": a.qp.read(None, sges, 1, b.memory.address, b.token, flags),
        "fast_register": a.qp.fast_register(None, a.mr, 0, [], 0, 1, 0, flags),
        "invalidate": a.qp.invalidate(None, a.mr, flags),
    }


@covers("ROCE-179", "ROCE-180")
def test_initiator_posts_before_the_connection_are_refused() -> None:
    async def scenario(pair: Pair) -> None:
        assert set(initiator_posts(pair).values()) == {Status.CONNECTION_INVALID}
        assert pair.a.qp.receive(None, [pair.a.sge()], 1) is Status.SUCCESS
        pair.world.settle()
        assert pair.a.cq.poll() == []

    paired(scenario, connected=False)


def test_undefined_flags_are_refused() -> None:
    async def scenario(pair: Pair) -> None:
        assert set(initiator_posts(pair, 0x8000).values()) == {Status.INVALID_PARAMETER}
        a = pair.a
        for flag in (OpFlag.ALLOW_REMOTE_READ, OpFlag.RDMA_READ_SINK):
            assert a.qp.send(None, [], 0, flag) is Status.INVALID_PARAMETER
        wrong = OpFlag.SEND_AND_SOLICIT_EVENT
        assert a.qp.write(None, [], 0, 0, 0, wrong) is Status.INVALID_PARAMETER
        assert a.qp.read(None, [], 0, 0, 0, OpFlag.INLINE) is Status.INVALID_PARAMETER

    paired(scenario)


def test_sge_counts_and_lengths_are_checked_inline() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        where = (b.memory.address, b.token)
        assert a.qp.send(None, [a.sge()] * 3, 3, 0) is Status.DATA_OVERRUN
        assert a.qp.write(None, [a.sge()] * 3, 3, *where, 0) is Status.DATA_OVERRUN
        assert a.qp.receive(None, [a.sge()] * 3, 3) is Status.DATA_OVERRUN
        assert a.qp.read(None, [a.sge(0, 8)] * 9, 9, *where, 0) is Status.DATA_OVERRUN
        assert a.qp.read(None, [a.sge(0, 8)] * 8, 8, *where, 0) is Status.SUCCESS
        huge = [NdkSge(0, 1 << 30, 0)] * 2
        assert a.qp.send(None, [*huge[:1], NdkSge(0, (1 << 30) + 1, 0)], 2, 0) is (
            Status.BUFFER_OVERFLOW
        )
        inline = OpFlag.INLINE
        assert a.qp.send(None, [a.sge(0, 101)], 1, inline) is Status.INVALID_PARAMETER
        (read,) = await a.cq.results(1)
        assert read.status == 0

    paired(scenario, max_sge=(2, 2), inline=100)


def test_limits_of_creation() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        info = a.facade.adapter.info
        limits = [
            info.max_receive_queue_depth,
            info.max_initiator_queue_depth,
            info.max_receive_request_sge,
            info.max_initiator_request_sge,
            info.max_inline_data_size,
        ]
        for number in range(5):
            numbers = list(limits)
            numbers[number] += 1
            status = a.pd.create_qp(a.cq.cq, a.cq.cq, None, *numbers, None, None, Out())
            assert status is Status.INVALID_PARAMETER
        depths, sges = (limits[0], limits[1]), (limits[2], limits[3])
        largest = await a.facade.create_cq(info.max_cq_depth)
        await a.facade.create_qp(
            a.pd, largest, largest, depth=depths, max_sge=sges, inline=limits[4]
        )
        create = a.facade.adapter.create_cq
        for depth in (0, info.max_cq_depth + 1):
            status = create(depth, lambda *_: None, None, None, None, None, Out())
            assert status is Status.INVALID_PARAMETER

    paired(scenario)


def test_exactly_depth_requests_fit_and_a_read_result_makes_room() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        for queue in range(3):
            assert a.qp.receive(queue, [a.sge()], 1) is Status.SUCCESS
        assert a.qp.receive(3, [a.sge()], 1) is Status.NO_MORE_ENTRIES

        def write(number: int) -> Status:
            return a.qp.write(number, [a.sge()], 1, b.memory.address, b.token, 0)

        assert [write(n) for n in range(6)] == [0, 0, 0, 0, 0, Status.NO_MORE_ENTRIES]
        assert [r.request_context for r in await a.cq.results(5)] == [0, 1, 2, 3, 4]
        assert [write(n) for n in range(6)] == [0, 0, 0, 0, 0, Status.NO_MORE_ENTRIES]
        pair.world.settle(10_000)
        # The results are there though nobody has read them: their entries are free.
        assert write(9) is Status.SUCCESS

    paired(scenario, depth=(3, 5))


def test_queue_of_depth_zero_takes_nothing() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        assert a.qp.receive(None, [], 0) is Status.NO_MORE_ENTRIES
        assert a.qp.send(None, [], 0, 0) is Status.NO_MORE_ENTRIES

    paired(scenario, depth=(0, 0))


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_silent_requests_many_times_the_depth_never_wedge_the_queue(depth: int) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        for number in range(50):
            a.memory.write(bytes([number]), number)
            flags = OpFlag.SILENT_SUCCESS
            where = b.memory.address + number
            sge = [a.sge(number, 1)]
            assert a.qp.write(None, sge, 1, where, b.token, flags) is Status.SUCCESS
            if number % depth == depth - 1:
                pair.world.settle(10_000)
        pair.world.settle(10_000)
        assert a.cq.poll() == []
        assert b.memory.read(0, 50) == bytes(range(50))

    paired(scenario, depth=(1, depth), cq_depth=1)


def test_silent_completions_of_many_queues_find_room_in_a_small_cq() -> None:
    async def scenario(pair: Pair) -> None:
        from driver_model.facade import connect_pair

        a, b = pair.a, pair.b
        qps = []
        for _ in range(40):
            near = await a.facade.create_qp(a.pd, a.cq, a.cq, depth=(1, 4))
            far = await b.facade.create_qp(b.pd, b.cq, b.cq, depth=(1, 4))
            await connect_pair((a.facade, near), (b.facade, far))
            qps.append(near)
        for _ in range(4):
            for qp in qps:
                where = b.memory.address
                flags = OpFlag.SILENT_SUCCESS
                assert qp.write(None, [a.sge(0, 1)], 1, where, b.token, flags) is Status.SUCCESS
        pair.world.settle()
        assert not a.cq.cq.failed
        assert qps[0].write("x", [a.sge(0, 1)], 1, b.memory.address, b.token, 0) == 0
        assert [r.request_context for r in await a.cq.results(1)] == ["x"]

    paired(scenario, cq_depth=1)


def test_deferred_requests_wait_for_one_that_is_not() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b

        def write(number: int, flags: int) -> Status:
            return a.qp.write(number, [a.sge()], 1, b.memory.address, b.token, flags)

        assert [write(n, OpFlag.DEFER) for n in range(3)] == [0, 0, 0]
        assert a.qp.receive(None, [a.sge()], 1) is Status.SUCCESS
        pair.world.settle()
        assert a.cq.poll() == []
        assert write(3, 0) is Status.SUCCESS
        assert [r.request_context for r in await a.cq.results(4)] == [0, 1, 2, 3]

    paired(scenario)


@pytest.mark.parametrize("reason", ["flags", "full", "sges"])
def test_refused_post_releases_everything_deferred(reason: str) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        count = 4 if reason == "full" else 2
        for number in range(count):
            where = (b.memory.address, b.token)
            assert a.qp.write(number, [a.sge()], 1, *where, OpFlag.DEFER) is Status.SUCCESS
        refused = {
            "flags": lambda: a.qp.send(None, [], 0, 0x8000),
            "full": lambda: a.qp.send(None, [], 0, OpFlag.DEFER),
            "sges": lambda: a.qp.send(None, [a.sge()] * 15, 15, OpFlag.DEFER),
        }[reason]()
        assert refused is not Status.SUCCESS
        assert [r.request_context for r in await a.cq.results(count)] == list(range(count))

    paired(scenario, depth=(4, 4))


def doorbells(pair: Pair) -> list[int]:
    """Offsets of what side a rang, and forget them."""
    offsets = [offset for offset, _ in pair.a.device.doorbells]
    pair.a.device.doorbells.clear()
    return offsets


def test_inline_entry_of_one_block_is_pushed_into_an_empty_queue() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        window = PUSH_OFFSET + 64 * a.qp.number
        where = (b.memory.address, b.token)
        doorbells(pair)
        assert a.qp.write(1, [a.sge(0, 32)], 1, *where, OpFlag.INLINE) is Status.SUCCESS
        assert a.qp.write(2, [a.sge(0, 32)], 1, *where, OpFlag.INLINE) is Status.SUCCESS
        assert doorbells(pair) == [window, Doorbell.SQ]
        await a.cq.results(2)
        doorbells(pair)
        assert a.qp.write(3, [a.sge(0, 33)], 1, *where, OpFlag.INLINE) is Status.SUCCESS
        assert a.qp.write(4, [a.sge(0, 8)], 1, *where, 0) is Status.SUCCESS
        assert doorbells(pair) == [Doorbell.SQ, Doorbell.SQ]
        results = await a.cq.results(2)
        assert [r.status for r in results] == [0, 0]

    paired(scenario)


@pytest.mark.parametrize(("mode", "pushed"), [(PushMode.NEVER, 0), (PushMode.ALWAYS, 1)])
def test_push_is_the_operators_choice(mode: PushMode, pushed: int) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        where = (b.memory.address, b.token)
        for flags in (OpFlag.INLINE, 0):
            doorbells(pair)
            assert a.qp.write(None, [a.sge(0, 8)], 1, *where, flags) is Status.SUCCESS
            assert (doorbells(pair) != [Doorbell.SQ]) == bool(pushed)
        await a.cq.results(2)
        # After a deferred entry the block would not be the only news.
        assert a.qp.write(None, [a.sge(0, 8)], 1, *where, OpFlag.DEFER) is Status.SUCCESS
        doorbells(pair)
        assert a.qp.write(None, [a.sge(0, 8)], 1, *where, OpFlag.INLINE) is Status.SUCCESS
        assert doorbells(pair) == [Doorbell.SQ]
        await a.cq.results(2)

    paired(scenario, push=mode)
