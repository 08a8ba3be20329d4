"""Requester: time-outs, RNR pauses and how often it tries, in cycles of the timebase register."""

from __future__ import annotations

from typing import Any

import cocotb

from spec.codes import CqeStatus, QpState, Stat
from spec.layouts import WrOp
from tb.conformance import covers
from tb.model.message import rnr_ns
from tb.nic.wire import Conn, Wire
from tb.nic.wire_ask import (
    RNR,
    SEQUENCE,
    Clock,
    ack,
    as_sent,
    atomic,
    collect,
    delivered,
    fill,
    many,
    psns,
    respond_read,
    rest,
    same,
    set_time,
    take,
    timeout_cycles,
)
from tb.nic.wire_work import read_wqe, send_wqe, write_wqe

FIRST = 0x100
CODE = 7
"""A time-out of 2048 cycles with the ticks of this bench."""
SLACK = 600
"""Cycles from a timer to the frame: a scan of all queue pairs and a fetch of the entry."""
S = CqeStatus


async def wait(conn: Conn, cycles: int) -> None:
    """Let a long time pass."""
    await conn.wire.cycles(cycles)


async def until_status(conn: Conn, periods: int, code: int = CODE) -> Any:
    """The next completion, for which so many time-outs may pass, each up to four times as long."""
    for _ in range(periods * 8):
        conn.wire.poll()
        if conn.wire.completions.get(conn.number):
            break
        await conn.wire.cycles(timeout_cycles(code) // 2 + SLACK)
    return await conn.completion()


@cocotb.test()
@covers("ROCE-085")
async def the_timer_is_between_one_and_four_times_its_period(dut: Any) -> None:
    """Codes 3 to 9 at 16 cycles a unit, 1 to 5 at 300; from the last packet to the first again."""
    wire = await Wire.start(dut)
    clock = Clock(wire)
    for tick, codes in ((16, range(3, 10)), (300, range(1, 6))):
        set_time(wire, ack_tick=tick)
        for code in codes:
            conn = await wire.connect(timeout=code, retry_cnt=7)
            conn.post(write_wqe(conn, 600, wr_id=code))
            period = timeout_cycles(code, tick)
            for _ in range(4 * period // 500 + 4):
                if len(clock.of(conn)) > 3:
                    break
                await wait(conn, 500)
            times = [t for t, _ in clock.of(conn)]
            assert len(times) > 3, f"code {code}: no repetition"
            waited = times[3] - times[2]
            assert period <= waited <= 4 * period + SLACK, f"code {code}: {waited} of {period}"
            ack(conn, FIRST + 2)
            await conn.completion(wr_id=code, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-085")
async def timeout_0_never_expires(dut: Any) -> None:
    """It waits 20000 cycles, in which code 1 would have expired 600 times; then an ACK comes."""
    wire = await Wire.start(dut)
    set_time(wire)
    conn = await wire.connect(timeout=0, retry_cnt=0)
    conn.post(write_wqe(conn, 600, wr_id=1))
    await take(conn, 3)
    assert await rest(conn, 20_000) == []
    ack(conn, FIRST + 2)
    await conn.completion(wr_id=1, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-069", "ROCE-086", "ROCE-087")
async def the_retry_counter_counts(dut: Any) -> None:
    """Every counter from 0 to 7: so many repetitions, all alike to the bit, then the error."""
    wire = await Wire.start(dut)
    fill(wire)
    set_time(wire)
    for retries in range(8):
        conn = await wire.connect(timeout=CODE, retry_cnt=retries, gid=retries % 2)
        conn.post(write_wqe(conn, 600, 33, wr_id=1))
        conn.post(send_wqe(conn, 77, wr_id=2))
        done = await until_status(conn, retries + 1)
        assert (done.wr_id, done.status) == (1, S.RETRY_EXC_ERR)
        await conn.completion(wr_id=2, status=S.WR_FLUSH_ERR)
        assert await rest(conn) is not None
        frames = as_sent(wire, conn)
        assert len(frames) == 4 * (retries + 1), f"{len(frames)} frames with {retries} retries"
        assert frames == frames[:4] * (retries + 1)
        await conn.dead()
    assert await wire.driver.counter(Stat.TIMEOUTS) == sum(range(1, 9))
    assert await wire.driver.counter(Stat.RETRIES_EXHAUSTED) == 8


@cocotb.test()
@covers("ROCE-086")
async def reads_and_atomics_are_retried_as_often(dut: Any) -> None:
    wire = await Wire.start(dut)
    set_time(wire)
    for op in (WrOp.READ, WrOp.CMP_SWAP):
        conn = await wire.connect(timeout=CODE, retry_cnt=3)
        if op is WrOp.READ:
            conn.post(read_wqe(conn, 600, wr_id=1))
        else:
            conn.post(atomic(conn, op, 0, 1, wr_id=1))
        done = await until_status(conn, 4)
        assert (done.wr_id, done.status) == (1, S.RETRY_EXC_ERR)
        frames = as_sent(wire, conn)
        assert frames == frames[:1] * 4


@cocotb.test()
@covers("ROCE-086", "ROCE-088")
async def sequence_naks_without_progress_are_counted_too(dut: Any) -> None:
    """A NAK for the same packet behind each repetition; progress gives all retries back."""
    wire = await Wire.start(dut)
    set_time(wire)
    conn = await wire.connect(timeout=0, retry_cnt=2)
    conn.post(write_wqe(conn, 1000, wr_id=1))
    await take(conn, 4)
    for step in range(3):
        for _ in range(2):
            # The first NAK of a step acknowledges one more packet.
            ack(conn, FIRST + step + 1, syndrome=SEQUENCE)
            again = await take(conn, 3 - step)
            assert psns(again) == [FIRST + n for n in range(step + 1, 4)]
        conn.no_completion()
    ack(conn, FIRST + 3, syndrome=SEQUENCE)
    await conn.completion(wr_id=1, status=S.RETRY_EXC_ERR)
    await conn.dead()


@cocotb.test()
@covers("ROCE-088")
async def progress_gives_the_retries_back(dut: Any) -> None:
    """Two time-outs before each packet that is acknowledged, with a counter of 2; READs alike."""
    wire = await Wire.start(dut)
    set_time(wire)
    conn = await wire.connect(timeout=CODE, retry_cnt=2)
    conn.post(write_wqe(conn, 1000, wr_id=1))
    await take(conn, 4)
    for step in range(4):
        for _ in range(2):
            again = await collect(conn, 4 - step, 4 * timeout_cycles(CODE) + SLACK)
            assert psns(again) == [FIRST + n for n in range(step, 4)]
        conn.no_completion()
        ack(conn, FIRST + step)
    await conn.completion(wr_id=1, status=S.SUCCESS)

    conn = await wire.connect(timeout=CODE, retry_cnt=1)
    data = bytes(range(250)) * 4
    conn.post(read_wqe(conn, 1000, wr_id=2))
    await take(conn, 1)
    for step in range(4):
        again = await collect(conn, 1, 4 * timeout_cycles(CODE) + SLACK)
        assert psns(again) == [FIRST + step]
        respond_read(conn, FIRST, data, parts=[step])
    await conn.completion(wr_id=2, status=S.SUCCESS)
    assert wire.memory[:1000] == data


@cocotb.test()
@covers("ROCE-088", "ROCE-090")
async def rnr_retries_are_counted_and_given_back(dut: Any) -> None:
    """k + 1 RNR NAKs end it for k from 0 to 6; 7 goes on for 40. Progress starts the count anew."""
    wire = await Wire.start(dut)
    set_time(wire, rnr_tick=4)
    for limit in range(8):
        conn = await wire.connect(timeout=0, rnr_retry=limit, retry_cnt=0)
        for number in (1, 2):
            conn.post(send_wqe(conn, 10, wr_id=number))
        await take(conn, 2)
        for step in (0, 1):
            count = 40 if limit == 7 else limit
            for n in range(count):
                ack(conn, FIRST + step, syndrome=RNR | 1)
                again = await take(conn, 2 - step)
                assert psns(again) == [FIRST + m for m in range(step, 2)], f"{limit}: {n}"
            if limit < 7 and step == 1:
                ack(conn, FIRST + 1, syndrome=RNR | 1)
                await conn.completion(wr_id=2, status=S.RNR_RETRY_EXC_ERR)
                await conn.dead()
                break
            conn.no_completion()
            ack(conn, FIRST + step)
            await conn.completion(wr_id=step + 1, status=S.SUCCESS)
    assert await wire.driver.counter(Stat.RX_RNR_NAKS) > 80


@cocotb.test()
@covers("ROCE-089")
async def an_rnr_nak_pauses_for_its_time(dut: Any) -> None:
    """Codes 1 to 31 and 0, the longest, at 1 cycle for 10 us; at most a fifth longer.

    What is before the packet completes, what is behind it waits, and so does new work.
    """
    wire = await Wire.start(dut)
    tick = 1
    set_time(wire, rnr_tick=tick)
    clock = Clock(wire)
    for code in (1, 2, 3, 7, 12, 16, 20, 23, 24, 26, 28, 30, 31, 0):
        conn = await wire.connect(timeout=0, rnr_retry=7)
        for number in range(3):
            conn.post(send_wqe(conn, 300, wr_id=number))
        first = await take(conn, 6)
        ack(conn, FIRST + 2, syndrome=RNR | code)
        start = await delivered(wire)
        await wait(conn, 300)
        conn.post(write_wqe(conn, 10, wr_id=3))
        await conn.completion(wr_id=0, status=S.SUCCESS)
        period = rnr_ns(code) * tick // 10_000
        again = await collect(conn, 5, 2 * period + 2000)
        assert psns(again) == [FIRST + n for n in range(2, 7)]
        assert same(again[:4]) == same(first[2:])
        waited = clock.of(conn)[6][0] - start
        assert period <= waited <= period * 1.2 + 1500, f"code {code}: {waited} of {period}"
        conn.no_completion()
        ack(conn, FIRST + 6)
        for number in (1, 2, 3):
            await conn.completion(wr_id=number, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-091")
async def a_sequence_nak_does_not_shorten_the_pause(dut: Any) -> None:
    """Nor does it cost a retry: there is none."""
    wire = await Wire.start(dut)
    set_time(wire, rnr_tick=4)
    clock = Clock(wire)
    conn = await wire.connect(timeout=0, rnr_retry=3, retry_cnt=0)
    for number in range(2):
        conn.post(send_wqe(conn, 10, wr_id=number))
    await take(conn, 2)
    ack(conn, FIRST, syndrome=RNR | 24)
    start = await delivered(wire)
    period = 4096 * 4
    for _ in range(8):
        ack(conn, FIRST, syndrome=SEQUENCE)
        await wait(conn, period // 10)
    again = await collect(conn, 2, period)
    assert psns(again) == [FIRST, FIRST + 1]
    assert clock.of(conn)[2][0] - start >= period
    ack(conn, FIRST + 1)
    for number in range(2):
        await conn.completion(wr_id=number, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-092")
async def no_time_out_during_the_pause(dut: Any) -> None:
    """A pause of twenty time-outs, without a retry to spend; afterwards the timer runs again."""
    wire = await Wire.start(dut)
    set_time(wire, ack_tick=16, rnr_tick=8)
    period = 4096 * 8
    code = 6
    assert period > 20 * timeout_cycles(code)
    conn = await wire.connect(timeout=code, rnr_retry=1, retry_cnt=0)
    conn.post(send_wqe(conn, 10, wr_id=1))
    await take(conn, 1)
    ack(conn, FIRST, syndrome=RNR | 24)
    await wait(conn, period - 1000)
    assert not conn.waiting
    conn.no_completion()
    await collect(conn, 1, 3000)
    done = await until_status(conn, 1, code)
    assert (done.wr_id, done.status) == (1, S.RETRY_EXC_ERR)


@cocotb.test()
@covers("ROCE-093")
async def a_lost_acknowledge_costs_no_second_completion(dut: Any) -> None:
    """Repetitions of everything, then three acknowledges of everything: one completion each."""
    wire = await Wire.start(dut)
    set_time(wire)
    conn = await wire.connect(timeout=CODE, retry_cnt=7)
    for number in range(5):
        conn.post(write_wqe(conn, 300, wr_id=number))
    first = await take(conn, 10)
    again = await collect(conn, 10, 4 * timeout_cycles(CODE) + SLACK)
    assert same(again) == same(first)
    for _ in range(3):
        ack(conn, FIRST + 9)
    for number in range(5):
        await conn.completion(wr_id=number, status=S.SUCCESS)
    for n in range(10):
        ack(conn, FIRST + n)
    assert await rest(conn, 2 * timeout_cycles(CODE)) == []
    conn.no_completion()
    assert await conn.query() == QpState.RTS


@cocotb.test()
@covers("ROCE-095")
async def an_acknowledge_shortens_the_repetition(dut: Any) -> None:
    """Long messages go again after a time-out; behind the first packet an acknowledge comes.

    Of all of one message of 2048 packets: the repetition ends. Of 90 messages of 160: it goes on
    behind them. Some hundred packets were on their way to the wire by then.
    """
    wire = await Wire.start(dut)
    set_time(wire)
    for messages, each, done in ((1, 2048, 1), (160, 10, 90)):
        conn = await wire.connect(timeout=11, retry_cnt=7, create={"sq_log": 9})
        size = 256 * each // 8
        for number in range(messages):
            wqe, more = many(WrOp.WRITE, [conn.sge(0, size)] * 8, wr_id=number)
            wire.driver.put_send(conn.qp, wqe, more)
        wire.driver.ring_sq(conn.number, conn.qp.sq_index)
        count, upto = messages * each, done * each - 1
        await collect(conn, count, 40_000)
        again = await collect(conn, 1, 4 * timeout_cycles(11) + SLACK)
        ack(conn, FIRST + upto)
        again += await rest(conn, 1000)
        sent = [n - FIRST for n in psns(again)]
        assert sent[0] == 0
        old = [n for n in sent if n <= upto]
        assert old == sorted(set(old))
        assert len(old) < upto // 2, f"{len(old)} acknowledged packets were sent again"
        assert [n for n in sent if n > upto] == list(range(upto + 1, count))
        if upto < count - 1:
            ack(conn, FIRST + count - 1)
        for number in range(messages):
            await conn.completion(wr_id=number, status=S.SUCCESS)
