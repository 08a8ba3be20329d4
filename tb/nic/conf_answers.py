"""Requester: what acknowledges, NAKs and data responses do."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.codes import CqeStatus, DropReason, QpState, Stat
from spec.layouts import CqeOp, WqeFlag, WrOp
from tb.conformance import covers
from tb.model.opcodes import Op
from tb.nic.wire import Conn, Wire
from tb.nic.wire_ask import (
    ACCESS,
    INVALID,
    OPERATION,
    SEQUENCE,
    ack,
    atomic,
    fill,
    many,
    ops,
    psns,
    respond,
    respond_atomic,
    respond_read,
    rest,
    same,
    set_time,
    take,
    timeout_cycles,
)
from tb.nic.wire_work import PEER_VA, read_wqe, send_wqe, write_wqe

FIRST = 0x100
"""The first PSN of every connection here."""
S = CqeStatus


async def writes(conn: Conn, count: int, length: int = 10) -> None:
    """Post WRITEs 0, 1, 2 ... and take their packets."""
    for number in range(count):
        conn.post(write_wqe(conn, length, wr_id=number))
    await take(conn, count * max(1, -(-length // conn.pmtu)))


@cocotb.test()
@covers("ROCE-070")
async def an_acknowledge_completes_what_lies_before_it(dut: Any) -> None:
    """Also around the wrap of the numbers."""
    wire = await Wire.start(dut)
    for start in (FIRST, 0xFFFFFD):
        conn = await wire.connect(sq_psn=start)
        await writes(conn, 7)
        done = 0
        for upto in (0, 2, 3, 6):
            ack(conn, start + upto)
            while done <= upto:
                await conn.completion(wr_id=done, status=S.SUCCESS)
                done += 1
            await wire.cycles(300)
            conn.no_completion()


@cocotb.test()
@covers("ROCE-071")
async def an_acknowledge_inside_a_message_completes_nothing(dut: Any) -> None:
    """And is progress: what it acknowledged is not sent again."""
    wire = await Wire.start(dut)
    set_time(wire)
    conn = await wire.connect(timeout=7, retry_cnt=2)
    conn.post(write_wqe(conn, 1280, wr_id=1))
    await take(conn, 5)
    ack(conn, FIRST + 2)
    await wire.cycles(400)
    conn.no_completion()
    again = await take(conn, 2)
    assert psns(again) == [FIRST + 3, FIRST + 4]
    assert ops(again) == [Op.WRITE_MIDDLE, Op.WRITE_LAST]
    ack(conn, FIRST + 4)
    await conn.completion(wr_id=1, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-072")
async def an_old_acknowledge_has_no_effect(dut: Any) -> None:
    """It completes nothing, keeps no timer from expiring and gives no retry back."""
    wire = await Wire.start(dut)
    set_time(wire)
    period = timeout_cycles(7)
    conn = await wire.connect(timeout=7, retry_cnt=2)
    await writes(conn, 3)
    ack(conn, FIRST + 1)
    for number in (0, 1):
        await conn.completion(wr_id=number, status=S.SUCCESS)
    tries = 0
    for _ in range(14 * 4):
        for old in (0, 1):
            ack(conn, FIRST + old)
        await wire.cycles(period // 4)
        tries += len(conn.waiting)
        assert {p.bth.psn for p in conn.waiting} <= {FIRST + 2}
        conn.waiting.clear()
    assert tries == 2, f"{tries} retries with a counter of 2"
    await conn.completion(wr_id=2, status=S.RETRY_EXC_ERR)
    conn.no_completion()


@cocotb.test()
@covers("ROCE-073")
async def answers_to_what_was_never_sent_are_dropped(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    before = await wire.driver.counter(Stat.DROP + DropReason.GHOST_RESPONSE)
    ack(conn, FIRST)
    await writes(conn, 2)
    ghosts = 1
    for psn in (2, 3, 1000, (1 << 23) - 1):
        for syndrome in (0x1F, SEQUENCE, INVALID, ACCESS, OPERATION, 0x21):
            ack(conn, FIRST + psn, syndrome=syndrome)
            ghosts += 1
    respond(conn, Op.READ_RESPONSE_ONLY, FIRST + 2, b"x")
    respond_atomic(conn, FIRST + 2, 1)
    assert await rest(conn, 600) == []
    conn.no_completion()
    assert await wire.driver.counter(Stat.DROP + DropReason.GHOST_RESPONSE) == before + ghosts + 2
    ack(conn, FIRST + 1)
    for number in (0, 1):
        await conn.completion(wr_id=number, status=S.SUCCESS)
    assert await conn.query() == QpState.RTS


@cocotb.test()
@covers("ROCE-069", "ROCE-074")
async def a_sequence_nak_goes_back_to_its_packet(dut: Any) -> None:
    """At the start, in the middle and at the end of a message of each kind."""
    wire = await Wire.start(dut)
    fill(wire)
    for op in (WrOp.WRITE, WrOp.SEND, WrOp.WRITE_IMM, WrOp.SEND_IMM, WrOp.SEND_INV):
        for lost in range(5):
            conn = await wire.connect()
            conn.post(write_wqe(conn, 100, 50, wr_id=1))
            conn.post(write_wqe(conn, 1100, 1000, op=op, wr_id=2, imm=0x11223344))
            conn.post(send_wqe(conn, 200, 3000, wr_id=3))
            first = await take(conn, 7)
            ack(conn, FIRST + 1 + lost, syndrome=SEQUENCE)
            await conn.completion(wr_id=1, status=S.SUCCESS)
            again = await take(conn, 6 - lost)
            assert same(again) == same(first[1 + lost :]), f"{op.name} from packet {lost}"
            conn.no_completion()
            ack(conn, FIRST + 6)
            for number in (2, 3):
                await conn.completion(wr_id=number, status=S.SUCCESS)
            assert await rest(conn) == []
    assert await wire.driver.counter(Stat.RX_NAKS) == 25


@cocotb.test()
@covers("ROCE-075", "ROCE-077")
async def a_fatal_nak_ends_its_message_and_the_connection(dut: Any) -> None:
    wire = await Wire.start(dut)
    cases = {INVALID: S.REM_INV_REQ_ERR, ACCESS: S.REM_ACCESS_ERR, OPERATION: S.REM_OP_ERR}
    for syndrome, status in cases.items():
        for middle in (0, 1, 2):
            conn = await wire.connect()
            conn.receive(conn.sge(0, 100), wr_id=40)
            for number, length in ((0, 10), (1, 600), (2, 10), (3, 700), (4, 10)):
                conn.post(write_wqe(conn, length, wr_id=number))
            await take(conn, 9)
            ack(conn, FIRST + 5 + middle, syndrome=syndrome, msn=3)
            for number in (0, 1, 2):
                await conn.completion(wr_id=number, status=S.SUCCESS)
            await conn.completion(wr_id=3, status=status)
            conn.post(write_wqe(conn, 10, wr_id=5))
            left = [await conn.completion(status=S.WR_FLUSH_ERR) for _ in range(3)]
            sends = [done.wr_id for done in left if done.opcode < CqeOp.RECV]
            assert sends == [4, 5]
            assert [done.wr_id for done in left if done.opcode >= CqeOp.RECV] == [40]
            await conn.dead()
            ack(conn, FIRST + 8)
            assert await rest(conn) == []
            conn.no_completion()


@cocotb.test()
@covers("ROCE-076")
async def reserved_syndromes_complete_nothing(dut: Any) -> None:
    """AETH type 10b, NAK codes from 4 on, and bit 7."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    await writes(conn, 2)
    for syndrome in (0x40, 0x5F, 0x64, 0x65, 0x70, 0x7F, 0x80, 0x9F, 0xE0, 0xE1, 0xFF):
        ack(conn, FIRST + 1, syndrome=syndrome)
    assert await rest(conn, 600) == []
    conn.no_completion()
    assert await wire.driver.counter(Stat.DROP + DropReason.BAD_SYNDROME) == 11
    ack(conn, FIRST + 1)
    for number in (0, 1):
        await conn.completion(wr_id=number, status=S.SUCCESS)
    assert await conn.query() == QpState.RTS


@cocotb.test()
@covers("ROCE-078")
async def an_acknowledge_that_skips_a_read_repeats_the_read(dut: Any) -> None:
    """Or an atomic. What was before it completes, what is behind it waits for it."""
    wire = await Wire.start(dut)
    for kind in (WrOp.READ, WrOp.FETCH_ADD):
        conn = await wire.connect()
        conn.post(write_wqe(conn, 10, wr_id=0))
        if kind is WrOp.READ:
            conn.post(read_wqe(conn, 300, 0x100, wr_id=1))
        else:
            conn.post(atomic(conn, kind, 0x100, 7, wr_id=1))
        conn.post(write_wqe(conn, 10, wr_id=2))
        _, read, write = await take(conn, 3)
        ack(conn, write.bth.psn)
        await conn.completion(wr_id=0, status=S.SUCCESS)
        again = await conn.next("the repetition")
        assert same([again]) == same([read])
        conn.no_completion()
        if kind is WrOp.READ:
            respond_read(conn, read.bth.psn, bytes(range(150)) * 2)
        else:
            respond_atomic(conn, read.bth.psn, 0x1122)
        await conn.completion(wr_id=1, status=S.SUCCESS)
        await wire.cycles(400)
        conn.no_completion()
        later = await rest(conn)
        assert psns(later) in ([], [write.bth.psn]), "only what is not acknowledged is repeated"
        ack(conn, write.bth.psn)
        await conn.completion(wr_id=2, status=S.SUCCESS)


@cocotb.test()
@covers("ROCE-079")
async def one_burst_of_late_answers_causes_one_repetition(dut: Any) -> None:
    """The first of eight responses is lost; then the second READ's answers come as well."""
    wire = await Wire.start(dut)
    data = random.randbytes(2048)
    conn = await wire.connect(retry_cnt=1)
    conn.post(read_wqe(conn, 2048, 0, wr_id=1))
    conn.post(read_wqe(conn, 256, 0x1000, wr_id=2))
    first, second = await take(conn, 2)
    respond_read(conn, first.bth.psn, data, parts=range(1, 8))
    respond_read(conn, second.bth.psn, data[:256])
    again = await rest(conn, 600)
    assert psns(again)[0] == first.bth.psn
    assert psns(again) in ([first.bth.psn], psns([first, second]))
    assert same(again[:1]) == same([first])
    respond_read(conn, first.bth.psn, data)
    await conn.completion(wr_id=1, status=S.SUCCESS)
    assert wire.memory[:2048] == data
    again += await rest(conn, 600)
    assert psns(again) == psns([first, second])
    respond_read(conn, second.bth.psn, data[256:512])
    await conn.completion(wr_id=2, status=S.SUCCESS)
    assert wire.memory[0x1000:0x1100] == data[256:512]


@cocotb.test()
@cocotb.parametrize(style=["first", "middle"])
@covers("ROCE-080", "ROCE-236")
async def a_read_goes_on_where_its_answer_broke_off(dut: Any, style: str) -> None:
    """At each packet of 5000 bytes; the answer goes on with First or Only, or as Soft-RoCE's does.

    Data that came before the gap is kept: the second answer has other bytes where both reach.
    """
    wire = await Wire.start(dut)
    length, count = 1224, 5
    for lost in range(count):
        conn = await wire.connect()
        one, two = random.randbytes(length), random.randbytes(length)
        wire.memory[:2000] = bytes(2000)
        conn.post(read_wqe(conn, length, 3, wr_id=lost))
        (read,) = await take(conn, 1)
        respond_read(conn, FIRST, one, parts=[n for n in range(count) if n != lost])
        if lost == count - 1:
            # Nothing behind the last one shows the gap, but an acknowledge of a later request.
            conn.post(write_wqe(conn, 10, flags=WqeFlag(0)))
            await take(conn, 1)
            ack(conn, FIRST + count)
        again = await conn.next("the READ again")
        assert (again.bth.opcode, again.bth.psn) == (Op.READ_REQUEST, FIRST + lost)
        assert again.reth is not None
        assert read.reth is not None
        assert again.reth.va == PEER_VA + 256 * lost
        assert again.reth.length == length - 256 * lost
        assert again.reth.key == read.reth.key
        respond_read(conn, FIRST, two, start=lost if style == "first" else 0,
                     parts=None if style == "first" else range(lost, count))  # fmt: skip
        await conn.completion(wr_id=lost, status=S.SUCCESS, byte_len=length)
        kept = 256 * lost
        assert wire.memory[3 : 3 + length] == one[:kept] + two[kept:], f"packet {lost}"
        assert wire.memory[:3] == bytes(3)
        assert wire.memory[3 + length : 2000] == bytes(2000 - 3 - length)


Bad = tuple[Op, int, int, set[CqeStatus]]
LENGTH = {S.LOC_LEN_ERR, S.BAD_RESP_ERR}
OPCODE = {S.BAD_RESP_ERR}


@cocotb.test()
@covers("ROCE-081", "ROCE-082", "ROCE-237")
async def a_wrong_read_response_ends_the_connection(dut: Any) -> None:
    """A READ of three packets: opcode, how many were right before, length of the payload."""
    wire = await Wire.start(dut)
    cases: list[Bad] = [
        (Op.READ_RESPONSE_MIDDLE, 1, 255, LENGTH), (Op.READ_RESPONSE_MIDDLE, 1, 252, LENGTH),
        (Op.READ_RESPONSE_MIDDLE, 1, 0, LENGTH), (Op.READ_RESPONSE_MIDDLE, 1, 260, LENGTH),
        (Op.READ_RESPONSE_FIRST, 0, 100, LENGTH), (Op.READ_RESPONSE_LAST, 2, 87, LENGTH),
        (Op.READ_RESPONSE_LAST, 2, 89, LENGTH), (Op.READ_RESPONSE_LAST, 2, 0, LENGTH),
        (Op.READ_RESPONSE_MIDDLE, 0, 256, OPCODE), (Op.READ_RESPONSE_LAST, 0, 256, OPCODE),
        (Op.READ_RESPONSE_ONLY, 0, 256, OPCODE), (Op.READ_RESPONSE_FIRST, 1, 256, OPCODE),
        (Op.READ_RESPONSE_LAST, 1, 256, OPCODE), (Op.READ_RESPONSE_ONLY, 1, 256, OPCODE),
        (Op.READ_RESPONSE_MIDDLE, 2, 256, OPCODE), (Op.READ_RESPONSE_FIRST, 2, 256, OPCODE),
        (Op.READ_RESPONSE_ONLY, 2, 88, OPCODE), (Op.ATOMIC_ACK, 0, 0, OPCODE),
    ]  # fmt: skip
    data = random.randbytes(600)
    for op, good, length, statuses in cases:
        what = f"{op.name} of {length} bytes as response {good}"
        conn = await wire.connect()
        conn.post(read_wqe(conn, 600, 0, wr_id=6))
        conn.post(write_wqe(conn, 10, wr_id=7))
        await take(conn, 2)
        respond_read(conn, FIRST, data, parts=range(good))
        fields = {"atomic_ack": 5} if op is Op.ATOMIC_ACK else {}
        respond(conn, op, FIRST + good, bytes(length), **fields)
        done = await conn.completion(wr_id=6)
        assert done.status in statuses, f"{what}: {S(done.status).name}"
        await conn.completion(wr_id=7, status=S.WR_FLUSH_ERR)
        await conn.dead()
    # A data response where an atomic or a WRITE is due.
    conn = await wire.connect()
    conn.post(atomic(conn, WrOp.CMP_SWAP, 0, 1, wr_id=8))
    await take(conn, 1)
    respond(conn, Op.READ_RESPONSE_ONLY, FIRST, bytes(8))
    await conn.completion(wr_id=8, status=S.BAD_RESP_ERR)
    await conn.dead()
    # A READ response with a NAK in its AETH.
    conn = await wire.connect()
    conn.post(read_wqe(conn, 100, 0, wr_id=9))
    await take(conn, 1)
    respond(conn, Op.READ_RESPONSE_ONLY, FIRST, bytes(100), syndrome=ACCESS)
    await conn.completion(wr_id=9, status=S.BAD_RESP_ERR)


@cocotb.test()
@covers("ROCE-083")
async def read_data_is_scattered_over_its_pieces(dut: Any) -> None:
    """Up to eight pieces of odd sizes and places, empty ones between; packets end anywhere."""
    wire = await Wire.start(dut)
    rng = random.Random(7)
    for mtu in (1, 2, 5):
        for count in range(1, 9):
            conn = await wire.connect(mtu=mtu)
            sizes = [rng.choice((0, 1, 2, 63, 64, 65, 255, 256, 257, 700)) for _ in range(count)]
            places, at = [], 0
            for size in sizes:
                at += rng.randint(1, 70)
                places.append(at)
                at += size
            data = rng.randbytes(sum(sizes))
            wire.memory[: at + 64] = b"\x5a" * (at + 64)
            want = bytearray(wire.memory[: at + 64])
            taken = 0
            for place, size in zip(places, sizes, strict=True):
                want[place : place + size] = data[taken : taken + size]
                taken += size
            pieces = [conn.sge(p, s) for p, s in zip(places, sizes, strict=True)]
            wqe, more = many(WrOp.READ, pieces, wr_id=count)
            conn.post(wqe, more)
            (request,) = await take(conn, 1)
            respond_read(conn, request.bth.psn, data)
            await conn.completion(wr_id=count, status=S.SUCCESS, byte_len=len(data))
            assert wire.memory[: at + 64] == want, f"pieces {sizes} at {places}, MTU {mtu}"


@cocotb.test()
@covers("ROCE-084")
async def the_atomic_result_is_in_host_order(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    value = 0x0102030405060708
    for number, op in enumerate((WrOp.FETCH_ADD, WrOp.CMP_SWAP)):
        at = 0x40 + 24 * number
        conn.post(atomic(conn, op, at, 0xA1A2A3A4A5A6A7A8, 0xB1B2B3B4B5B6B7B8, wr_id=number))
        (request,) = await take(conn, 1)
        assert request.atomic_eth is not None
        assert request.atomic_eth.swap_or_add == 0xA1A2A3A4A5A6A7A8
        if op is WrOp.CMP_SWAP:
            assert request.atomic_eth.compare == 0xB1B2B3B4B5B6B7B8
        assert request.atomic_eth.va == PEER_VA
        respond_atomic(conn, request.bth.psn, value + number)
        await conn.completion(wr_id=number, status=S.SUCCESS, byte_len=8, opcode=CqeOp.ATOMIC)
        assert wire.memory[at : at + 8] == (value + number).to_bytes(8, "little")
        assert wire.memory[at + 8 : at + 16] == bytes(8)


@cocotb.test()
@covers("ROCE-094")
async def answers_before_rts_are_dropped(dut: Any) -> None:
    wire = await Wire.start(dut)
    before = await wire.driver.counter(Stat.DROP + DropReason.QP_STATE)
    for state in (QpState.RESET, QpState.INIT, QpState.RTR):
        conn = await wire.connect(state=state)
        for psn in (FIRST - 1, FIRST, FIRST + 1):
            ack(conn, psn)
            ack(conn, psn, syndrome=ACCESS)
            respond(conn, Op.READ_RESPONSE_ONLY, psn, b"data")
            respond_atomic(conn, psn, 3)
        assert await rest(conn, 600) == []
        conn.no_completion()
        assert await conn.query() == state
    assert await wire.driver.counter(Stat.DROP + DropReason.QP_STATE) == before + 36


@cocotb.test()
@covers("ROCE-240")
async def a_refusal_inside_a_read_fails_the_read(dut: Any) -> None:
    """Wherever in it, and whatever of it has come: no implied NAK, nothing is repeated."""
    wire = await Wire.start(dut)
    for syndrome, status in ((INVALID, S.REM_INV_REQ_ERR), (ACCESS, S.REM_ACCESS_ERR),
                             (OPERATION, S.REM_OP_ERR)):  # fmt: skip
        for came, where in ((0, 0), (0, 2), (1, 1), (1, 3), (2, 0), (3, 3)):
            conn = await wire.connect()
            conn.post(write_wqe(conn, 10, wr_id=0))
            conn.post(read_wqe(conn, 1000, 0, wr_id=1))
            conn.post(read_wqe(conn, 10, 0x1000, wr_id=2))
            await take(conn, 3)
            respond_read(conn, FIRST + 1, bytes(1000), parts=range(came))
            if where < came:
                continue  # an old number: a ghost
            ack(conn, FIRST + 1 + where, syndrome=syndrome)
            await conn.completion(wr_id=0, status=S.SUCCESS)
            await conn.completion(wr_id=1, status=status)
            await conn.completion(wr_id=2, status=S.WR_FLUSH_ERR)
            assert await rest(conn) == []
            await conn.dead()
