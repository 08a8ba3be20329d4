"""The bench of the reaction point: CNPs, a requester that obeys, and a look at the flows inside."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.registers import (
    DcqcnAlphaReg,
    DcqcnBytesReg,
    DcqcnCutReg,
    DcqcnIncreaseReg,
    DcqcnLineReg,
    DcqcnMonitorReg,
    DcqcnTimerReg,
)
from spec.streams import QpInit
from tb.model.dcqcn import Parameters
from tb.streams import StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

QPS = 16
US = 50  # cycles in a microsecond
BEAT = 64  # bytes that a cycle can carry
LINE = 20_000  # Mbit/s
BURST = 8192
OVERHEAD = 58  # of a frame, besides its payload

# The state of a flow, first field on top.
FIELDS = (
    ("rate", 26), ("target", 26), ("alpha", 25), ("byte_stage", 7), ("time_stage", 7),
    ("limit", 32), ("frac", 19), ("byte_from", 32), ("time_from", 25), ("alpha_from", 25),
    ("cut_at", 25), ("seen_at", 25),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """A flow at the end of a visit."""

    cycle: int
    qpn: int
    cnp: bool  # one was there when it began
    free: bool
    sent: int
    rate: float
    target: float
    alpha: float
    byte_stage: int
    time_stage: int

    @property
    def now(self) -> float:
        """Microseconds."""
        return self.cycle / US


@dataclass
class Bench:
    """Clock, registers, the requester's side, and every visit of the engine."""

    dut: SimHandleBase
    kick: StreamSink = field(init=False)
    init: StreamSource = field(init=False)
    cycle: int = 0
    visits: list[Seen] = field(default_factory=list)
    kicks: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=lambda: [0] * QPS)
    packets: list[tuple[int, int, int]] = field(default_factory=list)  # cycle, qpn, bytes
    holds: set[int] = field(default_factory=set)  # who was seen held
    _ready: deque[int] = field(default_factory=deque)
    _asleep: set[int] = field(default_factory=set)
    _parking: int | None = None
    _kicked: bool = False

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: str = "none", **parameters: Any) -> Self:
        """Connect and reset, with DCQCN on."""
        start_clock(dut)
        for name in ("cnp_en", "cnp_qpn", "sent_en", "sent_qpn", "sent_bytes", "pace_rd_qpn"):
            getattr(dut, name).value = 0
        bench = cls(dut)
        bench.set(**parameters)
        dut.enable.value = 1
        bench.kick = StreamSink(dut, "m_kick", stall=stall_pattern(stall), on_beat=bench._on_kick)
        bench.init = StreamSource(dut, "init", record=QpInit)
        await reset(dut, bench.kick, bench.init)
        cocotb.start_soon(bench._watch())
        return bench

    def set(self, burst: int = BURST, **parameters: Any) -> Parameters:
        """Write the registers; what is not named has its proposed default, but line is LINE."""
        p = Parameters(**{"line": LINE, **parameters})
        dut = self.dut
        dut.line.value = DcqcnLineReg(rate=int(p.line)).to_int()
        dut.cut.value = DcqcnCutReg(
            min_rate=int(p.min_rate), min_factor=int(256 * p.min_factor)
        ).to_int()
        dut.monitor.value = DcqcnMonitorReg(period=int(p.monitor), burst=burst).to_int()
        dut.alpha.value = DcqcnAlphaReg(
            period=int(p.alpha_period), gain=round(1024 * p.gain)
        ).to_int()
        dut.timer.value = DcqcnTimerReg(period=int(p.time_period), stages=p.stages).to_int()
        dut.bytes.value = DcqcnBytesReg(count=p.byte_period).to_int()
        dut.increase.value = DcqcnIncreaseReg(additive=int(p.additive), hyper=int(p.hyper)).to_int()
        self.parameters = p
        return p

    @property
    def now(self) -> float:
        """Microseconds."""
        return self.cycle / US

    async def cnp(self, *qpns: int) -> None:
        """CNPs in consecutive cycles."""
        for qpn in qpns:
            self.dut.cnp_en.value = 1
            self.dut.cnp_qpn.value = qpn
            await cycles(self.dut)
        self.dut.cnp_en.value = 0

    async def wait(self, microseconds: float) -> None:
        """Let time pass."""
        await cycles(self.dut, round(microseconds * US))

    async def held(self, qpn: int, port: int = 0) -> bool:
        """Ask whether a queue pair must wait."""
        self.dut.pace_rd_qpn.value = qpn << 16 * port
        await cycles(self.dut, 3)
        return bool(int(self.dut.pace_rd_hold.value) >> port & 1)

    async def asleep(self, *qpns: int, timeout: int = 20_000) -> None:
        """Until the requester sleeps for all of these."""
        for _ in range(timeout):
            if self._asleep.issuperset(qpns):
                return
            await cycles(self.dut)
        raise AssertionError(f"{qpns} do not sleep")

    def last(self, qpn: int) -> Seen:
        """The newest visit of a queue pair."""
        return next(seen for seen in reversed(self.visits) if seen.qpn == qpn)

    async def settled(self, qpn: int, timeout: int = 400) -> Seen:
        """The first visit that begins from now on."""
        start = self.cycle + 30
        for _ in range(timeout):
            await cycles(self.dut)
            if self.visits and self.visits[-1].qpn == qpn and self.visits[-1].cycle > start:
                return self.visits[-1]
        raise AssertionError(f"queue pair {qpn} is not visited")

    # The requester: it asks before each packet, and sleeps when it must

    def run(self, qpns: Iterable[int], size: int = 1000) -> None:
        """These queue pairs always have something to send."""
        self._ready.extend(qpns)
        cocotb.start_soon(self._requester(size))

    async def _requester(self, size: int) -> None:
        dut = self.dut
        while True:
            if not self._ready:
                await cycles(dut)
                continue
            qpn = self._ready.popleft()
            if await self.held(qpn):
                self.holds.add(qpn)
                await self._park(qpn)
                continue
            length = random.randint(size // 2, size)
            dut.sent_en.value = 1
            dut.sent_qpn.value = qpn
            dut.sent_bytes.value = length
            await cycles(dut)
            dut.sent_en.value = 0
            self.sent[qpn] += length + OVERHEAD
            self.packets.append((self.cycle, qpn, length + OVERHEAD))
            self._ready.append(qpn)
            await cycles(dut, max(length // BEAT - 4, 1))

    async def _park(self, qpn: int) -> None:
        """As the scheduler does: look, sleep, then see the kicks that came meanwhile."""
        await cycles(self.dut, random.randrange(1, 10))
        self._parking, self._kicked = qpn, False
        hold = await self.held(qpn, port=1)
        if hold and not self._kicked:
            self._asleep.add(qpn)
        else:
            self._ready.append(qpn)
        self._parking = None

    def _on_kick(self, qpn: int) -> None:
        self.kicks.append(qpn)
        if qpn == self._parking:
            self._kicked = True
        if qpn in self._asleep:
            self._asleep.remove(qpn)
            self._ready.append(qpn)

    # Inside

    async def _watch(self) -> None:
        edge = RisingEdge(self.dut.clk)
        engine = self.dut.u_engine
        done = engine.done_en._handle.get_signal_val_binstr
        begin = engine.visit_en._handle.get_signal_val_binstr
        cnp = False
        while True:
            await edge
            self.cycle += 1
            if begin() == "1":
                cnp = int(engine.visit_cnp.value) == 1
            if done() == "1":
                self.visits.append(self._look(engine, cnp))

    def _look(self, engine: SimHandleBase, cnp: bool) -> Seen:
        bits = int(engine.flow_q.value)
        values = {}
        for name, width in reversed(FIELDS):
            values[name] = bits & (1 << width) - 1
            bits >>= width
        return Seen(
            self.cycle,
            int(engine.qpn_q.value),
            cnp,
            bool(int(engine.done_free.value)),
            int(engine.sent_q.value),
            values["rate"] / 256,
            values["target"] / 256,
            values["alpha"] / (1 << 24),
            values["byte_stage"],
            values["time_stage"],
        )
