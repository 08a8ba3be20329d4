"""The host memory port against cocotbext-axi's master and against pins driven by hand."""

from __future__ import annotations

import random
import time
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer, with_timeout
from cocotbext.axi import AxiBus, AxiMaster

from tb.axi_memory import AxiMemory, Resp, Timing
from tb.host_memory import POISON, HostMemory, MemoryViolation
from tb.ticker import BusError

INPUTS = {
    "aw": ("id", "addr", "len", "size", "burst", "valid"),
    "w": ("data", "strb", "last", "valid"),
    "ar": ("id", "addr", "len", "size", "burst", "valid"),
    "b": ("ready",),
    "r": ("ready",),
}


async def _reset(dut: Any) -> None:
    Clock(dut.clk, 4, "ns", impl="gpi").start(start_high=False)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)


class MasterBench:
    """cocotbext-axi's master on one side, the memory on the other."""

    def __init__(self, dut: Any, **timing: Any) -> None:
        self.memory = HostMemory()
        self.port = AxiMemory(dut, self.memory, timing=Timing(**timing), seed=cocotb.RANDOM_SEED)
        self.master = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.violations: list[AssertionError] = []

    def expect_violations(self) -> None:
        self.port.on_violation = self.violations.append


class PinBench:
    """The master's pins, by hand; the memory's errors are kept."""

    def __init__(self, dut: Any, **timing: Any) -> None:
        self.dut = dut
        for channel, names in INPUTS.items():
            for name in names:
                self.pin(channel + name).value = 0
        self.memory = HostMemory()
        self.port = AxiMemory(dut, self.memory, timing=Timing(**timing))
        self.errors: list[BaseException] = []
        self.port.ticker.fail = self.errors.append  # type: ignore[method-assign]
        self.dut.s_axi_bready.value = 1
        self.dut.s_axi_rready.value = 1

    def pin(self, name: str) -> Any:
        return getattr(self.dut, f"s_axi_{name}")

    async def beat(self, channel: str, **fields: int) -> None:
        for name, value in fields.items():
            self.pin(channel + name).value = value
        self.pin(channel + "valid").value = 1
        for _ in range(100):
            await RisingEdge(self.dut.clk)
            if self.pin(channel + "ready").value == 1:
                break
        self.pin(channel + "valid").value = 0

    async def settle(self) -> None:
        await ClockCycles(self.dut.clk, 20)


BURST = {"id": 1, "len": 0, "size": 6, "burst": 1}

TIMINGS = {
    "ideal": {},
    "slow": {"read_latency": 125, "write_latency": 60},
    "rough": {
        "read_latency": 20,
        "write_latency": 10,
        "reorder": True,
        "interleave": True,
        "stall": dict.fromkeys(("aw", "w", "b", "ar", "r"), 0.4),
        "max_reads": 3,
        "max_writes": 2,
    },
}


@cocotb.test()
@cocotb.parametrize(kind=list(TIMINGS))
async def random_accesses_read_back_what_was_written(dut: Any, kind: str) -> None:
    bench = MasterBench(dut, **TIMINGS[kind])
    await _reset(dut)
    rng = random.Random(cocotb.RANDOM_SEED)
    buffer = bench.memory.allocate(20000)
    image = bytearray(rng.randbytes(buffer.size))
    buffer.data[:] = image
    for _ in range(40):
        size = rng.choice([1, 7, 64, 100, 4096, rng.randint(1, 9000)])
        at = rng.randint(0, buffer.size - size)
        data = rng.randbytes(size)
        image[at : at + size] = data
        await with_timeout(bench.master.write(buffer.address + at, data), 200, "us")
        assert buffer.data == image
        size = rng.randint(1, 5000)
        at = rng.randint(0, buffer.size - size)
        answer = await with_timeout(bench.master.read(buffer.address + at, size), 200, "us")
        assert answer.data == image[at : at + size]
    await ClockCycles(dut.clk, 5)
    assert bench.port.idle


@cocotb.test()
@cocotb.parametrize(kind=list(TIMINGS))
async def concurrent_reads_of_many_ids_answer_right(dut: Any, kind: str) -> None:
    bench = MasterBench(dut, **TIMINGS[kind])
    await _reset(dut)
    buffer = bench.memory.allocate(1 << 16)
    buffer.data[:] = random.Random(3).randbytes(buffer.size)
    asked = [(i * 700, 650) for i in range(60)]

    async def ask(at: int, size: int, ident: int) -> None:
        answer = await bench.master.read(buffer.address + at, size, arid=ident)
        assert answer.data == buffer.data[at : at + size]

    tasks = [cocotb.start_soon(ask(*a, i % 16)) for i, a in enumerate(asked)]
    for task in tasks:
        await with_timeout(task, 400, "us")
    if kind == "slow":
        assert bench.port.counters.peak_reads > 16


@cocotb.test()
@cocotb.parametrize(latency=[0, 125, 250])
async def read_latency_is_pipelined(dut: Any, latency: int) -> None:
    bench = PinBench(dut, read_latency=latency)
    await _reset(dut)
    buffer = bench.memory.allocate(4096)
    taken, beats = [], []

    async def watch() -> None:
        for cycle in range(latency + 40):
            await RisingEdge(dut.clk)
            if dut.s_axi_arvalid.value == 1 and dut.s_axi_arready.value == 1:
                taken.append(cycle)
            if dut.s_axi_rvalid.value == 1:
                beats.append(cycle)

    watcher = cocotb.start_soon(watch())
    for i in range(8):
        await bench.beat("ar", **BURST, addr=buffer.address + 64 * i)
    await watcher
    assert [b - a for a, b in zip(taken, beats, strict=True)] == [latency + 1] * 8


@cocotb.test()
async def access_outside_the_grant_is_caught(dut: Any) -> None:
    bench = MasterBench(dut)
    bench.expect_violations()
    await _reset(dut)
    memory, master = bench.memory, bench.master
    buffer = memory.allocate(8192, grant=False, name="ring")
    memory.grant(buffer.address + 100, 1000, write=False)
    memory.grant(buffer.address + 2000, 1000, read=False)
    good = [
        master.read(buffer.address + 100, 1000),
        master.write(buffer.address + 2000, bytes(1000)),
    ]
    for operation in good:
        await operation
    assert not bench.violations
    bad = [
        master.write(buffer.address + 100, b"x"),
        master.write(buffer.address + 1999, b"xx"),
        master.write(buffer.address + 2999, b"xx"),
        master.read(buffer.address + 2048, 10),
        master.read(buffer.address + 1152, 1),
        master.read(buffer.address + 8192, 1),
        master.write(buffer.address - 1, b"x"),
        master.read(0, 4),
    ]
    for number, operation in enumerate(bad, 1):
        await operation
        assert len(bench.violations) == number
    assert "'ring'" in str(bench.violations[0])
    assert f"{buffer.address + 100:#x}" in str(bench.violations[0])
    assert "behind the end of" in str(bench.violations[5])
    assert "below all" in str(bench.violations[7])
    memory.revoke(buffer.address + 100, 1000, write=False)
    await master.read(buffer.address + 100, 1000)
    assert len(bench.violations) == len(bad) + 1


@cocotb.test()
async def ungranted_bytes_of_a_read_beat_are_poison(dut: Any) -> None:
    bench = PinBench(dut)
    await _reset(dut)
    buffer = bench.memory.allocate(256, grant=False)
    buffer.data[:] = bytes(range(256))
    bench.memory.grant(buffer.address + 10, 20)
    await bench.beat("ar", **BURST, addr=buffer.address)
    while dut.s_axi_rvalid.value != 1:
        await RisingEdge(dut.clk)
    data = dut.s_axi_rdata.value.to_unsigned().to_bytes(64, "little")
    assert data == POISON * 10 + bytes(range(10, 30)) + POISON * 34
    assert not bench.errors


@cocotb.test()
async def a_violation_fails_the_test(dut: Any) -> None:
    bench = PinBench(dut)
    await _reset(dut)
    await bench.beat("ar", **BURST, addr=0x1000)
    await bench.settle()
    assert isinstance(bench.errors[0], MemoryViolation)
    assert "id 1" in str(bench.errors[0])


@cocotb.test()
async def errors_are_injected_by_range_and_by_count(dut: Any) -> None:
    bench = MasterBench(dut)
    await _reset(dut)
    buffer = bench.memory.allocate(8192)
    buffer.data[:] = b"a" * 8192
    fault = bench.port.inject(Resp.SLVERR, address=buffer.address + 4096, size=64, reads=False)
    assert (await bench.master.write(buffer.address + 4100, b"bb")).resp == Resp.SLVERR
    assert buffer.data[4100] == ord("a")
    assert (await bench.master.write(buffer.address + 4096 + 64, b"bb")).resp == Resp.OKAY
    assert (await bench.master.read(buffer.address + 4100, 2)).resp == Resp.OKAY
    bench.port.faults.remove(fault)
    bench.port.inject(Resp.DECERR, writes=False, skip=2, count=1)
    answers = [(await bench.master.read(buffer.address, 8)).resp for _ in range(4)]
    assert answers == [Resp.OKAY, Resp.OKAY, Resp.DECERR, Resp.OKAY]


BROKEN: dict[str, list[tuple[str, dict[str, int]]]] = {
    "4 KiB": [("ar", {**BURST, "addr": 0x12340FC0, "len": 1})],
    "size 32": [("ar", {**BURST, "addr": 0x1000, "size": 5})],
    "burst type 00": [("aw", {**BURST, "addr": 0x1000, "burst": 0})],
    "wlast 1": [("aw", {**BURST, "addr": 0, "len": 1}), ("w", {"last": 1, "strb": 0})],
    "wlast 0": [("w", {"last": 0, "strb": 0}), ("aw", {**BURST, "addr": 0})],
    "wstrb below": [("aw", {**BURST, "addr": 8}), ("w", {"last": 1, "strb": 1 << 7})],
}


@cocotb.test()
@cocotb.parametrize(rule=list(BROKEN))
async def broken_rule_is_named(dut: Any, rule: str) -> None:
    bench = PinBench(dut)
    await _reset(dut)
    for channel, fields in BROKEN[rule]:
        await bench.beat(channel, **fields)
    await bench.settle()
    assert len(bench.errors) == 1
    assert isinstance(bench.errors[0], BusError)
    assert rule in str(bench.errors[0])


@cocotb.test()
@cocotb.parametrize(what=["valid", "payload"])
async def an_offer_that_does_not_hold_still_is_caught(dut: Any, what: str) -> None:
    bench = PinBench(dut, stall={"ar": 1.0})
    await _reset(dut)
    dut.s_axi_arvalid.value = 1
    dut.s_axi_araddr.value = 64
    await ClockCycles(dut.clk, 3)
    if what == "valid":
        dut.s_axi_arvalid.value = 0
    else:
        dut.s_axi_araddr.value = 128
    await ClockCycles(dut.clk, 3)
    assert len(bench.errors) == 1
    assert ("fell" if what == "valid" else "changed") in str(bench.errors[0])


@cocotb.test()
async def data_is_visible_no_earlier_than_its_response(dut: Any) -> None:
    bench = PinBench(dut, write_latency=20)
    await _reset(dut)
    buffer = bench.memory.allocate(4096)
    seen: list[tuple[int, int]] = []
    bench.memory.watch(buffer.address + 10, 1, lambda at, size: seen.append((at, size)))
    await bench.beat("aw", **BURST, addr=buffer.address)
    await bench.beat("w", data=0x77 << 80, strb=1 << 10, last=1)
    while dut.s_axi_bvalid.value != 1:
        assert buffer.data[10] == 0
        await RisingEdge(dut.clk)
    assert buffer.data[10] == 0x77
    assert seen == [(buffer.address + 10, 1)]


def test_grants_add_up_and_are_taken_back() -> None:
    memory = HostMemory()
    buffer = memory.allocate(1000, grant=False)
    at = buffer.address
    memory.grant(at, 100)
    memory.grant(at + 50, 100)
    memory.dma_write(at, bytes(150))
    memory.revoke(at, 100)
    with pytest.raises(MemoryViolation):
        memory.dma_write(at + 49, b"x")
    memory.dma_write(at + 50, bytes(100))
    memory.free(buffer)
    with pytest.raises(MemoryViolation):
        memory.dma_write(at + 50, b"x")


async def _speed(dut: Any, label: str, cycles: int, **what: int) -> None:
    dut.do_read.value = what.get("read", 0)
    dut.do_write.value = what.get("write", 0)
    await Timer(400, "ns")
    start = time.perf_counter()
    await Timer(cycles * 4, "ns")
    per = (time.perf_counter() - start) / cycles * 1e6
    beats = int(dut.read_beats.value), int(dut.write_beats.value)
    dut._log.info(f"speed: {label}: {per:.1f} us per cycle, beats so far {beats}")


@cocotb.test()
async def streams_of_traffic_and_their_price(dut: Any) -> None:
    dut.do_read.value = dut.do_write.value = 0
    memory = HostMemory()
    buffer = memory.allocate(1 << 16)
    dut.base.value = buffer.address
    port = AxiMemory(dut, memory, timing=Timing(read_latency=250, write_latency=100))
    await _reset(dut)
    await _speed(dut, "idle", 2000)
    await _speed(dut, "reads", 2000, read=1)
    await _speed(dut, "writes", 2000, write=1)
    await _speed(dut, "both", 2000, read=1, write=1)
    dut.do_read.value = dut.do_write.value = 0
    await ClockCycles(dut.clk, 1500)
    assert port.idle
    assert int(dut.errors.value) == 0
    assert int(dut.read_beats.value) == port.counters.read_beats > 3900
    assert int(dut.write_beats.value) == port.counters.write_beats > 3900
    words = {
        bytes(buffer.data[i : i + 4]) * 16 == buffer.data[i : i + 64] for i in range(0, 65536, 64)
    }
    assert words == {True}
