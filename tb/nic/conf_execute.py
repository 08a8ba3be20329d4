"""Responder: what executing means, and when it is acknowledged."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.codes import CqeStatus, EventType, QpState
from spec.layouts import (
    AdminKey,
    AdminOp,
    ArmType,
    CqeFlag,
    CqeOp,
    FastRegWqe,
    KeyKind,
    WqeFlag,
    WrOp,
)
from spec.registers import OptionsReg
from tb.axi_memory import Timing
from tb.conformance import covers
from tb.model.headers import Packet, Reth
from tb.model.opcodes import Op
from tb.nic.wire import CQN, Conn, Wire
from tb.raw_driver import EVERY_RIGHT
from tb.streams import CLOCK_NS

INVALID, ACCESS = 0x61, 0x62
SLOW = {"timing": Timing(read_latency=150, write_latency=300, reorder=True, stall={"b": 0.3})}


def psn_of(packet: Packet) -> int:
    """Of a response."""
    return packet.bth.psn


async def burst(conn: Conn, count: int) -> tuple[list[int], int]:
    """Random requests without a pause; the PSNs that ask for an answer, and the messages."""
    asked, messages = [], 0
    for _ in range(count):
        ask = random.random() < 0.6
        kind = random.choice(("write", "long", "read", "send"))
        data = random.randbytes(random.randrange(1, 256))
        at = random.randrange(0x1000)
        if kind == "read":
            conn.read(at, random.choice((0, 100, 600)))
            asked.append(conn.psn - 1)
        elif kind == "long":
            conn.give(Op.WRITE_FIRST, bytes(256), reth=conn.reth(at, 256 + len(data)))
            conn.give(Op.WRITE_LAST, data, ack_req=ask)
        elif kind == "send":
            conn.send(data, ack_req=ask)
        else:
            conn.write(at, data, ack_req=ask)
        if ask and kind != "read":
            asked.append(conn.psn - 1)
        messages += 1
    return asked, messages


@cocotb.test()
@cocotb.parametrize(slow=(False, True), coalesce=(False, True))
@covers("ROCE-140", "ROCE-142", "ROCE-143", "ROCE-144")
async def bursts_are_answered_in_order(dut: Any, slow: bool, coalesce: bool) -> None:
    wire = await Wire.start(dut, **(SLOW if slow else {}))
    if coalesce:
        default = OptionsReg()
        wire.set_acks(default.ack_every, default.ack_delay)
    for _ in range(6):
        conn = await wire.connect(psn=0xFFFFF0)
        for n in range(30):
            conn.receive(conn.sge(0x8000, 256), wr_id=n)
        await conn.rung()
        asked, messages = await burst(conn, 30)
        conn.write(0, b"the end")
        end = conn.psn - 1
        answers: list[Packet] = []
        while not answers or answers[-1].bth.psn != end:
            answers.append(await conn.next("the last acknowledge"))
        await conn.quiet()
        order = [(psn_of(packet) + 0x10) & 0xFFFFFF for packet in answers]
        assert order == sorted(order), "responses out of order"
        # An acknowledge covers what is before it, but no READ: of those every packet is there.
        reads = [packet for packet in answers if packet.bth.opcode != Op.ACK]
        due = [(psn + 0x10) & 0xFFFFFF for psn in asked]
        assert all(any(psn <= got for got in order) for psn in due)
        assert len({psn_of(packet) for packet in reads}) == len(reads)
        msns = [packet.aeth.msn for packet in answers if packet.aeth]
        assert msns == sorted(msns)
        assert msns[-1] == messages + 1


@cocotb.test()
@covers("ROCE-142", "ROCE-145", "ROCE-146", "ROCE-147", "ROCE-148")
async def reads_are_answered_whole_and_before_what_follows(dut: Any) -> None:
    wire = await Wire.start(dut, timing=Timing(read_latency=300))
    wire.memory[:20000] = random.randbytes(20000)
    for mtu in range(1, 6):
        conn = await wire.connect(mtu=mtu, psn=0xFFFFFC)
        pmtu = conn.pmtu
        msn = 0
        for length in (0, 1, pmtu - 1, pmtu, pmtu + 1, 2 * pmtu, 3 * pmtu + 1):
            psn = conn.read(5, length).bth.psn
            conn.write(0x8000, b"behind it")
            await conn.data(psn, bytes(wire.memory[5 : 5 + length]), msn=msn + 1)
            await conn.ack(msn=msn + 2)
            msn += 2


@cocotb.test()
@covers("ROCE-144")
async def messages_are_counted(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    for n in range(4):
        conn.receive(conn.sge(0, 4096), wr_id=n)
    await conn.rung()
    conn.give(Op.SEND_FIRST, bytes(256), ack_req=True)
    await conn.ack(msn=0)
    conn.give(Op.SEND_MIDDLE, bytes(256), ack_req=True)
    await conn.ack(msn=0)
    conn.give(Op.SEND_LAST, bytes(1), ack_req=True)
    await conn.ack(msn=1)
    conn.give(Op.WRITE_FIRST, bytes(256), reth=conn.reth(0, 257), ack_req=True)
    await conn.ack(msn=1)
    conn.give(Op.WRITE_LAST, bytes(1), ack_req=True)
    await conn.ack(msn=2)
    for n in range(3, 40):
        conn.write(0, b"x")
        await conn.ack(msn=n)
    # Another queue pair, and another life of this one, count from 0.
    other = await wire.connect()
    other.write(0, b"x")
    await other.ack(msn=1)
    await conn.modify(QpState.RESET)
    conn.qp.rq_index = conn.qp.sq_index = 0
    await conn.connect()
    conn.psn = 0x200
    conn.write(0, b"x")
    await conn.ack(msn=1)


@cocotb.test()
@covers("ROCE-141", "ROCE-149")
async def nothing_is_told_before_it_is_in_memory(dut: Any) -> None:
    """Answers to writes come late and in any order: what is placed is known only from them."""
    wire = await Wire.start(dut, **SLOW)
    conn = await wire.connect()
    placed: dict[int, tuple[int, bytes]] = {}
    seen: list[int] = []

    def on_packet(packet: Packet) -> None:
        for psn, (at, data) in placed.items():
            if psn <= packet.bth.psn:
                assert wire.memory[at : at + len(data)] == data, f"PSN {psn:#x} is not placed"
        seen.append(packet.bth.psn)

    wire.on_packet = on_packet
    for n in range(40):
        at, data = 0x400 * n, random.randbytes(random.randrange(1, 257))
        if n % 4 == 3:
            conn.receive(conn.sge(at, 256), wr_id=n)
            await conn.rung()
            psn = conn.send(data).bth.psn
        else:
            psn = conn.write(at, data, ack_req=bool(n & 1)).bth.psn
        placed[psn] = (at, data)
    for n in range(3, 40, 4):
        await conn.completion(wr_id=n, status=CqeStatus.SUCCESS)
        # Everything before the SEND, and the SEND itself, is there by now.
        for psn, (at, data) in placed.items():
            if psn <= 0x200 + n:
                assert wire.memory[at : at + len(data)] == data, f"PSN {psn:#x} is not placed"
    await wire.until(lambda: seen and seen[-1] == conn.psn - 1, "the last acknowledge")


@cocotb.test()
@covers("ROCE-150")
async def a_read_sees_the_write_before_it(dut: Any) -> None:
    wire = await Wire.start(dut, **SLOW)
    conn = await wire.connect()
    for n in range(20):
        at, length = random.randrange(0x1000), random.choice((1, 60, 256, 700))
        data = random.randbytes(length)
        if length > 256:
            conn.give(Op.WRITE_FIRST, data[:256], reth=conn.reth(at, length))
            conn.give(Op.WRITE_MIDDLE, data[256:512])
            conn.give(Op.WRITE_LAST, data[512:])
        else:
            conn.write(at, data, ack_req=False)
        psn = conn.read(at, length).bth.psn
        await conn.data(psn, data, msn=2 * n + 2)


@cocotb.test()
@covers("ROCE-153")
async def write_with_immediate_completes_a_receive(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    imm = 0xC0A1B2D3
    on_host = int.from_bytes(imm.to_bytes(4, "big"), "little")
    for n, length in enumerate((0, 1, 256, 700)):
        conn.receive(conn.sge(0x4000, 64), wr_id=n)
        await conn.rung()
        data = random.randbytes(length)
        reth = conn.reth(0, length)
        if length > 256:
            conn.give(Op.WRITE_FIRST, data[:256], reth=reth)
            conn.give(Op.WRITE_MIDDLE, data[256:512])
            conn.give(Op.WRITE_LAST_IMM, data[512:], imm=imm, ack_req=True)
        else:
            conn.give(Op.WRITE_ONLY_IMM, data, imm=imm, reth=reth, ack_req=True)
        await conn.ack(msn=n + 1)
        done = await conn.completion(
            wr_id=n, opcode=CqeOp.RECV_WRITE_IMM, imm=on_host, byte_len=length, status=0
        )
        assert done.flags & CqeFlag.IMMEDIATE
        assert wire.memory[:length] == data
        assert not any(wire.memory[0x4000:0x4040]), "its receive was written"


async def fast_key(wire: Wire, conn: Conn, index: int) -> int:
    """A fast-register key over the first page of the region, valid."""
    await wire.driver.must(
        AdminKey(opcode=AdminOp.REGISTER_KEY, number=index, key=0, kind=KeyKind.FAST_REG,
                 access=EVERY_RIGHT, page_shift=12, pd=1, length=4096)
    )  # fmt: skip
    token = index << 8 | 0x77
    register = FastRegWqe(
        opcode=WrOp.FAST_REG, flags=WqeFlag.SIGNALED, blocks=1, access=EVERY_RIGHT,
        page_shift=12, direct=1, token=token, base=wire.address, wr_id=50,
        pages=wire.address, length=4096,
    )  # fmt: skip
    conn.post(register)
    await conn.completion(wr_id=50, status=CqeStatus.SUCCESS)
    return token


@cocotb.test()
@covers("ROCE-154")
async def send_with_invalidate_ends_the_key(dut: Any) -> None:
    wire = await Wire.start(dut)
    for n, size in enumerate((0, 30, 256, 300)):
        conn = await wire.connect()
        token = await fast_key(wire, conn, 100 + n)
        conn.give(Op.WRITE_ONLY, b"valid", reth=Reth(wire.address, token, 5), ack_req=True)
        await conn.ack(msn=1)
        conn.receive(conn.sge(0x4000, 4096), wr_id=5)
        await conn.rung()
        data = random.randbytes(size)
        if size > 256:
            conn.give(Op.SEND_FIRST, data[:256])
            conn.give(Op.SEND_LAST_INV, data[256:], ieth=token, ack_req=True)
        else:
            conn.give(Op.SEND_ONLY_INV, data, ieth=token, ack_req=True)
        await conn.ack(msn=2)
        done = await conn.completion(wr_id=5, opcode=CqeOp.RECV_INV, byte_len=size, status=0)
        assert done.imm == token
        assert done.flags & CqeFlag.INVALIDATED
        assert wire.memory[0x4000 : 0x4000 + size] == data
        other = await wire.connect()
        for user in (conn, other):
            psn = user.give(
                Op.WRITE_ONLY, b"ended", reth=Reth(wire.address, token, 5), ack_req=True
            ).bth.psn
            await user.nak(ACCESS, psn)
        assert wire.memory[0:5] == b"valid"


@cocotb.test()
@covers("ROCE-155", "ROCE-196")
async def send_with_invalidate_of_what_cannot_be(dut: Any) -> None:
    wire = await Wire.start(dut)
    driver = wire.driver
    other_pd = await driver.register(10, wire.region, pd=2)
    keys = {"region": wire.token, "other PD": other_pd, "unknown": 0x00FF5A, "privileged": 0,
            "variant byte": wire.token ^ 1}  # fmt: skip
    for what, key in keys.items():
        conn = await wire.connect()
        for n in (1, 2):
            conn.receive(conn.sge(0x4000, 100), wr_id=n)
        await conn.rung()
        conn.give(Op.SEND_ONLY_INV, b"take this", ieth=key, ack_req=True)
        try:
            done = await conn.completion(wr_id=1)
            assert done.status == CqeStatus.REM_INV_REQ_ERR, str(done)
            await conn.completion(wr_id=2, status=CqeStatus.WR_FLUSH_ERR)
            await conn.dead()
            # The data was delivered: acknowledged as such.
            await conn.ack(0x200)
            await conn.quiet()
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from None
    await wire.works()


async def armed(wire: Wire, arm: ArmType) -> None:
    """Arm the completion queue behind everything it holds."""
    wire.poll()
    wire.driver.consume(CQN, wire.cq, arm)
    await wire.until(lambda: wire.device.doorbells.idle, "an answer to a doorbell")
    await wire.cycles(50)
    wire.events.clear()


def fired(wire: Wire) -> int:
    """Completion events since."""
    wire.poll()
    return sum(event.event_type == EventType.COMPLETION for event in wire.events)


@cocotb.test()
@covers("ROCE-156")
async def a_solicited_arm_waits_for_a_solicited_send(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    sends = (
        (lambda se: conn.send(b"x", solicited=se)),
        (lambda se: conn.send(b"x", op=Op.SEND_ONLY_IMM, imm=1, solicited=se)),
        (lambda se: conn.write(0, b"x", imm=1, solicited=se)),
    )
    for give in sends:
        for arm, solicited, wanted in (
            (ArmType.SOLICITED, False, 0),
            (ArmType.SOLICITED, True, 1),
            (ArmType.ANY, False, 1),
            (ArmType.ANY, True, 1),
        ):
            conn.receive(conn.sge(0x100, 100))
            await conn.rung()
            await armed(wire, arm)
            give(solicited)
            await conn.ack()
            await conn.completion()
            await wire.cycles(300)
            assert fired(wire) == wanted, f"armed for {arm.name}, solicited {solicited}"
    # Of a long SEND the last packet counts.
    for first, last in ((True, False), (False, True)):
        conn.receive(conn.sge(0x100, 300))
        await conn.rung()
        await armed(wire, ArmType.SOLICITED)
        conn.give(Op.SEND_FIRST, bytes(256), solicited=first)
        conn.give(Op.SEND_LAST, b"x", solicited=last, ack_req=True)
        await conn.ack()
        await conn.completion()
        await wire.cycles(300)
        assert fired(wire) == int(last)


@cocotb.test()
@covers("ROCE-157")
async def an_error_fires_a_solicited_arm(dut: Any) -> None:
    wire = await Wire.start(dut)
    for arm in (ArmType.SOLICITED, ArmType.ANY):
        conn = await wire.connect()
        conn.receive(conn.sge(0x100, 10))
        await conn.rung()
        await armed(wire, arm)
        conn.send(b"longer than its receive", solicited=False)
        await conn.nak(INVALID, 0x200)
        await conn.completion(status=CqeStatus.LOC_LEN_ERR)
        await wire.cycles(300)
        assert fired(wire) == 1


@cocotb.test()
@covers("ROCE-158")
async def completions_without_room(dut: Any) -> None:
    wire = await Wire.start(dut)
    small = await wire.driver.create_cq(9, log=2)
    conn = await wire.connect(create={"recv_cqn": 9})
    for n in range(8):
        conn.receive(conn.sge(0x100, 100), wr_id=n)
    await conn.rung()
    for _ in range(4):
        conn.send(b"fits")
        await conn.ack()
    assert await conn.query() == QpState.RTS
    conn.send(b"does not", ack_req=False)

    def told() -> bool:
        wire.poll()
        return any((e.event_type, e.number) == (EventType.CQ_ERROR, 9) for e in wire.events)

    await wire.until(told, "CQ_ERROR")
    await conn.dead()
    entries = [small.poll() for _ in range(5)]
    assert [entry and entry.wr_id for entry in entries] == [0, 1, 2, 3, None]
    await wire.works()


@cocotb.test()
@covers("ROCE-161")
async def an_acknowledge_waits_no_longer_than_it_may(dut: Any) -> None:
    wire = await Wire.start(dut)
    arrived: list[int] = []
    wire.on_packet = lambda packet: arrived.append(wire.device.now_ns())
    slack = 250  # cycles from the wire to the wire
    assert OptionsReg().ack_delay * CLOCK_NS < 4096 * 2, "longer than the shortest timeouts"
    for every, delay in ((16, 256), (4, 2000), (1, 2000), (16, 0)):
        wire.set_acks(every, delay)
        await wire.cycles(100)
        conn = await wire.connect()
        start = wire.device.now_ns()
        conn.write(0, b"alone")
        await conn.ack(msn=1)
        took = (arrived[-1] - start) // CLOCK_NS
        assert took <= delay + slack, f"{took} cycles, {delay} allowed"
        # As many as one may cover: the acknowledge comes without waiting.
        start, first = wire.device.now_ns(), conn.psn
        for _ in range(every):
            conn.write(0, b"many")
        covered = first - 1
        while covered != conn.psn - 1:
            ack = await conn.next("an acknowledge")
            assert ack.aeth is not None
            assert ack.bth.psn > covered
            covered = ack.bth.psn
        took = (arrived[-1] - start) // CLOCK_NS
        assert took <= slack + 8 * every, f"{took} cycles for {every} requests"
        await conn.quiet()
