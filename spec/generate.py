"""Write everything that follows from ``spec/``: ``python -m spec.generate``, or ``--check``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from spec import codes, emit_docs, emit_registers, emit_sv, layouts, registers, streams, wire
from spec.fields import code_width, snake

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = Path("rtl/include")
REFERENCE = Path("docs/reference")
FILTERS = Path("tb/waves/filters")


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    return dict([*_includes(), *_pages(), *_filters()])


def _includes() -> Iterator[tuple[Path, str]]:
    sv = emit_sv
    texts = {
        "codes": ("spec/codes.py", [], sv.module_body(codes)),
        "layouts": ("spec/layouts.py", ["codes.svh"], sv.module_body(layouts)),
        "wire": ("spec/wire.py", [], sv.wire_body()),
        "streams": ("spec/streams.py", ["layouts.svh"], sv.module_body(streams)),
        "crc32": ("spec/crc32.py", [], sv.crc32_body()),
        "registers": (
            "spec/registers.py",
            [],
            sv.registers_body(registers, registers.REGISTERS),
        ),
    }
    for name, (source, includes, body) in texts.items():
        yield INCLUDE / f"{name}.svh", sv.guarded(name, source, includes, body)
    yield Path("rtl/csr/rnic_csr_regs.sv"), emit_registers.register_file(registers.REGISTERS)


def _pages() -> Iterator[tuple[Path, str]]:
    yield REFERENCE / "registers.md", emit_docs.registers_page()
    yield REFERENCE / "layouts.md", emit_docs.module_page("Host memory", layouts)
    yield REFERENCE / "streams.md", emit_docs.module_page("Streams between blocks", streams)
    yield REFERENCE / "codes.md", emit_docs.module_page("Codes", codes)
    yield REFERENCE / "wire.md", emit_docs.wire_page()


def _filters() -> Iterator[tuple[Path, str]]:
    for module in (codes, layouts, streams, wire, registers):
        for code in emit_sv.codes_of(module):
            text = emit_docs.wave_filter(emit_docs.code_names(code), code_width(code))
            yield FILTERS / f"{snake(code.__name__)}.txt", text
    opcodes = emit_docs.wave_filter(wire.OPCODE_NAMES.items(), 8)
    yield FILTERS / "opcode.txt", opcodes


def stale() -> list[Path]:
    """Generated files that are missing or not what they should be, and filters nobody makes."""
    wanted = files()
    wrong = [
        path
        for path, text in wanted.items()
        if not (ROOT / path).is_file() or (ROOT / path).read_text() != text
    ]
    left = [p.relative_to(ROOT) for p in sorted((ROOT / FILTERS).glob("*.txt"))]
    return wrong + [path for path in left if path not in wanted]


def write() -> list[Path]:
    """Bring every generated file up to date; returns those that changed."""
    wanted = files()
    changed = stale()
    for path in changed:
        target = ROOT / path
        if path in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted[path])
        else:
            target.unlink()
    return changed


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` only tell."""
    check = "--check" in arguments
    changed = stale() if check else write()
    for path in changed:
        print(f"{'stale' if check else 'wrote'} {path}")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
