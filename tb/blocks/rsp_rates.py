"""rnic_responder: how many cycles each kind of request takes."""

from __future__ import annotations

import cocotb
from cocotb.utils import get_sim_time

from tb.blocks.rsp_bench import Bench
from tb.blocks.rsp_model import READ, SEND_ONLY, WRITE_ONLY
from tb.streams import CLOCK_NS, cycles


async def cycles_per(bench: Bench, count: int, begin: float) -> float:
    """Cycles per request until the last one's data was moved."""
    target = bench.done_count + count
    while bench.done_count < target:
        await cycles(bench.dut)
    return (get_sim_time("ns") - begin) / CLOCK_NS / count


@cocotb.test()
@cocotb.parametrize(spread=[1, 4])
async def write_takes_three_cycles(dut, spread):
    bench = await Bench.start(dut)
    qps = [await bench.create_qp(n) for n in range(spread)]
    for i in range(200):
        bench.request(qps[i % spread], WRITE_ONLY, 64, reth_len=64, ack_req=1)
    rate = await cycles_per(bench, 200, get_sim_time("ns"))
    dut._log.info("RATE write, %d QPs: %.2f cycles", spread, rate)
    assert rate < 3.2
    await bench.settle()
    for qp in qps:
        bench.check(qp)


@cocotb.test()
async def send_takes_five_cycles_with_slow_memory(dut):
    bench = await Bench.start(dut)
    bench.latency = 250
    qp = await bench.create_qp(1, log_size=9)
    for _ in range(300):
        await bench.post(qp.ring, 64)
    for _ in range(300):
        bench.request(qp, SEND_ONLY, 64, ack_req=1)
    rate = await cycles_per(bench, 300, get_sim_time("ns") + 260 * CLOCK_NS)
    dut._log.info("RATE send: %.2f cycles", rate)
    assert rate < 5
    await bench.settle()
    bench.check(qp)


@cocotb.test()
@cocotb.parametrize(spread=[1, 4])
async def read_packet_takes_four_cycles(dut, spread):
    bench = await Bench.start(dut)
    qps = [await bench.create_qp(n, path_mtu=1) for n in range(spread)]
    for qp in qps:
        bench.request(qp, READ, reth_len=256 * 400 // spread)
    await bench.settle()
    times = bench.packet_times
    rate = (times[-1] - times[10]) / (len(times) - 11)
    dut._log.info("RATE read packets, %d QPs: %.2f cycles", spread, rate)
    assert rate <= 4.05
    for qp in qps:
        bench.check(qp)


@cocotb.test()
@cocotb.parametrize(spread=[1, 4])
async def small_read_takes_six_cycles(dut, spread):
    bench = await Bench.start(dut)
    bench.move_time = 1
    qps = [await bench.create_qp(n) for n in range(spread)]
    for i in range(200):
        qp = qps[i % spread]
        bench.request(qp, READ, reth_len=8)
        while i + 1 - len(bench.packet_times) > 12:
            await cycles(dut)
    await bench.settle()
    times = bench.packet_times
    rate = (times[-1] - times[10]) / (len(times) - 11)
    dut._log.info("RATE small reads, %d QPs: %.2f cycles", spread, rate)
    assert rate <= 6.1
    for qp in qps:
        bench.check(qp)
