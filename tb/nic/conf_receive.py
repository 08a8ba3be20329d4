"""Responder: receives, receiver not ready, and lengths."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.codes import CqeStatus, QpState
from spec.layouts import AdminOp, AdminQueue, CqeOp, Doorbell, QueueDoorbell, RqWqe
from tb.conformance import covers
from tb.model.opcodes import Op
from tb.nic.wire import QUIET, Conn, Wire

SEQUENCE, INVALID, OPERATION = 0x60, 0x61, 0x63
NO_CREDITS = 0x1F


@cocotb.test()
@covers("ROCE-116", "ROCE-117")
async def a_send_waits_for_a_receive(dut: Any) -> None:
    wire = await Wire.start(dut)
    for timer in (0, 1, 14, 31):
        conn = await wire.connect(min_rnr_timer=timer)
        conn.write(0, b"before")
        await conn.ack(msn=1)
        due = conn.psn
        for op, size in ((Op.SEND_ONLY, 10), (Op.SEND_ONLY, 0), (Op.SEND_FIRST, 256)):
            for ack in (True, False):
                conn.give(op, bytes(size), psn=due, ack_req=ack)
                conn.psn = due
                await conn.nak(0x20 + timer, due, msn=1)
        assert await conn.query() == QpState.RTS
        # The NAK stands: what follows ahead gets none.
        conn.write(0, b"ahead", psn=due + 1)
        await conn.quiet()
        conn.receive(conn.sge(0x400, 100), wr_id=9)
        await conn.rung()
        data = random.randbytes(77)
        conn.send(data, psn=due)
        await conn.ack(due, msn=2)
        await conn.completion(wr_id=9, status=CqeStatus.SUCCESS, byte_len=77)
        assert wire.memory[0x400 : 0x400 + 77] == data
        # And the next gap is told again.
        conn.write(0, b"ahead", psn=conn.psn + 1)
        await conn.nak(SEQUENCE, conn.psn, msn=2)
        await conn.alive()


@cocotb.test()
@covers("ROCE-118", "ROCE-120")
async def a_write_needs_a_receive_for_its_immediate_alone(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    data = random.randbytes(600)
    parts = (data[:256], data[256:512], data[512:])
    for last in (Op.WRITE_LAST, Op.WRITE_LAST_IMM):
        wire.memory[0:600] = bytes(600)
        conn.give(Op.WRITE_FIRST, parts[0], reth=conn.reth(0, 600), ack_req=True)
        await conn.ack()
        conn.give(Op.WRITE_MIDDLE, parts[1], ack_req=True)
        await conn.ack()
        assert wire.memory[:512] == data[:512]
        if last == Op.WRITE_LAST_IMM:
            for _ in range(2):
                conn.give(last, parts[2], imm=7, ack_req=True)
                conn.psn -= 1
                await conn.nak(0x21, conn.psn, msn=1)
                assert wire.memory[512:600] == bytes(88), "written without a receive"
            conn.receive(wr_id=4)
            await conn.rung()
        fields = {"imm": 7} if last == Op.WRITE_LAST_IMM else {}
        conn.give(last, parts[2], ack_req=True, **fields)
        await conn.ack()
        assert wire.memory[:600] == data
    await conn.completion(wr_id=4, opcode=CqeOp.RECV_WRITE_IMM, byte_len=600)
    wire.memory[0:600] = bytes(600)
    conn.write(0, parts[0], imm=5)
    conn.psn -= 1
    await conn.nak(0x21, conn.psn, msn=2)
    assert wire.memory[:256] == bytes(256), "written without a receive"
    conn.receive(wr_id=5)
    await conn.rung()
    conn.write(0, parts[0], imm=5)
    await conn.ack(msn=3)
    await conn.completion(wr_id=5, opcode=CqeOp.RECV_WRITE_IMM, byte_len=256)
    assert wire.memory[:256] == parts[0]


class Shared:
    """A shared receive queue."""

    def __init__(self, wire: Wire, number: int) -> None:
        self.wire, self.number, self.index = wire, number, 0
        self.ring = wire.device.allocate(64 << 4)

    async def create(self) -> None:
        """With room for 16."""
        await self.wire.driver.must(
            AdminQueue(opcode=AdminOp.CREATE_SRQ, number=self.number, log_size=4, pd=1,
                       base=self.ring.bus_address)
        )  # fmt: skip

    def post(self, conn: Conn, at: int, length: int, wr_id: int) -> None:
        """One more entry."""
        entry = RqWqe(wr_id=wr_id, num_sge=1, index=self.index, sge0=conn.sge(at, length))
        slot = self.index % 16 * 64
        self.ring.memory[slot : slot + 64] = entry.pack()
        self.index += 1
        bell = QueueDoorbell(number=self.number, index=self.index)
        self.wire.device.ring(Doorbell.SRQ, bell.pack())


@cocotb.test()
@covers("ROCE-119")
async def shared_receives_count_and_no_credits_are_given(dut: Any) -> None:
    wire = await Wire.start(dut)
    shared = Shared(wire, 2)
    await shared.create()
    conns = [await wire.connect(create={"srq": 2}) for _ in range(2)]
    for conn in conns:
        conn.send(b"none there")
        conn.psn -= 1
        await conn.nak(0x21, conn.psn, msn=0)
    for n in range(3):
        shared.post(conns[0], 0x100 * n, 100, 20 + n)
    await conns[0].rung()
    for n, conn in enumerate((conns[1], conns[0], conns[1])):
        conn.send(bytes([n]) * 10)
        ack = await conn.ack()
        assert ack.aeth is not None
        assert ack.aeth.syndrome == NO_CREDITS
        await conn.completion(wr_id=20 + n, byte_len=10)
        assert wire.memory[0x100 * n : 0x100 * n + 10] == bytes([n]) * 10
    for conn in conns:
        conn.send(b"used up")
        conn.psn -= 1
        await conn.nak(0x21, conn.psn)
    assert await conns[0].query() == QpState.RTS


async def refused(conn: Conn, syndrome: int, psn: int, status: CqeStatus | None = None) -> None:
    """The NAK, the receive in use completed with this status, the rest flushed, silence."""
    while (answer := await conn.next(f"NAK {syndrome:#x}")).aeth is not None:
        if answer.aeth.syndrome >= 0x20:
            break
    assert answer.aeth is not None
    assert (answer.bth.opcode, answer.bth.psn) == (Op.ACK, psn), str(answer)
    assert answer.aeth.syndrome == syndrome, str(answer)
    await conn.dead()
    if status is not None:
        await conn.completion(wr_id=1, status=status)
    await conn.completion(wr_id=2, status=CqeStatus.WR_FLUSH_ERR)
    conn.write(0x7000, b"too late")
    await conn.quiet()
    assert conn.wire.memory[0x7000:0x7008] == bytes(8)


@cocotb.test()
@covers("ROCE-121")
async def a_send_longer_than_its_receive_is_refused(dut: Any) -> None:
    wire = await Wire.start(dut)
    for pieces, size in (
        ((99,), 100),
        ((), 1),
        ((256,), 257),
        ((100, 156, 43), 300),
        ((511,), 512),
    ):
        conn = await wire.connect()
        before = bytes(wire.memory)
        at, sges = 0x100, []
        for length in pieces:
            sges.append(conn.sge(at, length))
            at += length
        conn.receive(*sges, wr_id=1)
        conn.receive(conn.sge(0x4000, 4096), wr_id=2)
        await conn.rung()
        if size <= 256:
            psn = conn.send(b"\x11" * size).bth.psn
        else:
            conn.give(Op.SEND_FIRST, b"\x11" * 256)
            psn = conn.give(Op.SEND_LAST, b"\x11" * (size - 256), ack_req=True).bth.psn
        await refused(conn, INVALID, psn, CqeStatus.LOC_LEN_ERR)
        assert wire.memory[at:] == before[at:], "written behind the receive"
        assert wire.memory[:0x100] == before[:0x100]
    await wire.works()


@cocotb.test()
@covers("ROCE-122")
async def a_send_may_fill_its_receive(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    for pieces in ((100,), (1, 2, 3), (256,), (300,), (255, 1, 1), (10, 500, 2), (0, 5, 0), (768,)):
        size, places = sum(pieces), []
        for n, length in enumerate(pieces):
            places.append((0x100 + 0x1000 * n + random.randrange(64), length))
        wire.memory[:0x4000] = b"\xcc" * 0x4000
        conn.receive(*(conn.sge(*place) for place in places), wr_id=size)
        await conn.rung()
        data = random.randbytes(size)
        if size <= 256:
            conn.send(data)
        else:
            count = -(-size // 256)
            for n in range(count):
                op = Op.SEND_FIRST if not n else Op.SEND_LAST if n == count - 1 else Op.SEND_MIDDLE
                conn.give(op, data[256 * n : 256 * n + 256], ack_req=n == count - 1)
        await conn.ack()
        await conn.completion(wr_id=size, status=CqeStatus.SUCCESS, byte_len=size)
        at, wanted = 0, bytearray(b"\xcc" * 0x4000)
        for place, length in places:
            wanted[place : place + length] = data[at : at + length]
            at += length
        assert wire.memory[:0x4000] == wanted


async def armed(wire: Wire) -> Conn:
    """A connection with two receives of a page."""
    conn = await wire.connect()
    for n in (1, 2):
        conn.receive(conn.sge(0x4000, 4096), wr_id=n)
    await conn.rung()
    return conn


LENGTH_STATUS = (CqeStatus.LOC_LEN_ERR, CqeStatus.REM_INV_REQ_ERR)


async def length_refused(conn: Conn, psn: int, holds: bool) -> None:
    """NAK 0x61; a receive in use tells of the length or of the request."""
    await conn.wire.until(lambda: conn.waiting and conn.waiting[-1].bth.psn == psn, "NAK 0x61")
    answer = conn.waiting.pop()
    assert answer.aeth is not None
    assert answer.aeth.syndrome == INVALID, str(answer)
    await conn.dead()
    if holds:
        done = await conn.completion(wr_id=1)
        assert done.status in LENGTH_STATUS, str(done)
    for n in (2,) if holds else (1, 2):
        await conn.completion(wr_id=n, status=CqeStatus.WR_FLUSH_ERR)
    await conn.quiet(QUIET // 2)


@cocotb.test()
@covers("ROCE-123")
async def first_and_middle_are_full(dut: Any) -> None:
    wire = await Wire.start(dut)
    for size in (0, 1, 252, 255, 257, 260, 512):
        conn = await armed(wire)
        before = bytes(wire.memory)
        psn = conn.give(Op.SEND_FIRST, bytes([5]) * size, ack_req=True).bth.psn
        done = await conn.next()
        assert (done.bth.psn, done.aeth and done.aeth.syndrome) == (psn, INVALID), str(done)
        await conn.dead()
        conn = await armed(wire)
        psn = conn.give(Op.WRITE_FIRST, bytes([5]) * size, ack_req=True,
                        reth=conn.reth(0, 1000)).bth.psn  # fmt: skip
        await length_refused(conn, psn, holds=False)
        assert wire.memory[:0x4000] == before[:0x4000], "a First that is not full was written"
        for first, middle in ((Op.SEND_FIRST, Op.SEND_MIDDLE), (Op.WRITE_FIRST, Op.WRITE_MIDDLE)):
            conn = await armed(wire)
            fields = {"reth": conn.reth(0, 1500)} if first == Op.WRITE_FIRST else {}
            conn.give(first, bytes(256), **fields)
            psn = conn.give(middle, bytes([6]) * size, ack_req=True).bth.psn
            await length_refused(conn, psn, holds=first == Op.SEND_FIRST)
            assert b"\6" not in bytes(wire.memory), "a Middle that is not full was written"
    for op in (Op.SEND_FIRST, Op.WRITE_FIRST):  # full, and yet with pad
        conn = await armed(wire)
        fields = {"reth": conn.reth(0, 1000)} if op == Op.WRITE_FIRST else {}
        psn = conn.give(op, bytes(255), pad=b"\0", ack_req=True, **fields).bth.psn
        answer = await conn.next()
        assert (answer.bth.psn, answer.aeth and answer.aeth.syndrome) == (psn, INVALID)
    await wire.works()


@cocotb.test()
@covers("ROCE-124")
async def last_is_neither_empty_nor_too_long(dut: Any) -> None:
    wire = await Wire.start(dut)
    ends = (
        (Op.SEND_FIRST, Op.SEND_LAST, {}),
        (Op.SEND_FIRST, Op.SEND_LAST_IMM, {"imm": 1}),
        (Op.SEND_FIRST, Op.SEND_LAST_INV, {"ieth": 1}),
        (Op.WRITE_FIRST, Op.WRITE_LAST, {}),
        (Op.WRITE_FIRST, Op.WRITE_LAST_IMM, {"imm": 1}),
    )
    for first, last, more in ends:
        for size in (0, 257, 260, 512):
            conn = await armed(wire)
            total = 256 + (size or 44)
            fields = {"reth": conn.reth(0, total)} if first == Op.WRITE_FIRST else {}
            conn.give(first, bytes(256), **fields)
            psn = conn.give(last, bytes([6]) * size, ack_req=True, **more).bth.psn
            # A WRITE with immediate holds its receive from here on, or not yet.
            answer = await conn.wire.until(
                lambda c=conn, p=psn: next((a for a in c.waiting if a.bth.psn == p), None),
                f"NAK to {last.name} of {size} bytes",
            )
            assert answer.aeth.syndrome == INVALID, str(answer)
            await conn.dead()
            if first == Op.SEND_FIRST:
                done = await conn.completion(wr_id=1)
                assert done.status in LENGTH_STATUS, str(done)
            assert b"\6" not in bytes(wire.memory), f"{last.name} of {size} bytes was written"
    for op, more in ((Op.SEND_ONLY, {}), (Op.WRITE_ONLY, {"reth": 257})):
        conn = await armed(wire)
        fields = {"reth": conn.reth(0, 257)} if more else {}
        psn = conn.give(op, bytes([6]) * 257, ack_req=True, **fields).bth.psn
        answer = await conn.next()
        assert (answer.bth.psn, answer.aeth and answer.aeth.syndrome) == (psn, INVALID), str(answer)
        assert b"\6" not in bytes(wire.memory), f"{op.name} over the MTU was written"
    await wire.works()


@cocotb.test()
@covers("ROCE-125")
async def a_write_adds_up(dut: Any) -> None:
    wire = await Wire.start(dut)
    for total, pieces in (
        (100, (99,)), (100, (101,)), (0, (4,)), (5, (0,)), (100, (97,)), (256, (256, 1)),
        (512, (256, 255)), (511, (256, 256)), (600, (256, 256, 87)), (600, (256, 256, 89)),
        (600, (256, 100)), (300, (256, 256, 1)), (1000, (256, 256)),
    ):  # fmt: skip
        for imm in (False, True):
            conn = await armed(wire)
            wire.memory[:0x1000] = bytes(0x1000)
            for n, size in enumerate(pieces):
                ends = n == len(pieces) - 1
                fields: dict[str, Any] = {"imm": 3} if imm and ends else {}
                if n == 0:
                    fields["reth"] = conn.reth(0, total)
                    op = Op.WRITE_ONLY if ends else Op.WRITE_FIRST
                else:
                    op = Op.WRITE_LAST if ends else Op.WRITE_MIDDLE
                if imm and ends:
                    op = Op(op + 1)
                packet = conn.give(op, bytes([n + 1]) * size, ack_req=ends, **fields)
            # Refused at the last packet, or where it became too long.
            answer = await conn.next(f"a NAK for {pieces} of {total}")
            assert (answer.bth.opcode, answer.aeth and answer.aeth.syndrome) == (Op.ACK, INVALID)
            early = packet.bth.psn - answer.bth.psn
            assert early == 0 or sum(pieces[: len(pieces) - early]) >= total, str(answer)
            await conn.dead()
            good = sum(pieces[: len(pieces) - 1 - early])
            assert not any(wire.memory[good:0x1000]), "the wrong packet was written"
    await wire.works()


@cocotb.test()
@covers("ROCE-126")
async def the_largest_message_has_2_gigabytes(dut: Any) -> None:
    wire = await Wire.start(dut)
    small = wire.device.allocate(4096)
    huge = await wire.driver.register(6, small, length=1 << 32)
    at = small.bus_address - wire.address
    for length, good in ((1 << 31, True), ((1 << 31) + 1, False), (0xFFFFFFFF, False)):
        conn = await armed(wire)
        psn = conn.give(Op.WRITE_FIRST, b"\7" * 256, reth=conn.reth(at, length, huge),
                        ack_req=True).bth.psn  # fmt: skip
        if good:
            await conn.ack(psn, msn=0)
            assert small.memory[:256] == b"\7" * 256
            small.memory[:256] = bytes(256)
        else:
            await conn.nak(INVALID, psn)
            await conn.dead()
            assert not any(small.memory)
            conn = await armed(wire)
            psn = conn.read(at, length, key=huge).bth.psn
            await conn.nak(INVALID, psn)
            await conn.dead()
    await wire.works()
