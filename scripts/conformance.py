"""`make conformance`: every item of the checklist, the tests that decide it, and how they ended.

Runs the tests that name items (`tb.conformance.covers`), slow ones too: a module of cocotb tests is
run by the pytest tests that launch it, once, on Verilator where that is possible. What passed is
remembered as long as no source changes, so that a second call runs the rest. The table goes to the
terminal, the rows to build/conformance.json; the exit status counts failed and missing items.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import io
import json
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated

import pytest
import typer
from rich.console import Console
from rich.table import Table

from spec.checklist import ITEMS, LEFT_OUT
from tb.conformance import Claim, claims
from tb.sim import BUILD, RESULTS
from tb.sources import ROOT

REPORT = BUILD / "conformance.json"
RECORDS = BUILD / "conformance"
SOURCES = ("rtl", "spec", "tb", "tests", "driver_model")
QUIET = ("-q", "--no-header", "--no-summary", "--slow")
COLOURS = {"passed": "green", "failed": "red", "missing": "yellow", "left_out": "dim"}


@dataclass(frozen=True, slots=True)
class Record:
    """What one pytest test said: its outcome, and those of the cocotb tests it ran."""

    node: str
    outcome: str
    cases: dict[str, bool] = field(default_factory=dict)  # module.test/parameters -> passed


@dataclass(frozen=True, slots=True)
class Row:
    """The verdict on one item."""

    id: str
    tests: list[str]
    status: str
    reason: str


# ---------------------------------------------------------------- judging


def judge(found: Sequence[Claim], records: Iterable[Record]) -> list[Row]:
    """One row per item."""
    results = _results(records)
    naming: dict[str, list[Claim]] = {item: [] for item in ITEMS}
    for claim in found:
        for item in claim.items:
            naming[item].append(claim)
    return [_row(item, naming[item], results) for item in ITEMS]


def _row(item: str, deciding: Sequence[Claim], results: dict[str, list[bool]]) -> Row:
    if item in LEFT_OUT:
        return Row(item, [], "left_out", LEFT_OUT[item])
    if not deciding:
        return Row(item, [], "missing", "no test names it")
    names = [claim.name for claim in deciding]
    silent = [name for name in names if not results.get(name)]
    wrong = [name for name in names if not all(results.get(name, []))]
    words = [f"{name} failed" for name in wrong] + [f"{name} did not run" for name in silent]
    return Row(item, names, "failed" if words else "passed", "; ".join(words))


def _results(records: Iterable[Record]) -> dict[str, list[bool]]:
    """Every verdict on a test, by the name its claim has."""
    results: dict[str, list[bool]] = {}
    for record in records:
        file, _, test = record.node.partition("::")
        name = file.removesuffix(".py").replace("/", ".") + "." + test.split("[")[0]
        results.setdefault(name, []).append(record.outcome == "passed")
        for case, passed in record.cases.items():
            results.setdefault(case.split("/")[0], []).append(passed)
    return results


# ---------------------------------------------------------------- choosing


class Collector:
    """pytest plugin: what there is to run."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the tests."""
        self.items = list(session.items)


def collect() -> list[pytest.Item]:
    """Every test."""
    collector = Collector()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main([*QUIET, "--collect-only"], [collector])
    if code != pytest.ExitCode.OK:
        print(said.getvalue())
        raise typer.Exit(2)
    return collector.items


@cache
def source_of(function: Callable[..., object]) -> str:
    """Its text; looking that up takes long."""
    return inspect.getsource(function)


def launches(item: pytest.Item, module: str) -> bool:
    """The pytest test runs this module of cocotb tests."""
    source = source_of(item.function)  # type: ignore[attr-defined]
    if f'"{module}"' in source:
        return True
    package, _, name = module.rpartition(".")
    params = getattr(item, "callspec", None)
    return f"{package}.{{" in source and params is not None and name in params.params.values()


def runs(item: pytest.Item, claim: Claim) -> bool:
    """The pytest test is this one, or launches it."""
    if claim.is_cocotb:
        return launches(item, claim.module)
    file, _, test = item.nodeid.partition("::")
    module = file.removesuffix(".py").replace("/", ".")
    return (module, test.split("[")[0]) == (claim.module, claim.test)


def on_one_simulator(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Verilator where it is possible, and what has no simulator."""

    def simulator(item: pytest.Item) -> str | None:
        params = getattr(item, "callspec", None)
        return params.params.get("simulator") if params else None

    return [
        item
        for item in items
        if simulator(item) != "icarus" or not any(simulator(i) == "verilator" for i in items)
    ]


def choose(items: Sequence[pytest.Item], wanted: Sequence[Claim]) -> list[str]:
    """The pytest tests that decide the claims."""
    nodes: dict[str, None] = {}
    for claim in wanted:
        running = [item for item in items if runs(item, claim)]
        nodes.update((item.nodeid, None) for item in on_one_simulator(running))
    return list(nodes)


# ---------------------------------------------------------------- running


class Recorder:
    """pytest plugin: writes down each test as it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun = time.time()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test was set up, called or torn down."""
        if report.when != "call" and report.outcome == "passed":
            return
        cases: dict[str, bool] = {}
        for key, value in report.user_properties:
            if key == RESULTS:
                cases |= read_results(Path(str(value)), self.begun)
        record = Record(report.nodeid, report.outcome, cases)
        with self.path.open("a") as handle:
            handle.write(json.dumps(asdict(record)) + "\n")


def read_results(path: Path, since: float) -> dict[str, bool]:
    """The cocotb tests of a run; none of a file that an earlier run left."""
    if not path.exists() or path.stat().st_mtime < since:
        return {}
    try:
        cases = list(ET.parse(path).iter("testcase"))
    except ET.ParseError:  # the simulator died
        return {}
    return {
        f"{case.get('classname')}.{case.get('name')}": case.find("failure") is None
        and case.find("error") is None
        for case in cases
        if case.find("skipped") is None
    }


def fingerprint() -> str:
    """A name for all sources, so that no result outlives what it was about."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def read_records(path: Path) -> dict[str, Record]:
    """What is known of each test; the last word counts, a failed teardown after it."""
    records: dict[str, Record] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        record = Record(**json.loads(line))
        records[record.node] = record
    return records


def show(rows: Sequence[Row], console: Console) -> None:
    """The table and its sum."""
    table = Table("item", "what", "tests", "result", box=None, pad_edge=False)
    for row in rows:
        shown = [name.split(".", 1)[1] for name in row.tests]
        where = ", ".join(shown) or row.reason
        status = f"[{COLOURS[row.status]}]{row.status}[/]"
        table.add_row(row.id, ITEMS[row.id], where, status)
    console.print(table)
    for row in rows:
        if row.status == "failed":
            console.print(f"[red]{row.id}[/]: {row.reason}")
    counts = {name: sum(row.status == name for row in rows) for name in COLOURS}
    console.print(", ".join(f"{count} {name}" for name, count in counts.items()))


def main(
    only: Annotated[list[str] | None, typer.Option(help="these items (several times)")] = None,
    jobs: Annotated[int, typer.Option("-n", help="tests at once")] = 1,
    fresh: Annotated[bool, typer.Option(help="run again what passed")] = False,
    run: Annotated[bool, typer.Option(help="--no-run judges by what is known")] = True,
) -> None:
    """Run what decides the checklist and judge every item."""
    found = claims()
    wanted = [claim for claim in found if not only or set(only) & set(claim.items)]
    path = RECORDS / f"{fingerprint()}.jsonl"
    RECORDS.mkdir(parents=True, exist_ok=True)
    if fresh:
        path.unlink(missing_ok=True)
    known = {node for node, record in read_records(path).items() if record.outcome == "passed"}
    if run:
        nodes = [node for node in choose(collect(), wanted) if node not in known]
        print(f"{len(nodes)} tests to run, {len(known)} known to pass", flush=True)
        if nodes:
            pytest.main([*QUIET, "-n", str(jobs if jobs > 1 else 0), *nodes], [Recorder(path)])
    records = read_records(path)
    rows = judge(found, records.values())
    if only:
        rows = [row for row in rows if row.id in only]
    else:
        REPORT.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    show(rows, Console(width=None if sys.stdout.isatty() else 160))
    for record in records.values():
        if record.outcome != "passed":  # perhaps in a case that names no item
            print(f"{record.outcome}: {record.node}")
    if any(row.status in ("failed", "missing") for row in rows):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
