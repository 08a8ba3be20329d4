"""Where recorded hosts do what the standard leaves free or asks otherwise, frame by frame.

Everything that is not listed here must come out of the adapter as it was recorded. A listed
deviation must really occur: one that changes nothing fails the replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tb.model.headers import NO_CREDIT_LIMIT, Aeth, Nak, Packet
from tb.model.opcodes import Op
from tb.nic.golden_station import Heard

Change = Callable[[Heard], Packet | None]


@dataclass(frozen=True, slots=True)
class Deviation:
    """What the adapter sends in place of some recorded frames; None for nothing."""

    reference: str  # section of the protocol digest
    why: str
    change: Change


def _unless(condition: Callable[[Heard], bool]) -> Change:
    return lambda heard: None if condition(heard) else heard.packet


def _frames(*numbers: int) -> Change:
    return _unless(lambda heard: heard.number in numbers)


def _syndrome(number: int, value: int) -> Change:
    def change(heard: Heard) -> Packet:
        packet = heard.packet
        if heard.number != number or packet.aeth is None:
            return packet
        return replace(packet, aeth=replace(packet.aeth, syndrome=value))

    return change


def _first_again(number: int, msn: int) -> Change:
    def change(heard: Heard) -> Packet:
        packet = heard.packet
        if heard.number != number:
            return packet
        bth = replace(packet.bth, opcode=Op.READ_RESPONSE_FIRST)
        return replace(packet, bth=bth, aeth=Aeth(NO_CREDIT_LIMIT, msn))

    return change


def _sequence_nak(heard: Heard) -> bool:
    aeth = heard.packet.aeth
    return aeth is not None and aeth.syndrome == Nak.SEQUENCE


ANSWERS: dict[str, Deviation] = {
    "loss_write_ack": Deviation(
        "4.6", "a duplicate is answered only when it has AckReq; rxe answers each",
        _frames(8, 13, 14, 15),
    ),
    "loss_write_nak": Deviation(
        "4.6", "a duplicate is answered only when it has AckReq; rxe answers each",
        _frames(12, 13),
    ),
    "rnr_retry_ok_v4": Deviation(
        "4.3", "no sequence NAK behind an RNR NAK; rxe sends one each time",
        _unless(_sequence_nak),
    ),
    "err_recv_too_small": Deviation(
        "4.8 row 21", "a SEND longer than its receive is an invalid request; rxe says 0x63",
        _syndrome(4, Nak.INVALID_REQUEST),
    ),
    "loss_read_resp_middle": Deviation(
        "3.9", "a repeated READ is answered from First again; rxe goes on with Middle",
        _first_again(8, msn=1),
    ),
}  # fmt: skip
"""Of the adapter in the place of a responder."""

REQUESTS: dict[str, Deviation] = {}
"""Of the adapter in the place of a requester."""

STATUS: dict[str, tuple[str, int]] = {
    "err_recv_too_small": ("4.8 row 21: LOC_LEN_ERR; rxe reports LOC_QP_OP_ERR", 1),
}
"""Completion status of the last receive, where it is another."""

ACK_REQ_FREE: dict[str, str] = {
    "write_64k_mtu256": "3.4: AckReq inside a message is the sender's choice (ROCE-055)",
}
"""Captures with packets inside a message whose AckReq is not compared."""

LEFT_OUT: dict[str, str] = {
    "atomic_write_flush_v4": "ATOMIC WRITE and FLUSH are not offered; the frames are replayed to"
    " see them refused",
    "cm_consumer_reject_v4": "no RC frames",
    "cm_no_listener_v4": "no RC frames",
    "ud_pingpong_v4": "no RC frames",
    "cm_dup_all": "the wire doubled CM messages; its one SEND is that of cm_lost_rtu",
}
"""Captures with nothing to replay on a reliable connection."""

NOT_ANSWERED: dict[str, str] = {
    **LEFT_OUT,
    "memory_windows": "needs windows of both types at the responder; memory windows come later",
    "timeout_retry_exceeded": "nothing arrives",
}
