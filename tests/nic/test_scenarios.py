"""Scenarios between two adapters, each with its NDK provider; the same that `make sim` runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tb.nic.capture import check_capture
from tb.nic.design import PAIR, PAIR_TOP
from tb.nic.scenario import SMALL, SPOIL
from tb.nic.scenarios import SCENARIOS
from tb.run_sim import MODULE, Outcome, simulate
from tb.sim import Sim

LONG = {"both_ways", "many_qps", "path_mtus", "random_work"}
"""Left out of a plain pytest; `make sim` runs all of them."""


def run(sim: Sim, name: str, small: bool) -> Counter[str]:
    """One scenario; its frames by opcode, every one of them checked."""
    env = {SMALL: str(int(small))}
    folder = sim.run(PAIR_TOP, tests=MODULE, testcase=name, env=env, **PAIR)
    kinds = check_capture(folder / f"{name}.pcap")
    assert kinds, "no frame went over the wire"
    return kinds


@pytest.mark.nic
@pytest.mark.simulators("verilator")
@pytest.mark.parametrize(
    "name", [name for name, entry in SCENARIOS.items() if name not in LONG and not entry.quick]
)
def test_scenario(sim: Sim, name: str) -> None:
    run(sim, name, small=True)


@pytest.mark.nic
@pytest.mark.slow
@pytest.mark.simulators("verilator")
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_in_full(sim: Sim, name: str) -> None:
    run(sim, name, small=False)


@pytest.mark.nic
@pytest.mark.slow
@pytest.mark.simulators("verilator")
@pytest.mark.parametrize("seed", range(2, 8))
def test_random_work(sim: Sim, seed: int) -> None:
    folder = sim.run(PAIR_TOP, tests=MODULE, testcase="random_work", seed=seed, **PAIR)
    check_capture(folder / "random_work.pcap")


ONE_OF_EACH = (
    "RC_SEND_ONLY", "RC_SEND_FIRST", "RC_SEND_MIDDLE", "RC_SEND_LAST", "RC_SEND_ONLY_INV",
    "RC_WRITE_ONLY", "RC_WRITE_FIRST", "RC_WRITE_LAST", "RC_READ_REQUEST",
    "RC_READ_RESPONSE_FIRST", "RC_READ_RESPONSE_LAST", "RC_READ_RESPONSE_ONLY", "RC_ACK",
)  # fmt: skip


@pytest.mark.nic
@pytest.mark.simulators("verilator")
def test_one_of_each(sim: Sim) -> None:
    every_kind_is_sent(sim)


@pytest.mark.nic
@pytest.mark.slow
@pytest.mark.simulators("icarus")
def test_one_of_each_with_unknowns(sim: Sim) -> None:
    every_kind_is_sent(sim)


def every_kind_is_sent(sim: Sim) -> None:
    """The quick scenario uses every opcode that it can reach."""
    kinds = run(sim, "one_of_each", small=True)
    missing = [opcode for opcode in ONE_OF_EACH if not kinds[opcode]]
    assert not missing, f"never sent: {missing}"


def simulate_in(folder: Path, *names: str) -> Outcome:
    """What `make sim` does, elsewhere."""
    return simulate(names, small=True, run_dir=folder / "run", capture=folder / "wire.pcap")


@pytest.mark.nic
def test_run_reports_what_happened_and_leaves_a_capture(tmp_path: Path) -> None:
    outcome = simulate_in(tmp_path, "stale_token", "fence")
    assert outcome.good, outcome.error
    assert [course.verdict for course in outcome.courses.values()] == ["ok", "ok"]
    assert sum(row.bytes for row in outcome.courses["fence"].rows) > 10_000
    whole = check_capture(tmp_path / "wire.pcap")
    parts = [check_capture(tmp_path / "run" / f"{n}.pcap") for n in outcome.courses]
    assert whole == parts[0] + parts[1]


@pytest.mark.nic
def test_a_wrong_byte_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SPOIL, "1")
    outcome = simulate_in(tmp_path, "one_of_each")
    assert not outcome.good
    assert "1 bytes wrong" in outcome.courses["one_of_each"].why
