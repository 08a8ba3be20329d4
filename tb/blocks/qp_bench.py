"""The bench of rnic_qp_table: admin, failing pipelines, readers, and who hears of a flush."""

from __future__ import annotations

from typing import Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import CqeStatus, QpState
from spec.streams import EventReq, QpConfig, QpError, QpWrite, RqConfig, RqWrite
from tb.lanes import LaneSources
from tb.streams import Stall, StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

QPS, RINGS, READERS, ERRORS = 8, 10, 2, 3
LISTENERS = 3


class Listeners:
    """Three consumers of one flush word, each with a valid and a ready of its own."""

    def __init__(self, dut: SimHandleBase, stalls: list[Stall]) -> None:
        self.dut, self.stalls = dut, stalls
        self.heard: list[list[int]] = [[] for _ in stalls]
        self.on_flush = lambda qpn: None
        dut.m_flush_ready.value = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        ready = before = 0
        while True:
            await edge
            valid = int(self.dut.m_flush_valid.value) if self.dut.rst.value == 0 else 0
            assert before & ~valid == 0, "a flush went away before it was taken"
            for lane, heard in enumerate(self.heard):
                if valid & ready & 1 << lane:
                    heard.append(int(self.dut.m_flush_data.value))
                    self.on_flush(heard[-1])
            before = valid & ~ready
            ready = sum(1 << lane for lane, stall in enumerate(self.stalls) if not stall())
            self.dut.m_flush_ready.value = ready


class Bench:
    """Clock, reset and everybody who talks to the table."""

    def __init__(self, dut: SimHandleBase, stalls: list[str], idle: str) -> None:
        self.dut = dut
        dut.rd_qpn.value = 0
        dut.rq_rd_id.value = 0
        self.write = StreamSource(dut, "s_write", idle=stall_pattern(idle))
        self.rq = StreamSource(dut, "s_rq", idle=stall_pattern(idle))
        self.errors = LaneSources(dut, "s_error", ERRORS, idle=stall_pattern(idle))
        self.listeners = Listeners(dut, [stall_pattern(name) for name in stalls[:LISTENERS]])
        self.events = StreamSink(
            dut, "m_event", record=EventReq, stall=stall_pattern(stalls[LISTENERS])
        )

    @classmethod
    async def start(
        cls, dut: SimHandleBase, stalls: tuple[str, ...] = ("none",) * 4, idle: str = "none"
    ) -> Self:
        """Reset, and wait until the table is empty."""
        start_clock(dut)
        bench = cls(dut, list(stalls), idle)
        await reset(dut, bench.write, bench.rq, bench.errors, bench.events)
        await bench.wait_ready()
        return bench

    async def wait_ready(self) -> None:
        """Until the sweep is over."""
        for _ in range(200):
            if self.dut.ready.value == 1:
                return
            await cycles(self.dut)
        raise AssertionError("never ready")

    async def set(self, qpn: int, *, state_only: int = 0, **fields: int) -> None:
        """A write of rnic_admin, taken."""
        cfg = QpConfig(**{"exists": 1, **fields})
        await self.write.send(QpWrite(qpn=qpn, state_only=state_only, cfg=cfg))

    def fail(
        self, lane: int, qpn: int, status: CqeStatus = CqeStatus.REM_OP_ERR, remote: int = 0
    ) -> None:
        """A pipeline asks for ERR."""
        error = QpError(qpn=qpn, status=status, remote=remote)
        self.errors.send_nowait(lane, data=error.to_int())

    async def read(self, *numbers: int) -> list[QpConfig]:
        """What every reader sees, two cycles after the numbers."""
        self.dut.rd_qpn.value = sum(n << 24 * i for i, n in enumerate(numbers))
        await cycles(self.dut)
        self.dut.rd_qpn.value = 0
        await cycles(self.dut, 2)
        bits = str(self.dut.rd_cfg.value)
        width = len(bits) // READERS
        lanes = [bits[len(bits) - (i + 1) * width : len(bits) - i * width] for i in range(READERS)]
        return [QpConfig.from_int(int(known(lane), 2)) for lane in lanes]

    async def state(self, qpn: int) -> tuple[int, int]:
        """exists and state, alike for every reader."""
        found = {(int(cfg.exists), int(cfg.state)) for cfg in await self.read(qpn, qpn)}
        assert len(found) == 1
        return found.pop()

    async def ring(self, rq_id: int) -> RqConfig:
        """What is known of a receive ring."""
        self.dut.rq_rd_id.value = rq_id
        await cycles(self.dut)
        self.dut.rq_rd_id.value = 0
        await cycles(self.dut, 2)
        return RqConfig.from_int(int(known(str(self.dut.rq_rd_cfg.value)), 2))

    async def write_ring(self, rq_id: int, **fields: int) -> None:
        """A receive ring, changed by rnic_admin."""
        await self.rq.send(RqWrite(rq_id=rq_id, cfg=RqConfig(**fields)))

    async def settle(self) -> None:
        """Until nobody waits for anything."""
        quiet = 0
        for _ in range(5000):
            await cycles(self.dut)
            busy = not (self.errors.empty() and self.write.empty())
            busy = busy or self.dut.m_event_valid.value == 1 or int(self.dut.m_flush_valid.value)
            quiet = 0 if busy else quiet + 1
            if quiet > 12:
                return
        raise AssertionError("never quiet")


def known(bits: str) -> str:
    """Unknown bits of a record as zeros; exists and state are known in every record."""
    return "".join(bit if bit in "01" else "0" for bit in bits)


DEAD = (1, QpState.ERR)
