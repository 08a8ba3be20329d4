"""rnic_cpl_timer: never early, at most two ticks and a turn late, and silent when nothing waits."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import QpState
from spec.streams import QpConfig
from tb.streams import start_clock

ACK_TICK, RNR_TICK = 24, 40

# Milliseconds of the RNR NAK codes (rocev2 1.8), in hundredths.
RNR_CODES = [
    65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536,
    2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
]  # fmt: skip


@dataclass
class Watch:
    """What the walk says of a QP."""

    tail: int = 0
    count: int = 0
    rnr_wait: int = 0
    rnr_code: int = 0
    moved: int = 0

    def to_int(self) -> int:
        """As rtl/include/reliability.svh packs it, first field on top."""
        value = self.tail
        for field, width in (
            (self.count, 16), (self.rnr_wait, 1), (self.rnr_code, 5), (self.moved, 32)
        ):  # fmt: skip
            value = value << width | field
        return value


class Bench:
    """Tables around the timer, and every expiry with its cycle."""

    def __init__(self, dut: SimHandleBase) -> None:
        self.dut = dut
        self.qps = int(dut.QP_COUNT.value)
        self.cfg = [QpConfig() for _ in range(self.qps)]
        self.watch = [Watch() for _ in range(self.qps)]
        self.expiries: list[tuple[int, int, int]] = []
        self.cycle = 0
        self.stall = 0.0

    @classmethod
    async def start(cls, dut: SimHandleBase, ack: int = ACK_TICK, rnr: int = RNR_TICK) -> Bench:
        """Clock, reset, a new life for everybody."""
        start_clock(dut)
        bench = cls(dut)
        for name in ("sent_en", "msg_en", "state_en", "state_init", "qp_rd_cfg"):
            getattr(dut, name).value = 0
        dut.ack_tick.value, dut.rnr_tick.value = ack, rnr
        dut.m_expire_ready.value = 1
        for _ in range(4):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        cocotb.start_soon(bench._run())
        for qpn in range(bench.qps):
            await bench.init(qpn)
        return bench

    async def _run(self) -> None:
        dut, shown = self.dut, 0
        while True:
            await RisingEdge(dut.clk)
            self.cycle += 1
            if dut.m_expire_valid.value == 1 and dut.m_expire_ready.value == 1:
                qpn, count = int(dut.m_expire_qpn.value), int(dut.m_expire_count.value)
                self.expiries.append((self.cycle, qpn, count))
            dut.m_expire_ready.value = int(random.random() >= self.stall)
            dut.qp_rd_cfg.value = shown
            shown = self.cfg[int(dut.qp_rd_qpn.value)].to_int()

    async def _pulse(self, port: str, qpn: int, **fields: int) -> None:
        dut = self.dut
        for name, value in {"en": 1, "qpn": qpn, **fields}.items():
            getattr(dut, f"{port}_{name}").value = value
        await RisingEdge(dut.clk)
        getattr(dut, f"{port}_en").value = 0

    async def init(self, qpn: int) -> None:
        """A new life."""
        self.watch[qpn] = Watch(moved=int(self.dut.ack_now.value))
        self.dut.state_init.value = 1
        await self._pulse("state", qpn, data=self.watch[qpn].to_int())
        self.dut.state_init.value = 0

    async def say(self, qpn: int, **fields: int) -> None:
        """The walk has changed something."""
        for name, value in fields.items():
            setattr(self.watch[qpn], name, value)
        await self._pulse("state", qpn, data=self.watch[qpn].to_int())

    async def message(self, qpn: int, index: int = 0) -> None:
        """A message is recorded, and its first packet leaves in the same cycle."""
        self.dut.sent_en.value, self.dut.sent_qpn.value = 1, qpn
        await self._pulse("msg", qpn, index=index)
        self.dut.sent_en.value = 0

    async def sent(self, qpn: int) -> None:
        """A turn of the oldest message begins."""
        await self._pulse("sent", qpn)

    def ready(self, qpn: int, timeout: int) -> None:
        """Configure a QP in RTS."""
        self.cfg[qpn] = QpConfig(exists=1, state=QpState.RTS, timeout=timeout)

    async def cycles(self, count: int) -> None:
        """Let cycles pass."""
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    async def expiry(self, qpn: int, limit: int) -> int:
        """The cycle of the next expiry of a QP."""
        seen = len(self.expiries)
        for _ in range(limit):
            for cycle, who, _count in self.expiries[seen:]:
                if who == qpn:
                    return cycle
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"QP {qpn} never expires")

    def bounds(self, ticks: int, tick: int) -> tuple[int, int]:
        """Never early; at most two ticks, a turn and the way out late."""
        return ticks * tick, (ticks + 2) * tick + self.qps + 8


@cocotb.test()
@cocotb.parametrize(timeout=[1, 2, 3, 5, 7])
async def a_packet_that_is_not_answered(dut: SimHandleBase, timeout: int) -> None:
    bench = await Bench.start(dut)
    low, high = bench.bounds(1 << timeout, ACK_TICK)
    for qpn in range(bench.qps):
        bench.ready(qpn, timeout)
        await bench.cycles(random.randrange(3 * ACK_TICK))
        await bench.message(qpn)
        begin = bench.cycle
        waited = await bench.expiry(qpn, high + 10) - begin
        assert low <= waited <= high, (low, waited, high)
        await bench.say(qpn, tail=1)


@cocotb.test()
async def progress_and_turns_start_the_time_anew(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    low, high = bench.bounds(8, ACK_TICK)
    for qpn in range(bench.qps):
        bench.ready(qpn, 3)
        await bench.message(qpn)
        for number in range(6):
            await bench.cycles(6 * ACK_TICK)
            if number % 2:
                await bench.sent(qpn)
            else:
                await bench.say(qpn, moved=int(dut.ack_now.value), count=number)
        begin = bench.cycle
        assert not any(who == qpn for _, who, _ in bench.expiries)
        waited = await bench.expiry(qpn, high + 10) - begin
        assert low <= waited <= high
        await bench.say(qpn, tail=1)


@cocotb.test()
async def it_is_told_every_turn_with_the_count_it_was_judged_by(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    bench.ready(1, 1)
    await bench.say(1, count=7)
    await bench.message(1)
    await bench.expiry(1, 200)
    await bench.cycles(10 * bench.qps)
    assert len(bench.expiries) >= 9
    assert {count for _, who, count in bench.expiries if who == 1} == {7}
    # Changed: what is told from now on was judged anew.
    await bench.say(1, count=8, moved=int(dut.ack_now.value))
    await bench.cycles(bench.qps + 8)
    bench.expiries.clear()
    await bench.cycles(ACK_TICK)
    assert not bench.expiries
    await bench.expiry(1, 200)
    assert {count for _, _, count in bench.expiries} == {8}


@cocotb.test()
async def nothing_runs_without_a_reason(dut: SimHandleBase) -> None:
    """No timeout, no message, no such QP, no state in which it may send."""
    bench = await Bench.start(dut)
    never = [
        QpConfig(exists=1, state=QpState.RTS, timeout=0),
        QpConfig(exists=0, state=QpState.RTS, timeout=1),
        *(QpConfig(exists=1, state=state, timeout=1)
          for state in (QpState.RESET, QpState.INIT, QpState.RTR, QpState.ERR)),
    ]  # fmt: skip
    for at in range(0, len(never), bench.qps):
        for qpn, cfg in enumerate(never[at : at + bench.qps]):
            bench.cfg[qpn] = cfg
            await bench.message(qpn)
        await bench.cycles(20 * ACK_TICK)
        assert not bench.expiries
        for qpn in range(bench.qps):
            bench.cfg[qpn] = QpConfig()
            await bench.init(qpn)
    # Everything is acknowledged.
    bench.ready(0, 1)
    await bench.message(0, 5)
    await bench.say(0, tail=6)
    await bench.cycles(20 * ACK_TICK)
    assert not bench.expiries
    # A draining one still waits.
    bench.cfg[0] = QpConfig(exists=1, state=QpState.SQD, timeout=1)
    await bench.message(0, 6)
    await bench.expiry(0, 200)


@cocotb.test()
async def the_codes_of_receiver_not_ready(dut: SimHandleBase) -> None:
    """Each lasts at least what the table says, and the ACK timer rests meanwhile."""
    bench = await Bench.start(dut, ack=1, rnr=2)
    slow = {0, *range(22, 32)}
    for code, units in enumerate(RNR_CODES):
        if code in slow and code not in (0, 22, 23):
            continue
        qpn = code % bench.qps
        bench.ready(qpn, random.choice((0, 1)))
        await bench.message(qpn)
        await bench.say(qpn, rnr_wait=1, rnr_code=code, moved=int(dut.rnr_now.value))
        begin = bench.cycle
        low, high = bench.bounds(units, 2)
        bench.expiries.clear()
        waited = await bench.expiry(qpn, high + 10) - begin
        assert low <= waited <= high, (code, low, waited, high)
        await bench.init(qpn)


@cocotb.test()
async def all_at_once_and_nobody_listens(dut: SimHandleBase) -> None:
    """What is not taken is told again: each gets heard, with stalls as without."""
    bench = await Bench.start(dut)
    bench.stall = 0.8
    for qpn in range(bench.qps):
        bench.ready(qpn, 1)
        await bench.say(qpn, count=100 + qpn)
        await bench.message(qpn)
    await bench.cycles(4 * ACK_TICK + 100 * bench.qps)
    heard = {(who, count) for _, who, count in bench.expiries}
    assert heard == {(qpn, 100 + qpn) for qpn in range(bench.qps)}


@cocotb.test()
async def a_new_life_begins_without_time(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    for _ in range(5):
        bench.ready(2, 1)
        await bench.message(2, 9)
        await bench.cycles(3 * ACK_TICK)
        bench.cfg[2] = QpConfig()
        await bench.cycles(bench.qps + 8)
        await bench.init(2)
        bench.expiries.clear()
        bench.ready(2, 4)
        await bench.cycles(20 * ACK_TICK)
        assert not bench.expiries, "no message of this life is outstanding"
        await bench.message(2)
        begin = bench.cycle
        waited = await bench.expiry(2, 1000) - begin
        low, high = bench.bounds(16, ACK_TICK)
        assert low <= waited <= high
        await bench.init(2)
