"""The reference peer as requester: responses that break rules."""

from __future__ import annotations

from typing import Any

import pytest

from tb.model.headers import Aeth, Drop
from tb.model.opcodes import Op
from tb.model.packets import encode
from tb.model.verbs import (
    SendWork,
    Status,
)
from tests.model.pair import (
    OK,
    PSN,
    READ,
    SEND,
    Pair,
    lose,
    statuses,
    syndromes,
)

P = bytes(256)


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
    assert syndromes(pair) == [0x2E]
    _answer(pair, Op.ACK, 0, aeth=Aeth(0x60, 0))
    assert len(pair.sent("ab")) == 1
    assert pair.qa.requester.retries == 7
