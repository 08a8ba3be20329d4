"""Responder: rights, keys, ranges, limits, and what follows an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import Access, CqeStatus
from tb.axi_memory import Timing
from tb.conformance import covers
from tb.model.headers import Packet, Reth
from tb.model.opcodes import Op
from tb.nic.wire import Conn, Wire
from tb.raw_driver import EVERY_RIGHT

INVALID, ACCESS, OPERATION = 0x61, 0x62, 0x63


def requests(conn: Conn, reth: Reth) -> list[Packet]:
    """Every request with a RETH for this range, none of them sent."""
    size = min(reth.length, conn.pmtu)
    first = replace(reth, length=reth.length + conn.pmtu)
    build = conn.packet
    return [
        build(Op.WRITE_ONLY, b"\x99" * size, reth=reth, ack_req=True),
        build(Op.WRITE_ONLY_IMM, b"\x99" * size, reth=reth, imm=1, ack_req=True),
        build(Op.WRITE_FIRST, b"\x99" * conn.pmtu, reth=first, ack_req=True),
        build(Op.READ_REQUEST, reth=reth, ack_req=True),
    ]


KINDS = 4


async def one_refused(
    wire: Wire, kind: int, syndrome: int, what: str, reth: Any, **knobs: Any
) -> None:
    """One request on a connection of its own: NAK, error state, nothing written."""
    conn = await wire.connect(**knobs)
    conn.receive(wr_id=1)
    await conn.rung()
    before = bytes(wire.memory)
    packet = requests(conn, reth(conn))[kind]
    wire.give(packet)
    try:
        await conn.nak(syndrome, packet.bth.psn, msn=0)
        await conn.dead()
        done = await conn.completion(wr_id=1)
        assert done.status in (CqeStatus.WR_FLUSH_ERR, CqeStatus.REM_ACCESS_ERR,
                               CqeStatus.REM_INV_REQ_ERR)  # fmt: skip
    except AssertionError as error:
        raise AssertionError(f"{what}, {Op(packet.bth.opcode).name}: {error}") from None
    assert wire.memory == before, f"{what}: written"


@cocotb.test()
@covers("ROCE-127")
async def what_the_queue_pair_does_not_allow(dut: Any) -> None:
    wire = await Wire.start(dut)
    every = EVERY_RIGHT
    for kind, right in enumerate((Access.REMOTE_WRITE,) * 3 + (Access.REMOTE_READ,)):
        for access in (every & ~right, Access(0)):
            await one_refused(wire, kind, INVALID, f"{access!r}", lambda c: c.reth(0, 100),
                              access=access)  # fmt: skip
    # One right does not stand for another.
    conn = await wire.connect(access=Access.REMOTE_WRITE)
    conn.write(0, b"allowed")
    await conn.ack()
    conn = await wire.connect(access=Access.REMOTE_READ)
    await conn.data(conn.read(0, 300).bth.psn, bytes(wire.memory[:300]))
    # A zero length needs the right as well.
    conn = await wire.connect(access=Access(0))
    conn.write(0, b"")
    await conn.nak(INVALID, 0x200)
    await wire.works()


@cocotb.test()
@covers("ROCE-129")
async def nothing_needs_no_key(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    conn.receive(wr_id=1)
    await conn.rung()
    for n, (va, key) in enumerate(((0, 0), (0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF), (3, wire.token))):
        conn.give(Op.WRITE_ONLY, reth=Reth(va, key, 0), ack_req=True)
        await conn.ack(msn=2 * n + 1)
        psn = conn.give(Op.READ_REQUEST, reth=Reth(va, key, 0), ack_req=True).bth.psn
        await conn.data(psn, b"", msn=2 * n + 2)
    conn.give(Op.WRITE_ONLY_IMM, reth=Reth(5, 6, 0), imm=1, ack_req=True)
    await conn.ack(msn=7)
    await conn.completion(wr_id=1, byte_len=0, status=CqeStatus.SUCCESS)


@cocotb.test()
@covers("ROCE-135")
async def receives_that_point_to_the_wrong_place(dut: Any) -> None:
    wire = await Wire.start(dut)
    driver, region = wire.driver, wire.region
    other_pd = await driver.register(10, region, pd=2)
    read_only = await driver.register(11, region, access=Access.REMOTE_READ)
    short = await driver.register(12, region, length=4096)
    good = (0x2000, 50)
    cases = {
        "variant byte": [(0, 100, wire.token ^ 1)], "unknown": [(0, 100, 0xFF005A)],
        "other PD": [(0, 100, other_pd)], "no local write": [(0, 100, read_only)],
        "behind the end": [(4097 - 100, 100, short)], "before": [(-1, 100, short)],
        "second SGE": [good, (0, 100, wire.token ^ 1)],
        "third SGE": [good, (0x3000, 10), (4090, 100, short)],
    }  # fmt: skip
    for what, pieces in cases.items():
        conn = await wire.connect()
        conn.receive(*(conn.sge(*piece) for piece in pieces), wr_id=1)
        conn.receive(conn.sge(0x8000, 100), wr_id=2)
        await conn.rung()
        before = bytes(wire.memory)
        conn.send(b"\x77" * 100)
        try:
            await conn.nak(OPERATION, 0x200, msn=0)
            await conn.completion(wr_id=1, status=CqeStatus.LOC_PROT_ERR)
            await conn.completion(wr_id=2, status=CqeStatus.WR_FLUSH_ERR)
            await conn.dead()
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from None
        assert wire.memory[:0x2000] == before[:0x2000], f"{what}: written"
    # In the middle of a SEND it is the packet that gets there.
    conn = await wire.connect()
    conn.receive(conn.sge(0x2000, 256), conn.sge(0, 100, 0xFF005A), wr_id=1)
    await conn.rung()
    conn.give(Op.SEND_FIRST, bytes(256))
    conn.give(Op.SEND_LAST, bytes(50), ack_req=True)
    await conn.nak(OPERATION, 0x201, msn=0)
    await conn.completion(wr_id=1, status=CqeStatus.LOC_PROT_ERR)
    await wire.works()


@cocotb.test()
@covers("ROCE-136")
async def more_reads_than_allowed(dut: Any) -> None:
    """Refused, or served in order; the host is slow, so that all are outstanding at once."""
    wire = await Wire.start(dut, timing=Timing(read_latency=400))
    wire.memory[:] = bytes(n * 7 % 253 for n in range(len(wire.memory)))
    for limit in (1, 2, 4):
        conn = await wire.connect(reads=limit)
        psns = [conn.read(1000 * n, 900).bth.psn for n in range(8)]
        refused = False
        for n, psn in enumerate(psns):
            await wire.until(lambda c=conn: c.waiting, f"an answer to read {n} of limit {limit}")
            head = conn.waiting[0]
            if head.bth.opcode == Op.ACK:
                assert n >= limit, f"read {n} of {limit} was refused"
                await conn.nak(INVALID, psn)
                refused = True
                break
            await conn.data(psn, bytes(wire.memory[1000 * n : 1000 * n + 900]), msn=n + 1)
        if refused:
            await conn.dead()
        else:
            await conn.alive()


@cocotb.test()
@covers("ROCE-137")
async def no_reads_at_all(dut: Any) -> None:
    wire = await Wire.start(dut)
    for length in (0, 100):
        conn = await wire.connect(reads=0)
        conn.write(0, b"before")
        await conn.ack()
        psn = conn.read(0, length).bth.psn
        await conn.nak(INVALID, psn, msn=1)
        await conn.dead()
    await wire.works()
