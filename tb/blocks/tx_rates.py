"""rnic_tx: cycles per packet with slow memory, and cycles from descriptor to wire."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time

from tb.blocks.tx_bench import ACK, MEMORY, PRIVILEGED, Bench, Job
from tb.streams import CLOCK_NS, cycles, random_stalls

WRITE_ONLY, WRITE_MIDDLE, SEND_ONLY, READ_REQUEST = 0x0A, 0x07, 0x04, 0x0C
LATENCIES = (0, 250)


async def cycles_per_packet(bench: Bench, jobs: list[Job], skip: int) -> float:
    """Cycles per frame, from frame ``skip`` to the last; all frames are checked."""
    times: list[float] = []
    on_beat = bench.frames.on_beat
    assert on_beat is not None

    def note(beat) -> None:
        on_beat(beat)
        if beat.last:
            times.append(get_sim_time("ns") / CLOCK_NS)

    bench.frames.on_beat = note
    await bench.exchange(jobs)
    bench.frames.on_beat = on_beat
    return (times[-1] - times[skip]) / (len(times) - 1 - skip)


def writes(bench: Bench, count: int, length: int, opcode: int, aligned: bool) -> list[Job]:
    """Packets of one length from everywhere in memory."""
    jobs = []
    for _ in range(count):
        at = random.randrange((MEMORY - length) // 64 - 1) * 64
        at += 0 if aligned else random.randrange(1, 64)
        segment = bench.segment(PRIVILEGED, at, length)
        jobs.append(bench.job(random.choice((0, 4)), opcode, [segment]))
    return jobs


@cocotb.test()
@cocotb.parametrize(aligned=(True, False), latency=LATENCIES)
async def small_writes_take_three_cycles(dut, aligned, latency):
    bench = await Bench.start(dut)
    bench.host.latency = latency
    rate = await cycles_per_packet(bench, writes(bench, 400, 64, WRITE_ONLY, aligned), 130)
    dut._log.info("64-byte WRITE, aligned=%s latency=%d: %.3f cycles", aligned, latency, rate)
    assert rate <= 3.01


@cocotb.test()
@cocotb.parametrize(aligned=(True, False), latency=LATENCIES)
async def full_packets_take_their_beats(dut, aligned, latency):
    bench = await Bench.start(dut)
    bench.host.latency = latency
    rate = await cycles_per_packet(bench, writes(bench, 40, 4096, WRITE_MIDDLE, aligned), 16)
    dut._log.info("4096-byte WRITE, aligned=%s latency=%d: %.3f cycles", aligned, latency, rate)
    assert rate <= 67


@cocotb.test()
@cocotb.parametrize(length=(256, 1024))
async def middling_packets_take_their_beats(dut, length):
    bench = await Bench.start(dut)
    bench.host.latency = 250
    jobs = writes(bench, 200, length, WRITE_MIDDLE, False)
    rate = await cycles_per_packet(bench, jobs, 60)
    bound = (54 + length + 4 + 63) // 64
    dut._log.info("%d-byte WRITE: %.3f cycles, %d beats", length, rate, bound)
    assert rate <= bound + 1


@cocotb.test()
async def acknowledges_take_one_cycle(dut):
    bench = await Bench.start(dut)
    rate = await cycles_per_packet(bench, [bench.job(0, ACK, []) for _ in range(300)], 40)
    dut._log.info("acknowledge: %.3f cycles", rate)
    assert rate <= 1.01


@cocotb.test()
async def requests_keep_their_distance(dut):
    """Two beats each, but the peer looks at one in three cycles."""
    bench = await Bench.start(dut)
    rate = await cycles_per_packet(bench, [bench.job(0, READ_REQUEST, []) for _ in range(300)], 40)
    dut._log.info("READ request: %.3f cycles", rate)
    assert 2.99 <= rate <= 3.01


@cocotb.test()
async def two_pieces_take_a_cycle_more(dut):
    bench = await Bench.start(dut)
    bench.host.latency = 250
    jobs = []
    for _ in range(300):
        at = [random.randrange(MEMORY - 64) for _ in range(2)]
        pieces = [bench.segment(PRIVILEGED, a, 32) for a in at]
        jobs.append(bench.job(0, WRITE_ONLY, pieces))
    rate = await cycles_per_packet(bench, jobs, 130)
    dut._log.info("64-byte WRITE of two pieces, latency 250: %.3f cycles", rate)
    assert rate <= 5


@cocotb.test()
async def a_mix_under_stalls_keeps_the_wire_busy(dut):
    bench = await Bench.start(dut)
    bench.host.latency = 250
    bench.frames.stall = random_stalls(0.3)
    jobs = writes(bench, 300, 64, WRITE_ONLY, False)
    rate = await cycles_per_packet(bench, jobs, 130)
    dut._log.info("64-byte WRITE, wire ready 70%%: %.3f cycles", rate)
    assert rate <= 3 / 0.7 * 1.1


async def cycles_to_first_beat(dut, bench: Bench, job: Job) -> int:
    """Cycles from the descriptor's valid to the frame's first beat."""
    source = bench.rsp if job.beats[0].response else bench.req
    bench.send_nowait(job)
    edge = RisingEdge(dut.clk)
    start = None
    for cycle in range(1000):
        await edge
        if start is None and source.valid.value == 1:
            start = cycle
        if dut.m_axis_tx_valid.value == 1:
            await bench.settle(1)
            bench.check([job])
            return cycle - start
    raise AssertionError("no frame")


@cocotb.test()
async def latency(dut):
    bench = await Bench.start(dut)
    found = {}
    job = await bench.inline_job(0, WRITE_ONLY, random.randbytes(64))
    await cycles(dut, 20)
    found["inline 64-byte WRITE"] = await cycles_to_first_beat(dut, bench, job)
    job = await bench.inline_job(0, SEND_ONLY, random.randbytes(4))
    found["inline 4-byte SEND"] = await cycles_to_first_beat(dut, bench, job)
    found["acknowledge"] = await cycles_to_first_beat(dut, bench, bench.job(0, ACK, []))
    for latency in (0, 100):
        bench.host.latency = latency
        job = writes(bench, 1, 64, WRITE_ONLY, False)[0]
        name = f"64-byte WRITE, memory {latency}"
        found[name] = await cycles_to_first_beat(dut, bench, job)
    for name, count in found.items():
        dut._log.info("latency of %s: %d cycles", name, count)
    assert found["inline 64-byte WRITE"] <= 20
