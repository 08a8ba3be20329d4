"""`make regress`: random traffic between two adapters, many seeds side by side, all faults mixed.

Each seed is one simulation whose knobs follow from the seed. Dask hands them out: to processes of
this machine, or to the workers of an existing scheduler, which see the same checkout. A failure is
one line that repeats it; the exit code is the verdict.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
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
from tb.uvm.coverage import groups
from tb.uvm.knobs import LEVELS
from tb.uvm.launch import Course, reproducer

COVERAGE = BUILD / "coverage"
WIDTH = 120


def task(root: str, seed: int, knobs: dict[str, str]) -> dict[str, Any]:
    """What a worker does; it travels whole, so that a scheduler need not know this repository."""
    import sys  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415

    sys.path.insert(0, root)
    from tb.uvm.launch import run_seed  # noqa: PLC0415

    return asdict(run_seed(seed, knobs))


def spread(
    seeds: list[int], knobs: Mapping[str, str], jobs: int, scheduler: str
) -> Iterator[Course]:
    """Run all seeds and give each as it ends; a worker that dies fails its seed."""
    cluster = None
    if not scheduler:
        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
    client = Client(scheduler or cluster)
    try:
        futures = {
            client.submit(task, str(ROOT), seed, dict(knobs), pure=False, retries=0): seed
            for seed in seeds
        }
        for future in as_completed(futures):
            seed = futures[future]
            error = future.exception()
            if error is None:
                yield Course(**future.result())
            else:
                yield Course(seed, ok=False, why=f"{type(error).__name__}: {error}")
            future.release()
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
    """Totals and functional coverage."""
    sheet = Table(title=f"{len(courses)} seeds in {seconds:.0f} s")
    sheet.add_column("what")
    sheet.add_column("count", justify="right")
    for name, count in totals(courses).items():
        sheet.add_row(name, f"{count:,}")
    console.print(sheet)
    bins = merge_bins(courses)
    sheet = Table(title="functional coverage")
    sheet.add_column("group")
    for name in ("bins", "met", "hits"):
        sheet.add_column(name, justify="right")
    for group, every, met, hits in groups(bins):
        sheet.add_row(group, str(every), str(met), f"{hits:,}")
    met = sum(count > 0 for count in bins.values())
    sheet.add_row("all", str(len(bins)), str(met), f"{sum(bins.values()):,}")
    console.print(sheet)


def merge_bins(courses: list[Course]) -> Counter[str]:
    """The functional coverage of all runs."""
    bins: Counter[str] = Counter()
    for course in courses:
        bins.update(course.bins)
    return bins


def main(
    seeds: Annotated[int, typer.Option(help="how many seeds")] = 8,
    first_seed: Annotated[
        int | None, typer.Option(help="the first of them; a random one when not given")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="simulations at once")] = 2,
    faults: Annotated[str, typer.Option(help="none, light or full")] = "full",
    scheduler: Annotated[str, typer.Option(help="address of a Dask scheduler to use")] = "",
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
    for course in spread(list(range(first, first + seeds)), knobs, jobs, scheduler):
        courses.append(course)
        tell(console, course, len(courses), seeds, knobs)
    show(console, courses, time.monotonic() - began)
    bad = sorted(course.seed for course in courses if not course.ok)
    save(courses, first, seeds)
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


def save(courses: list[Course], first: int, seeds: int) -> None:
    """The merged coverage and the summaries."""
    COVERAGE.mkdir(parents=True, exist_ok=True)
    name = f"{first}-{seeds}.json"
    bins = dict(sorted(merge_bins(courses).items()))
    (COVERAGE / f"functional-{name}").write_text(json.dumps(bins, indent=0))
    (COVERAGE / f"regress-{name}").write_text(
        json.dumps([course.summary for course in courses], indent=1)
    )


if __name__ == "__main__":
    typer.run(main)
