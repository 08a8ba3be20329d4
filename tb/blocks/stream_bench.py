"""The bench of a block with one stream in and one stream out that carries the same beats."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Self

from cocotb.handle import SimHandleBase
from cocotb.utils import get_sim_time

from tb.streams import (
    CLOCK_NS,
    StreamMonitor,
    StreamSink,
    StreamSource,
    cycles,
    reset,
    stall_pattern,
    start_clock,
)


@dataclass
class Bench:
    """Clock, reset and both ends of the stream."""

    dut: SimHandleBase
    source: StreamSource
    sink: StreamSink
    inward: StreamMonitor

    @classmethod
    async def start(cls, dut: SimHandleBase, idle: str = "none", stall: str = "none") -> Self:
        """Connect the ends and reset the block."""
        start_clock(dut)
        source = StreamSource(dut, "s", idle=stall_pattern(idle))
        sink = StreamSink(dut, "m", stall=stall_pattern(stall))
        bench = cls(dut, source, sink, StreamMonitor(dut, "s"))
        await bench.reset()
        return bench

    async def reset(self) -> None:
        """Reset the block; the ends forget everything."""
        await reset(self.dut, self.source, self.sink, self.inward)

    def beats(self, count: int) -> list[int]:
        """Random payloads as wide as the stream."""
        return [random.getrandbits(len(self.dut.s_data)) for _ in range(count)]

    async def exchange(self, count: int) -> None:
        """What goes in comes out, in order, and nothing else."""
        sent = self.beats(count)
        for beat in sent:
            self.source.send_nowait(beat)
        assert await self.sink.recv_many(count) == sent
        await cycles(self.dut, 20)
        assert self.sink.empty()

    async def cycles_for(self, count: int) -> float:
        """Cycles from the first beat that is taken to the last that arrives."""
        for beat in self.beats(count + 1):
            self.source.send_nowait(beat)
        await self.sink.recv()
        begin = get_sim_time("ns")
        await self.sink.recv_many(count)
        return (get_sim_time("ns") - begin) / CLOCK_NS

    async def reset_in_traffic(self) -> None:
        """After a reset in the middle of traffic only new beats come out."""
        for beat in self.beats(100):
            self.source.send_nowait(beat)
        await self.sink.recv_many(5)
        self.sink.paused = True
        await cycles(self.dut, 7)
        await self.reset()
        self.sink.paused = False
        await cycles(self.dut, 20)
        assert self.sink.empty()
        await self.exchange(20)
