"""Objects: headers, dispatch tables, inline and pended completion, close in any order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from driver_model.adapter import close_adapter, open_adapter
from driver_model.dispatch import SLOTS
from driver_model.facade import Facade
from driver_model.loopback.world import World
from driver_model.ndkpi import (
    NdkAdapterInfo,
    NdkVersion,
    ObjectType,
    Out,
    RdmaTechnology,
)
from driver_model.objects import NdkObject
from driver_model.status import NdisStatus, Status
from tests.driver.pair import Pair, make_side, open_side, paired


def all_objects(pair: Pair) -> list[NdkObject]:
    a = pair.a
    return [a.facade.adapter, a.pd, a.cq.cq, a.qp, a.mr]


def test_header_says_what_the_object_is() -> None:
    async def scenario(pair: Pair) -> None:
        kinds = [each.header.object_type for each in all_objects(pair)]
        wanted = [ObjectType.ADAPTER, ObjectType.PD, ObjectType.CQ, ObjectType.QP, ObjectType.MR]
        assert kinds == wanted
        for each in all_objects(pair):
            assert each.header.ndk_reserved == [0, 0, 0, 0]
            assert each.header.version == NdkVersion(2, 1)

    paired(scenario)


def test_version_asked_for_is_in_every_header_and_highest_in_the_info() -> None:
    world = World()

    async def scenario() -> None:
        _, facade = await open_side(world, 1)
        status, adapter = open_adapter(facade.adapter.nic, NdkVersion(1, 2))
        assert status is NdisStatus.SUCCESS
        assert adapter is not None
        pd = await Facade(adapter, world.event).create_pd()
        assert pd.header.version == adapter.header.version == NdkVersion(1, 2)
        assert adapter.info.version == NdkVersion(2, 1)
        for bad in (NdkVersion(1, 0), NdkVersion(1, 3), NdkVersion(2, 2), NdkVersion(3, 0)):
            assert open_adapter(facade.adapter.nic, bad) == (NdisStatus.BAD_VERSION, None)

    world.run(scenario())


def test_dispatch_has_a_function_in_every_slot_and_may_be_overwritten() -> None:
    async def scenario(pair: Pair) -> None:
        for each in all_objects(pair):
            assert list(each.dispatch) == [n for n, _ in SLOTS[each.header.object_type]]
            assert all(callable(function) for function in each.dispatch.values())
            out: list[object] = []
            status = each.dispatch["NdkQueryExtension"](each, "guid", (1, 0), out)
            assert (status, out) == (Status.NOT_SUPPORTED, [])
        pair.a.qp.dispatch = {}
        pair.b.qp.receive(None, [pair.b.sge()], 1)
        assert pair.a.qp.send(None, [pair.a.sge()], 1, 0) is Status.SUCCESS
        await pair.b.cq.results(1)

    paired(scenario)


def test_adapter_info_needs_a_buffer_of_its_size() -> None:
    async def scenario(pair: Pair) -> None:
        adapter = pair.a.facade.adapter
        size: Out[int] = Out(0)
        assert adapter.query_adapter_info(None, size) is Status.BUFFER_TOO_SMALL
        assert size.value == 104
        info: Out[NdkAdapterInfo] = Out()
        size.value = 103
        assert adapter.query_adapter_info(info, size) is Status.BUFFER_TOO_SMALL
        assert info.value is None
        assert adapter.query_adapter_info(info, size) is Status.SUCCESS
        assert info.value is not None
        assert info.value.rdma_technology is RdmaTechnology.ROCEV2
        assert info.value.frmr_page_count >= 16
        assert info.value.adapter_flags & ~0x0001_011F == 0

    paired(scenario)


def test_pended_create_never_writes_its_output_and_calls_back_once_with_the_context() -> None:
    async def scenario(pair: Pair) -> None:
        calls: list[tuple[Any, ...]] = []
        out: Out[Any] = Out("untouched")
        adapter = pair.a.facade.adapter
        status = adapter.create_pd(lambda *args: calls.append(args), "context", out)
        assert status is Status.PENDING
        assert calls == []
        pair.world.settle()
        assert out.value == "untouched"
        ((context, result, created),) = calls
        assert (context, result) == ("context", Status.SUCCESS)
        assert created.header.object_type is ObjectType.PD

    paired(scenario)


def test_inline_create_writes_its_output_and_never_calls_back() -> None:
    async def scenario(pair: Pair) -> None:
        calls: list[object] = []
        out: Out[Any] = Out()
        status = pair.a.pd.create_mr(False, lambda *args: calls.append(args), None, out)
        assert status is Status.SUCCESS
        pair.world.settle()
        assert out.value.header.object_type is ObjectType.MR
        assert calls == []

    paired(scenario)


def test_object_may_be_closed_inside_its_create_completion() -> None:
    async def scenario(pair: Pair) -> None:
        closed: list[object] = []

        def created(_context: object, _status: Status, pd: NdkObject) -> None:
            assert pd.close(closed.append, "bye") is Status.PENDING

        pair.a.facade.adapter.create_pd(created, None, Out())
        pair.world.settle()
        assert closed == ["bye"]

    paired(scenario)


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_every_order_of_closing_ends_with_every_close_completed_once(
    order: tuple[int, ...],
) -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        a.qp.receive("left", [a.sge()], 1)
        tree: list[NdkObject] = [a.qp, a.mr, a.cq.cq, a.pd, a.facade.adapter]
        ended: list[int] = []
        for number in order:
            if number == 4:
                close_adapter(a.facade.adapter, lambda: ended.append(4))
            elif tree[number].close(ended.append, number) is Status.SUCCESS:
                ended.append(number)
        pair.world.settle()
        assert sorted(ended) == [0, 1, 2, 3, 4]
        assert ended.index(3) > max(ended.index(0), ended.index(1))
        assert ended.index(2) > ended.index(0)
        assert ended[-1] == 4

    paired(scenario)


def test_antecedent_waits_until_the_successors_close_completion_has_returned() -> None:
    async def scenario(pair: Pair) -> None:
        log: list[str] = []

        def qp_closed(_context: object) -> None:
            log.append("qp enters")
            pair.world.settle(100_000)
            log.append("qp returns")

        a = pair.a
        assert a.pd.close(lambda _: log.append("pd"), None) is Status.PENDING
        assert a.mr.close(None, None) is Status.PENDING
        assert a.qp.close(qp_closed, None) is Status.PENDING
        pair.world.settle()
        assert log == ["qp enters", "qp returns", "pd"]

    paired(scenario)


def test_close_waits_for_a_pending_request_and_its_callback() -> None:
    async def scenario(pair: Pair) -> None:
        log: list[str] = []
        cq = pair.a.cq.cq
        await pair.a.facade.close(pair.a.qp)
        assert cq.resize_cq(100, lambda *_: log.append("resized"), None) is Status.PENDING
        assert cq.close(lambda _: log.append("closed"), None) is Status.PENDING
        pair.world.settle()
        assert log == ["resized", "closed"]

    paired(scenario)


def test_resources_come_back_and_shortage_gives_a_status() -> None:
    world = World()

    async def scenario() -> None:
        device, facade = await open_side(world, 1, qps=4, cqs=3, keys=4, srqs=1)
        del device
        nic = facade.adapter.nic
        free = [len(pool) for pool in (nic.qpns, nic.cqns, nic.keys, nic.srqns, nic.pds)]
        for _ in range(3):
            pd = await facade.create_pd()
            cqs = [await facade.create_cq(8) for _ in range(3)]
            full = facade.adapter.create_cq(8, lambda *_: None, None, None, None, None, Out())
            assert full is Status.INSUFFICIENT_RESOURCES
            qps = [await facade.create_qp(pd, cqs[0], cqs[1]) for _ in range(2)]
            shape = (cqs[0].cq, cqs[1].cq, None, 1, 1, 1, 1, 0)
            assert pd.create_qp(*shape, None, None, Out()) is Status.INSUFFICIENT_RESOURCES
            mrs = [await facade.initialize_fast_register(pd, 4) for _ in range(2)]
            assert facade.adapter.create_pd(None, None, Out()) is Status.INSUFFICIENT_RESOURCES
            await facade.close(*qps, *mrs, *(cq.cq for cq in cqs), pd)
        after = [len(pool) for pool in (nic.qpns, nic.cqns, nic.keys, nic.srqns, nic.pds)]
        assert after == free

    world.run(scenario())


def test_two_opens_are_independent() -> None:
    world = World()

    async def scenario() -> None:
        side = await make_side(world, 1)
        _, second = open_adapter(side.facade.adapter.nic)
        assert second is not None
        ended: list[str] = []
        close_adapter(second, lambda: ended.append("second"))
        assert ended == ["second"]
        foreign = await Facade(side.facade.adapter, world.event).create_cq(4)
        _, third = open_adapter(side.facade.adapter.nic)
        assert third is not None
        pd = await Facade(third, world.event).create_pd()
        shape = (foreign.cq, foreign.cq, None, 1, 1, 1, 1, 0)
        assert pd.create_qp(*shape, None, None, Out()) is Status.INVALID_PARAMETER

    world.run(scenario())
