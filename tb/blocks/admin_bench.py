"""The bench of rnic_admin: rings in host memory, and everybody it gives orders to."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import AdminStatus, QpState
from spec.fields import Record
from spec.layouts import AdminCqe, KeyEntry
from spec.registers import AdminConfigReg
from spec.streams import (
    CqAnswer,
    CqConfig,
    DmaReadData,
    DmaReadReq,
    EqConfig,
    KeyWrite,
    QpConfig,
    QpError,
    QpInit,
    QpWatch,
    QpWrite,
    RqWrite,
    SrqAnswer,
    SrqConfig,
)
from tb.blocks.cq_host import WritePort
from tb.streams import StreamSink, cycles, reset, stall_pattern, start_clock

QPS, CQS, EQS, SRQS, KEYS = 8, 8, 4, 4, 16
INITS, DRAINS = 3, 4
SQ_BASE, CQ_BASE = 0x10_0000, 0x20_0000
PORT_MTU = 4200

ORDERS = {
    "m_qp": QpWrite, "m_rq": RqWrite, "m_error": QpError, "m_key": KeyWrite,
    "m_cq": CqConfig, "m_eq": EqConfig, "m_srq": SrqConfig, "m_kick": None, "m_watch": QpWatch,
}  # fmt: skip


class Late:
    """A table with one read port: the record comes two cycles after the number."""

    def __init__(self, number: Any, record: Any, content: dict[int, Record]) -> None:
        self.number, self.record, self.content = number, record, content
        self.value = 0
        record.value = 0

    def step(self) -> None:
        """One clock edge."""
        self.record.value = self.value
        number = self.number.value
        found = self.content.get(int(number)) if number.is_resolvable else None
        self.value = found.to_int() if found else 0


class Bench:
    """Clock, reset, the rings, and a log of every order."""

    def __init__(self, dut: SimHandleBase, stall: str) -> None:
        self.dut, self.stall = dut, stall_pattern(stall)
        self.log: list[tuple[str, Any]] = []
        self.qps: dict[int, QpConfig] = {}
        self.keys: dict[int, KeyEntry] = {}
        self.answer = CqAnswer(exists=1, producer=0x123456, consumer=0x654321)
        self.commands: dict[int, tuple[int, bool]] = {}
        self.fetches: list[tuple[int, int]] = []
        self.irqs: list[int] = []
        self.head = self.tail = self.taken = 0
        self.now = 0
        self.drain_latency = 10
        self.sq_log, self.cq_log = 4, 4
        for name in ("doorbell_en", "cq_index_en", "s_dma_en", "init_ready", "drain_done_en",
                     "admin_config", "doorbell_index", "cq_index"):  # fmt: skip
            getattr(dut, name).value = 0
        dut.sq_base.value, dut.cq_base.value = SQ_BASE, CQ_BASE
        dut.port_mtu.value, dut.qp_rd_drained.value = PORT_MTU, 1
        dut.cq_answer.value = self.answer.to_int()
        self.srq_answer = SrqAnswer(producer=0xFFF0, consumer=0xFF12, limit=0x4321)
        dut.srq_answer.value = self.srq_answer.to_int()
        self.host = WritePort(dut, stall)
        self.sinks = [
            StreamSink(dut, name, record=record, stall=stall_pattern(stall), on_beat=self._on(name))
            for name, record in ORDERS.items()
        ]
        fetch = {"record": DmaReadReq, "stall": stall_pattern(stall), "on_beat": self._on_fetch}
        self.sinks.append(StreamSink(dut, "m_dma", **fetch))
        self.irq = StreamSink(dut, "m_irq", stall=stall_pattern(stall), on_beat=self.irqs.append)
        self.tables = [
            Late(dut.qp_rd_qpn, dut.qp_rd_cfg, self.qps),
            Late(dut.lookup_index, dut.lookup_entry, self.keys),
        ]

    @classmethod
    async def start(
        cls, dut: SimHandleBase, stall: str = "none", sq_log: int = 4, cq_log: int = 4
    ) -> Self:
        """Reset, and enable the rings."""
        start_clock(dut)
        bench = cls(dut, stall)
        await reset(dut, *bench.sinks, bench.irq, *bench.host.ends)
        cocotb.start_soon(bench._run())
        while dut.ready.value != 1:
            await cycles(dut)
        await bench.enable(sq_log, cq_log)
        return bench

    async def enable(self, sq_log: int = 4, cq_log: int = 4, irq: int = 1) -> None:
        """Both rings begin at index 0."""
        self.sq_log, self.cq_log = sq_log, cq_log
        self.head = self.tail = self.taken = 0
        config = AdminConfigReg(enable=1, irq_enable=irq, sq_log=sq_log, cq_log=cq_log, vector=7)
        self.dut.admin_config.value = config.to_int()
        await cycles(self.dut)

    # ------------------------------------------------------------------ the other side

    def _on(self, name: str) -> Callable[[Any], None]:
        return lambda beat: self._obey(name, beat)

    def _obey(self, name: str, beat: Any) -> None:
        self.log.append((name, beat))
        if name == "m_qp":
            old = self.qps.get(beat.qpn, QpConfig())
            new = beat.cfg
            if beat.state_only:
                new = replace(old, state=new.state, exists=new.exists)
            self.qps[beat.qpn] = new
        elif name == "m_key":
            self.keys[beat.index] = beat.entry
        elif name == "m_error":
            self.qps[beat.qpn] = replace(self.qps[beat.qpn], state=QpState.ERR)

    def _on_fetch(self, request: DmaReadReq) -> None:
        assert request.length == 64
        self.fetches.append((self.now + random.randint(1, 12), request.addr))

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        ready, drains = 0, []
        while True:
            await edge
            self.now += 1
            for table in self.tables:
                table.step()
            self._deliver()
            ready = self._inits(ready)
            self._drains(drains)

    def _deliver(self) -> None:
        due = bool(self.fetches) and self.fetches[0][0] <= self.now
        self.dut.s_dma_en.value = int(due)
        if due:
            data, error = self.commands[self.fetches.pop(0)[1]]
            self.dut.s_dma_data.value = DmaReadData(data=data, last=1, error=error).to_int()

    def _inits(self, ready: int) -> int:
        valid = self.dut.init_valid.value
        valid = int(valid) if valid.is_resolvable else 0
        for block in range(INITS):
            if valid & ready & 1 << block:
                init = QpInit.from_int(int(self.dut.init_data.value))
                self.log.append((f"init{block}", init))
        ready = sum(1 << block for block in range(INITS) if not self.stall())
        self.dut.init_ready.value = ready
        return ready

    def _drains(self, drains: list[tuple[int, int]]) -> None:
        asked = self.dut.drain_req_en.value
        asked = int(asked) if asked.is_resolvable else 0
        done = 0
        for when, block in [d for d in drains if d[0] <= self.now]:
            drains.remove((when, block))
            done |= 1 << block
            self.log.append(("drained", block))
        for block in range(DRAINS):
            if asked >> block & 1:
                drains.append((self.now + random.randint(1, self.drain_latency), block))
                self.log.append(("drain", block))
        self.dut.drain_done_en.value = done

    # ------------------------------------------------------------------ commands

    def write(self, command: Record, error: bool = False) -> None:
        """Put a command into the ring."""
        slot = self.head % (1 << self.sq_log)
        self.commands[SQ_BASE + 64 * slot] = (command.to_int(), error)
        self.head += 1

    async def pulse(self, name: str, index: int) -> None:
        """A write to one of the index registers."""
        getattr(self.dut, f"{name}_index").value = index & 0xFFFF
        getattr(self.dut, f"{name}_en" if name == "doorbell" else f"{name}_index_en").value = 1
        await cycles(self.dut)
        getattr(self.dut, f"{name}_en" if name == "doorbell" else f"{name}_index_en").value = 0

    async def ring(self) -> None:
        """Tell the adapter of new commands."""
        await self.pulse("doorbell", self.head)

    def poll(self) -> AdminCqe | None:
        """The next completion, if it is there."""
        size = 1 << self.cq_log
        data = self.host.read(CQ_BASE + 64 * (self.taken % size), 64)
        if data is None:
            return None
        entry = AdminCqe.unpack(data)
        if entry.phase != 1 - self.taken // size % 2:
            return None
        self.taken += 1
        return entry

    async def wait(self, timeout: int = 3000) -> AdminCqe:
        """The next completion; it is consumed."""
        for _ in range(timeout):
            found = self.poll()
            if found is not None:
                await self.pulse("cq", self.taken)
                return found
            await cycles(self.dut)
        raise AssertionError(f"no completion {self.taken}: {int(self.dut.admin_status.value):#x}")

    async def run(self, command: Record, error: bool = False) -> AdminCqe:
        """One command from beginning to end; the log then holds its orders alone."""
        self.log.clear()
        tag = random.getrandbits(16)
        self.write(replace(command, tag=tag), error)
        await self.ring()
        found = await self.wait()
        assert found.tag == tag or error
        assert found.sq_head == self.head & 0xFFFF
        return found

    async def succeed(self, command: Record) -> AdminCqe:
        """One command that must not be refused."""
        found = await self.run(command)
        assert found.status == AdminStatus.OK, (AdminStatus(found.status), command)
        return found

    def names(self) -> list[str]:
        """The kinds of orders, in order."""
        return [name for name, _ in self.log]
