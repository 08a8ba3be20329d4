"""Each operation alone: every size that could matter, every path MTU, both IP versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tb.nic import make
from tb.nic.image import Region
from tb.nic.lane import Lane
from tb.nic.moves import Move
from tb.nic.ndk import World
from tb.nic.scenario import hundred_gigabit, scenario

MIB = 1 << 20
Maker = Callable[[Lane, Region, Region, int], Move]


def edge_sizes(mtu: int) -> list[int]:
    """Where beats, pads and packets begin and end."""
    return [
        *(0, 1, 3, 4, 63, 64, 65),
        *(mtu // 2 + 1, mtu - 1, mtu, mtu + 1, 2 * mtu - 3, 2 * mtu, 3 * mtu + 2),
    ]


def described(sizes: Sequence[int]) -> str:
    """Sizes for the table."""

    def short(size: int) -> str:
        for unit, name in ((MIB, "MiB"), (1024, "KiB")):
            if size and size % unit == 0:
                return f"{size // unit} {name}"
        return f"{size} B"

    if len(sizes) == 1:
        return short(sizes[0])
    return f"{short(min(sizes))} - {short(max(sizes))} ({len(sizes)})"


async def two_regions(world: World, size: int) -> tuple[Region, Region]:
    """Registered memory on both sides."""
    return await world.a.region(size), await world.b.region(size)


async def sweep(world: World, label: str, maker: Maker) -> None:
    """Small and large in one go, then one large message alone."""
    sizes = edge_sizes(4096)
    sizes += [] if world.small else [16_383, 40_000, 65_536, 65_537, 131_071]
    whole = 8 * 4096 if world.small else MIB
    room = sum(sizes) + make.ROOM * len(sizes)
    here, there = await two_regions(world, max(room, whole + 2 * make.ROOM))
    lane = await world.connect(4096)
    order = sizes[:]
    world.rng.shuffle(order)
    moves = [maker(lane, here, there, size) for size in order]
    await world.run(moves, label, described(sizes))
    here.rewind()
    there.rewind()
    await world.run([maker(lane, here, there, whole)], label, described([whole]))


@scenario()
async def sends(world: World) -> None:
    """SEND into receives, 0 bytes to 1 MiB, unaligned on both sides."""

    def maker(lane: Lane, here: Region, there: Region, size: int) -> Move:
        return make.send(lane, here, there, size, spare=world.rng.choice([0, 0, 1, 90]))

    await sweep(world, "SEND", maker)


@scenario()
async def writes(world: World) -> None:
    """RDMA WRITE, 0 bytes to 1 MiB, unaligned on both sides."""
    await sweep(world, "RDMA WRITE", make.write)


@scenario()
async def reads(world: World) -> None:
    """RDMA READ, 0 bytes to 1 MiB, unaligned on both sides."""
    await sweep(world, "RDMA READ", make.read)


MAKERS: list[tuple[str, Maker]] = [
    ("SEND", make.send),
    ("RDMA WRITE", make.write),
    ("RDMA READ", make.read),
]


async def each_operation(world: World, mtu: int, gid_index: int, note: str) -> None:
    """All edge sizes by every operation, in both directions, on one pair."""
    sizes = edge_sizes(mtu)
    room = 3 * (sum(sizes) + 2 * make.ROOM * len(sizes))
    here, there = await two_regions(world, room)
    lane = await world.connect(mtu, gid_index)
    for label, maker in MAKERS:
        moves = [maker(lane, here, there, size) for size in sizes]
        moves += [maker(lane.back, there, here, size) for size in sizes[::3]]
        await world.run(moves, f"{label}, {note}", described(sizes))


@scenario()
async def path_mtus(world: World) -> None:
    """Every path MTU from 256 to 2048, sizes around multiples of it."""
    for mtu in (256, 1024) if world.small else (256, 512, 1024, 2048):
        await each_operation(world, mtu, 0, f"PMTU {mtu}")


@scenario()
async def ipv6(world: World) -> None:
    """The same over IPv6."""
    await each_operation(world, 256 if world.small else 1024, 1, "IPv6")


@scenario(knobs=hundred_gigabit)
async def both_ways(world: World) -> None:
    """1 MiB in each direction at once over a 100 Gbit/s wire, by WRITE and by READ."""
    size = 16_384 if world.small else MIB
    here, there = await two_regions(world, 2 * size + 8 * make.ROOM)
    lane = await world.connect()
    moves: list[Move] = [
        make.write(lane, here, there, size),
        make.write(lane.back, there, here, size),
    ]
    await world.run(moves, "RDMA WRITE, both ways", described([size, size]))
    here.rewind()
    there.rewind()
    moves = [make.read(lane, here, there, size), make.read(lane.back, there, here, size)]
    await world.run(moves, "RDMA READ, both ways", described([size, size]))
