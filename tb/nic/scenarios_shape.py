"""The shapes a request may have: inline, pushed, many SGEs, silent, fenced, privileged memory."""

from __future__ import annotations

from collections.abc import Sequence

from driver_model.hw.send_queue import PushMode
from spec.codes import Stat
from spec.registers import stat_address
from tb.nic import make
from tb.nic.image import Region, cut
from tb.nic.lane import Lane
from tb.nic.moves import FENCE, INLINE, NONE, SILENT, Move, Read, Send
from tb.nic.ndk import Host, World
from tb.nic.scenario import scenario
from tb.nic.scenarios_transfer import described, two_regions
from tb.streams import cycles

INLINE_SIZES = [0, 1, 3, 4, 31, 32, 33, 63, 64, 65, 96, 97, 128, 160, 161, 223, 224]
PUSHED_BYTES = 32  # inline data beside which an entry is one block


async def counter(world: World, host: Host, stat: Stat) -> int:
    """A statistics counter, all of it counted."""
    await cycles(world.pair.dut, 200)
    return await host.device.read32(stat_address(stat))


@scenario()
async def inline(world: World) -> None:
    """Inline SEND and WRITE, 0 to 224 bytes; the source changes right after the call."""
    here, there = await two_regions(world, 40_000)
    lane = await world.connect()
    moves: list[Move] = []
    for size in INLINE_SIZES:
        moves.append(
            make.write(lane, here, there, size, flags=INLINE, parts=world.rng.randint(1, 4))
        )
        moves.append(make.send(lane, here, there, size, flags=INLINE))
    pushed = await counter(world, world.a, Stat.PUSHED_WQES)
    taken = await one_by_one(world, moves)
    small = sum(move.size <= PUSHED_BYTES for move in moves)
    pushed = await counter(world, world.a, Stat.PUSHED_WQES) - pushed
    assert pushed == small, f"{pushed} entries were pushed, not {small}"
    world.row("inline, alone (32 B: pushed)", described(INLINE_SIZES), moves, taken)

    moves = [make.write(lane, here, there, size, flags=INLINE) for size in INLINE_SIZES]
    moves += [make.send(lane, here, there, size, flags=INLINE) for size in INLINE_SIZES]
    await world.run(moves, "inline, in the ring", described(INLINE_SIZES))


async def one_by_one(world: World, moves: Sequence[Move]) -> int:
    """Post each when the one before has completed, then overwrite its source; cycles taken."""
    for move in moves:
        move.prepare()
    await world.rung()
    start = world.now()
    for move in moves:
        assert move.post()
        for piece in move.local:
            piece.put(world.rng.randbytes(piece.size))
        await world.finished(move.works)
    return world.now() - start


@scenario(push=PushMode.ALWAYS)
async def pushed(world: World) -> None:
    """Every one-block entry goes through the doorbell page, inline or not, on several pairs."""
    here, there = await two_regions(world, 120_000)
    lanes = [await world.connect(1024) for _ in range(3)]
    before = await counter(world, world.a, Stat.PUSHED_WQES)
    moves: list[Move] = []
    for lane in lanes * 8:
        size = world.rng.randint(0, 3000)
        moves.append(make.write(lane, here, there, size, parts=world.rng.randint(1, 2)))
        moves.append(make.send(lane, here, there, world.rng.randint(0, 32), flags=INLINE))
        moves.append(make.read(lane, here, there, world.rng.randint(1, 300)))
    await world.run(moves, "pushed entries, 3 QPs", "0 B - 3000 B")
    assert await counter(world, world.a, Stat.PUSHED_WQES) - before == len(moves)


@scenario()
async def many_sges(world: World) -> None:
    """1 to 14 SGEs on SEND and WRITE, 1 to 8 on READ, 0 to 3 on receive; empty ones too."""
    here, there = await two_regions(world, 1_000_000)
    lane = await world.connect(1024 if world.small else 4096)
    rng = world.rng
    top = 1500 if world.small else 20_000
    sizes = [13, 100, top]
    sends = [
        make.send(
            lane, here, there, rng.choice(sizes), parts=parts, into=into, spare=rng.randint(0, 9)
        )
        for parts in (1, 2, 3, 6, 7, 11, 14)
        for into in (1, 2, 3)
    ]
    sends.append(make.send(lane, here, there, 0, parts=0, into=0))
    await world.run(sends, "SEND, 0-14 SGEs into 0-3", f"0 B - {top} B")
    writes = [make.write(lane, here, there, size, parts=n) for n in range(1, 15) for size in sizes]
    await world.run(writes, "RDMA WRITE, 1-14 SGEs", described(sizes))
    reads = [make.read(lane, here, there, size, parts=n) for n in range(1, 9) for size in sizes]
    await world.run(reads, "RDMA READ, 1-8 SGEs", described(sizes))
    here.rewind()
    there.rewind()
    await world.run(odd_pieces(lane, here, there), "many SGEs of odd lengths", "1 B - 257 B each")


def odd_pieces(lane: Lane, here: Region, there: Region) -> list[Move]:
    """Messages of pieces around a beat and around nothing."""
    lengths = [1, 0, 63, 64, 65, 2, 0, 127, 128, 129, 257, 3, 0, 31]
    moves: list[Move] = []
    for turn in range(14):
        order = lengths[turn:] + lengths[:turn]
        local = [here.take(n) for n in order]
        into = [there.take(n) for n in cut(lane.here.rng, sum(order), 3)]
        moves.append(Send(lane, local=local, into=into))
        sink = [here.take(n) for n in order[:8]]
        moves.append(Read(lane, local=sink, source=there.take(sum(order[:8]))))
    return moves


@scenario()
async def privileged(world: World) -> None:
    """SGEs with the privileged token: bus addresses page by page, on either side of a message."""
    lane = await world.connect()
    there = await world.b.region(200_000)
    pages_a, pages_b = world.a.privileged(200_000), world.b.privileged(60_000)
    flat_b = world.b.privileged(60_000, scattered=False)
    moves: list[Move] = []
    sizes = [0, 1, 64, 4095, 4097, 20_000, 45_000]
    for size in sizes:
        moves.append(make.write(lane, pages_a, there, size))
        moves.append(make.send(lane, pages_a, flat_b, min(size, 20_000)))
        moves.append(make.read(lane, pages_a, there, min(size, 20_000)))
        moves.append(make.send(lane, pages_a, pages_b, min(size, 8000)))
    await world.run(moves, "privileged token, page by page", described(sizes))


@scenario()
async def silent(world: World) -> None:
    """Silent successes: one completion for many requests, also in a queue that wraps often."""
    here, there = await two_regions(world, 300_000)
    lane = await world.connect(depth=(64, 64))
    before = await counter(world, world.a, Stat.CQES)
    moves = silent_run(lane, here, there, 24)
    await world.run(moves, "silent success", "0 B - 700 B")
    entries = await counter(world, world.a, Stat.CQES) - before
    assert entries == 1, f"{entries} completion entries for {len(moves)} requests, 1 signaled"
    short = await world.connect(depth=(16, 8))
    count = 30 if world.small else 150
    await world.run(silent_run(short, here, there, count), "silent success, 8 deep", "0 B - 700 B")


def silent_run(lane: Lane, here: Region, there: Region, count: int) -> list[Move]:
    """Silent requests with one at the end that is not."""
    rng = lane.here.rng
    moves: list[Move] = []
    for number in range(count):
        flags = SILENT if number + 1 < count else NONE
        maker = make.read if number % 5 == 4 else make.write
        moves.append(maker(lane, here, there, rng.randint(0, 700), flags=flags))
    return moves


@scenario()
async def fence(world: World) -> None:
    """A fenced SEND carries what the READ before it brought; a READ sees the WRITE before it."""
    here, there = await two_regions(world, 600_000)
    lane = await world.connect(1024)
    moves: list[Move] = []
    sizes = [1, 700, 5000] if world.small else [1, 700, 5000, 30_000]
    for size in sizes * 2:
        fetched = make.read(lane, here, there, size)
        moves.append(fetched)
        moves.append(Send(lane, local=fetched.local, into=[there.take(size)], flags=FENCE))
        written = make.write(lane, here, there, size)
        moves.append(written)
        moves.append(Read(lane, local=[here.take(size)], source=written.to))
    await world.run(moves, "READ, fenced SEND of it", described(sizes))
