"""`make sim`: two adapters on a wire, worked by their NDK providers, and every byte compared.

The simulation is a child process that tells its progress line by line (`tb.nic.progress`); this
program shows it, prints the table, and leaves build/sim/wire.pcap.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tb.nic.design import PAIR, PAIR_TOP
from tb.nic.progress import PROGRESS, ProgressReader, Row
from tb.nic.scenario import SMALL
from tb.nic.scenarios import SCENARIOS
from tb.pcap import PcapWriter, read_pcap
from tb.sim import (
    BUILD,
    DEFAULT_SEED,
    SIMULATORS,
    Design,
    SimulationFailed,
    build,
    run,
    runs_folder,
)
from tb.sources import ROOT

MODULE = "tb.nic.scenarios"
CAPTURE = BUILD / "sim" / "wire.pcap"
WIDTH = 136


@dataclass(slots=True)
class Course:
    """What became of one scenario."""

    name: str
    rows: list[Row] = field(default_factory=list)
    started: int = 0
    cycle: int = 0
    works: int = 0
    verdict: str = "not run"
    why: str = ""

    def hear(self, line: dict[str, Any]) -> None:
        """Take in what the simulation tells."""
        event = line["event"]
        self.cycle = line.get("cycle", self.cycle)
        if event == "start":
            self.started, self.verdict = self.cycle, "broken off"
        elif event == "work":
            self.works = line["done"]
        elif event == "row":
            names = ("operation", "sizes", "count", "bytes", "cycles")
            self.rows.append(Row(**{name: line[name] for name in names}))
        elif event == "end":
            self.verdict, self.why = ("ok" if line["ok"] else "FAILED"), line.get("why", "")


@dataclass(slots=True)
class Outcome:
    """What became of all of them."""

    courses: dict[str, Course]
    seconds: float = 0.0
    error: str = ""

    @property
    def good(self) -> bool:
        """Everything that was asked for ran, and was right."""
        return not self.error and all(c.verdict == "ok" for c in self.courses.values())

    @property
    def cycles(self) -> int:
        """Simulated cycles."""
        return sum(course.cycle - course.started for course in self.courses.values())


def simulate(
    names: Sequence[str],
    *,
    simulator: str = "verilator",
    seed: int = DEFAULT_SEED,
    waves: bool = False,
    small: bool = False,
    run_dir: Path | None = None,
    capture: Path | None = None,
    watch: Any = None,
) -> Outcome:
    """Run scenarios in one simulation; `watch` is called with every line of progress."""
    outcome = Outcome({name: Course(name) for name in names})
    run_dir = run_dir or runs_folder() / f"{PAIR_TOP}-{simulator}"
    with tempfile.TemporaryDirectory() as scratch:
        lines = Path(scratch) / "progress.jsonl"
        env = {PROGRESS: str(lines), SMALL: str(int(small))}
        knobs = {"simulator": simulator, "testcase": list(names), "seed": seed, "waves": waves}
        child = _Child(run_dir=run_dir, env=env, again=_again(names, simulator, seed), **knobs)
        reader = ProgressReader(lines)
        began = time.monotonic()
        child.start()
        alive = True
        while alive:
            child.join(0.2)
            alive = child.is_alive()
            for line in reader.poll():
                outcome.courses[line["scenario"]].hear(line)
                if watch is not None:
                    watch(line)
        outcome.seconds = time.monotonic() - began
        outcome.error = child.error
    save_capture(names, run_dir, capture or CAPTURE)
    return outcome


class _Child(threading.Thread):
    """Waits for the simulation, so that progress can be shown meanwhile."""

    def __init__(self, **knobs: Any) -> None:
        super().__init__(daemon=True)
        self._knobs = knobs
        self.error = ""

    def run(self) -> None:
        """Thread: build if necessary, and simulate."""
        try:
            run(PAIR_TOP, MODULE, **PAIR, **self._knobs)
        except SimulationFailed as error:
            self.error = str(error)
        except Exception as error:  # whatever it is, the parent must not call it a success
            self.error = f"{type(error).__name__}: {error}"


def _again(names: Sequence[str], simulator: str, seed: int) -> str:
    test = f" TEST={names[0]}" if len(names) == 1 else ""
    return f"make sim{test} SEED={seed} SIM={simulator}"


def save_capture(names: Sequence[str], run_dir: Path, target: Path) -> None:
    """All frames of a run in one capture, there at once or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}")
    writer = PcapWriter(part)
    frames = [
        frame
        for path in (run_dir / f"{name}.pcap" for name in names)
        if path.exists()
        for frame in read_pcap(path)
    ]
    for when, frame in sorted(frames, key=lambda entry: entry[0]):
        writer.write(when, frame)
    writer.close()
    part.replace(target)


# ------------------------------------------------------------------ what a person sees


class Bar:
    """A live bar on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, count: int) -> None:
        self._console = console
        self._count = count
        self._done = 0
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description:<16}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[what]}"),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("starting", total=count, what="")

    def __enter__(self) -> Bar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def line(self, line: dict[str, Any]) -> None:
        """Show a line of progress."""
        event, name = line["event"], line["scenario"]
        self._done += event == "end"
        if self._bar is not None:
            what = f"cycle {line['cycle']}" if "cycle" in line else ""
            if event == "work":
                what = f"{line['done']} completed, {what}"
            self._bar.update(self._task, description=name, completed=self._done, what=what)
        elif event == "end":
            verdict = "ok" if line["ok"] else f"FAILED: {line['why']}"
            self._console.print(f"[{self._done}/{self._count}] {name}: {verdict}", markup=False)
            sys.stdout.flush()


def table(outcome: Outcome, title: str) -> Table:
    """One line per operation."""
    sheet = Table(title=title)
    for name in ("scenario", "operation", "sizes"):
        sheet.add_column(name, overflow="fold")
    for name in ("requests", "bytes checked", "cycles", "Gbit/s"):
        sheet.add_column(name, justify="right", no_wrap=True)
    sheet.add_column("verdict", no_wrap=True)
    for course in outcome.courses.values():
        colour = "green" if course.verdict == "ok" else "bold red"
        verdict = f"[{colour}]{course.verdict}[/]"
        rows = course.rows or [Row("", "", 0, 0, 0)]
        for at, row in enumerate(rows):
            sheet.add_row(
                course.name if at == 0 else "",
                row.operation,
                row.sizes,
                str(row.count),
                f"{row.bytes:,}",
                str(row.cycles),
                f"{row.goodput:.1f}",
                verdict,
                end_section=at + 1 == len(rows),
            )
    return sheet


def show_list(console: Console) -> None:
    """The scenarios there are."""
    sheet = Table(box=None)
    sheet.add_column("scenario", no_wrap=True)
    sheet.add_column("what it does")
    for entry in SCENARIOS.values():
        sheet.add_row(entry.name, entry.about + ("  (default on Icarus)" if entry.quick else ""))
    console.print(sheet)


def selection(test: str, simulator: str) -> list[str]:
    """Scenarios by name, or all that the simulator is fast enough for."""
    if test:
        names = test.split(",")
        unknown = [name for name in names if name not in SCENARIOS]
        if unknown:
            raise typer.BadParameter(f"no scenario {', '.join(unknown)}; --test list shows them")
        return names
    return [name for name, entry in SCENARIOS.items() if entry.quick or simulator == "verilator"]


def main(
    test: Annotated[str, typer.Option(help="a scenario, several with commas, or 'list'")] = "",
    seed: Annotated[int, typer.Option(help="seed of every random choice")] = DEFAULT_SEED,
    sim: Annotated[str, typer.Option(help="verilator or icarus")] = "verilator",
    waves: Annotated[bool, typer.Option(help="leave an FST beside the log")] = False,
) -> None:
    """Run scenarios between two adapters and compare every byte."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if test == "list":
        show_list(console)
        return
    if sim not in SIMULATORS:
        raise typer.BadParameter(f"{sim} is none of {', '.join(SIMULATORS)}")
    names = selection(test, sim)
    small = sim == "icarus"
    if not build_design(console, sim, waves):
        raise typer.Exit(1)
    console.print(f"{len(names)} scenarios on {sim}, seed {seed}{', small' if small else ''}")
    with Bar(console, len(names)) as bar:
        outcome = simulate(
            names, simulator=sim, seed=seed, waves=waves, small=small, watch=bar.line
        )
    report(console, outcome, f"Two adapters on {sim}, seed {seed}; goodput at 250 MHz")
    if not outcome.good:
        raise typer.Exit(1)


def build_design(console: Console, sim: str, waves: bool) -> bool:
    """Build the simulation unless it is there; False with the reason printed."""
    sources = tuple((ROOT / path).resolve() for path in PAIR["sources"])
    design = Design(PAIR_TOP, sim, sources=sources, waves=waves)
    began = time.monotonic()
    try:
        with console.status(f"building two adapters for {sim}, some minutes the first time"):
            build(design)
    except SimulationFailed as error:
        console.print(str(error), markup=False)
        return False
    if time.monotonic() - began > 2:
        console.print(f"built in {time.monotonic() - began:.0f} s")
    return True


def report(console: Console, outcome: Outcome, title: str) -> None:
    """The table, what failed, and where things are."""
    console.print(table(outcome, title))
    speed = outcome.cycles / outcome.seconds if outcome.seconds else 0
    console.print(
        f"{outcome.cycles:,} cycles in {outcome.seconds:.0f} s: {speed:,.0f} a second;"
        f" frames in {CAPTURE.relative_to(ROOT)}"
    )
    for course in outcome.courses.values():
        if course.why:
            console.print(f"{course.name}: {course.why}", markup=False, style="red")
    if outcome.error:
        console.print(outcome.error[-6000:], markup=False)
    console.print("PASS" if outcome.good else "FAIL", style="green" if outcome.good else "bold red")


if __name__ == "__main__":
    typer.run(main)
