"""The bench of the register block: an AXI4-Lite master, and what the block tells the adapter."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from tb.streams import cycles, reset, start_clock

INPUTS = (
    "gid_rd_index", "gid_match_addr", "admin_status", "status", "stat_events",
    "stat_tx_bytes", "stat_rx_bytes", "stat_tx_rdma_bytes", "stat_rx_rdma_bytes",
)  # fmt: skip


@dataclass
class Bench:
    """Clock, reset, the master, and a log of the one-cycle commands."""

    dut: SimHandleBase
    master: AxiLiteMaster
    commands: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: float = 0.0) -> Self:
        """Connect and reset; ``stall`` is how often each AXI channel holds back."""
        for name in INPUTS:
            getattr(dut, name).value = 0
        start_clock(dut)
        # Its own reset follows the pin.
        master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        for half in (master.write_if, master.read_if):
            half.log.setLevel("WARNING")
        if stall:
            for channel in (
                master.write_if.aw_channel, master.write_if.w_channel, master.write_if.b_channel,
                master.read_if.ar_channel, master.read_if.r_channel,
            ):  # fmt: skip
                channel.set_pause_generator(random.random() < stall for _ in itertools.count())
        bench = cls(dut, master)
        await reset(dut)
        cocotb.start_soon(bench._log_commands())
        return bench

    async def write(self, address: int, data: bytes | int) -> AxiResp:
        """Write bytes, or one 32-bit number; returns the response."""
        data = data if isinstance(data, bytes) else data.to_bytes(4, "little")
        answer = await with_timeout(self.master.write(address, data), 100, "us")
        return answer.resp

    async def read(self, address: int) -> tuple[int, AxiResp]:
        """Read one word; returns it with the response."""
        answer = await with_timeout(self.master.read(address, 4), 100, "us")
        return int.from_bytes(answer.data, "little"), answer.resp

    async def word(self, address: int) -> int:
        """Read one word that must be there."""
        value, response = await self.read(address)
        assert response == AxiResp.OKAY, hex(address)
        return value

    async def answer(self, *names: str, after: int) -> list[int]:
        """Values of outputs ``after`` that many cycles."""
        await cycles(self.dut, after)
        await ReadOnly()
        values = [int(getattr(self.dut, name).value) for name in names]
        await RisingEdge(self.dut.clk)
        return values

    async def _log_commands(self) -> None:
        """Note every cycle of every command."""
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            if dut.admin_doorbell_en.value == 1:
                self.commands.append(("doorbell", int(dut.admin_doorbell_index.value)))
            if dut.admin_cq_index_en.value == 1:
                self.commands.append(("cq_index", int(dut.admin_cq_index.value)))
            if dut.soft_reset_en.value == 1:
                self.commands.append(("soft_reset", 1))
