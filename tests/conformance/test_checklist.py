"""The checklist is whole, and `make conformance` cannot say passed of what did not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.conformance import Record, choose, judge, launches, read_results
from spec.checklist import ITEMS, LEFT_OUT
from tb.conformance import Claim, claims, claims_in, covers


def test_every_item_is_there_once() -> None:
    assert list(ITEMS) == [f"ROCE-{number:03}" for number in range(1, 243)]
    assert all(ITEMS.values())
    assert len(set(ITEMS.values())) == len(ITEMS)


def test_claims_name_items_that_are_not_left_out() -> None:
    assert claims()
    for claim in claims():
        assert not [item for item in claim.items if item not in ITEMS], claim.name
        assert not [item for item in claim.items if item in LEFT_OUT], claim.name


def test_reasons_for_leaving_out_are_given() -> None:
    assert set(LEFT_OUT) <= set(ITEMS)
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())


def test_every_claim_is_run_by_some_test(request: pytest.FixtureRequest) -> None:
    files = list(Path(request.config.rootpath, "tests").rglob("test_*.py"))
    texts = [path.read_text() for path in files]
    for claim in claims():
        if claim.is_cocotb:
            package, _, name = claim.module.rpartition(".")
            run = [t for t in texts if f'"{claim.module}"' in t
                   or (f"{package}.{{" in t and f'"{name}"' in t)]  # fmt: skip
            assert run, f"nothing launches {claim.module}"


def test_covers_takes_items_only() -> None:
    for items in ((), ("ROCE-7",), ("ROCE-001", "x")):
        with pytest.raises(ValueError, match="no items"):
            covers(*items)


SOURCE = """
@cocotb.test()
@covers("ROCE-001", "ROCE-002")
async def inside(dut): ...

@pytest.mark.slow
@covers("ROCE-002")
def test_outside(): ...

def test_of_nothing(): ...
"""


def test_claims_are_read_from_the_source() -> None:
    inside, outside = claims_in(SOURCE, "tb.nic.some")
    assert inside == Claim("tb.nic.some", "inside", ("ROCE-001", "ROCE-002"), True)
    assert outside == Claim("tb.nic.some", "test_outside", ("ROCE-002",), False)
    with pytest.raises(ValueError, match="no test"):
        list(claims_in('@covers("ROCE-001")\ndef helper(): ...', "m"))


CLAIMS = (
    Claim("tb.nic.conf", "both", ("ROCE-001",), True),
    Claim("tb.nic.conf", "one", ("ROCE-001", "ROCE-002"), True),
    Claim("tests.model.test_m", "test_p", ("ROCE-003",), False),
)
NODE = "tests/conformance/test_conf.py::test_conf[verilator]"
GOOD = {"tb.nic.conf.both/x=1": True, "tb.nic.conf.both/x=2": True, "tb.nic.conf.one": True}


def statuses(*records: Record) -> list[str]:
    """Of the first four items."""
    return [row.status for row in judge(CLAIMS, records)[:4]]


def test_an_item_holds_when_all_its_tests_passed() -> None:
    test = Record("tests/model/test_m.py::test_p[1]", "passed")
    assert statuses(Record(NODE, "passed", GOOD), test) == ["passed"] * 3 + ["missing"]


def test_one_failure_is_enough() -> None:
    test = "tests/model/test_m.py::test_p"
    bad = Record(NODE, "failed", GOOD | {"tb.nic.conf.both/x=2": False})
    records = (bad, Record(f"{test}[1]", "passed"), Record(f"{test}[2]", "failed"))
    assert statuses(*records) == ["failed", "passed", "failed", "missing"]


def test_what_did_not_run_has_not_passed() -> None:
    assert statuses() == ["failed"] * 3 + ["missing"]
    part = {"tb.nic.conf.both/x=1": True}
    skipped = Record("tests/model/test_m.py::test_p", "skipped")
    assert statuses(Record(NODE, "passed", part), skipped) == ["failed"] * 3 + ["missing"]


def test_left_out_is_said_with_its_reason() -> None:
    rows = {row.id: row for row in judge(CLAIMS, [])}
    assert {item for item, row in rows.items() if row.status == "left_out"} == set(LEFT_OUT)
    assert rows["ROCE-048"].reason == LEFT_OUT["ROCE-048"]


RESULT = """<testsuites><testsuite>
<testcase classname="tb.m" name="a/x=1"/><testcase classname="tb.m" name="b"><failure/></testcase>
<testcase classname="tb.m" name="c"><skipped/></testcase></testsuite></testsuites>"""


def test_results_of_cocotb_are_read_and_old_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "results.xml"
    assert read_results(path, 0) == {}
    path.write_text(RESULT)
    assert read_results(path, 0) == {"tb.m.a/x=1": True, "tb.m.b": False}
    assert read_results(path, path.stat().st_mtime + 1) == {}
    path.write_text(RESULT[:30])
    assert read_results(path, 0) == {}


class Launcher:
    """As much of a pytest item as choosing needs."""

    def __init__(self, test: str, **params: object) -> None:
        self.nodeid = f"tests/m/test_n.py::{test}[{'-'.join(map(str, params.values()))}]"
        self.function = by_name if test == "by_name" else by_parameter
        self.callspec = self
        self.params = params


def by_name(sim: object) -> None:
    """A launcher of one module."""
    sim.run("top", tests="tb.nic.conf")  # type: ignore[attr-defined]


def by_parameter(sim: object, subject: str) -> None:
    """A launcher of several."""
    sim.run("top", tests=f"tb.nic.{subject}")  # type: ignore[attr-defined]


def test_launchers_are_found_and_run_on_one_simulator() -> None:
    assert launches(Launcher("by_name"), "tb.nic.conf")  # type: ignore[arg-type]
    assert not launches(Launcher("by_name"), "tb.nic.con")  # type: ignore[arg-type]
    assert launches(Launcher("by_parameter", subject="con"), "tb.nic.con")  # type: ignore[arg-type]
    assert not launches(Launcher("by_parameter", subject="x"), "tb.nic.con")  # type: ignore[arg-type]
    both = [Launcher("by_name", simulator=name) for name in ("icarus", "verilator")]
    nodes = choose(both, CLAIMS[:2])  # type: ignore[arg-type]
    assert nodes == ["tests/m/test_n.py::by_name[verilator]"]
    assert len(choose(both[:1], CLAIMS[:1])) == 1  # type: ignore[arg-type]
