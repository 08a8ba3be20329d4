"""Frames on their way over the link, and what a test may have the wire do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tb.mac import Beats
from tb.model.headers import DecodeError, Packet
from tb.model.packets import decode, ipv4_checksum


@dataclass(slots=True)
class Frame:
    """A frame on its way."""

    number: int  # of this direction, from 1
    data: bytes
    time_ns: float = 0.0
    delay: int = 0  # cycles more than the link's own
    bad: bool = False
    beats: Beats | None = None
    note: object = None  # for who watches it go and arrive

    @property
    def packet(self) -> Packet | None:
        """The RoCEv2 packet in it, if it is one; its ICRC is not looked at."""
        try:
            return decode(self.data, check_icrc=False)
        except DecodeError:
            return None

    def changed(self, data: bytes) -> Frame:
        """The same frame with other bytes."""
        return replace(self, data=data, beats=None)


Rule = Callable[[Frame], Iterable[Frame] | None]
"""What the wire does to a frame: the frames that go on, or None for one it leaves alone."""


@dataclass(slots=True)
class Chance:
    """Probabilities, per frame."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    mark: float = 0.0  # Congestion Experienced
    bad: float = 0.0  # flagged by the MAC
    overtake: int = 200  # cycles by which a reordered frame is late, at most


def pick(
    what: Callable[[Frame], Iterable[Frame]],
    where: Callable[[Frame], bool] = lambda frame: True,
    skip: int = 0,
    count: int = 1,
) -> Rule:
    """A rule for `count` of the frames that fit, after the first `skip` of them."""
    seen = 0

    def rule(frame: Frame) -> Iterable[Frame] | None:
        nonlocal seen
        if not where(frame):
            return None
        seen += 1
        return what(frame) if skip < seen <= skip + count else None

    return rule


def drop(where: Callable[[Frame], bool] = lambda f: True, skip: int = 0, count: int = 1) -> Rule:
    """A rule that loses frames."""
    return pick(lambda frame: (), where, skip, count)


def duplicate(
    where: Callable[[Frame], bool] = lambda f: True, skip: int = 0, count: int = 1, late: int = 0
) -> Rule:
    """A rule that delivers frames twice, the second one late by so many cycles."""
    return pick(lambda f: (f, replace(f, delay=f.delay + late)), where, skip, count)


def hold(
    cycles: int, where: Callable[[Frame], bool] = lambda f: True, skip: int = 0, count: int = 1
) -> Rule:
    """A rule that delays frames, so that others overtake them."""
    return pick(lambda f: (replace(f, delay=f.delay + cycles),), where, skip, count)


def change(
    edit: Callable[[bytes], bytes],
    where: Callable[[Frame], bool] = lambda f: True,
    skip: int = 0,
    count: int = 1,
) -> Rule:
    """A rule that changes the bytes of frames."""
    return pick(lambda f: (f.changed(edit(f.data)),), where, skip, count)


def flip_bit(data: bytes, bit: int) -> bytes:
    """The same bytes with one bit inverted."""
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def mark_congestion(data: bytes) -> bytes:
    """What a switch with a full queue does to an IP frame."""
    out = bytearray(data)
    at = 18 if data[12:14] == b"\x81\x00" else 14
    kind = data[at - 2 : at]
    if kind == b"\x08\x00":
        out[at + 1] |= 3
        out[at + 10 : at + 12] = b"\0\0"
        out[at + 10 : at + 12] = ipv4_checksum(bytes(out[at : at + 20])).to_bytes(2, "big")
    elif kind == b"\x86\xdd":
        out[at + 1] |= 0x30
    return bytes(out)
