"""The functions of crc32.svh against zlib."""

from __future__ import annotations

import random
import zlib

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import Timer

ONES = 0xFFFFFFFF


def after(state: int, data: bytes) -> int:
    """The register after ``data``, without zlib's complements."""
    return zlib.crc32(data, state ^ ONES) ^ ONES


@cocotb.test()
async def a_beat_is_64_bytes_of_zlib(dut: SimHandleBase) -> None:
    for _ in range(50):
        data, state = random.randbytes(64), random.getrandbits(32)
        dut.data.value = int.from_bytes(data, "little")
        dut.state.value = state
        await Timer(1, "ns")
        assert int(dut.beat.value) == after(0, data)
        shifted = int(dut.shift.value)
        assert shifted >> 32 * 6 ^ int(dut.beat.value) == after(state, data)
        for power in range(7):
            assert shifted >> 32 * power & ONES == after(state, bytes(1 << power))


@cocotb.test()
async def unshift_takes_zero_bytes_back(dut: SimHandleBase) -> None:
    for _ in range(20):
        state = random.getrandbits(32)
        for power in range(6):
            dut.state.value = after(state, bytes(1 << power))
            await Timer(1, "ns")
            assert int(dut.unshift.value) >> 32 * power & ONES == state
