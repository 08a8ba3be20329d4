"""Moves with fresh memory on both sides, cut into as many pieces as a scenario wants."""

from __future__ import annotations

from driver_model.ndkpi import OpFlag
from tb.nic.image import Piece, Region, cut
from tb.nic.lane import Lane
from tb.nic.moves import NONE, Read, Send, Write

ROOM = 300
"""Bytes of a region that a piece may need beside its own."""


def pieces(lane: Lane, region: Region, size: int, parts: int) -> list[Piece]:
    """Fresh memory for a message, in parts anywhere; none at all for no parts."""
    return [region.take(n) for n in cut(lane.here.rng, size, parts)] if parts else []


def send(
    lane: Lane,
    source: Region,
    sink: Region,
    size: int,
    *,
    parts: int = 1,
    into: int = 1,
    spare: int = 0,
    flags: OpFlag = NONE,
    invalidate: int = 0,
) -> Send:
    """SEND from `source` of the lane's own side into `sink` of the other."""
    return Send(
        lane,
        local=pieces(lane, source, size, parts),
        flags=flags,
        into=pieces(lane, sink, size + spare, into),
        invalidate=invalidate,
    )


def write(
    lane: Lane, source: Region, sink: Region, size: int, *, parts: int = 1, flags: OpFlag = NONE
) -> Write:
    """RDMA WRITE from `source` of the lane's own side into `sink` of the other."""
    local = pieces(lane, source, size, parts)
    return Write(lane, local=local, flags=flags, to=sink.take(size))


def read(
    lane: Lane, sink: Region, source: Region, size: int, *, parts: int = 1, flags: OpFlag = NONE
) -> Read:
    """RDMA READ of `source` of the other side into `sink` of the lane's own."""
    local = pieces(lane, sink, size, parts)
    return Read(lane, local=local, flags=flags, source=source.take(size))
