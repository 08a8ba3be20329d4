"""Consumer memory with an image beside it: what every byte of it must be, guard zones included."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from driver_model.memory import ConsumerBuffer
from driver_model.ndkpi import PAGE_SIZE, NdkSge

GAP = (16, 200)
"""Bytes between two pieces of a region, at least and at most."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a region that one work request uses; what lies around them is a guard zone."""

    region: Region
    offset: int
    size: int

    @property
    def address(self) -> int:
        """How work requests name its first byte."""
        return self.region.base + self.offset

    def image(self) -> bytes:
        """What must be there."""
        return bytes(self.region.image[self.offset : self.offset + self.size])

    def now(self) -> bytes:
        """What is there."""
        return self.region.buffer.read(self.offset, self.size)

    def expect(self, data: bytes) -> None:
        """From now on this must be there."""
        self.region.image[self.offset : self.offset + len(data)] = data

    def put(self, data: bytes) -> None:
        """The host changes its memory itself."""
        self.region.buffer.write(data, self.offset)
        self.expect(data)

    def first(self, size: int) -> Piece:
        """Its beginning."""
        return Piece(self.region, self.offset, size)

    def sges(self) -> list[NdkSge]:
        """How a work request names it; a logical address reaches to the end of its page."""
        if not self.region.privileged or self.region.contiguous:
            return [NdkSge(self.address, self.size, self.region.token)]
        sges = []
        at, end = self.offset, self.offset + self.size
        while at < end:
            until = min(end, (at // PAGE_SIZE + 1) * PAGE_SIZE)
            bus = self.region.buffer.logical(at)
            sges.append(NdkSge(bus, until - at, self.region.token))
            at = until
        return sges


class Region:
    """Whole pages of a consumer; from `lead` on they are registered, up to `lead + size`."""

    def __init__(self, buffer: ConsumerBuffer, lead: int, size: int, rng: random.Random) -> None:
        self.buffer = buffer
        self.lead, self.size = lead, size
        self.base = buffer.address  # the virtual address of the buffer's first byte
        self.token = 0
        self.privileged = False
        first = buffer.pages[0]
        self.contiguous = all(p == first + PAGE_SIZE * n for n, p in enumerate(buffer.pages))
        self._rng = rng
        self._next = lead
        self.image = bytearray(rng.randbytes(buffer.size))
        buffer.write(bytes(self.image))

    @property
    def left(self) -> int:
        """Bytes that `take` can still give, gaps included."""
        return self.lead + self.size - self._next

    def take(self, size: int, align: int = 1, skew: int = 0) -> Piece:
        """A fresh piece, anywhere by default, else `skew` bytes behind a multiple of `align`."""
        at = self._next + self._rng.randint(*GAP)
        if align > 1:
            at += (skew - self.base - at) % align
        if at + size > self.lead + self.size:
            raise ValueError(f"a region of {self.size} bytes has no room for {size} more")
        self._next = at + size
        return Piece(self, at, size)

    def rewind(self) -> None:
        """Nothing is under way: use the whole region again, as it is."""
        self._next = self.lead

    def wrong(self) -> str | None:
        """What is not as it must be, or None."""
        return difference(self.buffer.read(), bytes(self.image))


def difference(found: bytes, expected: bytes) -> str | None:
    """Where two byte strings of one length differ, or None."""
    if found == expected:
        return None
    bad = [at for at, (x, y) in enumerate(zip(found, expected, strict=True)) if x != y]
    first, last = bad[0], bad[-1]
    was, should = found[first : first + 16].hex(), expected[first : first + 16].hex()
    return f"{len(bad)} bytes wrong in [{first}, {last}]: {was}... is not {should}..."


def cut(rng: random.Random, size: int, parts: int, empty: bool = True) -> list[int]:
    """Lengths of so many parts of a message, anywhere; some may be empty."""
    marks = sorted(rng.randint(0, size) for _ in range(parts - 1))
    lengths = [b - a for a, b in zip([0, *marks], [*marks, size], strict=True)]
    if empty or 0 not in lengths or size < parts:
        return lengths
    each = [size // parts] * parts
    each[-1] += size - sum(each)
    return each


def sgl(pieces: Sequence[Piece]) -> list[NdkSge]:
    """The scatter-gather list of some pieces."""
    return [sge for piece in pieces for sge in piece.sges()]
