"""rnic_csr_reset: when a soft reset may begin, and that it does not wait for more than it must."""

from __future__ import annotations

import random
from typing import Any, Self

import cocotb

from tb.streams import cycles, reset, start_clock

QUIET, PATIENCE, LENGTH = 16, 256, 15
INPUTS = ("soft_reset_en", "read_start_en", "read_end_en", "write_start_en", "write_end_en",
          "pending", "tx_busy", "rx_beat_en", "rx_last")  # fmt: skip


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
@cocotb.parametrize(kind=["read", "write"])
async def every_transaction_is_answered_first(dut, kind):
    bench = await Bench.start(dut)
    count = random.randint(30, 60)
    for _ in range(count):
        await bench.pulse(f"{kind}_start_en")
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    for _ in range(count):
        await bench.stays_out_of_reset(QUIET * 2)
        await bench.pulse(f"{kind}_end_en")
    await bench.until_reset(QUIET + 4)
    await bench.until_over()


@cocotb.test()
async def what_begins_while_waiting_begins_the_wait_anew(dut):
    bench = await Bench.start(dut)
    await bench.pulse("soft_reset_en")
    await cycles(dut)
    for _ in range(4):
        await bench.stays_out_of_reset(QUIET - 4)
        await bench.pulse("pending")
        await bench.pulse("write_start_en", "read_start_en")
        await bench.pulse("write_end_en", "read_end_en")
    await bench.until_reset(QUIET + 4)
    await bench.until_over()


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
