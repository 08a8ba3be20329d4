"""The facts of spec/: their declarations, what is generated from them, and what they say."""

# ruff: noqa: RUF009 - bits() and its kin are field specifiers
from __future__ import annotations

import random
import re
import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec import codes, crc32, emit_sv, generate, layouts, registers, streams, wire
from spec.fields import (
    LayoutError,
    Record,
    Register,
    WireRecord,
    auto,
    bits,
    code_width,
    coded,
    field_types,
    snake,
    sub,
)
from spec.fields import wire as wire_field
from tb.sim import Sim

ROOT = Path(__file__).resolve().parent.parent
MODULES = (codes, layouts, streams, wire, registers)
RECORDS = [record for module in MODULES for record in emit_sv.records_of(module)]
CODES = [code for module in MODULES for code in emit_sv.codes_of(module)]


@coded(3)
class Colour(IntEnum):
    """For the tests below."""

    RED = 1
    BLUE = 6


class Mood(IntFlag):
    """For the tests below."""

    GOOD = 1
    LOUD = 4


@dataclass(frozen=True, slots=True)
class Pair(Record):
    """Two things."""

    colour: Colour = auto(Colour, "three bits")
    count: int = auto(5, "five bits")


@dataclass(frozen=True, slots=True)
class Sample(Record):
    """Every kind of field."""

    SIZE: ClassVar[int] = 16
    mood: Mood = bits(0, 8, "flags")
    pair: Pair = sub(Pair, "nested", lo=12)
    address: int = bits(32, 64, "number")
    text: bytes = bits(96, 24, "bytes", default=b"")


class TestRecords:
    """fields.py"""

    def test_fields_lie_where_they_are_declared(self) -> None:
        record = Sample(
            mood=Mood.GOOD | Mood.LOUD,
            pair=Pair(colour=Colour.BLUE, count=17),
            address=0x1122334455667788,
            text=b"abc",
        )
        assert record.pack() == bytes.fromhex("05e00800887766554433221161626300")
        assert Sample.unpack(record.pack()) == record

    def test_codes_come_back_as_codes_and_unknown_ones_as_numbers(self) -> None:
        assert Pair.from_int(6).colour is Colour.BLUE
        assert Pair.from_int(5).colour == 5

    def test_bits_outside_every_field_are_ignored(self) -> None:
        assert Sample.unpack(b"\xff" * 16).address == (1 << 64) - 1

    def test_a_value_too_large_names_its_field(self) -> None:
        with pytest.raises(ValueError, match=r"Pair\.count = 0x20 does not fit 5 bits"):
            Pair(count=32).pack()
        with pytest.raises(ValueError, match=r"Pair\.count"):
            Pair(count=-1).pack()

    def test_a_short_buffer_is_refused(self) -> None:
        with pytest.raises(ValueError, match="Sample takes 16 bytes, got 15"):
            Sample.unpack(bytes(15))

    def test_wire_records_are_big_endian_with_the_first_field_on_top(self) -> None:
        @dataclass(frozen=True, slots=True)
        class Header(WireRecord):
            """A header."""

            kind: int = wire_field(4, "first")
            flags: int = wire_field(4, "second")
            length: int = wire_field(16, "third")

        header = Header(kind=0xA, flags=0xB, length=0x1234)
        assert header.pack() == bytes.fromhex("ab1234")
        assert Header.unpack(b"\xab\x12\x34\xff") == header

    def test_overlap_is_refused(self) -> None:
        with pytest.raises(LayoutError, match=r"Bad\.b \(bits 8:7\) overlaps a \(bits 7:0\)"):

            @dataclass(frozen=True, slots=True)
            class Bad(Record):
                """Overlap."""

                a: int = bits(0, 8, "")
                b: int = bits(7, 2, "")

    def test_overflow_is_refused(self) -> None:
        with pytest.raises(LayoutError, match=r"Bad\.a \(bits 32:0\) does not fit 32 bits"):

            @dataclass(frozen=True, slots=True)
            class Bad(Register):
                """Overflow."""

                a: int = bits(0, 33, "")

    def test_a_name_the_rtl_cannot_use_is_refused(self) -> None:
        with pytest.raises(LayoutError, match=r"Bad\.logic .* the name is taken"):

            @dataclass(frozen=True, slots=True)
            class Bad(Record):
                """Keyword."""

                logic: int = bits(0, 1, "")

    def test_a_plain_field_is_refused(self) -> None:
        with pytest.raises(LayoutError, match=r"Bad\.a is not declared with bits"):

            @dataclass(frozen=True, slots=True)
            class Bad(Record):
                """No position."""

                a: int = 0

    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
    def test_every_record_survives_a_round_trip(self, record: type[Record]) -> None:
        used = sum((1 << part.width) - 1 << part.lo for part in record.FIELDS)
        for _ in range(20):
            value = random.getrandbits(record.WIDTH) & used
            assert record.from_int(value).to_int() == value
            assert record.unpack(record.from_int(value).pack()).to_int() == value

    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
    def test_a_field_holds_every_value_of_its_code(self, record: type[Record]) -> None:
        hints = field_types(record)
        for part in record.FIELDS:
            hint = hints[part.name]
            if isinstance(hint, type) and issubclass(hint, (IntEnum, IntFlag)):
                assert max(member.value for member in hint) < 1 << part.width, part.name


class TestGenerated:
    """Files that follow from spec/."""

    def test_nothing_is_stale(self) -> None:
        assert generate.stale() == [], "run make spec"

    def test_a_change_is_noticed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(generate, "ROOT", tmp_path)
        assert generate.main([]) == 0
        assert generate.main(["--check"]) == 0
        (tmp_path / "rtl/include/wire.svh").write_text("")
        (tmp_path / "tb/waves/filters/gone.txt").write_text("")
        assert {path.name for path in generate.stale()} == {"wire.svh", "gone.txt"}
        assert generate.main(["--check"]) == 1

    def test_no_name_is_used_twice(self) -> None:
        includes = [path for path in generate.files() if path.suffix == ".svh"]
        text = "\n".join((ROOT / path).read_text() for path in includes)
        names = re.findall(r"^localparam .*?(\w+) =|^} (\w+);", text, re.MULTILINE)
        flat = [constant or typedef for constant, typedef in names]
        assert len(flat) > 500
        assert sorted(set(flat)) == sorted(flat)

    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
    def test_the_struct_is_as_wide_as_the_record(self, record: type[Record]) -> None:
        name = snake(record.__name__)
        lines = list(emit_sv.typedef(record))
        members = [line for line in lines if re.match(r"  \w", line)]
        assert lines[-1] == f"localparam int {name.upper()}_W = {record.WIDTH};"
        assert sum(member_width(line) for line in members) == record.WIDTH

    @pytest.mark.parametrize("code", CODES, ids=lambda code: code.__name__)
    def test_a_wave_filter_knows_every_value(self, code: type[IntEnum]) -> None:
        text = (ROOT / "tb/waves/filters" / f"{snake(code.__name__)}.txt").read_text()
        shown = dict(line.split(" ", 1) for line in text.splitlines())
        digits = (code_width(code) + 3) // 4
        for member in code:
            assert shown[f"{member.value:0{digits}X}"] == member.name

    def test_the_rtl_says_the_same(self, sim: Sim) -> None:
        bench = ["tb/hdl/wire_bench.sv"]
        sim.run("wire_bench", tests="tb.blocks.wire_includes", sources=bench)


def member_width(line: str) -> int:
    """Bits of a struct member."""
    if vector := re.match(r"  logic \[(\d+):0\]", line):
        return int(vector[1]) + 1
    if nested := re.match(r"  (\w+)_t ", line):
        return next(record.WIDTH for record in RECORDS if snake(record.__name__) == nested[1])
    return 1


# The opcode table once more, as sections 2.1 to 2.6 of the wire digest print it.
HEADER_BYTES = {
    0: "00 01 02 04 07 08 0e",
    4: "03 05 09 16 17 0d 0f 10 11",
    16: "06 0a 0c 1d",
    20: "0b 1c",
    12: "12",
    28: "13 14",
}
TAKES_WQE = "00 04 05 09 0b 17"
RESPONSES = "0d 0e 0f 10 11 12"
NO_PAYLOAD = "0c 11 12 13 14 1c"
FULL_PAYLOAD = "00 01 06 07 0d 0e"
SOME_PAYLOAD = "02 03 08 09 0f 16 1d"


def hexes(text: str) -> set[int]:
    return {int(word, 16) for word in text.split()}


class TestWire:
    """wire.py"""

    def test_the_opcodes_that_exist(self) -> None:
        rc = set(range(0x15)) | hexes("16 17 1c 1d")
        xrc = {0xA0 + operation for operation in rc}
        assert set(wire.OPCODES) == rc | set(range(0x20, 0x2C)) | {0x64, 0x65, 0x81} | xrc

    @pytest.mark.parametrize("base", [0x00, 0x20, 0xA0])
    def test_headers_are_as_long_as_the_parser_table_says(self, base: int) -> None:
        lengths = {op: n for n, row in HEADER_BYTES.items() for op in hexes(row)}
        for opcode, meaning in wire.OPCODES.items():
            if opcode & 0xE0 != base:
                continue
            operation = opcode & 0x1F
            extra = 4 if base == 0xA0 and operation not in hexes(RESPONSES) else 0
            assert meaning.header_bytes == lengths[operation] + extra, hex(opcode)
            headers = wire.extension_headers(opcode)
            assert sum(h.WIDTH for h in headers) == 8 * meaning.header_bytes

    def test_ud_and_cnp(self) -> None:
        assert [wire.opcode_info(op).header_bytes for op in (0x64, 0x65, 0x81)] == [8, 12, 0]
        assert wire.extension_headers(0x65) == (wire.Deth, wire.ImmDt)

    def test_header_order(self) -> None:
        assert wire.extension_headers(0x0B) == (wire.Reth, wire.ImmDt)
        assert wire.extension_headers(0x1C) == (wire.Feth, wire.Reth)
        assert wire.extension_headers(0x12) == (wire.Aeth, wire.AtomicAckEth)
        assert wire.extension_headers(0xB6) == (wire.XrcEth, wire.Ieth)

    @pytest.mark.parametrize("opcode", [op for op in wire.OPCODES if op < 0x20])
    def test_what_rc_opcodes_do(self, opcode: int) -> None:
        meaning = wire.opcode_info(opcode)
        assert meaning.takes_wqe == (opcode in hexes(TAKES_WQE))
        assert meaning.response == (opcode in hexes(RESPONSES)) != meaning.request
        assert meaning.payload == (opcode not in hexes(NO_PAYLOAD))
        assert meaning.payload_full == (opcode in hexes(FULL_PAYLOAD))
        fixed = hexes(FULL_PAYLOAD) | hexes(SOME_PAYLOAD)
        assert meaning.payload_empty == (opcode not in fixed)
        assert meaning.first + meaning.middle + meaning.last + meaning.only == 1

    def test_unknown_opcodes_mean_nothing(self) -> None:
        for opcode in (0x15, 0x18, 0x1F, 0x2C, 0x40, 0x60, 0x80, 0xB5, 0xC0, 0xFF):
            assert wire.opcode_info(opcode).to_int() == 0

    def test_bth_of_a_recorded_frame(self) -> None:
        raw = bytes.fromhex("0bf0ffff0000001280000079")
        header = wire.Bth.unpack(raw)
        assert (header.opcode, header.se, header.migreq, header.pad) == (0x0B, 1, 1, 3)
        assert (header.pkey, header.dest_qp, header.ackreq) == (0xFFFF, 0x12, 1)
        assert header.psn == 0x79
        assert header.pack() == raw

    def test_lengths_of_headers(self) -> None:
        sizes = {"Ethernet": 14, "VlanTag": 4, "Ipv4": 20, "Ipv6": 40, "Udp": 8, "Bth": 12}
        sizes |= {"Reth": 16, "Aeth": 4, "AtomicEth": 28, "AtomicAckEth": 8, "Deth": 8, "Feth": 4}
        for name, size in sizes.items():
            assert getattr(wire, name).size_bytes() == size

    def test_rnr_timer_codes(self) -> None:
        assert len(wire.RNR_TIMER_10US) == 32
        some = {0: 655.36, 1: 0.01, 14: 1.28, 25: 61.44, 31: 491.52}
        for code, milliseconds in some.items():
            assert wire.RNR_TIMER_10US[code] == round(milliseconds * 100)
        assert wire.CREDITS[0x0F] == 192
        assert wire.CREDITS[0x1E] == 32768


ONES = 0xFFFFFFFF


def zlib_state(state: int, data: bytes) -> int:
    """The register after ``data``, without zlib's complements."""
    return zlib.crc32(data, state ^ ONES) ^ ONES


def generated_matrix(name: str) -> crc32.Matrix:
    """Masks of a function in crc32.svh."""
    text = (ROOT / "rtl/include/crc32.svh").read_text()
    body = re.search(rf"\] {name}\(.*?endfunction", text, re.DOTALL)
    assert body
    masks = re.findall(r"r\[(\d+)\] = \^\(data & \d+'h([0-9A-F]+)\);", body[0])
    assert [int(bit) for bit, _ in masks] == list(range(32))
    return tuple(int(mask, 16) for _, mask in masks)


class TestCrc32:
    """crc32.svh, read back, against zlib."""

    @given(state=st.integers(0, ONES), data=st.binary(min_size=64, max_size=64))
    def test_a_beat(self, state: int, data: bytes) -> None:
        fed = crc32.apply(BEAT, int.from_bytes(data, "little"))
        assert fed ^ crc32.apply(M64, state) == zlib_state(state, data)

    @pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32, 64])
    def test_shifts(self, count: int) -> None:
        shift = generated_matrix(f"crc32_shift{count}")
        for _ in range(20):
            state = random.getrandbits(32)
            after = zlib_state(state, bytes(count))
            assert crc32.apply(shift, state) == after
            if count < 64:
                assert crc32.apply(generated_matrix(f"crc32_unshift{count}"), after) == state

    def test_seeds(self) -> None:
        text = (ROOT / "rtl/include/crc32.svh").read_text()
        seeds = dict(re.findall(r"(CRC32_\w+) = 32'h([0-9A-F]+);", text))
        start = zlib_state(ONES, b"\xff" * 8)
        assert int(seeds["CRC32_SEED"], 16) == start == 0xDEBB20E3
        assert zlib_state(int(seeds["CRC32_SEED_ETH"], 16), bytes(14)) == start
        assert zlib_state(int(seeds["CRC32_SEED_VLAN"], 16), bytes(18)) == start
        message = b"any message"
        good = message + zlib.crc32(message).to_bytes(4, "little")
        assert zlib_state(ONES, good) == int(seeds["CRC32_RESIDUE"], 16)

    def test_the_digest_vector(self) -> None:
        ip = bytes.fromhex("45ff003412344000ff11ffff0a0000010a000002")
        udp, bth = bytes.fromhex("c12312b70020ffff"), bytes.fromhex("04f0ffffff00001280000064")
        state = crc32.feed(crc32.SEED, ip)
        assert state == 0x13690B89
        state = crc32.feed(state, udp + bth + bytes.fromhex("68656c6c6f000000"))
        assert state ^ ONES == int.from_bytes(bytes.fromhex("fde2a66a"), "little")

    def test_in_the_simulators(self, sim: Sim) -> None:
        bench = ["tb/hdl/crc32_bench.sv"]
        sim.run("crc32_bench", tests="tb.blocks.crc32", sources=bench)


BEAT = generated_matrix("crc32_beat")
M64 = generated_matrix("crc32_shift64")


class TestRegisters:
    """registers.py"""

    def test_addresses_rise_by_words_and_stay_below_the_tables(self) -> None:
        addresses = [register.ADDRESS for register in registers.REGISTERS]
        assert addresses == sorted(set(addresses))
        assert all(address % 4 == 0 and address < registers.GID_BASE for address in addresses)

    def test_tables_do_not_meet(self) -> None:
        assert registers.GID_BASE + registers.GID_COUNT * registers.GID_STRIDE <= 0x800
        last = registers.stat_address(registers.STAT_COUNT - 1)
        assert last + 8 <= registers.CSR_BYTES

    def test_every_drop_reason_has_a_counter(self) -> None:
        top = codes.Stat.DROP + max(codes.DropReason)
        assert top < registers.STAT_COUNT
        assert all(stat < codes.Stat.DROP for stat in codes.Stat if stat is not codes.Stat.DROP)
