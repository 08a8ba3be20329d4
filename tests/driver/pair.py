"""Two adapters in plain Python with everything on them that most tests need."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from driver_model.device_loopback import LoopbackDevice
from driver_model.facade import Facade, WaitedCq, connect_pair
from driver_model.hw.nic import NicConfig
from driver_model.hw.send_queue import PushMode
from driver_model.loopback.world import World
from driver_model.memory import ConsumerBuffer
from driver_model.mr import Mr
from driver_model.ndkpi import NdkSge
from driver_model.pd import Pd
from driver_model.qp import Qp


@dataclass(slots=True)
class Side:
    """One end of a connection."""

    device: Any
    facade: Facade
    pd: Pd
    cq: WaitedCq
    qp: Qp
    memory: ConsumerBuffer
    mr: Mr

    @property
    def token(self) -> int:
        """Local and remote token of the region."""
        return self.mr.get_local_token_from_mr()

    def sge(self, offset: int = 0, length: int = 64) -> NdkSge:
        """A piece of the region."""
        return NdkSge(self.memory.address + offset, length, self.token)


@dataclass(slots=True)
class Pair:
    """Two ends, and the world they are in."""

    world: World
    a: Side
    b: Side

    async def pause(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.world.settle(nanoseconds)


async def open_side(
    world: World, number: int, push: PushMode = PushMode.INLINE_WHEN_EMPTY, **limits: int
) -> tuple[LoopbackDevice, Facade]:
    """An adapter that is up."""
    device = LoopbackDevice(world, **limits)
    config = NicConfig(
        mac=bytes([2, 0, 0, 0, 0, number]), addresses=(f"10.0.0.{number}",), push=push
    )
    return device, await Facade.open(device, config, world.event)


async def make_side(
    world: World,
    number: int,
    size: int = 40_000,
    cq_depth: int = 64,
    push: PushMode = PushMode.INLINE_WHEN_EMPTY,
    **qp: Any,
) -> Side:
    """An adapter with a PD, a CQ, a QP and a registered buffer."""
    device, facade = await open_side(world, number, push)
    return await furnish(device, facade, f"qp {number}", size, cq_depth, **qp)


async def furnish(
    device: Any, facade: Facade, context: str, size: int = 40_000, cq_depth: int = 64, **qp: Any
) -> Side:
    """A PD, a CQ, a QP and a registered buffer on an adapter that is up."""
    pd = await facade.create_pd()
    cq = await facade.create_cq(cq_depth)
    pair = await facade.create_qp(pd, cq, cq, context=context, **qp)
    memory = facade.memory.allocate(size, offset=100)
    mr = await facade.register(pd, memory)
    return Side(device, facade, pd, cq, pair, memory, mr)


async def make_pair(world: World, connected: bool = True, **side: Any) -> Pair:
    """Two sides, connected."""
    a = await make_side(world, 1, **side)
    b = await make_side(world, 2, **side)
    if connected:
        await connect_pair((a.facade, a.qp), (b.facade, b.qp))
    return Pair(world, a, b)


def paired(scenario: Callable[[Pair], Coroutine[Any, Any, None]], **options: Any) -> Pair:
    """Run a scenario on a fresh pair."""
    world = World()

    async def whole() -> Pair:
        pair = await make_pair(world, **options)
        await scenario(pair)
        return pair

    return world.run(whole())
