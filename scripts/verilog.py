"""The device as plain Verilog-2005 for tools that want that, written by Yosys.

Nothing of SystemVerilog is left; Icarus compiles the result as Verilog-2005 to prove it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scripts.lint import relative, yosys
from tb.sim import BUILD
from tb.sources import ROOT, closure, module_index


def target_of(top: str) -> Path:
    """Where the Verilog of a module goes."""
    return BUILD / f"{'rnic' if top == 'rnic_top' else top}_verilog2005.v"


def write(top: str, target: Path) -> None:
    """Write ``top`` and all below it to ``target``."""
    out = target.relative_to(ROOT)
    commands = [
        f"read_verilog -sv -Irtl/include {' '.join(relative(closure(top)))}",
        f"hierarchy -check -top {top}",
        "proc",
        # One enable per memory word, not one per bit: a simulator pays for each.
        "opt_reduce",
        "opt_expr -mux_bool",
        "opt_clean",
        "check -assert",
        f"write_verilog -noattr {out}",
    ]
    target.parent.mkdir(exist_ok=True)
    path = target.with_suffix(".ys")
    path.write_text("\n".join(commands) + "\n")
    subprocess.run([yosys(), "-q", "-s", str(path.relative_to(ROOT))], cwd=ROOT, check=True)


def check(top: str, target: Path) -> None:
    """Compile as Verilog-2005; the language version is what is tested."""
    compiled = target.with_suffix(".vvp")
    command = ["iverilog", "-g2005", "-s", top, "-o", str(compiled), str(target)]
    subprocess.run(command, check=True)


def main() -> int:
    """Write and check the device, or the module that TOP names."""
    top = os.environ.get("TOP") or "rnic_top"
    if top not in module_index():
        print(f"verilog: rtl has no {top}.sv")
        return 1
    target = target_of(top)
    write(top, target)
    check(top, target)
    lines = target.read_text().count("\n")
    print(f"verilog: {target.relative_to(ROOT)}: {lines} lines, compiles as Verilog-2005")
    return 0


if __name__ == "__main__":
    sys.exit(main())
