"""Events the host asked for: a send queue has drained, a shared receive queue runs low."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import CqeStatus, EventType, QpState
from spec.layouts import (
    AdminCommand,
    AdminOp,
    AdminQueue,
    Doorbell,
    QpAttr,
    QueueDoorbell,
    RqWqe,
    Sge,
    SqWqe,
    WqeFlag,
    WrOp,
)
from tb.conformance import covers
from tb.nic.bad_work import good_write
from tb.nic.pair import PORTS, Pair
from tb.nic.smoke import Side, sges, two_sides
from tb.raw_driver import RawQp

NOTIFY = QpAttr.EN_SQD_ASYNC_NOTIFY
SRQ = 5


@cocotb.test()
@covers("ROCE-182", "ROCE-183")
async def a_drained_send_queue_is_told_of_once(dut: Any) -> None:
    """Started messages complete, then the event comes; those posted later wait for RTS."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    long = replace(
        good_write(a, b), length=60000, data=sges(Sge(addr=a.address, length=60000, token=a.token))
    )
    for number in range(6):
        a.driver.post_send(a.qp, replace(long, wr_id=number))
    await ClockCycles(dut.clk, 400)
    assert (await a.driver.modify(7, QpState.SQD, NOTIFY)).status == 0
    a.driver.post_send(a.qp, good_write(a, b, 100))
    event = await a.driver.until(a.events.poll)
    assert (event.event_type, event.number) == (EventType.SQ_DRAINED, 7)
    done = []
    while (entry := a.cq.poll()) is not None:
        done.append(entry)
    assert len(done) > 0
    assert {entry.status for entry in done} == {CqeStatus.SUCCESS}
    await ClockCycles(dut.clk, 1500)
    assert a.cq.poll() is None, "a message started or ended behind the event"
    assert a.events.poll() is None
    assert (await a.driver.modify(7, QpState.RTS)).status == 0
    left = [number for number in [*range(6), 100] if number not in [e.wr_id for e in done]]
    assert [(await a.completion()).wr_id for _ in left] == left
    assert a.events.poll() is None


@cocotb.test()
@covers("ROCE-182")
async def no_word_of_a_drain_that_nobody_asked_for_or_that_failed(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    assert (await a.driver.modify(7, QpState.SQD)).status == 0
    await ClockCycles(dut.clk, 600)
    assert a.events.poll() is None
    assert (await a.driver.modify(7, QpState.RTS)).status == 0
    bad = replace(good_write(a, b), rkey=b.token ^ 0xFF)
    a.driver.post_send(a.qp, replace(good_write(a, b), length=60000, data=sges(
        Sge(addr=a.address, length=60000, token=a.token))))  # fmt: skip
    a.driver.post_send(a.qp, bad)
    await ClockCycles(dut.clk, 200)
    assert (await a.driver.modify(7, QpState.SQD, NOTIFY)).status == 0
    done = [await a.completion() for _ in range(2)]
    assert [entry.status for entry in done] == [CqeStatus.SUCCESS, CqeStatus.REM_ACCESS_ERR]
    await ClockCycles(dut.clk, 1000)
    kinds = []
    while (event := a.events.poll()) is not None:
        kinds.append(event.event_type)
    assert EventType.SQ_DRAINED not in kinds
    assert kinds


class Shared:
    """A shared receive queue of side b, and queue pairs on it."""

    def __init__(self, clk: Any, a: Side, b: Side) -> None:
        self.clk, self.a, self.b = clk, a, b
        self.index = 0
        self.pairs: list[tuple[RawQp, RawQp]] = []

    async def build(self, limit: int, numbers: tuple[int, ...] = (20, 21)) -> None:
        """The queue, and connected pairs."""
        self.ring = await self.b.driver.create_srq(SRQ, limit=limit)
        for number in numbers:
            qa = await self.a.driver.create_qp(number, 3, sq_log=4, rq_log=4)
            qb = await self.b.driver.create_qp(number, 3, sq_log=4, srq=SRQ)
            await self.a.driver.connect(qa, PORTS["b"], number)
            await self.b.driver.connect(qb, PORTS["a"], number, sq_psn=0x200, rq_psn=0x100)
            self.pairs.append((qa, qb))

    def post(self, count: int) -> None:
        """Receives for 64 bytes."""
        for _ in range(count):
            at = self.index % 64 * 64
            sge = Sge(addr=self.b.address, length=64, token=self.b.token)
            wqe = RqWqe(wr_id=self.index, num_sge=1, index=self.index & 0xFFFF, sge0=sge)
            self.ring.memory[at : at + 64] = wqe.pack()
            self.index += 1
        index = self.index & 0xFFFF
        self.b.driver.device.ring(Doorbell.SRQ, QueueDoorbell(number=SRQ, index=index).pack())

    async def send(self, which: int) -> None:
        """A message that takes a receive."""
        send = SqWqe(
            opcode=WrOp.SEND, flags=WqeFlag.SIGNALED, blocks=1, num_sge=1, length=64,
            data=sges(Sge(addr=self.a.address, length=64, token=self.a.token)),
        )  # fmt: skip
        self.a.driver.post_send(self.pairs[which][0], send)
        assert (await self.a.completion()).status == CqeStatus.SUCCESS
        assert (await self.b.completion()).status == CqeStatus.SUCCESS

    async def arm(self, limit: int) -> None:
        """MODIFY_SRQ."""
        await self.b.driver.must(AdminQueue(opcode=AdminOp.MODIFY_SRQ, number=SRQ, limit=limit))

    async def ask(self) -> tuple[int, int, int]:
        """QUERY_SRQ: producer, consumer, limit."""
        answer = await self.b.driver.must(AdminCommand(opcode=AdminOp.QUERY_SRQ, number=SRQ))
        return answer.detail & 0xFFFF, answer.detail >> 32 & 0xFFFF, answer.detail >> 48

    async def heard(self) -> int:
        """How many events have come."""
        await ClockCycles(self.clk, 400)
        count = 0
        while (event := self.b.events.poll()) is not None:
            assert (event.event_type, event.number) == (EventType.SRQ_LIMIT, SRQ)
            count += 1
        return count


@cocotb.test()
@covers("ROCE-188")
async def a_shared_receive_queue_that_runs_low_is_told_of_once(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    shared = Shared(dut.clk, a, b)
    await shared.build(limit=3)
    assert await shared.heard() == 0
    shared.post(5)
    for step, events in enumerate((0, 0, 1, 0)):
        await shared.send(step % 2)
        assert await shared.heard() == events, step
    assert await shared.ask() == (5, 4, 0)
    await shared.arm(2)
    assert await shared.heard() == 1
    shared.post(4)
    await shared.arm(5)
    assert await shared.ask() == (9, 4, 5)
    assert await shared.heard() == 0
    await shared.send(0)
    assert await shared.heard() == 1
