"""`make bench`: cycles per packet and per message, and latencies, beside their bounds and budgets.

Runs the cocotb tests `tb.nic.bench_*` on two adapters, once for each host memory latency, prints a
table and leaves `build/bench/bench.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tb.nic.bench_rows import LATENCIES, ROWS, Result
from tb.nic.design import PAIR, PAIR_TOP
from tb.sim import BUILD, DEFAULT_SEED, SimulationFailed, run

MODULES = ("tb.nic.bench_bulk", "tb.nic.bench_small", "tb.nic.bench_latency", "tb.nic.bench_loss")
OUTPUT = BUILD / "bench"
WIDTH = 104
COLOUR = {"ok": "green", "over budget": "yellow", "over limit": "bold red"}


def measure(
    latency: int, *, test: Sequence[str] | None = None, output: Path = OUTPUT, **knobs: Any
) -> list[Result]:
    """Every row at one memory latency, or those of some cocotb tests."""
    run_dir = output / f"latency-{latency}"
    rows = run_dir / "rows.jsonl"
    run(
        PAIR_TOP,
        ",".join(MODULES),
        testcase=test,
        run_dir=run_dir,
        env={"BENCH_LATENCY": str(latency), "BENCH_RESULTS": str(rows)},
        **(PAIR | knobs),
    )
    return read_rows(rows)


def read_rows(path: Path) -> list[Result]:
    """What a run left, in the order of the table."""
    found = {row.id: row for row in (Result(**json.loads(line)) for line in path.open())}
    return [found[name] for name in ROWS if name in found]


def write_json(results: Sequence[Result], path: Path = OUTPUT / "bench.json") -> None:
    """All rows in one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([row.as_json() for row in results], indent=1) + "\n")


def table(results: Sequence[Result]) -> Table:
    """The rows as a person reads them: a line per row and latency."""
    sheet = Table(title="Cycles of 64 bytes; memory latency in cycles")
    for name in ("row", "unit", "latency", "measured", "bound", "budget", "limit", "verdict"):
        numeric = name in ("latency", "measured", "bound", "budget", "limit")
        sheet.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    order = list(ROWS)
    ordered = sorted(results, key=lambda row: (order.index(row.id), row.host_latency_cycles))
    for at, row in enumerate(ordered):
        first = at == 0 or ordered[at - 1].id != row.id
        last = at + 1 == len(ordered) or ordered[at + 1].id != row.id
        sheet.add_row(
            row.id if first else "",
            row.unit if first else "",
            str(row.host_latency_cycles),
            *(_number(value) for value in (row.value, row.bound, row.budget, row.limit)),
            f"[{COLOUR[row.verdict]}]{row.verdict}[/]",
            end_section=last,
        )
    return sheet


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}".removesuffix(".00")


def main(
    test: Annotated[list[str] | None, typer.Option(help="a cocotb test of tb.nic.bench_*")] = None,
    seed: Annotated[int, typer.Option(help="seed of every random choice")] = DEFAULT_SEED,
    sim: Annotated[str, typer.Option(help="icarus or verilator")] = "verilator",
    waves: Annotated[bool, typer.Option(help="write an FST beside each log")] = False,
    latency: Annotated[list[int] | None, typer.Option(help="memory latency in cycles")] = None,
    jobs: Annotated[int, typer.Option(help="simulations at once")] = 2,
    optimize: Annotated[bool, typer.Option(help="build slower, run faster")] = False,
) -> None:
    """Measure, print and leave build/bench/bench.json; fails when a row is over its limit."""
    console = Console(width=max(WIDTH, Console().width))
    knobs: dict[str, Any] = {
        "test": test, "seed": seed, "simulator": sim, "waves": waves, "optimize": optimize,
    }  # fmt: skip
    try:
        with ThreadPoolExecutor(jobs) as pool, console.status("building and measuring"):
            runs = [pool.submit(measure, at, **knobs) for at in latency or LATENCIES]
            results = [row for each in runs for row in each.result()]
    except SimulationFailed as error:
        console.print(str(error), markup=False)
        sys.exit(1)
    write_json(results)
    console.print(table(results))
    sys.exit(any(row.verdict == "over limit" for row in results))


if __name__ == "__main__":
    typer.run(main)
