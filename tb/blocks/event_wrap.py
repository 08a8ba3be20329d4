"""rnic_event where indices wrap: registers are set to values just before (Icarus only)."""

from __future__ import annotations

import cocotb

from tb.blocks.event_bench import Bench, same
from tb.streams import cycles


@cocotb.test()
async def the_index_of_a_queue_wraps(dut):
    bench = await Bench.start(dut)
    for number in (3, 2, 1):
        await bench.create(number)
    queue = await bench.create(0, 3)
    await cycles(dut)
    start = 0xFFF8
    for name in ("producer_q", "consumer_q"):
        getattr(dut, name).value = int(getattr(dut, name).value) & ~0xFFFF | start
    queue.consumer = start
    await cycles(dut)
    for _ in range(5):
        events = [bench.raise_event(0, 0) for _ in range(7)]
        await bench.settle()
        found = bench.poll_all(queue)
        assert len(found) == 7
        assert all(map(same, found, events))
        await bench.consume(queue)
    assert dut.overflow.value == 0


@cocotb.test()
async def the_longest_time_ends(dut):
    bench = await Bench.start(dut)
    await bench.create(0, 3, mod_time=0xFFFF)
    bench.raise_event(0)
    await bench.settle()
    await cycles(dut)
    dut.waited_q.value = int(dut.waited_q.value) & ~0xFFFF | 0xFFF0
    await cycles(dut, 20 * 20)
    assert len(bench.irqs.taken) == 1


@cocotb.test()
async def events_without_number_do_not_wrap_the_count(dut):
    """More events than the count can say, while nobody takes interrupts."""
    bench = await Bench.start(dut)
    await bench.create(0, 3)
    bench.irqs.held = True
    bench.raise_event(0)
    await bench.settle()
    dut.pending_q.value = int(dut.pending_q.value) & ~0xFFFF | 0xFFFF
    bench.raise_event(0)
    await bench.settle()
    assert int(dut.pending_q.value) & 0xFFFF == 0xFFFF
