"""Cycles per message of short messages, of one queue pair and of many.

A message has passed the sender with its frame, the receiver with its last write to memory, and the
sender again with its completion; the slowest of these is the row's value.
"""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.layouts import RqWqe, WrOp
from tb.nic.bench_probe import rate, wire_bound
from tb.nic.bench_setup import BenchPair, Node, record

MESSAGES = 1000
MANY = 64
MANY_EACH = 24
READS_EACH = 80  # enough that requests come as fast as responses leave
SIGNAL_EVERY = 16


def put_all(bench: BenchPair, opcode: WrOp, size: int, each: int, signal_every: int) -> int:
    """Fill every send queue with messages, each from its own place; returns the completions due."""
    signaled = 0
    for at, qp in enumerate(bench.a.qps):
        for number in range(each):
            signal = number % signal_every == signal_every - 1 or number == each - 1
            place = (at * each + number) * size % bench.a.region.size
            wqe = bench.request(opcode, place, size, signaled=signal, wr_id=number)
            bench.a.driver.put_send(qp, wqe)
            signaled += signal
    return signaled


async def writes(dut: Any, row_id: str, qps: int, each: int) -> None:
    """64-byte WRITEs, every sixteenth signaled."""
    bench = await BenchPair.start(dut, qps=qps, pages=32, log=10 if qps == 1 else 5)
    a, b, probe = bench.a, bench.b, bench.probe
    data = random.randbytes(qps * each * 64)
    a.region.fill(data)
    await bench.settle()
    due = put_all(bench, WrOp.WRITE, 64, each, SIGNAL_EVERY)
    bench.ring_all(a)
    await bench.wait(a, a.send_cq, due)
    assert b.region.content()[: len(data)] == data
    sent, written = probe.a.tx.last, [w.last for w in probe.b.writes(*b.region.bus_range)]
    assert len(sent) == len(written) == qps * each
    cocotb.log.info("sender %.3f receiver %.3f", rate(sent), rate(written))
    record(row_id, max(rate(sent), rate(written)), wire_bound(probe.a.tx))


@cocotb.test()
async def write_64_1qp(dut: Any) -> None:
    await writes(dut, "write_64_1qp", 1, MESSAGES)


@cocotb.test()
async def write_64_64qp(dut: Any) -> None:
    await writes(dut, "write_64_64qp", MANY, MANY_EACH)


def post_receives(node: Node, size: int, each: int) -> None:
    """A receive for every message, one doorbell for each queue pair."""
    for at, qp in enumerate(node.qps):
        for number in range(each):
            sge = node.sge((at * each + number) * size, size)
            node.driver.post_recv(qp, RqWqe(num_sge=1, sge0=sge), ring=number == each - 1)


async def sends(dut: Any, row_id: str, qps: int, each: int) -> None:
    """64-byte SENDs, all signaled."""
    bench = await BenchPair.start(dut, qps=qps, pages=32, log=10 if qps == 1 else 5)
    a, b, probe = bench.a, bench.b, bench.probe
    count = qps * each
    data = random.randbytes(count * 64)
    a.region.fill(data)
    post_receives(b, 64, each)
    await bench.settle()
    due = put_all(bench, WrOp.SEND, 64, each, 1)
    bench.ring_all(a)
    await bench.wait(a, a.send_cq, due)
    await bench.wait(b, b.recv_cq, count)
    assert b.region.content()[: len(data)] == data
    passed = [
        probe.a.tx.last,
        [w.last for w in probe.b.writes(*b.cq_range(b.recv_cq))],
        [w.last for w in probe.a.writes(*a.cq_range(a.send_cq))],
    ]
    assert [len(stamps) for stamps in passed] == [count] * 3
    cocotb.log.info("sender, receiver, completions: %s", [rate(stamps) for stamps in passed])
    record(row_id, max(map(rate, passed)), wire_bound(probe.a.tx))


@cocotb.test()
async def send_64_cqe(dut: Any) -> None:
    await sends(dut, "send_64_cqe", 1, MESSAGES)


@cocotb.test()
async def send_64_64qp(dut: Any) -> None:
    await sends(dut, "send_64_64qp", MANY, MANY_EACH)


@cocotb.test()
async def read_8(dut: Any) -> None:
    """Of many queue pairs: sixteen reads at a time are not enough to hide slow memory."""
    bench = await BenchPair.start(dut, qps=MANY, pages=16, log=7)
    a, b, probe = bench.a, bench.b, bench.probe
    data = random.randbytes(MANY * READS_EACH * 8)
    b.region.fill(data)
    await bench.settle()
    due = put_all(bench, WrOp.READ, 8, READS_EACH, SIGNAL_EVERY)
    bench.ring_all(a)
    await bench.wait(a, a.send_cq, due)
    assert a.region.content()[: len(data)] == data
    answered, written = probe.b.tx.last, [w.last for w in probe.a.writes(*a.region.bus_range)]
    assert len(answered) == len(written) == MANY * READS_EACH
    record("read_8", max(rate(answered), rate(written)), wire_bound(probe.b.tx))
