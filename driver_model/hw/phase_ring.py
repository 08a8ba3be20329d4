"""Rings that the adapter writes: a phase bit, the last of an entry, tells new entries from old."""

from __future__ import annotations


def new_entry(ring: memoryview, entry: int, log_size: int, index: int) -> memoryview | None:
    """The entry of so many bytes at a free-running index, or None while it is not written."""
    size = 1 << log_size
    place = index % size * entry
    if ring[place + entry - 1] >> 7 != (index & size == 0):
        return None
    return ring[place : place + entry]
