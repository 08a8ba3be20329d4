"""A wire that loses, doubles, overtakes and spoils frames."""

from __future__ import annotations

import os
from typing import Any

from spec.registers import TimebaseReg
from tb.link import Chance
from tb.nic.ndk import World
from tb.nic.scenario import HUNDRED_GIGABIT, scenario
from tb.nic.scenarios_many import Mix, mixed_work
from tb.nic.scenarios_transfer import two_regions

ACK_TICK = 1
"""Cycles in 4.096 microseconds: the timeout of code 14 then takes 16,384."""


def wire(_seed: int) -> dict[str, Any]:
    """100 Gbit/s with some delay."""
    return {"rate": HUNDRED_GIGABIT / 2, "delay": 100}


async def faults(world: World, chance: Chance) -> None:
    """From now on both directions of the wire behave badly, and timers are short."""
    world.pair.link.ab.chance = world.pair.link.ba.chance = chance
    for host in (world.a, world.b):
        host.device.write32(TimebaseReg.ADDRESS, TimebaseReg(ack_tick=ACK_TICK).to_int())
    await world.pause(20)


@scenario(knobs=wire, healthy=False)
async def lossy(world: World) -> None:
    """Everything mixed over a wire that loses, doubles, overtakes and spoils frames."""
    pairs, count, largest = (2, 12, 4096) if world.small else (6, 40, 30_000)
    mtus = [world.rng.choice([256, 512, 1024, 4096]) for _ in range(pairs)]
    for number, mtu in enumerate(mtus):
        await world.connect(mtu, number % 2, depth=(64, 64))
    chance = float(os.environ.get("CHANCE", "0.01"))
    await faults(
        world, Chance(loss=chance, duplicate=chance, reorder=chance, corrupt=chance, overtake=300)
    )
    here, there = await two_regions(world, 2 * pairs * count * (largest // 5 + 4000))
    await mixed_work(world, Mix(world.rng, largest), count, here, there)
    world.pair.link.ab.chance = world.pair.link.ba.chance = Chance()
    await world.pause(30_000)
