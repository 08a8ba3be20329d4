"""rnic_dcqcn: rates follow the formulas, queue pairs follow their rates, nobody sleeps for ever."""

from __future__ import annotations

import random
from itertools import pairwise

import cocotb
from cocotb.triggers import RisingEdge

from spec.streams import QpInit, QpInitOp
from tb.blocks.dcqcn_bench import BURST, LINE, QPS, US, Bench, Seen
from tb.conformance import covers
from tb.model.dcqcn import Flow
from tb.streams import cycles

OFF = {"alpha_period": 0, "time_period": 0, "byte_period": 0}


def same(seen: Seen, flow: Flow) -> None:
    """The flow inside is that of the model, but for its last bits."""
    got = (seen.rate, seen.target, seen.alpha, seen.byte_stage, seen.time_stage)
    want = (flow.rate, flow.target, flow.alpha, flow.byte_stage, flow.time_stage)
    for value, right, slack in zip(got, want, (0.1, 0.1, 3e-5, 0, 0), strict=True):
        assert abs(value - right) <= slack + 1e-4 * right * (slack > 0), f"{seen} is not {flow}"


@cocotb.test()
@covers("ROCE-225")
async def the_first_notification_halves_the_rate(dut):
    bench = await Bench.start(dut)
    await bench.cnp(3)
    seen = await bench.settled(3)
    assert (seen.rate, seen.target, seen.alpha) == (LINE / 2, LINE, 1)
    assert (seen.byte_stage, seen.time_stage) == (0, 0)


@cocotb.test()
async def cuts_follow_alpha_and_stop_at_the_lowest_rate(dut):
    """alpha decays between the cuts, so they become smaller; then one after the other."""
    bench = await Bench.start(dut)
    p = bench.set(monitor=2, alpha_period=3, gain=1 / 16, time_period=0, byte_period=0)
    flow = Flow(p)
    for wait in [4, 4, 31, 10, 4, 61, *[4] * 40]:
        await bench.cnp(5)
        assert flow.cnp(bench.now, 0)
        same(await bench.settled(5), flow)
        while bench.now < flow._cut_at + wait:
            await cycles(dut)
            flow.advance(bench.now, 0)
            if bench.visits[-1].cycle == bench.cycle and flow.margin(bench.now, 0)[0] > 1:
                same(bench.visits[-1], flow)
    assert bench.last(5).rate == p.min_rate


@cocotb.test()
async def the_factor_bounds_a_cut(dut):
    bench = await Bench.start(dut)
    p = bench.set(min_factor=0.75, monitor=0, **OFF)
    flow = Flow(p)
    for _ in range(5):
        await bench.cnp(1)
        flow.cnp(bench.now, 0)
        same(await bench.settled(1), flow)
    assert abs(bench.last(1).rate - LINE * 0.75**5) < 0.1


@cocotb.test()
async def notifications_within_the_monitor_period_count_once(dut):
    bench = await Bench.start(dut)
    bench.set(monitor=20, **OFF)
    await bench.cnp(2)
    for _ in range(15):
        await bench.cnp(2, 2, 2)
        await bench.wait(1)
    assert bench.last(2).rate == LINE / 2
    await bench.wait(5)
    await bench.cnp(2, 2, 2)
    assert (await bench.settled(2)).rate == LINE / 4


@cocotb.test()
@cocotb.parametrize(way=["time", "bytes", "both"])
@covers("ROCE-225")
async def increases_follow_the_formulas(dut, way):
    """Fast recovery, additive and hyper increase, against the model, with cuts in between."""
    bench = await Bench.start(dut)
    periods = {
        "time": {"time_period": 7, "byte_period": 0},
        "bytes": {"time_period": 0, "byte_period": 9000},
        "both": {"time_period": 6, "byte_period": 8000},
    }[way]
    p = bench.set(monitor=4, alpha_period=5, stages=3, additive=200, hyper=900, **periods)
    bench.run([4])
    for spell in (60, 9, 6, 30, 160):
        await bench.cnp(4)
        await bench.wait(spell)
    flow = Flow(p)
    compared = stages = cuts = 0
    for seen in bench.visits:
        # A notification counts when the engine sees it.
        if seen.cnp:
            cuts += flow.cnp(seen.now, seen.sent)
        flow.advance(seen.now, seen.sent)
        stages = max(stages, min(seen.byte_stage, seen.time_stage))
        if seen.free:
            # The last bits of the rate may differ by an increase.
            assert flow.rate > p.line - 1
            flow.limited = False
            continue
        time, count = flow.margin(seen.now, seen.sent)
        if time > 1 and count > 2500:
            same(seen, flow)
            compared += 1
    assert cuts == 5
    assert compared > 100
    if way == "both":
        assert stages > p.stages + 2, "hyper increase was not reached"


@cocotb.test()
@covers("ROCE-226")
async def without_notifications_the_rate_returns_to_line_rate(dut):
    """Each increase halves what is missing: it is gone after as many as the rate has bits."""
    bench = await Bench.start(dut)
    bench.set(time_period=6, byte_period=0)
    start = bench.now
    await bench.cnp(7)
    limit = (LINE * 256).bit_length() * 6
    while not bench.visits or not bench.visits[-1].free:
        await cycles(dut, 10)
        assert bench.now - start < limit + 5
    assert bench.now - start > 0.7 * limit
    count = len(bench.visits)
    await bench.wait(20)
    assert len(bench.visits) == count, "the limiter goes on"
    # The next one begins anew.
    await bench.cnp(7)
    assert (await bench.settled(7)).rate == LINE / 2


@cocotb.test()
@cocotb.parametrize(stall=["none", "half"], cuts=[1, 2, 4])
async def a_queue_pair_sends_at_its_rate(dut, stall, cuts):
    bench = await Bench.start(dut, stall)
    bench.set(monitor=0, min_factor=0, **OFF)
    bench.run([6])
    await bench.wait(20)
    assert bench.sent[6] * 8 / 20 > LINE, "not limited yet"
    for _ in range(cuts):
        await bench.cnp(6)
        await bench.settled(6)
    rate = bench.last(6).rate
    assert rate == LINE / 2**cuts
    await bench.wait(10)
    start, sent = bench.now, bench.sent[6]
    await bench.wait(300)
    right = rate * (bench.now - start) / 8
    assert abs(bench.sent[6] - sent - right) <= 0.02 * right + 2500
    check_bursts(bench, 6, rate)


def check_bursts(bench: Bench, qpn: int, rate: float) -> None:
    """At no time does it send more than its rate, what it saved, and the last packets."""
    last = bench.last(qpn)
    packets = [(c, n) for c, q, n in bench.packets if q == qpn and c > last.cycle - 300 * US]
    worst = debt = 0.0
    for (before, _), (cycle, length) in pairwise(packets):
        debt = max(debt - rate * (cycle - before) / US / 8, 0) + length
        worst = max(worst, debt)
    assert worst <= BURST + 3 * 1058, worst


@cocotb.test()
@cocotb.parametrize(stall=["none", "bursts"])
async def every_queue_pair_has_a_rate_of_its_own(dut, stall):
    bench = await Bench.start(dut, stall)
    bench.set(burst=2000, monitor=0, min_factor=0, **OFF)
    cuts = {qpn: 4 + qpn % 5 for qpn in range(1, QPS)}
    for number in range(9):
        for qpn in random.sample(sorted(cuts), len(cuts)):
            if number < cuts[qpn]:
                await bench.cnp(qpn)
        await bench.wait(10)
    bench.run(range(QPS), size=800)
    await bench.wait(60)
    start, before = bench.now, list(bench.sent)
    await bench.wait(500)
    passed = bench.now - start
    for qpn, count in cuts.items():
        rate = bench.last(qpn).rate
        assert rate == LINE / 2**count
        right = rate * passed / 8
        assert abs(bench.sent[qpn] - before[qpn] - right) <= 0.03 * right + 2500, qpn
    assert 0 not in bench.holds
    assert bench.sent[0] - before[0] > LINE / 2**3 * passed / 8


@cocotb.test()
async def nobody_sleeps_for_ever(dut):
    """Storms of notifications while all send, then silence: everybody is at line rate, awake."""
    bench = await Bench.start(dut, "half")
    bench.set(monitor=3, alpha_period=4, time_period=5, byte_period=20_000, additive=500)
    bench.run(range(QPS), size=600)
    for _ in range(120):
        await bench.cnp(*random.choices(range(QPS), k=random.randrange(6)))
        await bench.wait(random.random() * 3)
    assert len(bench.holds) == QPS
    count = -1
    for _ in range(30):
        if count == len(bench.visits):
            break
        count = len(bench.visits)
        await bench.wait(40)
    assert len(bench.visits) == count, "somebody is still limited"
    assert not bench._asleep
    sent = list(bench.sent)
    await bench.wait(40)
    assert all(now > was for now, was in zip(bench.sent, sent, strict=True))


@cocotb.test()
async def it_is_off_by_default_and_can_be_turned_off(dut):
    bench = await Bench.start(dut)
    bench.set(monitor=0, **OFF)
    dut.enable.value = 0
    bench.run([1, 2], size=4000)
    await bench.cnp(1, 2, 1, 2)
    await bench.wait(20)
    assert not bench.visits
    assert not bench.holds
    dut.enable.value = 1
    for _ in range(8):
        await bench.cnp(1)
        await bench.settled(1)
    await bench.asleep(1)
    assert bench._asleep == {1}
    dut.enable.value = 0
    await bench.wait(2)
    assert not bench._asleep
    assert bench.last(1).free
    assert not await bench.held(1)
    count = len(bench.visits)
    await bench.wait(20)
    assert len(bench.visits) == count


@cocotb.test()
@cocotb.parametrize(op=[QpInitOp.CREATE, QpInitOp.DESTROY])
async def a_new_queue_pair_is_free(dut, op):
    bench = await Bench.start(dut)
    bench.set(monitor=0, **OFF)
    for _ in range(8):
        await bench.cnp(9, 8)
        await bench.settled(9)
    bench.run([9, 8], size=4000)
    await bench.asleep(8, 9)
    await bench.init.send(QpInit(op=op, qpn=9, psn=0))
    assert not await bench.held(9)
    assert await bench.held(8)
    count = len([seen for seen in bench.visits if seen.qpn == 9])
    await bench.wait(5)
    assert len([seen for seen in bench.visits if seen.qpn == 9]) == count
    # A receive ring of that number is another matter.
    await bench.init.send(QpInit(op=QpInitOp.RQ_CREATE, qpn=8, psn=0))
    assert await bench.held(8)
    await bench.cnp(9)
    assert (await bench.settled(9)).rate == LINE / 2


@cocotb.test()
async def both_lookups_answer_two_cycles_later(dut):
    bench = await Bench.start(dut)
    bench.set(monitor=0, **OFF)
    for _ in range(10):
        await bench.cnp(11)
        await bench.settled(11)
    bench.run([11], size=4000)
    await bench.wait(10)
    for port in (0, 1):
        asked = [random.choice((11, 12)) for _ in range(30)]
        answers = []
        for qpn in [*asked, 0, 0, 0]:
            dut.pace_rd_qpn.value = qpn << 16 * port
            await RisingEdge(dut.clk)
            answers.append(int(dut.pace_rd_hold.value) >> port & 1)
        # Driven behind an edge, read by the next, answered by the one after, seen at the third.
        assert answers[2:-1] == [int(qpn == 11) for qpn in asked]


@cocotb.test()
async def a_notification_in_the_moment_of_release_counts(dut):
    """In every cycle around the end of the last visit."""
    bench = await Bench.start(dut)
    bench.set(line=100, monitor=0, time_period=1, byte_period=0)
    for late in range(10):
        await bench.cnp(13)
        while not bench.visits or not bench.visits[-1].free:
            await RisingEdge(dut.clk)
        await cycles(dut, late)
        await bench.cnp(13)
        seen = await bench.settled(13)
        assert not seen.free
        assert seen.rate == 50
        while not bench.visits[-1].free:
            await RisingEdge(dut.clk)
        await bench.wait(1)
        bench.visits.clear()
