"""How fast the send path is, in cycles."""

from __future__ import annotations

import cocotb
from cocotb.handle import SimHandleBase

from spec.codes import Mtu
from spec.layouts import Doorbell, QueueDoorbell, WrOp
from tb.blocks.queue_bench import Bench
from tb.blocks.queue_doorbell import inline, send
from tb.blocks.queue_host import Host
from tb.blocks.queue_work import Work

FAR = (250, 250)
NEAR = (8, 8)


def pace(cycles: list[int], skip: int) -> float:
    """Cycles per event, without the first and last few."""
    middle = cycles[skip:-skip]
    return (middle[-1] - middle[0]) / (len(middle) - 1)


async def messages(bench: Bench, qps: int, each: int, turns: bool) -> float:
    """Cycles per message; in turns, every QP rings for one entry after the other."""
    host = Host(bench, depth=1 << 16, quick=True)
    host.hold = True
    all_qps = [await host.create(n, sq_log=9) for n in range(qps)]
    bench.messages.clear()
    for _ in range(each):
        for qp in all_qps:
            host.post(qp, send(8))
            if turns:
                host.ring(qp)
    for qp in all_qps:
        host.ring(qp)
    await bench.until(lambda: len(bench.messages) == each * qps, what=host.left())
    host.hold = False
    await host.finish()
    return pace([cycle for cycle, *_ in bench.messages], each * qps // 5)


@cocotb.test()
@cocotb.parametrize(
    case=[
        ("one, near", 1, 200, False, NEAR, 2.1),
        ("two in turns, near", 2, 100, True, NEAR, 4.0),
        ("one, far", 1, 250, False, FAR, 4.0),
        ("sixty-four, far", 64, 8, False, FAR, 4.0),
        ("sixty-four in turns, far", 64, 8, True, FAR, 4.0),
    ]
)
async def small_messages(
    dut: SimHandleBase, case: tuple[str, int, int, bool, tuple[int, int], float]
) -> None:
    name, qps, each, turns, latency, most = case
    bench = await Bench.start(dut, qps=64, latency=latency)
    rate = await messages(bench, qps, each, turns)
    dut._log.info(f"{name}: {rate:.2f} cycles per message")
    assert rate <= most


@cocotb.test()
async def alternating_queue_pairs_in_the_requester(dut: SimHandleBase) -> None:
    """Pushes keep the order of the doorbells, so every message changes the QP."""
    bench = await Bench.start(dut, qps=64)
    host = Host(bench, depth=1 << 16)
    qps = [await host.create(n) for n in range(8)]
    bench.pkt_hold = True
    for n in range(12):
        host.push(qps[n % 8], inline(b"x"))
    await bench.cycles(80)
    bench.messages.clear()
    bench.pkt_hold = False
    await host.finish()
    rate = pace([cycle for cycle, *_ in bench.messages], 1)
    dut._log.info(f"{rate:.2f} cycles per pushed message of alternating QPs")
    assert rate <= 3


@cocotb.test()
async def a_long_message_takes_a_cycle_per_beat(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, qps=64)
    host = Host(bench)
    qp = await host.create(1, path_mtu=int(Mtu.BYTES_256))
    host.post(qp, Work(op=WrOp.WRITE, sges=[(0, 256 * 40 + 100, 0)] * 14))
    host.ring(qp)
    await host.finish()
    rate = pace([cycle for cycle, _ in bench.packets], 10)
    dut._log.info(f"{rate:.3f} cycles per beat")
    assert rate <= 1.001


@cocotb.test()
async def a_push_is_a_packet_within_twelve_cycles(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, qps=64)
    host = Host(bench)
    qp = await host.create(1)
    for n in range(4):
        (block,) = host.post(qp, inline(bytes([n])))
        write = bench.push(1, block)
        await host.finish()
        cycles = bench.packets[-1][0] - write.beat_cycle
        dut._log.info(f"push to packet: {cycles} cycles")
        assert cycles <= 12


@cocotb.test()
async def a_doorbell_takes_at_most_two_cycles(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, qps=64)
    value = QueueDoorbell(number=1, index=5).to_int() << 8 * Doorbell.RQ
    writes = [bench.write(Doorbell.RQ, value, 0xFF << Doorbell.RQ, size=3) for _ in range(60)]
    await bench.until(lambda: all(write.resp == 0 for write in writes))
    rate = pace([write.beat_cycle for write in writes], 5)
    dut._log.info(f"{rate:.2f} cycles per doorbell")
    assert rate <= 2
    assert len(bench.updates["rq"]) == 60
