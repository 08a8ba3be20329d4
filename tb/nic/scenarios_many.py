"""Many queue pairs, and random work on several of them in both directions at once."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import cocotb

from tb.axi_memory import Timing
from tb.nic import make
from tb.nic.image import Region
from tb.nic.lane import Lane
from tb.nic.moves import FENCE, INLINE, NONE, SILENT, SOLICITED, Move
from tb.nic.ndk import World
from tb.nic.scenario import HUNDRED_GIGABIT, scenario
from tb.nic.scenarios_transfer import two_regions


def slow_wire(_seed: int) -> dict[str, Any]:
    """A frame of two beats takes four cycles: the receiver needs three, and nothing is repeated."""
    return {"rate": HUNDRED_GIGABIT / 2}


@scenario(knobs=slow_wire)
async def many_qps(world: World) -> None:
    """64 queue pairs, every operation in both directions on each, over a 50 Gbit/s wire."""
    count = 4 if world.small else 64
    here, there = await two_regions(world, count * 6 * 2000)
    lanes = [await world.connect(1024, number % 2, depth=(8, 8)) for number in range(count)]
    moves: list[Move] = []
    for turn in range(3):
        for lane in lanes:
            maker = (make.send, make.write, make.read)
            size = world.rng.choice([0, 1, 64, 500, 1024, 1500])
            moves.append(maker[turn](lane, here, there, size))
            moves.append(maker[(turn + 1) % 3](lane.back, there, here, world.rng.randint(0, 1500)))
    await world.run(moves, f"all operations, {count} QPs", "0 B - 1500 B")


# ------------------------------------------------------------------ random work


def random_knobs(seed: int) -> dict[str, Any]:
    """Slow, stuttering memory that mixes answers, and a wire that it can keep up with."""
    rng = random.Random(f"{seed} timing")
    stall = {channel: rng.choice([0.0, 0.1, 0.3, 0.5]) for channel in ("aw", "w", "b", "ar", "r")}
    timing = Timing(
        read_latency=rng.randint(0, 250),
        write_latency=rng.randint(0, 250),
        reorder=True,
        interleave=rng.random() < 0.7,
        stall=stall,
    )
    return {"timing": timing, "delay": rng.randint(0, 200), "rate": HUNDRED_GIGABIT / 4}


@dataclass(slots=True)
class Mix:
    """What random work is made of."""

    rng: random.Random
    largest: int

    def size(self) -> int:
        """Small ones often, large ones now and then, edges of beats and packets too."""
        kind = self.rng.random()
        if kind < 0.3:
            return self.rng.choice([0, 1, 3, 4, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025])
        return int((self.largest + 1) ** self.rng.random()) - 1

    def move(self, lane: Lane, own: Region, other: Region, last: bool) -> Move:
        """Any request."""
        rng, size = self.rng, self.size()
        flags = NONE if last or rng.random() < 0.7 else SILENT
        flags |= FENCE if rng.random() < 0.1 else NONE
        kind = rng.choice(["send", "write", "read", "send", "write", "read", "inline"])
        if kind == "read":
            return make.read(lane, own, other, size, parts=rng.randint(1, 8), flags=flags)
        if kind == "inline" and rng.random() < 0.5:
            return make.send(lane, own, other, rng.randint(0, 224), flags=flags | INLINE)
        if kind == "inline":
            return make.write(lane, own, other, rng.randint(0, 224), flags=flags | INLINE)
        parts = rng.choice([1, 1, 1, 2, 3, 14])
        if kind == "write":
            return make.write(lane, own, other, size, parts=parts, flags=flags)
        flags |= SOLICITED if rng.random() < 0.3 else NONE
        into, spare = rng.randint(1, 3), rng.choice([0, 0, 100])
        return make.send(lane, own, other, size, parts=parts, into=into, spare=spare, flags=flags)


@scenario(knobs=random_knobs)
async def random_work(world: World) -> None:
    """Everything mixed on several queue pairs in both directions, over slow, disorderly memory."""
    pairs, count, largest = (2, 6, 4096) if world.small else (6, 30, 65_536)
    mtus = [world.rng.choice([256, 512, 1024, 2048, 4096]) for _ in range(pairs)]
    for number, mtu in enumerate(mtus):
        await world.connect(mtu, number % 2, depth=(64, world.rng.choice([8, 16, 64])))
    here, there = await two_regions(world, 2 * pairs * count * (largest // 5 + 4000))
    await mixed_work(world, Mix(world.rng, largest), count, here, there)


async def mixed_work(world: World, mix: Mix, count: int, here: Region, there: Region) -> None:
    """`count` requests on each lane, posted in bursts on all lanes at once."""
    work: list[list[Move]] = []
    for lane in world.lanes:
        own, other = (here, there) if lane.here is world.a else (there, here)
        work.append([mix.move(lane, own, other, n + 1 == count) for n in range(count)])
    moves = [move for each in work for move in each]
    for move in moves:
        move.prepare()
    await world.rung()
    start = world.now()
    posters = [cocotb.start_soon(post_slowly(world, each)) for each in work]
    for poster in posters:
        await poster
    await world.finished([done for move in moves for done in move.works])
    world.row(
        f"random, {len(world.lanes) // 2} QPs, both ways",
        f"0 B - {max(move.size for move in moves)} B",
        moves,
        world.now() - start,
    )


async def post_slowly(world: World, moves: list[Move]) -> None:
    """Post in bursts, with pauses now and then."""
    for move in moves:
        await world.post(move)
        if world.rng.random() < 0.3:
            await world.pause(world.rng.randint(1, 400))
