"""What a network keeps and delivers later must not harm a connection that has gone on since."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import CqeStatus, QpState
from spec.layouts import AdminCommand, AdminOp, Sge, SqWqe, WrOp
from tb.frames import Frame
from tb.link import drop, duplicate
from tb.model.opcodes import Op
from tb.nic.bad_work import good_write, works
from tb.nic.pair import Pair
from tb.nic.smoke import Side, two_sides

LATE = 6000
KEY = 6
"""The key that goes away."""


def is_a(*opcodes: Op) -> Callable[[Frame], bool]:
    """Packets of these kinds."""
    return lambda frame: frame.packet is not None and frame.packet.bth.opcode in opcodes


def reading(a: Side, b: Side, token: int) -> SqWqe:
    """A READ that works as long as the key does."""
    return replace(good_write(a, b, 1), opcode=WrOp.READ, rkey=token)


def adding(a: Side, b: Side, token: int) -> SqWqe:
    """A FETCH_ADD of 3 likewise."""
    sge = Sge(addr=a.address, length=8, token=a.token)
    operands = (3).to_bytes(8, "little") + bytes(8)
    return replace(
        reading(a, b, token), opcode=WrOp.FETCH_ADD, length=8,
        data=int.from_bytes(sge.pack() + operands, "little"),
    )  # fmt: skip


async def take_back(side: Side) -> None:
    """The key is gone."""
    await side.driver.must(AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=KEY))


async def goes_on(a: Side, b: Side) -> None:
    """Both queue pairs carry data, and reads, in both directions."""
    for side, number in ((a, 7), (b, 9)):
        assert await side.driver.query_state(number) is QpState.RTS
    await works(a, b)
    for here, there in ((b, a), (a, b)):
        here.driver.post_send(here.qp, reading(here, there, there.token))
        assert (await here.completion()).status == CqeStatus.SUCCESS


@cocotb.test()
async def a_late_repeat_of_a_read_whose_key_is_gone_is_forgotten(dut: Any) -> None:
    """The first answer was good and the region was given back: nobody waits for a second one."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    token = await b.driver.register(KEY, b.buffer)
    pair.link.ab.rules.append(duplicate(is_a(Op.READ_REQUEST), late=LATE))
    a.driver.post_send(a.qp, reading(a, b, token))
    assert (await a.completion()).status == CqeStatus.SUCCESS
    await take_back(b)
    sent, delivered = pair.link.ba.sent, pair.link.ab.delivered
    await ClockCycles(dut.clk, LATE + 1000)
    assert pair.link.ab.delivered == delivered, "the repeat was no longer under way"
    assert pair.link.ba.sent == sent, "something was answered"
    await goes_on(a, b)


@cocotb.test()
async def a_late_repeat_of_an_atomic_needs_no_key(dut: Any) -> None:
    """What it found is told again; memory is not touched."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    token = await b.driver.register(KEY, b.buffer)
    pair.link.ab.rules.append(duplicate(is_a(Op.FETCH_ADD), late=LATE))
    b.buffer.memory[4096:4104] = (40).to_bytes(8, "little")
    a.driver.post_send(a.qp, adding(a, b, token))
    assert (await a.completion()).status == CqeStatus.SUCCESS
    assert a.buffer.memory[:8] == (40).to_bytes(8, "little")
    await take_back(b)
    sent = pair.link.ba.sent
    await ClockCycles(dut.clk, LATE + 1000)
    assert pair.link.ba.sent == sent + 1
    answers = [frame.packet for way, frame in pair.link.frames if way == "ba"][-2:]
    assert [packet.atomic_ack for packet in answers if packet] == [40, 40]
    assert b.buffer.memory[4096:4104] == (43).to_bytes(8, "little")
    await goes_on(a, b)


@cocotb.test()
async def a_reader_that_never_had_its_data_gives_up_when_the_key_is_gone(dut: Any) -> None:
    """All was answered, all was lost: silence ends the reader, and the reader alone."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair, timeout=3, retry_cnt=2)
    token = await b.driver.register(KEY, b.buffer)
    pair.link.ba.rules.append(drop(is_a(Op.READ_RESPONSE_ONLY)))
    a.driver.post_send(a.qp, reading(a, b, token))
    await a.driver.until(lambda: pair.link.ba.lost or None)
    await take_back(b)
    assert (await a.completion()).status == CqeStatus.RETRY_EXC_ERR
    assert await b.driver.query_state(9) is QpState.RTS


@cocotb.test()
async def everything_comes_again_while_keys_come_and_go(dut: Any) -> None:
    """Both ways, each frame once more and up to LATE cycles late; every key serves one message."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    for way in (pair.link.ab, pair.link.ba):
        way.rules.append(
            lambda frame: (frame, replace(frame, delay=frame.delay + random.randint(0, LATE)))
        )
    b.buffer.memory[4096:4104] = bytes(8)
    added = 0
    for n in range(24):
        token = await b.driver.register(KEY, b.buffer, key=n)
        if n % 3 == 2:
            b.buffer.memory[4096:4104] = added.to_bytes(8, "little")
            a.driver.post_send(a.qp, adding(a, b, token))
            added += 3
        else:
            a.driver.post_send(a.qp, reading(a, b, token))
        assert (await a.completion()).status == CqeStatus.SUCCESS
        if n % 3 == 2:
            assert b.buffer.memory[4096:4104] == added.to_bytes(8, "little")
        await take_back(b)
        await works(a, b)
        await ClockCycles(dut.clk, random.randint(0, LATE // 2))
    await ClockCycles(dut.clk, LATE)
    await goes_on(a, b)


@cocotb.test()
async def a_read_whose_key_is_wrong_is_still_refused(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    a.driver.post_send(a.qp, reading(a, b, b.token ^ 1))
    assert (await a.completion()).status == CqeStatus.REM_ACCESS_ERR
    assert await b.driver.query_state(9) is QpState.ERR
