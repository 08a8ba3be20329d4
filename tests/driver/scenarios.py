"""What a consumer does, for any two adapters: in plain Python, and simulated."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from driver_model.facade import connect_pair
from driver_model.ndkpi import CqNotify, NdkResultEx, NdkSge, OperationType, OpFlag
from driver_model.status import Status
from spec.codes import CqeStatus
from tests.driver.pair import Side

SILENT = OpFlag.SILENT_SUCCESS


class Ends(Protocol):
    """Two sides, and time."""

    a: Side
    b: Side

    async def pause(self, nanoseconds: int) -> None:
        """Let time pass."""
        ...


Scenario = Callable[[Any], Coroutine[Any, Any, None]]
SCENARIOS: dict[str, tuple[Scenario, dict[str, Any]]] = {}


def scenario(**options: Any) -> Callable[[Scenario], Scenario]:
    """List a scenario, with the options of its sides."""

    def register(body: Scenario) -> Scenario:
        SCENARIOS[body.__name__] = (body, options)
        return body

    return register


def outcomes(results: list[NdkResultEx], receives: bool = False) -> list[tuple[object, int]]:
    """Context and status of one queue's results, in their order."""
    return [
        (r.request_context, r.status)
        for r in results
        if (r.type is OperationType.RECEIVE) is receives
    ]


@scenario()
async def every_kind_of_memory_is_sent_and_received(ends: Ends) -> None:
    a, b = ends.a, ends.b
    data = bytes(range(251)) * 40
    a.memory.write(data)
    b.qp.receive("r", [b.sge(10, 3000), b.sge(8000, 20_000)], 2)
    await ends.pause(1000)
    sges = [a.sge(n * 1000, 1000) for n in range(10)]
    assert a.qp.send("s", [*sges, a.sge(10_000, 40)], 11, 0) is Status.SUCCESS
    assert outcomes(await a.cq.results(1)) == [("s", 0)]
    (got,) = await b.cq.results(1)
    assert (got.request_context, got.bytes_transferred) == ("r", len(data))
    assert b.memory.read(10, 3000) + b.memory.read(8000, len(data) - 3000) == data
    where = (b.memory.address + 10, b.token)
    assert a.qp.read("read", [a.sge(20_000, 3000)], 1, *where, 0) is Status.SUCCESS
    assert outcomes(await a.cq.results(1)) == [("read", 0)]
    assert a.memory.read(20_000, 3000) == data[:3000]


@scenario()
async def inline_bytes_of_every_length_arrive(ends: Ends) -> None:
    a, b = ends.a, ends.b
    for length in (0, 1, 32, 33, 96, 97, 223, 224):
        a.memory.write(bytes([length]) * 224)
        sge = NdkSge(a.memory.address, length, 0)
        where = (b.memory.address + 300 * (length % 50), b.token)
        assert a.qp.write(length, [sge], 1, *where, OpFlag.INLINE) is Status.SUCCESS
        a.memory.write(bytes(224))
        assert outcomes(await a.cq.results(1)) == [(length, 0)]
        assert b.memory.read(300 * (length % 50), length) == bytes([length]) * length


@scenario(connected=False)
async def flush_of_a_queue_pair_never_connected(ends: Ends) -> None:
    a = ends.a
    for number in range(3):
        assert a.qp.receive(number, [a.sge()], 1) is Status.SUCCESS
    a.qp.flush()
    wanted = [(number, Status.CANCELLED) for number in range(3)]
    assert outcomes(await a.cq.results(3), receives=True) == wanted


@scenario()
async def close_answers_for_what_is_pending(ends: Ends) -> None:
    a, b = ends.a, ends.b
    where = (b.memory.address, b.token)
    for number in range(3):
        a.qp.write(number, [a.sge()], 1, *where, SILENT)
    await ends.pause(10_000)
    a.qp.receive("receive", [a.sge()], 1)
    a.qp.write("deferred", [a.sge()], 1, *where, OpFlag.DEFER)
    await a.facade.close(a.qp)
    results = a.cq.poll()
    assert outcomes(results) == [("deferred", Status.CANCELLED)]
    assert outcomes(results, receives=True) == [("receive", Status.CANCELLED)]


@scenario()
async def first_failure_is_followed_by_cancelled(ends: Ends) -> None:
    a, b = ends.a, ends.b
    where = (b.memory.address, b.token)
    a.qp.receive("receive", [a.sge()], 1)
    b.qp.receive("theirs", [b.sge()], 1)
    a.qp.write("silent", [a.sge()], 1, *where, SILENT)
    a.qp.write("bad", [a.sge()], 1, where[0], 0xBAD, SILENT)
    a.qp.write("after", [a.sge()], 1, *where, SILENT)
    a.qp.send("last", [a.sge()], 1, 0)
    results = await a.cq.results(4)
    assert outcomes(results) == [
        ("bad", Status.ACCESS_VIOLATION),
        ("after", Status.CANCELLED),
        ("last", Status.CANCELLED),
    ]
    assert outcomes(results, receives=True) == [("receive", Status.CANCELLED)]
    assert outcomes(await b.cq.results(1), receives=True) == [("theirs", Status.CANCELLED)]
    assert a.qp.send("late", [], 0, SILENT) is Status.SUCCESS
    assert a.qp.receive("late receive", [], 0) is Status.SUCCESS
    assert {r.status for r in await a.cq.results(2)} == {Status.CANCELLED}


@scenario(depth=(1, 16))
async def resizes_during_traffic_lose_nothing(ends: Ends) -> None:
    a = ends.a
    got: list[object] = []
    resized: list[Status] = []
    posted = 0
    for turn in range(40):
        # No more than the smaller depth may be unread.
        while posted < len(got) + 60 and a.qp.write(posted, [], 0, 0, 0, 0) is Status.SUCCESS:
            posted += 1
        if turn % 5 == 0:
            depth = 300 if turn % 10 else 64
            a.cq.cq.resize_cq(depth, lambda _c, status: resized.append(status), None)
        await ends.pause(turn * 61 % 900 + 1)
        got += [r.request_context for r in a.cq.poll(5)]
    while len(got) < posted:
        got += [r.request_context for r in await a.cq.results(1)]
    assert got == list(range(posted))
    await ends.pause(20_000)
    assert resized == [Status.SUCCESS] * 8


@scenario()
async def fast_registered_region_serves_and_is_invalidated(ends: Ends) -> None:
    a, b = ends.a, ends.b
    mr = await b.facade.initialize_fast_register(b.pd, 4)
    token = mr.get_remote_token_from_mr()
    flags = OpFlag.ALLOW_REMOTE_READ | OpFlag.ALLOW_REMOTE_WRITE | SILENT
    for base, pages in ((0x10_0064, b.memory.pages[:2]), (0x20_0064, b.memory.pages[2:4])):
        assert b.qp.fast_register(None, mr, 2, pages, 100, 8092, base, flags) is Status.SUCCESS
        if base == 0x10_0064:
            assert b.qp.invalidate("invalidate", mr, 0) is Status.SUCCESS
    assert outcomes(await b.cq.results(1)) == [("invalidate", 0)]
    await ends.pause(3000)
    data = bytes(range(200)) * 30
    a.memory.write(data)
    assert a.qp.write("w", [a.sge(0, 6000)], 1, 0x20_0064 + 1000, token, 0) is Status.SUCCESS
    assert outcomes(await a.cq.results(1)) == [("w", 0)]
    assert b.memory.read(2 * 4096 - 100 + 1100, 6000) == data
    b.qp.receive("receive", [b.sge()], 1)
    await ends.pause(1000)
    a.qp.send_and_invalidate("s", [a.sge(0, 5)], 1, OpFlag.INLINE, token)
    (got,) = await b.cq.results(1)
    assert got.type is OperationType.RECEIVE_AND_INVALIDATE
    assert got.type_specific_completion_output == token
    assert b.qp.invalidate("again", mr, 0) is Status.SUCCESS
    assert outcomes(await b.cq.results(1)) == [("again", Status.INVALID_DEVICE_REQUEST)]
    await b.facade.close(mr)


@scenario()
async def shared_receives_go_to_whoever_needs_one(ends: Ends) -> None:
    a, b = ends.a, ends.b
    srq = await b.facade.create_srq(b.pd, 8)
    near, far = [], []
    for number in range(2):
        near.append(await a.facade.create_qp(a.pd, a.cq, a.cq))
        far.append(await b.facade.create_qp(b.pd, b.cq, b.cq, context=number, srq=srq))
        await connect_pair((a.facade, near[-1]), (b.facade, far[-1]))
    for number in range(4):
        assert srq.srq_receive(number, [b.sge(100 * number, 50)], 1) is Status.SUCCESS
    await ends.pause(1000)
    for qp in (near[1], near[0], near[1], near[1]):
        qp.send(None, [a.sge(0, 10)], 1, 0)
        await a.cq.results(1)
    got = await b.cq.results(4)
    assert [(r.request_context, r.qp_context) for r in got] == [(0, 1), (1, 0), (2, 1), (3, 1)]
    await a.facade.close(*near)
    await b.facade.close(*far, srq)


@scenario()
async def a_shared_queue_that_runs_low_notifies_once(ends: Ends) -> None:
    a, b = ends.a, ends.b
    calls: list[tuple[object, Status]] = []
    srq = await b.facade.create_srq(b.pd, 8, 3, 3, lambda *told: calls.append(told))
    near = await a.facade.create_qp(a.pd, a.cq, a.cq)
    far = await b.facade.create_qp(b.pd, b.cq, b.cq, srq=srq)
    await connect_pair((a.facade, near), (b.facade, far))

    async def post(count: int) -> None:
        for _ in range(count):
            assert srq.srq_receive(None, [b.sge()], 1) is Status.SUCCESS
        await ends.pause(2000)

    async def arrive(count: int) -> int:
        """How many notifications there are then."""
        for _ in range(count):
            near.send(None, [a.sge(0, 10)], 1, 0)
        await b.cq.results(count)
        await a.cq.results(count)
        await ends.pause(2000)
        return len(calls)

    await post(2)
    assert await arrive(2) == 0  # it never held as many as the threshold
    await post(4)
    assert await arrive(1) == 0
    assert await arrive(1) == 1
    await post(3)
    assert await arrive(4) == 1
    await post(5)
    await b.facade.modify_srq(srq, threshold=6)
    await ends.pause(2000)
    assert await arrive(0) == 1
    assert await arrive(1) == 2
    await b.facade.modify_srq(srq, depth=16, threshold=6)
    await ends.pause(2000)
    assert calls == [(None, Status.SUCCESS)] * 3  # five are left already
    await a.facade.close(near)
    await b.facade.close(far, srq)


@scenario()
async def a_refused_registration_is_an_operation_error(ends: Ends) -> None:
    a = ends.a
    mr = await a.facade.initialize_fast_register(a.pd, 2)
    for base in (0x10_0064, 0x20_0064):  # the second while the first one stands
        assert a.qp.fast_register(base, mr, 1, a.memory.pages[:1], 100, 50, base, 0) == 0
    first, second = await a.cq.results(2)
    assert (first.request_context, first.status) == (0x10_0064, Status.SUCCESS)
    assert (second.request_context, second.status) == (0x20_0064, Status.INVALID_DEVICE_REQUEST)
    assert second.provider_error_code >> 8 == CqeStatus.LOC_QP_OP_ERR
    await a.facade.close(mr)


@scenario()
async def an_invalidation_of_nothing_is_an_operation_error(ends: Ends) -> None:
    b = ends.b
    mr = await b.facade.initialize_fast_register(b.pd, 2)
    assert b.qp.invalidate("invalidate", mr, 0) is Status.SUCCESS
    (result,) = await b.cq.results(1)
    assert result.status == Status.INVALID_DEVICE_REQUEST
    assert result.provider_error_code >> 8 == CqeStatus.LOC_QP_OP_ERR
    await b.facade.close(mr)


@scenario(depth=(1, 5))
async def silent_and_deferred_requests_keep_their_order(ends: Ends) -> None:
    a, b = ends.a, ends.b
    rng = random.Random(1)
    expected: list[int] = []
    got: list[object] = []
    number = 0
    while number < 150:
        flags = SILENT * (rng.random() < 0.6) | OpFlag.DEFER * (rng.random() < 0.4)
        flags |= OpFlag.INLINE * (rng.random() < 0.3)
        count = rng.randint(1, 9)
        sges = [a.sge(10 * n, 10) for n in range(count)]
        if a.qp.write(number, sges, count, b.memory.address, b.token, flags) is Status.SUCCESS:
            if not flags & SILENT:
                expected.append(number)
            number += 1
        else:
            await ends.pause(rng.randint(1, 500))
            got += [r.request_context for r in a.cq.poll(3)]
    while a.qp.write(-1, [], 0, 0, 0, 0) is Status.NO_MORE_ENTRIES:
        await ends.pause(100)
    got += [r.request_context for r in await a.cq.results(len(expected) + 1 - len(got))]
    assert got == [*expected, -1]


@scenario(connected=False)
async def read_without_a_limit_is_invalid(ends: Ends) -> None:
    a, b = ends.a, ends.b
    await connect_pair((a.facade, a.qp), (b.facade, b.qp), outbound=0)
    a.qp.read("read", [a.sge()], 1, b.memory.address, b.token, 0)
    assert outcomes(await a.cq.results(1)) == [("read", Status.INVALID_DEVICE_REQUEST)]


@scenario()
async def overrun_is_told_and_leaves_everything_closable(ends: Ends) -> None:
    a, b = ends.a, ends.b
    cq = await b.facade.create_cq(1)
    qp = await b.facade.create_qp(b.pd, cq, b.cq, depth=(200, 8))
    near = await a.facade.create_qp(a.pd, a.cq, a.cq)
    await connect_pair((a.facade, near), (b.facade, qp))
    for number in range(200):
        assert qp.receive(number, [], 0) is Status.SUCCESS
    cq.cq.arm_cq(CqNotify.ERRORS)
    await ends.pause(1000)
    for number in range(200):
        while near.send(number, [], 0, SILENT) is not Status.SUCCESS:
            await ends.pause(100)
    await cq.fired()
    assert cq.status is Status.BUFFER_OVERFLOW
    assert len(cq.poll()) > 1
    await ends.pause(5000)
    await b.facade.close(qp, cq.cq)
    await a.facade.close(near)
