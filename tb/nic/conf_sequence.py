"""Responder: opcodes in their order, opcodes that do not exist, states of the queue pair."""

from __future__ import annotations

from typing import Any

import cocotb

from spec.codes import CqeStatus, QpState
from tb.conformance import covers
from tb.model.headers import Aeth, Deth, Packet
from tb.model.icrc import seal
from tb.model.opcodes import OPCODES, Header, Op
from tb.model.packets import encode
from tb.nic.wire import Conn, Wire
from tb.nic.wire_work import write_wqe

INVALID = 0x61
STARTS = (
    *(Op.SEND_FIRST, Op.SEND_ONLY, Op.SEND_ONLY_IMM, Op.SEND_ONLY_INV),
    *(Op.WRITE_FIRST, Op.WRITE_ONLY, Op.WRITE_ONLY_IMM),
    *(Op.READ_REQUEST, Op.CMP_SWAP, Op.FETCH_ADD),
)
IN_SEND = (Op.SEND_MIDDLE, Op.SEND_LAST, Op.SEND_LAST_IMM, Op.SEND_LAST_INV)
IN_WRITE = (Op.WRITE_MIDDLE, Op.WRITE_LAST, Op.WRITE_LAST_IMM)
RESERVED = (0x15, 0x18, 0x19, 0x1A, 0x1B, 0x1E, 0x1F)


def give(conn: Conn, op: Op) -> Packet:
    """A packet with this opcode that is wrong in nothing but, perhaps, its place."""
    shape = OPCODES[op]
    name = op.name
    full = "FIRST" in name or "MIDDLE" in name
    size = 0 if shape.kind.owes_data else 256 if full else 44
    length = 300 if full or op == Op.READ_REQUEST else size
    if Header.ATOMIC_ETH in shape.headers:
        return conn.atomic(op, 0x800, 1)
    fields: dict[str, Any] = {"ack_req": True}
    if Header.RETH in shape.headers:
        fields["reth"] = conn.reth(0x400, length)
    if Header.IMM in shape.headers:
        fields["imm"] = 1
    if Header.IETH in shape.headers:
        fields["ieth"] = 0x700
    return conn.give(op, bytes(size), **fields)


async def ready(wire: Wire) -> Conn:
    """A connection with receives."""
    conn = await wire.connect()
    for n in range(4):
        conn.receive(conn.sge(0x2000, 4096), wr_id=n)
    await conn.rung()
    return conn


async def refused(conn: Conn, packet: Packet, holds_receive: bool) -> None:
    """The packet ended the connection with NAK 0x61."""
    while True:
        answer = await conn.next("NAK 0x61")
        assert answer.bth.opcode == Op.ACK, str(answer)
        assert answer.aeth is not None
        if answer.aeth.syndrome == INVALID:
            break
        assert answer.aeth.syndrome < 0x20, str(answer)  # of what went before
    assert answer.bth.psn == packet.bth.psn, str(answer)
    await conn.dead()
    if holds_receive:
        await conn.completion(wr_id=0, status=CqeStatus.REM_INV_REQ_ERR)
    for wr_id in range(int(holds_receive), 4):
        await conn.completion(wr_id=wr_id, status=CqeStatus.WR_FLUSH_ERR)
    give(conn, Op.WRITE_ONLY)
    await conn.quiet()


async def each(wire: Wire, before: tuple[Op, ...], wrong: tuple[Op, ...], receive: bool) -> None:
    """Each of the wrong opcodes, behind the same packets."""
    for op in wrong:
        conn = await ready(wire)
        for opcode in before:
            give(conn, opcode)
        memory = bytes(wire.memory)
        wire.dut._log.info(f"{op.name} behind {[b.name for b in before]}")
        packet = give(conn, op)
        await refused(conn, packet, receive)
        if not before:
            assert wire.memory == memory, f"{op.name} was executed"


@cocotb.test()
@covers("ROCE-108")
async def middle_and_last_need_a_first(dut: Any) -> None:
    wire = await Wire.start(dut)
    await each(wire, (), (*IN_SEND, *IN_WRITE), receive=False)
    await each(wire, (Op.WRITE_ONLY,), (Op.WRITE_MIDDLE, Op.SEND_LAST), receive=False)
    await each(wire, (Op.WRITE_FIRST, Op.WRITE_LAST), (Op.WRITE_LAST,), receive=False)
    await wire.works()


@cocotb.test()
@covers("ROCE-109")
async def a_message_is_finished_before_the_next(dut: Any) -> None:
    wire = await Wire.start(dut)
    await each(wire, (Op.SEND_FIRST,), STARTS, receive=True)
    await each(wire, (Op.WRITE_FIRST,), STARTS, receive=False)
    await each(wire, (Op.SEND_FIRST, Op.SEND_MIDDLE), (Op.SEND_ONLY, Op.READ_REQUEST), receive=True)
    await wire.works()


@cocotb.test()
@covers("ROCE-110")
async def a_message_goes_on_as_it_began(dut: Any) -> None:
    wire = await Wire.start(dut)
    await each(wire, (Op.SEND_FIRST,), IN_WRITE, receive=True)
    await each(wire, (Op.WRITE_FIRST,), IN_SEND, receive=False)
    await wire.works()


@cocotb.test()
@covers("ROCE-111")
async def reserved_opcodes_are_refused(dut: Any) -> None:
    wire = await Wire.start(dut)
    for size in (0, 4, 40):
        for opcode in RESERVED:
            conn = await ready(wire)
            packet = conn.give(opcode, bytes(size), ack_req=True)
            await refused(conn, packet, False)
    # What is not offered is refused in the same way.
    conn = await ready(wire)
    await refused(conn, give(conn, Op.ATOMIC_WRITE), False)
    await wire.works()


@cocotb.test()
@covers("ROCE-021", "ROCE-022")
async def reserved_opcodes_are_no_responses(dut: Any) -> None:
    """A write of the adapter waits for its acknowledge; what is not one does not complete it."""
    wire = await Wire.start(dut)
    conn = await wire.connect(psn=0x200, sq_psn=0x100)
    conn.post(write_wqe(conn, 100))
    await conn.expect(Op.WRITE_ONLY, 0x100, bytes(wire.memory[:100]))
    ack = encode(
        Packet(conn.packet(Op.ACK, psn=0x100).bth, conn.packet(0).path, aeth=Aeth(0x1F, 1))
    )
    for opcode in (
        *RESERVED,
        *(base | 0x11 for base in (0x20, 0x40, 0x60, 0x80, 0xA0, 0xC0, 0xE0)),
    ):
        wire.give(seal(ack[:42] + bytes([opcode]) + ack[43:]))
    await conn.quiet()
    conn.no_completion()
    wire.give(ack)
    await conn.completion(status=CqeStatus.SUCCESS)
    await conn.alive()


@cocotb.test()
@covers("ROCE-112")
async def opcodes_of_another_transport_are_dropped(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await ready(wire)
    before = bytes(wire.memory)
    for opcode in (0x20, 0x24, 0x25, 0x26, 0x2A, 0x2B, 0x64, 0x65, 0xA4, 0xAA, 0xAC):
        headers = OPCODES[opcode].headers
        fields: dict[str, Any] = {}
        if Header.RETH in headers:
            fields["reth"] = conn.reth(0x400, 0 if opcode == 0xAC else 40)
        if Header.IMM in headers:
            fields["imm"] = 1
        if Header.XRCETH in headers:
            fields["xrceth"] = 1
        if Header.DETH in headers:
            fields["deth"] = Deth(1, 2)
        size = 0 if opcode == 0xAC else 256 if opcode in (0x20, 0x26) else 40
        wire.give(conn.packet(opcode, b"\x55" * size, ack_req=True, **fields))
    await conn.quiet()
    conn.no_completion()
    assert wire.memory == before
    await conn.alive()


@cocotb.test()
@covers("ROCE-113")
async def states_that_take_no_requests(dut: Any) -> None:
    wire = await Wire.start(dut)
    for state in (QpState.RESET, QpState.INIT, QpState.ERR):
        conn = await wire.connect(state=QpState.RTS if state is QpState.ERR else state)
        if state is QpState.ERR:
            await conn.modify(QpState.ERR)
        before = bytes(wire.memory)
        packets = [conn.packet(Op.SEND_ONLY, b"x", ack_req=True)]
        packets += [conn.packet(Op.WRITE_ONLY, b"x", ack_req=True, reth=conn.reth(0, 1))]
        packets += [conn.packet(Op.READ_REQUEST, ack_req=True, reth=conn.reth(0, 1))]
        packets += [conn.packet(Op.WRITE_MIDDLE, b"x", ack_req=True), conn.packet(0x1F)]
        for packet in packets:
            wire.give(packet)
        await conn.quiet()
        assert wire.memory == before
        assert await conn.query() == state
        # Nothing of it was kept.
        if state is not QpState.RESET:
            await conn.modify(QpState.RESET)
        conn.state = QpState.RTS
        conn.qp.sq_index = conn.qp.rq_index = 0
        await conn.connect()
        await conn.alive()


@cocotb.test()
@covers("ROCE-114")
async def requests_in_rtr_are_served(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(state=QpState.RTR)
    conn.receive(conn.sge(0x1000, 100), wr_id=5)
    await conn.rung()
    conn.write(0, b"hello")
    await conn.ack(msn=1)
    assert wire.memory[0:5] == b"hello"
    psn = conn.read(0, 300).bth.psn
    await conn.data(psn, bytes(wire.memory[:300]), msn=2)
    conn.send(b"to you")
    await conn.ack(msn=3)
    await conn.completion(wr_id=5, byte_len=6)
    assert await conn.query() == QpState.RTR
