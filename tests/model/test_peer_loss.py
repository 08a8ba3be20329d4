"""The reference peer where packets are lost: what is sent again, and when it ends."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb.model.headers import Drop, Packet, Reth
from tb.model.opcodes import Op
from tb.model.packets import encode
from tb.model.requester import rnr_ns, timeout_ns
from tb.model.verbs import (
    SendWork,
    State,
    Status,
    WrOp,
)
from tests.model.pair import (
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


@pytest.mark.parametrize("lost", range(5))
def test_lost_write_packet_is_sent_again_from_there(lost: int) -> None:
    pair = Pair(pmtu=256)
    pair.verdict = lose("ab", lambda p: p.bth.psn == PSN + lost)
    pair.post(SendWork(WRITE, 1, pair.here(1200), **pair.there()))
    pair.post(SendWork(WRITE, 2, pair.here(8), **pair.there(4096)))
    pair.run()
    assert statuses(pair.qa) == [(1, OK), (2, OK)]
    assert pair.mb.data[:1200] == pair.ma.data[:1200]
    assert syndromes(pair).count(0x60) == 1
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
    assert syndromes(pair) == [0x20 | 14]
    pair.recv()
    pair.run()
    assert statuses(pair.qa) == [(1, OK)]
    assert pair.now >= rnr_ns(14)


def test_receiver_never_ready_ends_after_k_plus_1_naks() -> None:
    pair = Pair(rnr_retry=2)
    pair.post(SendWork(SEND, 1, pair.here(8)))
    pair.run()
    assert statuses(pair.qa) == [(1, Status.RNR_RETRY_EXC_ERR)]
    assert syndromes(pair) == [0x2C] * 3


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
    assert syndromes(pair) == [0x60]
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
