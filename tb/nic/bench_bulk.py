"""Cycles per packet of long messages over scattered pages."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.layouts import RqWqe, WrOp
from tb.nic.bench_probe import rate, wire_bound
from tb.nic.bench_setup import PAGE, BenchPair, record

MESSAGE = 1 << 20
MESSAGES = 2
MTU_CODE = {1024: 3, 4096: 5}


async def bulk(dut: Any, row_id: str, opcode: WrOp, mtu: int = 4096) -> None:
    """Move two messages of 1 MiB, and look at the wire that carries the data."""
    bench = await BenchPair.start(dut, pages=MESSAGE // PAGE, log=4, mtu=MTU_CODE[mtu])
    a, b, probe = bench.a, bench.b, bench.probe
    source, target = (b, a) if opcode == WrOp.READ else (a, b)
    data = random.randbytes(MESSAGE)
    source.region.fill(data)
    if opcode == WrOp.SEND:
        for _ in range(MESSAGES):
            b.driver.post_recv(b.qps[0], RqWqe(num_sge=1, sge0=b.sge(0, MESSAGE)))
    await bench.settle()
    for _ in range(MESSAGES):
        a.driver.put_send(a.qps[0], bench.request(opcode, 0, MESSAGE))
    bench.ring_all(a)
    await bench.wait(a, a.send_cq, MESSAGES)
    assert target.region.content() == data
    frames = (probe.b if opcode == WrOp.READ else probe.a).tx
    assert len(frames.last) == MESSAGES * MESSAGE // mtu
    record(row_id, rate(frames.last), wire_bound(frames))


@cocotb.test()
async def write_bulk_4096(dut: Any) -> None:
    await bulk(dut, "write_bulk_4096", WrOp.WRITE)


@cocotb.test()
async def read_bulk_4096(dut: Any) -> None:
    await bulk(dut, "read_bulk_4096", WrOp.READ)


@cocotb.test()
async def send_bulk_4096(dut: Any) -> None:
    await bulk(dut, "send_bulk_4096", WrOp.SEND)


@cocotb.test()
async def write_bulk_1024(dut: Any) -> None:
    await bulk(dut, "write_bulk_1024", WrOp.WRITE, mtu=1024)
