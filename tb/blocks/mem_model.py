"""Second opinion on the key table and the key check: dictionaries and whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from spec.codes import Access
from spec.layouts import KeyEntry, KeyKind
from spec.streams import KeyOp, MemReq, MemRsp, SegKind

WORD = 1 << 64
REMOTE = Access.REMOTE_READ | Access.REMOTE_WRITE | Access.REMOTE_ATOMIC


@dataclass(frozen=True)
class Registration:
    """What comes beside a REGISTER."""

    pages: int = 0
    length: int = 0
    shift: int = 12
    direct: int = 0


@dataclass(frozen=True)
class Answer:
    """What must come back: pieces are bus address and bytes."""

    ok: bool
    bus_error: bool = False
    pieces: tuple[tuple[int, int], ...] = ()

    def matches(self, rsp: MemRsp) -> bool:
        """Whether the answer says this; the address of an empty piece says nothing."""
        pieces = tuple((a, n) for a, n in ((rsp.addr0, rsp.len0), (rsp.addr1, rsp.len1)) if n)
        first = not self.pieces or rsp.len0 != 0
        same = (bool(rsp.ok), bool(rsp.bus_error), pieces) == (self.ok, self.bus_error, self.pieces)
        return same and first


@dataclass(frozen=True)
class Refused(Exception):
    """The check fails."""

    why: str


def _is_a_region(req: MemReq, reg: Registration) -> bool:
    """Whether a registration describes memory, with rights that memory can have."""
    rights = Access(req.access)
    writes = rights & (Access.REMOTE_WRITE | Access.REMOTE_ATOMIC)
    return (
        reg.length > 0
        and req.va + reg.length <= WORD
        and 12 <= reg.shift <= 30
        and not (reg.pages % 8 and not reg.direct)
        and not rights & (Access.MW_BIND | Access.ZERO_BASED)
        and not (writes and not rights & Access.LOCAL_WRITE)
    )


def _has_room(entry: KeyEntry, req: MemReq, reg: Registration) -> bool:
    """Whether the list of a registration is as long as its region allows."""
    first, last = req.va >> reg.shift, (req.va + reg.length - 1) >> reg.shift
    return bool(reg.direct) or not entry.limit or last - first + 1 <= entry.limit


class Keys:
    """The key table and what requests do with it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.entries: dict[int, KeyEntry] = {}

    def write(self, index: int, entry: KeyEntry) -> None:
        """An entry changes; indices beyond the table do not exist."""
        if index < self.count:
            self.entries[index] = entry

    def find(self, index: int) -> KeyEntry:
        """An entry, empty when never written."""
        return self.entries.get(index, KeyEntry())

    # ------------------------------------------------------------ INVALIDATE, REGISTER

    def modified(self, req: MemReq, reg: Registration) -> KeyEntry | None:
        """The new entry, or None when refused."""
        entry = self.find(req.token >> 8)
        if entry.kind != KeyKind.FAST_REG or entry.pd != req.pd:
            return None
        if req.op == KeyOp.INVALIDATE:
            if not entry.valid or entry.key != req.token & 0xFF:
                return None
            return replace(entry, valid=0)
        if entry.valid or not _is_a_region(req, reg) or not _has_room(entry, req, reg):
            return None
        return replace(
            entry, key=req.token & 0xFF, valid=1, access=req.access, base=req.va,
            length=reg.length, pages=reg.pages, page_shift=reg.shift, direct=reg.direct,
        )  # fmt: skip

    # ------------------------------------------------------------ CHECK

    def check(self, req: MemReq, read: Callable[[int], int | None]) -> Answer:
        """The answer to a CHECK; `read` gives a list entry at an address, None for a bus error."""
        if req.kind not in (SegKind.KEY, SegKind.WORD) or req.length == req.span == 0:
            return Answer(True)
        try:
            entry = self._allowed(req)
        except Refused:
            return Answer(False)
        pieces: list[tuple[int, int]] = []
        done = 0
        while done < req.length:
            address = self._place(entry, req.va + done, read)
            if address is None:
                return Answer(True, True)
            size = min(req.length - done, 4096 - address % 4096)
            pieces.append((address, size))
            done += size
        return Answer(True, False, tuple(pieces))

    def _allowed(self, req: MemReq) -> KeyEntry:
        entry = self.find(req.token >> 8)
        usable = (KeyKind.PRIVILEGED, KeyKind.MR, KeyKind.FAST_REG)
        if req.token >> 8 >= self.count or not entry.valid or entry.key != req.token & 0xFF:
            raise Refused("key")
        if entry.kind not in usable or entry.pd != req.pd:
            raise Refused("kind or domain")
        if entry.kind == KeyKind.PRIVILEGED:
            if req.access not in (0, Access.LOCAL_WRITE):
                raise Refused("right")
            return entry
        if any(req.access & right and not entry.access & right for right in Access):
            raise Refused("right")
        reach = max(req.length, req.span)
        if req.va < entry.base or req.va + reach > entry.base + entry.length:
            raise Refused("range")
        return entry

    def _place(self, entry: KeyEntry, va: int, read: Callable[[int], int | None]) -> int | None:
        if entry.kind == KeyKind.PRIVILEGED:
            return va % WORD
        if entry.direct:
            return (entry.pages + va - entry.base) % WORD
        page_size = 1 << entry.page_shift
        number, rest = divmod(va - entry.base + entry.base % page_size, page_size)
        page = read(entry.pages + 8 * number)
        return None if page is None else page + rest
