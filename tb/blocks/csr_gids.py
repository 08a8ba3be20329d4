"""The GID table, written by software, asked by both pipelines."""

from __future__ import annotations

import random

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge
from cocotbext.axi import AxiResp

from spec.registers import GidEntry
from tb.blocks.csr_bench import Bench

TABLE, STRIDE, ENTRIES = 0x400, 32, 16


async def put(bench: Bench, index: int, entry: GidEntry) -> None:
    """Write one entry as the driver does."""
    data = entry.pack()
    for offset in range(0, STRIDE, 4):
        part = data[offset : offset + 4]
        assert await bench.write(TABLE + index * STRIDE + offset, part) == AxiResp.OKAY


def random_entry() -> GidEntry:
    """IPv6, or IPv4 in the low four bytes."""
    if random.random() < 0.5:
        return GidEntry(gid=random.randbytes(16), valid=1)
    return GidEntry(gid=bytes(10) + b"\xff\xff" + random.randbytes(4), valid=1, is_v4=1)


@cocotb.test()
@cocotb.parametrize(stall=(0.0, 0.4))
async def entries_are_found_by_index(dut: SimHandleBase, stall: float) -> None:
    bench = await Bench.start(dut, stall)
    entries = [random_entry() for _ in range(ENTRIES)]
    for index in random.sample(range(ENTRIES), ENTRIES):
        await put(bench, index, entries[index])
    for index, entry in enumerate(entries):
        words = [await bench.word(TABLE + index * STRIDE + offset) for offset in range(0, 32, 4)]
        assert b"".join(word.to_bytes(4, "little") for word in words) == entry.pack()
        dut.gid_rd_index.value = index
        names = ("gid_rd_gid", "gid_rd_v4", "gid_rd_valid")
        gid, is_v4, valid = await bench.answer(*names, after=2)
        assert (gid.to_bytes(16, "little"), is_v4, valid) == (entry.gid, entry.is_v4, 1)


@cocotb.test()
async def an_address_is_found_two_cycles_later(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    entries = [random_entry() for _ in range(ENTRIES)]
    entries[3] = GidEntry(gid=entries[3].gid, valid=0, is_v4=entries[3].is_v4)
    entries[9] = entries[5]
    for index, entry in enumerate(entries):
        await put(bench, index, entry)
    # An answer is seen after the second edge behind its question.
    wanted: list[tuple[int, int] | None] = [None]
    for _ in range(100):
        near = bytearray(random.choice(entries).gid)
        if random.random() < 0.4:
            near[random.randrange(16)] ^= 1 << random.randrange(8)
        dut.gid_match_addr.value = int.from_bytes(near, "little")
        hits = [n for n, entry in enumerate(entries) if entry.valid and entry.gid == bytes(near)]
        wanted.append((1, hits[0]) if hits else (0, 0))
        await RisingEdge(dut.clk)
        await ReadOnly()
        got = int(dut.gid_match_hit.value), int(dut.gid_match_index.value)
        if (expected := wanted.pop(0)) is not None:
            assert got == expected
        await FallingEdge(dut.clk)


@cocotb.test()
async def reset_forgets_every_address(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    for index in range(ENTRIES):
        words = [await bench.word(TABLE + index * STRIDE + offset) for offset in range(0, 32, 4)]
        assert words == [0] * 8
    (hit,) = await bench.answer("gid_match_hit", after=3)
    assert hit == 0
