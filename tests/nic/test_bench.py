"""What the adapter must never cost more than, from the rows that `make bench` measures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tb.bench import measure
from tb.nic.bench_rows import ROWS, Result, result
from tb.sim import DEFAULT_SEED, runs_folder

SLOW_MEMORY = 250


def _measure(latency: int, folder: str, *tests: str) -> dict[str, Result]:
    output: Path = runs_folder() / folder
    seed = int(os.environ.get("SEED", DEFAULT_SEED))
    rows = measure(latency, test=list(tests) or None, output=output, seed=seed)
    return {row.id: row for row in rows}


@pytest.mark.slow
@pytest.mark.nic
def test_limits_hold_with_slow_memory() -> None:
    rows = _measure(SLOW_MEMORY, "bench")
    assert list(rows) == list(ROWS)
    over = [row for row in rows.values() if row.verdict == "over limit"]
    assert not over


@pytest.mark.nic
def test_pushed_entry_reaches_the_wire_in_time() -> None:
    row = _measure(SLOW_MEMORY, "bench-push", "push_to_wire")["push_to_wire"]
    assert row.limit is not None
    assert row.value <= row.limit


def test_verdict_names_the_worst() -> None:
    values = {"push_to_wire": ((30, "ok"), (31, "over budget"), (61, "over limit"))}
    for name, cases in values.items():
        for value, verdict in cases:
            assert result(name, 0, value, 0).verdict == verdict
