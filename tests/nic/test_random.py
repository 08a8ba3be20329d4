"""Random traffic between two adapters, and lies that its judges must notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tb.pcap import read_pcap
from tb.regress import totals
from tb.uvm import holes
from tb.uvm.coverage import cross, every_bin, every_place
from tb.uvm.knobs import knobs_from
from tb.uvm.launch import Course, environment, reproducer, run_seed
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
def test_random_traffic_over_a_bad_wire(tmp_path: Path) -> None:
    wire = {"loss": "0.05", "corrupt": "0.02", "duplicate": "0.02", "weather": "0"}
    course = small_run(tmp_path, 4, faults="full", **wire)
    assert course.ok, course.why
    faults = course.summary["faults"]
    assert min(faults.get(kind, 0) for kind in ("loss", "duplicate")) > 0, faults
    assert course.summary["wire"]["retransmitted"] > 0


@pytest.mark.nic
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(101, 107))
def test_random_traffic_in_full(tmp_path: Path, seed: int) -> None:
    course = run_seed(seed, {"faults": "full"}, run_dir=tmp_path / "run")
    assert course.ok, course.why


def test_totals_add_up_and_failures_can_be_repeated() -> None:
    stats = {"a": {"TIMEOUTS": 2}, "b": {"TIMEOUTS": 1, "DROP RX_OVERFLOW": 4}}
    one = {"operations": 5, "frames": 9, "faults": {"loss": 2}, "wire": {"retransmitted": 3}}
    courses = [Course(1, ok=True, summary=one | {"stats": stats}), Course(2, ok=False, summary=one)]
    sums = totals(courses)
    assert (sums["operations"], sums["frames"], sums["fault: loss"]) == (10, 18, 4)
    assert (sums["frames sent again"], sums["time-outs"], sums["frames without room"]) == (6, 3, 4)
    line = reproducer(12, {"faults": "full", "qps": "3"})
    assert line == "make regress SEEDS=1 FIRST_SEED=12 FAULTS=full ARGS='--set qps=3'"


NOTICED = {
    "byte": ["1 bytes wrong"],
    # By what completes next or, when nothing comes behind it there, by what is left over.
    "drop": ["completed, not", "nothing completes any more"],
    "twice": ["again"],
    "length": ["bytes"],
    "frame": ["bytes wrong in [0, 0]"],
    "psn": ["PSN"],
}


@pytest.mark.nic
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_fails_the_run(tmp_path: Path, lie: str) -> None:
    course = small_run(tmp_path, 3, spoil=lie)
    assert not course.ok
    assert any(words in course.why for words in NOTICED[lie]), course.why


def test_holes_are_named_by_what_they_have_in_common() -> None:
    bins = dict.fromkeys(every_bin(), 1)
    assert holes.holes(bins) == []
    for place in every_place():
        if (place[2], place[3]) == (4096, "loss") or place[:2] == ("RC_SEND_ONLY", "odd"):
            bins[cross(*place)] = 0
    alone = cross("RC_ACK", "empty", 256, "delay", "steady")
    bins |= {"wrap CQ": 0, alone: 0}
    assert holes.holes(bins) == [
        "cross: no RC_SEND_ONLY odd (160 bins)",
        "cross: no PMTU 4096 loss fault (205 bins)",
        "cross: 1 bins more, alone in their corners",
        "wrap CQ",
    ]
    both = holes.merged([bins, {alone: 2, "wrap CQ": 1}])
    assert (both[alone], both["wrap CQ"], both["wrap SQ"]) == (2, 1, 1)
    row = next(row for row in holes.groups(both) if row.name == "cross")
    assert row.bins - row.met == 160 + 205 - 4
    assert sum(holes.excluded(both).values()) == 7


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
