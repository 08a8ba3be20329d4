"""The seam between the provider and whatever it drives: a BAR, host memory, interrupts, a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class DmaBuffer(Protocol):
    """Memory that the adapter may read and write, contiguous on the bus."""

    @property
    def bus_address(self) -> int:
        """Where the adapter finds the first byte."""
        ...

    @property
    def memory(self) -> memoryview:
        """The bytes themselves, as the host uses them."""
        ...


class TimerHandle(Protocol):
    """An action that has not happened yet."""

    def cancel(self) -> None:
        """Forget the action; nothing happens when it is too late."""
        ...


class Device(Protocol):
    """One adapter's PCIe function, as the host sees it."""

    async def read32(self, offset: int) -> int:
        """Read a register; for bring-up and diagnosis only."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write a register: posted, in order with other writes."""
        ...

    def ring(self, offset: int, data: bytes) -> None:
        """Write 8 or 64 aligned bytes to the doorbell space: posted, in order."""
        ...

    def allocate(self, size: int, align: int = 4096) -> DmaBuffer:
        """Zeroed memory for the adapter."""
        ...

    def free(self, buffer: Any) -> None:
        """Give memory back; the adapter must not touch it any more."""
        ...

    def on_interrupt(self, vector: int, handler: Callable[[], None]) -> None:
        """Call the handler for every interrupt of a vector; it replaces an earlier one."""
        ...

    def now_ns(self) -> int:
        """Nanoseconds on the device's clock."""
        ...

    def call_later(self, delay_ns: int, action: Callable[[], None]) -> TimerHandle:
        """Do something later; 0 means soon, and never before this call has returned."""
        ...
