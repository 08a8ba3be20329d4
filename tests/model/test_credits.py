"""End-to-end credits of the reference peer against the specification's words (1.8, 3.7, 3.8)."""

from __future__ import annotations

import pytest

from spec.wire import CREDITS as SPEC_TABLE
from tb.conformance import covers
from tb.model.credits import CREDITS, Credits, credit_code
from tb.model.headers import Aeth
from tb.model.packets import encode
from tb.model.verbs import SendWork, Status, WrOp
from tests.model.pair import Pair, replace, statuses

OK = Status.SUCCESS
SPACE = 1 << 24
SEND, WRITE = SendWork(WrOp.SEND, 1), SendWork(WrOp.WRITE, 1)
WRITE_IMM = SendWork(WrOp.WRITE, 1, imm=7)
# rocev2 1.8, column by column.
TABLE = """
    0 1 2 3 4 6 8 12  16 24 32 48 64 96 128 192  256 384 512 768 1024 1536 2048 3072
    4096 6144 8192 12288 16384 24576 32768
"""


def test_the_table_is_that_of_the_specification() -> None:
    assert list(CREDITS) == list(SPEC_TABLE) == [int(word) for word in TABLE.split()]


def test_a_code_is_that_of_the_largest_entry_not_greater() -> None:
    for free in range(40_000):
        code = credit_code(free)
        assert CREDITS[code] <= free
        assert code == 0x1E or CREDITS[code + 1] > free


def started(credits: Credits, works: list[SendWork]) -> int:
    """How many of them may start one after the other."""
    for number, work in enumerate(works):
        if not credits.allow(work):
            return number
        credits.start(work)
    return len(works)


@pytest.mark.parametrize("msn", [0, 7, SPACE - 3, SPACE - 1])
def test_one_message_beyond_the_limit_is_a_probe(msn: int) -> None:
    credits = Credits(honoured=True)
    credits.ssn, credits.lsn = msn, msn
    credits.told(Aeth(0x03, msn))
    assert started(credits, [SEND] * 9) == 4
    credits.told(Aeth(0x02, msn))
    assert started(credits, [SEND]) == 0, "an older limit is none"
    credits.told(Aeth(0x01, (msn + 4) % SPACE))
    assert started(credits, [SEND] * 9) == 2


def test_who_takes_no_receive_needs_no_credit_and_moves_the_limit() -> None:
    credits = Credits(honoured=True)
    credits.told(Aeth(0x01, 0))
    assert started(credits, [SEND, *[WRITE] * 5, WRITE_IMM, *[WRITE] * 5, SEND]) == 12


def test_the_code_without_a_number_removes_the_limit_until_the_next() -> None:
    credits = Credits(honoured=True)
    assert started(credits, [SEND] * 3) == 1
    credits.told(Aeth(0x1F, 0))
    assert started(credits, [SEND] * 100) == 100
    credits.told(Aeth(0x00, 2))
    assert started(credits, [SEND]) == 0


def run(count: int, **config: object) -> Pair:
    """So many SENDs and WRITEs to a receiver that posts two entries now and then."""
    pair = Pair(min_rnr_timer=14, **config)
    for number in range(count):
        pair.post(SendWork(WrOp.SEND, number, pair.here(8)))
        pair.post(SendWork(WrOp.WRITE, number, pair.here(8), **pair.there()))
    for number in range(count):
        if number % 2 == 0:
            pair.run(until=number * 20_000)
            pair.recv(8)
            pair.recv(8)
    pair.run()
    assert [status for _, status in statuses(pair.qa)] == [OK] * 2 * count
    return pair


def test_credits_spare_packets_and_nothing_hangs() -> None:
    wild = run(60)
    tame = run(60, real_credits=True, honour_credits=True)
    assert len(tame.sent("ab")) < 130, "hardly one is sent twice"
    assert len(wild.sent("ab")) > 200


@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True)])
def test_one_side_alone_does_no_harm(ours: bool, theirs: bool) -> None:
    run(20, honour_credits=ours, b={"real_credits": theirs})


@covers("ROCE-067")
def test_a_responder_without_receives_gets_one_probe() -> None:
    pair = Pair(real_credits=True, honour_credits=True, min_rnr_timer=14)
    for number in range(5):
        pair.post(SendWork(WrOp.SEND, number, pair.here(8)))
    pair.run(until=5_000_000)
    assert {p.bth.psn for p in pair.sent("ab")} == {pair.qa.config.sq_psn}
    for _ in range(5):
        pair.recv(8)
    pair.run()
    assert statuses(pair.qa) == [(number, OK) for number in range(5)]


def test_the_newest_acknowledge_once_more_may_bring_credits() -> None:
    """3.8, step 3: only its credits count; older ones do not count at all."""
    pair = Pair(real_credits=True, honour_credits=True, rnr_retry=7, min_rnr_timer=0)
    pair.recv(8)
    for number in range(4):
        pair.post(SendWork(WrOp.SEND, number, pair.here(8)))
    pair.run(until=100_000)
    assert statuses(pair.qa) == [(0, OK)]
    ack = next(p for p in pair.sent("ba") if p.aeth and not p.aeth.syndrome)
    pair.qa.requester.rnr_until = None  # not what this is about
    pair.qa.requester.pump(pair.now)
    old = replace(ack, bth=replace(ack.bth, psn=ack.bth.psn - 1), aeth=Aeth(0x05, 1))
    assert pair.a.receive(encode(old), pair.now) == []
    # MSN 1 and two receives: the third, and the fourth as a probe. The second was one before.
    again = replace(ack, aeth=Aeth(0x02, 1))
    assert len(pair.a.receive(encode(again), pair.now)) == 2
    assert statuses(pair.qa) == [(0, OK)]
