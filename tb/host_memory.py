"""Host memory as an adapter sees it: only what was granted exists, everything else is a trap.

Addresses are 64 bits wide and allocations never touch: a guard gap lies between any two, and gaps
are never granted. A write must lie in bytes granted for writing, exactly. A read works in bus
beats, which a bus without byte enables must fetch whole: every beat it touches must hold at least
one byte granted for reading, and the bytes of it that were not granted arrive as poison.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

GUARD_BYTES = 4096
POISON = b"\xdb"


class MemoryViolation(AssertionError):
    """The adapter touched memory that it was not given."""


@dataclass(slots=True)
class _Grants:
    """The bytes of one allocation that one direction may touch, as a union of granted ranges."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    merged: list[tuple[int, int]] = field(default_factory=list)

    def add(self, start: int, end: int) -> None:
        self.ranges.append((start, end))
        self._merge()

    def remove(self, start: int, end: int) -> None:
        self.ranges.remove((start, end))
        self._merge()

    def _merge(self) -> None:
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self.ranges):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self.merged = merged

    def covers(self, start: int, end: int) -> bool:
        return any(a <= start and end <= b for a, b in self.merged)

    def overlap(self, start: int, end: int) -> list[tuple[int, int]]:
        """The granted parts of a range."""
        parts = [(max(a, start), min(b, end)) for a, b in self.merged]
        return [(a, b) for a, b in parts if a < b]


@dataclass(slots=True, eq=False)
class Buffer:
    """Memory of the host with the address under which the adapter knows it."""

    address: int
    data: bytearray
    name: str = ""
    readable: _Grants = field(default_factory=_Grants)
    writable: _Grants = field(default_factory=_Grants)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    @property
    def view(self) -> memoryview:
        """The bytes themselves, as the host uses them."""
        return memoryview(self.data)

    def __str__(self) -> str:
        name = f" '{self.name}'" if self.name else ""
        return f"buffer{name} [{self.address:#x}, {self.address + self.size:#x})"


@dataclass(slots=True, eq=False)
class Watch:
    """A callback for writes by the adapter to a range; `cancel` ends it."""

    start: int
    end: int
    action: Callable[[int, int], None]
    memory: HostMemory

    def cancel(self) -> None:
        """Stop watching."""
        self.memory.watches.remove(self)


class HostMemory:
    """An address space with allocations, rights for the adapter, and watches on what it writes."""

    def __init__(self, base: int = 0x0000_0012_3400_0000, seed: int = 0) -> None:
        self._next = base
        self._random = random.Random(seed)
        self._starts: list[int] = []
        self._buffers: list[Buffer] = []
        self.watches: list[Watch] = []

    # ------------------------------------------------------------ the host's side

    def allocate(
        self, size: int, align: int = 4096, *, grant: bool = True, name: str = ""
    ) -> Buffer:
        """New zeroed memory behind a guard gap, all of it granted to the adapter by default."""
        if size <= 0:
            raise ValueError(f"a buffer of {size} bytes")
        gap = GUARD_BYTES * self._random.randint(1, 4)
        address = -(-(self._next + gap) // align) * align
        self._next = address + size
        buffer = Buffer(address, bytearray(size), name)
        self._starts.append(address)
        self._buffers.append(buffer)
        if grant:
            self.grant(address, size)
        return buffer

    def free(self, buffer: Buffer) -> None:
        """The memory is no more; its addresses are not used again."""
        index = self._buffers.index(buffer)
        del self._buffers[index], self._starts[index]

    def grant(self, address: int, size: int, read: bool = True, write: bool = True) -> None:
        """Let the adapter touch a range of one allocation; grants add up."""
        buffer, start, end = self._place(address, size)
        if read:
            buffer.readable.add(start, end)
        if write:
            buffer.writable.add(start, end)

    def revoke(self, address: int, size: int, read: bool = True, write: bool = True) -> None:
        """Take back one grant of exactly this range."""
        buffer, start, end = self._place(address, size)
        if read:
            buffer.readable.remove(start, end)
        if write:
            buffer.writable.remove(start, end)

    def read(self, address: int, size: int) -> bytes:
        """Bytes as the host reads them, granted or not."""
        buffer, start, end = self._place(address, size)
        return bytes(buffer.data[start:end])

    def write(self, address: int, data: bytes) -> None:
        """Bytes as the host writes them, granted or not."""
        buffer, start, end = self._place(address, len(data))
        buffer.data[start:end] = data

    def watch(self, address: int, size: int, action: Callable[[int, int], None]) -> Watch:
        """Call with address and length of every write of the adapter that touches the range."""
        watch = Watch(address, address + size, action, self)
        self.watches.append(watch)
        return watch

    def _place(self, address: int, size: int) -> tuple[Buffer, int, int]:
        buffer = self.find(address)
        if buffer is None or address + size > buffer.address + buffer.size:
            raise ValueError(f"[{address:#x}, {address + size:#x}) was never allocated")
        start = address - buffer.address
        return buffer, start, start + size

    def find(self, address: int) -> Buffer | None:
        """The allocation that holds an address."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        buffer = self._buffers[index]
        return buffer if address < buffer.address + buffer.size else None

    # ------------------------------------------------------------ the adapter's side

    def dma_read(self, address: int, size: int, beat: int = 64) -> bytes:
        """What a bus read returns; MemoryViolation when a beat of it holds nothing granted."""
        buffer = self.find(address)
        if buffer is not None:
            start = address - buffer.address
            if buffer.readable.covers(start, start + size):
                return bytes(buffer.data[start : start + size])
        return self._dma_read_by_beats(address, size, beat)

    def _dma_read_by_beats(self, address: int, size: int, beat: int) -> bytes:
        out = bytearray(POISON * size)
        at, end = address, address + size
        while at < end:
            until = min(end, (at // beat + 1) * beat)
            if not self._read_beat(at, until, memoryview(out)[at - address : until - address]):
                raise MemoryViolation(f"read of [{at:#x}, {until:#x}) {self._why(at, 'reading')}")
            at = until
        return bytes(out)

    def _read_beat(self, at: int, until: int, out: memoryview) -> bool:
        """Fill in what is granted of one beat; False when nothing is."""
        found = False
        for probe in {at: None, until - 1: None}:  # a beat may end in one buffer's tail or head
            buffer = self.find(probe)
            if buffer is None:
                continue
            base = buffer.address
            for a, b in buffer.readable.overlap(at - base, until - base):
                out[a + base - at : b + base - at] = buffer.data[a:b]
                found = True
        return found

    def dma_write(self, address: int, data: bytes) -> None:
        """A bus write of whole granted bytes; MemoryViolation, and nothing written, otherwise."""
        buffer = self.find(address)
        end = address + len(data)
        if buffer is None:
            raise MemoryViolation(f"write of [{address:#x}, {end:#x}) {self._why(address, '')}")
        start = address - buffer.address
        if not buffer.writable.covers(start, start + len(data)):
            why = self._why(address, "writing")
            raise MemoryViolation(f"write of [{address:#x}, {end:#x}) {why}")
        buffer.data[start : start + len(data)] = data
        for watch in list(self.watches):
            if address < watch.end and end > watch.start:
                watch.action(address, len(data))

    def _why(self, address: int, right: str) -> str:
        buffer = self.find(address)
        if buffer is not None:
            grants = buffer.readable if right == "reading" else buffer.writable
            base = buffer.address
            parts = ", ".join(f"[{base + a:#x}, {base + b:#x})" for a, b in grants.merged[:8])
            return f"in {buffer}, where only {parts or 'nothing'} is granted for {right}"
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return "below all allocated memory"
        before = self._buffers[index]
        return f"{address - before.address - before.size} bytes behind the end of {before}"
