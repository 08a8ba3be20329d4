"""House rules that no tool enforces, foremost what a tool gets wrong without a word."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tb.sources import ROOT, RTL, file_list, read_code

RTL_FILES = sorted(path for path in RTL.rglob("*") if path.suffix in (".sv", ".svh"))
MODULES = [path for path in RTL_FILES if path.suffix == ".sv"]

# What is accepted and then simulated or synthesised wrongly; why, and what to write instead.
SILENT = {
    "array of a struct": (
        r"\b\w+_t\s*\[[^\]]*\]\s*\w+\s*[;,=)]|\b\w+_t\s+\w+\s*\[[^\]]*\]\s*[;,=)]",
        "Yosys makes each element one bit wide; use a packed vector of the generated width",
    ),
    "unpacked array port": (
        r"\b(?:input|output|inout)\s+(?:(?:logic|bit|wire|reg|int|\w+_t|\w+_e)\b\s*)?"
        r"(?:signed\s*)?(?:\[[^\]]*\]\s*)*"
        r"(?!(?:logic|bit|wire|reg|int|signed|\w+_t|\w+_e)\b)[A-Za-z_]\w*\s*\[",
        "Icarus reads X through it; use a packed port [N-1:0][W-1:0]",
    ),
    "$bits": (
        r"\$bits\b",
        "Icarus says 0 in a parameter; use the generated width",
    ),
    "always @*": (
        r"\balways\s*@\s*(?:\*|\(\s*\*\s*\))",
        "never runs in Icarus when nothing on the right changes; use always_comb",
    ),
    "initial value": (
        r"\binitial\b",
        "power-up values hide a missing reset; reset what decides something",
    ),
}


def code_of(path: Path) -> str:
    """A file's text without comments and strings, its line count kept."""
    text = re.sub(r'"[^"\n]*"', '""', path.read_text())
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def findings(pattern: str, code: str) -> list[int]:
    """Lines on which a pattern begins."""
    return [code.count("\n", 0, match.start()) + 1 for match in re.finditer(pattern, code)]


@pytest.mark.parametrize("rule", SILENT)
def test_nothing_that_a_tool_gets_silently_wrong(rule: str) -> None:
    pattern, why = SILENT[rule]
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in RTL_FILES
        for line in findings(pattern, code_of(path))
    ]
    assert not found, f"{rule}: {why}: {', '.join(found)}"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("array of a struct", "  cqe_t ring [DEPTH];"),
        ("array of a struct", "  cqe_t [3:0] ring;"),
        ("unpacked array port", "  input  logic [7:0] s_data [4],"),
        ("unpacked array port", "  output logic m_valid [N]"),
        ("$bits", "localparam int W = $bits(cqe_t);"),
        ("always @*", "always @(*) k = 5;"),
        ("always @*", "always @* k = 5;"),
    ],
)
def test_the_rules_find_what_they_are_for(rule: str, code: str) -> None:
    assert findings(SILENT[rule][0], code)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("array of a struct", "  cqe_t cqe;"),
        ("array of a struct", "  logic [CQE_W-1:0] ring [DEPTH];"),
        ("unpacked array port", "  input  logic [N-1:0][W-1:0] s_data,"),
        ("unpacked array port", "  input  cqe_t s_cqe_data,"),
    ],
)
def test_the_rules_leave_the_right_way_alone(rule: str, code: str) -> None:
    assert not findings(SILENT[rule][0], code)


def test_a_file_holds_the_module_it_is_named_after() -> None:
    wrong = []
    for path in MODULES:
        modules = re.findall(r"^\s*module\s+(\w+)", read_code(path), re.MULTILINE)
        if modules != [path.stem]:
            wrong.append(f"{path.relative_to(ROOT)}: {modules}")
    assert not wrong


def test_a_module_says_first_what_it_is() -> None:
    silent = [p.name for p in MODULES if f"// {p.stem}: " not in p.read_text()[:500]]
    assert not silent


def test_no_tabs_and_no_trailing_blanks_in_rtl() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in RTL_FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "\t" in line or line != line.rstrip()
    ]
    assert not found


def test_the_file_list_is_current() -> None:
    assert (RTL / "rnic.f").read_text() == file_list(), "run `make spec`"


def tracked_texts() -> list[tuple[Path, str]]:
    """Every text file of the repository."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    texts = []
    for name in filter(None, names):
        path = ROOT / name
        try:
            texts.append((path, path.read_text()))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return texts


def test_no_path_of_a_machine() -> None:
    machine = re.compile(r"(?<![\w.~/-])/" + "(?:work|root|home|Users|tmp)" + r"/\w")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in tracked_texts()
        for match in machine.finditer(text)
    ]
    assert not found
