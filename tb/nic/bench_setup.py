"""Two adapters with connected queue pairs and scattered memory, ready to be measured.

Everything is set up with an ideal memory and measured with a slow one: commands are no part of any
row. Python writes whole rings before it rings a doorbell, and then only waits.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer

from spec.codes import Access, CqeStatus
from spec.layouts import AdminKey, AdminOp, KeyKind, Sge, SqWqe, WqeFlag, WrOp
from tb.axi_memory import Timing
from tb.nic.bench_probe import Probe
from tb.nic.bench_rows import result
from tb.nic.pair import PORTS, Pair
from tb.raw_driver import RawDriver, RawQp, Ring
from tb.streams import CLOCK_NS

LATENCY = int(os.environ.get("BENCH_LATENCY", "0"))
RESULTS = Path(os.environ.get("BENCH_RESULTS", "bench.jsonl"))

PAGE = 4096
KEY_INDEX, KEY_BYTE = 5, 0x5A
SEND_CQ, RECV_CQ = 1, 2
FIRST_QPN = 2
CQ_LOG = 11
POLL_CYCLES = 32


def record(row_id: str, value: float, bound: float) -> None:
    """Leave a measured row for `tb.bench`."""
    row = result(row_id, LATENCY, value, bound)
    cocotb.log.info("bench %s", row)
    with RESULTS.open("a") as file:
        file.write(json.dumps(row.as_json()) + "\n")


class Region:
    """Memory of scattered 4 KiB pages behind one key with a page list."""

    BASE = 0x7F_1000_0000

    def __init__(self, driver: RawDriver, pages: int) -> None:
        self.size = pages * PAGE
        self.token = KEY_INDEX << 8 | KEY_BYTE
        self._pool = driver.device.allocate(self.size)
        self._list = driver.device.allocate(8 * pages, PAGE)
        self._order = random.sample(range(pages), pages)
        for at, page in enumerate(self._order):
            address = self._pool.bus_address + page * PAGE
            self._list.memory[8 * at : 8 * at + 8] = address.to_bytes(8, "little")

    def command(self) -> AdminKey:
        """The command that registers it."""
        return AdminKey(
            opcode=AdminOp.REGISTER_KEY, number=KEY_INDEX, key=KEY_BYTE, kind=KeyKind.MR,
            access=Access(0xF), direct=0, page_shift=12, pd=1, pages=self._list.bus_address,
            base=self.BASE, length=self.size,
        )  # fmt: skip

    @property
    def bus_range(self) -> tuple[int, int]:
        """Where it lies on the bus."""
        return self._pool.bus_address, self._pool.bus_address + self.size

    def fill(self, data: bytes) -> None:
        """Give it content, from its start."""
        for at in range(0, len(data), PAGE):
            start = self._order[at // PAGE] * PAGE
            piece = data[at : at + PAGE]
            self._pool.memory[start : start + len(piece)] = piece

    def content(self) -> bytes:
        """All its bytes in virtual order."""
        pages = (self._pool.memory[p * PAGE : (p + 1) * PAGE] for p in self._order)
        return b"".join(pages)


@dataclass(slots=True)
class Node:
    """One adapter: its driver, queues and memory."""

    driver: RawDriver
    send_cq: Ring
    recv_cq: Ring
    qps: list[RawQp]
    region: Region

    @classmethod
    async def build(cls, driver: RawDriver, qps: int, pages: int, log: int) -> Node:
        """Bring-up, two completion queues, queue pairs, a region."""
        await driver.start()
        await driver.create_eq()
        send_cq = await driver.create_cq(SEND_CQ, CQ_LOG)
        recv_cq = await driver.create_cq(RECV_CQ, CQ_LOG)
        made = [
            await driver.create_qp(n, SEND_CQ, recv_cqn=RECV_CQ, sq_log=log, rq_log=log)
            for n in range(FIRST_QPN, FIRST_QPN + qps)
        ]
        region = Region(driver, pages)
        await driver.must(region.command())
        return cls(driver, send_cq, recv_cq, made, region)

    def take(self, ring: Ring) -> int:
        """Completions that have come since; each has to be a success."""
        count = 0
        while (cqe := ring.poll()) is not None:
            assert cqe.status == CqeStatus.SUCCESS, cqe
            count += 1
        if count:
            self.driver.consume(SEND_CQ if ring is self.send_cq else RECV_CQ, ring)
        return count

    @staticmethod
    def cq_range(ring: Ring) -> tuple[int, int]:
        """Where a completion queue lies on the bus."""
        start = ring.buffer.bus_address
        return start, start + len(ring.buffer.memory)

    def sge(self, offset: int, length: int) -> Sge:
        """A piece of the region."""
        return Sge(addr=self.region.BASE + offset, length=length, token=self.region.token)


class BenchPair:
    """Adapters a and b, connected queue pair by queue pair; a asks, b answers."""

    def __init__(self, pair: Pair, timing: Timing, probe: Probe, a: Node, b: Node) -> None:
        self.pair, self.timing, self.probe, self.a, self.b = pair, timing, probe, a, b

    @classmethod
    async def start(
        cls, dut: Any, *, qps: int = 1, pages: int = 16, log: int = 10, mtu: int = 5,
        delay: int = 0, **attributes: int,
    ) -> BenchPair:  # fmt: skip
        """Build both sides, then make their memory slow."""
        timing = Timing()
        pair = await Pair.start(dut, timing=timing, pcap=None, keep=False, delay=delay)
        drivers = [RawDriver(pair.devices[side], PORTS[side]) for side in "ab"]
        sides = [
            cls._side(d, n, qps, pages, log, mtu=mtu, **attributes) for n, d in enumerate(drivers)
        ]
        a, b = [await task for task in [cocotb.start_soon(side) for side in sides]]
        bench = cls(pair, timing, Probe(dut), a, b)
        timing.read_latency = timing.write_latency = LATENCY
        return bench

    @staticmethod
    async def _side(
        driver: RawDriver, side: int, qps: int, pages: int, log: int, **attributes: int
    ) -> Node:
        node = await Node.build(driver, qps, pages, log)
        sq_psn, rq_psn = 0x100 + side, 0x101 - side
        for qp in node.qps:
            await driver.connect(
                qp, PORTS["ba"[side]], qp.number, sq_psn=sq_psn, rq_psn=rq_psn, **attributes
            )
        return node

    async def wait(self, node: Node, ring: Ring, count: int, limit: int = 300_000) -> None:
        """Until so many completions came, at the latest after so many cycles."""
        waited = 0
        while (count := count - node.take(ring)) > 0:
            await cycles(POLL_CYCLES)
            waited += POLL_CYCLES
            assert waited < limit, f"{count} completions are missing"
        assert count == 0, f"{-count} completions too many"

    async def settle(self) -> None:
        """Until nothing is under way on any port."""
        quiet = 0
        while quiet < 4:
            idle = self.pair.link.idle and all(d.axi.idle for d in self.pair.devices.values())
            quiet = quiet + 1 if idle else 0
            await cycles(POLL_CYCLES)
        self.probe.clear()

    def ring_all(self, node: Node) -> None:
        """One doorbell for each queue pair."""
        for qp in node.qps:
            node.driver.ring_sq(qp.number, qp.sq_index)

    def request(
        self, opcode: WrOp, offset: int, length: int, *, signaled: bool = True, wr_id: int = 0
    ) -> SqWqe:
        """A request of a: the same place of both regions."""
        remote = {} if opcode == WrOp.SEND else {
            "remote_addr": self.b.region.BASE + offset, "rkey": self.b.region.token,
        }  # fmt: skip
        return SqWqe(
            opcode=opcode, flags=WqeFlag.SIGNALED if signaled else WqeFlag(0), blocks=1, num_sge=1,
            length=length, wr_id=wr_id, data=self.a.sge(offset, length).to_int(), **remote,
        )  # fmt: skip


async def cycles(count: int) -> None:
    """Let clock cycles pass."""
    await Timer(count * CLOCK_NS, "ns")
