"""Memory regions: page lists, rights, fast registration, invalidation, logical addresses."""

from __future__ import annotations

import struct

import pytest

from driver_model.device_loopback import LoopbackDevice
from driver_model.hw.page_list import PageList
from driver_model.lam import mapping_size
from driver_model.loopback.world import World
from driver_model.memory import HostMemory, Mdl, mdl_pages, pages_spanned
from driver_model.mr import Mr, operation_rights, registration_rights
from driver_model.ndkpi import (
    MrFlag,
    NdkLogicalAddressMapping,
    NdkSge,
    OperationType,
    OpFlag,
    Out,
)
from driver_model.status import Status
from spec.codes import Access
from tests.driver.pair import Pair, Side, paired

RW = OpFlag.ALLOW_REMOTE_READ | OpFlag.ALLOW_REMOTE_WRITE


# ---------------------------------------------------------------- page lists


def test_scattered_pages_become_a_list_of_addresses() -> None:
    device = LoopbackDevice(World())
    pages = [0x1000_0000, 0x5000, 0x9999_9000]
    described = PageList.build(device, pages, 0x123)
    assert not described.direct
    assert described.buffer is not None
    assert described.address == described.buffer.bus_address
    assert bytes(described.buffer.memory[:24]) == struct.pack("<3Q", *pages)
    assert described.address % 8 == 0


def test_pages_that_follow_each_other_need_no_list() -> None:
    device = LoopbackDevice(World())
    assert PageList.build(device, [0x7000, 0x8000, 0x9000], 0x123).address == 0x7123
    assert PageList.build(device, [0x7000, 0x8000, 0x9000], 0x123).direct


@pytest.mark.parametrize("offset", [0, 1, 4095])
@pytest.mark.parametrize("size", [1, 4096, 4097, 20_000])
def test_memory_is_virtually_contiguous_and_scattered_on_the_bus(offset: int, size: int) -> None:
    memory = HostMemory(LoopbackDevice(World()))
    buffer = memory.allocate(size, offset=offset)
    data = bytes(n * 7 % 256 for n in range(size))
    buffer.write(data)
    assert buffer.read() == data == memory.read(buffer.address, size)
    assert len(buffer.mdl.pages) == pages_spanned(buffer.address, size)
    pairs = zip(buffer.pages, buffer.pages[1:], strict=False)
    assert all(after != before + 4096 for before, after in pairs)
    with pytest.raises(ValueError, match="of a buffer"):
        memory.read(buffer.address + 1, size)
    memory.free(buffer)
    with pytest.raises(ValueError, match="not mapped"):
        memory.read(buffer.address, 1)


def test_chain_of_mdls_is_one_region_when_it_is_contiguous() -> None:
    memory = HostMemory(LoopbackDevice(World()))
    buffer = memory.allocate(30_000, offset=77)
    chain = buffer.mdl_of(0, 10_000, buffer.mdl_of(10_000, 1, buffer.mdl_of(10_001, 19_999)))
    assert mdl_pages(chain, 30_000) == list(buffer.mdl.pages)
    assert mdl_pages(chain, 5) == [buffer.pages[0]]
    assert mdl_pages(chain, 30_001) is None
    gap = buffer.mdl_of(0, 10_000, buffer.mdl_of(10_001, 19_999))
    assert mdl_pages(gap, 30_000) is None
    assert mdl_pages(gap, 10_000) is not None
    elsewhere = Mdl(buffer.address + 10_000, 10, (0x1234_5000,))
    assert mdl_pages(buffer.mdl_of(0, 10_000, elsewhere), 10_010) is None


# ---------------------------------------------------------------- rights


def test_rights_are_decided_by_their_own_bits() -> None:
    assert registration_rights(0) == Access(0)
    assert registration_rights(MrFlag.ALLOW_LOCAL_WRITE) == Access.LOCAL_WRITE
    assert registration_rights(MrFlag.ALLOW_REMOTE_READ) == Access.REMOTE_READ
    both = Access.LOCAL_WRITE | Access.REMOTE_WRITE
    assert registration_rights(MrFlag.ALLOW_REMOTE_WRITE) == both
    assert registration_rights(MrFlag.RDMA_READ_SINK) == Access(0)
    assert operation_rights(OpFlag.ALLOW_LOCAL_WRITE) == Access.LOCAL_WRITE
    assert operation_rights(OpFlag.ALLOW_REMOTE_WRITE) == both
    assert operation_rights(OpFlag.ALLOW_REMOTE_READ) == Access.REMOTE_READ


@pytest.mark.parametrize("operation", ["read", "write"])
@pytest.mark.parametrize("flags", [0, 1, 2, 5, 7])
def test_peer_may_do_what_the_registration_says(operation: str, flags: int) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        mr = await b.facade.register(b.pd, b.memory, flags)
        args = (None, [a.sge(0, 8)], 1, b.memory.address, mr.get_remote_token_from_mr(), 0)
        assert (a.qp.read if operation == "read" else a.qp.write)(*args) is Status.SUCCESS
        (result,) = await a.cq.results(1)
        allowed = flags & (2 if operation == "read" else 4)
        assert result.status == (Status.SUCCESS if allowed else Status.ACCESS_VIOLATION)

    paired(scenario)


def test_registration_is_refused_for_its_parameters() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        mdl = a.memory.mdl
        normal, fast = new_mr(a, False), new_mr(a, True)
        register = normal.register_mr
        assert register(None, 1, 0, None, None) is Status.INVALID_PARAMETER
        assert register(mdl, 0, 0, None, None) is Status.INVALID_BUFFER_SIZE
        assert register(mdl, 40_001, 0, None, None) is Status.INVALID_PARAMETER
        limit = a.facade.adapter.info.max_registration_size
        assert register(mdl, limit + 1, 0, None, None) is Status.INVALID_PARAMETER
        wrong = Status.INVALID_DEVICE_REQUEST
        assert fast.register_mr(mdl, 10, 0, None, None) is wrong
        assert normal.initialize_fast_register_mr(1, True, None, None) is wrong
        assert normal.deregister_mr(None, None) is wrong
        assert fast.initialize_fast_register_mr(1 << 20, True, None, None) is (
            Status.IMPLEMENTATION_LIMIT
        )
        assert a.qp.invalidate(None, a.mr, 0) is wrong

    paired(scenario)


def new_mr(side: Side, fast: bool) -> Mr:
    """A region that is nothing yet."""
    out: Out[Mr] = Out()
    side.pd.create_mr(fast, None, None, out)
    assert out.value is not None
    return out.value


def test_token_is_void_after_deregistration_and_the_region_can_be_registered_again() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        old = b.token
        await b.facade.deregister(b.mr)
        done: list[Status] = []
        b.mr.register_mr(b.memory.mdl, 100, 7, lambda _c, status: done.append(status), None)
        pair.world.settle()
        assert done == [Status.SUCCESS]
        assert b.token != old
        assert a.qp.write("new", [a.sge(0, 9)], 1, b.memory.address, b.token, 0) == 0
        assert a.qp.write("old", [a.sge(0, 9)], 1, b.memory.address, old, 0) == 0
        results = await a.cq.results(2)
        assert [r.status for r in results] == [0, Status.ACCESS_VIOLATION]

    paired(scenario)


# ---------------------------------------------------------------- fast registration


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


# ---------------------------------------------------------------- logical addresses


def test_mapping_names_every_page_in_virtual_order() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        adapter = a.facade.adapter
        lam = NdkLogicalAddressMapping()
        size: Out[int] = Out(0)
        fbo: Out[int] = Out()
        build = adapter.build_lam
        assert build(a.memory.mdl, 40_000, None, None, None, size, fbo) is Status.BUFFER_TOO_SMALL
        assert size.value == mapping_size(10) == 96
        assert build(a.memory.mdl, 40_000, None, None, lam, size, fbo) is Status.SUCCESS
        assert lam.adapter_page_array == list(a.memory.pages)
        assert (lam.adapter_page_count, fbo.value) == (10, 100)
        adapter.release_lam(lam)
        assert lam.adapter_page_count == 0
        gap = a.memory.mdl_of(0, 5000, a.memory.mdl_of(6000, 100))
        assert build(gap, 5100, None, None, lam, size, fbo) is Status.INVALID_PARAMETER

    paired(scenario)
