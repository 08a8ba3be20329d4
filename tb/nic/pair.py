"""Two adapters joined by a link, each with its own host memory: the bench of device tests."""

from __future__ import annotations

from typing import Any

from tb.axi_memory import Timing
from tb.host import SimDevice
from tb.link import Link, StreamEnd
from tb.raw_driver import Port, RawDriver, ipv4_gid
from tb.streams import reset, start_clock

PORTS = {
    "a": Port(
        bytes.fromhex("020000000001"),
        [ipv4_gid("10.0.0.1"), bytes.fromhex("20010db8" + "00" * 11 + "01")],
    ),
    "b": Port(
        bytes.fromhex("020000000002"),
        [ipv4_gid("10.0.0.2"), bytes.fromhex("20010db8" + "00" * 11 + "02")],
    ),
}


class Pair:
    """Adapters a and b, their devices and the wire."""

    def __init__(
        self, dut: Any, *, timing: Timing | None = None, seed: int = 1, **link: Any
    ) -> None:
        self.dut = dut
        self.devices = {
            side: SimDevice(dut, f"{side}_", timing=timing, seed=seed + number)
            for number, side in enumerate("ab")
        }
        ends = {side: StreamEnd(dut, f"{side}_m_axis_tx", f"{side}_s_axis_rx") for side in "ab"}
        self.ends = ends
        self.link = Link(dut.clk, ends["a"], ends["b"], seed=seed, **link)

    @classmethod
    async def start(cls, dut: Any, **knobs: Any) -> Pair:
        """Clock, reset, models."""
        start_clock(dut)
        pair = cls(dut, **knobs)
        await reset(dut)
        return pair

    async def raw_drivers(self) -> tuple[RawDriver, RawDriver]:
        """A raw driver on each side, adapters up."""
        drivers = tuple(RawDriver(self.devices[side], PORTS[side]) for side in "ab")
        for driver in drivers:
            await driver.start()
        return drivers[0], drivers[1]
