"""What random loss costs: goodput beside the lossless wire, and bytes sent again per byte lost.

1 MiB WRITEs at PMTU 1024 over a wire that loses frames in both directions. Go-back-N can at best
send again what left before the news of a loss could arrive: the lost packet, the one behind it that
shows the gap, and what fits into the wire's delay both ways. (A lost last packet or acknowledge
shows only by timeout.) The bound of goodput is that of a wire which carries each lost packet so
often.
"""

from __future__ import annotations

import math
import random
from typing import Any

import cocotb

from spec.layouts import WrOp
from tb.link import Chance
from tb.nic.bench_setup import PAGE, BenchPair, record

MESSAGE = 1 << 20
MESSAGES = 4
PMTU, MTU_CODE = 1024, 3
BEATS = 17
"""Beats of a full frame."""
TIMEOUT_CODE = 2
"""16.4 microseconds: nearly four times what 64 packets take, which share an acknowledge."""
DELAY = 250
"""Cycles on the wire, each way: 200 metres."""


async def transfer(dut: Any, loss: float) -> tuple[int, int, int]:
    """Cycles, and how many data packets were lost and sent again."""
    bench = await BenchPair.start(
        dut, pages=MESSAGE // PAGE, log=4, mtu=MTU_CODE, timeout=TIMEOUT_CODE, delay=DELAY
    )
    a, b, probe = bench.a, bench.b, bench.probe
    data = random.randbytes(MESSAGE)
    a.region.fill(data)
    await bench.settle()
    link = bench.pair.link
    link.ab.chance = link.ba.chance = Chance(loss=loss)
    before = link.ab.lost
    for number in range(MESSAGES):
        a.driver.put_send(a.qps[0], bench.request(WrOp.WRITE, 0, MESSAGE, wr_id=number))
    bench.ring_all(a)
    await bench.wait(a, a.send_cq, MESSAGES, limit=3_000_000)
    assert b.region.content() == data
    frames = probe.a.tx
    packets = MESSAGES * MESSAGE // PMTU
    cycles = frames.last[-1] - frames.first[0]
    return cycles, link.ab.lost - before, len(frames.last) - packets


async def lossy(dut: Any, loss: float, name: str) -> None:
    """Measure both rows of one probability."""
    cycles, lost, again = await transfer(dut, loss)
    packets = MESSAGES * MESSAGE // PMTU
    ideal = 2 + math.ceil(2 * DELAY / BEATS)
    assert lost > 0, "nothing was lost: this run says nothing"
    record(f"goodput_loss_{name}", 100 * packets * BEATS / cycles, 100 / (1 + loss * ideal))
    record(f"repeat_loss_{name}", again / lost, ideal)


@cocotb.test()
async def goodput_loss_01(dut: Any) -> None:
    await lossy(dut, 0.001, "01")


@cocotb.test()
async def goodput_loss_1(dut: Any) -> None:
    await lossy(dut, 0.01, "1")
