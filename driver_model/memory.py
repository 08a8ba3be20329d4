"""The consumer's memory: virtual addresses over pages scattered on the bus, described by MDLs."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from driver_model.device import Device, DmaBuffer
from driver_model.ndkpi import PAGE_SIZE

FIRST_ADDRESS = 0xFFFF_C000_0000_0000


@dataclass(frozen=True, slots=True)
class Mdl:
    """A locked piece of virtual memory and the bus addresses of its pages; `next` makes a chain."""

    virtual_address: int
    byte_count: int
    pages: tuple[int, ...]
    next: Mdl | None = None

    def parts(self) -> list[Mdl]:
        """Every MDL of the chain, this one first."""
        parts: list[Mdl] = []
        part: Mdl | None = self
        while part is not None:
            parts.append(part)
            part = part.next
        return parts


def pages_spanned(address: int, length: int) -> int:
    """Pages that a range of virtual memory touches."""
    return (address % PAGE_SIZE + length + PAGE_SIZE - 1) // PAGE_SIZE


def mdl_pages(mdl: Mdl, length: int) -> list[int] | None:
    """Bus addresses of the pages of a chain's first bytes; None unless they are contiguous."""
    pages: list[int] = []
    at = mdl.virtual_address
    left = length
    for part in mdl.parts():
        if left <= 0:
            break
        if part.virtual_address != at:
            return None
        # A part that begins inside a page begins in the page where the one before it ends.
        repeats = bool(pages) and at % PAGE_SIZE != 0
        if repeats and pages[-1] != part.pages[0]:
            return None
        take = min(left, part.byte_count)
        pages.extend(part.pages[int(repeats) : pages_spanned(at, take)])
        at += take
        left -= take
    return pages if left <= 0 else None


class ConsumerBuffer:
    """Virtually contiguous memory; its pages lie anywhere on the bus."""

    def __init__(self, address: int, size: int, pages: tuple[int, ...], store: DmaBuffer) -> None:
        self.address = address
        self.size = size
        self.pages = pages
        self.store = store
        self._view = store.memory

    @property
    def mdl(self) -> Mdl:
        """All of it."""
        return self.mdl_of(0, self.size)

    def mdl_of(self, offset: int, length: int, rest: Mdl | None = None) -> Mdl:
        """A part of it, optionally followed by another MDL."""
        start = self.address + offset
        first = (start - self.address + self.address % PAGE_SIZE) // PAGE_SIZE
        pages = self.pages[first : first + pages_spanned(start, length)]
        return Mdl(start, length, pages, rest)

    def logical(self, offset: int = 0) -> int:
        """Bus address of one byte, for SGEs with the privileged token."""
        at = self.address % PAGE_SIZE + offset
        return self.pages[at // PAGE_SIZE] + at % PAGE_SIZE

    def _pieces(self, offset: int, length: int) -> list[tuple[int, int, int]]:
        """Places in the store, and their offsets from the beginning of the range."""
        pieces = []
        done = 0
        while done < length:
            bus = self.logical(offset + done)
            size = min(length - done, PAGE_SIZE - bus % PAGE_SIZE)
            pieces.append((bus - self.store.bus_address, done, size))
            done += size
        return pieces

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes in virtual order."""
        length = self.size - offset if length is None else length
        self._check(offset, length)
        parts = [bytes(self._view[at : at + n]) for at, _, n in self._pieces(offset, length)]
        return b"".join(parts)

    def write(self, data: bytes, offset: int = 0) -> None:
        """Put bytes in virtual order."""
        self._check(offset, len(data))
        for at, begin, n in self._pieces(offset, len(data)):
            self._view[at : at + n] = data[begin : begin + n]

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"[{offset}, {offset + length}) of a buffer of {self.size} bytes")


class HostMemory:
    """Where virtual addresses lead; the provider reads through it what is sent inline."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._next = FIRST_ADDRESS
        self._starts: list[int] = []
        self._buffers: list[ConsumerBuffer] = []

    def allocate(self, size: int, *, offset: int = 0, scattered: bool = True) -> ConsumerBuffer:
        """Memory of the consumer, beginning `offset` bytes into its first page."""
        count = pages_spanned(offset, size)
        store = self._device.allocate(count * PAGE_SIZE, PAGE_SIZE)
        order = list(range(count))
        if scattered:
            # No page follows its neighbour on the bus, except in a buffer of two.
            order = order[1::2] + order[0::2]
        pages = tuple(store.bus_address + number * PAGE_SIZE for number in order)
        buffer = ConsumerBuffer(self._next + offset % PAGE_SIZE, size, pages, store)
        self._next += (count + 1) * PAGE_SIZE
        self._starts.append(buffer.address)
        self._buffers.append(buffer)
        return buffer

    def free(self, buffer: ConsumerBuffer) -> None:
        """Give memory back."""
        index = self._buffers.index(buffer)
        del self._buffers[index], self._starts[index]
        self._device.free(buffer.store)

    def read(self, address: int, length: int) -> bytes:
        """Bytes at a virtual address; ValueError where nothing is mapped."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            raise ValueError(f"{address:#x} is not mapped")
        return self._buffers[index].read(address - self._starts[index], length)
