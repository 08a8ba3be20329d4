"""rnic_tx: a request whose queue pair has been sent back since it was made is not sent."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb

from spec.codes import Access, CqeStatus, Syndrome
from spec.streams import KeyOp
from tb.blocks.tx_bench import ACK, FAST, PAGE, REMOTE, Bench, Job, token
from tb.blocks.tx_faults import (
    BUS,
    KEY,
    READ_ONLY,
    WRITE_ONLY,
    fails,
    good,
    refused,
    run,
    silent,
    start,
    unreadable,
)
from tb.streams import cycles, random_stalls


def answer(bench: Bench, qpn: int, length: int = 64) -> Job:
    """A read response."""
    at = random.randrange(0xD0 * PAGE)
    return bench.job(qpn, READ_ONLY, [bench.segment(REMOTE, at, length, Access.REMOTE_READ)])


def stale(bench: Bench) -> int:
    """How many were counted."""
    return int(bench.dut.stale_q.value)


async def go_back(bench: Bench, qpn: int) -> None:
    """The queue pair enters its next epoch."""
    await bench.set_epoch(qpn, bench.epochs[qpn] + 1 & 7)


@cocotb.test()
async def a_stale_request_asks_for_nothing(dut):
    """It is dropped where its payload would be read: good or bad, of one piece or of many."""
    bench = await start(dut)
    old = [good(bench, 0), good(bench, 0, 4096), refused(bench, 0, 0, 1), refused(bench, 0, 2, 3)]
    old += [unreadable(bench, 0, 0, 2), good(bench, 0)]
    await go_back(bench, 0)
    await run(bench, [*silent(*old), good(bench, 1)])
    assert sum(length for _, length in bench.host.requests) == 100, "only the other one's bytes"
    assert stale(bench) == len(old)
    assert int(dut.aborted_q.value) == 0
    # Nothing of it is held against what comes now.
    await run(bench, [good(bench, 0), good(bench, 0, 4096), good(bench, 1)])
    assert stale(bench) == len(old)


@cocotb.test()
@cocotb.parametrize(stall=("none", "half", "bursts"))
async def stale_frames_do_not_begin(dut, stall):
    """What was ready to leave is passed over; the frame on the wire is finished."""
    bench = await start(dut, stall=stall)
    for _ in range(6):
        bench.frames.paused = True
        old = [good(bench, 0, random.choice((0, 64, 1000, 4096))) for _ in range(12)]
        other = [good(bench, 1, 200) for _ in range(3)]
        jobs = [*old[:6], other[0], *old[6:], *other[1:]]
        bench.send_nowait(*jobs)
        await cycles(dut, 500)
        before = stale(bench)
        bench.frames.paused = False
        for _ in range(200):
            await cycles(dut)
            if len(bench.seen) >= 2:
                break
        await go_back(bench, 0)
        fresh = [good(bench, 0, 300) for _ in range(3)]
        bench.send_nowait(*fresh)
        for _ in range(3000):
            await cycles(dut)
            if len(bench.seen) + stale(bench) - before == len(jobs) + len(fresh):
                break
        await cycles(dut, 100)
        dropped = stale(bench) - before
        sent = len(bench.seen) - len(other) - len(fresh)
        assert 2 <= sent <= 4, f"{sent} of the old epoch left"
        assert dropped == len(old) - sent
        bench.check([*silent(*old[sent:]), *jobs[:6], other[0], *jobs[7:], *fresh][dropped:])


@cocotb.test()
async def stale_frames_leave_at_one_a_cycle(dut):
    """A hundred full ones before a good one delay it by little more than a hundred cycles."""
    bench = await start(dut)
    bench.frames.paused = True
    old = [good(bench, 0, 100) for _ in range(100)]
    bench.send_nowait(*old)
    await cycles(dut, 700)
    await go_back(bench, 0)
    bench.frames.paused = False
    await cycles(dut, 120)
    assert stale(bench) >= 99
    assert await bench.drain() < 20
    bench.seen.clear()
    await run(bench, [good(bench, 0)])


@cocotb.test()
async def room_comes_back_from_stale_frames(dut):
    """More of them than the buffers hold, again and again: landing, inline slots, frame buffer."""
    bench = await start(dut)
    for round_number in range(12):
        bench.frames.paused = True
        old = [good(bench, 0, 4096) for _ in range(10)]
        old += [await bench.inline_job(0, WRITE_ONLY, random.randbytes(150)) for _ in range(4)]
        bench.send_nowait(*old)
        await cycles(dut, 300 + 40 * round_number)
        await go_back(bench, 0)
        bench.frames.paused = False
        await cycles(dut, 900)
        assert len(bench.seen) <= 2
        bench.seen.clear()
    jobs = [await bench.inline_job(0, WRITE_ONLY, random.randbytes(100)) for _ in range(60)]
    await run(bench, jobs)
    await run(bench, [good(bench, 0, 4096) for _ in range(30)])


@cocotb.test()
async def only_requests_grow_stale(dut):
    """Responses, acknowledges and local operations know no epoch."""
    bench = await start(dut)
    fresh = FAST << 8 | 0x77
    jobs = [
        answer(bench, 0),
        bench.job(0, ACK, [], syndrome=Syndrome.ACK_NO_CREDITS),
        bench.local(0, KeyOp.REGISTER, FAST, CqeStatus.SUCCESS, token=fresh,
                    va=0x5000_0000, pages=0x3000, length=2 * PAGE),
        bench.local(0, KeyOp.INVALIDATE, FAST, CqeStatus.SUCCESS, token=fresh),
    ]  # fmt: skip
    await go_back(bench, 0)
    bench.send_nowait(*jobs)
    await bench.settle(2)
    assert [r.status for r in [await bench.results.recv() for _ in range(2)]] == [0, 0]
    assert stale(bench) == 0


@cocotb.test()
async def poison_ends_with_its_epoch(dut):
    """Who has gone back tries again: what failed fails again, what is in front of it leaves."""
    bench = await start(dut)
    for _ in range(20):
        first, wrong = good(bench, 0), refused(bench, 0, 0, 1)
        await run(bench, [first, wrong, *silent(good(bench, 0))])
        await go_back(bench, 0)
        # Behind the whole of a new epoch the old one's is gone, whatever its number.
        await run(bench, [good(bench, 0), good(bench, 0, 1000)])
        for _ in range(7):
            await go_back(bench, 0)
            await run(bench, [good(bench, 0)])
        await run(bench, [unreadable(bench, 0, 0, 1), *silent(good(bench, 0))])
        await go_back(bench, 0)
        await run(bench, [good(bench, 0)])


@cocotb.test()
async def responses_stay_poisoned(dut):
    bench = await start(dut)
    bad = bench.segment(REMOTE, 0, 64)
    job = bench.job(0, READ_ONLY, [bad])
    job.beats[0] = replace(job.beats[0], mem=replace(bad, token=token(REMOTE) ^ 1))
    await run(bench, [fails(job, KEY), *silent(answer(bench, 0))])
    await go_back(bench, 0)
    await run(bench, [good(bench, 0), *silent(answer(bench, 0)), good(bench, 0)])


@cocotb.test()
async def a_failed_local_operation_stops_what_is_behind_it_for_good(dut):
    """It is not done a second time, so messages behind it may not leave in any epoch."""
    bench = await start(dut)

    def numbered(job: Job, number: int) -> Job:
        job.beats = [replace(beat, msg_idx=number & 0xFFFF) for beat in job.beats]
        return job

    base = 0xFFFE
    first = numbered(good(bench, 0), base)
    op = numbered(bench.local(0, KeyOp.INVALIDATE, FAST, BUS, token=99 << 8), base + 1)
    behind = numbered(good(bench, 0), base + 2)
    await run(bench, [first, op, *silent(behind)])
    for _ in range(9):
        await go_back(bench, 0)
        again = numbered(good(bench, 0), base)
        await run(bench, [again, *silent(numbered(good(bench, 0), base + 2))])
    await bench.init_qp(0)
    await run(bench, [numbered(good(bench, 0), base + 2)])


@cocotb.test()
async def a_local_operation_behind_a_failed_packet_is_told(dut):
    """It was done on the way, and nobody will do it again."""
    bench = await start(dut)
    fresh = FAST << 8 | 0x77
    op = bench.local(0, KeyOp.REGISTER, FAST, CqeStatus.SUCCESS, token=fresh,
                     va=0x5000_0000, pages=0x3000, length=2 * PAGE)  # fmt: skip
    await run(bench, [refused(bench, 0, 0, 1), *silent(good(bench, 0)), op])


@cocotb.test()
@cocotb.parametrize(latency=(0, 60, 250), stall=("none", "half", "bursts"))
async def going_back_at_any_time(dut, latency, stall):
    """Each queue pair goes back again and again; what leaves is in order.

    Each packet has left or was counted as stale.
    """
    bench = await start(dut, stall=stall)
    bench.host.latency = latency
    bench.host.gaps = random_stalls(0.2)
    made: dict[bytes, tuple[int, int, int]] = {}
    total = 0
    for turn in range(14):
        jobs = []
        for _ in range(random.randint(1, 25)):
            qpn = random.randrange(4)
            jobs.append(good(bench, qpn, random.choice((0, 30, 500, 4096))))
        for job in jobs:
            first = job.beats[0]
            made[first.psn.to_bytes(3, "big")] = (first.qpn, turn, total)
            total += 1
        bench.send_nowait(*jobs)
        await cycles(dut, random.choice((1, 20, 200, 900)))
        if turn < 13:
            while not bench.req.empty():
                await cycles(dut)
            for qpn in range(4):
                if random.random() < 0.7:
                    await go_back(bench, qpn)
    for _ in range(20_000):
        await cycles(dut)
        if bench.req.empty() and len(bench.seen) + stale(bench) == total:
            break
    assert len(bench.seen) + stale(bench) == total, (len(bench.seen), stale(bench), total)
    seen = [made[psn_of(frame)] for frame in bench.seen]
    for qpn in range(4):
        order = [number for q, _, number in seen if q == qpn]
        assert order == sorted(order)
    bench.seen.clear()
    assert await bench.drain() < 100
    await run(bench, [good(bench, qpn) for qpn in range(4)])


def psn_of(frame: bytes) -> bytes:
    """Its BTH's PSN."""
    at = 16 if frame[12:14] == b"\x81\x00" else 12
    bth = at + 2 + (40 if frame[at : at + 2] == b"\x86\xdd" else 20) + 8
    return frame[bth + 9 : bth + 12]
