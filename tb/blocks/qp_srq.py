"""rnic_qp_srq: how full shared receive queues are, and the event when one runs low."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Self

import cocotb
from cocotb.triggers import RisingEdge

from spec.codes import EventType
from spec.streams import EventReq, RingUpdate, SrqAnswer, SrqConfig
from tb.streams import StreamSink, cycles, reset, stall_pattern, start_clock

QPS, SRQS = 8, 4
SETTLED = 6  # cycles, then a taking has been counted


@dataclass
class Queue:
    """What one queue should be."""

    producer: int = 0
    consumer: int = 0
    limit: int = 0

    @property
    def left(self) -> int:
        return self.producer - self.consumer


class Bench:
    """Responder, doorbells and admin."""

    def __init__(self, dut: Any, stall: str) -> None:
        self.dut = dut
        self.queues = [Queue() for _ in range(SRQS)]
        self.events = StreamSink(dut, "m_event", record=EventReq, stall=stall_pattern(stall))
        self.expected: list[int] = []
        self.last_claim = -3
        self.now = 0
        for name in ("claim_en", "claim_rq", "update_en", "update_data", "s_cfg_valid"):
            getattr(dut, name).value = 0

    @classmethod
    async def start(cls, dut: Any, stall: str = "none") -> Self:
        """Reset; every queue is created."""
        start_clock(dut)
        bench = cls(dut, stall)
        await reset(dut, bench.events)
        for srqn in range(SRQS):
            await bench.configure(srqn, create=1, arm=1)
        return bench

    async def step(self) -> None:
        """One cycle."""
        await RisingEdge(self.dut.clk)
        self.now += 1
        self.dut.claim_en.value = self.dut.update_en.value = 0

    async def take(self, srqn: int, ring: int | None = None) -> None:
        """A frame takes an entry; never closer than three cycles."""
        while self.now - self.last_claim < 3:
            await self.step()
        self.last_claim = self.now
        self.dut.claim_en.value = 1
        self.dut.claim_rq.value = QPS + srqn if ring is None else ring
        if ring is None:
            queue = self.queues[srqn]
            before = queue.left
            queue.consumer += 1
            if queue.left < queue.limit <= before:
                self.fire(srqn)
        await self.step()

    async def post(self, srqn: int, count: int) -> None:
        """A doorbell; within some cycles of a taking either may count first."""
        while self.now - self.last_claim < SETTLED:
            await self.step()
        queue = self.queues[srqn]
        queue.producer += count
        update = RingUpdate(number=QPS + srqn, index=queue.producer & 0xFFFF)
        self.dut.update_en.value, self.dut.update_data.value = 1, update.to_int()
        await self.step()

    def fire(self, srqn: int) -> None:
        """An event must come."""
        self.queues[srqn].limit = 0
        self.expected.append(srqn)

    async def configure(
        self, srqn: int, create: int = 0, arm: int = 0, limit: int = 0
    ) -> SrqAnswer:
        """A word of rnic_admin, and its answer."""
        self.dut.s_cfg_data.value = SrqConfig(srqn, create, arm, limit).to_int()
        self.dut.s_cfg_valid.value = 1
        for _ in range(500):
            await self.step()
            if self.dut.s_cfg_ready.value == 1:
                break
        else:
            raise AssertionError("never taken")
        answer = SrqAnswer.from_int(int(self.dut.cfg_answer.value)) if not create else SrqAnswer()
        self.dut.s_cfg_valid.value = 0
        queue = self.queues[srqn]
        if create:
            queue.producer = queue.consumer = 0
            queue.limit = limit
        elif arm:
            queue.limit = limit
            if queue.left < limit:
                self.fire(srqn)
        return answer

    async def check(self) -> None:
        """Everything expected came, nothing else."""
        await cycles(self.dut, 120)
        found = []
        while not self.events.empty():
            event = self.events.recv_nowait()
            assert (event.eqn, event.event_type) == (0, EventType.SRQ_LIMIT)
            found.append(event.number)
        assert found == self.expected
        self.expected.clear()


@cocotb.test()
async def the_event_comes_once_when_fewer_are_left(dut):
    bench = await Bench.start(dut)
    await bench.post(1, 6)
    await bench.configure(1, arm=1, limit=4)
    await bench.take(1)
    await bench.take(1)
    await bench.check()
    await bench.take(1)
    assert bench.expected == [1]
    await bench.check()
    await bench.take(1)
    await bench.check()
    await bench.post(1, 10)
    await bench.configure(1, arm=1, limit=12)
    assert bench.expected == []
    await bench.take(1)
    assert bench.expected == [1]
    await bench.check()


@cocotb.test()
async def a_limit_above_what_is_left_fires_at_once(dut):
    bench = await Bench.start(dut)
    await bench.post(2, 3)
    await bench.configure(2, arm=1, limit=3)
    await bench.check()
    await bench.configure(2, arm=1, limit=4)
    assert bench.expected == [2]
    await bench.check()


@cocotb.test()
async def a_new_queue_waits_until_it_has_been_filled(dut):
    bench = await Bench.start(dut)
    await bench.configure(3, create=1, arm=1, limit=2)
    await bench.check()
    await bench.post(3, 2)
    await bench.check()
    await bench.take(3)
    assert bench.expected == [3]
    await bench.check()


@cocotb.test()
async def a_new_queue_that_is_emptied_before_it_was_full_is_no_news(dut):
    """It never held as many as the limit, so its count did not fall below that."""
    bench = await Bench.start(dut)
    await bench.configure(3, create=1, arm=1, limit=3)
    for count in (1, 2):
        await bench.post(3, count)
        for _ in range(count):
            await bench.take(3)
    await bench.post(3, 4)
    await bench.take(3)
    assert bench.expected == []
    await bench.check()
    await bench.take(3)
    assert bench.expected == [3]
    await bench.check()


@cocotb.test()
async def rings_of_queue_pairs_are_none_of_its_business(dut):
    bench = await Bench.start(dut)
    await bench.post(0, 5)
    await bench.configure(0, arm=1, limit=5)
    for ring in range(QPS):
        await bench.take(0, ring=ring)
    await bench.check()
    answer = await bench.configure(0)
    assert (answer.producer, answer.consumer, answer.limit) == (5, 0, 5)


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "mostly"])
async def random_work_agrees_with_the_model(dut, stall):
    """Indices go round 16 bits; a question changes nothing."""
    bench = await Bench.start(dut, stall)
    fired = 0
    for _ in range(1500):
        srqn = random.randrange(SRQS)
        queue = bench.queues[srqn]
        action = random.choice(["take"] * 6 + ["post", "post", "arm", "ask", "create"])
        if action == "take" and queue.left:
            await bench.take(srqn)
        elif action == "post" and queue.left < 100:
            await bench.post(srqn, random.choice([1, 2, 5, 20]))
        elif action == "arm" or (action == "create" and random.random() < 0.1):
            await bench.check()
            limit = random.randint(1, 40)
            await bench.configure(srqn, create=int(action == "create"), arm=1, limit=limit)
        elif action == "ask":
            await cycles(dut, 8)
            answer = await bench.configure(srqn)
            assert (answer.producer, answer.consumer, answer.limit) == (
                queue.producer & 0xFFFF, queue.consumer & 0xFFFF, queue.limit
            )  # fmt: skip
        fired += len(bench.expected)
    await bench.check()
    assert fired > 20
