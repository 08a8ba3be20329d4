"""One random run from outside: start the simulation, and say what became of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tb.nic.design import PAIR, PAIR_TOP
from tb.sim import SimulationFailed, run, runs_folder

MODULE = "tb.uvm.tests"
TEST = "RandomTraffic"
SUMMARY = "summary.json"
FUNCTIONAL = "functional.json"
PREFIX = "RANDOM_"
BROKEN_OFF = "CancelledError"
ERROR = re.compile(r"^\s+((?:\w+\.)*\w*(?:Error|Fault|Violation|Exception): .+)$", re.MULTILINE)
"""The last line of a traceback."""


@dataclass(slots=True)
class Course:
    """What became of a seed."""

    seed: int
    ok: bool
    why: str = ""
    log: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    bins: dict[str, int] = field(default_factory=dict)


def environment(knobs: Mapping[str, str]) -> dict[str, str]:
    """Knobs set by hand, as a simulation reads them."""
    return {f"{PREFIX}{name.upper()}": value for name, value in knobs.items()}


def run_seed(
    seed: int,
    knobs: Mapping[str, str],
    *,
    spoil: str = "",
    run_dir: Path | None = None,
    waves: bool = False,
    keep: bool = False,
) -> Course:
    """Run one seed; nothing stays of a good one unless it is to be kept."""
    folder = run_dir or runs_folder() / f"random-{seed}"
    env = environment(knobs) | ({"RNIC_SPOIL": spoil} if spoil else {})
    course = Course(seed, ok=True)
    try:
        run(
            PAIR_TOP,
            MODULE,
            testcase=TEST,
            seed=seed,
            env=env,
            run_dir=folder,
            waves=waves,
            again=reproducer(seed, knobs),
            **PAIR,
        )
    except SimulationFailed as error:
        course.ok, course.why, course.log = False, str(error)[-300:], str(folder / "sim.log")
    _read(folder, course)
    if course.ok and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return course


def _read(folder: Path, course: Course) -> None:
    summary, bins = folder / SUMMARY, folder / FUNCTIONAL
    if summary.exists():
        course.summary = json.loads(summary.read_text())
        if not course.ok or course.summary["verdict"] != "ok":
            course.ok, course.why = False, course.summary["verdict"]
            if course.why.startswith(BROKEN_OFF):
                course.why = last_error(folder / "sim.log") or course.why
    elif course.ok:
        course.ok, course.why = False, "no summary"
    if bins.exists():
        course.bins = json.loads(bins.read_text())


def last_error(log: Path) -> str:
    """What a simulation said when something else than the test itself broke it off."""
    found = ERROR.findall(log.read_text(errors="replace")) if log.exists() else []
    return found[-1] if found else ""


def reproducer(seed: int, knobs: Mapping[str, str]) -> str:
    """The line that runs one seed again."""
    given = dict(knobs)
    faults = given.pop("faults", "")
    line = f"make regress SEEDS=1 FIRST_SEED={seed}"
    line += f" FAULTS={faults}" if faults else ""
    sets = " ".join(f"--set {name}={value}" for name, value in given.items())
    return line + (f" ARGS='{sets}'" if sets else "")
