"""The reference peer: transfers, losses, refusals, one rule of the protocol at a time."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb.model.headers import Aeth, AtomicEth, Drop, Packet, Reth
from tb.model.opcodes import CNP, Op
from tb.model.packets import encode
from tb.model.requester import rnr_ns, timeout_ns
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
from tests.model.pair import A_BASE, B_BASE, Pair, last, lose, statuses

SEND, WRITE, READ = WrOp.SEND, WrOp.WRITE, WrOp.READ
OK, FLUSHED = Status.SUCCESS, Status.WR_FLUSH_ERR
PSN = 0x100000
SIZES = [0, 1, 2, 3, 4, 63, 255, 256, 257, 512, 773]


def _syndromes(pair: Pair, way: str = "ba") -> list[int]:
    return [p.aeth.syndrome for p in pair.sent(way) if p.aeth]


# ---------------------------------------------------------------- transfers


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


# ---------------------------------------------------------------- loss


@pytest.mark.parametrize("lost", range(5))
def test_lost_write_packet_is_sent_again_from_there(lost: int) -> None:
    pair = Pair(pmtu=256)
    pair.verdict = lose("ab", lambda p: p.bth.psn == PSN + lost)
    pair.post(SendWork(WRITE, 1, pair.here(1200), **pair.there()))
    pair.post(SendWork(WRITE, 2, pair.here(8), **pair.there(4096)))
    pair.run()
    assert statuses(pair.qa) == [(1, OK), (2, OK)]
    assert pair.mb.data[:1200] == pair.ma.data[:1200]
    assert _syndromes(pair).count(0x60) == 1
    again = [p.bth.psn - PSN for p in pair.sent("ab")[6:]]
    assert again == list(range(lost, 6))
    first, second = pair.sent("ab")[lost], pair.sent("ab")[6]
    assert encode(replace(first, path=second.path)) == encode(second)


def test_lost_last_packet_is_found_by_the_timer() -> None:
    pair = Pair(timeout=10)
    pair.verdict = lose("ab", lambda p: True)
    pair.post(SendWork(WRITE, 1, pair.here(8), **pair.there()))
    pair.run()
    assert statuses(pair.qa) == [(1, OK)]
    assert pair.now >= (timeout_ns(10) or 0)


@pytest.mark.parametrize("lost", range(5))
def test_lost_read_response_is_asked_for_again(lost: int) -> None:
    pair = Pair(pmtu=256)
    pair.verdict = lose("ba", lambda p: p.bth.psn == PSN + lost)
    pair.post(SendWork(READ, 1, pair.here(1200), **pair.there(100)))
    pair.post(SendWork(WRITE, 2, pair.here(8), **pair.there(4096)))
    pair.run()
    assert statuses(pair.qa) == [(1, OK), (2, OK)]
    assert pair.ma.data[:1200] == pair.mb.data[100:1300]
    again = [p for p in pair.sent("ab") if p.bth.opcode == Op.READ_REQUEST][1]
    assert again.bth.psn == PSN + lost
    assert again.reth == Reth(B_BASE + 100 + 256 * lost, pair.mb.key, 1200 - 256 * lost)
    assert len([p for p in pair.sent("ab") if p.bth.opcode == Op.READ_REQUEST]) == 2


def test_lost_atomic_answer_is_replayed_and_not_repeated() -> None:
    pair = Pair(timeout=10)
    pair.mb.data[:8] = (5).to_bytes(8, "little")
    pair.verdict = lose("ba", lambda p: True)
    pair.post(SendWork(WrOp.FETCH_ADD, 1, pair.here(8), swap_or_add=1, **pair.there()))
    pair.run()
    assert pair.mb.data[:8] == (6).to_bytes(8, "little")
    assert pair.ma.data[:8] == (5).to_bytes(8, "little")
    assert statuses(pair.qa) == [(1, OK)]


@pytest.mark.parametrize("retries", [0, 1, 3, 7])
def test_silence_uses_up_the_retries(retries: int) -> None:
    pair = Pair(timeout=8, retry_cnt=retries)
    pair.verdict = lose("ab", lambda p: True, count=1000)
    pair.post(SendWork(WRITE, 1, pair.here(8), **pair.there()))
    pair.post(SendWork(WRITE, 2, pair.here(8), **pair.there()))
    pair.run()
    assert statuses(pair.qa) == [(1, Status.RETRY_EXC_ERR), (2, FLUSHED)]
    assert len(pair.sent("ab")) == 2 * (1 + retries)
    assert pair.qa.state is State.ERR


def test_receiver_not_ready_waits_and_succeeds() -> None:
    pair = Pair(min_rnr_timer=14)
    pair.post(SendWork(SEND, 1, pair.here(8)))
    pair.run(until=500_000)
    assert _syndromes(pair) == [0x20 | 14]
    pair.recv()
    pair.run()
    assert statuses(pair.qa) == [(1, OK)]
    assert pair.now >= rnr_ns(14)


def test_receiver_never_ready_ends_after_k_plus_1_naks() -> None:
    pair = Pair(rnr_retry=2)
    pair.post(SendWork(SEND, 1, pair.here(8)))
    pair.run()
    assert statuses(pair.qa) == [(1, Status.RNR_RETRY_EXC_ERR)]
    assert _syndromes(pair) == [0x2C] * 3


def test_write_with_immediate_waits_at_its_last_packet() -> None:
    pair = Pair(pmtu=256)
    pair.post(SendWork(WRITE, 1, pair.here(600), imm=3, **pair.there()))
    pair.run(until=100_000)
    assert [p.bth.psn - PSN for p in pair.sent("ba")] == [2]
    pair.recv(0)
    pair.run()
    assert last(pair.qb).byte_len == 600
    assert pair.opcodes("ab")[3:] == [Op.WRITE_LAST_IMM]


def test_burst_behind_a_gap_gets_one_nak() -> None:
    pair = Pair(pmtu=256)
    pair.verdict = lose("ab", lambda p: p.bth.psn == PSN)
    pair.post(SendWork(WRITE, 1, pair.here(5000), **pair.there()))
    pair.run(until=1500)
    assert _syndromes(pair) == [0x60]
    assert pair.sent("ba")[0].bth.psn == PSN
    assert pair.qb.drops[Drop.OUT_OF_ORDER] == 18


def test_ack_of_a_later_request_is_a_nak_of_the_read() -> None:
    pair = Pair()
    pair.verdict = lose("ba", lambda p: p.bth.opcode == Op.READ_RESPONSE_ONLY)
    pair.post(SendWork(READ, 1, pair.here(8), **pair.there()))
    for n in range(2, 6):
        pair.post(SendWork(WRITE, n, pair.here(8, 100), **pair.there(100)))
    pair.run()
    assert [n for n, _ in statuses(pair.qa)] == [1, 2, 3, 4, 5]
    assert pair.opcodes("ab").count(Op.READ_REQUEST) == 2
    assert pair.qa.drops[Drop.RESPONSE_OUT_OF_ORDER] == 3


def test_coalesced_acks_complete_everything() -> None:
    pair = Pair(ack_delay_ns=5000)
    for n in range(10):
        pair.post(SendWork(WRITE, n, pair.here(8), **pair.there()))
    pair.run()
    assert statuses(pair.qa) == [(n, OK) for n in range(10)]
    assert len(pair.sent("ba")) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([256, 1024]), st.sampled_from([0, 3000]))
def test_random_work_survives_a_bad_wire(seed: int, pmtu: int, delay: int) -> None:
    """Every message completes once, in order, with the right bytes, both ways, whatever is lost."""
    rng = random.Random(seed)
    pair = Pair(pmtu=pmtu, timeout=12, retry_cnt=7, min_rnr_timer=1, ack_delay_ns=delay)
    budget = 60

    def verdict(way: str, packet: Packet) -> list[Packet] | None:
        nonlocal budget
        if budget == 0 or rng.random() > 0.15:
            return None
        budget -= 1
        fate = rng.randrange(4)
        if fate == 0:
            return []
        if fate == 1:
            return [packet, packet]
        if fate == 2:
            pair.inject(way, encode(packet), late=rng.randrange(20_000))
            return []
        pair.inject(way, encode(packet)[:-1] + b"\0", late=10)  # most likely a bad ICRC
        return []

    pair.verdict = verdict
    counter = 0
    pair.mb.data[:8] = bytes(8)
    for n in range(12):
        size = rng.choice([0, 1, 8, pmtu, pmtu + 1, 3 * pmtu])
        kind = rng.choice([SEND, WRITE, READ, WrOp.FETCH_ADD])
        at = 4096 * (1 + n % 8)
        if kind is SEND:
            pair.recv(size, 100 + n, at)
        if kind is WrOp.FETCH_ADD:
            counter += 1
            pair.post(SendWork(kind, n, pair.here(8, at), swap_or_add=1, **pair.there()))
        else:
            pair.post(SendWork(kind, n, pair.here(size, at), **pair.there(at)))
        if rng.random() < 0.3:
            pair.run(pair.now + 5000)
    pair.run()
    assert statuses(pair.qa) == [(n, OK) for n in range(12)]
    assert int.from_bytes(pair.mb.data[:8], "little") == counter
    assert all(c.status is OK for c in pair.qb.completions)
    numbers = [c.wr_id for c in pair.qb.completions]
    assert numbers == sorted(set(numbers))
    assert pair.qb.responder.msn == 12
    assert pair.qa.requester.next_psn == pair.qb.responder.epsn


# ---------------------------------------------------------------- refusals by the responder


class Stranger:
    """A requester that breaks rules: its packets are built by hand."""

    def __init__(self, **config: Any) -> None:
        self.pair = Pair(**{"pmtu": 256, "access": Access.ALL, **config})
        self.mb = self.pair.mb

    def ask(self, *packets: tuple[int, dict[str, Any]], psn: int = PSN) -> list[Packet]:
        out: list[Packet] = []
        for n, (op, fields) in enumerate(packets):
            packet = self.pair.qa.packet(op, psn + n, **{"ack_req": True, **fields})
            out += self.pair.qb.receive(packet, 0)
        return out

    def reth(self, length: int, at: int = 0, key: int | None = None) -> Reth:
        return Reth(B_BASE + at, self.mb.key if key is None else key, length)


def _expect(stranger: Stranger, answers: list[Packet], syndrome: int, psn: int) -> None:
    aeth = answers[-1].aeth
    assert aeth
    assert (aeth.syndrome, answers[-1].bth.psn - PSN) == (syndrome, psn)
    assert stranger.pair.qb.state is State.ERR


P = bytes(256)
SEQUENCES: dict[str, list[int]] = {
    "middle_without_first": [Op.SEND_MIDDLE],
    "last_without_first": [Op.WRITE_LAST],
    "first_in_a_send": [Op.SEND_FIRST, Op.SEND_FIRST],
    "only_in_a_send": [Op.SEND_FIRST, Op.SEND_ONLY],
    "write_middle_in_a_send": [Op.SEND_FIRST, Op.WRITE_MIDDLE],
    "send_middle_in_a_write": [Op.WRITE_FIRST, Op.SEND_MIDDLE],
    "read_in_a_write": [Op.WRITE_FIRST, Op.READ_REQUEST],
    "reserved_15": [0x15],
    "reserved_18": [0x18],
    "reserved_1f": [0x1F],
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_illegal_sequence_is_refused(name: str) -> None:
    stranger = Stranger()
    stranger.pair.recv(4096, wr_id=5)
    packets: list[tuple[int, dict[str, Any]]] = []
    for op in SEQUENCES[name]:
        fields: dict[str, Any] = {"payload": P}
        if op in (Op.WRITE_FIRST, Op.READ_REQUEST):
            fields["reth"] = stranger.reth(512)
        if op == Op.READ_REQUEST:
            fields["payload"] = b""
        packets.append((op, fields))
    answers = stranger.ask(*packets)
    _expect(stranger, answers, 0x61, len(packets) - 1)
    in_use = SEQUENCES[name][0] == Op.SEND_FIRST
    expected = [(5, Status.REM_INV_REQ_ERR if in_use else FLUSHED)]
    assert statuses(stranger.pair.qb) == expected
    assert bool(stranger.pair.qb.events) is not in_use


def _length_cases(s: Stranger) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    send, write = Op.SEND_FIRST, Op.WRITE_FIRST
    return {
        "short_first": [(send, {"payload": P[:-4]})],
        "long_first": [(send, {"payload": P + P})],
        "short_middle": [(send, {"payload": P}), (Op.SEND_MIDDLE, {"payload": P[:8]})],
        "empty_last": [(send, {"payload": P}), (Op.SEND_LAST, {})],
        "long_last": [(send, {"payload": P}), (Op.SEND_LAST, {"payload": P + b"1234"})],
        "long_only": [(Op.SEND_ONLY, {"payload": P + b"1"})],
        "write_too_little": [
            (write, {"payload": P, "reth": s.reth(300)}),
            (Op.WRITE_LAST, {"payload": P[:40]}),
        ],
        "write_too_much": [
            (write, {"payload": P, "reth": s.reth(300)}),
            (Op.WRITE_LAST, {"payload": P[:48]}),
        ],
        "write_only_mismatch": [(Op.WRITE_ONLY, {"payload": P[:8], "reth": s.reth(12)})],
        "write_huge": [(write, {"payload": P, "reth": s.reth((1 << 31) + 1)})],
        "read_huge": [(Op.READ_REQUEST, {"reth": s.reth((1 << 31) + 1)})],
        "read_with_payload": [(Op.READ_REQUEST, {"reth": s.reth(8), "payload": b"12345678"})],
        "atomic_misaligned": [(Op.FETCH_ADD, {"atomic_eth": AtomicEth(B_BASE + 4, 0, 1)})],
        "atomic_write_misaligned": [
            (Op.ATOMIC_WRITE, {"reth": s.reth(8, 4), "payload": b"12345678"})
        ],
        "atomic_write_short": [(Op.ATOMIC_WRITE, {"reth": s.reth(4), "payload": b"1234"})],
    }


@pytest.mark.parametrize("name", _length_cases(Stranger()))
def test_wrong_length_is_refused(name: str) -> None:
    stranger = Stranger()
    stranger.pair.recv(4096, wr_id=5)
    packets = _length_cases(stranger)[name]
    answers = stranger.ask(*packets)
    _expect(stranger, answers, 0x61, len(packets) - 1)
    sends = packets[0][0] in (Op.SEND_FIRST, Op.SEND_ONLY)
    assert statuses(stranger.pair.qb) == [(5, Status.LOC_LEN_ERR if sends else FLUSHED)]


def test_send_longer_than_its_receive_is_refused_where_it_overflows() -> None:
    stranger = Stranger()
    stranger.pair.recv(300, wr_id=5)
    before = bytes(stranger.mb.data)
    first, middle = (Op.SEND_FIRST, {"payload": P}), (Op.SEND_MIDDLE, {"payload": P})
    _expect(stranger, stranger.ask(first, middle), 0x61, 1)
    assert statuses(stranger.pair.qb) == [(5, Status.LOC_LEN_ERR)]
    assert stranger.mb.data[256:] == before[256:]


KEYS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "unknown_key": (Op.WRITE_ONLY, {"key": 0x999911}, {}),
    "wrong_variant": (Op.WRITE_ONLY, {"variant": True}, {}),
    "past_the_end": (Op.WRITE_ONLY, {"at": 65536 - 7}, {}),
    "before_the_start": (Op.WRITE_ONLY, {"at": -1}, {}),
    "wraps_around": (Op.WRITE_ONLY, {"at": 2**64 - 4 - B_BASE}, {}),
    "read_unknown_key": (Op.READ_REQUEST, {"key": 0x999911}, {}),
    "no_write_right": (Op.WRITE_ONLY, {}, {"access": Access.REMOTE_READ}),
    "no_read_right": (Op.READ_REQUEST, {}, {"access": Access.REMOTE_WRITE}),
    "other_domain": (Op.WRITE_ONLY, {}, {"pd": 2}),
    "invalid": (Op.WRITE_ONLY, {}, {"valid": False}),
}


@pytest.mark.parametrize("name", KEYS)
def test_key_that_does_not_allow_it_is_refused(name: str) -> None:
    op, where, region = KEYS[name]
    stranger = Stranger()
    for field, value in region.items():
        setattr(stranger.mb, field, value)
    where = dict(where)
    if where.pop("variant", False):
        where["key"] = stranger.mb.key ^ 1
    before = bytes(stranger.mb.data)
    payload = b"" if op == Op.READ_REQUEST else b"12345678"
    answers = stranger.ask((op, {"reth": stranger.reth(8, **where), "payload": payload}))
    _expect(stranger, answers, 0x62, 0)
    assert stranger.mb.data == before
    assert stranger.pair.qb.events[0].kind is EventKind.QP_ACCESS_ERR


def test_zero_length_needs_no_key() -> None:
    stranger = Stranger()
    reth = Reth(12345, 0xDEADBEEF, 0)
    answers = stranger.ask((Op.WRITE_ONLY, {"reth": reth}), (Op.READ_REQUEST, {"reth": reth}))
    assert [p.bth.opcode for p in answers] == [Op.ACK, Op.READ_RESPONSE_ONLY]


@pytest.mark.parametrize("op", [Op.WRITE_ONLY, Op.READ_REQUEST, Op.CMP_SWAP, Op.FLUSH])
def test_operation_that_the_queue_pair_forbids_is_refused(op: Op) -> None:
    from tb.model.headers import Feth

    stranger = Stranger(access=Access.NONE)
    fields: dict[str, Any] = {"reth": stranger.reth(0)}
    if op is Op.CMP_SWAP:
        fields = {"atomic_eth": AtomicEth(B_BASE, stranger.mb.key, 1)}
    if op is Op.FLUSH:
        fields["feth"] = Feth(1, 0)
    _expect(stranger, stranger.ask((op, fields)), 0x61, 0)


def test_no_read_resources_refuses_reads() -> None:
    stranger = Stranger(max_dest_rd_atomic=0)
    _expect(stranger, stranger.ask((Op.READ_REQUEST, {"reth": stranger.reth(8)})), 0x61, 0)


def test_bad_receive_buffer_is_a_remote_operation_error() -> None:
    stranger = Stranger()
    stranger.pair.recv(100, wr_id=5)
    stranger.mb.access &= ~Access.LOCAL_WRITE
    _expect(stranger, stranger.ask((Op.SEND_ONLY, {"payload": b"1234"})), 0x63, 0)
    assert statuses(stranger.pair.qb) == [(5, Status.LOC_PROT_ERR)]


def test_key_that_cannot_be_invalidated_ends_the_connection_with_an_ack() -> None:
    stranger = Stranger()
    stranger.pair.recv(100, wr_id=5)
    fields = {"payload": b"1234", "ieth": stranger.mb.key}
    answers = stranger.ask((Op.SEND_ONLY_INV, fields))
    assert [(p.aeth.syndrome, p.aeth.msn) for p in answers if p.aeth] == [(0x1F, 0)]
    assert statuses(stranger.pair.qb) == [(5, Status.REM_INV_REQ_ERR)]
    assert stranger.pair.qb.state is State.ERR


# ---------------------------------------------------------------- duplicates


def test_duplicate_write_is_acknowledged_and_not_done() -> None:
    stranger = Stranger()
    write = (Op.WRITE_ONLY, {"payload": b"12345678", "reth": stranger.reth(8)})
    stranger.ask(write, write)
    stranger.mb.data[:8] = bytes(8)
    (ack,) = stranger.ask(write)
    assert ack.bth.psn == PSN + 1
    assert ack.aeth == Aeth(0x1F, 2)
    assert stranger.mb.data[:8] == bytes(8)
    silent = (write[0], {**write[1], "ack_req": False})
    assert stranger.ask(silent) == []


def test_duplicate_read_is_answered_again_from_memory_if_it_matches() -> None:
    stranger = Stranger()
    read = (Op.READ_REQUEST, {"reth": stranger.reth(600)})
    assert len(stranger.ask(read)) == 3
    stranger.mb.data[256:260] = b"new!"
    again = (Op.READ_REQUEST, {"reth": stranger.reth(344, 256)})
    first, second = stranger.ask(again, psn=PSN + 1)
    assert (first.bth.opcode, second.bth.opcode) == (Op.READ_RESPONSE_FIRST, Op.READ_RESPONSE_LAST)
    assert first.payload[:4] == b"new!"
    assert first.aeth == Aeth(0x1F, 1)
    for bad in (stranger.reth(344, 252), stranger.reth(340, 256), Reth(B_BASE + 256, 1, 344)):
        assert stranger.ask((Op.READ_REQUEST, {"reth": bad}), psn=PSN + 1) == []
    assert stranger.pair.qb.drops[Drop.STALE] == 3


def test_duplicate_read_whose_key_is_gone_is_dropped() -> None:
    stranger = Stranger()
    read = (Op.READ_REQUEST, {"reth": stranger.reth(600)})
    assert len(stranger.ask(read)) == 3
    stranger.pair.qb.memory.deregister(stranger.mb.key)
    assert stranger.ask(read, psn=PSN) == []
    assert stranger.pair.qb.drops[Drop.STALE] == 1
    assert stranger.pair.qb.state is State.RTS
    (nak,) = stranger.ask(read, psn=PSN + 3)
    assert nak.aeth == Aeth(0x62, 1)


def test_forgotten_atomic_is_dropped() -> None:
    stranger = Stranger(max_dest_rd_atomic=2)
    atomic = (Op.FETCH_ADD, {"atomic_eth": AtomicEth(B_BASE, stranger.mb.key, 1)})
    stranger.mb.data[:8] = bytes(8)
    stranger.ask(atomic, atomic, atomic)
    assert stranger.ask(atomic) == []
    (answer,) = stranger.ask(atomic, psn=PSN + 2)
    assert answer.atomic_ack == 2
    assert stranger.mb.data[0] == 3


def test_half_of_the_psn_space_is_old() -> None:
    stranger = Stranger()
    write = (Op.WRITE_ONLY, {"reth": Reth(0, 0, 0)})
    assert len(stranger.ask(write, psn=PSN - (1 << 23))) == 1
    (nak,) = stranger.ask(write, psn=PSN + (1 << 23) - 1)
    assert nak.aeth == Aeth(0x60, 0)


# ---------------------------------------------------------------- responses that break rules


def _answer(pair: Pair, op: int, psn: int, **fields: Any) -> None:
    frame = encode(pair.qb.packet(op, PSN + psn, **fields))
    pair.send("ab", pair.a.receive(frame, pair.now))


def _reading(pmtu: int = 256, size: int = 600) -> Pair:
    pair = Pair(pmtu=pmtu)
    pair.verdict = lose("ab", lambda p: True, count=1000)
    pair.post(SendWork(READ, 1, pair.here(size), **pair.there()))
    return pair


def test_ghosts_change_nothing() -> None:
    pair = _reading()
    for psn in (-1, -5, 3, 100):
        _answer(pair, Op.ACK, psn, aeth=Aeth(0x1F, 1))
    assert pair.qa.drops[Drop.GHOST] == 4
    assert pair.qa.completions == []


@pytest.mark.parametrize("syndrome", [0x40, 0x5F, 0x64, 0x7F, 0x80, 0xE0])
def test_reserved_syndromes_are_dropped(syndrome: int) -> None:
    pair = _reading()
    _answer(pair, Op.ACK, 0, aeth=Aeth(syndrome, 1))
    assert pair.qa.drops[Drop.AETH] == 1
    assert pair.qa.completions == []


def test_wrong_read_responses_end_the_connection() -> None:
    aeth = Aeth(0x1F, 1)
    cases: list[tuple[list[tuple[int, dict[str, Any]]], Status]] = [
        ([(Op.READ_RESPONSE_ONLY, {"aeth": aeth, "payload": P})], Status.BAD_RESP_ERR),
        ([(Op.READ_RESPONSE_MIDDLE, {"payload": P})], Status.BAD_RESP_ERR),
        ([(Op.ATOMIC_ACK, {"aeth": aeth, "atomic_ack": 1})], Status.BAD_RESP_ERR),
        ([(Op.READ_RESPONSE_FIRST, {"aeth": aeth, "payload": P[:8]})], Status.LOC_LEN_ERR),
        ([(Op.READ_RESPONSE_FIRST, {"aeth": Aeth(0x61, 1), "payload": P})], Status.BAD_RESP_ERR),
    ]
    for answers, status in cases:
        pair = _reading()
        for n, (op, fields) in enumerate(answers):
            _answer(pair, op, n, **fields)
        assert statuses(pair.qa) == [(1, status)]


def test_rxe_style_answers_to_a_repeated_read_are_taken() -> None:
    pair = _reading(size=1000)
    _answer(pair, Op.READ_RESPONSE_FIRST, 0, aeth=Aeth(0x1F, 1), payload=b"a" * 256)
    _answer(pair, Op.READ_RESPONSE_LAST, 3, aeth=Aeth(0x1F, 1), payload=b"d" * 232)
    assert pair.sent("ab")[-1].bth.psn == PSN + 1
    _answer(pair, Op.READ_RESPONSE_MIDDLE, 1, payload=b"b" * 256)
    _answer(pair, Op.READ_RESPONSE_MIDDLE, 2, payload=b"c" * 256)
    _answer(pair, Op.READ_RESPONSE_LAST, 3, aeth=Aeth(0x1F, 1), payload=b"d" * 232)
    assert statuses(pair.qa) == [(1, OK)]
    assert pair.ma.data[:1000] == b"a" * 256 + b"b" * 256 + b"c" * 256 + b"d" * 232


@pytest.mark.parametrize("psn", [0, 1, 2])
def test_access_error_inside_a_read_fails_it(psn: int) -> None:
    pair = _reading()
    _answer(pair, Op.ACK, psn, aeth=Aeth(0x62, 1))
    assert statuses(pair.qa) == [(1, Status.REM_ACCESS_ERR)]


def test_sequence_nak_does_not_cut_the_rnr_wait() -> None:
    pair = Pair(min_rnr_timer=14)
    pair.post(SendWork(SEND, 1, pair.here(8)))
    pair.run(until=2000)
    assert _syndromes(pair) == [0x2E]
    _answer(pair, Op.ACK, 0, aeth=Aeth(0x60, 0))
    assert len(pair.sent("ab")) == 1
    assert pair.qa.requester.retries == 7


# ---------------------------------------------------------------- the rest of the host


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
    assert _syndromes(pair) == [4]  # five are left; the code for four is the nearest below
