"""Requester: what it sends, in which order, and when it must wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import Access, CqeStatus, QpState
from spec.layouts import AdminKey, AdminOp, FastRegWqe, KeyKind, WqeFlag, WrOp
from tb.conformance import covers
from tb.model.opcodes import Op
from tb.nic.wire import Conn, Wire
from tb.nic.wire_ask import (
    ack,
    atomic,
    fill,
    inline,
    many,
    ops,
    psns,
    respond_atomic,
    respond_read,
    rest,
    take,
)
from tb.nic.wire_work import read_wqe, send_wqe, write_wqe

SILENT = WqeFlag(0)
FENCED = WqeFlag.SIGNALED | WqeFlag.FENCE
WINDOW = (1 << 23) - 1


@cocotb.test()
@cocotb.parametrize(start=[0x100, 0, 0xFFFFFB, 0x7FFFFE])
@covers("ROCE-050", "ROCE-051", "ROCE-052", "ROCE-232")
async def sequence_numbers_count_packets_and_answers(dut: Any, start: int) -> None:
    """Messages of every kind in a row, and the responder too starts at this number."""
    wire = await Wire.start(dut)
    fill(wire)
    conn = await wire.connect(sq_psn=start, psn=start)
    due = start
    lengths = [(WrOp.WRITE, 700, 3), (WrOp.READ, 1000, 4), (WrOp.SEND, 0, 1), (WrOp.READ, 0, 1),
               (WrOp.WRITE, 512, 2), (WrOp.FETCH_ADD, 8, 1), (WrOp.WRITE, 1, 1)]  # fmt: skip
    for number, (op, length, count) in enumerate(lengths):
        if op is WrOp.FETCH_ADD:
            conn.post(atomic(conn, op, 0, 5, wr_id=number))
        elif op is WrOp.SEND:
            conn.post(send_wqe(conn, length, wr_id=number))
        else:
            conn.post(write_wqe(conn, length, op=op, wr_id=number))
        asks = op in (WrOp.READ, WrOp.FETCH_ADD)
        sent = await take(conn, 1 if asks else count)
        assert psns(sent) == [(due + n) & 0xFFFFFF for n in range(len(sent))], f"{op.name}"
        if op is WrOp.READ:
            respond_read(conn, due, bytes(length))
        elif op is WrOp.FETCH_ADD:
            respond_atomic(conn, due, 9)
        else:
            ack(conn, due + count - 1)
        await conn.completion(wr_id=number, status=0)
        due = due + count & 0xFFFFFF
    assert await rest(conn) == [], "something was sent again"
    conn.write(0, b"and the other way")
    await conn.ack(start)
    await conn.alive()


@cocotb.test()
@covers("ROCE-053")
async def never_half_of_the_numbers_are_outstanding(dut: Any) -> None:
    """Two READs of 2^22 numbers each: the second waits, and a short WRITE behind it as well.

    A READ of all 2^23 - 1 numbers may go; one that needs more is too long for the path MTU.
    """
    wire = await Wire.start(dut)
    half = await wire.connect()
    for number in range(2):
        half.post(read_wqe(half, 1 << 30, wr_id=number))
    half.post(write_wqe(half, 10, wr_id=2))
    (first,) = await rest(half, 1000)
    assert (first.bth.opcode, first.bth.psn) == (Op.READ_REQUEST, 0x100)
    ack(half, 0x100, syndrome=0x62)
    await half.completion(wr_id=0, status=CqeStatus.REM_ACCESS_ERR)
    for number in (1, 2):
        await half.completion(wr_id=number, status=CqeStatus.WR_FLUSH_ERR)

    whole = await wire.connect()
    whole.post(read_wqe(whole, (1 << 31) - 256, wr_id=5))
    whole.post(write_wqe(whole, 10, wr_id=6))
    (first,) = await rest(whole, 1000)
    assert first.reth is not None
    assert first.reth.length == WINDOW * 256

    more = await wire.connect()
    more.post(read_wqe(more, (1 << 31) - 255, wr_id=7))
    await more.completion(wr_id=7, status=CqeStatus.LOC_LEN_ERR)
    assert await rest(more) == []


@cocotb.test()
@covers("ROCE-054")
async def the_last_packet_of_every_message_asks(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    kinds = [WrOp.WRITE, WrOp.WRITE_IMM, WrOp.SEND, WrOp.SEND_IMM, WrOp.SEND_INV, WrOp.READ]
    for op in kinds:
        for length in (0, 1, 256, 257, 1000):
            conn.post(write_wqe(conn, length, op=op, flags=SILENT))
            count = 1 if op is WrOp.READ else max(1, -(-length // 256))
            sent = await take(conn, count)
            assert sent[-1].shape is not None
            assert sent[-1].shape.part.ends
            assert sent[-1].bth.ack_req, f"{op.name} of {length} bytes"
            first = sent[0].bth.psn
            if op is WrOp.READ:
                respond_read(conn, first, bytes(length))
            else:
                ack(conn, first + count - 1)
    for op in (WrOp.CMP_SWAP, WrOp.FETCH_ADD):
        conn.post(atomic(conn, op, 0, 1, flags=SILENT))
        (sent_one,) = await take(conn, 1)
        assert sent_one.bth.ack_req
        respond_atomic(conn, sent_one.bth.psn, 0)
    assert await rest(conn) == []


@cocotb.test()
@covers("ROCE-055")
async def a_long_message_asks_in_between(dut: Any) -> None:
    wire = await Wire.start(dut)
    for op in (WrOp.WRITE, WrOp.SEND):
        conn = await wire.connect()
        conn.post(write_wqe(conn, 1 << 16, op=op))
        sent = await take(conn, 256)
        asks = [n for n, packet in enumerate(sent) if packet.bth.ack_req]
        gaps = [b - a for a, b in zip([-1, *asks], asks, strict=False)]
        assert asks[-1] == 255
        assert max(gaps) <= 128, f"AckReq in packets {asks}"
        ack(conn, sent[-1].bth.psn)
        await conn.completion(status=0)


@cocotb.test()
@covers("ROCE-057", "ROCE-058")
async def reads_and_atomics_keep_to_their_limit(dut: Any) -> None:
    """With a limit of 1, 2 and 5: what is behind the limit waits, whatever it is."""
    wire = await Wire.start(dut)
    for limit in (1, 2, 5):
        conn = await wire.connect(reads=limit)
        total = 3 * limit
        for number in range(total):
            if number % 2:
                conn.post(atomic(conn, WrOp.FETCH_ADD, 64, 1, wr_id=number))
            else:
                conn.post(read_wqe(conn, 300, 0, wr_id=number))
        conn.post(write_wqe(conn, 10, wr_id=total))
        open_requests = await rest(conn)
        done = 0
        while done < total:
            assert len(open_requests) == min(limit, total - done), f"{len(open_requests)} are out"
            assert all(p.bth.opcode != Op.WRITE_ONLY for p in open_requests)
            request = open_requests.pop(0)
            if request.bth.opcode == Op.READ_REQUEST:
                respond_read(conn, request.bth.psn, bytes(300))
            else:
                respond_atomic(conn, request.bth.psn, 1)
            await conn.completion(wr_id=done, status=0)
            done += 1
            open_requests += await rest(conn)
            if open_requests and open_requests[-1].bth.opcode == Op.WRITE_ONLY:
                assert total - done <= limit, "the WRITE overtook a READ"
                break
        while done < total:
            request = open_requests.pop(0)
            if request.bth.opcode == Op.READ_REQUEST:
                respond_read(conn, request.bth.psn, bytes(300))
            else:
                respond_atomic(conn, request.bth.psn, 1)
            await conn.completion(wr_id=done, status=0)
            done += 1
        (last,) = open_requests or await take(conn, 1)
        ack(conn, last.bth.psn)
        await conn.completion(wr_id=total, status=0)


@cocotb.test()
@covers("ROCE-059")
async def a_fence_waits_for_reads_and_atomics(dut: Any) -> None:
    """And for nothing else: the WRITE before the READ is not acknowledged when the fence opens."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    conn.post(read_wqe(conn, 100, wr_id=1))
    conn.post(atomic(conn, WrOp.CMP_SWAP, 200, 1, wr_id=2))
    conn.post(write_wqe(conn, 10, wr_id=3))
    conn.post(write_wqe(conn, 20, wr_id=4, flags=FENCED))
    read, swap, write = await rest(conn, 1000)
    assert ops([read, swap, write]) == [Op.READ_REQUEST, Op.CMP_SWAP, Op.WRITE_ONLY]
    respond_read(conn, read.bth.psn, bytes(100))
    await conn.completion(wr_id=1, status=0)
    assert await rest(conn) == [], "the fence opened before the atomic was answered"
    respond_atomic(conn, swap.bth.psn, 0)
    await conn.completion(wr_id=2, status=0)
    fenced = await conn.next("the fenced WRITE")
    assert (fenced.bth.opcode, len(fenced.payload)) == (Op.WRITE_ONLY, 20)
    conn.no_completion()
    ack(conn, fenced.bth.psn)
    for number in (3, 4):
        await conn.completion(wr_id=number, status=0)


async def fast_region(conn: Conn, index: int, key: int, access: Access) -> int:
    """A fast-register region over the bench's memory, registered by work request; its token."""
    wire = conn.wire
    await wire.driver.must(
        AdminKey(opcode=AdminOp.REGISTER_KEY, number=index, key=key ^ 0xFF, kind=KeyKind.FAST_REG,
                 pd=1, length=len(wire.memory))
    )  # fmt: skip
    conn.wire.driver.post_send(conn.qp, fast_register(conn, index, key, access))
    await conn.completion(wr_id=900, status=0)
    return index << 8 | key


def fast_register(conn: Conn, index: int, key: int, access: Access) -> FastRegWqe:
    """The work request of that."""
    return FastRegWqe(
        opcode=WrOp.FAST_REG, flags=WqeFlag.SIGNALED, blocks=1, access=access, page_shift=12,
        direct=1, token=index << 8 | key, base=conn.wire.address, wr_id=900,
        pages=conn.wire.address, length=len(conn.wire.memory),
    )  # fmt: skip


@cocotb.test()
@covers("ROCE-060")
async def an_invalidation_waits_for_everything_before_it(dut: Any) -> None:
    """Until a WRITE before it is acknowledged the key works; what is behind it waits as well."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    token = await fast_region(conn, 20, 0x31, Access(0xF))
    conn.post(write_wqe(conn, 10, wr_id=1))
    invalidate = FastRegWqe(
        opcode=WrOp.LOCAL_INV, flags=WqeFlag.SIGNALED, blocks=1, token=token, wr_id=2
    )
    wire.driver.post_send(conn.qp, invalidate)
    conn.post(write_wqe(conn, 20, wr_id=3))
    (write,) = await rest(conn, 1000)
    conn.no_completion()
    conn.write(0x100, b"open", key=token)
    await conn.ack()
    ack(conn, write.bth.psn)
    await conn.completion(wr_id=1, status=0)
    await conn.completion(wr_id=2, status=0)
    behind = await conn.next("the WRITE behind it")
    ack(conn, behind.bth.psn)
    await conn.completion(wr_id=3, status=0)
    due = conn.psn
    conn.write(0x100, b"shut", key=token)
    await conn.nak(0x62, due)
    assert wire.memory[0x100:0x104] == b"open"


@cocotb.test()
@covers("ROCE-061", "ROCE-062")
async def completions_come_in_order_and_only_where_wanted(dut: Any) -> None:
    """Every third entry is silent; WRITEs are acknowledged by the answers to READs behind them."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    for number in range(12):
        flags = SILENT if number % 3 == 1 else WqeFlag.SIGNALED
        op = WrOp.READ if number % 4 == 3 else WrOp.WRITE
        conn.post(write_wqe(conn, 100 + number, op=op, wr_id=number, flags=flags))
    sent = await take(conn, 12)
    for packet in sent:
        if packet.bth.opcode == Op.READ_REQUEST:
            assert packet.reth is not None
            respond_read(conn, packet.bth.psn, bytes(packet.reth.length))
    for number in range(12):
        if number % 3 != 1:
            await conn.completion(wr_id=number, status=0)
    conn.no_completion()
    # A silent one that fails does complete.
    conn.post(write_wqe(conn, 10, wr_id=50, flags=SILENT))
    conn.post(write_wqe(conn, 10, wr_id=51, flags=SILENT))
    conn.post(write_wqe(conn, 10, wr_id=52, flags=SILENT))
    last = (await take(conn, 3))[1]
    ack(conn, last.bth.psn, syndrome=0x62)
    await conn.completion(wr_id=51, status=CqeStatus.REM_ACCESS_ERR)
    await conn.completion(wr_id=52, status=CqeStatus.WR_FLUSH_ERR)
    conn.no_completion()


@cocotb.test()
@covers("ROCE-063")
async def a_message_over_the_maximum_is_not_sent(dut: Any) -> None:
    """2^31 is the longest (1.1); one byte more ends with LOC_LEN_ERR."""
    wire = await Wire.start(dut)
    for op in (WrOp.SEND, WrOp.WRITE, WrOp.READ):
        conn = await wire.connect(mtu=5)
        wqe = write_wqe(conn, (1 << 31) + 1, op=op, wr_id=4)
        conn.post(wqe)
        await conn.completion(wr_id=4, status=CqeStatus.LOC_LEN_ERR)
        assert await rest(conn) == []
        await conn.dead()
    conn = await wire.connect(mtu=5)
    conn.post(read_wqe(conn, 1 << 31, wr_id=5))
    longest = await conn.next("a READ of 2^31 bytes")
    assert longest.reth is not None
    assert longest.reth.length == 1 << 31


@cocotb.test()
@covers("ROCE-064")
async def a_local_key_violation_is_not_sent(dut: Any) -> None:
    """What is wrong with the third piece of a message of four packets: its packet never leaves."""
    wire = await Wire.start(dut)
    fill(wire)
    other = await wire.driver.register(6, wire.region, pd=2)
    wrong: dict[str, dict[str, int]] = {
        "key byte": {"token": wire.token ^ 1}, "no such key": {"token": 0x00FF_F000},
        "protection domain": {"token": other}, "behind the end": {"addr": wire.address + 65530},
        "before the start": {"addr": wire.address - 4},
    }  # fmt: skip
    for what, fields in wrong.items():
        for op in (WrOp.SEND, WrOp.WRITE):
            conn = await wire.connect()
            good = conn.sge(0, 300)
            wqe, more = many(op, [good, good, replace(conn.sge(0, 200), **fields), good], wr_id=8)
            conn.post(wqe, more)
            conn.post(write_wqe(conn, 10, wr_id=9))
            await conn.completion(wr_id=8, status=CqeStatus.LOC_PROT_ERR)
            await conn.completion(wr_id=9, status=CqeStatus.WR_FLUSH_ERR)
            sent = await rest(conn)
            assert psns(sent) == [0x100, 0x101][: len(sent)], f"{what}: {sent}"
            await conn.dead()
    conn = await wire.connect()
    bad = replace(conn.sge(0, 0), token=1)
    wqe, more = many(WrOp.SEND, [conn.sge(0, 10), bad, conn.sge(10, 10)])
    conn.post(wqe, more)
    whole = await conn.next("a SEND with an empty piece of no key")
    assert whole.payload == wire.memory[:20]


@cocotb.test()
@covers("ROCE-065")
async def inline_data_stands_in_the_entry(dut: Any) -> None:
    """Up to the 224 bytes of an entry, by doorbell and by push; no key, no read of other memory."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    for length in (0, 1, 3, 32, 33, 96, 97, 160, 224):
        data = bytes((length + 7 * n) & 0xFF for n in range(length))
        for op in (WrOp.SEND, WrOp.WRITE):
            wqe, more = inline(op, data, wr_id=length)
            conn.post(wqe, more)
            packet = await conn.next("an inline message")
            assert packet.payload == data
            ack(conn, packet.bth.psn)
            await conn.completion(wr_id=length, status=0)
        if length <= 32:
            wqe, _ = inline(WrOp.WRITE, data, wr_id=length)
            wire.driver.push(conn.qp, wqe)
            packet = await conn.next("a pushed message")
            assert packet.payload == data
            ack(conn, packet.bth.psn)
            await conn.completion(wr_id=length, status=0)
    # The bytes are those at the time of posting, also when the packet is repeated.
    wqe, more = inline(WrOp.SEND, b"as it was", wr_id=1)
    conn.post(wqe, more)
    first = await conn.next("an inline message")
    ack(conn, first.bth.psn, syndrome=0x60)
    again = await conn.next("its repetition")
    assert (again.bth.psn, again.payload) == (first.bth.psn, b"as it was")


@cocotb.test()
@covers("ROCE-066")
async def requests_carry_the_p_key_and_the_peers_number(dut: Any) -> None:
    wire = await Wire.start(dut)
    for pkey in (0xFFFF, 0x8001, 0x7FFF, 0x9234):
        conn = await wire.connect(pkey=pkey)
        conn.post(write_wqe(conn, 600))
        conn.post(read_wqe(conn, 10))
        conn.post(send_wqe(conn, 10))
        sent = await take(conn, 5)
        assert {p.bth.p_key for p in sent} == {pkey}
        assert {p.bth.dest_qp for p in sent} == {conn.peer_qpn}


@cocotb.test()
@covers("ROCE-067", "ROCE-068")
async def credits_limit_the_requester_and_never_stop_it(dut: Any) -> None:
    """No credits in any acknowledge: one SEND at a time. Then no limit, told in between."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    conn.post(send_wqe(conn, 10, wr_id=0))
    ack(conn, (await conn.next("a SEND")).bth.psn, syndrome=0x00, msn=1)
    await conn.completion(wr_id=0, status=0)
    for number in range(1, 6):
        conn.post(send_wqe(conn, 10, wr_id=number))
    for number in range(1, 6):
        (packet,) = await rest(conn)
        ack(conn, packet.bth.psn, syndrome=0x00, msn=number + 1)
        await conn.completion(wr_id=number, status=0)
    # A WRITE needs no credit, and behind it a SEND waits.
    conn.post(write_wqe(conn, 10, wr_id=6))
    for number in range(10):
        conn.post(send_wqe(conn, 10, wr_id=7 + number))
    (packet,) = await rest(conn)
    # The newest acknowledge once more; its MSN is older, and that does not matter.
    ack(conn, packet.bth.psn - 1, syndrome=0x1F, msn=6)
    sent = await take(conn, 10)
    assert not await rest(conn)
    ack(conn, sent[-1].bth.psn, msn=17)
    for number in range(11):
        await conn.completion(wr_id=6 + number, status=0)
    assert await conn.query() == QpState.RTS


@cocotb.test()
@covers("ROCE-068")
async def credits_are_heeded_as_they_are_told(dut: Any) -> None:
    """Of a burst as many SENDs leave as the peer has receives; WRITEs and READs go beside them."""
    wire = await Wire.start(dut)
    conn = await wire.connect()
    conn.post(send_wqe(conn, 10, wr_id=0))
    ack(conn, (await conn.next("a SEND")).bth.psn, syndrome=0x05, msn=1)
    await conn.completion(wr_id=0, status=0)
    # Six receives; the WRITE takes none.
    for number in range(10):
        conn.post((write_wqe if number == 2 else send_wqe)(conn, 10, wr_id=1 + number))
    sent = await rest(conn)
    assert len(sent) == 7
    # Three of them have arrived, the WRITE among them, and six receives are posted.
    ack(conn, sent[2].bth.psn, syndrome=0x05, msn=4)
    assert len(await rest(conn)) == 2
    ack(conn, sent[2].bth.psn, syndrome=0x06, msn=4)
    (last,) = await rest(conn)
    ack(conn, last.bth.psn, syndrome=0x04, msn=11)
    for number in range(10):
        await conn.completion(wr_id=1 + number, status=0)
