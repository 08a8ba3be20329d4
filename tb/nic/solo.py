"""One adapter alone on its wire: a test plays whoever is on the other side, frame by frame."""

from __future__ import annotations

from typing import Any

from cocotb.triggers import ClockCycles

from spec.registers import OptionsReg, TimebaseReg
from tb.axi_memory import Timing
from tb.frames import Frame
from tb.host import SimDevice
from tb.link import Link, PeerEnd, StreamEnd
from tb.model.headers import Packet
from tb.model.packets import decode
from tb.raw_driver import Port, RawDriver
from tb.streams import reset, start_clock

QUIET = 300
"""Cycles without a frame after which an adapter has said what it had to say at once."""
EDGE_LIMIT = 20_000


class Solo:
    """The adapter, its driver, and what it has sent."""

    def __init__(self, dut: Any, port: Port, timing: Timing | None, seed: int) -> None:
        for name in ("s_axil_awprot", "s_axil_arprot", "s_axi_db_arid", "s_axi_db_araddr"):
            getattr(dut, name).value = 0
        self.dut = dut
        self.device = SimDevice(dut, timing=timing, seed=seed)
        self.end = PeerEnd()
        self.link = Link(dut.clk, StreamEnd(dut), self.end, seed=seed, keep=False)
        self.driver = RawDriver(self.device, port)
        self.sent: list[Packet] = []

    @classmethod
    async def start(
        cls, dut: Any, port: Port, *, timing: Timing | None = None, seed: int = 1
    ) -> Solo:
        """Clock, reset, models, and the adapter up."""
        start_clock(dut)
        solo = cls(dut, port, timing, seed)
        await reset(dut)
        await solo.driver.start()
        return solo

    def set_time(self, ack_tick: int, rnr_tick: int) -> None:
        """Cycles per unit of the two timers."""
        value = TimebaseReg(ack_tick=ack_tick, rnr_tick=rnr_tick)
        self.driver.device.write32(TimebaseReg.ADDRESS, value.to_int())

    def set_options(self, migreq: int, ack_every: int, ack_delay: int) -> None:
        """What the transport leaves free."""
        value = OptionsReg(migreq=migreq, ack_every=ack_every, ack_delay=ack_delay)
        self.driver.device.write32(OptionsReg.ADDRESS, value.to_int())

    def give(self, frame: bytes) -> None:
        """Put a frame on the wire to the adapter."""
        self.link.ba.to.give(Frame(0, frame))

    def collect(self) -> list[Packet]:
        """Everything the adapter has sent since its start, decoded; each with a good ICRC."""
        while len(self.sent) < len(self.end.received):
            self.sent.append(decode(self.end.received[len(self.sent)].data))
        return self.sent

    async def quiet(self, cycles: int = QUIET) -> None:
        """Wait until nothing has been sent for so many cycles."""
        for _ in range(EDGE_LIMIT):
            before = len(self.end.received)
            await ClockCycles(self.dut.clk, cycles)
            if len(self.end.received) == before:
                return
        raise AssertionError("the adapter never stops sending")

    async def sent_count(self, count: int, limit: int) -> bool:
        """Wait until so many frames were sent; False when that takes more cycles than allowed."""
        waited = 0
        while len(self.end.received) < count and waited < limit:
            await ClockCycles(self.dut.clk, 50)
            waited += 50
        return len(self.end.received) >= count
