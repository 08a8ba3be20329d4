"""The documentation names things that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
