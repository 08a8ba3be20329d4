"""Two adapters, random work both ways, and a wire that loses, doubles, reorders and corrupts.

`STORM_MESSAGES` scales the number of messages; the default is small enough for every day.
"""

from __future__ import annotations

import os
from typing import Any

import cocotb

from spec.codes import DropReason, Stat
from tb.conformance import covers
from tb.frames import Chance
from tb.nic.pair import Pair
from tb.nic.storm import Storm

SCALE = int(os.environ.get("STORM_MESSAGES", "100"))
"""Messages of each of four queue pairs and each direction."""


async def storm(dut: Any, chance: Chance, **knobs: Any) -> Storm:
    """A storm to its end."""
    seed = int(cocotb.RANDOM_SEED)
    pair = await Pair.start(dut, seed=seed, keep=False, pcap=None)
    made = Storm(pair, seed=seed, **{"messages": SCALE, **knobs})
    await made.run(chance)
    return made


async def counted(made: Storm, stat: int) -> int:
    """Of both adapters."""
    return sum([await side.driver.counter(stat) for side in made.sides.values()])


@cocotb.test()
@covers("ROCE-228")
async def one_packet_in_a_hundred_is_lost(dut: Any) -> None:
    """The specification asks for 10^6 messages; here 8 * STORM_MESSAGES, 800 by default.

    About 4 packets and acknowledges a message: some 30 losses by default, which must show as
    repetitions. A long run sets STORM_MESSAGES=125000.
    """
    made = await storm(dut, Chance(loss=0.01))
    lost = made.pair.link.ab.lost + made.pair.link.ba.lost
    assert lost > SCALE // 10, f"only {lost} frames were lost"
    assert await counted(made, Stat.RETRANSMISSIONS) > 0


@cocotb.test()
@covers("ROCE-229")
async def packets_overtake_each_other(dut: Any) -> None:
    """One in twenty is late by up to 300 cycles."""
    made = await storm(dut, Chance(reorder=0.05, overtake=300))
    assert await counted(made, Stat.DROP + DropReason.OUT_OF_SEQUENCE) > 0


@cocotb.test()
@covers("ROCE-230")
async def every_packet_comes_twice(dut: Any) -> None:
    """The second within 200 cycles of the first, so that others are between them."""
    made = await storm(dut, Chance(duplicate=1.0, overtake=200), messages=SCALE // 2)
    assert await counted(made, Stat.DROP + DropReason.DUPLICATE) > SCALE


@cocotb.test()
@covers("ROCE-231")
async def corrupted_packets_are_dropped(dut: Any) -> None:
    """One bit of one frame in fifty is inverted, from the IP header to the ICRC."""
    made = await storm(dut, Chance(corrupt=0.02))
    assert await counted(made, Stat.DROP + DropReason.BAD_ICRC) > 0


@cocotb.test()
@cocotb.parametrize(psn=[0, 0x7FFFFF, 0x800000, 0xFFFFFF, 0xFFFFFE])
@covers("ROCE-052", "ROCE-232")
async def any_number_may_be_the_first(dut: Any, psn: int) -> None:
    """In both directions, with losses across the wrap and the middle of the space."""
    start = (psn, (psn + 0x800000) & 0xFFFFFF)
    await storm(dut, Chance(loss=0.02), messages=SCALE // 4, psns=start)


@cocotb.test()
async def everything_at_once(dut: Any) -> None:
    """Losses, duplicates, reordering, corruption and marks of a switch."""
    chance = Chance(loss=0.01, duplicate=0.02, reorder=0.02, corrupt=0.005, mark=0.02, bad=0.005)
    await storm(dut, chance, mtu=2)
