"""The reference peer as responder: requests that it refuses, and those it has seen."""

from __future__ import annotations

from typing import Any

import pytest

from tb.model.headers import Aeth, AtomicEth, Drop, Packet, Reth
from tb.model.opcodes import Op
from tb.model.verbs import (
    Access,
    EventKind,
    State,
    Status,
)
from tests.model.pair import (
    B_BASE,
    FLUSHED,
    PSN,
    Pair,
    statuses,
)


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
