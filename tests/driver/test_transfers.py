"""Data moves: sends, writes, reads, inline, scattered memory, many SGEs."""

from __future__ import annotations

import pytest

from driver_model.ndkpi import NdkSge, OperationType, OpFlag, Out
from driver_model.status import Status
from tests.driver.pair import Pair, paired


def test_send_fills_the_next_receive_across_pages() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        data = bytes(range(256)) * 40
        a.memory.write(data, 50)
        assert b.qp.receive("r", [b.sge(10, 3000), b.sge(8000, 20_000)], 2) is Status.SUCCESS
        assert a.qp.send("s", [a.sge(50, len(data))], 1, 0) is Status.SUCCESS
        (sent,) = await a.cq.results(1)
        (got,) = await b.cq.results(1)
        assert (sent.status, sent.type, sent.request_context) == (0, OperationType.SEND, "s")
        assert (sent.qp_context, got.qp_context) == ("qp 1", "qp 2")
        assert (got.type, got.bytes_transferred) == (OperationType.RECEIVE, len(data))
        assert b.memory.read(10, 3000) + b.memory.read(8000, len(data) - 3000) == data

    paired(scenario)


def test_write_and_read_move_bytes_without_the_peer_noticing() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        a.memory.write(b"x" * 9000)
        where = b.memory.address + 500
        assert a.qp.write(1, [a.sge(0, 9000)], 1, where, b.token, 0) is Status.SUCCESS
        assert a.qp.read(2, [a.sge(20_000, 9000)], 1, where, b.token, 0) is Status.SUCCESS
        results = await a.cq.results(2)
        assert [r.request_context for r in results] == [1, 2]
        assert [r.type for r in results] == [OperationType.WRITE, OperationType.READ]
        assert b.memory.read(500, 9000) == a.memory.read(20_000, 9000) == b"x" * 9000
        assert b.cq.poll() == []

    paired(scenario)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7, 14])
def test_up_to_fourteen_sges_are_gathered_in_order(count: int) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        for number in range(count):
            a.memory.write(bytes([number + 1] * 10), 100 * number)
        b.qp.receive(None, [b.sge(0, 200)], 1)
        sges = [a.sge(100 * number, 10) for number in range(count)]
        assert a.qp.send(None, sges, count, 0) is Status.SUCCESS
        (got,) = await b.cq.results(1)
        assert got.bytes_transferred == 10 * count
        expected = b"".join(bytes([number + 1] * 10) for number in range(count))
        assert b.memory.read(0, 10 * count) == expected

    paired(scenario)


@pytest.mark.parametrize("length", [0, 1, 32, 33, 96, 97, 224])
def test_inline_bytes_are_taken_during_the_call(length: int) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        b.qp.receive(None, [b.sge(0, 300)], 1)
        a.memory.write(b"q" * length, 4000)  # crosses a page
        sge = NdkSge(a.memory.address + 4000, length, 0xBAD)
        assert a.qp.send(None, [sge], 1, OpFlag.INLINE) is Status.SUCCESS
        a.memory.write(b"-" * length, 4000)
        (got,) = await b.cq.results(1)
        assert (got.status, got.bytes_transferred) == (0, length)
        assert b.memory.read(0, length) == b"q" * length

    paired(scenario)


def test_inline_takes_more_sges_than_the_queue_does() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        a.memory.write(bytes(range(200)))
        sges = [a.sge(n, 1) for n in range(200)]
        where = b.memory.address
        flags = OpFlag.INLINE
        assert a.qp.write(None, sges, 200, where, b.token, flags) is Status.SUCCESS
        await a.cq.results(1)
        assert b.memory.read(0, 200) == bytes(range(200))

    paired(scenario, max_sge=(3, 2))


def test_privileged_token_names_bus_addresses() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        token: Out[int] = Out()
        a.pd.get_privileged_memory_region_token(token)
        a.memory.write(b"bus", 5000)
        b.qp.receive(None, [b.sge(0, 10)], 1)
        sge = NdkSge(a.memory.logical(5000), 3, token.value or 0)
        assert a.qp.send(None, [sge], 1, 0) is Status.SUCCESS
        await b.cq.results(1)
        assert b.memory.read(0, 3) == b"bus"
        assert a.qp.read(None, [sge], 1, b.memory.address, b.token, 0) is Status.SUCCESS
        assert (await a.cq.results(2))[1].status == 0
        assert b.qp.write(None, [b.sge()], 1, a.memory.logical(), token.value or 0, 0) == 0
        (refused,) = await b.cq.results(1)
        assert refused.status == Status.ACCESS_VIOLATION

    paired(scenario)
