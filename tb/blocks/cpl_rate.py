"""Cycles that the completer takes, with nobody in its way."""

from __future__ import annotations

import cocotb

from spec.layouts import Sge
from spec.streams import MsgKind
from tb.blocks.cpl_bench import DEPTH, QPS, Bench
from tb.streams import cycles

FRAMES = 120


async def settled_rate(bench: Bench, times: list[int], count: int) -> float:
    """Cycles per item over the middle of a long run."""
    await bench.settle()
    assert len(times) >= count
    return (times[count - 10] - times[10]) / (count - 20)


@cocotb.test()
@cocotb.parametrize(qps=[1, QPS])
async def an_acknowledge_every_three_cycles(dut, qps):
    bench = await Bench.start(dut)
    all_qps = [await bench.create(number) for number in range(qps)]
    for qp in all_qps:
        await bench.post(qp, MsgKind.SEND, 1)
    bench.work_times.clear()
    for i in range(FRAMES):
        qp = all_qps[i % qps]
        bench.acknowledge(qp, qp.psn - 1)
    rate = await settled_rate(bench, bench.work_times, FRAMES)
    dut._log.info("check: %.2f cycles per acknowledge, %d QPs", rate, qps)
    assert rate <= 3.1


@cocotb.test()
@cocotb.parametrize((("qps", "limit"), [(1, 6), (QPS, 3.1)]))
async def a_read_response_every_three_to_six_cycles(dut, qps, limit):
    """Reads of one packet into one SGE."""
    bench = await Bench.start(dut)
    all_qps = [await bench.create(number, path_mtu=3) for number in range(qps)]
    reads = [
        (qp, await bench.post(qp, MsgKind.READ, 64, sges=[Sge(4096 * n, 64, n)]))
        for n in range(DEPTH)
        for qp in all_qps
    ]
    bench.work_times.clear()
    for qp, read in reads:
        bench.answer(qp, read, 0)
    count = len(reads)
    await bench.settle()
    rate = (bench.work_times[count - 3] - bench.work_times[3]) / (count - 6)
    dut._log.info("check: %.2f cycles per read response, %d QPs", rate, qps)
    assert rate <= limit
    for qp in all_qps:
        await bench.check(qp)


@cocotb.test()
async def a_message_every_cycle_behind_one_acknowledge(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(0)
    for _ in range(DEPTH):
        await bench.post(qp, MsgKind.SEND, 1, signaled=True)
    bench.acknowledge(qp, qp.psn - 1)
    await bench.settle()
    spread = bench.cqe_times[-1] - bench.cqe_times[0]
    dut._log.info("walk: %d messages in %d cycles", DEPTH, spread + 1)
    assert spread == DEPTH - 1


@cocotb.test()
async def an_event_every_three_cycles_on_many_queue_pairs(dut):
    """One message each, so nothing is merged; events come straight to the walk."""
    bench = await Bench.start(dut)
    bench.latency = 1
    qps = [await bench.create(number) for number in range(QPS)]
    for _ in range(DEPTH):
        for qp in qps:
            await bench.post(qp, MsgKind.SEND, 1, signaled=True)
    for i in range(DEPTH):
        for qp in qps:
            bench.acknowledge(qp, qp.messages[i].last)
    await bench.settle()
    times = bench.cqe_times
    rate = (times[-4] - times[4]) / (len(times) - 9)
    dut._log.info("walk: %.2f cycles per event of alternating QPs", rate)
    assert rate <= 3.1
    for qp in qps:
        await bench.check(qp)
    await cycles(dut, 2)
