"""What the wire does to frames by chance, and a note on each frame of what was done to it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tb.frames import Frame, flip_bit, mark_congestion
from tb.model.headers import DecodeError, Packet
from tb.model.packets import decode

PAUSE = 1500
"""Cycles for which the wire may stand still, at most."""
LONGEST = 2 * PAUSE
"""The same of several pauses in a row: no frame is so late that its sender gives up."""
CONGESTED = 3
CLEAN: tuple[str, ...] = ()


@dataclass(slots=True)
class Note:
    """What is known of a frame on its way."""

    way: str
    packet: Packet  # as sent
    faults: tuple[str, ...] = CLEAN
    spoiled: bool = False  # a receiver must not act on it
    marked: bool = False
    blemished: bool = False  # changed where no check looks: marks, priorities


class WireFaults:
    """Chooses, for each frame of one direction, what happens to it."""

    def __init__(
        self,
        rng: random.Random,
        chances: Mapping[str, float],
        overtake: int,
        now: Callable[[], int],
    ) -> None:
        self._rng, self.chances, self._overtake = rng, dict(chances), overtake
        self._now = now
        self._open = 0  # cycle from which the wire moves again
        self.counts: Counter[str] = Counter()

    def apply(self, frame: Frame, note: Note) -> list[Frame]:
        """The frames that go on, each with its note."""
        if self._happens("loss", note):
            return []
        frame = self._held_up(frame, note)
        straight = frame
        if self._happens("corrupt", note):
            frame = self._corrupted(frame, note)
        elif self._happens("mark", note):
            frame = frame.changed(mark_congestion(frame.data))
            note.marked = True
        if self._happens("bad", note):
            frame = replace(frame, bad=True)
            note.spoiled = True
        if self._happens("reorder", note):
            frame = replace(frame, delay=frame.delay + self._rng.randint(1, self._overtake))
        out = [replace(frame, note=note)]
        if self._happens("duplicate", note):
            again = Note(note.way, note.packet, ("duplicate",))
            late = straight.delay + self._rng.randint(0, self._overtake)
            out.append(replace(straight, delay=late, note=again))
        return out

    def _happens(self, kind: str, note: Note) -> bool:
        chance = self.chances.get(kind, 0.0)
        if not chance or self._rng.random() >= chance:
            return False
        self.counts[kind] += 1
        note.faults = (*note.faults, kind)
        return True

    def _held_up(self, frame: Frame, note: Note) -> Frame:
        """The wire stands still: this frame and all behind it come later, in order."""
        now = self._now()
        due = now + frame.delay
        if self._happens("delay", note):
            open_again = max(due, self._open) + self._rng.randint(1, PAUSE)
            self._open = min(open_again, due + LONGEST)
        return replace(frame, delay=max(due, self._open) - now)

    def _corrupted(self, frame: Frame, note: Note) -> Frame:
        data = frame.data
        if self._rng.random() < 0.1:
            data = data[: self._rng.randrange(14, len(data))]
        else:
            for _ in range(self._rng.choice([1, 1, 1, 2, 8])):
                data = flip_bit(data, self._rng.randrange(14 * 8, len(data) * 8))
        if harmful(data):
            note.spoiled = True
        else:
            note.blemished = True
            read = decode(data)
            note.marked = read.path.ecn == CONGESTED or read.bth.fecn
        return frame.changed(data)


def harmful(data: bytes) -> bool:
    """A receiver must notice; not so for a bit that no check covers."""
    try:
        decode(data)
    except DecodeError:
        return True
    return False
