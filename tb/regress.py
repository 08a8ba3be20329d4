"""`make regress`: random traffic between two adapters, many seeds side by side, all faults mixed.

Each seed is one simulation whose knobs follow from the seed. Dask hands them out: to processes of
this machine, or to the workers of an existing scheduler, which see the same checkout. After a
failure the others go on, unless `--stop` says no new one may begin. A failure is one line that
repeats it; the exit code is the verdict.

What stays is in build/regress: coverage.json, the functional coverage of all seeds added up (with
`--add`, that of earlier calls too); holes.txt, what was never met; runs.json, the runs' summaries.
The folder of a failed run stays in build/runs, those of good ones go.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from distributed import Client, LocalCluster, as_completed
from rich.console import Console
from rich.table import Table

from tb.nic.design import PAIR_TOP
from tb.run_sim import build_design
from tb.sim import BUILD
from tb.sources import ROOT
from tb.uvm import holes
from tb.uvm.knobs import LEVELS
from tb.uvm.launch import Course, reproducer

RESULTS = BUILD / "regress"
COVERAGE, HOLES, RUNS = RESULTS / "coverage.json", RESULTS / "holes.txt", RESULTS / "runs.json"
WIDTH = 120
HOLES_SHOWN = 25


def task(root: str, seed: int, knobs: dict[str, str]) -> dict[str, Any]:
    """What a worker does; it travels whole, so that a scheduler need not know this repository."""
    import sys  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415

    sys.path.insert(0, root)
    from tb.uvm.launch import run_seed  # noqa: PLC0415

    return asdict(run_seed(seed, knobs))


def spread(
    seeds: list[int], knobs: Mapping[str, str], jobs: int, scheduler: str, stop: bool = False
) -> Iterator[Course]:
    """Run all seeds and give each as it ends; a worker that dies fails its seed.

    With `stop` none begins behind a failure; those that are under way come to their end.
    """
    cluster = None
    if not scheduler:
        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
    client = Client(scheduler or cluster)
    waiting, names = deque(seeds), {}

    def begin() -> Any:
        seed = waiting.popleft()
        future = client.submit(task, str(ROOT), seed, dict(knobs), pure=False, retries=0)
        names[future.key] = seed
        return future

    try:
        at_once = max(1, sum(client.nthreads().values())) if stop else len(seeds)
        running = as_completed([begin() for _ in range(min(at_once, len(seeds)))])
        for future in running:
            seed, error = names[future.key], future.exception()
            if error is None:
                course = Course(**future.result())
            else:
                course = Course(seed, ok=False, why=f"{type(error).__name__}: {error}")
            future.release()
            if stop and not course.ok:
                waiting.clear()
            if waiting:
                running.add(begin())
            yield course
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def totals(courses: list[Course]) -> dict[str, int]:
    """What all runs did together."""
    sums: Counter[str] = Counter()
    for course in courses:
        summary: dict[str, Any] = course.summary
        for name in ("operations", "messages", "frames", "cycles"):
            sums[name] += summary.get(name, 0)
        for kind, count in summary.get("faults", {}).items():
            sums[f"fault: {kind}"] += count
        wire = summary.get("wire", {})
        sums["frames sent again"] += wire.get("retransmitted", 0)
        sums["NAKs"] += wire.get("naks", 0)
        sums["RNR NAKs"] += wire.get("rnr naks", 0)
        for stats in summary.get("stats", {}).values():
            sums["time-outs"] += stats.get("TIMEOUTS", 0)
            sums["frames without room"] += stats.get("DROP RX_OVERFLOW", 0)
    return dict(sums)


def show(console: Console, courses: list[Course], seconds: float) -> None:
    """What all runs did."""
    sheet = Table(title=f"{len(courses)} seeds in {seconds:.0f} s")
    sheet.add_column("what")
    sheet.add_column("count", justify="right")
    for name, count in totals(courses).items():
        sheet.add_row(name, f"{count:,}")
    console.print(sheet)


def show_coverage(console: Console, bins: Mapping[str, int]) -> None:
    """The groups, and the first of the holes."""
    sheet = Table(title="functional coverage")
    sheet.add_column("group")
    for name in ("bins", "met", "%", "hits"):
        sheet.add_column(name, justify="right")
    rows = holes.groups(bins)
    every, met, hits = (sum(getattr(row, n) for row in rows) for n in ("bins", "met", "hits"))
    for row in [*rows, holes.Group("all", every, met, hits)]:
        share = 100 * row.met // max(row.bins, 1)
        sheet.add_row(row.name, str(row.bins), str(row.met), str(share), f"{row.hits:,}")
    console.print(sheet)
    for why, count in sorted(holes.excluded(bins).items()):
        console.print(f"left out: {count} bins, {why}", markup=False, soft_wrap=True)
    missing = holes.holes(bins)
    for line in missing[:HOLES_SHOWN]:
        console.print(f"never met: {line.removeprefix('cross: ')}", markup=False, soft_wrap=True)
    if len(missing) > HOLES_SHOWN:
        more = f"and {len(missing) - HOLES_SHOWN} lines more in {HOLES.relative_to(ROOT)}"
        console.print(more, markup=False)


def main(
    seeds: Annotated[int, typer.Option(help="how many seeds")] = 8,
    first_seed: Annotated[
        int | None, typer.Option(help="the first of them; a random one when not given")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="simulations at once")] = 2,
    faults: Annotated[str, typer.Option(help="none, light or full")] = "full",
    scheduler: Annotated[str, typer.Option(help="address of a Dask scheduler to use")] = "",
    stop: Annotated[bool, typer.Option("--stop", help="begin no seed behind a failure")] = False,
    add: Annotated[
        bool, typer.Option("--add", help="add to the coverage that earlier calls have left")
    ] = False,
    knob: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value: set a knob of tb/uvm/knobs.py in every run"),
    ] = None,
) -> None:
    """Run random traffic with faults on the wire, one simulation per seed, and add it all up."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if faults not in LEVELS:
        raise typer.BadParameter(f"faults are {', '.join(LEVELS)}")
    knobs = {"faults": faults} | dict(given.split("=", 1) for given in knob or [])
    first = random.SystemRandom().randrange(1, 1 << 31) if first_seed is None else first_seed
    if not scheduler and not build_design(console, "verilator", waves=False):
        raise typer.Exit(1)
    console.print(f"{PAIR_TOP}: {seeds} seeds from {first} on, faults: {faults}, {jobs} at once")
    began = time.monotonic()
    courses: list[Course] = []
    for course in spread(list(range(first, first + seeds)), knobs, jobs, scheduler, stop):
        courses.append(course)
        tell(console, course, len(courses), seeds, knobs)
    show(console, courses, time.monotonic() - began)
    show_coverage(console, save(courses, add))
    bad = sorted(course.seed for course in courses if not course.ok)
    for seed in bad:
        console.print(f"failed: {reproducer(seed, knobs)}", markup=False, soft_wrap=True)
    whole = len(courses) == seeds and not bad
    console.print("PASS" if whole else "FAIL", style="green" if whole else "bold red")
    if not whole:
        raise typer.Exit(1)


def tell(console: Console, course: Course, done: int, every: int, knobs: Mapping[str, str]) -> None:
    """A line for a seed; a second one with what failed and how to repeat it."""
    summary = course.summary
    console.print(
        f"[{done}/{every}] seed {course.seed}: {'ok' if course.ok else 'FAILED'},"
        f" {summary.get('operations', 0)} operations, {summary.get('frames', 0)} frames,"
        f" {summary.get('cycles', 0):,} cycles",
        markup=False,
    )
    if not course.ok:
        console.print(f"  {course.why[:700]}", markup=False, style="red", soft_wrap=True)
        console.print(f"  log {course.log}", markup=False, soft_wrap=True)
        console.print(f"  again: {reproducer(course.seed, knobs)}", markup=False, soft_wrap=True)
    sys.stdout.flush()


def save(courses: list[Course], add: bool) -> Counter[str]:
    """The merged coverage, its holes, and the summaries; returns the first."""
    before = [holes.load(COVERAGE)] if add and COVERAGE.exists() else []
    bins = holes.merged([*before, *(course.bins for course in courses)])
    holes.save(bins, COVERAGE)
    HOLES.write_text("".join(f"{line}\n" for line in holes.holes(bins)))
    RUNS.write_text(json.dumps([course.summary for course in courses], indent=1))
    return bins


if __name__ == "__main__":
    typer.run(main)
