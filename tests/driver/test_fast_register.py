"""Fast registration and invalidation."""

from __future__ import annotations

import struct

import pytest

from driver_model.mr import Mr
from driver_model.ndkpi import NdkSge, OperationType, OpFlag
from driver_model.status import Status
from tests.driver.pair import Pair, Side, paired

RW = OpFlag.ALLOW_REMOTE_READ | OpFlag.ALLOW_REMOTE_WRITE


def fast_register(side: Side, mr: Mr, first: int, count: int, flags: int = RW) -> int:
    """Register pages of the side's buffer; the address of their first byte."""
    pages = side.memory.pages[first : first + count]
    base = 0x10_0000 * (first + 1) + 100
    status = side.qp.fast_register(
        "fast", mr, count, pages, 100, 4096 * count - 100, base, flags | OpFlag.SILENT_SUCCESS
    )
    assert status is Status.SUCCESS
    return base


def test_fast_registered_pages_are_one_region_for_the_peer() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        mr = await b.facade.initialize_fast_register(b.pd, 4)
        token = mr.get_remote_token_from_mr()
        assert token
        base = fast_register(b, mr, 1, 3)
        assert b.qp.invalidate("invalidate", mr, 0) is Status.SUCCESS
        second = fast_register(b, mr, 2, 2)
        pair.world.settle()
        assert (await b.cq.results(1))[0].type is OperationType.INVALIDATE
        assert mr.get_remote_token_from_mr() == token
        data = bytes(range(200)) * 30
        a.memory.write(data)
        where = (second + 1000, token)
        assert a.qp.write(None, [a.sge(0, 6000)], 1, *where, 0) is Status.SUCCESS
        assert (await a.cq.results(1))[0].status == 0
        # Page 2 of the buffer begins 100 bytes short of two pages into it.
        assert b.memory.read(2 * 4096 - 100 + 1100, 6000) == data
        assert a.qp.write(None, [a.sge(0, 1)], 1, base, token, 0) is Status.SUCCESS
        assert (await a.cq.results(1))[0].status == Status.ACCESS_VIOLATION

    paired(scenario)


def test_page_array_is_copied_and_each_registration_has_its_own() -> None:
    async def scenario(pair: Pair) -> None:
        b = pair.b
        mr = await b.facade.initialize_fast_register(b.pd, 4)
        key = b.device.nic.keys[mr.get_remote_token_from_mr() >> 8]
        seen: list[tuple[int, list[int]]] = []
        for turn in range(6):
            fast_register(b, mr, turn, 2)
            b.qp.invalidate(None, mr, OpFlag.SILENT_SUCCESS)
            fast_register(b, mr, turn + 1, 2)
            pair.world.settle()
            listed = pair.world.at(key.fields.pages, 16)
            seen.append((key.fields.pages, list(struct.unpack("<2Q", listed))))
            assert seen[-1][1] == list(b.memory.pages[turn + 1 : turn + 3])
            b.qp.invalidate("seen", mr, 0)
            await b.cq.results(1)
        assert len({place for place, _ in seen}) <= 4

    paired(scenario)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"flags": OpFlag.ALLOW_REMOTE_READ}, Status.ACCESS_VIOLATION),
        ({"flags": OpFlag.ALLOW_REMOTE_WRITE}, Status.ACCESS_VIOLATION),
        ({"count": 3}, Status.INVALID_PARAMETER),
        ({"fbo": 4096}, Status.INVALID_PARAMETER),
        ({"length": 8093}, Status.INVALID_PARAMETER),
        ({"length": 0}, Status.INVALID_PARAMETER),
        ({"base": 0x5101}, Status.INVALID_PARAMETER),
        ({"odd": 8}, Status.INVALID_PARAMETER),
        ({"flags": OpFlag.ALLOW_LOCAL_WRITE | OpFlag.RDMA_READ_SINK}, Status.SUCCESS),
        ({"base": 0x7FFF_FFFF_F064}, Status.SUCCESS),
    ],
)
def test_fast_register_parameters(change: dict[str, int], status: Status) -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        mr = await a.facade.initialize_fast_register(a.pd, 2, remote=False)
        p = {"count": 2, "fbo": 100, "length": 8092, "base": 0x5064, "flags": 0, "odd": 0} | change
        pages = [page + p["odd"] for page in a.memory.pages[: p["count"]]]
        post = a.qp.fast_register
        got = post(None, mr, p["count"], pages, p["fbo"], p["length"], p["base"], p["flags"])
        assert got is status

    paired(scenario)


def test_register_twice_and_invalidate_twice_fail_at_completion() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        for side, posts in ((a, 2), (b, 0)):
            mr = await side.facade.initialize_fast_register(side.pd, 2)
            for _ in range(posts):
                fast_register(side, mr, 0, 1)
            if not posts:
                side.qp.invalidate("invalidate", mr, 0)
            (result,) = await side.cq.results(1)
            assert result.status == Status.INVALID_DEVICE_REQUEST

    paired(scenario)


def test_region_of_another_pd_is_refused_inline() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        other = await a.facade.create_pd()
        mr = await a.facade.initialize_fast_register(other, 1)
        status = a.qp.fast_register(None, mr, 1, a.memory.pages[:1], 0, 1, 0, 0)
        assert status is Status.ACCESS_VIOLATION

    paired(scenario)


def test_peer_invalidates_what_it_was_given() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        mr = await b.facade.initialize_fast_register(b.pd, 2)
        fast_register(b, mr, 0, 1)
        token = mr.get_remote_token_from_mr()
        for number in range(2):
            b.qp.receive(number, [b.sge()], 1)
        pair.world.settle()
        flags = OpFlag.SEND_AND_SOLICIT_EVENT | OpFlag.INLINE
        assert a.qp.send_and_invalidate("s", [a.sge(0, 5)], 1, flags, token) is Status.SUCCESS
        (sent,) = await a.cq.results(1)
        (got,) = await b.cq.results(1)
        assert sent.type is OperationType.SEND
        assert got.type is OperationType.RECEIVE_AND_INVALIDATE
        assert got.type_specific_completion_output == token
        assert b.qp.invalidate("again", mr, 0) is Status.SUCCESS
        results = await b.cq.results(2)
        assert results[0].status == Status.INVALID_DEVICE_REQUEST
        assert results[1].status == Status.CANCELLED

    paired(scenario)


def test_invalidation_behind_a_read_into_the_region_is_fenced() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        mr = await a.facade.initialize_fast_register(a.pd, 2)
        base = fast_register(a, mr, 0, 2, OpFlag.ALLOW_LOCAL_WRITE)
        sink = NdkSge(base, 8000, mr.get_local_token_from_mr())
        flags = OpFlag.RDMA_READ_LOCAL_INVALIDATE  # not offered: ignored
        assert a.qp.read("read", [sink], 1, b.memory.address, b.token, flags) is Status.SUCCESS
        assert a.qp.invalidate("inv", mr, OpFlag.READ_FENCE) is Status.SUCCESS
        assert [r.status for r in await a.cq.results(2)] == [0, 0]

    paired(scenario)
