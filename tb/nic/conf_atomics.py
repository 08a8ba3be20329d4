"""Responder: atomics, their answers, and what is remembered of them."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.codes import Access
from tb.axi_memory import Timing
from tb.conformance import covers
from tb.model.headers import AtomicEth
from tb.model.opcodes import Op
from tb.nic.wire import Conn, Wire
from tb.raw_driver import EVERY_RIGHT

INVALID, ACCESS = 0x61, 0x62


async def fetch_add(conn: Conn, at: int, value: int) -> int:
    """One more atomic, answered; its PSN."""
    psn = conn.atomic(Op.FETCH_ADD, at, value).bth.psn
    await conn.expect(Op.ATOMIC_ACK, psn)
    return psn


@cocotb.test()
@covers("ROCE-105")
async def a_duplicate_atomic_returns_what_was_saved(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    wire.memory[64:72] = (41).to_bytes(8, "little")
    wire.memory[72:80] = (7).to_bytes(8, "little")
    add = conn.atomic(Op.FETCH_ADD, 64, 1)
    assert (await conn.expect(Op.ATOMIC_ACK, add.bth.psn, msn=1)).atomic_ack == 41
    swap = conn.atomic(Op.CMP_SWAP, 72, 99, 7)
    assert (await conn.expect(Op.ATOMIC_ACK, swap.bth.psn, msn=2)).atomic_ack == 7
    wire.memory[72:80] = (7).to_bytes(8, "little")  # a second swap would succeed again
    for packet, saved in ((add, 41), (swap, 7), (add, 41)):
        wire.give(packet)
        again = await conn.expect(Op.ATOMIC_ACK, packet.bth.psn)
        assert again.atomic_ack == saved
    assert int.from_bytes(wire.memory[64:72], "little") == 42, "added twice"
    assert int.from_bytes(wire.memory[72:80], "little") == 7, "swapped twice"
    conn.write(0, b"next")
    await conn.ack(msn=3)


@cocotb.test()
@covers("ROCE-106")
async def what_is_forgotten_is_dropped(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(reads=4)
    atomic = conn.atomic(Op.FETCH_ADD, 64, 1)
    await conn.expect(Op.ATOMIC_ACK, atomic.bth.psn)
    read = conn.read(0, 100)
    await conn.data(read.bth.psn, bytes(wire.memory[:100]))
    for _ in range(40):
        await fetch_add(conn, 72, 1)
    for old in (atomic, read):
        wire.give(old)
        await conn.quiet()
    assert int.from_bytes(wire.memory[64:72], "little") == 1
    # One that was an atomic and comes back as a READ, or the reverse, is not the one that is known.
    psn = await fetch_add(conn, 72, 1)
    conn.read(0, 100, psn=psn)
    await conn.quiet()
    read = conn.read(0, 100)
    await conn.data(read.bth.psn, bytes(wire.memory[:100]))
    conn.atomic(Op.FETCH_ADD, 72, 1, psn=read.bth.psn)
    await conn.quiet()
    assert int.from_bytes(wire.memory[72:80], "little") == 41
    await conn.alive()


MASK = (1 << 64) - 1


def store(wire: Wire, at: int, value: int) -> None:
    """A number as the host keeps it."""
    wire.memory[at : at + 8] = (value & MASK).to_bytes(8, "little")


def load(wire: Wire, at: int) -> int:
    """The number there."""
    return int.from_bytes(wire.memory[at : at + 8], "little")


@cocotb.test()
@covers("ROCE-151", "ROCE-145", "ROCE-025")
async def arithmetic_of_atomics(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(psn=0xFFFFFB)
    words = (0, 1, MASK, 1 << 63, 0x0123456789ABCDEF, random.getrandbits(64))
    msn = 0
    for old in words:
        for value in words:
            for compare in (old, old ^ 1, old ^ 1 << 63):
                store(wire, 64, old)
                psn = conn.atomic(Op.CMP_SWAP, 64, value, compare).bth.psn
                msn += 1
                answer = await conn.expect(Op.ATOMIC_ACK, psn, msn=msn)
                assert answer.atomic_ack == old
                assert load(wire, 64) == (value if compare == old else old)
            store(wire, 72, old)
            psn = conn.atomic(Op.FETCH_ADD, 72, value, random.getrandbits(64)).bth.psn
            msn += 1
            answer = await conn.expect(Op.ATOMIC_ACK, psn, msn=msn)
            assert answer.atomic_ack == old
            assert answer.aeth is not None
            assert answer.aeth.syndrome < 0x20
            assert load(wire, 72) == old + value & MASK
    assert not any(wire.memory[80:200])
    assert not any(wire.memory[:64])


@cocotb.test()
@covers("ROCE-133")
async def misaligned_atomics_are_refused(dut: Any) -> None:
    wire = await Wire.start(dut)
    for op in (Op.CMP_SWAP, Op.FETCH_ADD):
        for offset in range(1, 8):
            conn = await wire.connect()
            # The key is looked at later.
            conn.atomic(op, 64 + offset, 1, key=wire.token if offset & 1 else 1)
            await conn.nak(INVALID, 0x200, msn=0)
            await conn.dead()
    assert not any(wire.memory)
    await wire.works()


@cocotb.test()
@covers("ROCE-134", "ROCE-127", "ROCE-128")
async def atomics_need_their_right(dut: Any) -> None:
    wire = await Wire.start(dut)
    driver, region = wire.driver, wire.region
    without = await driver.register(10, region, access=EVERY_RIGHT & ~Access.REMOTE_ATOMIC)
    other_pd = await driver.register(11, region, pd=2)
    short = await driver.register(12, region, length=4100)
    alone = await driver.register(
        13, region, access=Access.LOCAL_WRITE | Access.REMOTE_ATOMIC, base=0x1000
    )
    every, none, mine = EVERY_RIGHT, Access(0), wire.token
    cases = (
        ("region without the right", without, 64, every, ACCESS),
        ("queue pair without it", mine, 64, every & ~Access.REMOTE_ATOMIC, INVALID),
        ("queue pair without any", mine, 64, none, INVALID),
        ("neither", without, 64, none, INVALID),
        ("other PD", other_pd, 64, every, ACCESS),
        ("variant byte", mine ^ 4, 64, every, ACCESS),
        ("unknown", 0xFF005A, 64, every, ACCESS),
        ("behind the end", short, 4096, every, ACCESS),
        ("before the start", short, -8, every, ACCESS),
    )
    for what, key, at, access, syndrome in cases:
        for op in (Op.CMP_SWAP, Op.FETCH_ADD):
            conn = await wire.connect(access=access)
            conn.atomic(op, at, 5, key=key)
            try:
                await conn.nak(syndrome, 0x200, msn=0)
                await conn.dead()
            except AssertionError as error:
                raise AssertionError(f"{what}: {error}") from None
    assert not any(wire.memory)
    # No other right is needed.
    conn = await wire.connect(access=Access.REMOTE_ATOMIC)
    conn.atomic(Op.FETCH_ADD, 0, 5, key=alone, atomic_eth=AtomicEth(0x1000, alone, 5))
    await conn.expect(Op.ATOMIC_ACK, 0x200)
    assert load(wire, 0) == 5
    await wire.works()


@cocotb.test()
@covers("ROCE-152")
async def atomics_of_many_queue_pairs_are_serialised(dut: Any) -> None:
    slow = Timing(read_latency=60, write_latency=90, reorder=True, stall={"b": 0.2})
    wire = await Wire.start(dut, timing=slow)
    conns = [await wire.connect(reads=8) for _ in range(6)]
    store(wire, 128, MASK - 9)
    for _ in range(8):
        for conn in conns:
            conn.atomic(Op.FETCH_ADD, 128, 1)
    seen = []
    for conn in conns:
        mine = []
        for n in range(8):
            answer = await conn.expect(Op.ATOMIC_ACK, 0x200 + n)
            mine.append((answer.atomic_ack or 0) - (MASK - 9) & MASK)
        assert mine == sorted(mine)
        seen += mine
    assert sorted(seen) == list(range(48)), "two atomics saw the same value"
    assert load(wire, 128) == 38
    # Of all that want to swap the same value, one does.
    store(wire, 128, 7)
    for n, conn in enumerate(conns):
        conn.atomic(Op.CMP_SWAP, 128, 100 + n, 7)
    found = [(await conn.next()).atomic_ack for conn in conns]
    assert found.count(7) == 1
    winner = 100 + found.index(7)
    assert load(wire, 128) == winner
    assert all(value in (7, winner) for value in found)


@cocotb.test()
@covers("ROCE-142", "ROCE-143", "ROCE-150")
async def atomics_keep_their_place(dut: Any) -> None:
    """A WRITE before one is seen by it, a READ behind it sees its result, no ACK passes it."""
    slow = Timing(read_latency=200, write_latency=200, reorder=True)
    wire = await Wire.start(dut, timing=slow)
    conn = await wire.connect()
    for n in range(12):
        value = random.getrandbits(64)
        conn.write(256, value.to_bytes(8, "little"), ack_req=False)
        atomic = conn.atomic(Op.FETCH_ADD, 256, n)
        read = conn.read(256, 8)
        conn.write(512, b"behind")
        answer = await conn.expect(Op.ATOMIC_ACK, atomic.bth.psn, msn=4 * n + 2)
        assert answer.atomic_ack == value
        await conn.data(read.bth.psn, (value + n & MASK).to_bytes(8, "little"), msn=4 * n + 3)
        await conn.ack(msn=4 * n + 4)
