"""End-to-end credits between two adapters: a receiver that posts little, a sender that has much."""

from __future__ import annotations

import random
from itertools import count
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Timer, with_timeout

from spec.codes import AethType, CqeStatus, QpState
from spec.layouts import CqeOp, RqWqe, Sge, SqWqe, WqeFlag, WrOp
from tb.conformance import covers
from tb.model.headers import Packet
from tb.nic.pair import PORTS, Pair
from tb.nic.smoke import Side, sges, two_sides
from tb.streams import CLOCK_NS

SIZE = 100
PATTERN = (WrOp.SEND, WrOp.SEND, WrOp.WRITE, WrOp.SEND, WrOp.READ, WrOp.SEND, WrOp.WRITE_IMM)
TAKERS = (WrOp.SEND, WrOp.WRITE_IMM)
LIMIT_NS = 4_000_000
NO_CREDITS = 0x1F


class Receiver:
    """Has some receives posted; posts a batch anew some time after as many were used."""

    def __init__(self, side: Side, room: int, batch: int, pause: int) -> None:
        self.side, self.batch, self.pause = side, batch, pause
        self.numbers = count()
        self.data: list[bytes] = []
        self.post(room)

    def place(self, number: int) -> int:
        """Where a receive puts its bytes."""
        return 4096 + number % 64 * 128

    def post(self, how_many: int) -> None:
        """Some receives, with one doorbell."""
        side = self.side
        for left in reversed(range(how_many)):
            number = next(self.numbers)
            at = side.address + self.place(number)
            entry = RqWqe(wr_id=number, num_sge=1, sge0=Sge(addr=at, length=128, token=side.token))
            side.driver.post_recv(side.qp, entry, ring=not left)

    async def run(self, messages: int) -> None:
        """Take so many messages."""
        side = self.side
        for number in range(messages):
            done = await side.completion()
            side.driver.consume(3, side.cq)
            assert (done.status, done.wr_id) == (CqeStatus.SUCCESS, number)
            at = self.place(number)
            if done.opcode == CqeOp.RECV:
                self.data.append(bytes(side.buffer.memory[at : at + done.byte_len]))
            if number % self.batch == self.batch - 1:
                await Timer(self.pause * CLOCK_NS, "ns")
                self.post(self.batch)


def work(a: Side, b: Side, op: WrOp, number: int) -> SqWqe:
    """One entry of the sender."""
    at = number % 32 * 128
    local = Sge(addr=a.address + at, length=SIZE, token=a.token)
    return SqWqe(
        opcode=op, flags=WqeFlag.SIGNALED, blocks=1, num_sge=1, length=SIZE, wr_id=number,
        remote_addr=b.address + 32_768 + at, rkey=b.token, imm=number, data=sges(local),
    )  # fmt: skip


async def send(a: Side, b: Side, ops: list[WrOp]) -> None:
    """Post all of it as fast as there is room, and see it complete."""
    posted = 0
    for done_count in range(len(ops)):
        while posted < len(ops) and posted - done_count < 200:
            a.driver.put_send(a.qp, work(a, b, ops[posted], posted))
            posted += 1
        a.driver.ring_sq(a.qp.number, a.qp.sq_index)
        done = await a.completion()
        a.driver.consume(3, a.cq)
        assert (done.status, done.wr_id) == (CqeStatus.SUCCESS, done_count)


def packets(pair: Pair, way: str) -> list[Packet]:
    """Everything that was sent in one direction."""
    return [frame.packet for name, frame in pair.link.frames if name == way and frame.packet]


def rnr_naks(pair: Pair) -> int:
    """How often the receiver was not ready."""
    types = [packet.aeth.type.value for packet in packets(pair, "ba") if packet.aeth]
    return types.count(AethType.RNR)


async def transfer(pair: Pair, a: Side, b: Side, receiver: Receiver, messages: int = 350) -> int:
    """Messages of all kinds; RNR NAKs that it took."""
    before = rnr_naks(pair)
    ops = [PATTERN[n % len(PATTERN)] for n in range(messages)]
    sent = random.randbytes(4096)
    a.buffer.memory[:4096] = sent
    takers = sum(op in TAKERS for op in ops)
    taking = cocotb.start_soon(receiver.run(takers))
    await with_timeout(send(a, b, ops), LIMIT_NS, "ns")
    await with_timeout(taking, LIMIT_NS, "ns")
    return rnr_naks(pair) - before


def codes(pair: Pair, qpn: int = 7) -> set[int]:
    """The credit codes in all positive answers to a queue pair of a."""
    answers = [packet for packet in packets(pair, "ba") if packet.bth.dest_qp == qpn]
    return {p.aeth.value for p in answers if p.aeth and not p.aeth.syndrome >> 5}


async def further(a: Side, b: Side) -> None:
    """A queue pair more on each side, with credits; from now on the sides use these."""
    a.qp = await a.driver.create_qp(17, 3, credits=True)
    b.qp = await b.driver.create_qp(19, 3, credits=True)
    await a.driver.connect(a.qp, PORTS["b"], 19, sq_psn=0x300, rq_psn=0x400)
    await b.driver.connect(b.qp, PORTS["a"], 17, sq_psn=0x400, rq_psn=0x300)


@cocotb.test()
async def credits_spare_the_receiver(dut: Any) -> None:
    """The same transfer without and with credits: far fewer RNR NAKs, and everything arrives."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    naks = {}
    for credits in (False, True):
        if credits:
            await further(a, b)
        before = len(packets(pair, "ab"))
        naks[credits] = await transfer(pair, a, b, Receiver(b, 8, 2, 40))
        sent = len(packets(pair, "ab")) - before
        dut._log.info(f"credits {credits}: {naks[credits]} RNR NAKs, {sent} packets sent")
        assert await a.driver.query_state(a.qp.number) == QpState.RTS
    assert codes(pair, 7) == {NO_CREDITS}
    given = codes(pair, 17)
    assert given <= set(range(7)), "no more than eight were ever posted"
    assert len(given) > 1
    assert naks[False] > 20
    assert naks[True] * 4 < naks[False]


@cocotb.test()
async def a_slow_receiver_gets_one_probe_at_a_time(dut: Any) -> None:
    """One receive at a time, posted late: a message beyond it only when nothing else is sent."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair, credits=(True, True))
    await transfer(pair, a, b, Receiver(b, 1, 1, 4000), 70)
    assert codes(pair) <= {0, 1}
    assert await a.driver.query_state(7) == QpState.RTS


@cocotb.test()
@cocotb.parametrize(side=["a", "b"])
async def one_side_alone_does_no_harm(dut: Any, side: str) -> None:
    """A responder that gives no credits, and a requester that begins without a limit."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair, credits=(side == "a", side == "b"))
    await transfer(pair, a, b, Receiver(b, 8, 4, 100))
    assert (NO_CREDITS in codes(pair)) == (side == "a")


@cocotb.test()
@covers("ROCE-067")
async def without_receives_one_probe_is_sent_and_no_more(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair, credits=(True, True), min_rnr_timer=1)
    for number in range(6):
        a.driver.put_send(a.qp, work(a, b, WrOp.SEND, number))
    a.driver.ring_sq(7, a.qp.sq_index)
    await ClockCycles(dut.clk, 12_000)
    assert {packet.bth.psn for packet in packets(pair, "ab")} == {0x100}
    assert rnr_naks(pair) >= 2
    receiver = Receiver(b, 6, 6, 1)
    await with_timeout(receiver.run(6), LIMIT_NS, "ns")
    for number in range(6):
        assert (await a.completion()).wr_id == number
    assert receiver.data == [bytes(a.buffer.memory[n * 128 : n * 128 + SIZE]) for n in range(6)]
