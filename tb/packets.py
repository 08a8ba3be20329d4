"""Packets as beats of ``data``, ``keep`` and ``last``, lowest byte first."""

from __future__ import annotations

from collections.abc import Iterable

from tb.streams import Beat

BEAT_BYTES = 64


def to_beats(packet: bytes, beat_bytes: int = BEAT_BYTES, **extra: int) -> list[Beat]:
    """Cut a packet into beats; ``extra`` fields are the same in each."""
    beats = []
    for at in range(0, len(packet), beat_bytes):
        part = packet[at : at + beat_bytes]
        data = int.from_bytes(part, "little")
        last = int(at + beat_bytes >= len(packet))
        beats.append(Beat(data=data, keep=(1 << len(part)) - 1, last=last, **extra))
    return beats


def from_beats(beats: Iterable[Beat], beat_bytes: int = BEAT_BYTES) -> bytes:
    """Join the beats of one packet; holes in ``keep`` are an error."""
    packet = bytearray()
    for beat in beats:
        count = beat.keep.bit_length()
        if beat.keep != (1 << count) - 1 or (not beat.last and count != beat_bytes):
            raise AssertionError(f"keep {beat.keep:#x} has a hole at byte {len(packet)}")
        packet += (beat.data & (1 << 8 * count) - 1).to_bytes(count, "little")
    return bytes(packet)
