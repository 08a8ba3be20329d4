"""Functional coverage of many runs: added up, summed up, and what is missing, by name.

Five respects of a frame are crossed (`cross` bins); what was never met there is told as the largest
gaps: `PMTU 4096 with reorder fault` when no such frame was seen at all, and only then its corners.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

CROSS = re.compile(r"cross (\S+) (\S+) (PMTU \d+) (\S+ fault) (while .+)")
RESPECTS = 5
DEEPEST = 3
"""Gaps in more respects than these are counted, not named."""
IMPOSSIBLE: tuple[tuple[str, str], ...] = (
    (
        r"(cross|fault) .*RC_SEND_(LAST|ONLY)_INV .*while draining",
        "only queue pairs without the provider drain, and they send no invalidations",
    ),
)
"""Bins that no run can meet: a pattern of their names, and the reason."""

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A line of the table."""

    name: str
    bins: int
    met: int
    hits: int


def merged(each: Iterable[Mapping[str, int]]) -> Counter[str]:
    """The counts of many runs; bins that nobody met stay, with 0."""
    total: Counter[str] = Counter()
    for bins in each:
        total.update(bins)
    return total


def load(path: Path) -> dict[str, int]:
    """What a run, or `save`, has left."""
    bins: dict[str, int] = json.loads(path.read_text())
    return bins


def save(bins: Mapping[str, int], path: Path) -> None:
    """In a file that can be added to others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(sorted(bins.items())), indent=0))


def reason(name: str) -> str | None:
    """Why a bin cannot be met, or None."""
    return next((why for pattern, why in IMPOSSIBLE if re.fullmatch(pattern, name)), None)


def possible(bins: Mapping[str, int]) -> dict[str, int]:
    """Without the bins that cannot be met; one that was met all the same stays."""
    return {name: count for name, count in bins.items() if count or reason(name) is None}


def groups(bins: Mapping[str, int]) -> list[Group]:
    """Per first word, or per fault: bins, bins met, hits."""
    table: dict[str, list[int]] = defaultdict(list)
    for name, count in possible(bins).items():
        words = name.split()
        table[" ".join(words[:2]) if words[0] == "fault" else words[0]].append(count)
    return [
        Group(name, len(counts), sum(count > 0 for count in counts), sum(counts))
        for name, counts in sorted(table.items())
    ]


def holes(bins: Mapping[str, int]) -> list[str]:
    """What was never met: gaps of the cross first, then the other bins by name."""
    left = possible(bins)
    gaps = crossed({name: count for name, count in left.items() if name.startswith("cross ")})
    plain = [name for name, count in left.items() if not count and not name.startswith("cross ")]
    return gaps + sorted(plain)


def crossed(bins: Mapping[str, int]) -> list[str]:
    """The largest gaps among crossed bins, each as what it has in common."""
    places: dict[Place, int] = {}
    for name, count in bins.items():
        match = CROSS.fullmatch(name)
        if match is not None:
            places[match.groups()] = count
    empty = [place for place, count in places.items() if not count]
    told: list[dict[int, str]] = []
    lines = []
    for depth in range(1, DEEPEST + 1):
        for axes in combinations(range(RESPECTS), depth):
            sums: Counter[Place] = Counter()
            sizes: Counter[Place] = Counter()
            for place, count in places.items():
                corner = tuple(place[axis] for axis in axes)
                sums[corner] += count
                sizes[corner] += 1
            for corner in sorted(corner for corner in sizes if not sums[corner]):
                gap = dict(zip(axes, corner, strict=True))
                if not any(wider.items() <= gap.items() for wider in told):
                    told.append(gap)
                    lines.append(f"cross: no {' '.join(corner)} ({sizes[corner]} bins)")
    rest = sum(
        not any(all(place[axis] == word for axis, word in gap.items()) for gap in told)
        for place in empty
    )
    if rest:
        lines.append(f"cross: {rest} bins more, alone in their corners")
    return lines


def excluded(bins: Mapping[str, int]) -> Counter[str]:
    """How many bins cannot be met, by reason."""
    whys = (reason(name) for name, count in bins.items() if not count)
    return Counter(why for why in whys if why is not None)
