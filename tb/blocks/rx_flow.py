"""rnic_rx under load: rates, latency, overflow, back-pressure everywhere, drain, reset."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb
from cocotb.triggers import RisingEdge

from spec.codes import DropReason
from spec.streams import RxFault
from tb.blocks.rx_bench import RxBench, psns
from tb.blocks.rx_moves import Scatter
from tb.blocks.rx_packets import QPN, TARGET, Memory, write_packet
from tb.model.headers import Aeth, Bth, Packet
from tb.model.opcodes import Op
from tb.model.packets import encode
from tb.streams import STALL_NAMES, cycles

# Icarus, which runs a tenth as fast, is there for its X: a part of the load will do.
FULL = cocotb.SIM_NAME == "Verilator"
SMALL, LARGE = (400, 30) if FULL else (150, 5)
PACES = STALL_NAMES if FULL else ("none", "bursts")
RESETS = range(1, 40, 3) if FULL else range(1, 40, 13)


async def stream_of_writes(bench: RxBench, count: int, size: int, step: int, lane: int) -> float:
    """Cycles per frame from the first frame's last line to the last one's."""
    expected = Memory()
    for n in range(count):
        payload = random.randbytes(size)
        bench.send(write_packet(n, TARGET + step * n + lane, payload))
        expected.put(TARGET + step * n + lane, payload)
    await bench.settle(count, 30_000)
    assert not bench.drops
    assert bench.memory.same_as(expected)
    assert psns(bench.done) == list(range(count))
    return lines_per_frame(bench, count)


def lines_per_frame(bench: RxBench, count: int) -> float:
    """From the first line written to the last, shared by the frames."""
    return (bench.line_cycles[-1] - bench.line_cycles[0] + 1) / count


@cocotb.test()
@cocotb.parametrize(lane=[0, 6, 33])
async def small_write_every_three_cycles(dut, lane):
    """64-byte writes are three beats on the wire; write answers come 250 cycles later."""
    bench = await RxBench.start(dut, latency=250)
    rate = await stream_of_writes(bench, SMALL, 64, 128, lane)
    dut._log.info(f"64-byte writes: {rate:.3f} cycles each at lane {lane}")
    assert bench.wire_cycles[-1] - bench.wire_cycles[0] == 3 * SMALL - 1
    assert rate <= 3.02


@cocotb.test()
@cocotb.parametrize(lane=[0, 1, 6, 63])
async def full_packet_at_line_rate(dut, lane):
    bench = await RxBench.start(dut, latency=250)
    rate = await stream_of_writes(bench, LARGE, 4096, 8192, lane)
    dut._log.info(f"4096-byte writes: {rate:.3f} cycles each at lane {lane}")
    assert bench.wire_cycles[-1] - bench.wire_cycles[0] == 66 * LARGE - 1
    assert rate <= 66.1


@cocotb.test()
async def latency_of_one_frame(dut):
    bench = await RxBench.start(dut)
    for size in (1, 64, 1024):
        bench.forget()
        bench.send(write_packet(0, TARGET, random.randbytes(size)))
        await bench.settle(1)
        latency = bench.line_cycles[0] - bench.wire_cycles[-1]
        dut._log.info(f"last beat of {size} bytes in to first line out: {latency} cycles")
        assert latency <= 40


@cocotb.test()
async def acknowledges_every_cycle(dut):
    """A frame of one beat each cycle: the front never loses count, the header buffer takes 128."""
    bench = await RxBench.start(dut)
    count = 1000 if FULL else 200
    for psn in range(count):
        bench.send(Packet(Bth(Op.ACK, QPN, psn=psn), aeth=Aeth(0x1F, psn)))
    await bench.settle(count)
    assert bench.wire_cycles[-1] - bench.wire_cycles[0] == count - 1
    assert not bench.drops
    assert psns(bench.done) == list(range(count))
    assert [h.msn for _, h in bench.headers] == list(range(count))


@cocotb.test()
@cocotb.parametrize(cause=["payload", "headers"])
async def overflow_drops_whole_frames(dut, cause):
    """While nobody takes headers, buffers fill; what was accepted arrives whole, what not, not."""
    bench = await RxBench.start(dut)
    bench.wdata.paused = True
    sinks = [end for end in bench.ends if end.name in ("m_req", "m_rsp")]
    for sink in sinks:
        sink.paused = True
    expected = {}
    count = 400 if cause == "headers" else 120
    for n in range(count):
        size = random.randrange(5) if cause == "headers" else random.randrange(1, 2000)
        expected[n] = random.randbytes(size)
        bench.send(write_packet(n, TARGET + 4096 * n + n % 64, expected[n]))
    while bench.wire:
        await RisingEdge(dut.clk)
    await cycles(dut, 20)
    lost = len(bench.drops)
    assert lost > 20
    assert set(bench.drops) == {DropReason.RX_OVERFLOW}
    for sink in [*sinks, bench.wdata]:
        sink.paused = False
    await bench.settle(count)
    assert len(bench.drops) == lost
    alive = psns(bench.done)
    assert len(alive) == count - lost
    assert alive == sorted(alive)
    memory = Memory()
    for n in alive:
        memory.put(TARGET + 4096 * n + n % 64, expected[n])
    assert bench.memory.same_as(memory)
    # And it works on.
    bench.forget()
    bench.send(write_packet(1, TARGET, b"after"))
    await bench.settle(1)
    assert bench.memory.lines[TARGET][:5] == b"after"


@cocotb.test()
@cocotb.parametrize(stall=PACES, idle=PACES)
async def anything_at_any_pace(dut, stall, idle):
    """Good frames, bad ones and overflow, everybody stalling: each frame ends once, in order."""
    bench = await RxBench.start(dut, stall=stall, idle=idle, latency=random.randrange(1, 100))
    scatter = Scatter(bench, 1500)
    bench.plan = scatter.plan
    good = []
    for psn in range(120):
        packet = scatter.packet(psn)
        if random.random() < 0.2:
            frame = bytearray(encode(packet))
            frame[random.randrange(47, len(frame))] ^= 1 << random.randrange(8)
            bench.send(bytes(frame))
            continue
        if random.random() < 0.1:
            packet = replace(packet, bth=replace(packet.bth, dest_qp=0x77))
        else:
            good.append(psn)
        bench.send(packet)
    await bench.settle(120, 200_000)
    lost = bench.drops.count(DropReason.RX_OVERFLOW)
    assert len(bench.done) >= len(good) - lost
    # Only frames that were handed out have a plan, so only they may be in memory.
    assert bench.memory.same_as(scatter.expected)
    assert {fault for _, _, fault in bench.done} <= {RxFault.NONE}
    for side in ("req", "rsp"):
        order = [psn for s, psn, _ in bench.done if s == side]
        assert order == sorted(order) == [h.psn for s, h in bench.headers if s == side]


@cocotb.test()
async def answers_of_128_frames_may_be_late(dut):
    bench = await RxBench.start(dut)
    bench.hold_answers = True
    for n in range(128):
        bench.send(write_packet(n, TARGET + 128 * n, random.randbytes(64)))
    for _ in range(800):
        await RisingEdge(dut.clk)
    assert len(bench.payload.answers) == 128
    assert not bench.done
    bench.hold_answers = False
    await bench.settle(128)


@cocotb.test()
async def drain_waits_for_what_was_inside(dut):
    bench = await RxBench.start(dut)

    async def drain() -> None:
        dut.drain_req_en.value = 1
        await RisingEdge(dut.clk)
        dut.drain_req_en.value = 0

    await drain()
    await cycles(dut, 4)
    assert len(bench.drained) == 1, "empty: at once"
    bench.hold_answers = True
    for n in range(10):
        bench.send(write_packet(n, TARGET + 128 * n, bytes(64)))
    await cycles(dut, 100)
    await drain()
    await cycles(dut, 100)
    assert len(bench.drained) == 1
    # Frames behind the request do not prolong it.
    for n in range(10, 20):
        bench.send(write_packet(n, TARGET + 128 * n, bytes(64)))
    await cycles(dut, 100)
    held, bench.payload.answers = list(bench.payload.answers), type(bench.payload.answers)()
    bench.payload.answers.extend(held[:9])
    bench.hold_answers = False
    await cycles(dut, 50)
    assert len(bench.done) == 9
    assert len(bench.drained) == 1
    bench.payload.answers.append(held[9])
    await cycles(dut, 20)
    assert len(bench.done) == 10
    assert len(bench.drained) == 2
    bench.payload.answers.extend(held[10:])
    await bench.settle(20)
    assert len(bench.drained) == 2


@cocotb.test()
@cocotb.parametrize(after=RESETS)
async def reset_in_traffic(dut, after):
    """Whatever was inside is gone; the rest of a frame on the wire is no frame."""
    bench = await RxBench.start(dut, stall="half", latency=10)
    scatter = Scatter(bench)
    bench.plan = scatter.plan
    for psn in range(60):
        bench.send(scatter.packet(psn))
    await cycles(dut, after * 7)
    rest = list(bench.wire) if bench.mid_frame else []
    await bench.reset()
    bench.forget()
    # The MAC knows nothing of our reset and goes on with the frame.
    tail = rest[: next((n for n, beat in enumerate(rest) if beat[2]), -1) + 1]
    bench.wire.extend(tail)
    scatter = Scatter(bench)
    bench.plan = scatter.plan
    for psn in range(30):
        bench.send(scatter.packet(psn))
    for _ in range(20_000):
        if len(bench.done) == 30:
            break
        await RisingEdge(dut.clk)
    await cycles(dut, 50)
    assert sorted(psns(bench.done)) == list(range(30))
    assert len(bench.drops) <= 1
    assert bench.memory.same_as(scatter.expected)
