"""Work requests for the adapter on the wire bench, with the SGEs a test wants."""

from __future__ import annotations

from typing import Any

from spec.layouts import Sge, SqWqe, WqeFlag, WrOp
from tb.nic.smoke import sges
from tb.nic.wire import Conn

SIGNALED = WqeFlag.SIGNALED
PEER_VA = 0x0123_4567_89AB_C000
"""An address of the test's imagined memory; all eight bytes differ."""
PEER_KEY = 0xFEDC_BA98


def work(op: WrOp, *pieces: Sge, **fields: Any) -> SqWqe:
    """A signaled entry of one block."""
    defaults: dict[str, Any] = {
        "flags": SIGNALED, "blocks": 1, "num_sge": len(pieces),
        "length": sum(piece.length for piece in pieces), "wr_id": 1, "data": sges(*pieces),
    }  # fmt: skip
    return SqWqe(opcode=op, **(defaults | fields))


def _pieces(conn: Conn, length: int, at: int) -> tuple[Sge, ...]:
    return (conn.sge(at, length),) if length else ()


def send_wqe(conn: Conn, length: int, at: int = 0, op: WrOp = WrOp.SEND, **fields: Any) -> SqWqe:
    """SEND of a piece of the region."""
    return work(op, *_pieces(conn, length, at), **fields)


def write_wqe(conn: Conn, length: int, at: int = 0, op: WrOp = WrOp.WRITE, **fields: Any) -> SqWqe:
    """WRITE of a piece of the region to the test's memory."""
    fields = {"remote_addr": PEER_VA, "rkey": PEER_KEY, **fields}
    return work(op, *_pieces(conn, length, at), **fields)


def read_wqe(conn: Conn, length: int, at: int = 0, **fields: Any) -> SqWqe:
    """READ of the test's memory into the region."""
    return write_wqe(conn, length, at, WrOp.READ, **fields)
