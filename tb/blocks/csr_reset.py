"""rnic_csr_reset: when a soft reset may begin, and that it does not wait for more than it must."""

from __future__ import annotations

import random
from typing import Any, Self

import cocotb

from tb.streams import cycles, reset, start_clock

QUIET, PATIENCE, LENGTH = 16, 256, 15
TICK, TICKS = 5, 128
INPUTS = ("soft_reset_en", "unanswered", "pending", "tx_busy", "rx_beat_en", "rx_last")


class Bench:
    """The host's transactions and frames, as this block sees them."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        for name in INPUTS:
            getattr(dut, name).value = 0

    @classmethod
    async def start(cls, dut: Any) -> Self:
        """Reset."""
        start_clock(dut)
        bench = cls(dut)
        await reset(dut)
        await cycles(dut)
        return bench

    async def pulse(self, *names: str) -> None:
        """These inputs for one cycle."""
        for name in names:
            getattr(self.dut, name).value = 1
        await cycles(self.dut)
        for name in names:
            getattr(self.dut, name).value = 0

    async def beats(self, count: int, last: bool) -> None:
        """Beats of one frame that comes in; the last one may close it."""
        for beat in range(count):
            end = last and beat == count - 1
            await self.pulse("rx_beat_en", *(["rx_last"] if end else []))

    async def until_reset(self, limit: int) -> int:
        """Cycles until the reset begins."""
        for count in range(limit):
            if self.dut.core_rst.value == 1:
                return count
            assert self.dut.stopping.value == 1
            await cycles(self.dut)
        raise AssertionError("no reset")

    async def stays_out_of_reset(self, count: int) -> None:
        """Still waiting after some cycles."""
        for _ in range(count):
            assert (self.dut.core_rst.value, self.dut.stopping.value) == (0, 1)
            await cycles(self.dut)

    async def until_over(self) -> None:
        """The reset is some cycles long, and then work may begin again."""
        length = 0
        while self.dut.core_rst.value == 1:
            assert self.dut.stopping.value == 1
            length += 1
            await cycles(self.dut)
        assert length == LENGTH
        await cycles(self.dut, 300)
        assert (self.dut.core_rst.value, self.dut.stopping.value) == (0, 0)


@cocotb.test()
async def an_idle_adapter_is_reset_at_once(dut):
    bench = await Bench.start(dut)
    assert (dut.core_rst.value, dut.stopping.value) == (0, 0)
    for _ in range(3):
        await bench.pulse("soft_reset_en")
        await cycles(dut)
        assert await bench.until_reset(QUIET + 4) >= QUIET - 1
        await bench.until_over()


@cocotb.test()
@cocotb.parametrize(what=["unanswered", "pending"])
async def what_has_begun_ends_first(dut, what):
    """Whatever begins again while this waits begins the wait anew."""
    bench = await Bench.start(dut)
    line = getattr(dut, what)
    line.value = 1
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    await bench.stays_out_of_reset(random.randint(100, 400))
    for _ in range(4):
        line.value = 0
        await bench.stays_out_of_reset(QUIET - 4)
        line.value = 1
        await bench.stays_out_of_reset(random.randint(1, 20))
    line.value = 0
    await cycles(dut)
    assert await bench.until_reset(QUIET + 4) >= QUIET - 2
    await bench.until_over()


@cocotb.test()
@cocotb.parametrize(tick=[1, TICK])
async def a_host_that_never_answers_is_waited_for_so_long(dut, tick):
    bench = await Bench.start(dut)
    for _ in range(2):
        dut.tick_cycles.value = tick
        dut.unanswered.value = 1
        await bench.pulse("soft_reset_en")
        await cycles(dut)
        limit = tick * TICKS
        await bench.stays_out_of_reset(limit - tick - 4)
        await bench.until_reset(QUIET + tick + 8)
        await bench.until_over()
        await cycles(dut, 50)


@cocotb.test()
async def what_is_on_offer_must_be_taken(dut):
    """However long that takes: an offer is not withdrawn, a burst not cut."""
    bench = await Bench.start(dut)
    dut.unanswered.value = dut.pending.value = 1
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    await bench.stays_out_of_reset(3 * TICK * TICKS)
    dut.pending.value = 0
    await bench.until_reset(QUIET + 4)
    await bench.until_over()


@cocotb.test()
async def answers_are_forgotten_once_as_the_reset_begins(dut):
    bench = await Bench.start(dut)
    dut.unanswered.value = 1
    await bench.pulse("soft_reset_en")
    told = []
    for count in range(TICK * TICKS + 200):
        if dut.forget_en.value == 1:
            assert dut.core_rst.value == 0
            told.append(count)
        if told and count == told[0] + 1:
            assert dut.core_rst.value == 1
        await cycles(dut)
    assert len(told) == 1


@cocotb.test()
async def a_frame_on_the_wire_may_end(dut):
    bench = await Bench.start(dut)
    dut.tx_busy.value = 1
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    await bench.stays_out_of_reset(PATIENCE - 20)
    dut.tx_busy.value = 0
    await cycles(dut)
    assert await bench.until_reset(4) <= 2
    await bench.until_over()


@cocotb.test()
async def a_mac_that_takes_nothing_is_not_waited_for(dut):
    bench = await Bench.start(dut)
    dut.tx_busy.value = 1
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    assert await bench.until_reset(PATIENCE + 4) >= PATIENCE - 4
    await bench.until_over()


@cocotb.test()
@cocotb.parametrize(begun=["before", "during", "not"])
async def the_second_half_of_a_frame_is_skipped(dut, begun):
    bench = await Bench.start(dut)
    await bench.beats(3, last=begun != "before")
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    await bench.until_reset(QUIET + 4)
    await cycles(dut, 3)
    if begun == "during":
        await bench.beats(2, last=False)
    if begun == "before":
        await bench.beats(1, last=False)
    while dut.stopping.value == 1:
        await cycles(dut)
    assert dut.skip.value == (begun != "not")
    await bench.beats(1, last=random.random() < 0.5)
    await cycles(dut)
    assert dut.skip.value == 0


@cocotb.test()
async def a_frame_that_ends_in_the_reset_is_over(dut):
    bench = await Bench.start(dut)
    await bench.beats(3, last=False)
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    await bench.until_reset(QUIET + 4)
    await cycles(dut, 3)
    await bench.beats(2, last=True)
    while dut.stopping.value == 1:
        await cycles(dut)
    assert dut.skip.value == 0
