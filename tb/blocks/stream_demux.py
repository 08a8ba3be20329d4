"""stream_demux: each beat to its lane, in order; one that has no lane is dropped."""

from __future__ import annotations

import random

import cocotb

from tb.lanes import LaneSinks
from tb.streams import STALL_NAMES, StreamSource, cycles, reset, stall_pattern, start_clock


@cocotb.test()
@cocotb.parametrize(idle=STALL_NAMES, stall=STALL_NAMES)
async def each_beat_to_its_lane(dut, idle, stall):
    start_clock(dut)
    n = int(dut.N.value)
    source = StreamSource(dut, "s", fields=("data", "select"), idle=stall_pattern(idle))
    sinks = LaneSinks(dut, "m", n, stall=stall_pattern(stall))
    await reset(dut, source, sinks)
    expected = [[] for _ in range(n)]
    for _ in range(200):
        data = random.getrandbits(len(dut.s_data))
        select = random.getrandbits(len(dut.s_select))
        source.send_nowait(data=data, select=select)
        if select < n:
            expected[select].append(data)
    await source.drain()
    await cycles(dut, 3)
    assert [[beat.data for beat in lane] for lane in sinks.seen] == expected
