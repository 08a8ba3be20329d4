"""Yosys resources per module for UltraScale+, into docs/reference/synthesis.md.

The device (or every design that nobody uses, or TOP=) is mapped module by module, without
flattening, so that one run tells what each part costs. A memory that would become registers, or
a latch, is an error.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.lint import relative, roots, yosys
from tb.sim import BUILD
from tb.sources import ROOT, closure, module_index

REPORT = ROOT / "docs" / "reference" / "synthesis.md"
FOLDER = BUILD / "synth"
LARGEST_IN_REGISTERS = 2048
"""Bits: a memory this small may be registers, which is what a few entries with many ports need."""

COLUMNS = ("LUT", "FF", "LUTRAM", "BRAM36", "URAM", "DSP")


def weigh(cells: dict[str, int]) -> Counter[str]:
    """Primitives, counted in the columns of the report; a LUTRAM counts the LUTs it takes."""
    use: Counter[str] = Counter()
    for cell, count in cells.items():
        if re.fullmatch(r"\$lut|LUT\d|INV", cell):
            use["LUT"] += count
        elif re.fullmatch(r"FD[RSCP]E(_1)?", cell):
            use["FF"] += count
        elif cell.startswith("RAMB36"):
            use["BRAM36"] += 2 * count
        elif cell.startswith("RAMB18"):
            use["BRAM36"] += count
        elif cell.startswith("URAM"):
            use["URAM"] += count
        elif cell.startswith("DSP"):
            use["DSP"] += count
        elif match := re.match(r"RAM(\d+)(X\d+)?([A-Z]+\d*)", cell):
            use["LUTRAM"] += count * lutram_cost(int(match[1]), match[3])
        elif cell.startswith("SRL"):
            use["LUTRAM"] += count
    return use


def lutram_cost(depth: int, kind: str) -> int:
    """LUTs of one distributed RAM primitive."""
    if kind.startswith("M"):
        # RAM32M and RAM64M are four LUTs, RAM32M16 and RAM64M8 eight.
        return 4 if kind == "M" else 8
    ports = 2 if kind.startswith("D") else 1
    return ports * max(1, depth // 64)


def script(top: str) -> str:
    """Map ``top``; stop on the way to see which memories found no place.

    abc in place of synth_xilinx's abc9: a sixth more LUTs in a fraction of the time, since abc9
    looks at the whole design again for every module of it.
    """
    files = " ".join(relative(closure(top)))
    synth = f"synth_xilinx -family xcup -uram -noiopad -noclkbuf -top {top}"
    out = (FOLDER / top).relative_to(ROOT)
    return f"""
read_verilog -sv -Irtl/include {files}
hierarchy -check -top {top}
{synth} -run begin:map_ffram
select -assert-none t:$dlatch t:$_DLATCH_P_ t:$_DLATCH_N_
select t:$mem_v2
write_json -selected {out}.memories.json
select -clear
{synth} -run map_ffram:map_luts
opt_expr -mux_undef -noclkinv
abc -luts 2:2,3,6:5
clean
tee -q -o {out}.stat.json stat -json
"""


def synthesise(top: str) -> dict[str, Any]:
    """Run Yosys; the statistics of every module below ``top``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{top}.ys"
    path.write_text(script(top))
    command = [yosys(), "-q", "-l", str(path.with_suffix(".log").relative_to(ROOT))]
    done = subprocess.run(
        [*command, "-s", str(path.relative_to(ROOT))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"synth: {top}:\n{(done.stdout + done.stderr)[-3000:]}")
    stat: dict[str, Any] = json.loads((FOLDER / f"{top}.stat.json").read_text())["modules"]
    return stat


def memories_in_registers(top: str) -> list[str]:
    """Memories too large for registers that no RAM primitive could hold."""
    modules = json.loads((FOLDER / f"{top}.memories.json").read_text())["modules"]
    found = []
    for module, body in modules.items():
        for name, cell in body.get("cells", {}).items():
            keys = ("SIZE", "WIDTH", "WR_PORTS")
            size, width, writes = (to_int(cell["parameters"][key]) for key in keys)
            # Without a write port it is a table of constants: logic, not registers.
            if writes and size * width > LARGEST_IN_REGISTERS:
                found.append(f"{plain(module)}: {name} ({size} x {width})")
    return found


def to_int(value: str | int) -> int:
    """A parameter as Yosys writes it: a number, or bits."""
    return value if isinstance(value, int) else int(value, 2)


def plain(module: str) -> str:
    """A module's name without what Yosys adds for its parameters."""
    name = module.lstrip("\\")
    return name.split("\\")[1] if name.startswith("$paramod") else name


def totals(stat: dict[str, Any]) -> dict[str, Counter[str]]:
    """Resources of every module with all that is below it."""
    done: dict[str, Counter[str]] = {}

    def total(module: str) -> Counter[str]:
        if module not in done:
            cells: dict[str, int] = stat[module]["num_cells_by_type"]
            use = weigh({cell: n for cell, n in cells.items() if cell not in stat})
            for cell, n in cells.items():
                name = cell if cell in stat else f"\\{cell}"
                if name in stat:
                    use.update({key: n * part for key, part in total(name).items()})
            done[module] = use
        return done[module]

    for module in stat:
        total(module)
    return done


def rows(tops: list[str]) -> dict[str, Counter[str]]:
    """The largest variant of every module, by name."""
    table: dict[str, Counter[str]] = {}
    for top in tops:
        print(f"synth: {top}", flush=True)
        for module, use in totals(synthesise(top)).items():
            name = plain(module)
            if name not in module_index():
                continue
            if name not in table or use["LUT"] > table[name]["LUT"]:
                table[name] = use
    return table


def report(table: dict[str, Counter[str]]) -> str:
    """The page for docs/reference."""
    index = module_index()
    lines = [
        "# Synthesis",
        "",
        "Written by `make synth`: Yosys `synth_xilinx -family xcup -uram`, default parameters, no",
        "flattening, LUTs by abc; each row includes what is below the module. A module used with",
        "several parameters shows its largest variant. LUTRAM is in LUTs, and not part of LUT.",
        "",
        f"| Module | {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * len(COLUMNS)}",
    ]
    by_folder = sorted(table, key=lambda n: (n != "rnic_top", index[n].parent.name, n))
    for name in by_folder:
        use = table[name]
        halves = use["BRAM36"]
        shown = [use[column] if column != "BRAM36" else f"{halves / 2:g}" for column in COLUMNS]
        place = index[name].relative_to(ROOT / "rtl").parent
        label = name if str(place) == "." else f"{place}/{name}"
        lines.append(f"| {label} | {' | '.join(map(str, shown))} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Synthesise, report, and fail when a memory did not fit a RAM."""
    top = os.environ.get("TOP")
    tops = [top] if top else (["rnic_top"] if "rnic_top" in module_index() else roots())
    table = rows(tops)
    if top:
        print(report(table))
    else:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        Path(REPORT).write_text(report(table))
        print(f"synth: wrote {REPORT.relative_to(ROOT)}")
    lost = [line for t in tops for line in memories_in_registers(t)]
    for line in lost:
        print(f"synth: in registers, not in RAM: {line}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
