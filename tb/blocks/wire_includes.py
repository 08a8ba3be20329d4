"""The generated structs and functions say in the RTL what the classes say in Python."""

from __future__ import annotations

import random

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import Timer

from spec.layouts import SqWqe, WqeFlag
from spec.wire import RNR_TIMER_10US, Bth, opcode_info


@cocotb.test()
async def tables_agree(dut: SimHandleBase) -> None:
    for opcode in range(256):
        dut.opcode.value = opcode
        dut.timer.value = opcode % 32
        await Timer(1, "ns")
        assert int(dut.info.value) == opcode_info(opcode).to_int(), hex(opcode)
        assert int(dut.wait_10us.value) == RNR_TIMER_10US[opcode % 32]


@cocotb.test()
async def a_wire_header_has_its_first_byte_on_top(dut: SimHandleBase) -> None:
    for _ in range(20):
        raw = random.randbytes(12)
        dut.bth.value = int.from_bytes(raw, "big")
        await Timer(1, "ns")
        assert int(dut.dest_qp.value) == Bth.unpack(raw).dest_qp == int.from_bytes(raw[5:8], "big")
        assert int(dut.psn.value) == Bth.unpack(raw).psn == int.from_bytes(raw[9:12], "big")


@cocotb.test()
async def a_memory_record_is_the_struct(dut: SimHandleBase) -> None:
    for _ in range(20):
        flags = random.choice([WqeFlag.SOLICITED, WqeFlag.SIGNALED, WqeFlag(15)])
        wqe = SqWqe(flags=flags, index=random.getrandbits(16), remote_addr=random.getrandbits(64))
        dut.wqe.value = int.from_bytes(wqe.pack(), "little")
        await Timer(1, "ns")
        assert int(dut.remote_addr.value) == wqe.remote_addr
        assert int(dut.index.value) == wqe.index
        assert int(dut.solicited.value) == (WqeFlag.SOLICITED in flags)
