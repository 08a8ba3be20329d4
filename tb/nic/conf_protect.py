"""Memory protection: keys, their life, page lists, and what a key lets in on either side."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import Access, AdminStatus, CqeStatus
from spec.layouts import (
    AdminCommand,
    AdminKey,
    AdminOp,
    CqeFlag,
    CqeOp,
    FastRegWqe,
    KeyKind,
    WqeFlag,
    WrOp,
)
from tb.conformance import covers
from tb.model.headers import Packet
from tb.model.opcodes import Op
from tb.nic.conf_ask import fast_region, fast_register
from tb.nic.wire import Conn, Wire
from tb.nic.wire_ask import OPERATION, atomic, many, respond_atomic, respond_read, rest, take
from tb.nic.wire_work import read_wqe, send_wqe, write_wqe

ACCESS_NAK = 0x62
ALL = Access(0xF)
S = CqeStatus


async def refused_remotely(wire: Wire, key: int, at: int = 0, **knobs: Any) -> None:
    """WRITE, READ and FetchAdd by this key: each is NAK 0x62 and changes nothing."""
    before = bytes(wire.memory)
    for kind in range(3):
        conn = await wire.connect(**knobs)
        due = conn.psn
        if kind == 0:
            conn.write(at, b"intruder", key=key)
        elif kind == 1:
            conn.read(at, 100, key=key)
        else:
            conn.atomic(Op.FETCH_ADD, at, 1, key=key)
        await conn.nak(ACCESS_NAK, due, msn=0)
        await conn.dead()
    assert wire.memory == before


async def allowed_remotely(conn: Conn, key: int, at: int = 0) -> None:
    """A WRITE and a READ by this key."""
    data = random.randbytes(100)
    conn.write(at, data, key=key)
    await conn.ack()
    assert conn.wire.memory[at : at + 100] == data
    first: Packet = conn.read(at, 100, key=key)
    await conn.data(first.bth.psn, data)


async def refused_locally(wire: Wire, key: int, *, writing_only: bool = False) -> None:
    """Gather of a SEND, and scatter of a READ, an atomic and a receive."""
    if not writing_only:
        conn = await wire.connect()
        conn.post(replace(send_wqe(conn, 50, wr_id=1), data=conn.sge(0, 50, key).to_int()))
        await conn.completion(wr_id=1, status=S.LOC_PROT_ERR)
        assert await rest(conn) == []
        await conn.dead()
    before = bytes(wire.memory)
    conn = await wire.connect()
    conn.post(replace(read_wqe(conn, 50, wr_id=2), data=conn.sge(0, 50, key).to_int()))
    (read,) = await take(conn, 1)
    respond_read(conn, read.bth.psn, bytes(range(50)))
    await conn.completion(wr_id=2, status=S.LOC_PROT_ERR)
    await conn.dead()
    conn = await wire.connect()
    add = atomic(conn, WrOp.FETCH_ADD, 0, 1, wr_id=3)
    sge = conn.sge(0, 8, key).to_int()
    conn.post(replace(add, data=add.data >> 128 << 128 | sge))
    (request,) = await take(conn, 1)
    respond_atomic(conn, request.bth.psn, 0x1234)
    await conn.completion(wr_id=3, status=S.LOC_PROT_ERR)
    await conn.dead()
    conn = await wire.connect()
    conn.receive(conn.sge(0, 100, key), wr_id=4)
    await conn.rung()
    conn.send(b"not here")
    await conn.nak(OPERATION, conn.psn - 1)
    await conn.completion(wr_id=4, status=S.LOC_PROT_ERR)
    await conn.dead()
    assert wire.memory == before


@cocotb.test()
@covers("ROCE-191")
async def another_key_byte_fails(dut: Any) -> None:
    """One bit of the low eight, each in its turn; on both sides."""
    wire = await Wire.start(dut)
    for bit in range(8):
        await refused_remotely(wire, wire.token ^ 1 << bit)
    for bit in (0, 7):
        await refused_locally(wire, wire.token ^ 1 << bit)
    await allowed_remotely(await wire.connect(), wire.token)


@cocotb.test()
@covers("ROCE-192")
async def a_key_of_another_domain_fails(dut: Any) -> None:
    wire = await Wire.start(dut)
    other = await wire.driver.register(6, wire.region, pd=2)
    await refused_remotely(wire, other)
    await refused_locally(wire, other)
    await allowed_remotely(await wire.connect(create={"pd": 2}), other)
    await refused_remotely(wire, wire.token, create={"pd": 2})


@cocotb.test()
@covers("ROCE-193")
async def a_key_without_a_region_fails(dut: Any) -> None:
    """Never registered, deregistered, allocated for fast registration and not yet registered."""
    wire = await Wire.start(dut)
    gone = await wire.driver.register(7, wire.region)
    await allowed_remotely(await wire.connect(), gone)
    await wire.driver.must(AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=7))
    await wire.driver.must(
        AdminKey(opcode=AdminOp.REGISTER_KEY, number=8, key=0x5A, kind=KeyKind.FAST_REG, pd=1,
                 length=1 << 16)
    )  # fmt: skip
    for key in (9 << 8, 9 << 8 | 0x5A, 1023 << 8 | 0x5A, 1024 << 8 | 0x5A, 0xFFFFFF5A, gone,
                8 << 8 | 0x5A):  # fmt: skip
        await refused_remotely(wire, key)
        await refused_locally(wire, key)


@cocotb.test()
@covers("ROCE-194", "ROCE-195")
async def a_fast_registration_lives_from_its_request_to_its_invalidation(dut: Any) -> None:
    """With the key byte of the request; twice in a row; a second one while it is valid fails."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    await fast_region(conn, 20, 0x31, ALL)
    for number, byte in enumerate((0x31, 0x7C, 0x31)):
        token = 20 << 8 | byte
        if number:
            wire.driver.post_send(conn.qp, fast_register(conn, 20, byte, ALL))
            await conn.completion(wr_id=900, status=S.SUCCESS, opcode=CqeOp.LOCAL)
        await allowed_remotely(conn, token)
        await refused_remotely(wire, token ^ 0x20)
        invalidate = FastRegWqe(
            opcode=WrOp.LOCAL_INV, flags=WqeFlag.SIGNALED, blocks=1, token=token, wr_id=901
        )
        wire.driver.post_send(conn.qp, invalidate)
        await conn.completion(wr_id=901, status=S.SUCCESS, opcode=CqeOp.LOCAL)
        await refused_remotely(wire, token)
    wire.driver.post_send(conn.qp, fast_register(conn, 20, 0x44, ALL))
    await conn.completion(wr_id=900, status=S.SUCCESS)
    wire.driver.post_send(conn.qp, fast_register(conn, 20, 0x45, ALL))
    await conn.completion(wr_id=900, status=S.LOC_QP_OP_ERR)
    await conn.dead()
    await allowed_remotely(await wire.connect(), 20 << 8 | 0x44)


@cocotb.test()
@covers("ROCE-194", "ROCE-195")
async def keys_that_cannot_be_registered_or_invalidated(dut: Any) -> None:
    """Ordinary regions, keys of another domain, keys that are not there, another key byte."""
    wire = await Wire.start(dut)
    owner = await wire.connect()
    token = await fast_region(owner, 20, 0x31, ALL)
    local = FastRegWqe(opcode=WrOp.LOCAL_INV, flags=WqeFlag.SIGNALED, blocks=1, wr_id=2)
    for what, wrong in (("region", wire.token), ("none", 21 << 8), ("byte", token ^ 2)):
        conn = await wire.connect()
        wire.driver.post_send(conn.qp, replace(local, token=wrong))
        done = await conn.completion(wr_id=2)
        assert done.status == S.LOC_QP_OP_ERR, f"{what}: {S(done.status).name}"
        await conn.dead()
    stranger = await wire.connect(create={"pd": 2})
    wire.driver.post_send(stranger.qp, replace(local, token=token))
    await stranger.completion(wr_id=2, status=S.LOC_QP_OP_ERR)
    for index in (5, 21):
        conn = await wire.connect()
        wire.driver.post_send(conn.qp, fast_register(conn, index, 0x11, ALL))
        await conn.completion(wr_id=900, status=S.LOC_QP_OP_ERR)
        await conn.dead()
    await allowed_remotely(owner, token)
    await allowed_remotely(owner, wire.token)


@cocotb.test()
@covers("ROCE-196")
async def remote_invalidation_follows_the_same_rule(dut: Any) -> None:
    """It ends a fast registration and completes the receive with the key.

    Where the key cannot be invalidated the receive completes with REM_INV_REQ_ERR and the queue
    pair ends (4.7). Memory windows, of which those of type 1 are to be refused, come later.
    """
    wire = await Wire.start(dut)
    conn = await wire.connect()
    token = await fast_region(conn, 20, 0x31, ALL)
    conn.receive(conn.sge(0x800, 100), wr_id=6)
    await conn.rung()
    await allowed_remotely(conn, token)
    conn.give(Op.SEND_ONLY_INV, b"take it", ieth=token, ack_req=True)
    await conn.ack()
    done = await conn.completion(wr_id=6, status=S.SUCCESS, imm=token, opcode=CqeOp.RECV_INV)
    assert done.flags & CqeFlag.INVALIDATED
    assert wire.memory[0x800:0x807] == b"take it"
    await refused_remotely(wire, token)
    wire.driver.post_send(conn.qp, fast_register(conn, 20, 0x31, ALL))
    await conn.completion(wr_id=900, status=S.SUCCESS)
    for what, wrong, knobs in (
        ("region", wire.token, {}), ("none", 21 << 8, {}), ("byte", token ^ 1, {}),
        ("domain", token, {"pd": 2}),
    ):  # fmt: skip
        conn = await wire.connect(create=knobs)
        conn.receive(wr_id=7)
        await conn.rung()
        conn.give(Op.SEND_ONLY_INV, b"", ieth=wrong, ack_req=True)
        done = await conn.completion(wr_id=7)
        assert done.status == S.REM_INV_REQ_ERR, f"{what}: {S(done.status).name}"
        await conn.dead()
    await allowed_remotely(await wire.connect(), token)
    await allowed_remotely(await wire.connect(), wire.token)


async def paged(
    wire: Wire, index: int, pages: list[int], base: int, length: int, shift: int = 12
) -> int:
    """A region over pages of the bench's memory, listed in this order; its token."""
    listing = wire.device.allocate(max(64, 8 * len(pages)))
    for n, page in enumerate(pages):
        at = wire.address + (page << shift)
        listing.memory[8 * n : 8 * n + 8] = at.to_bytes(8, "little")
    await wire.driver.must(
        AdminKey(
            opcode=AdminOp.REGISTER_KEY, number=index, key=0x66, kind=KeyKind.MR, access=ALL,
            page_shift=shift, pd=1, base=base, length=length, pages=listing.bus_address,
        )
    )  # fmt: skip
    return index << 8 | 0x66


@cocotb.test()
@covers("ROCE-197")
async def pages_come_in_the_order_of_their_list(dut: Any) -> None:
    """Eleven pages in disorder, the first used from offset 0x123; scattered into and gathered from.

    Remote READ and WRITE, a receive, a gather and a READ result, over every page boundary.
    """
    wire = await Wire.start(dut)
    order = [9, 2, 14, 3, 4, 15, 0, 8, 1, 12, 7]
    first, length = 0x123, 11 * 4096 - 0x123 - 5
    base = 0x7F00_0000_0000 + first
    token = await paged(wire, 30, order, base, length)
    rng = random.Random(3)

    def bytes_at(offset: int, size: int) -> bytes:
        out = bytearray()
        for at in range(first + offset, first + offset + size):
            out.append(wire.memory[order[at // 4096] * 4096 + at % 4096])
        return bytes(out)

    wire.memory[:] = rng.randbytes(len(wire.memory))
    conn = await wire.connect(mtu=5)
    sge = conn.sge(0, 0, token)
    spots = [0, 4096 - first - 1, 4096 - first, 2 * 4096 - first - 100, 6 * 4096, length - 300]
    for number, offset in enumerate(spots):
        size = 300
        reth = replace(conn.reth(0, size, token), va=base + offset)
        read = conn.give(Op.READ_REQUEST, reth=reth, ack_req=True)
        await conn.data(read.bth.psn, bytes_at(offset, size))
        data = rng.randbytes(size)
        conn.give(Op.WRITE_ONLY, data, reth=reth, ack_req=True)
        await conn.ack()
        assert bytes_at(offset, size) == data, f"WRITE at {offset}"
        piece = replace(sge, addr=base + offset, length=size)
        conn.receive(piece, wr_id=number)
        await conn.rung()
        data = rng.randbytes(size)
        conn.send(data)
        await conn.ack()
        await conn.completion(wr_id=number, status=S.SUCCESS)
        assert bytes_at(offset, size) == data, f"receive at {offset}"
        wqe, more = many(WrOp.SEND, [piece], wr_id=number)
        conn.post(wqe, more)
        (sent,) = await take(conn, 1)
        assert sent.payload == data, f"gather at {offset}"
    long = 3 * 4096
    wqe, more = many(WrOp.READ, [replace(sge, addr=base + 77, length=long)], wr_id=70)
    conn.post(wqe, more)
    (request,) = await take(conn, 1)
    data = rng.randbytes(long)
    respond_read(conn, request.bth.psn, data)
    for number in range(len(spots)):
        await conn.completion(wr_id=number, status=S.SUCCESS)
    await conn.completion(wr_id=70, status=S.SUCCESS)
    assert bytes_at(77, long) == data
    reth = replace(conn.reth(0, 6, token), va=base + length - 5)
    due = conn.psn
    conn.give(Op.READ_REQUEST, reth=reth, ack_req=True)
    await conn.nak(ACCESS_NAK, due)


@cocotb.test()
@covers("ROCE-197")
async def larger_pages_are_pages_too(dut: Any) -> None:
    """Pages of 8 and 16 KiB."""
    wire = await Wire.start(dut)
    wire.memory[:] = random.Random(4).randbytes(len(wire.memory))
    shift_by = -wire.address % (1 << 14)
    for index, shift in ((31, 13), (32, 14)):
        size = 1 << shift
        order = [2, 0, 1] if shift == 13 else [1, 0]
        listing = wire.device.allocate(64)
        for n, page in enumerate(order):
            at = wire.address + shift_by + page * size
            listing.memory[8 * n : 8 * n + 8] = at.to_bytes(8, "little")
        await wire.driver.must(
            AdminKey(
                opcode=AdminOp.REGISTER_KEY, number=index, key=1, kind=KeyKind.MR, access=ALL,
                page_shift=shift, pd=1, base=1 << 40, length=len(order) * size,
                pages=listing.bus_address,
            )
        )  # fmt: skip
        conn = await wire.connect(mtu=5)
        for offset in (0, size - 50, size, 2 * size - 100):
            reth = replace(conn.reth(0, 100, index << 8 | 1), va=(1 << 40) + offset)
            read = conn.give(Op.READ_REQUEST, reth=reth, ack_req=True)
            want = bytes(
                wire.memory[shift_by + order[at // size] * size + at % size]
                for at in range(offset, offset + 100)
            )
            await conn.data(read.bth.psn, want)


@cocotb.test()
@covers("ROCE-198")
async def a_region_from_zero_takes_offsets(dut: Any) -> None:
    """A region whose first byte has the address 0; zero-based windows come with windows."""
    wire = await Wire.start(dut)
    wire.memory[:1000] = random.randbytes(1000)
    token = await wire.driver.register(33, wire.region, base=0, length=1000)
    conn = await wire.connect(mtu=5)
    for offset, length in ((0, 100), (17, 983), (999, 1)):
        reth = replace(conn.reth(0, length, token), va=offset)
        read = conn.give(Op.READ_REQUEST, reth=reth, ack_req=True)
        await conn.data(read.bth.psn, bytes(wire.memory[offset : offset + length]))
        data = random.randbytes(length)
        conn.give(Op.WRITE_ONLY, data, reth=reth, ack_req=True)
        await conn.ack()
        assert wire.memory[offset : offset + length] == data
    for va, length in ((1000, 1), (999, 2), (wire.address, 10), ((1 << 64) - 1, 1)):
        conn = await wire.connect(mtu=5)
        due = conn.psn
        conn.give(Op.READ_REQUEST, reth=replace(conn.reth(0, length, token), va=va), ack_req=True)
        await conn.nak(ACCESS_NAK, due)


@cocotb.test()
@covers("ROCE-202")
async def nothing_is_written_where_local_write_is_missing(dut: Any) -> None:
    """Results of READs and atomics, and receives; gathering from there is allowed."""
    wire = await Wire.start(dut)
    wire.memory[:100] = bytes(range(100))
    token = await wire.driver.register(34, wire.region, access=Access.REMOTE_READ)
    await refused_locally(wire, token, writing_only=True)
    conn = await wire.connect()
    conn.post(replace(write_wqe(conn, 50, wr_id=1), data=conn.sge(0, 50, token).to_int()))
    (sent,) = await take(conn, 1)
    assert sent.payload == bytes(range(50))
    command = AdminKey(
        opcode=AdminOp.REGISTER_KEY, number=35, key=1, kind=KeyKind.MR, direct=1, page_shift=12,
        access=Access.REMOTE_WRITE, pd=1, pages=wire.address, base=wire.address, length=100,
    )  # fmt: skip
    answer = await wire.driver.command(command)
    assert answer.status == AdminStatus.BAD_PARAM_ACCESS, "REMOTE_WRITE without LOCAL_WRITE"
