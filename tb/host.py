"""The driver's Device on the simulated adapter: BAR, DMA-able memory, interrupts, time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.task import Task
from cocotb.triggers import Timer

from tb.axi_memory import AxiMemory, Timing
from tb.host_memory import Buffer, HostMemory
from tb.pcie import DoorbellPort, InterruptPort, RegisterPort
from tb.ticker import Ticker, now_ns


class RegisterError(AssertionError):
    """The adapter answered a register read with an error."""


@dataclass(frozen=True, slots=True)
class SimBuffer:
    """DMA-able memory: where the adapter finds it, and its bytes."""

    bus_address: int
    memory: memoryview
    buffer: Buffer


class SimTimer:
    """A callback that has not run yet."""

    def __init__(self, task: Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        """Do not call back."""
        self._task.cancel()


class SimDevice:
    """One adapter of the simulation as the driver sees it; see `driver_model.device.Device`."""

    def __init__(
        self,
        dut: Any,
        prefix: str = "",
        *,
        memory: HostMemory | None = None,
        timing: Timing | None = None,
        seed: int = 0,
    ) -> None:
        self.name = prefix.rstrip("_") or "rnic"
        self.ticker = Ticker.of(dut.clk)
        self.memory = memory or HostMemory(seed=seed)
        self.axi = AxiMemory(dut, self.memory, prefix=f"{prefix}m_axi", timing=timing, seed=seed)
        self.registers = RegisterPort(dut, f"{prefix}s_axil", self.ticker)
        self.doorbells = DoorbellPort(dut, f"{prefix}s_axi_db", self.ticker)
        self.interrupts = InterruptPort(dut, f"{prefix}m_axis_irq", self.ticker)

    async def read32(self, offset: int) -> int:
        """Read a register."""
        answer = self.registers.read(offset)
        await answer.done.wait()
        if answer.resp:
            raise RegisterError(f"{self.name}: register {offset:#x} does not exist")
        return answer.value

    def write32(self, offset: int, value: int) -> None:
        """Posted register write."""
        self.registers.write(offset, value)

    def ring(self, offset: int, data: bytes) -> None:
        """Posted write to the doorbell page."""
        self.doorbells.write(offset, data)

    def allocate(self, size: int, align: int = 4096) -> SimBuffer:
        """Memory that the adapter may read and write."""
        buffer = self.memory.allocate(size, align)
        return SimBuffer(buffer.address, buffer.view, buffer)

    def free(self, buffer: SimBuffer) -> None:
        """Take memory back; the adapter must not touch it any more."""
        self.memory.free(buffer.buffer)

    def on_interrupt(self, vector: int, handler: Callable[[], None]) -> None:
        """Call at every interrupt of this vector."""
        self.interrupts.handlers[vector] = handler

    def now_ns(self) -> int:
        """Simulated time."""
        return int(now_ns())

    def call_later(self, delay_ns: int, action: Callable[[], None]) -> SimTimer:
        """Call once after a delay."""

        async def wait() -> None:
            await Timer(max(1, delay_ns), "ns")
            action()

        return SimTimer(cocotb.start_soon(wait()))
