"""Registered memory: regions, windows, and the one place that says whether an access is allowed."""

from __future__ import annotations

from dataclasses import dataclass

from tb.model.verbs import Access, Sge

REMOTE = Access.REMOTE_READ | Access.REMOTE_WRITE | Access.REMOTE_ATOMIC


class ProtectionError(Exception):
    """A key does not allow the access."""


@dataclass(slots=True, eq=False)
class Region:
    """A memory region; invalid ones keep their key and refuse everything."""

    key: int
    data: bytearray | memoryview
    address: int
    access: Access
    pd: int
    invalidatable: bool = False
    valid: bool = True
    windows: int = 0

    @property
    def length(self) -> int:
        """Bytes registered."""
        return len(self.data)


@dataclass(slots=True, eq=False)
class Window:
    """A memory window bound to a part of a region; type 2 belongs to one queue pair."""

    key: int
    region: Region
    address: int
    length: int
    access: Access
    pd: int
    qpn: int | None = None  # None: type 1
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that an access was granted."""

    region: Region
    offset: int
    length: int

    def read(self, at: int = 0, length: int | None = None) -> bytes:
        """Some of the bytes."""
        start = self.offset + at
        end = self.offset + self.length if length is None else start + length
        return bytes(self.region.data[start:end])

    def write(self, at: int, data: bytes) -> None:
        """Replace some of the bytes."""
        if at + len(data) > self.length:
            raise ProtectionError("write past the granted span")
        start = self.offset + at
        self.region.data[start : start + len(data)] = data


class Memory:
    """The key table of one adapter."""

    def __init__(self, first_index: int = 2) -> None:
        self._entries: dict[int, Region | Window] = {}
        self._next = first_index

    def _new_key(self, variant: int) -> int:
        self._next += 1
        return (self._next - 1) << 8 | variant

    def register(
        self,
        data: bytearray | memoryview,
        address: int,
        access: Access = Access.ALL,
        *,
        pd: int = 1,
        key: int | None = None,
        invalidatable: bool = False,
    ) -> Region:
        """Make bytes known to the adapter under an address and a key."""
        key = self._new_key(0x11) if key is None else key
        address = 0 if access & Access.ZERO_BASED else address
        region = Region(key, data, address, access, pd, invalidatable)
        self._entries[key >> 8] = region
        return region

    def bind(
        self,
        region: Region,
        address: int,
        length: int,
        access: Access,
        *,
        pd: int | None = None,
        qpn: int | None = None,
        key: int | None = None,
    ) -> Window:
        """Open a window on a region: type 2 when it belongs to a queue pair, else type 1."""
        offset = address - region.address
        if not (region.valid and region.access & Access.MW_BIND):
            raise ProtectionError("the region takes no windows")
        if offset < 0 or offset + length > region.length:
            raise ProtectionError("the window leaves the region")
        writes = access & (Access.REMOTE_WRITE | Access.REMOTE_ATOMIC)
        if writes and not region.access & Access.LOCAL_WRITE:
            raise ProtectionError("the region is not writable")
        key = self._new_key(0x21) if key is None else key
        window = Window(key, region, address, length, access, pd or region.pd, qpn)
        region.windows += 1
        self._entries[key >> 8] = window
        return window

    def deregister(self, key: int) -> None:
        """Forget a key."""
        del self._entries[key >> 8]

    def invalidate(self, key: int, pd: int, qpn: int) -> bool:
        """Make a key unusable until it is registered or bound again; False when that is refused."""
        entry = self._find(key)
        if entry is None or entry.pd != pd:
            return False
        if isinstance(entry, Window):
            if entry.qpn != qpn:
                return False
            entry.region.windows -= 1
        elif not entry.invalidatable or entry.windows:
            return False
        entry.valid = False
        return True

    def _find(self, key: int) -> Region | Window | None:
        entry = self._entries.get(key >> 8)
        if entry is None or entry.key != key or not entry.valid:
            return None
        return entry

    def remote(
        self, key: int, address: int, length: int | None, right: Access, pd: int, qpn: int
    ) -> Span:
        """The bytes a peer asks for, or ProtectionError; no length means all that the key opens."""
        entry = self._find(key)
        if entry is None:
            raise ProtectionError("no such key")
        if entry.pd != pd or (isinstance(entry, Window) and entry.qpn not in (None, qpn)):
            raise ProtectionError("another protection domain or queue pair")
        if right & ~entry.access:
            raise ProtectionError("no such right")
        if length is None:
            start, length = 0, entry.length
        elif entry.access & Access.ZERO_BASED:
            start = address
        else:
            start = address - entry.address
        if start < 0 or start + length > entry.length:
            raise ProtectionError("out of range")
        if isinstance(entry, Window):
            return Span(entry.region, entry.address - entry.region.address + start, length)
        return Span(entry, start, length)

    def local(self, sge: Sge, pd: int, write: bool) -> Span:
        """The bytes of a scatter or gather entry, or ProtectionError."""
        entry = self._find(sge.key)
        if not isinstance(entry, Region) or entry.pd != pd:
            raise ProtectionError("no such local key")
        if write and not entry.access & Access.LOCAL_WRITE:
            raise ProtectionError("not writable")
        start = sge.address - entry.address
        if start < 0 or start + sge.length > entry.length:
            raise ProtectionError("out of range")
        return Span(entry, start, sge.length)

    def gather(self, sges: tuple[Sge, ...], pd: int) -> bytes:
        """The payload that a list of entries describes."""
        return b"".join(self.local(sge, pd, write=False).read() for sge in sges if sge.length)

    def scatter(self, sges: tuple[Sge, ...], at: int, data: bytes, pd: int) -> None:
        """Place a part of a message into a list of entries."""
        for sge in sges:
            if not data:
                return
            if at >= sge.length:
                at -= sge.length
                continue
            part, data = data[: sge.length - at], data[sge.length - at :]
            self.local(sge, pd, write=True).write(at, part)
            at = 0
