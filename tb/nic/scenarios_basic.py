"""The shortest scenario that does one of everything: what a slow simulator can afford."""

from __future__ import annotations

from tb.nic import make
from tb.nic.moves import FENCE, INLINE, SILENT, Move, Send
from tb.nic.ndk import World
from tb.nic.scenario import scenario
from tb.nic.scenarios_memory import SOMEWHERE, fast_register


@scenario(quick=True)
async def one_of_each(world: World) -> None:
    """Every operation once or twice: SEND, WRITE, READ, inline, silent, fenced, FRMR, SEND+INV."""
    lane = await world.connect(256)
    here, there = await world.a.region(20_000), await world.b.region(20_000)
    fast = await world.b.fast_region(4)
    memory = world.b.memory(5000)
    await world.run([fast_register(lane.back, fast, memory, SOMEWHERE)])
    fetched = make.read(lane, here, there, 300, parts=2)
    moves: list[Move] = [
        make.write(lane, here, there, 17, flags=INLINE),
        make.send(lane, here, there, 600, parts=3, into=2, spare=5),
        make.write(lane, here, memory, 700, flags=SILENT),
        make.write(lane, here, there, 64, parts=2),
        fetched,
        Send(lane, local=fetched.local, into=[there.take(300)], flags=FENCE),
        make.send(lane, here, there, 0, parts=0, into=0),
        make.read(lane, here, memory, 65),
        make.send(lane, here, there, 3, flags=FENCE, invalidate=fast.get_remote_token_from_mr()),
        make.send(lane.back, there, here, 257),
        make.write(lane.back, there, here, 255, flags=SILENT),
        make.read(lane.back, there, here, 1),
    ]
    await world.run(moves, "one of each", "0 B - 700 B")
