"""Robustness against hand-made frames: no deadlock, no influence between queue pairs, counters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import CqeStatus, DropReason, EventType, Stat
from spec.layouts import AdminOp, AdminQueue, WrOp
from tb.conformance import covers
from tb.model.opcodes import Op
from tb.model.packets import encode
from tb.nic.conf_receive import Shared
from tb.nic.wire import Conn, Wire
from tb.nic.wire_ask import (
    RNR,
    Clock,
    ack,
    inline,
    now,
    rest,
    set_time,
    take,
)
from tb.nic.wire_work import read_wqe, send_wqe, write_wqe

FIRST = 0x100
MESSAGES = 256
"""Outstanding messages of a queue pair."""
S = CqeStatus


@cocotb.test()
@covers("ROCE-227")
async def the_way_in_never_waits_for_the_way_out(dut: Any) -> None:
    """Nobody answers the adapter; its requester is full in every way, and it serves all the same.

    One queue pair has 256 messages outstanding and 40 more waiting, one all its READs, one waits
    for a receiver, one behind a fence. Every one of them, and a fresh one, is still served.
    """
    wire = await Wire.start(dut)
    set_time(wire, ack_tick=0xFFFF, rnr_tick=0xFFFF)
    knobs: dict[str, Any] = {"timeout": 20, "create": {"sq_log": 9}}
    full = await wire.connect(**knobs)
    for number in range(MESSAGES + 40):
        wire.driver.put_send(full.qp, inline(WrOp.WRITE, b"", wr_id=number)[0])
    wire.driver.ring_sq(full.number, full.qp.sq_index)
    reads = await wire.connect(reads=4, **knobs)
    for number in range(20):
        reads.post(read_wqe(reads, 5000, wr_id=number))
    paused = await wire.connect(**knobs)
    paused.post(send_wqe(paused, 1000))
    await take(paused, 4)
    ack(paused, FIRST, syndrome=RNR | 31)
    fenced = await wire.connect(**knobs)
    fenced.post(read_wqe(fenced, 10))
    fenced.post(replace(write_wqe(fenced, 10), flags=3))
    assert len(await rest(full, 1000)) == MESSAGES
    assert len(await rest(reads)) == 4
    await rest(paused)
    await rest(fenced)
    for conn in (full, reads, paused, fenced, await wire.connect()):
        conn.receive(conn.sge(0x2000, 300), wr_id=700)
        await conn.rung()
        conn.write(0, b"served")
        await conn.ack(msn=1)
        conn.send(b"served")
        await conn.ack(msn=2)
        await conn.completion(wr_id=700, status=S.SUCCESS)
        first = conn.read(0, 1000).bth.psn
        await conn.data(first, bytes(wire.memory[:1000]))
    # And once it is answered, it goes on.
    ack(full, FIRST + MESSAGES - 1)
    for number in range(MESSAGES):
        await full.completion(wr_id=number, status=S.SUCCESS)
    assert len(await take(full, 40)) == 40


@cocotb.test()
@covers("ROCE-233")
async def queue_pairs_do_not_disturb_each_other(dut: Any) -> None:
    """While others fail, wait for a receiver, repeat or are stuck, one keeps its pace.

    Its WRITEs are timed from doorbell to frame: alone first, then beside all the trouble.
    """
    wire = await Wire.start(dut)
    set_time(wire)
    clock = Clock(wire)
    calm = await wire.connect()
    alone = [await _round(calm, clock) for _ in range(10)]

    stuck = await wire.connect(reads=1, timeout=0)
    for number in range(8):
        stuck.post(read_wqe(stuck, 4000, wr_id=number))
    paused = await wire.connect(timeout=0)
    paused.post(send_wqe(paused, 5000))
    await take(paused, 20)
    ack(paused, FIRST + 3, syndrome=RNR | 28)
    repeating = await wire.connect(timeout=3, retry_cnt=7)
    for number in range(4):
        repeating.post(write_wqe(repeating, 3000, wr_id=number))
    failed = await wire.connect()
    for number in range(20):
        failed.post(write_wqe(failed, 300, wr_id=number))
    await take(failed, 40)
    ack(failed, FIRST, syndrome=0x63)
    refused = await wire.connect()
    due = refused.psn
    refused.write(0, b"no right", key=5)
    beside = [await _round(calm, clock) for _ in range(10)]
    await refused.nak(0x62, due)
    await failed.dead()
    assert len(repeating.waiting) > 48, "nothing was repeated"
    # A frame of a repetition may be on the wire just now, and some behind it in the pipeline.
    assert max(beside) < max(alone) + 500, f"{beside} beside trouble, {alone} alone"
    assert await calm.query() == calm.state
    assert await stuck.query() == stuck.state
    assert await paused.query() == paused.state
    assert len(await rest(stuck)) == 1


async def _round(conn: Conn, clock: Clock) -> int:
    """Cycles from the doorbell of a WRITE to its frame."""
    start = now()
    conn.post(write_wqe(conn, 64, wr_id=9))
    packet = await conn.next("a WRITE")
    waited = clock.of(conn)[-1][0] - start
    ack(conn, packet.bth.psn)
    await conn.completion(wr_id=9, status=S.SUCCESS)
    return waited


@cocotb.test()
@covers("ROCE-235")
async def what_goes_wrong_is_counted(dut: Any) -> None:
    """Bad ICRC, out of sequence, duplicate, RNR NAK sent and received, retries exceeded, P_Key.

    The Q_Key counter is there and 0: nothing here has a Q_Key.
    """
    wire = await Wire.start(dut)
    set_time(wire)
    counters = {
        "ICRC": Stat.DROP + DropReason.BAD_ICRC,
        "sequence": Stat.DROP + DropReason.OUT_OF_SEQUENCE,
        "duplicate": Stat.DROP + DropReason.DUPLICATE, "RNR sent": Stat.TX_RNR_NAKS,
        "RNR received": Stat.RX_RNR_NAKS, "exceeded": Stat.RETRIES_EXHAUSTED,
        "P_Key": Stat.DROP + DropReason.BAD_PKEY, "Q_Key": Stat.DROP + DropReason.BAD_QKEY,
    }  # fmt: skip
    want = dict.fromkeys(counters, 0)
    conn = await wire.connect(timeout=3, retry_cnt=1, rnr_retry=7)

    async def check(what: str, count: int = 1) -> None:
        want[what] += count
        await wire.cycles(500)
        got = {name: await wire.driver.counter(stat) for name, stat in counters.items()}
        assert got == want, what

    bad = bytearray(encode(conn.packet(Op.WRITE_ONLY, b"x", reth=conn.reth(0, 1))))
    bad[-1] ^= 1
    wire.give(bytes(bad))
    await check("ICRC")
    for ahead in (1, 2, 7):
        conn.write(0, b"ahead", psn=conn.psn + ahead)
    await check("sequence", 3)
    conn.write(0, b"now")
    for _ in range(4):
        conn.write(0, b"now", psn=conn.psn - 1)
    await check("duplicate", 4)
    for _ in range(2):
        conn.send(b"nobody")
        conn.psn -= 1
    await check("RNR sent", 2)
    for _ in range(3):
        conn.write(0, b"pkey", p_key=0x8123)
        conn.psn -= 1
    await check("P_Key", 3)
    await rest(conn)
    conn.post(write_wqe(conn, 10, wr_id=1))
    await take(conn, 1)
    for _ in range(2):
        ack(conn, FIRST, syndrome=RNR | 1)
        await take(conn, 1)
    want["RNR received"] += 2
    await conn.completion(wr_id=1, status=S.RETRY_EXC_ERR)
    await check("exceeded")


@cocotb.test()
@covers("ROCE-239")
async def going_back_behind_an_rnr_nak_changes_nothing(dut: Any) -> None:
    """As Soft-RoCE does: all three packets of a WRITE with immediate again after the RNR NAK.

    The first two are duplicates: acknowledged where they ask, and not written again.
    """
    wire = await Wire.start(dut)
    data = bytes(n % 253 for n in range(700))
    conn = await wire.connect(min_rnr_timer=20)
    first = conn.psn
    parts = [(Op.WRITE_FIRST, data[:256]), (Op.WRITE_MIDDLE, data[256:512]),
             (Op.WRITE_LAST_IMM, data[512:])]  # fmt: skip

    def give_all(ask: bool) -> None:
        for n, (op, payload) in enumerate(parts):
            fields: dict[str, Any] = {"psn": first + n, "ack_req": ask or n == 2}
            if n == 0:
                fields["reth"] = conn.reth(0x500, 700)
            if n == 2:
                fields["imm"] = 0x01020304
            conn.give(op, payload, **fields)

    give_all(ask=False)
    await conn.nak(RNR | 20, first + 2, msn=0)
    wire.memory[0x500:0x700] = b"\x11" * 512
    for ask in (False, True):
        give_all(ask)
        if ask:
            for _ in range(2):
                await conn.ack(first + 1, msn=0)
        await conn.nak(RNR | 20, first + 2, msn=0)
        assert wire.memory[0x500:0x700] == b"\x11" * 512, "a duplicate was written"
        conn.no_completion()
    conn.receive(wr_id=5)
    await conn.rung()
    give_all(ask=False)
    await conn.ack(first + 2, msn=1)
    done = await conn.completion(wr_id=5, status=S.SUCCESS, byte_len=700)
    assert done.imm == int.from_bytes(b"\x01\x02\x03\x04", "little")
    assert wire.memory[0x700:0x7BC] == data[512:]
    conn.psn = first + 3
    await conn.alive()


@cocotb.test()
@covers("ROCE-188")
async def the_limit_of_a_shared_queue_is_told_once(dut: Any) -> None:
    """Armed at 3 of 8: told when fewer than 3 are left, and again only when armed again."""
    wire = await Wire.start(dut)
    shared = Shared(wire, 2)
    await shared.create()
    conn = await wire.connect(create={"srq": 2})
    for n in range(8):
        shared.post(conn, 0, 100, 20 + n)
    await conn.rung()
    arm = AdminQueue(opcode=AdminOp.MODIFY_SRQ, number=2, limit=3)
    await wire.driver.must(arm)

    def told() -> list[Any]:
        wire.poll()
        found = [e for e in wire.events if e.event_type == EventType.SRQ_LIMIT]
        wire.events = [e for e in wire.events if e.event_type != EventType.SRQ_LIMIT]
        assert {e.number for e in found} <= {2}
        return found

    async def use() -> None:
        conn.send(b"x")
        await conn.ack()
        await conn.completion(status=S.SUCCESS)
        await wire.cycles(300)

    for left in range(7, 2, -1):
        await use()
        assert not told(), f"{left} left"
    await use()
    assert len(told()) == 1
    await use()
    assert not told(), "told again without being armed"
    for n in range(4):
        shared.post(conn, 0, 100, 40 + n)
    await conn.rung()
    await wire.driver.must(arm)
    await use()
    await use()
    assert not told()
    await use()
    assert len(told()) == 1
