"""Congestion between two adapters: a switch marks, the receiver notifies, the sender slows down."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import CqeStatus, QpState, Stat
from spec.fields import Register
from spec.layouts import AdminCommand, AdminOp, Sge
from spec.registers import (
    CnpReg,
    CongestionReg,
    DcqcnAlphaReg,
    DcqcnBytesReg,
    DcqcnMonitorReg,
    DcqcnTimerReg,
)
from tb.conformance import covers
from tb.frames import Frame, change, mark_congestion
from tb.model.headers import Packet
from tb.model.opcodes import CNP, Op
from tb.nic.bad_work import fresh, good_write
from tb.nic.pair import Pair
from tb.nic.smoke import Side, sges, two_sides
from tb.raw_driver import RawQp
from tb.streams import CLOCK_NS

US = 250  # cycles in a microsecond of the device
LINE = 100_000  # Mbit/s, the register's default
SIZE = 16_384
FOR_EVER = (DcqcnAlphaReg(period=0), DcqcnTimerReg(period=0), DcqcnBytesReg(count=0))
"""Rates stay as the cuts leave them."""
Entry = tuple[float, Frame, Packet]
"""Cycle, frame and packet."""


def write_registers(side: Side, *registers: Register) -> None:
    """Set registers of an adapter."""
    for register in registers:
        side.driver.device.write32(register.ADDRESS, register.to_int())


def post(a: Side, b: Side, qp: RawQp, count: int, size: int = SIZE) -> None:
    """So many writes of one size."""
    wqe = replace(
        good_write(a, b), length=size, data=sges(Sge(addr=a.address, length=size, token=a.token))
    )
    for number in range(count):
        a.driver.post_send(qp, replace(wqe, wr_id=number))


async def all_good(a: Side, count: int) -> None:
    """So many completions, each a success."""
    for _ in range(count):
        done = await a.completion()
        assert done.status == CqeStatus.SUCCESS, CqeStatus(done.status).name


def packets(pair: Pair, way: str, qpn: int | None = None) -> list[Entry]:
    """Cycle, frame and packet of everything sent to a queue pair in one direction."""
    return [
        (frame.time_ns / CLOCK_NS, frame, frame.packet)
        for name, frame in pair.link.frames
        if name == way and frame.packet and qpn in (None, frame.packet.bth.dest_qp)
    ]


def cnps(pair: Pair, qpn: int = 7) -> list[Entry]:
    """The notifications for a queue pair."""
    return [entry for entry in packets(pair, "ba", qpn) if entry[2].bth.opcode == CNP]


def rate(sent: list[Entry]) -> float:
    """Mbit/s of frames without FCS, preamble and gap, from the first to the last."""
    size = sum(len(frame.data) for _, frame, _ in sent[1:])
    return size * 8 * US / (sent[-1][0] - sent[0][0])


def behind(sent: list[Entry], cut: float) -> list[Entry]:
    """What was sent later than the packets that were in the transmit pipeline when it was cut."""
    return [entry for entry in sent if entry[0] > cut + 12 * US]


def is_data(frame: Frame) -> bool:
    """A write to queue pair 9."""
    packet = frame.packet
    return packet is not None and packet.bth.opcode <= Op.WRITE_ONLY and packet.bth.dest_qp == 9


async def congested(dut: Any, *registers: Register, **knobs: Any) -> tuple[Pair, Side, Side]:
    """Two adapters; the first one obeys notifications."""
    pair = await Pair.start(dut, **knobs)
    a, b = await two_sides(pair)
    write_registers(a, CongestionReg(ecn=1, cnp=1, dcqcn=1), *registers)
    return pair, a, b


@cocotb.test()
@covers("ROCE-223", "ROCE-224", "ROCE-225")
async def a_mark_halves_the_rate_and_nothing_else(dut: Any) -> None:
    pair, a, b = await congested(dut, *FOR_EVER)
    pair.link.ab.rules.append(change(mark_congestion, is_data))
    data = bytes(range(256)) * (SIZE // 256)
    a.buffer.memory[:SIZE] = data
    post(a, b, a.qp, 24)
    await all_good(a, 24)
    assert b.buffer.memory[4096 : 4096 + SIZE] == data

    sent = packets(pair, "ab", 9)
    notifications = cnps(pair)
    assert len(notifications) == 1
    slow = behind(sent, notifications[0][0])
    assert abs(rate(slow) - LINE / 2) < 0.05 * LINE / 2, rate(slow)
    # Nothing was sent twice, and the sequence has no gap.
    assert [p.bth.psn for _, _, p in sent] == [0x100 + n for n in range(24 * SIZE // 4096)]
    assert await a.driver.counter(Stat.RETRANSMISSIONS) == 0
    assert await a.driver.query_state(7) == QpState.RTS
    # ECT where data goes, not where acknowledges go.
    assert {p.path.ecn for _, _, p in sent} == {2}
    answers = packets(pair, "ba", 7)
    assert {p.path.ecn for _, _, p in answers if p.bth.opcode == Op.ACK} == {0}
    counted = [await b.driver.counter(Stat.ECN_MARKED), await b.driver.counter(Stat.TX_CNPS)]
    assert [*counted, await a.driver.counter(Stat.RX_CNPS)] == [1, 1, 1]


@cocotb.test()
@covers("ROCE-223", "ROCE-225")
async def notifications_keep_their_distance_and_cut_again(dut: Any) -> None:
    interval = 6
    pair, a, b = await congested(dut, DcqcnMonitorReg(period=3), *FOR_EVER)
    write_registers(b, CnpReg(interval=interval))
    marked: list[int] = []

    def mark(frame: Frame) -> list[Frame] | None:
        """All data, until four notifications are under way."""
        if not is_data(frame) or len(cnps(pair)) >= 4:
            return None
        marked.append(frame.number)
        return [frame.changed(mark_congestion(frame.data))]

    pair.link.ab.rules.append(mark)
    post(a, b, a.qp, 22)
    await all_good(a, 22)
    sent = packets(pair, "ab", 9)
    notifications = cnps(pair)
    assert len(notifications) >= 4
    for (before, _, _), (after, _, _) in pairwise(notifications):
        assert after - before > interval * US - 100
    # Each one halves the rate, as alpha stays 1.
    right = LINE / 2 ** len(notifications)
    slow = behind(sent, notifications[-1][0])
    assert abs(rate(slow) - right) < 0.1 * right, rate(slow)
    assert await a.driver.counter(Stat.RX_CNPS) == len(notifications)
    assert await b.driver.counter(Stat.TX_CNPS) == len(notifications)
    assert await b.driver.counter(Stat.ECN_MARKED) == len(marked)


@cocotb.test()
@covers("ROCE-225", "ROCE-233")
async def others_keep_their_rate(dut: Any) -> None:
    pair, a, b = await congested(dut, DcqcnMonitorReg(period=1), *FOR_EVER)
    write_registers(b, CnpReg(interval=1))
    other, _ = await fresh(a, b, 30)
    pair.link.ab.rules.append(change(mark_congestion, is_data, count=1 << 20))
    post(a, b, a.qp, 4)
    await all_good(a, 4)
    post(a, b, a.qp, 2)
    await ClockCycles(dut.clk, US)
    start = len(pair.link.frames)
    post(a, b, other, 12)
    await all_good(a, 12)
    pair.link.frames[:] = pair.link.frames[start:]
    assert rate(packets(pair, "ab", 30)) > 0.85 * LINE


@cocotb.test()
@covers("ROCE-226")
async def without_marks_the_rate_comes_back(dut: Any) -> None:
    """Each microsecond halves what is missing, so it is all there after some 25 of them."""
    quick = DcqcnTimerReg(period=1, stages=5)
    pair, a, b = await congested(dut, DcqcnMonitorReg(period=1, burst=4096), quick)
    pair.link.ab.rules.append(change(mark_congestion, is_data))
    post(a, b, a.qp, 4)
    await all_good(a, 4)
    await ClockCycles(dut.clk, 30 * US)
    start = len(pair.link.frames)
    post(a, b, a.qp, 16)
    await all_good(a, 16)
    pair.link.frames[:] = pair.link.frames[start:]
    assert rate(packets(pair, "ab", 9)) > 1.05 * LINE


@cocotb.test()
async def a_held_queue_pair_can_fail_and_begin_anew(dut: Any) -> None:
    """At its lowest rate a queue pair would take for ever; nobody else has to wait for that."""
    pair, a, b = await congested(dut, DcqcnMonitorReg(period=0), *FOR_EVER)
    write_registers(b, CnpReg(interval=0))
    qp, peer = await fresh(a, b, 60)

    def its_own(frame: Frame) -> bool:
        packet = frame.packet
        return packet is not None and packet.bth.dest_qp == 60

    pair.link.ab.rules.append(change(mark_congestion, its_own, count=1 << 20))
    post(a, b, qp, 14, 60_000)
    await ClockCycles(dut.clk, 60 * US)
    assert len(packets(pair, "ab", 60)) < 100, "not held"
    assert len(cnps(pair, 60)) >= 5
    ends = []
    post(a, b, a.qp, 3)
    others = 0
    while others < 3:
        done = await a.completion()
        others += done.qpn == 7
        if done.qpn == 60:
            ends.append(CqeStatus(done.status))
    assert (await a.driver.modify(60, QpState.ERR)).status == 0
    while len(ends) < 14:
        ends.append(CqeStatus((await a.completion()).status))
    assert ends.count(CqeStatus.WR_FLUSH_ERR) > 8
    assert ends == sorted(ends, key=lambda status: status != CqeStatus.SUCCESS)
    for side, ring in ((a, qp), (b, peer)):
        assert (await side.driver.modify(60, QpState.RESET)).status == 0
        await side.driver.must(AdminCommand(opcode=AdminOp.DESTROY_QP, number=60))
        side.driver.device.free(ring.sq)
        side.driver.device.free(ring.rq)
    pair.link.ab.rules.clear()
    qp, _ = await fresh(a, b, 60)
    start = len(pair.link.frames)
    post(a, b, qp, 10)
    await all_good(a, 10)
    pair.link.frames[:] = pair.link.frames[start:]
    assert rate(packets(pair, "ab", 60)) > LINE
