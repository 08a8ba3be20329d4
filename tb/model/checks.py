"""What a responder checks of a request, in order, before it touches memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb.model.headers import Nak, Packet
from tb.model.opcodes import Kind, Part, Shape
from tb.model.verbs import MAX_MESSAGE, Access, EventKind, Status

if TYPE_CHECKING:
    from tb.model.qp import QpConfig


class Refused(Exception):
    """A request that ends the connection: NAK, status for a receive in use, event otherwise."""

    def __init__(self, nak: Nak, status: Status, event: EventKind = EventKind.QP_REQ_ERR) -> None:
        super().__init__(nak.name)
        self.nak, self.status, self.event = nak, status, event


_RIGHTS = {
    Kind.WRITE: Access.REMOTE_WRITE,
    Kind.ATOMIC_WRITE: Access.REMOTE_WRITE,
    Kind.READ: Access.REMOTE_READ,
    Kind.ATOMIC: Access.REMOTE_ATOMIC,
}


def check_opcode(packet: Packet, running: Kind | None, config: QpConfig) -> Shape:
    """The packet's row of the opcode table, if it is legal here and the queue pair allows it."""
    shape = packet.shape
    bad = Refused(Nak.INVALID_REQUEST, Status.REM_INV_REQ_ERR)
    if shape is None:
        raise bad
    in_sequence = shape.part.starts if running is None else (
        shape.kind is running and not shape.part.starts
    )  # fmt: skip
    if not in_sequence:
        raise bad
    if _RIGHTS.get(shape.kind, Access.NONE) & ~config.access:
        raise bad
    if shape.kind is Kind.FLUSH and not _flush_right(packet, config.access):
        raise bad
    if shape.kind.owes_data and config.max_dest_rd_atomic == 0:
        raise bad
    return shape


def _flush_right(packet: Packet, access: Access) -> bool:
    assert packet.feth
    return packet.feth.placement in (1, 2, 3) and not flush_access(packet) & ~access


def flush_access(packet: Packet) -> Access:
    """The rights that a FLUSH needs."""
    assert packet.feth
    need = Access.FLUSH_GLOBAL if packet.feth.placement & 1 else Access.NONE
    return need | (Access.FLUSH_PERSISTENT if packet.feth.placement & 2 else Access.NONE)


def check_length(packet: Packet, shape: Shape, pmtu: int, room: int, left: int) -> None:
    """Payload, lengths and alignment.

    A SEND may use the `room` that its receive has; a WRITE in progress must bring `left` bytes.
    """
    size = len(packet.payload)
    if shape.kind in (Kind.READ, Kind.ATOMIC, Kind.FLUSH):
        good = size == 0
    elif shape.kind is Kind.ATOMIC_WRITE:
        good = size == 8 and packet.reth is not None and packet.reth.length == 8
    elif shape.part in (Part.FIRST, Part.MIDDLE):
        good = size == pmtu
    else:
        good = (shape.part is Part.ONLY or size > 0) and size <= pmtu
    if packet.reth and packet.reth.length > MAX_MESSAGE and shape.kind is not Kind.FLUSH:
        good = False
    if shape.kind is Kind.SEND:
        good = good and size <= room
    if shape.kind is Kind.WRITE:
        left = packet.reth.length if packet.reth else left
        good = good and (size == left if shape.part.ends else size <= left)
    if not good:
        send = shape.kind is Kind.SEND
        status = Status.LOC_LEN_ERR if send else Status.REM_INV_REQ_ERR
        raise Refused(Nak.INVALID_REQUEST, status)
    _check_alignment(packet, shape)


def _check_alignment(packet: Packet, shape: Shape) -> None:
    address = packet.atomic_eth.va if packet.atomic_eth else 0
    if shape.kind is Kind.ATOMIC_WRITE and packet.reth:
        address = packet.reth.va
    if address % 8:
        raise Refused(Nak.INVALID_REQUEST, Status.REM_INV_REQ_ERR)
