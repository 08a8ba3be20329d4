"""Time and host memory of adapters in plain Python; a coroutine runs by letting time pass."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from driver_model.loopback.nic import SoftNic

T = TypeVar("T")


@dataclass(order=True, slots=True)
class Timer:
    """Something that will happen."""

    at: int
    number: int
    action: Callable[[], None] = field(compare=False)
    off: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """It will not."""
        self.off = True


@dataclass(slots=True, eq=False)
class Buffer:
    """DMA-able memory."""

    bus_address: int
    memory: memoryview


class World:
    """The clock, the memory, and the adapters by GID."""

    def __init__(self) -> None:
        self.now = 0
        self.nics: dict[bytes, SoftNic] = {}
        self._timers: list[Timer] = []
        self._count = 0
        self._next = 0x1_0000_0000
        self._buffers: list[Buffer] = []
        self._starts: list[int] = []

    # ------------------------------------------------------------ time

    def call_later(self, delay_ns: int, action: Callable[[], None]) -> Timer:
        """Do something later."""
        self._count += 1
        timer = Timer(self.now + delay_ns, self._count, action)
        heapq.heappush(self._timers, timer)
        return timer

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is left."""
        while self._timers:
            timer = heapq.heappop(self._timers)
            if not timer.off:
                self.now = max(self.now, timer.at)
                timer.action()
                return True
        return False

    def settle(self, limit_ns: int = 10_000_000) -> None:
        """Let everything happen that happens within the limit."""
        end = self.now + limit_ns
        while self._timers and self._timers[0].at <= end:
            self.step()
        self.now = max(self.now, end)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that only waits for this world."""
        try:
            coroutine.send(None)
        except StopIteration as stop:
            value: T = stop.value
            return value
        raise RuntimeError("the coroutine waits for something else")

    def event(self) -> WorldEvent:
        """An event for the facade."""
        return WorldEvent(self)

    # ------------------------------------------------------------ memory

    def allocate(self, size: int, align: int = 4096) -> Buffer:
        """New memory with a gap before it."""
        address = -(-(self._next + 4096) // align) * align
        self._next = address + size
        buffer = Buffer(address, memoryview(bytearray(size)))
        self._buffers.append(buffer)
        self._starts.append(address)
        return buffer

    def free(self, buffer: Buffer) -> None:
        """The memory is no more."""
        index = self._buffers.index(buffer)
        del self._buffers[index], self._starts[index]

    def at(self, address: int, size: int) -> memoryview:
        """The bytes at a bus address; raises where an adapter must not reach."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0:
            offset = address - self._starts[index]
            memory = self._buffers[index].memory
            if offset + size <= len(memory):
                return memory[offset : offset + size]
        raise RuntimeError(f"DMA to [{address:#x}, {address + size:#x}): not allocated")


class WorldEvent:
    """Waiting is letting time pass."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._set = False

    def set(self) -> None:
        """Wake who waits."""
        self._set = True

    def clear(self) -> None:
        """Let the next one wait."""
        self._set = False

    async def wait(self) -> None:
        """Until it is set; raises when nothing is left that could set it."""
        while not self._set:
            if not self._world.step():
                raise RuntimeError("nothing will ever happen")
