"""What software sees through the AXI4-Lite port."""

from __future__ import annotations

import random

import cocotb
from cocotb.handle import SimHandleBase
from cocotbext.axi import AxiResp

from spec.fields import Register, RegisterKind
from spec.registers import (
    REGISTERS,
    AdminStatusReg,
    CqLimitsReg,
    KeyLimitsReg,
    OptionsReg,
    PortReg,
    QpLimitsReg,
    StatusReg,
)
from tb.blocks.csr_bench import Bench
from tb.streams import cycles

STALLS = (0.0, 0.4)
WRITABLE = [register for register in REGISTERS if register.KIND is RegisterKind.READ_WRITE]


def used_bits(register: type[Register]) -> int:
    """Bits of a register that keep what is written."""
    return sum((1 << part.width) - 1 << part.lo for part in register.FIELDS)


@cocotb.test()
@cocotb.parametrize(stall=STALLS)
async def identity_and_limits_are_what_was_built(dut: SimHandleBase, stall: float) -> None:
    bench = await Bench.start(dut, stall)
    assert await bench.word(0x000) == 0x524E4943
    assert await bench.word(0x004) == 0x00010000
    qps = QpLimitsReg.from_int(await bench.word(QpLimitsReg.ADDRESS))
    assert (qps.qp_count, qps.srq_count) == (dut.QP_COUNT.value, dut.SRQ_COUNT.value)
    cqs = CqLimitsReg.from_int(await bench.word(CqLimitsReg.ADDRESS))
    assert (cqs.cq_count, cqs.eq_count) == (dut.CQ_COUNT.value, dut.EQ_COUNT.value)
    assert KeyLimitsReg.from_int(await bench.word(0x010)).key_count == dut.KEY_COUNT.value
    assert await bench.word(0x014) == 0x00E0_030E
    assert await bench.word(0x018) == 0x0508_1010


@cocotb.test()
async def reset_gives_the_documented_values(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    for register in WRITABLE:
        assert await bench.word(register.ADDRESS) == register().to_int(), register.__name__
    assert PortReg.from_int(int(dut.port.value)).mtu == 4200
    assert OptionsReg.from_int(int(dut.options.value)).migreq == 1


@cocotb.test()
@cocotb.parametrize(stall=STALLS)
async def registers_keep_the_bytes_that_were_written(dut: SimHandleBase, stall: float) -> None:
    bench = await Bench.start(dut, stall)
    model = {register.ADDRESS: bytearray(register().pack()) for register in WRITABLE}
    for _ in range(150):
        register = random.choice(WRITABLE)
        first = random.randrange(4)
        data = random.randbytes(random.randint(1, 4 - first))
        assert await bench.write(register.ADDRESS + first, data) == AxiResp.OKAY
        kept = model[register.ADDRESS]
        kept[first : first + len(data)] = data
        kept[:] = (int.from_bytes(kept, "little") & used_bits(register)).to_bytes(4, "little")
        other = random.choice(WRITABLE)
        assert await bench.word(other.ADDRESS) == int.from_bytes(model[other.ADDRESS], "little")


@cocotb.test()
@cocotb.parametrize(stall=STALLS)
async def nobody_answers_at_a_hole(dut: SimHandleBase, stall: float) -> None:
    bench = await Bench.start(dut, stall)
    known = {register.ADDRESS for register in REGISTERS}
    holes = [a for a in range(0, 0x400, 4) if a not in known] + [0x600, 0x7FC, 0xA00, 0xFFFC]
    for hole in random.sample(holes, 25) + holes[-4:]:
        assert await bench.read(hole) == (0, AxiResp.SLVERR)
        assert await bench.write(hole, 0xFFFFFFFF) == AxiResp.SLVERR
    for register in WRITABLE:
        assert await bench.word(register.ADDRESS) == register().to_int()


@cocotb.test()
async def read_only_registers_refuse_a_write(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    status, admin = StatusReg(ready=1, fatal_cause=0x5A), AdminStatusReg(sq_index=7, cq_index=9)
    dut.status.value = status.to_int()
    dut.admin_status.value = admin.to_int()
    for register in REGISTERS:
        if register.KIND is RegisterKind.READ_ONLY:
            assert await bench.write(register.ADDRESS, 0) == AxiResp.SLVERR
    assert await bench.word(0x800) == 0
    assert await bench.write(0x800, 5) == AxiResp.SLVERR
    assert StatusReg.from_int(await bench.word(StatusReg.ADDRESS)) == status
    assert AdminStatusReg.from_int(await bench.word(AdminStatusReg.ADDRESS)) == admin


@cocotb.test()
@cocotb.parametrize(stall=STALLS)
async def a_command_lasts_one_cycle(dut: SimHandleBase, stall: float) -> None:
    bench = await Bench.start(dut, stall)
    wanted: list[tuple[str, int]] = []
    for _ in range(20):
        index = random.getrandbits(16)
        name, address = random.choice([("doorbell", 0x094), ("cq_index", 0x098)])
        assert await bench.write(address, index) == AxiResp.OKAY
        wanted.append((name, index))
        assert await bench.word(address) == 0
    assert await bench.write(0x044, 1) == AxiResp.OKAY
    assert await bench.write(0x044, 0) == AxiResp.OKAY
    await cycles(dut, 5)
    assert bench.commands == [*wanted, ("soft_reset", 1)]


@cocotb.test()
async def addresses_are_put_together_from_two_words(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    for address, value in [(0x080, 1), (0x084, 2), (0x088, 3), (0x08C, 4)]:
        await bench.write(address, value)
    await bench.write(0x050, bytes.fromhex("02000000"))
    await bench.write(0x054, bytes.fromhex("00010000"))
    names = ("admin_sq_base", "admin_cq_base", "mac")
    sq, cq, mac = await bench.answer(*names, after=2)
    assert (sq, cq) == (2 << 32 | 1, 4 << 32 | 3)
    assert mac.to_bytes(6, "little") == bytes.fromhex("020000000001")


@cocotb.test()
async def reads_and_writes_do_not_wait_for_each_other(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, 0.2)
    writes = [cocotb.start_soon(bench.write(0x04C, n)) for n in range(1, 30)]
    reads = [cocotb.start_soon(bench.word(0x04C)) for _ in range(30)]
    for task in writes:
        assert await task == AxiResp.OKAY
    seen = [await task for task in reads]
    assert seen == sorted(seen)
    assert await bench.word(0x04C) == 29
