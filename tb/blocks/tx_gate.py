"""rnic_tx_gate: the MAC gets whole frames, whatever happens upstream."""

from __future__ import annotations

import random
from typing import Any, Self

import cocotb
from cocotb.triggers import RisingEdge

from tb.streams import Beat, StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

FIELDS = ("data", "keep", "last")


class Bench:
    """The frame buffer, which offers a frame without gaps, and the MAC."""

    def __init__(self, dut: Any, stall: str) -> None:
        self.dut = dut
        self.frames: list[list[int]] = [[]]
        self.source = StreamSource(dut, "s", fields=FIELDS)
        # The sink fails the test when a beat on offer is taken back or changes.
        self.sink = StreamSink(
            dut, "m", fields=FIELDS, stall=stall_pattern(stall), on_beat=self._take
        )
        dut.stop.value = dut.cut.value = 0

    @classmethod
    async def start(cls, dut: Any, stall: str = "none") -> Self:
        """Reset."""
        start_clock(dut)
        bench = cls(dut, stall)
        await reset(dut, bench.source, bench.sink)
        return bench

    def _take(self, beat: Beat) -> None:
        self.frames[-1].append(beat.data)
        if beat.last:
            self.frames.append([])

    def send(self, length: int) -> list[int]:
        """A frame."""
        beats = [random.getrandbits(64) for _ in range(length)]
        for at, data in enumerate(beats):
            self.source.send_nowait(Beat(data=data, keep=0xFF, last=int(at == length - 1)))
        return beats

    async def soft_reset(self, patience: int) -> None:
        """What rnic_csr_reset does; the frame buffer forgets everything."""
        self.dut.stop.value = 1
        for _ in range(patience):
            await RisingEdge(self.dut.clk)
            if self.dut.busy.value == 0:
                break
        self.dut.cut.value = 1
        await RisingEdge(self.dut.clk)
        self.source.clear()
        self.source.in_reset = True
        await cycles(self.dut, 5)
        self.source.in_reset = False
        self.dut.cut.value = self.dut.stop.value = 0
        await RisingEdge(self.dut.clk)


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "bursts"])
async def frames_pass_unchanged_at_full_rate(dut, stall):
    bench = await Bench.start(dut, stall)
    sent = [bench.send(random.randint(1, 9)) for _ in range(60)]
    count = 0
    while len(bench.frames) <= len(sent):
        await cycles(dut)
        count += 1
        assert count < 20000
    assert bench.frames[:-1] == sent
    assert stall != "none" or count <= sum(map(len, sent)) + 3


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "mostly"])
async def a_patient_reset_lets_the_frame_end(dut, stall):
    bench = await Bench.start(dut, stall)
    for _ in range(40):
        sent = [bench.send(random.randint(1, 9)) for _ in range(6)]
        await cycles(dut, random.randint(1, 25))
        before = len(bench.frames)
        await bench.soft_reset(4000)
        await cycles(dut, 3)
        whole = bench.frames[:-1]
        assert len(whole) <= before
        assert whole == sent[: len(whole)]
        assert bench.frames[-1] == []
        bench.frames = [[]]


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "mostly"])
async def an_impatient_reset_closes_the_frame(dut, stall):
    bench = await Bench.start(dut, stall)
    cuts = 0
    for _ in range(60):
        sent = [bench.send(random.randint(1, 9)) for _ in range(4)]
        await cycles(dut, random.randint(1, 25))
        await bench.soft_reset(random.randint(0, 4))
        new = bench.send(3)
        while new not in bench.frames[:-1]:
            await cycles(dut)
        got = bench.frames[: bench.frames.index(new)]
        broken = [frame for frame in got if frame not in sent]
        assert got[: len(got) - len(broken)] == sent[: len(got) - len(broken)]
        assert len(broken) <= 1
        if broken:
            cuts += 1
            assert broken[0][:-1] == sent[len(got) - 1][: len(broken[0]) - 1]
        bench.frames = [[]]
    assert cuts > (5 if stall != "none" else 0)


@cocotb.test()
async def a_beat_on_offer_outlives_the_reset(dut):
    """The MAC takes nothing for a long time; then it gets that beat, an end, and the next frame."""
    bench = await Bench.start(dut)
    sent = bench.send(5)
    await cycles(dut, 2)
    bench.sink.paused = True
    await cycles(dut, 10)
    taken = len(bench.frames[-1])
    assert 0 < taken < 4
    await bench.soft_reset(10)
    assert dut.busy.value == 0
    new = bench.send(2)
    await cycles(dut, 100)
    assert len(bench.frames[-1]) == taken
    bench.sink.paused = False
    await cycles(dut, 20)
    assert bench.frames[0][:-1] == sent[: taken + 1]
    assert bench.frames[1:] == [new, []]
