"""ram_free_list: no slot is out twice, none is lost, one in and one out per cycle."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import FallingEdge

from tb.streams import start_clock


class Bench:
    """Takes and gives back slots on falling edges; `out` is who has what."""

    @classmethod
    async def start(cls, dut):
        bench = cls()
        bench.dut = dut
        bench.depth = int(dut.DEPTH.value)
        start_clock(dut)
        await bench.reset()
        return bench

    async def reset(self):
        self.out = []
        self.dut.rst.value = 1
        self.dut.m_ready.value = self.dut.s_slot_en.value = self.dut.s_slot.value = 0
        for _ in range(3):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def cycle(self, take, give=None):
        """One cycle; returns the slot that was taken, if any."""
        dut = self.dut
        assert int(dut.count.value) == self.depth - len(self.out)
        assert int(dut.m_valid.value) == (len(self.out) < self.depth)
        dut.m_ready.value = int(take)
        dut.s_slot_en.value = int(give is not None)
        dut.s_slot.value = give or 0
        slot = int(dut.m_slot.value) if take and int(dut.m_valid.value) else None
        await FallingEdge(dut.clk)
        if slot is not None:
            assert slot not in self.out
            assert slot < self.depth
            self.out.append(slot)
        if give is not None:
            self.out.remove(give)
        return slot


@cocotb.test()
async def reset_frees_all_slots(dut):
    bench = await Bench.start(dut)
    for _ in range(2):
        for _ in range(bench.depth):
            assert await bench.cycle(take=True) is not None
        assert await bench.cycle(take=True) is None
        assert sorted(bench.out) == list(range(bench.depth))
        await bench.reset()


@cocotb.test()
@cocotb.parametrize(give_rate=[0.2, 0.5, 0.8], take_rate=[0.2, 0.5, 1.0])
async def random_traffic(dut, give_rate, take_rate):
    bench = await Bench.start(dut)
    for _ in range(600):
        give = random.choice(bench.out) if bench.out and random.random() < give_rate else None
        await bench.cycle(take=random.random() < take_rate, give=give)


@cocotb.test()
async def one_in_and_one_out_per_cycle_when_empty(dut):
    bench = await Bench.start(dut)
    for _ in range(bench.depth):
        await bench.cycle(take=True)
    await bench.cycle(take=False, give=bench.out[0])
    for _ in range(3 * bench.depth):
        assert await bench.cycle(take=True, give=bench.out[0]) is not None


@cocotb.test()
async def reset_in_traffic(dut):
    bench = await Bench.start(dut)
    for _ in range(3):
        for _ in range(random.randint(1, 3 * bench.depth)):
            give = random.choice(bench.out) if bench.out and random.random() < 0.5 else None
            await bench.cycle(take=True, give=give)
        await bench.reset()
        for slot in range(bench.depth):
            assert await bench.cycle(take=True) == slot
        await bench.reset()
