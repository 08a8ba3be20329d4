"""Frames from the wire with something wrong: dropped, counted by reason, and no other trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import DropReason, QpState, Stat
from tb.conformance import covers
from tb.frames import Frame
from tb.model.headers import Aeth, Bth, Packet, Path, Reth
from tb.model.icrc import seal
from tb.model.packets import encode, ipv4_checksum
from tb.nic.bad_work import works
from tb.nic.pair import PORTS, Pair
from tb.nic.smoke import Side, two_sides

D = DropReason
PSN = 0x100
ACK = Aeth(0x1F, 1)


def write_packet(b: Side, **bth: Any) -> Packet:
    """The next packet that adapter b expects: a write of 100 bytes."""
    path = Path(
        src_mac=PORTS["a"].mac, dst_mac=PORTS["b"].mac,
        src_ip=PORTS["a"].gids[0][12:], dst_ip=PORTS["b"].gids[0][12:],
    )  # fmt: skip
    head = Bth(**{"opcode": 0x0A, "dest_qp": 9, "psn": PSN, "ack_req": True, **bth})
    return Packet(head, path, bytes(range(100)), reth=Reth(b.address, b.token, 100))


def patch(frame: bytes, at: int, value: bytes, *, checksum: bool = False) -> bytes:
    """The frame with other bytes at an offset; the ICRC follows, the IP checksum if asked for."""
    out = bytearray(frame)
    out[at : at + len(value)] = value
    if checksum:
        out[24:26] = b"\0\0"
        out[24:26] = ipv4_checksum(bytes(out[14:34])).to_bytes(2, "big")
    return seal(bytes(out))


def bad_frames(b: Side) -> list[tuple[str, bytes, DropReason]]:
    """What is wrong, the frame, and the reason it is counted under."""
    good = write_packet(b)
    frame = encode(good)
    tail = bytearray(frame)
    tail[-1] ^= 0x80
    middle = bytearray(frame)
    middle[90] ^= 1

    def path(**fields: Any) -> bytes:
        return encode(replace(good, path=replace(good.path, **fields)))

    def bth(**fields: Any) -> bytes:
        return encode(replace(good, bth=replace(good.bth, **fields)))

    return [
        ("ICRC", bytes(tail), D.BAD_ICRC),
        ("payload bit", bytes(middle), D.BAD_ICRC),
        ("ICRC in big endian", frame[:-4] + frame[-4:][::-1], D.BAD_ICRC),
        ("cut", frame[:-8], D.LENGTH),
        ("cut in the headers", frame[:50], D.LENGTH),
        ("transport version", bth(version=1), D.BAD_TVER),
        ("P_Key", bth(p_key=0x1234), D.BAD_PKEY),
        ("queue pair 200", bth(dest_qp=200), D.BAD_QPN),
        ("queue pair far away", bth(dest_qp=0xABCDEF), D.BAD_QPN),
        ("queue pair 0", bth(dest_qp=0), D.BAD_QPN),
        ("opcode class", patch(frame, 42, b"\xca"), D.BAD_OPCODE),
        ("RD opcode", patch(frame, 42, b"\x4a"), D.BAD_OPCODE),
        ("source address", path(src_ip=bytes([10, 0, 0, 77])), D.BAD_ADDRESS),
        ("destination address", path(dst_ip=bytes([10, 0, 0, 99])), D.BAD_ADDRESS),
        ("IP checksum", frame[:24] + bytes([frame[24] ^ 1]) + frame[25:], D.IP_CHECKSUM),
        ("fragment", path(fragment=0x2000), D.FRAGMENT),
        ("fragment offset", path(fragment=0x0001), D.FRAGMENT),
        ("IP options", patch(frame, 14, b"\x46", checksum=True), D.IP_HEADER),
        ("UDP port", patch(frame, 36, b"\x12\xb8"), D.NOT_ROCE),
        ("protocol", patch(frame, 23, b"\x06", checksum=True), D.NOT_ROCE),
        ("EtherType", frame[:12] + b"\x08\x06" + frame[14:], D.ETHERTYPE),
        ("UDP length", patch(frame, 38, (500).to_bytes(2, "big")), D.LENGTH),
        ("ghost response", encode(Packet(Bth(0x11, 9, psn=0x300), good.path, aeth=ACK)),
         D.GHOST_RESPONSE),
    ]  # fmt: skip


async def counters(side: Side) -> dict[DropReason, int]:
    """Every drop counter."""
    return {
        reason: await side.driver.counter(Stat.DROP + reason) for reason in DropReason if reason
    }


@cocotb.test()
@covers(
    "ROCE-008",
    "ROCE-009",
    "ROCE-010",
    "ROCE-012",
    "ROCE-016",
    "ROCE-017",
    "ROCE-020",
    "ROCE-021",
    "ROCE-030",
    "ROCE-031",
    "ROCE-034",
    "ROCE-176",
)
async def bad_frames_are_dropped_and_counted_by_reason(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    before = bytes(b.buffer.memory)
    give: Callable[[Frame], None] = pair.link.ab.to.give
    cases = bad_frames(b)
    old = await counters(b)
    sent = pair.link.ba.sent
    for what, frame, reason in cases:
        give(Frame(0, frame))
        await ClockCycles(dut.clk, 60)
        now = await b.driver.device.read32(0x800 + 8 * (Stat.DROP + reason))
        await ClockCycles(dut.clk, 100)
        now = await b.driver.device.read32(0x800 + 8 * (Stat.DROP + reason))
        assert now == old[reason] + 1, f"{what}: {reason.name} counts {now}, not {old[reason] + 1}"
        old[reason] = now
    give(Frame(0, encode(write_packet(b)), bad=True))
    old[D.BAD_FRAME] += 1
    await ClockCycles(dut.clk, 200)
    assert await counters(b) == old
    assert bytes(b.buffer.memory) == before, "a bad frame reached memory"
    assert pair.link.ba.sent == sent, "a bad frame was answered"
    assert await b.driver.query_state(9) == QpState.RTS
    await works(a, b)


@cocotb.test()
@covers("ROCE-029", "ROCE-030", "ROCE-231")
async def any_flipped_bit_drops_the_frame(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    before = bytes(b.buffer.memory)
    frame = encode(write_packet(b))
    sent = pair.link.ba.sent
    unseen = {15, 22, 40, 41, 46}  # masked in the ICRC: TOS, TTL, UDP checksum, BTH byte 4
    for at in range(14, len(frame)):
        if at in unseen:
            continue
        out = bytearray(frame)
        out[at] ^= 1 << at % 8
        pair.link.ab.to.give(Frame(0, bytes(out)))
    await ClockCycles(dut.clk, 1500)
    assert bytes(b.buffer.memory) == before
    assert pair.link.ba.sent == sent
    await works(a, b)


@cocotb.test()
@covers("ROCE-097", "ROCE-098")
async def a_gap_is_answered_by_one_sequence_nak(dut: Any) -> None:
    pair = await Pair.start(dut)
    _, b = await two_sides(pair)
    before = bytes(b.buffer.memory)
    for psn in (PSN + 3, PSN + 4, PSN + 9):
        pair.link.ab.to.give(Frame(0, encode(write_packet(b, psn=psn))))
    await ClockCycles(dut.clk, 400)
    answers = [f.packet for name, f in pair.link.frames if name == "ba" and f.packet]
    assert len(answers) == 1
    assert (answers[0].bth.opcode, answers[0].bth.psn) == (0x11, PSN)
    assert answers[0].aeth is not None
    assert answers[0].aeth.syndrome == 0x60
    assert bytes(b.buffer.memory) == before
    assert await b.driver.counter(Stat.DROP + D.OUT_OF_SEQUENCE) == 3
