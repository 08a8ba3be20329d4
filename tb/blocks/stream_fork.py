"""stream_fork: every lane gets every beat once, in order, however slow the others are."""

from __future__ import annotations

import cocotb

from tb.lanes import LaneSinks
from tb.streams import STALL_NAMES, StreamSource, cycles, reset, stall_pattern, start_clock


async def start(dut, idle="none", stall="none"):
    start_clock(dut)
    source = StreamSource(dut, "s", idle=stall_pattern(idle))
    sinks = LaneSinks(dut, "m", int(dut.N.value), stall=stall_pattern(stall))
    await reset(dut, source, sinks)
    return source, sinks


@cocotb.test()
@cocotb.parametrize(idle=STALL_NAMES, stall=STALL_NAMES)
async def every_lane_gets_every_beat(dut, idle, stall):
    source, sinks = await start(dut, idle, stall)
    for beat in range(200):
        source.send_nowait(beat & 0xFF)
    await source.drain()
    await cycles(dut, 3)
    for lane in sinks.seen:
        assert [beat.data for beat in lane] == [beat & 0xFF for beat in range(200)]


@cocotb.test()
async def one_beat_per_cycle(dut):
    source, _ = await start(dut)
    for beat in range(100):
        source.send_nowait(beat)
    await cycles(dut, 51)
    assert source.count >= 49


@cocotb.test()
async def reset_forgets_who_had_the_beat(dut):
    source, sinks = await start(dut, stall="mostly")
    for beat in range(50):
        source.send_nowait(beat)
    await cycles(dut, 25)
    await reset(dut, source, sinks)
    source.send_nowait(7)
    await source.drain()
    await cycles(dut, 3)
    assert [[beat.data for beat in lane] for lane in sinks.seen] == [[7]] * sinks.lanes
