"""The counters: whatever happens in whatever cycle is counted once."""

from __future__ import annotations

import random
from collections import Counter

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import DropReason, Stat
from tb.blocks.csr_bench import Bench
from tb.streams import cycles

COUNTERS = 64
BYTES = {
    Stat.TX_BYTES: "stat_tx_bytes",
    Stat.RX_BYTES: "stat_rx_bytes",
    Stat.TX_RDMA_BYTES: "stat_tx_rdma_bytes",
    Stat.RX_RDMA_BYTES: "stat_rx_rdma_bytes",
}


async def counted(bench: Bench, index: int) -> int:
    """One counter, low word first."""
    low = await bench.word(0x800 + 8 * index)
    return low | await bench.word(0x804 + 8 * index) << 32


async def storm(dut: SimHandleBase, length: int, density: float, total: Counter[int]) -> None:
    """Random events from every source in every cycle, and bytes at line rate."""
    sources = len(dut.stat_events) // COUNTERS
    for cycle in range(length):
        word = 0
        for bit in range(sources * COUNTERS):
            if random.random() < density:
                word |= 1 << bit
                if bit % COUNTERS not in BYTES:
                    total[bit % COUNTERS] += 1
        dut.stat_events.value = word
        for index, name in BYTES.items():
            size = random.choice([0, 64]) if cycle % 66 else 4202
            getattr(dut, name).value = size
            total[index] += size
        await RisingEdge(dut.clk)
    dut.stat_events.value = 0
    for name in BYTES.values():
        getattr(dut, name).value = 0


@cocotb.test()
@cocotb.parametrize(density=(0.02, 1.0))
async def no_event_is_lost(dut: SimHandleBase, density: float) -> None:
    bench = await Bench.start(dut)
    total: Counter[int] = Counter()
    task = cocotb.start_soon(storm(dut, 400, density, total))
    # Reading in the storm takes turns away from the counting.
    seen = 0
    while not task.done():
        now = await counted(bench, Stat.RX_ACKS)
        assert now >= seen
        seen = now
    await cycles(dut, 140)
    for index in range(COUNTERS):
        assert await counted(bench, index) == total[index], index


@cocotb.test()
async def a_drop_is_counted_by_its_reason(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    dut.stat_events.value = 1 << Stat.DROP + DropReason.BAD_ICRC
    await cycles(dut, 3)
    dut.stat_events.value = 0
    await cycles(dut, 140)
    assert await bench.word(0x800 + 8 * (32 + 11)) == 3
    assert await bench.word(0x800 + 8 * (32 + 12)) == 0


@cocotb.test()
async def counters_start_at_zero_even_when_read_at_once(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    for index in (63, 0, 1):
        assert await counted(bench, index) == 0


@cocotb.test()
async def the_low_word_freezes_the_high_word(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    await cycles(dut, 140)
    dut.u_stats.total[Stat.TX_BYTES].value = 0x1_FFFF_FFF0
    await cycles(dut, 2)
    assert await bench.word(0x808) == 0xFFFF_FFF0
    dut.stat_tx_bytes.value = 0x20
    await cycles(dut, 1)
    dut.stat_tx_bytes.value = 0
    await cycles(dut, 140)
    assert await bench.word(0x80C) == 1
    assert await bench.word(0x808) == 0x10
    assert await bench.word(0x80C) == 2
