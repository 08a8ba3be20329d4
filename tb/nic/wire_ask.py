"""The test as responder: what it needs to answer the adapter's requests, and to measure time."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cocotb.utils import get_sim_time

from spec.layouts import Sge, SqWqe, WqeFlag, WrOp
from spec.registers import TimebaseReg
from tb.model.headers import Aeth, Packet
from tb.model.opcodes import Op, part_of, read_response_op
from tb.model.packets import decode
from tb.nic.wire import Conn, Wire
from tb.nic.wire_work import PEER_KEY, PEER_VA, work
from tb.streams import CLOCK_NS

NO_CREDITS = 0x1F
SEQUENCE, INVALID, ACCESS, OPERATION = 0x60, 0x61, 0x62, 0x63
RNR = 0x20
TICK = 16
"""Cycles of a timer unit in these tests, unless said."""


def set_time(wire: Wire, ack_tick: int = TICK, rnr_tick: int = TICK) -> None:
    """Cycles per 4.096 us (acknowledge timer) and per 10 us (RNR timer)."""
    value = TimebaseReg(ack_tick=ack_tick, rnr_tick=rnr_tick)
    wire.device.write32(TimebaseReg.ADDRESS, value.to_int())


def timeout_cycles(code: int, tick: int = TICK) -> int:
    """The acknowledge timer of a code (3.10)."""
    return tick << code


class Clock:
    """When each frame left the adapter, in cycles."""

    def __init__(self, wire: Wire) -> None:
        self.sent: list[tuple[int, Packet]] = []
        wire.on_packet = self._note

    def _note(self, packet: Packet) -> None:
        self.sent.append((now(), packet))

    def of(self, conn: Conn) -> list[tuple[int, Packet]]:
        """Those of one connection."""
        return [(t, p) for t, p in self.sent if p.bth.dest_qp == conn.peer_qpn]


def now() -> int:
    """Cycles since the start of the simulation."""
    return int(get_sim_time("ns")) // CLOCK_NS


async def take(conn: Conn, count: int) -> list[Packet]:
    """The next packets from the adapter."""
    return [await conn.next(f"packet {n + 1} of {count}") for n in range(count)]


async def rest(conn: Conn, cycles: int = 400) -> list[Packet]:
    """Whatever comes until nothing has come for some cycles."""
    seen = -1
    while seen != len(conn.waiting):
        seen = len(conn.waiting)
        await conn.wire.cycles(cycles)
    found = list(conn.waiting)
    conn.waiting.clear()
    return found


async def collect(conn: Conn, count: int, cycles: int) -> list[Packet]:
    """So many packets, which may take a long time."""
    waited = 0
    while len(conn.waiting) < count:
        assert waited < cycles, f"{len(conn.waiting)} of {count} packets after {waited} cycles"
        await conn.wire.cycles(100)
        waited += 100
    return [conn.waiting.popleft() for _ in range(count)]


async def delivered(wire: Wire) -> int:
    """Wait until what was given to the wire has arrived; the cycle."""
    await wire.until(lambda: wire.rx.idle, "the end of a frame")
    return now()


def same(packets: Iterable[Packet]) -> list[Packet]:
    """Packets without what each copy of a packet has anew: the IPv4 identification."""
    return [replace(packet, path=replace(packet.path, ident=0)) for packet in packets]


def psns(packets: Iterable[Packet]) -> list[int]:
    """Their PSNs."""
    return [packet.bth.psn for packet in packets]


def ops(packets: Iterable[Packet]) -> list[int]:
    """Their opcodes."""
    return [packet.bth.opcode for packet in packets]


def ack(conn: Conn, psn: int, *, syndrome: int = NO_CREDITS, msn: int = 0) -> None:
    """Acknowledge, NAK or RNR NAK."""
    conn.wire.give(conn.packet(Op.ACK, psn=psn & 0xFFFFFF, aeth=Aeth(syndrome, msn)))


def respond(
    conn: Conn, op: Op, psn: int, payload: bytes = b"", *, syndrome: int = NO_CREDITS, **fields: Any
) -> None:
    """A READ response or atomic answer; Middle has no AETH."""
    if op is not Op.READ_RESPONSE_MIDDLE:
        fields["aeth"] = Aeth(syndrome, 0)
    conn.wire.give(conn.packet(op, payload, psn=psn & 0xFFFFFF, **fields))


def respond_read(
    conn: Conn, first: int, data: bytes, parts: Iterable[int] | None = None, start: int = 0
) -> None:
    """The responses of a READ, or some of them by number; `start` makes it one asked for again."""
    count = max(1, -(-len(data) // conn.pmtu))
    for n in range(start, count) if parts is None else parts:
        op = read_response_op(part_of(n - start, count - start))
        respond(conn, op, first + n, data[n * conn.pmtu : (n + 1) * conn.pmtu])


def respond_atomic(conn: Conn, psn: int, original: int) -> None:
    """The answer to an atomic."""
    respond(conn, Op.ATOMIC_ACK, psn, atomic_ack=original)


def many(op: WrOp, pieces: list[Sge], **fields: Any) -> tuple[SqWqe, bytes]:
    """An entry with any number of pieces, and its further blocks."""
    packed = b"".join(piece.pack() for piece in pieces)
    blocks = 1 + max(0, -(-(len(pieces) - 2) // 4))
    packed = packed.ljust(32 + 64 * (blocks - 1), b"\0")
    wqe = work(
        op, *pieces, blocks=blocks, data=int.from_bytes(packed[:32], "little"),
        **{"remote_addr": PEER_VA, "rkey": PEER_KEY, **fields},
    )  # fmt: skip
    return wqe, packed[32:]


def inline(op: WrOp, data: bytes, **fields: Any) -> tuple[SqWqe, bytes]:
    """An entry with inline bytes, and its further blocks."""
    blocks = 1 + max(0, -(-(len(data) - 32) // 64))
    packed = data.ljust(32 + 64 * (blocks - 1), b"\0")
    wqe = SqWqe(
        opcode=op, flags=WqeFlag.SIGNALED | WqeFlag.INLINE, blocks=blocks, length=len(data),
        data=int.from_bytes(packed[:32], "little"),
        **{"wr_id": 1, "remote_addr": PEER_VA, "rkey": PEER_KEY, **fields},
    )  # fmt: skip
    return wqe, packed[32:]


def atomic(conn: Conn, op: WrOp, at: int, value: int, compare: int = 0, **fields: Any) -> SqWqe:
    """CmpSwap or FetchAdd whose result goes to the region."""
    data = conn.sge(at, 8).pack() + value.to_bytes(8, "little") + compare.to_bytes(8, "little")
    return work(
        op, num_sge=1, length=8, data=int.from_bytes(data, "little"),
        **{"remote_addr": PEER_VA, "rkey": PEER_KEY, **fields},
    )  # fmt: skip


def as_sent(wire: Wire, conn: Conn) -> list[bytes]:
    """Frames for a connection, without what may differ in a repetition: identification, ICRC."""
    found = []
    for frame in wire.frames:
        if decode(frame).bth.dest_qp == conn.peer_qpn:
            out = bytearray(frame[:-4])
            if frame[12:14] == b"\x08\x00":
                out[18:20] = out[24:26] = b"\0\0"
            found.append(bytes(out))
    return found


def fill(wire: Wire, seed: int = 1) -> None:
    """Random bytes all over the region."""
    wire.memory[:] = random.Random(seed).randbytes(len(wire.memory))
