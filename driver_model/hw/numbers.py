"""Numbers of the adapter's objects: who may take which, and when one may be taken again."""

from __future__ import annotations

from collections import deque


class NumberPool:
    """Numbers from `first` up to `end`; one given back is taken again as late as possible."""

    def __init__(self, first: int, end: int) -> None:
        self._free = deque(range(first, end))

    def take(self) -> int | None:
        """A number nobody has, or None."""
        return self._free.popleft() if self._free else None

    def give(self, number: int) -> None:
        """The number is free again."""
        self._free.append(number)

    def __len__(self) -> int:
        return len(self._free)


class KeyPool:
    """Memory tokens; an index that is taken again gets another key byte, so old tokens fail."""

    def __init__(self, count: int) -> None:
        # Index 0 stays unused: consumers take a token of 0 for none.
        self._indices = NumberPool(1, count)
        self._bytes: dict[int, int] = {}

    def take(self) -> int | None:
        """A token nobody has, or None."""
        index = self._indices.take()
        if index is None:
            return None
        key = (self._bytes.get(index, 0) + 1) & 0xFF
        self._bytes[index] = key
        return index << 8 | key

    def give(self, token: int) -> None:
        """The token is void, its index free again."""
        self._indices.give(token >> 8)

    def __len__(self) -> int:
        return len(self._indices)
