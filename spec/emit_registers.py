"""The register file: decode, access kinds, reset values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spec.emit_sv import HEAD, register_name
from spec.fields import Register, RegisterKind

_HEADER = """\
// rnic_csr_regs: the plain registers of the CSR map.
//
// A write takes effect in the cycle of wr_en, a read is combinational; an address without a
// register, or a write to a read-only one, answers no hit and changes nothing. Read-only registers
// show their input, read-write ones drive their output, commands are handed on for one cycle.
"""


def register_file(registers: Iterable[type[Register]]) -> str:
    """The text of ``rnic_csr_regs.sv``."""
    registers = list(registers)
    lines = [
        HEAD.format(source="spec/registers.py"),
        _HEADER.rstrip(),
        '`include "registers.svh"',
        "",
        "module rnic_csr_regs (",
        *_ports(registers),
        ");",
        "",
        *_merge(),
        *_write_hit(registers),
        *_read(registers),
        *_storage(registers),
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _kind(registers: list[type[Register]], kind: RegisterKind) -> list[tuple[str, type[Register]]]:
    return [(register_name(r), r) for r in registers if r.KIND is kind]


def _ports(registers: list[type[Register]]) -> Iterator[str]:
    yield "  input  logic        clk,"
    yield "  input  logic        rst,"
    yield ""
    yield "  // Access"
    yield "  input  logic        wr_en,"
    yield "  input  logic [15:0] wr_addr,"
    yield "  input  logic [31:0] wr_data,"
    yield "  input  logic [3:0]  wr_strb,"
    yield "  output logic        wr_hit,"
    yield "  input  logic [15:0] rd_addr,"
    yield "  output logic [31:0] rd_data,"
    yield "  output logic        rd_hit,"
    ports = []
    for name, _ in _kind(registers, RegisterKind.READ_ONLY):
        ports.append(f"  input  {name}_reg_t {name}")
    for name, _ in _kind(registers, RegisterKind.READ_WRITE):
        ports.append(f"  output {name}_reg_t {name}")
    for name, _ in _kind(registers, RegisterKind.COMMAND):
        ports.append(f"  output {name}_reg_t {name}")
        ports.append(f"  output logic {name}_en")
    yield ""
    yield "  // Registers"
    yield ",\n".join(ports)


def _merge() -> Iterator[str]:
    yield "  logic [31:0] wr_mask;"
    yield "  assign wr_mask = {{8{wr_strb[3]}}, {8{wr_strb[2]}}, {8{wr_strb[1]}}, {8{wr_strb[0]}}};"
    yield ""


def _write_hit(registers: list[type[Register]]) -> Iterator[str]:
    yield "  always_comb begin"
    yield "    case (wr_addr)"
    writable = [r for r in registers if r.KIND is not RegisterKind.READ_ONLY]
    names = [f"{register_name(r).upper()}_ADDR" for r in writable]
    yield "      " + ",\n      ".join(names) + ": wr_hit = 1'b1;"
    yield "      default: wr_hit = 1'b0;"
    yield "    endcase"
    yield "  end"
    yield ""


def _read(registers: list[type[Register]]) -> Iterator[str]:
    yield "  always_comb begin"
    yield "    rd_hit  = 1'b1;"
    yield "    rd_data = '0;"
    yield "    case (rd_addr)"
    for register in registers:
        name = register_name(register)
        value = "'0" if register.KIND is RegisterKind.COMMAND else name
        yield f"      {name.upper()}_ADDR: rd_data = {value};"
    yield "      default: rd_hit = 1'b0;"
    yield "    endcase"
    yield "  end"
    yield ""


def _storage(registers: list[type[Register]]) -> Iterator[str]:
    for name, register in _kind(registers, RegisterKind.READ_WRITE):
        used = sum(((1 << part.width) - 1) << part.lo for part in register.FIELDS)
        yield "  always_ff @(posedge clk) begin"
        yield f"    if (wr_en && wr_addr == {name.upper()}_ADDR)"
        yield f"      {name} <= ((wr_data & wr_mask) | ({name} & ~wr_mask)) & 32'h{used:08X};"
        yield f"    if (rst) {name} <= {name.upper()}_RESET;"
        yield "  end"
        yield ""
    for name, _ in _kind(registers, RegisterKind.COMMAND):
        yield f"  assign {name}    = wr_data & wr_mask;"
        yield f"  assign {name}_en = wr_en && wr_addr == {name.upper()}_ADDR;"
        yield ""
