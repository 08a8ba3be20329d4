"""rnic_cq where indices wrap: the context is set to values just before (Icarus only)."""

from __future__ import annotations

import random

import cocotb

from spec.codes import CqeStatus
from spec.layouts import ArmType, CqeFlag
from tb.blocks.cq_bench import Bench
from tb.blocks.cq_model import CompletionQueue
from tb.streams import cycles

NEWS = 24 + 24 + 2 + 2  # newest solicited, newest failed, arm, arm number: the lowest fields


async def age(bench: Bench, queue: CompletionQueue, index: int, news: int) -> None:
    """As if ``index`` completions had come and gone, the last one of interest at ``news``."""
    await cycles(bench.dut, 4)
    word = bench.dut.u_context.mem[queue.number]
    value = int(word.value)
    value &= ~(((1 << NEWS + 48) - 1) & ~0xF)
    value |= index << NEWS + 24 | index << NEWS | news << 28 | news << 4
    word.value = value
    queue.first = queue.consumer = index
    queue.entries.clear()
    await cycles(bench.dut, 2)


@cocotb.test()
@cocotb.parametrize(log_size=[1, 4, 15])
async def the_index_of_a_queue_wraps(dut, log_size):
    bench = await Bench.start(dut)
    queue = await bench.create(1, log_size)
    start = (1 << 24) - 11
    await age(bench, queue, start, start)
    for seq in range(1, 40):
        for _ in range(random.randrange(min(queue.size, 4))):
            if queue.producer - queue.consumer < queue.size:
                flags = random.choice([CqeFlag(0), CqeFlag.SOLICITED])
                await bench.post(queue, flags=flags)
        arm = random.choice(list(ArmType))
        await bench.ring(queue, random.randint(queue.consumer, queue.producer), arm, seq % 4)
        bench.check(queue)
    assert queue.producer > 1 << 24


@cocotb.test()
async def the_largest_queue_is_filled_to_the_last_entry(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(0, 15)
    await age(bench, queue, (1 << 24) - 2, (1 << 24) - 2)
    # As if all but two entries were waiting to be read.
    word = dut.u_context.mem[0]
    behind = (queue.first - (queue.size - 2)) % (1 << 24)
    mask = ((1 << 24) - 1) << NEWS
    word.value = int(word.value) & ~mask | behind << NEWS
    queue.consumer = queue.first - (queue.size - 2)
    await cycles(dut, 2)
    for _ in range(2):
        request = bench.complete(0)
        await bench.settle()
        queue.entries.append(request)
        bench.check_entry(queue, queue.producer - 1)
    bench.check_events(queue)
    request = bench.complete(0)
    await bench.settle()
    queue.complete(request)
    assert queue.bad
    bench.check_events(queue)


@cocotb.test()
@cocotb.parametrize(arm=[ArmType.SOLICITED, ArmType.ERRORS])
async def news_that_are_long_past_are_no_news(dut, arm):
    """Plain completions without end: the marks of older ones keep up with the consumer."""
    bench = await Bench.start(dut)
    for index in (5, 1 << 22, (1 << 23) - 5, (1 << 24) - 3):
        queue = await bench.create(2, 4)
        # As far back as a mark can be before it looks like the future.
        await age(bench, queue, index, (index - (1 << 23) + 8) % (1 << 24))
        for seq in range(1, 6):
            await bench.post(queue)
            await bench.ring(queue, queue.producer, arm, seq % 4)
            bench.check(queue)
        word = int(dut.u_context.mem[queue.number].value)
        marks = {word >> 28 & 0xFF_FFFF, word >> 4 & 0xFF_FFFF}
        assert marks == {queue.consumer % (1 << 24)}
        await bench.post(queue, status=CqeStatus.REM_OP_ERR)
        assert queue.events
        bench.check(queue)
