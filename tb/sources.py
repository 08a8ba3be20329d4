"""Which source files a design needs: modules are found by name, includes by their directive.

A file holds the module it is named after, so the names that occur in a file tell what it needs. A
build is then touched only by what it uses.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RTL = ROOT / "rtl"
INCLUDES = (RTL / "include",)

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_INCLUDE = re.compile(r'`include\s+"([^"]+)"')


class UnknownModule(LookupError):
    """No file of the project is named after the module."""


def module_index(extra: Iterable[Path] = ()) -> dict[str, Path]:
    """Every module of the project and the file that holds it."""
    index: dict[str, Path] = {}
    for path in [*sorted(RTL.rglob("*.sv")), *extra]:
        index[path.stem] = path
    return index


@cache
def _code(path: Path, _mtime_ns: int) -> str:
    return _COMMENT.sub(" ", path.read_text())


def read_code(path: Path) -> str:
    """The text of a source file without its comments."""
    return _code(path, path.stat().st_mtime_ns)


def closure(top: str, extra: Iterable[Path] = ()) -> list[Path]:
    """The files that hold ``top`` and everything below it, what is used before what uses it."""
    index = module_index(extra)
    if top not in index:
        raise UnknownModule(f"no file {top}.sv under {RTL.relative_to(ROOT)}/")
    ordered: dict[Path, None] = {}
    visiting: set[Path] = set()

    def visit(path: Path) -> None:
        if path in ordered or path in visiting:
            return
        visiting.add(path)
        for word in dict.fromkeys(_WORD.findall(read_code(path))):
            if word in index and word != path.stem:
                visit(index[word])
        ordered[path] = None

    visit(index[top])
    return list(ordered)


def include_closure(sources: Iterable[Path]) -> list[Path]:
    """Every file of the project that ``sources`` include, directly or not."""
    found: dict[Path, None] = {}
    pending = list(sources)
    while pending:
        path = pending.pop()
        for name in _INCLUDE.findall(read_code(path)):
            for folder in (*INCLUDES, path.parent):
                target = (folder / name).resolve()
                if target.is_file() and target not in found:
                    found[target] = None
                    pending.append(target)
    return sorted(found)


def file_list() -> str:
    """The text of ``rtl/rnic.f``: every module, in dependency order."""
    ordered: dict[Path, None] = {}
    tops = ["rnic_top"] if (RTL / "rnic_top.sv").exists() else []
    for top in [*module_index(), *tops]:
        ordered.update(dict.fromkeys(p for p in closure(top) if p not in ordered))
    head = "// Every module, in dependency order. Written by `make spec`; paths from the root.\n"
    return head + "+incdir+rtl/include\n" + "".join(f"{p.relative_to(ROOT)}\n" for p in ordered)


if __name__ == "__main__":
    (RTL / "rnic.f").write_text(file_list())
    sys.stdout.write("wrote rtl/rnic.f\n")
