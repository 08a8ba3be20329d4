"""The documentation names things that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tb.nic.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#:]+)\)")


def known_names() -> set[str]:
    """Every function and coroutine of the benches and the tests."""
    names: set[str] = set()
    for folder in ("tb", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            names.update(re.findall(r"^\s*(?:async )?def (\w+)", path.read_text(), re.MULTILINE))
    return names


def test_verification_names_tests_that_exist() -> None:
    text = (ROOT / "docs/verification.md").read_text()
    rows = [line.split("|") for line in text.split("## What is decided where")[1].splitlines()]
    named = [name for row in rows if len(row) == 4 for name in CODE.findall(row[2])]
    assert len(named) > 40
    known = known_names()
    missing = [
        name for name in named if name not in known and not ("/" in name and (ROOT / name).exists())
    ]
    assert not missing


@pytest.mark.parametrize("page", sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md")))
def test_links_lead_somewhere(page: str) -> None:
    check_links(ROOT / page)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_front_pages_lead_somewhere(page: str) -> None:
    check_links(ROOT / page)


def check_links(path: Path) -> None:
    """Every relative link of a page is a file."""
    for target in LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md")),
]


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_told_exist(page: str) -> None:
    """Targets of make, and the scenario or bench that TEST= names."""
    text = (ROOT / page).read_text()
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target, rest in re.findall(r"(?:^\s*|`)make ([a-z-]+)([^`#\n]*)", text, re.MULTILINE):
        assert target in targets, f"make {target}"
        test = re.search(r"TEST=(\w+)", rest)
        if test and test[1] not in ("list", "NAME"):
            known = known_names() if target == "bench" else set(SCENARIOS)
            assert test[1] in known, f"make {target} TEST={test[1]}"


def module_of(source: str, instance: str) -> str | None:
    """The module of an instance in a source."""
    parameters = r"(?:#\s*\((?:[^()]|\([^()]*\))*\)\s*)?"
    found = re.search(rf"^\s*(\w+)\s+{parameters}{instance}\s*\(", source, re.MULTILINE)
    return found.group(1) if found else None


@pytest.mark.parametrize("view", sorted(path.name for path in ROOT.glob("tb/waves/*.gtkw")))
def test_views_of_waves_show_signals_that_exist(view: str) -> None:
    sources = {
        path.stem: path.read_text()
        for folder in ("rtl", "tb/hdl")
        for path in (ROOT / folder).rglob("*.sv")
    }
    text = (ROOT / "tb/waves" / view).read_text()
    shown = re.findall(r"^TOP\.([\w.]+)", text, re.MULTILINE)
    assert len(shown) > 20
    for path in shown:
        module, *instances, signal = path.split(".")
        for instance in instances:
            inner = module_of(sources[module], instance)
            assert inner in sources, f"{path}: no {instance} in {module}"
            module = inner
        assert re.search(rf"\b{signal}\b", sources[module]), f"{path}: no {signal} in {module}"
