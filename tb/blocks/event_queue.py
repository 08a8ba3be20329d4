"""rnic_event: entries in order, interrupts behind them, moderation, and what a full queue does."""

from __future__ import annotations

import random
from collections import deque

import cocotb

from spec.streams import EqConfig, RingUpdate
from tb.blocks.event_bench import EQS, US, Bench, same
from tb.streams import cycles

PATTERNS = [("none", "none"), ("half", "none"), ("mostly", "bursts")]


@cocotb.test()
@cocotb.parametrize((("stall", "idle"), PATTERNS))
async def every_event_is_written_once_and_in_order(dut, stall, idle):
    """Two sources, several queues, a host that reads now and then; rings wrap many times."""
    bench = await Bench.start(dut, stall, idle)
    queues = [await bench.create(n, log_size=n + 1) for n in range(3)]
    owed = [deque(), deque()]
    for _ in range(60):
        for queue in queues:
            for _ in range(random.randrange(queue.size // 2 + 1)):
                lane = random.randrange(2)
                owed[lane].append((queue, bench.raise_event(queue.number, lane)))
        await bench.settle(4)
        for queue in queues:
            queue.seen += bench.poll_all(queue)
            await bench.consume(queue)
    for lane in owed:
        for queue, event in lane:
            found = [i for i, entry in enumerate(queue.seen) if same(entry, event)]
            assert len(found) == 1, f"{event} was written {len(found)} times"
    for queue in queues:
        for lane in owed:
            mine = [event for where, event in lane if where is queue]
            places = [next(i for i, e in enumerate(queue.seen) if same(e, ev)) for ev in mine]
            assert places == sorted(places)
        assert len(queue.seen) == sum(where is queue for lane in owed for where, _ in lane)
    assert dut.overflow.value == 0


@cocotb.test()
@cocotb.parametrize(stall=["none", "mostly"])
async def an_interrupt_follows_its_entry(dut, stall):
    bench = await Bench.start(dut, stall)
    queue = await bench.create(2)
    done: list[int] = []
    bench.host.on_done = lambda addr, error: done.append(bench.host.now)
    for n in range(1, 6):
        bench.raise_event(2)
        await bench.settle(60)
        assert len(bench.irqs.taken) == n == len(done)
        when, vector = bench.irqs.taken[-1]
        assert vector == queue.vector
        assert when > done[-1]
        assert bench.poll(queue)
        await bench.consume(queue)


@cocotb.test()
async def a_full_queue_keeps_what_it_has(dut):
    bench = await Bench.start(dut)
    queue, other = await bench.create(0, 2), await bench.create(1, 2)
    events = [bench.raise_event(0, 0) for _ in range(6)]
    await bench.settle()
    assert dut.overflow.value == 1
    found = bench.poll_all(queue)
    assert len(found) == 4
    assert all(map(same, found, events))
    await bench.consume(queue)
    # Room again: later events come, those that were dropped do not.
    later = [bench.raise_event(0, 0) for _ in range(3)]
    mine = bench.raise_event(1, 1)
    await bench.settle()
    found = bench.poll_all(queue)
    assert len(found) == 3
    assert all(map(same, found, later))
    assert same(bench.poll(other), mine)
    assert dut.overflow.value == 1


@cocotb.test()
async def events_of_queues_that_do_not_exist_are_dropped(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(1)
    for eqn in (0, 2, 3, EQS, EQS + 1, 200, 255):
        bench.raise_event(eqn)
    last = bench.raise_event(1)
    await bench.settle()
    assert same(bench.poll(queue), last)
    assert len(bench.host.written) == 1
    assert dut.overflow.value == 0


@cocotb.test()
async def a_wrong_consumer_index_is_ignored(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(0, 1)
    bench.raise_event(0)
    await bench.settle()
    for index in (2, 3, 0x8000, 0xFFFF):
        await bench.update.send(RingUpdate(number=0, index=index))
    await bench.update.send(RingUpdate(number=EQS, index=1))
    await bench.update.send(RingUpdate(number=0x100, index=1))
    for _ in range(2):
        bench.raise_event(0)
    await bench.settle()
    assert dut.overflow.value == 1
    assert len(bench.poll_all(queue)) == 2


@cocotb.test()
async def a_write_that_fails_is_an_overflow(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(0)
    bench.host.bad = lambda addr: addr == queue.base
    bench.raise_event(0)
    await bench.settle(60)
    assert dut.overflow.value == 1
    assert bench.irqs.taken == []


# ---------- moderation


async def responses(bench: Bench, number: int, count: int) -> None:
    for _ in range(count):
        bench.raise_event(number)
    await bench.settle(4)


@cocotb.test()
@cocotb.parametrize(count=[2, 3, 7])
async def interrupts_wait_for_a_number_of_events(dut, count):
    bench = await Bench.start(dut)
    queue = await bench.create(3, 6, mod_count=count)
    for n in range(1, 4 * count):
        await responses(bench, 3, 1)
        await cycles(dut, 4 * US)
        assert len(bench.irqs.taken) == n // count
        bench.poll_all(queue)
        await bench.consume(queue)


@cocotb.test()
@cocotb.parametrize(time=[1, 5, 12])
async def interrupts_wait_for_a_time(dut, time):
    bench = await Bench.start(dut)
    queue = await bench.create(1, 6, mod_time=time)
    for _ in range(6):
        bench.irqs.taken.clear()
        done: list[int] = []
        bench.host.on_done = lambda addr, error, done=done: done.append(bench.host.now)
        await cycles(dut, random.randrange(US))
        # More events do not start the time again.
        for _ in range(3):
            await responses(bench, 1, 1)
        await cycles(dut, (time + 3) * US)
        assert bench.irqs.taken
        waited = bench.irqs.taken[0][0] - done[0]
        assert time * US <= waited <= (time + 1) * US + EQS + 4
        expected = 1 + sum(when > bench.irqs.taken[0][0] for when in done)
        assert len(bench.irqs.taken) <= expected
        bench.poll_all(queue)
        await bench.consume(queue)


@cocotb.test()
async def whichever_limit_comes_first(dut):
    bench = await Bench.start(dut)
    await bench.create(0, 6, mod_count=4, mod_time=10)
    await responses(bench, 0, 4)
    await cycles(dut, EQS + 4)
    assert len(bench.irqs.taken) == 1
    await responses(bench, 0, 3)
    await cycles(dut, 8 * US)
    assert len(bench.irqs.taken) == 1
    await cycles(dut, 4 * US)
    assert len(bench.irqs.taken) == 2


@cocotb.test()
async def the_longest_time_is_a_time(dut):
    """65535 microseconds end as well; the clock of this build makes them short enough."""
    bench = await Bench.start(dut)
    await bench.create(0, 4, mod_time=0xFFFF)
    await responses(bench, 0, 1)
    before = bench.host.now
    # A shorter time, set later, counts from the event.
    await cycles(dut, 30 * US)
    await bench.cfg.send(EqConfig(eqn=0, exists=1, keep=1, mod_time=20))
    await cycles(dut, 2 * US)
    assert bench.irqs.taken
    assert bench.irqs.taken[0][0] - before < 35 * US


@cocotb.test()
async def moderation_can_be_changed_alone(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(1, 2)
    await responses(bench, 1, 3)
    await bench.cfg.send(EqConfig(eqn=1, exists=1, keep=1, mod_count=50, vector=9, log_size=9))
    bench.poll_all(queue)
    await bench.consume(queue)
    bench.irqs.taken.clear()
    await responses(bench, 1, 3)
    await cycles(dut, 3 * US)
    assert bench.irqs.taken == []
    assert len(bench.poll_all(queue)) == 3
    await bench.cfg.send(EqConfig(eqn=1, exists=1, keep=1))
    await cycles(dut, EQS + 6)
    assert [vector for _, vector in bench.irqs.taken] == [queue.vector]


# ---------- life and load


@cocotb.test()
async def no_interrupt_comes_from_a_queue_that_is_gone(dut):
    """The change waits for the answers of writes under way."""
    bench = await Bench.start(dut)
    await bench.create(0)
    bench.host.held = True
    bench.raise_event(0)
    await cycles(dut, 20)
    bench.cfg.send_nowait(EqConfig(eqn=0, exists=0))
    await cycles(dut, 20)
    bench.host.held = False
    await bench.cfg.drain()
    taken = len(bench.irqs.taken)
    await cycles(dut, 3 * US)
    assert len(bench.irqs.taken) == taken
    await bench.create(0)
    await cycles(dut, 3 * US)
    assert len(bench.irqs.taken) == taken


@cocotb.test()
async def an_offered_interrupt_is_not_taken_back(dut):
    bench = await Bench.start(dut)
    await bench.create(0)
    bench.irqs.held = True
    bench.raise_event(0)
    await cycles(dut, 60)
    assert dut.m_axis_irq_tvalid.value == 1
    bench.cfg.send_nowait(EqConfig(eqn=0, exists=0))
    await cycles(dut, 30)
    bench.irqs.held = False
    await bench.cfg.drain()
    await cycles(dut, 30)
    assert len(bench.irqs.taken) == 1


@cocotb.test()
async def a_change_is_not_starved_by_events(dut):
    bench = await Bench.start(dut)
    bench.host.latency = 1
    await bench.create(0, 9)
    for _ in range(300):
        bench.raise_event(0)
    await cycles(dut, 50)
    before = bench.host.now
    await bench.create(1)
    assert bench.host.now - before < 60


@cocotb.test()
async def one_event_every_three_cycles(dut):
    bench = await Bench.start(dut)
    await bench.create(0, 9)
    for _ in range(200):
        bench.raise_event(0)
    before = bench.host.now
    while len(bench.host.written) < 200:
        await cycles(dut)
    rate = (bench.host.now - before) / 200
    dut._log.info("cycles per event: %.2f", rate)
    assert rate < 3.2


@cocotb.test()
async def a_reset_in_traffic_leaves_nothing(dut):
    bench = await Bench.start(dut, "half")
    await bench.create(0, 4)
    for _ in range(12):
        bench.raise_event(0)
    await cycles(dut, 25)
    bench.events.clear()
    bench.host.clear()
    dut.rst.value = 1
    for end in bench.host.ends:
        end.in_reset = True
    await cycles(dut, 4)
    bench.host.clear()
    for end in bench.host.ends:
        end.clear()
        end.in_reset = False
    dut.rst.value = 0
    await cycles(dut, 2)
    taken = len(bench.irqs.taken)
    queue = await bench.create(0, 2)
    await cycles(dut, 100)
    assert len(bench.irqs.taken) == taken
    event = bench.raise_event(0)
    await bench.settle(40)
    assert same(bench.poll(queue), event)
    assert len(bench.irqs.taken) == taken + 1
