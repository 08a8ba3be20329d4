"""Which test decides which item of the specification's checklist (`spec/checklist.py`).

    @cocotb.test()
    @covers("ROCE-097", "ROCE-098")
    async def a_gap_gets_one_nak(dut): ...

The numbers are read from the source, so they must be literals. `make conformance` runs the tests
that name items and judges each item by them: an item holds when every test that names it passed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tb.sources import ROOT

Test = TypeVar("Test")

ITEM = re.compile(r"ROCE-\d{3}")


def covers(*items: str) -> Callable[[Test], Test]:
    """Say that a test decides these items; works on cocotb tests and on those of pytest."""
    wrong = [item for item in items if not ITEM.fullmatch(item)]
    if wrong or not items:
        raise ValueError(f"no items of the checklist: {wrong}")
    return lambda test: test


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A test that names items."""

    module: str  # dotted: tb.nic.conf_psn
    test: str  # name of the function
    items: tuple[str, ...]
    is_cocotb: bool

    @property
    def name(self) -> str:
        """How the report calls it."""
        return f"{self.module}.{self.test}"


def claims() -> list[Claim]:
    """Every claim in the benches and the tests."""
    return sorted(claim for folder in ("tb", "tests") for claim in _claims_below(ROOT / folder))


def _claims_below(folder: Path) -> Iterator[Claim]:
    for path in folder.rglob("*.py"):
        text = path.read_text()
        if "@covers" in text:
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield from claims_in(text, module)


def claims_in(text: str, module: str) -> Iterator[Claim]:
    """The claims of one source file; ValueError for one that cannot be read or be run."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        calls = [mark for mark in node.decorator_list if isinstance(mark, ast.Call)]
        items = [
            ast.literal_eval(word)
            for call in calls
            if ast.unparse(call.func) == "covers"
            for word in call.args
        ]
        if not items:
            continue
        is_cocotb = any(ast.unparse(call.func) == "cocotb.test" for call in calls)
        if not is_cocotb and not node.name.startswith("test_"):
            raise ValueError(f"{module}.{node.name} names items and is no test")
        yield Claim(module, node.name, tuple(sorted(set(items))), is_cocotb)
