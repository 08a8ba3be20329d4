"""The shortest way through the whole device: one message of each kind, with bare hands."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.codes import CqeStatus, QpState
from spec.layouts import CqeOp, RqWqe, Sge, SqWqe, WqeFlag, WrOp
from tb.nic.pair import PORTS, Pair
from tb.raw_driver import RawDriver, RawQp, Ring

SIGNALED = WqeFlag.SIGNALED


class Side:
    """What one adapter of the smoke test has."""

    driver: RawDriver
    events: Ring
    cq: Ring
    qp: RawQp

    async def build(self, driver: RawDriver, size: int, number: int, credits: bool = False) -> None:
        self.driver = driver
        self.events = await driver.create_eq()
        self.cq = await driver.create_cq(3)
        self.qp = await driver.create_qp(number, 3, credits=credits)
        self.buffer = driver.device.allocate(size)
        self.token = await driver.register(5, self.buffer)
        self.address = self.buffer.bus_address

    async def completion(self) -> Any:
        return await self.driver.until(self.cq.poll)


async def two_sides(
    pair: Pair, size: int = 1 << 16, credits: tuple[bool, bool] = (False, False), **connect: Any
) -> tuple[Side, Side]:
    """One connected queue pair on each side, with a region of memory."""
    a, b = Side(), Side()
    drivers = await pair.raw_drivers()
    for side, driver, number, gives in zip((a, b), drivers, (7, 9), credits, strict=True):
        await side.build(driver, size, number, gives)
    await a.driver.connect(a.qp, PORTS["b"], 9, sq_psn=0x100, rq_psn=0x200, **connect)
    await b.driver.connect(b.qp, PORTS["a"], 7, sq_psn=0x200, rq_psn=0x100, **connect)
    return a, b


def sges(*pieces: Sge) -> int:
    """SGEs as the data of a send queue entry."""
    return sum(piece.to_int() << 128 * at for at, piece in enumerate(pieces))


@cocotb.test()
async def commands_are_answered(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, _ = await two_sides(pair)
    assert await a.driver.query_state(7) == QpState.RTS


@cocotb.test()
async def one_message_of_each_kind(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    data = random.randbytes(5000)
    a.buffer.memory[64 : 64 + 5000] = data
    local = Sge(addr=a.address + 64, length=5000, token=a.token)

    write = SqWqe(
        opcode=WrOp.WRITE, flags=SIGNALED, blocks=1, num_sge=1, length=5000, wr_id=11,
        remote_addr=b.address + 128, rkey=b.token, data=sges(local),
    )  # fmt: skip
    a.driver.post_send(a.qp, write)
    done = await a.completion()
    assert (done.status, done.opcode, done.wr_id) == (CqeStatus.SUCCESS, CqeOp.WRITE, 11)
    assert b.buffer.memory[128 : 128 + 5000] == data

    b.driver.post_recv(
        b.qp,
        RqWqe(wr_id=21, num_sge=1, sge0=Sge(addr=b.address + 8001, length=6000, token=b.token)),
    )
    send = SqWqe(
        opcode=WrOp.SEND, flags=SIGNALED, blocks=1, num_sge=1, length=5000, wr_id=12,
        data=sges(local),
    )  # fmt: skip
    a.driver.post_send(a.qp, send)
    received = await b.completion()
    assert (received.status, received.opcode) == (CqeStatus.SUCCESS, CqeOp.RECV)
    assert (received.byte_len, received.wr_id) == (5000, 21)
    assert b.buffer.memory[8001 : 8001 + 5000] == data
    assert (await a.completion()).wr_id == 12

    read = SqWqe(
        opcode=WrOp.READ, flags=SIGNALED, blocks=1, num_sge=1, length=4999, wr_id=13,
        remote_addr=b.address + 8001, rkey=b.token,
        data=sges(Sge(addr=a.address + 20003, length=4999, token=a.token)),
    )  # fmt: skip
    a.driver.post_send(a.qp, read)
    done = await a.completion()
    assert (done.status, done.opcode, done.wr_id) == (CqeStatus.SUCCESS, CqeOp.READ, 13)
    assert a.buffer.memory[20003 : 20003 + 4999] == data[:4999]

    inline = SqWqe(
        opcode=WrOp.WRITE, flags=SIGNALED | WqeFlag.INLINE, blocks=1, length=32, wr_id=14,
        remote_addr=b.address + 1, rkey=b.token, data=int.from_bytes(data[:32], "little"),
    )  # fmt: skip
    a.driver.push(a.qp, inline)
    assert (await a.completion()).wr_id == 14
    assert b.buffer.memory[1:33] == data[:32]
