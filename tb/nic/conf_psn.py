"""Responder: sequence numbers and duplicates."""

from __future__ import annotations

from typing import Any

import cocotb

from spec.layouts import CqeOp
from tb.axi_memory import Timing
from tb.conformance import covers
from tb.model.opcodes import Op
from tb.nic.wire import QUIET, Wire

HALF = 1 << 23
SEQUENCE, ACCESS = 0x60, 0x62


@cocotb.test()
@covers("ROCE-096")
async def the_expected_request_is_executed(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(psn=0xFFFFFE)
    for n in range(5):
        data = bytes([n + 1]) * 60
        conn.write(100 * n, data)
        await conn.ack(msn=n + 1)
        assert wire.memory[100 * n : 100 * n + 60] == data
    # A READ takes as many numbers as it has responses.
    first = conn.read(0, 700).bth.psn
    assert conn.psn == first + 3
    await conn.data(first, bytes(wire.memory[:700]), msn=6)
    conn.write(0, b"next")
    await conn.ack(msn=7)


@cocotb.test()
@covers("ROCE-097", "ROCE-098", "ROCE-099")
async def each_gap_gets_one_nak(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    conn.receive(conn.sge(0x1000, 100), wr_id=7)
    await conn.rung()
    before = bytes(wire.memory)
    for gap in range(3):
        due = conn.psn
        conn.write(0, b"early", psn=due + 1)
        await conn.nak(SEQUENCE, due, msn=gap)
        conn.write(0, b"early", psn=due + 1)
        conn.send(b"early", psn=due + 2)
        conn.read(0, 100, psn=due + 3)
        conn.write(0, b"early", psn=due + HALF - 1)
        await conn.quiet()
        assert wire.memory == before, "a request ahead was executed"
        conn.no_completion()
        conn.write(0x8000, b"in time")
        await conn.ack(due, msn=gap + 1)
        wire.memory[0x8000:0x8007] = bytes(7)
    # The receive was not used up.
    conn.send(b"at last")
    await conn.ack()
    await conn.completion(wr_id=7, status=0, byte_len=7)
    await conn.alive()


@cocotb.test()
@covers("ROCE-100")
async def half_of_the_numbers_are_old(dut: Any) -> None:
    wire = await Wire.start(dut)
    for start in (0x200, 0, HALF - 1, HALF, 0xFFFFFF):
        for distance in (1, 2, 1000, HALF - 1):
            conn = await wire.connect(psn=start)
            conn.write(0, b"first")
            due = conn.psn
            await conn.ack(start, msn=1)
            conn.write(0x100, b"old", psn=due - distance & 0xFFFFFF)
            await conn.ack(start, msn=1)
            conn.write(0x100, b"ahead", psn=due + distance & 0xFFFFFF)
            await conn.nak(SEQUENCE, due, msn=1)
        conn = await wire.connect(psn=start)
        conn.write(0, b"first")
        await conn.ack(start, msn=1)
        conn.write(0x100, b"old", psn=conn.psn + HALF & 0xFFFFFF)
        await conn.ack(start, msn=1)
        await conn.quiet()
    assert wire.memory[0x100:0x105] == bytes(5)


@cocotb.test()
@covers("ROCE-101", "ROCE-102")
async def duplicates_are_acknowledged_and_not_done(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(psn=0xFFFFFD)
    for n in range(3):
        conn.receive(conn.sge(0x1000 + 256 * n, 200), wr_id=n)
    await conn.rung()
    old = [conn.write(0, b"write"), conn.send(b"send")]
    old.append(conn.give(Op.WRITE_FIRST, bytes(256), reth=conn.reth(0x400, 300), ack_req=True))
    old.append(conn.give(Op.WRITE_LAST, bytes(44), ack_req=True))
    old.append(conn.send(b"imm", op=Op.SEND_ONLY_IMM, imm=5))
    await conn.completion(wr_id=0)
    await conn.completion(wr_id=1)
    await wire.cycles(2 * QUIET)
    assert conn.waiting[-1].bth.psn == conn.psn - 1
    conn.waiting.clear()
    wire.memory[0:0x2000] = b"\x77" * 0x2000
    for packet in old:
        wire.give(packet)
        await conn.ack(msn=4)
    assert wire.memory[0:0x2000] == b"\x77" * 0x2000, "a duplicate was executed"
    conn.no_completion()
    # In the middle of a message, and while a NAK stands, they are answered as well.
    conn.give(Op.WRITE_FIRST, bytes(256), reth=conn.reth(0x400, 300))
    wire.give(old[0])
    await conn.ack(msn=4)
    conn.write(0, b"ahead", psn=conn.psn + 5)
    await conn.nak(SEQUENCE, conn.psn, msn=4)
    wire.give(old[1])
    await conn.ack(msn=4)
    conn.give(Op.WRITE_LAST, bytes(44), ack_req=True)
    await conn.ack(msn=5)
    conn.send(b"third")
    await conn.ack(msn=6)
    await conn.completion(wr_id=2, opcode=CqeOp.RECV, byte_len=5)


@cocotb.test()
@covers("ROCE-103", "ROCE-242")
async def a_duplicate_read_is_answered_from_memory(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(psn=0xFFFFFE)
    wire.memory[0:2000] = bytes(n % 251 for n in range(2000))
    reads: list[tuple[int, int, int]] = []
    for at, length in ((0, 1000), (1000, 256), (1300, 1), (3, 513), (0, 0)):
        first = conn.read(at, length).bth.psn
        await conn.data(first, bytes(wire.memory[at : at + length]), msn=len(reads) + 1)
        reads.append((first, at, length))
    for late in (False, True):
        if late:
            wire.memory[0:2000] = bytes(n % 241 for n in range(1, 2001))
            await wire.cycles(5000)
        for first, at, length in reads:
            for skip in range(max(1, -(-length // 256))):
                there, rest = at + 256 * skip, length - 256 * skip
                psn = first + skip & 0xFFFFFF
                conn.read(there, rest, psn=psn)
                await conn.data(psn, bytes(wire.memory[there : there + rest]))
    conn.write(0, b"next")
    await conn.ack(msn=6)


@cocotb.test()
@covers("ROCE-104")
async def a_duplicate_read_that_does_not_match_is_dropped(dut: Any) -> None:
    wire = await Wire.start(dut)
    other = await wire.driver.register(6, wire.region)
    conn = await wire.connect()
    conn.write(0, b"before")
    await conn.ack()
    first = conn.read(1000, 1000).bth.psn
    await conn.data(first, bytes(wire.memory[1000:2000]))
    rest = conn.reth(1256, 744)
    cases = {
        "other key": {"psn": first, "reth": conn.reth(1000, 1000, other)},
        "bad key": {"psn": first, "reth": conn.reth(1000, 1000, 0xFFFF00)},
        "longer": {"psn": first, "reth": conn.reth(1000, 1001)},
        "before": {"psn": first, "reth": conn.reth(999, 1000)},
        "elsewhere": {"psn": first, "reth": conn.reth(5000, 1000)},
        "start at the second number": {"psn": first + 1, "reth": conn.reth(1000, 1000)},
        "second part at the first number": {"psn": first, "reth": rest},
        "number before the read": {"psn": first - 1, "reth": conn.reth(1000, 1000)},
        "second part beyond the end": {"psn": first + 1, "reth": conn.reth(1256, 745)},
    }
    for what, fields in cases.items():
        conn.give(Op.READ_REQUEST, ack_req=True, **fields)
        await wire.cycles(400)
        assert not conn.waiting, f"{what}: {conn.waiting[0]}"
    conn.give(Op.READ_REQUEST, ack_req=True, psn=first + 1, reth=rest)
    await conn.data(first + 1, bytes(wire.memory[1256:2000]))
    await conn.alive()


@cocotb.test()
@covers("ROCE-103", "ROCE-142", "ROCE-143")
async def a_repeated_burst_is_answered_in_order(dut: Any) -> None:
    """Going back behind a READ: its answer again, then the acknowledge of what followed it."""
    wire = await Wire.start(dut, timing=Timing(read_latency=300))
    wire.memory[0:4000] = bytes(n % 249 for n in range(4000))
    conn = await wire.connect()
    for n in range(3):
        conn.receive(conn.sge(0x2000, 100), wr_id=n)
    await conn.rung()
    old = [conn.write(0x3000, b"one"), conn.read(0, 1500), conn.write(0x3100, b"two")]
    old += [conn.send(b"three"), conn.read(2000, 300), conn.send(b"four")]
    await conn.ack(0x200)
    await conn.data(0x201, bytes(wire.memory[:1500]), msn=2)
    while (await conn.next("the ACK before the second READ")).bth.psn != 0x208:
        pass
    await conn.data(0x209, bytes(wire.memory[2000:2300]), msn=5)
    await conn.ack(0x20B, msn=6)
    wire.memory[0:4000] = bytes(n % 239 for n in range(1, 4001))
    for packet in old:
        wire.give(packet)
    await conn.ack(0x20B, msn=6)
    await conn.data(0x201, bytes(wire.memory[:1500]))
    # ACKs between the READs are allowed only if they pass over neither; the newest is 0x20B.
    await conn.data(0x209, bytes(wire.memory[2000:2300]))
    await conn.ack(0x20B, msn=6)
    await conn.quiet()
    for n in range(2):
        await conn.completion(wr_id=n)
    conn.no_completion()
    await conn.alive()


@cocotb.test()
@covers("ROCE-103", "ROCE-143")
async def a_read_repeated_while_it_is_answered_starts_anew(dut: Any) -> None:
    wire = await Wire.start(dut, timing=Timing(read_latency=200))
    wire.memory[0:8000] = bytes(n % 249 for n in range(8000))
    for skip in (0, 3, 12):
        conn = await wire.connect()
        first = conn.read(0, 8000).bth.psn
        for n in range(4):
            op = Op.READ_RESPONSE_MIDDLE if n else Op.READ_RESPONSE_FIRST
            await conn.expect(op, first + n, bytes(wire.memory[256 * n : 256 * n + 256]))
        conn.read(256 * skip, 8000 - 256 * skip, psn=first + skip)
        # What was under way goes on for a while, in order; then the new answer, whole.
        due = first + 4
        while (packet := await conn.next()).bth.opcode != Op.READ_RESPONSE_FIRST:
            at = 256 * (due - first)
            assert packet.bth.psn == due, str(packet)
            assert packet.payload == wire.memory[at : min(at + 256, 8000)]
            due += 1
        conn.waiting.appendleft(packet)
        await conn.data(first + skip, bytes(wire.memory[256 * skip : 8000]))
        await conn.quiet()
        await conn.alive()
