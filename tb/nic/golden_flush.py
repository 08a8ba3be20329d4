"""The recorded ATOMIC WRITE and FLUSH requests, which this adapter does not offer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import DropReason, QpState, Stat
from tb.conformance import covers
from tb.model.headers import DecodeError, Drop, Nak, Packet
from tb.model.opcodes import Op
from tb.model.packets import decode, encode
from tb.nic.golden_seat import Seat, port_of
from tb.nic.golden_station import station
from tb.nic.solo import Solo
from tests.model import golden

TRACE = golden.load("atomic_write_flush_v4")
ATOMIC_WRITE, WRITE, FLUSH, FLUSH_ALL = (TRACE.roce[at][1] for at in (0, 2, 4, 6))
FIRST_FLUSH = 0x100002


async def take_seat(dut: Any, rq_psn: int) -> Seat:
    """The adapter in the place of host b, expecting this PSN."""
    host = station(TRACE, "b")
    solo = await Solo.start(dut, port_of(host.qps[17].config.path))
    host.qps[17].config.rq_psn = rq_psn
    seat = Seat(solo, host)
    await seat.take()
    return seat


async def answer(seat: Seat, frame: bytes) -> list[Packet]:
    """What the adapter says to a frame."""
    before = len(seat.solo.collect())
    seat.solo.give(frame)
    await seat.solo.quiet(600)
    return seat.solo.collect()[before:]


def write_with(psn: int) -> bytes:
    """The recorded WRITE with another PSN."""
    packet = decode(WRITE)
    return encode(replace(packet, bth=replace(packet.bth, psn=psn)))


@cocotb.test()
@covers("ROCE-238")
async def a_flush_with_the_doubled_icrc_is_dropped(dut: Any) -> None:
    """Both recorded FLUSH frames; what follows them is out of sequence, and nothing has changed."""
    for frame in (FLUSH, FLUSH_ALL):
        try:
            decode(frame)
        except DecodeError as error:
            assert error.reason is Drop.BAD_ICRC  # noqa: PT017
        else:
            raise AssertionError("the recorded ICRC is right after all")
    seat = await take_seat(dut, rq_psn=FIRST_FLUSH)
    memory = seat.content()
    for frame in (FLUSH, FLUSH_ALL):
        assert await answer(seat, frame) == []
    assert await seat.driver.counter(Stat.DROP + DropReason.BAD_ICRC) == 2
    assert await seat.state(17) == QpState.RTS
    (nak,) = await answer(seat, write_with(FIRST_FLUSH + 2))
    assert (nak.bth.opcode, nak.bth.psn) == (Op.ACK, FIRST_FLUSH)
    assert nak.aeth is not None
    assert (nak.aeth.syndrome, nak.aeth.msn) == (Nak.SEQUENCE, 0)
    assert seat.content() == memory
    (ack,) = await answer(seat, write_with(FIRST_FLUSH))
    assert (ack.bth.psn, ack.aeth and ack.aeth.msn) == (FIRST_FLUSH, 1)
    assert seat.content() != memory


@cocotb.test()
async def an_atomic_write_is_refused(dut: Any) -> None:
    """An operation that is not offered is an invalid request (4.8 row 13)."""
    seat = await take_seat(dut, rq_psn=0x100000)
    memory = seat.content()
    (nak,) = await answer(seat, ATOMIC_WRITE)
    assert (nak.bth.opcode, nak.bth.psn) == (Op.ACK, 0x100000)
    assert nak.aeth is not None
    assert (nak.aeth.syndrome, nak.aeth.msn) == (Nak.INVALID_REQUEST, 0)
    assert await seat.state(17) == QpState.ERR
    assert await answer(seat, WRITE) == []
    assert seat.content() == memory
