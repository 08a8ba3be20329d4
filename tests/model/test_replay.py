"""Recorded Soft-RoCE traffic replayed through the model, which takes the place of either host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tb.model.headers import Nak, Packet
from tb.model.opcodes import Kind, Op
from tb.model.verbs import Status
from tests.model import golden
from tests.model.replay import Host, as_delivered, fixed, pattern

PLAIN = [
    "atomics_v4",
    "grh_fields_v6",
    "imm_inv_v4",
    "inline_sge",
    "link_local_gid",
    "many_writes",
    "psn_wrap",
    "read_64k_mtu4096",
    "read_sizes_mtu1024_v6",
    "read_sizes_mtu256_v4",
    "send_sizes_mtu1024_v6",
    "send_sizes_mtu256_v4",
    "two_qps",
    "write_64k_mtu256",
    "write_sizes_mtu1024_v4",
    "write_sizes_mtu4096_v6",
]
REFUSED = ["err_bad_rkey_write", "err_opcode_seq", "err_range_read", "rnr_exceeded"]
LOSSY = ["loss_send_middle", "loss_write_ack", "loss_write_nak"]


def _is_response(packet: Packet) -> bool:
    assert packet.shape
    return packet.shape.kind.is_response


def _answers(name: str) -> tuple[list[Packet], list[Packet], Host]:
    """What the model answers in the place of `b`, what `b` answered, and the model."""
    trace = golden.load(name)
    host = Host(trace, "b", ack_all_duplicates=True)
    ours: list[Packet] = []
    theirs: list[Packet] = []
    for sender, packet, arrived in as_delivered(trace):
        if sender == "b":
            theirs.append(packet)
        elif arrived:
            ours += host.peer.qps[packet.bth.dest_qp].receive(packet, 0)
    return ours, theirs, host


@pytest.mark.parametrize("name", PLAIN + REFUSED + LOSSY)
def test_responder_answers_as_recorded(name: str) -> None:
    ours, theirs, _ = _answers(name)
    assert theirs
    assert [fixed(p) for p in ours] == [fixed(p) for p in theirs]


def test_responder_starts_a_repeated_read_afresh() -> None:
    """The recorded host goes on with Middle; the standard starts with First again."""
    ours, theirs, _ = _answers("loss_read_resp_middle")
    assert [(p.bth.psn, p.payload) for p in ours] == [(p.bth.psn, p.payload) for p in theirs]
    changed = [(a.bth.opcode, b.bth.opcode) for a, b in zip(ours, theirs, strict=True) if
               a.bth.opcode != b.bth.opcode]  # fmt: skip
    assert changed == [(Op.READ_RESPONSE_FIRST, Op.READ_RESPONSE_MIDDLE)]


def test_responder_refuses_a_long_send_by_the_standard() -> None:
    """The recorded host says 0x63 where the standard wants 0x61."""
    ours, theirs, host = _answers("err_recv_too_small")
    (mine,), (other,) = ours, theirs
    assert mine.bth.psn == other.bth.psn
    assert mine.aeth == replace(other.aeth, syndrome=Nak.INVALID_REQUEST)  # type: ignore[type-var]
    assert host.qps["q"].completions[0].status is Status.LOC_LEN_ERR


def test_responder_replays_a_lost_atomic_answer() -> None:
    trace = golden.load("loss_atomic_ack")
    host = Host(trace, "b")
    ours, theirs = [], []
    for sender, packet, _ in as_delivered(trace):
        if sender == "b":
            theirs.append(packet)
            continue
        if packet.bth.psn == 0x100001:  # the recorded host resets the word before
            assert host.region.data[64:72] == (6).to_bytes(8, "little")
            host.region.data[64:72] = (1).to_bytes(8, "little")
        ours += host.peer.qps[17].receive(packet, 0)
    assert [fixed(p) for p in ours] == [fixed(p) for p in theirs]


def test_responder_enforces_windows_and_their_end() -> None:
    trace = golden.load("memory_windows")
    host = Host(trace, "b")
    ours, theirs, requests = [], [], 0
    for sender, packet, _ in as_delivered(trace):
        if sender == "b":
            theirs.append(packet)
            continue
        requests += 1
        if requests == 4:
            assert host.peer.memory.invalidate(0x8000263, 1, 17)
        ours += host.peer.qps[17].receive(packet, 0)
    assert [fixed(p) for p in ours] == [fixed(p) for p in theirs]


@pytest.mark.parametrize("name", [*PLAIN, *REFUSED, "loss_send_middle"])
def test_requester_asks_as_recorded(name: str) -> None:
    """Work is posted when the recorded host posts it; its peer's answers are the recorded ones."""
    trace = golden.load(name)
    host = Host(trace, "a", ack_every=66)
    ours: list[Packet] = []
    theirs: list[Packet] = []
    works = list(host.works)
    now = 0
    for sender, packet, arrived in as_delivered(trace):
        if sender == "a":
            # The wire changed this one after it was sent.
            changed = name == "err_opcode_seq" and packet.bth.opcode == Op.SEND_MIDDLE
            opcode = Op.WRITE_MIDDLE if changed else packet.bth.opcode
            theirs.append(replace(packet, bth=replace(packet.bth, opcode=opcode)))
            now = max(now, host.peer.next_deadline() or 0) if name == "rnr_exceeded" else now
            ours += _advance(host, now)
            while len(ours) < len(theirs) and works:
                queue, work = works.pop(0)
                ours += host.qps[queue].post_send(work, now)
        elif arrived:
            ours += host.peer.qps[packet.bth.dest_qp].receive(packet, now)
    # Two queues share the wire as they like.
    by_qp = sorted({p.bth.dest_qp for p in theirs})
    for qpn in by_qp:
        assert [fixed(p) for p in ours if p.bth.dest_qp == qpn] == [
            fixed(p) for p in theirs if p.bth.dest_qp == qpn
        ]
    _check_completions(host)


def _advance(host: Host, now: int) -> list[Packet]:
    return [p for qp in host.peer.qps.values() for p in qp.advance(now)]


def _check_completions(host: Host) -> None:
    recorded = [
        (int(w["wrid"], 0), int(w["status"].split("(")[0]))
        for w in host.trace.says("a", "< WC")
        if int(w["wrid"], 0) & 0x1000
    ]
    ours = [(c.wr_id, int(c.status)) for qp in host.qps.values() for c in qp.completions]
    assert ours[: len(recorded)] == recorded


def test_memory_pattern_is_the_recorded_one() -> None:
    trace = golden.load("read_64k_mtu4096")
    data = b"".join(p.payload for sender, p, _ in as_delivered(trace) if sender == "b")
    assert data == pattern(65536, 99)


def test_every_response_of_every_trace_is_recognised() -> None:
    kinds = {
        packet.shape.kind
        for name in PLAIN
        for _, packet, _ in as_delivered(golden.load(name))
        if packet.shape and _is_response(packet)
    }
    assert kinds == {Kind.ACK, Kind.READ_RESPONSE, Kind.ATOMIC_ACK}
