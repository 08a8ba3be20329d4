"""Memory regions: page lists, rights, logical addresses."""

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
    OpFlag,
    Out,
)
from driver_model.status import Status
from spec.codes import Access
from tests.driver.pair import Pair, Side, paired

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
