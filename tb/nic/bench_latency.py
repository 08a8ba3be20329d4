"""Cycles from cause to effect of single messages on idle adapters; the median of several."""

from __future__ import annotations

from statistics import median
from typing import Any

import cocotb

from spec.layouts import RqWqe, SqWqe, WqeFlag, WrOp
from tb.nic.bench_setup import LATENCY, BenchPair, Node, record

TIMES = 9


async def messages(bench: BenchPair, wqe: SqWqe, note: Any, *, push: bool = False) -> None:
    """Send one message at a time; the first one only warms the page cache."""
    a, qp = bench.a, bench.a.qps[0]
    for number in range(TIMES + 1):
        await bench.settle()
        if push:
            a.driver.push(qp, wqe)
        else:
            a.driver.post_send(qp, wqe)
        await bench.wait(a, a.send_cq, 1)
        if number:
            note()


def cqe_beat(bench: BenchPair, node: Node) -> int:
    """When the completion entered memory."""
    probe = bench.probe.a if node is bench.a else bench.probe.b
    ring = node.send_cq if node is bench.a else node.recv_cq
    (write,) = probe.writes(*node.cq_range(ring))
    return write.first


def summary(name: str, seen: list[int], bound: int) -> None:
    """Leave the median."""
    cocotb.log.info("%s: %s", name, seen)
    record(name, median(seen), bound)


@cocotb.test()
async def write_latencies(dut: Any) -> None:
    bench = await BenchPair.start(dut)
    a, b = bench.probe.a, bench.probe.b
    to_wire: list[int] = []
    to_memory: list[int] = []
    to_cqe: list[int] = []

    def note() -> None:
        to_wire.append(a.tx.first[0] - a.doorbells[0])
        to_memory.append(b.writes(*bench.b.region.bus_range)[0].first - b.rx.last[0])
        to_cqe.append(cqe_beat(bench, bench.a) - a.rx.last[0])

    await messages(bench, bench.request(WrOp.WRITE, 0, 64), note)
    summary("doorbell_to_wire", to_wire, 2 * LATENCY)
    summary("wire_to_memory", to_memory, 0)
    summary("ack_to_cqe", to_cqe, 0)


@cocotb.test()
async def push_to_wire(dut: Any) -> None:
    bench = await BenchPair.start(dut)
    a, seen = bench.probe.a, []
    wqe = SqWqe(
        opcode=WrOp.WRITE, flags=WqeFlag.SIGNALED | WqeFlag.INLINE, blocks=1, length=32,
        remote_addr=bench.b.region.BASE, rkey=bench.b.region.token, data=0x1234,
    )  # fmt: skip
    await messages(bench, wqe, lambda: seen.append(a.tx.first[0] - a.doorbells[0]), push=True)
    summary("push_to_wire", seen, 0)


@cocotb.test()
async def wire_to_cqe(dut: Any) -> None:
    bench = await BenchPair.start(dut)
    b, seen = bench.b, []
    for _ in range(TIMES + 1):
        b.driver.post_recv(b.qps[0], RqWqe(num_sge=1, sge0=b.sge(0, 64)))
    await messages(
        bench,
        bench.request(WrOp.SEND, 0, 64),
        lambda: seen.append(cqe_beat(bench, b) - bench.probe.b.rx.last[0]),
    )
    summary("wire_to_cqe", seen, LATENCY)
