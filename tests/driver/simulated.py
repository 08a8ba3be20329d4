"""The scenarios of a consumer as simulation tests, each on two adapters fresh from reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import Event, Timer, with_timeout

from driver_model.facade import Facade, connect_pair
from driver_model.hw.nic import NicConfig
from tb.nic.pair import PORTS
from tb.nic.pair import Pair as Bench
from tests.driver.pair import Side, furnish
from tests.driver.scenarios import SCENARIOS, Scenario

ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2"}
LIMIT_US = 3000


@dataclass(slots=True)
class SimulatedPair:
    """Two sides, and simulated time."""

    a: Side
    b: Side

    async def pause(self, nanoseconds: int) -> None:
        """Let time pass."""
        await Timer(nanoseconds, "ns")


async def play(dut: Any, body: Scenario, connected: bool = True, **options: Any) -> None:
    """Bring both sides up, run a scenario, close what it left."""
    bench = await Bench.start(dut, seed=int(cocotb.RANDOM_SEED))
    sides = []
    for name, device in bench.devices.items():
        config = NicConfig(mac=PORTS[name].mac, addresses=(ADDRESSES[name],))
        facade = await Facade.open(device, config, Event)
        sides.append(await furnish(device, facade, name, **options))
    a, b = sides
    if connected:
        await connect_pair((a.facade, a.qp), (b.facade, b.qp))
    await body(SimulatedPair(a, b))
    for side in sides:
        left = [side.qp] if side.qp.is_open else []
        await side.facade.close(*left, side.mr, side.cq.cq, side.pd)


def make_test(name: str) -> Any:
    """A simulation test of one scenario."""
    body, options = SCENARIOS[name]

    async def test(dut: Any) -> None:
        await with_timeout(play(dut, body, **options), LIMIT_US, "us")

    test.__name__ = test.__qualname__ = name
    test.__module__ = __name__
    return cocotb.test()(test)


globals().update({name: make_test(name) for name in SCENARIOS})
