"""The reference peer: transfers, and what a host has besides them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tb.model.headers import Drop
from tb.model.opcodes import CNP, Op
from tb.model.packets import encode
from tb.model.verbs import (
    Access,
    EventKind,
    ReceiveQueue,
    SendWork,
    Sge,
    State,
    Status,
    WcOp,
    WrOp,
)
from tests.model.pair import (
    A_BASE,
    B_BASE,
    FLUSHED,
    OK,
    PSN,
    READ,
    SEND,
    WRITE,
    Pair,
    last,
    lose,
    statuses,
    syndromes,
)

SIZES = [0, 1, 2, 3, 4, 63, 255, 256, 257, 512, 773]


@pytest.mark.parametrize("pmtu", [256, 512, 1024, 2048, 4096])
@pytest.mark.parametrize("op", [SEND, WRITE, READ])
def test_every_size_arrives(op: WrOp, pmtu: int) -> None:
    pair = Pair(pmtu=pmtu)
    scale = pmtu // 256
    for number, size in enumerate(s * scale if s > 63 else s for s in SIZES):
        before = bytes(pair.ma.data)
        if op is SEND:
            pair.recv(size, wr_id=number)
        pair.post(SendWork(op, number, pair.here(size, 100), **pair.there()))
        pair.run()
        if op is READ:
            assert pair.ma.data[100 : 100 + size] == pair.mb.data[:size]
            assert pair.ma.data[:100] == before[:100]
            assert pair.ma.data[100 + size :] == before[100 + size :]
        else:
            assert pair.mb.data[:size] == before[100 : 100 + size]
        assert last(pair.qa).status is OK
        assert pair.qa.requester.una_psn == pair.qa.requester.next_psn == pair.qb.responder.epsn
        if op is SEND:
            assert (last(pair.qb).wr_id, last(pair.qb).byte_len) == (number, size)
    assert pair.qb.responder.msn == len(SIZES)
    assert pair.qa.requester.retransmitted == 0


def test_gather_and_scatter_lists() -> None:
    pair = Pair(pmtu=256)
    parts = [(0, 10), (500, 300), (2000, 0), (3000, 33)]
    sges = tuple(Sge(A_BASE + at, n, pair.ma.key) for at, n in parts)
    expected = b"".join(bytes(pair.ma.data[at : at + n]) for at, n in parts)
    pair.b.post_recv(18, _recv(pair, [(0, 100), (4096, 1), (8192, 500)]))
    pair.post(SendWork(SEND, 1, sges))
    pair.run()
    got = pair.mb.data[:100] + pair.mb.data[4096:4097] + pair.mb.data[8192 : 8192 + 242]
    assert got == expected
    pair.post(SendWork(READ, 2, sges, **pair.there(10000)))
    pair.run()
    read = b"".join(bytes(pair.ma.data[at : at + n]) for at, n in parts)
    assert read == pair.mb.data[10000 : 10000 + len(read)]
    assert last(pair.qa).byte_len == 343


def _recv(pair: Pair, parts: list[tuple[int, int]]) -> Any:
    from tb.model.verbs import RecvWork

    return RecvWork(9, tuple(Sge(B_BASE + at, n, pair.mb.key) for at, n in parts))


def test_immediate_solicited_and_invalidate() -> None:
    pair = Pair(pmtu=256)
    window = pair.b.memory.bind(pair.mb, B_BASE, 64, Access.REMOTE_WRITE, qpn=18)
    for n in range(3):
        pair.recv(1000, n)
    pair.post(SendWork(SEND, 1, pair.here(600), imm=0xCAFE, solicited=True))
    pair.post(SendWork(WRITE, 2, pair.here(300), imm=7, **pair.there(5000)))
    pair.post(SendWork(SEND, 3, pair.here(300), invalidate=window.key))
    pair.run()
    first, second, third = pair.qb.completions
    assert (first.imm, first.byte_len, first.solicited, first.op) == (0xCAFE, 600, True, WcOp.RECV)
    assert (second.imm, second.byte_len, second.op) == (7, 300, WcOp.RECV_WRITE_IMM)
    assert third.invalidated == window.key
    marked = [p.bth.opcode for p in pair.sent("ab") if p.bth.solicited]
    assert marked == [Op.SEND_LAST_IMM]
    pair.post(SendWork(WRITE, 4, pair.here(8), **pair.there(0, window.key)))
    pair.run()
    assert last(pair.qa).status is Status.REM_ACCESS_ERR


def test_atomics_return_the_old_value_and_wrap() -> None:
    pair = Pair()
    pair.mb.data[64:72] = (2**64 - 1).to_bytes(8, "little")
    pair.post(SendWork(WrOp.FETCH_ADD, 1, pair.here(8), swap_or_add=3, **pair.there(64)))
    pair.post(
        SendWork(WrOp.CMP_SWAP, 2, pair.here(8, 8), compare=2, swap_or_add=77, **pair.there(64))
    )
    pair.post(
        SendWork(WrOp.CMP_SWAP, 3, pair.here(8, 16), compare=2, swap_or_add=5, **pair.there(64))
    )
    pair.run()
    values = [int.from_bytes(pair.ma.data[i : i + 8], "little") for i in (0, 8, 16)]
    assert values == [2**64 - 1, 2, 77]
    assert int.from_bytes(pair.mb.data[64:72], "little") == 77
    assert [c.byte_len for c in pair.qa.completions] == [8, 8, 8]


def test_atomic_write_and_flush_are_answered_by_an_empty_read_response() -> None:
    pair = Pair(access=Access.ALL)
    pair.post(SendWork(WrOp.ATOMIC_WRITE, 1, inline=b"12345678", **pair.there(8)))
    pair.post(SendWork(WrOp.FLUSH, 2, flush_length=100, **pair.there()))
    pair.post(SendWork(WrOp.FLUSH, 3, selectivity=1, placement=2, **pair.there(1 << 20)))
    pair.run()
    assert pair.mb.data[8:16] == b"12345678"
    assert statuses(pair.qa) == [(1, OK), (2, OK), (3, OK)]
    assert pair.opcodes("ba") == [Op.READ_RESPONSE_ONLY] * 3


def test_psn_wraps() -> None:
    pair = Pair(pmtu=256, a_psn=0xFFFFFD, b_psn=0xFFFFFE)
    pair.recv(700)
    pair.post(SendWork(WRITE, 1, pair.here(1200), **pair.there()))
    pair.post(SendWork(SEND, 2, pair.here(700)))
    pair.post(SendWork(READ, 3, pair.here(1200, 4096), **pair.there()))
    pair.run()
    assert statuses(pair.qa) == [(1, OK), (2, OK), (3, OK)]
    assert pair.qa.requester.next_psn == 0xFFFFFD + 13 - (1 << 24)


def test_unsignaled_work_is_silent() -> None:
    pair = Pair()
    pair.post(SendWork(WRITE, 1, pair.here(8), signaled=False, **pair.there()))
    pair.post(SendWork(WRITE, 2, pair.here(8), **pair.there()))
    pair.run()
    assert statuses(pair.qa) == [(2, OK)]


def test_reads_keep_to_their_limit_and_later_work_waits() -> None:
    pair = Pair(max_rd_atomic=2)
    for n in range(5):
        pair.post(SendWork(READ, n, pair.here(8, n * 8), **pair.there(n * 8)))
    pair.post(SendWork(WRITE, 9, pair.here(8), **pair.there()))
    assert pair.opcodes("ab") == [Op.READ_REQUEST] * 2
    pair.run()
    assert [n for n, _ in statuses(pair.qa)] == [0, 1, 2, 3, 4, 9]


def test_fence_waits_for_reads() -> None:
    pair = Pair()
    pair.post(SendWork(READ, 1, pair.here(8), **pair.there()))
    pair.post(SendWork(WRITE, 2, pair.here(8), fence=True, **pair.there()))
    assert pair.opcodes("ab") == [Op.READ_REQUEST]
    pair.run()
    assert pair.opcodes("ab") == [Op.READ_REQUEST, Op.WRITE_ONLY]
    assert statuses(pair.qa) == [(1, OK), (2, OK)]


def test_window_closes_and_asks_for_an_ack() -> None:
    pair = Pair(pmtu=256, window=4)
    pair.post(SendWork(WRITE, 1, pair.here(256 * 10), **pair.there()))
    assert len(pair.sent("ab")) == 4
    pair.run()
    assert [p.bth.psn - PSN for p in pair.sent("ab") if p.bth.ack_req] == [3, 7, 9]
    assert statuses(pair.qa) == [(1, OK)]


def test_long_message_asks_for_acks_on_the_way() -> None:
    pair = Pair(pmtu=256)
    pair.post(SendWork(WRITE, 1, pair.here(65536), **pair.there()))
    pair.run()
    asked = [p.bth.psn - PSN for p in pair.sent("ab") if p.bth.ack_req]
    assert asked == [63, 127, 191, 255]


def test_drained_queue_starts_nothing_and_resumes() -> None:
    pair = Pair()
    pair.post(SendWork(WRITE, 1, pair.here(8), **pair.there()))
    pair.qa.modify(State.SQD, 0)
    pair.post(SendWork(WRITE, 2, pair.here(8), **pair.there()))
    pair.run()
    assert statuses(pair.qa) == [(1, OK)]
    assert [e.kind for e in pair.qa.events] == [EventKind.SQ_DRAINED]
    pair.send("ab", pair.a.frames(pair.qa.modify(State.RTS, pair.now)))
    pair.run()
    assert statuses(pair.qa) == [(1, OK), (2, OK)]


def test_frames_for_nobody_are_counted_by_reason() -> None:
    pair = Pair()
    frame = pair.qa.packet(Op.SEND_ONLY, PSN, payload=b"1234")
    other = replace(frame, bth=replace(frame.bth, dest_qp=99))
    uc = replace(frame, bth=replace(frame.bth, opcode=0x24))
    key = replace(frame, bth=replace(frame.bth, p_key=0x1234))
    source = replace(frame, path=replace(frame.path, src_ip=b"\x0a\0\0\x09"))
    for packet in (other, uc, key, source):
        assert pair.b.receive(encode(packet), 0) == []
    pair.qb.modify(State.INIT, 0)
    assert pair.b.receive(encode(frame), 0) == []
    assert pair.b.receive(encode(frame)[:-1] + b"\0", 0) == []
    assert pair.b.drops == {Drop.UNKNOWN_QP: 1, Drop.BAD_ICRC: 1}
    wanted = (Drop.WRONG_TRANSPORT, Drop.P_KEY, Drop.WRONG_ADDRESS, Drop.QP_STATE)
    assert pair.qb.drops == dict.fromkeys(wanted, 1)


def test_requests_in_rtr_are_answered_and_reported_once() -> None:
    pair = Pair()
    pair.qb.modify(State.RTR, 0)
    pair.recv()
    pair.recv()
    pair.post(SendWork(SEND, 1, pair.here(8)))
    pair.post(SendWork(SEND, 2, pair.here(8)))
    pair.run()
    assert statuses(pair.qa) == [(1, OK), (2, OK)]
    assert [e.kind for e in pair.qb.events] == [EventKind.COMM_EST]


def test_shared_receives_are_taken_in_order_and_not_flushed() -> None:
    pair = Pair()
    shared = ReceiveQueue(shared=True)
    pair.qb.rq = shared
    for n in range(3):
        pair.recv(100, n)
    pair.post(SendWork(SEND, 1, pair.here(8)))
    pair.run()
    pair.qb.modify(State.ERR, 0)
    assert statuses(pair.qb) == [(0, OK)]
    assert [w.wr_id for w in shared.works] == [1, 2]


def test_error_flushes_both_queues_in_order() -> None:
    pair = Pair()
    for n in range(3):
        pair.recv(100, n)
    pair.verdict = lose("ab", lambda p: True, count=100)
    for n in range(3):
        pair.post(SendWork(SEND, n, pair.here(8)))
    pair.qa.modify(State.ERR, 0)
    pair.qb.modify(State.ERR, 0)
    assert statuses(pair.qa) == statuses(pair.qb) == [(n, FLUSHED) for n in range(3)]
    pair.post(SendWork(SEND, 9, pair.here(8)))
    pair.recv(100, 9)
    assert statuses(pair.qa)[-1] == statuses(pair.qb)[-1] == (9, FLUSHED)


def test_local_fault_reports_in_turn_and_sends_nothing() -> None:
    pair = Pair()
    pair.post(SendWork(WRITE, 1, pair.here(8), **pair.there()))
    pair.post(SendWork(WRITE, 2, (Sge(0, 8, 0x999911),), **pair.there()))
    pair.post(SendWork(WRITE, 3, pair.here(8), **pair.there()))
    pair.run()
    assert statuses(pair.qa) == [(1, OK), (2, Status.LOC_PROT_ERR), (3, FLUSHED)]
    assert len(pair.sent("ab")) == 1


def test_congestion_is_answered_by_a_cnp_now_and_then() -> None:
    pair = Pair(cnp_interval_ns=50_000)
    pair.qa.config.path = replace(pair.qa.config.path, traffic_class=3)
    for n in range(4):
        pair.post(SendWork(WRITE, n, pair.here(8), **pair.there()))
    pair.run()
    assert pair.opcodes("ba").count(CNP) == 1
    assert pair.qa.cnps == 1
    assert statuses(pair.qa) == [(n, OK) for n in range(4)]


def test_credits_count_posted_receives() -> None:
    pair = Pair(real_credits=True)
    for n in range(6):
        pair.recv(100, n)
    pair.post(SendWork(SEND, 1, pair.here(8)))
    pair.run()
    assert syndromes(pair) == [4]  # five are left; the code for four is the nearest below
