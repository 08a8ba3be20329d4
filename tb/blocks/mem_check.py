"""rnic_mem_check with rnic_mem_keys: what may be touched, where it is, how fast that is known."""

from __future__ import annotations

import random

import cocotb

from spec.codes import Access
from spec.layouts import KeyEntry, KeyKind
from spec.streams import KeyOp, MemReq, SegKind
from tb.axi_memory import Resp
from tb.blocks.mem_bench import (
    KEY_COUNT,
    SLOW,
    Bench,
    Timing,
    change,
    fast_key,
    piece,
    plain_key,
    random_key,
    random_request,
    replace,
    spoiled,
)
from tb.blocks.mem_model import WORD
from tb.streams import cycles, from_pattern


async def with_keys(bench: Bench, count: int = 40) -> dict[int, KeyEntry]:
    """Random keys in the table."""
    keys = {index: random_key(bench) for index in random.sample(range(KEY_COUNT), count)}
    for index, entry in keys.items():
        bench.set_key(index, entry)
    await bench.settle()
    return keys


async def traffic(bench: Bench, keys: dict[int, KeyEntry], count: int) -> None:
    """Random requests of both pipelines, all answered as the model says."""
    for _ in range(count):
        index = random.choice(list(keys))
        bench.offer(random.randrange(2), random_request(index, keys[index]))
    await bench.settle()


@cocotb.test()
@cocotb.parametrize(
    idle=["none", "half", "bursts"], stall=["none", "half", "mostly"], latency=[0, 60]
)
async def answers_are_those_of_the_model(dut, idle, stall, latency):
    timing = Timing(read_latency=latency, reorder=True, stall=SLOW if latency else {})
    bench = await Bench.start(dut, timing, idle, stall)
    keys = await with_keys(bench)
    await traffic(bench, keys, 250)
    answers = [offer.answer for pipe in bench.pipes for offer in pipe.answered]
    assert {True, False} == {answer.ok for answer in answers if answer}
    assert any(answer and len(answer.pieces) == 2 for answer in answers)


@cocotb.test()
@cocotb.parametrize(shift=list(range(12, 31)))
async def every_page_size_translates(dut, shift):
    bench = await Bench.start(dut, Timing(read_latency=9), stall="half")
    keys = {}
    for index in range(6):
        entry = random_key(bench, KeyKind.MR)
        count = random.randint(1, 24)
        size = 1 << shift
        first = random.randrange(size)
        keys[index] = replace(
            entry, page_shift=shift, direct=0, valid=1, pages=bench.lists.make(count, shift),
            base=(random.getrandbits(62) >> shift << shift) + first, length=count * size - first,
        )  # fmt: skip
        bench.set_key(index, keys[index])
    await bench.settle()
    await traffic(bench, keys, 60)


@cocotb.test()
async def ranges_end_where_they_end(dut):
    """Each request that touches an edge of a region from either side, at both ends of 2^64 too."""
    bench = await Bench.start(dut)
    shapes = ((0, WORD - 1), (1, WORD - 1), (WORD - 8192, 8192), (4096, 8192), (WORD - 4096, 8192))
    keys = {}
    for index, (base, length) in enumerate(shapes):
        keys[index] = replace(
            random_key(bench, KeyKind.MR), direct=1, valid=1, base=base, length=length
        )
        bench.set_key(index, keys[index])
    privileged = replace(random_key(bench, KeyKind.PRIVILEGED), valid=1, length=0)
    bench.set_key(9, privileged)
    await bench.settle()
    for index, entry in keys.items():
        for edge in (entry.base, entry.base + entry.length, 0, WORD):
            for length in (1, 2, 4095, 4096):
                for off in (-length - 1, -length, -length + 1, -1, 0, 1):
                    req = replace(
                        piece(index, entry, 0, length), va=(edge + off) % WORD, access=Access(0)
                    )
                    bench.offer(0, req)
                    reach = replace(req, span=length, length=random.choice((0, length // 2)))
                    bench.offer(1, reach)
    for va in (0, 4095, WORD - 1, WORD - 4096, WORD - 4095):
        bench.offer(1, replace(piece(9, privileged, 0, 4096), va=va))
    await bench.settle()


@cocotb.test()
async def the_privileged_key_is_for_local_use(dut):
    bench = await Bench.start(dut)
    entry = replace(random_key(bench, KeyKind.PRIVILEGED), valid=1, access=Access(63))
    bench.set_key(3, entry)
    await bench.settle()
    for access in range(64):
        bench.offer(0, replace(piece(3, entry, 0, 100), access=Access(access)))
    await bench.settle()
    granted = [o.req.access for o in bench.pipes[0].answered if o.answer and o.answer.ok]
    assert granted == [Access(0), Access.LOCAL_WRITE]


@cocotb.test()
async def nothing_to_move_is_never_refused(dut):
    bench = await Bench.start(dut)
    for kind in SegKind:
        for length, span in ((0, 0), (1, 0), (4096, 0), (0, 1), (0, 1 << 31)):
            req = MemReq(kind=kind, length=length, span=span, token=random.getrandbits(32))
            bench.offer(0, req)
    await bench.settle()
    ok = [o.answer.ok for o in bench.pipes[0].answered if o.answer]
    checked = [True] + [False] * 4
    assert ok == [True] * 5 + checked + [True] * 5 + checked


@cocotb.test()
async def a_span_is_checked_and_moves_nothing(dut):
    """Checked like a request with bytes, and no list is read for it."""
    bench = await Bench.start(dut)
    good = plain_key(bench, 20)
    bench.set_key(5, good)
    await bench.settle()
    fetches = bench.fetches
    whole = replace(piece(5, good, 0, 0), span=good.length)
    wrong = [
        replace(whole, token=whole.token ^ 1),
        replace(whole, token=whole.token ^ 1 << 8),
        replace(whole, pd=whole.pd ^ 1),
        replace(whole, access=Access.MW_BIND),
        replace(whole, va=good.base - 1),
        replace(whole, va=good.base + 1),
        replace(whole, span=good.length + 1),
        replace(whole, span=(1 << 32) - 1),
        replace(whole, va=WORD - 1, span=2),
    ]
    for req in (whole, *wrong):
        bench.offer(0, req)
        bench.offer(1, replace(req, kind=SegKind.WORD))
    await bench.settle()
    for pipe in bench.pipes:
        assert [o.answer.ok for o in pipe.answered if o.answer] == [True] + [False] * len(wrong)
    assert bench.fetches == fetches
    # With bytes to move, the span alone decides whether it is refused, and length what moves.
    for pipe, span in ((0, good.length), (1, good.length + 1)):
        bench.offer(pipe, replace(piece(5, good, 0, 100), span=span))
    await bench.settle()
    assert bench.pipes[0].answered[-1].answer.pieces[0][1] == 100
    assert not bench.pipes[1].answered[-1].answer.ok


@cocotb.test()
@cocotb.parametrize(latency=[0, 45], idle=["none", "half"], stall=["none", "half"])
async def keys_change_while_requests_flow(dut, latency, idle, stall):
    """Admin and both pipelines register, invalidate and use the same keys."""
    bench = await Bench.start(dut, Timing(read_latency=latency, reorder=True), idle, stall)
    fresh = {index: fast_key(bench) for index in range(10)}
    for index, entry in fresh.items():
        bench.set_key(index, replace(entry, valid=0))
    await bench.settle()
    for _ in range(250):
        index = random.randrange(10)
        entry = fresh[index]
        what = random.random()
        if what < 0.5:
            bench.offer(random.randrange(2), random_request(index, entry))
        elif what < 0.7:
            req, reg = change(KeyOp.INVALIDATE, index, entry)
            req = replace(req, token=req.token ^ (random.random() < 0.1))
            bench.offer(random.randrange(2), req, reg)
        elif what < 0.9:
            req, reg = change(KeyOp.REGISTER, index, entry)
            if random.random() < 0.2:
                req, reg = spoiled(req, reg, entry)
            bench.offer(random.randrange(2), req, reg)
        else:
            kind = random.choice((KeyKind.FAST_REG, KeyKind.FAST_REG, KeyKind.MR, KeyKind.NONE))
            bench.set_key(index, replace(entry, kind=kind, valid=random.randrange(2)))
        await cycles(dut, random.choice((0, 0, 1, 5)))
    await bench.settle()
    await bench.compare_tables()
    done = [o.req.op for p in bench.pipes for o in p.answered if o.answer and o.answer.ok]
    assert set(done) == set(KeyOp)


@cocotb.test()
async def a_registration_that_makes_no_sense_is_refused(dut):
    bench = await Bench.start(dut)
    entries = [fast_key(bench) for _ in range(60)]
    for number in range(400):
        entry = random.choice(entries)
        bench.set_key(1, replace(entry, valid=0))
        await bench.settle()
        req, reg = change(KeyOp.REGISTER, 1, entry)
        if number % 4:
            req, reg = spoiled(req, reg, entry)
        bench.offer(number % 2, req, reg)
        await bench.settle()
        answer = bench.pipes[number % 2].answered[-1].answer
        assert answer is not None
        assert answer.ok == (number % 4 == 0)
    await bench.compare_tables()


@cocotb.test()
async def a_region_takes_as_many_pages_as_it_was_made_for(dut):
    bench = await Bench.start(dut)
    granted = []
    for shift in (12, 13, 21, 30):
        for limit in (1, 2, 7, 1 << 12):
            size = 1 << shift
            for base in (0, size - 1, 5 * size + 1):
                room = limit * size - base % size
                for length in (room, room + 1):
                    entry = replace(
                        plain_key(bench, 1), kind=KeyKind.FAST_REG, limit=limit, base=base,
                        length=length, page_shift=shift, valid=0,
                    )  # fmt: skip
                    bench.set_key(1, entry)
                    await bench.settle()
                    bench.offer(0, *change(KeyOp.REGISTER, 1, entry))
                    await bench.settle()
                    granted.append(bench.pipes[0].answered[-1].answer.ok)
    assert granted == [True, False] * (len(granted) // 2)


@cocotb.test()
async def an_invalidation_keeps_the_lines(dut):
    """Only a key that becomes valid may bring a rewritten list."""
    bench = await Bench.start(dut)
    keys = [replace(plain_key(bench, 8), kind=KeyKind.FAST_REG), plain_key(bench, 8)]
    for index, entry in enumerate(keys):
        bench.set_key(index, entry)
    await bench.settle()

    async def fetches_of_a_look() -> int:
        before = bench.fetches
        bench.offer(0, piece(1, keys[1], 0, 64))
        await bench.settle()
        return bench.fetches - before

    assert await fetches_of_a_look() == 1
    assert await fetches_of_a_look() == 0
    bench.offer(1, *change(KeyOp.INVALIDATE, 0, keys[0]))
    await bench.settle()
    assert await fetches_of_a_look() == 0
    bench.offer(1, *change(KeyOp.REGISTER, 0, keys[0]))
    await bench.settle()
    assert await fetches_of_a_look() == 1


@cocotb.test()
async def a_write_beyond_the_table_changes_nothing(dut):
    bench = await Bench.start(dut)
    await with_keys(bench, KEY_COUNT)
    for bit in range(6, 24):
        bench.set_key(1 << bit | random.randrange(KEY_COUNT), random_key(bench, KeyKind.MR))
    await bench.settle()
    await bench.compare_tables()


@cocotb.test()
async def one_of_two_invalidations_wins(dut):
    bench = await Bench.start(dut)
    entry = fast_key(bench)
    for delay in range(10):
        bench.set_key(1, entry)
        await bench.settle()
        before = [len(pipe.answered) for pipe in bench.pipes]
        bench.offer(0, *change(KeyOp.INVALIDATE, 1, entry))
        await cycles(dut, delay)
        bench.offer(1, *change(KeyOp.INVALIDATE, 1, entry))
        await bench.settle()
        ok = [p.answered[n].answer.ok for p, n in zip(bench.pipes, before, strict=True)]
        assert sum(ok) == 1


@cocotb.test()
async def a_destroyed_key_does_not_come_back(dut):
    """Admin takes a key away at every moment of its registration."""
    bench = await Bench.start(dut)
    entry = fast_key(bench)
    for delay in range(14):
        bench.set_key(1, replace(entry, valid=0))
        await bench.settle()
        bench.offer(delay % 2, *change(KeyOp.REGISTER, 1, entry))
        await cycles(dut, delay)
        bench.set_key(1, KeyEntry())
        await bench.settle()
        assert await bench.look(1) == KeyEntry()


@cocotb.test()
@cocotb.parametrize(latency=[0, 30])
async def a_new_list_at_an_old_address_is_read_anew(dut, latency):
    """Lists that share lines are rewritten, each when nobody uses it, while others are in use."""
    bench = await Bench.start(dut, Timing(read_latency=latency, reorder=True, stall=SLOW))
    keys = {}
    for index in range(8):
        entry = plain_key(bench, random.randint(2, 20))
        entry = replace(entry, kind=KeyKind.FAST_REG, valid=0, base=0x1000 * random.randrange(99))
        keys[index] = replace(entry, pages=bench.lists.make(entry.length >> 12, 12, gap=0), valid=1)
        bench.set_key(index, entry)
    await bench.settle()
    rewritten = 0
    for _ in range(400):
        index = random.randrange(8)
        entry, now = keys[index], bench.keys.find(index)
        unsent = any(o.req.token >> 8 == index for p in bench.pipes for o in p.offered)
        if random.random() < 0.8 and now.valid:
            bench.offer(index % 2, random_request(index, entry))
        elif now.valid and not unsent:
            bench.offer(index % 2, *change(KeyOp.INVALIDATE, index, entry))
        elif not unsent and not bench.lists.users.get(entry.pages):
            bench.lists.fill(entry.pages, entry.length >> 12, 12)
            bench.offer(index % 2, *change(KeyOp.REGISTER, index, entry))
            rewritten += 1
        await cycles(dut, random.choice((0, 1, 3, 20)))
    await bench.settle()
    assert rewritten > 20


@cocotb.test()
@cocotb.parametrize(latency=[0, 40], stall=["none", "half"])
async def an_unreadable_list_is_told_and_not_kept(dut, latency, stall):
    bench = await Bench.start(dut, Timing(read_latency=latency, reorder=True), "none", stall)
    keys = {index: plain_key(bench, 40, offset=index * 1000) for index in range(4)}
    for index, entry in keys.items():
        bench.set_key(index, entry)
    await bench.settle()
    for _ in range(4):
        line = random.choice(list(keys.values())).pages // 64 * 64 + 64 * random.randrange(5)
        bench.lists.bad = [range(line, line + 64)]
        fault = bench.axi.inject(random.choice((Resp.SLVERR, Resp.DECERR)), address=line, size=64)
        for index, entry in keys.items():  # a write empties the cache
            bench.set_key(index, entry)
        await bench.settle()
        await traffic(bench, keys, 120)
        bench.axi.faults.remove(fault)
        bench.lists.bad = []
        await traffic(bench, keys, 60)
    errors = [o for p in bench.pipes for o in p.answered if o.answer and o.answer.bus_error]
    assert errors


@cocotb.test()
async def reset_in_traffic_starts_anew(dut):
    bench = await Bench.start(dut, Timing(read_latency=30), "none", "half")
    for _ in range(3):
        keys = await with_keys(bench, 20)
        for _ in range(120):
            index = random.choice(list(keys))
            bench.offer(random.randrange(2), random_request(index, keys[index]))
        await cycles(dut, random.randint(20, 60))
        await bench.reset()
        await bench.compare_tables()
    keys = await with_keys(bench, 20)
    await traffic(bench, keys, 100)


# ------------------------------------------------------------ rates


async def one_key(bench: Bench, count: int, offset: int = 0) -> KeyEntry:
    """A plain key of `count` pages in entry 5."""
    entry = plain_key(bench, count, offset=offset)
    bench.set_key(5, entry)
    await bench.settle()
    return entry


@cocotb.test()
async def one_request_per_cycle_when_the_lines_are_here(dut):
    bench = await Bench.start(dut, Timing(read_latency=20))
    entry = await one_key(bench, 200)
    for page in range(0, 200):
        bench.offer(0, piece(5, entry, page * 4096, 64))
    await bench.settle()
    fetches = bench.fetches
    bench.pipes[0].clear()
    for _ in range(400):
        page = random.randrange(200)
        bench.offer(0, piece(5, entry, page * 4096 + random.randrange(4032), 64))
    await bench.settle()
    took = bench.pipes[0].leave_cycles
    first = bench.pipes[0].leave_cycles[0] - bench.pipes[0].enter_cycles[0]
    dut._log.info("400 hits in %d cycles, %d from end to end", took[-1] - took[0] + 1, first)
    assert took[-1] - took[0] + 1 == 400
    assert bench.fetches == fetches


@cocotb.test()
@cocotb.parametrize(offset=[0, 512])
async def segments_of_4_kib_hide_the_memory(dut, offset):
    """One segment each 66 cycles, 250 cycles away from the list: the consumer never starves."""
    bench = await Bench.start(dut, Timing(read_latency=250))
    pipe = bench.pipes[0]
    pipe.sink.stall = from_pattern([False] + [True] * 65)
    entry = await one_key(bench, 129, offset)
    for segment in range(128):
        bench.offer(0, piece(5, entry, segment * 4096, 4096))
    await bench.settle()
    took = pipe.leave_cycles[-1] - pipe.leave_cycles[0]
    dut._log.info("128 segments, %.2f cycles each", took / 127)
    assert took <= 127 * 66 + 4  # the sink loses its step when it waits for the first


@cocotb.test()
@cocotb.parametrize(offset=[0, 512])
async def segments_as_they_arrive_are_late_by_one_memory_access(dut, offset):
    """One segment arrives each 66 cycles: whatever its list costs, the queue does not grow."""
    bench = await Bench.start(dut, Timing(read_latency=250))
    pipe = bench.pipes[0]
    entry = await one_key(bench, 97, offset)
    pipe.source.idle = from_pattern([False] + [True] * 65)
    for segment in range(96):
        bench.offer(0, piece(5, entry, segment * 4096, 4096))
    await bench.settle()
    late = [a - b for a, b in zip(pipe.leave_cycles, pipe.enter_cycles, strict=True)]
    dut._log.info("answers after %d at first, then %d at most", late[0], max(late[1:]))
    assert max(late) < 290
    assert pipe.leave_cycles[-1] - pipe.leave_cycles[0] <= 95 * 66


@cocotb.test()
async def misses_overlap(dut):
    """64 list lines are on their way at once."""
    bench = await Bench.start(dut, Timing(read_latency=250))
    entry = await one_key(bench, 2048)
    lines = random.sample(range(256), 192)
    for line in lines:
        bench.offer(0, piece(5, entry, (line * 8 + random.randrange(6)) * 4096, 64))
    await bench.settle()
    took = bench.pipes[0].leave_cycles[-1] - bench.pipes[0].enter_cycles[0]
    dut._log.info("192 misses in %d cycles, %d in flight", took, bench.axi.counters.peak_reads)
    assert bench.axi.counters.peak_reads >= 64
    assert took < 3 * (250 + 40)


@cocotb.test()
async def reading_ahead_stays_in_the_list(dut):
    """The memory refuses whatever is behind the list."""
    bench = await Bench.start(dut, Timing(read_latency=10))
    for count in range(1, 26):
        entry = await one_key(bench, count)
        bench.lists.free += 256
        for page in range(count):
            bench.offer(0, piece(5, entry, page * 4096, 64))
        await bench.settle()
