"""Random traffic between two adapters, and lies that its judges must notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tb.pcap import read_pcap
from tb.uvm.knobs import knobs_from
from tb.uvm.launch import Course, environment, run_seed
from tb.uvm.spoil import LIES

SMALL = {"qps": "2", "operations": "16", "largest": "3000", "rate": "50", "mtu": "0"}


def small_run(tmp_path: Path, seed: int, spoil: str = "", **more: str) -> Course:
    """A run of seconds."""
    return run_seed(seed, SMALL | more, spoil=spoil, run_dir=tmp_path / "run", keep=True)


@pytest.mark.nic
@pytest.mark.parametrize("seed", [1, 2])
def test_random_traffic(tmp_path: Path, seed: int) -> None:
    course = small_run(tmp_path, seed)
    assert course.ok, course.why
    assert course.summary["operations"] >= 16
    frames = read_pcap(tmp_path / "run" / "random_traffic.pcap")
    assert len(frames) == course.summary["frames"]


@pytest.mark.nic
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(101, 107))
def test_random_traffic_in_full(tmp_path: Path, seed: int) -> None:
    course = run_seed(seed, {}, run_dir=tmp_path / "run")
    assert course.ok, course.why


NOTICED = {
    "byte": "1 bytes wrong",
    "drop": "completed, not",
    "twice": "again",
    "length": "bytes",
    "frame": "bytes wrong in [0, 0]",
    "psn": "PSN",
}


@pytest.mark.nic
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_fails_the_run(tmp_path: Path, lie: str) -> None:
    course = small_run(tmp_path, 3, spoil=lie)
    assert not course.ok
    assert NOTICED[lie] in course.why


def test_knobs_follow_from_the_seed_and_may_be_set() -> None:
    drawn = knobs_from(7, {})
    assert drawn == knobs_from(7, {})
    assert any(knobs_from(seed, {}) != drawn for seed in range(8, 12))
    given = environment({"faults": "full", "qps": "5", "loss": "0.03", "near_wrap": "0"})
    knobs = knobs_from(7, given)
    assert (knobs.qps, knobs.chances["loss"], knobs.near_wrap) == (5, 0.03, False)
    assert (knobs.depth, knobs.rate) == (drawn.depth, drawn.rate)
    with pytest.raises(ValueError, match="no knob"):
        knobs_from(7, environment({"colour": "red"}))
