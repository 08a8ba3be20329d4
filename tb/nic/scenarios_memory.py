"""Fast registration and invalidation, by the consumer, by the peer, and what a stale token does."""

from __future__ import annotations

from driver_model.hw.send_queue import PushMode
from driver_model.mr import Mr
from driver_model.ndkpi import PAGE_SIZE, OperationType, OpFlag
from driver_model.status import Status
from tb.axi_types import Resp
from tb.nic import make
from tb.nic.image import Region
from tb.nic.lane import Lane
from tb.nic.moves import FENCE, SILENT, FastRegister, Invalidate, Move
from tb.nic.ndk import World
from tb.nic.scenario import scenario
from tb.nic.scenarios_transfer import described

RIGHTS = OpFlag.ALLOW_LOCAL_WRITE | OpFlag.ALLOW_REMOTE_READ | OpFlag.ALLOW_REMOTE_WRITE
SOMEWHERE = 0x0000_7F12_3450_0000


def fast_register(
    lane: Lane, mr: Mr, region: Region, base: int, flags: OpFlag = RIGHTS
) -> FastRegister:
    """Put a region's memory at another virtual address, under the token of `mr`."""
    region.base = base  # of the page in which the registered bytes begin
    region.token = mr.get_remote_token_from_mr()
    region.rewind()
    count = -(-(region.lead + region.size) // PAGE_SIZE)
    return FastRegister(
        lane,
        flags=flags,
        mr=mr,
        pages=region.buffer.pages[:count],
        fbo=region.lead,
        length=region.size,
        base=base + region.lead,
    )


@scenario()
async def invalidation(world: World) -> None:
    """Fast registration, use by the peer, SEND with invalidate, and again with other memory."""
    lane = await world.connect(1024)
    back = lane.back
    here = await world.a.region(250_000)
    mr = await world.b.fast_region(32)
    memories = [world.b.memory(60_000), world.b.memory(4_000), world.b.memory(100_000)]
    inbox = await world.b.region(250_000)
    token = mr.get_remote_token_from_mr()
    register: list[Move] = []
    moved: list[Move] = []
    start = world.now()
    for turn, memory in enumerate(memories + memories[:2]):
        base = SOMEWHERE + turn * 0x1_0000_0000
        step: list[Move] = [fast_register(back, mr, memory, base)]
        await world.run(step)
        register += step
        room = memory.size // 3 - make.ROOM
        work: list[Move] = [
            make.write(lane, here, memory, room),
            make.read(lane, here, memory, room),
            make.send(lane, here, inbox, 1000 + turn, flags=FENCE, invalidate=token),
        ]
        await world.run(work)
        moved += work
    world.row(
        "FRMR, WRITE, READ, SEND+INV",
        described([m.size for m in moved]),
        moved,
        world.now() - start,
    )


@scenario()
async def fast_memory(world: World) -> None:
    """A region registered, used by its own side, invalidated and registered anew in one queue."""
    lane = await world.connect()
    mr = await world.a.fast_region(16)
    there = await world.b.region(400_000)
    first, second = world.a.memory(30_000), world.a.memory(50_000)
    moves: list[Move] = []
    for turn in range(6):
        memory = (first, second)[turn % 2]
        base = SOMEWHERE + turn * 0x10_0000
        moves = [
            fast_register(lane, mr, memory, base, RIGHTS | SILENT),
            make.write(lane, memory, there, 9000),
            make.send(lane, memory, there, 5000, parts=5),
            make.read(lane, memory, there, 7000, parts=3),
            Invalidate(lane, mr=mr),
        ]
        label = "FRMR, used locally, INVALIDATE" if turn == 5 else ""
        await world.run(moves, label, described([5000, 9000, 7000]))


@scenario(healthy=False)
async def stale_token(world: World) -> None:
    """After its invalidation a token opens nothing: the write fails and no byte changes."""
    lane = await world.connect()
    here = await world.a.region(20_000)
    mr = await world.b.fast_region(8)
    memory = world.b.memory(20_000)
    await world.run([fast_register(lane.back, mr, memory, SOMEWHERE)])
    await world.run([make.write(lane, here, memory, 5000)], "WRITE by a good token", "5000 B")
    await world.run([Invalidate(lane.back, mr=mr)])
    refused = make.write(lane, here, memory, 5000)
    assert refused.to is not None
    before = refused.to.image()
    refused.work.status = Status.ACCESS_VIOLATION
    assert refused.operation is OperationType.WRITE
    assert refused.post()
    refused.to.expect(before)
    await world.finished([refused.work])
    world.row("WRITE by a stale token: refused", "5000 B", [], 0)


@scenario(healthy=False, push=PushMode.NEVER)
async def unreadable_entries(world: World) -> None:
    """The send queue's memory fails once: every request ends in turn, nothing is written."""
    lane = await world.connect()
    here, there = await world.a.region(20_000), await world.b.region(20_000)
    await world.run([make.write(lane, here, there, 500)], "WRITE before", "500 B")
    ring = lane.qp.sq.buffer
    axi = world.a.device.axi
    axi.inject(Resp.SLVERR, address=ring.bus_address, size=len(ring.memory), writes=False, count=1)
    writes = [make.write(lane, here, there, 300, flags=OpFlag.DEFER) for _ in range(5)]
    writes.append(make.write(lane, here, there, 300))
    for number, write in enumerate(writes):
        assert write.to is not None
        before = write.to.image()
        write.work.status = Status.CANCELLED if number else Status.INVALID_DEVICE_REQUEST
        assert write.post()
        write.to.expect(before)
    await world.finished([write.work for write in writes])
    world.row("WRITEs whose entries cannot be read", "300 B", [], 0)
