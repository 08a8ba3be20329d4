"""Frames on the way in: what must be taken as it comes, and what must leave no trace."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import CqeStatus, QpState
from tb.conformance import covers
from tb.model.headers import Aeth, Packet
from tb.model.icrc import seal
from tb.model.opcodes import Op
from tb.model.packets import encode, ipv4_checksum
from tb.nic.wire import HERE, QUIET, THERE, Conn, Wire, path
from tb.nic.wire_work import write_wqe
from tb.raw_driver import ipv4_gid

VERSIONS = (0, 1)
"""GID index: IPv4, IPv6."""


def udp_at(gid: int) -> int:
    """Where the UDP header lies in a frame without tag."""
    return 34 if gid == 0 else 54


def patch(frame: bytes, at: int, value: bytes) -> bytes:
    """Other bytes at an offset; checksum and ICRC follow."""
    out = bytearray(frame)
    out[at : at + len(value)] = value
    if out[12:14] == b"\x08\x00":
        out[24:26] = b"\0\0"
        out[24:26] = ipv4_checksum(bytes(out[14:34])).to_bytes(2, "big")
    return seal(bytes(out))


async def is_taken(conn: Conn, what: str, change: Any) -> None:
    """A WRITE, changed on its way, is executed like the plain one."""
    wire = conn.wire
    data = random.randbytes(61)
    wire.memory[0:64] = b"\xee" * 64
    packet = conn.packet(Op.WRITE_ONLY, data, ack_req=True, reth=conn.reth(1, 61))
    conn.psn = conn.psn + 1 & 0xFFFFFF
    wire.give(change(packet))
    try:
        await conn.ack()
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from None
    assert wire.memory[0:64] == b"\xee" + data + b"\xee\xee", what


def with_path(**fields: Any) -> Any:
    """The same packet with something else below the BTH."""
    return lambda packet: encode(replace(packet, path=replace(packet.path, **fields)))


def with_bth(**fields: Any) -> Any:
    """The same packet with another BTH."""
    return lambda packet: encode(replace(packet, bth=replace(packet.bth, **fields)))


def tagged(tag: int) -> Any:
    """Behind an 802.1Q tag."""
    return with_path(vlan=tag)


def after(change: Any) -> Any:
    """A change of the finished frame, without a new ICRC."""
    return lambda packet: change(encode(packet))


@cocotb.test()
@covers("ROCE-005", "ROCE-007", "ROCE-014", "ROCE-015")
async def what_does_not_matter_below_the_bth(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid in VERSIONS:
        conn = await wire.connect(gid=gid)
        for checksum in (1, 0x1234, 0xFFFF):
            await is_taken(conn, "UDP checksum", with_path(udp_checksum=checksum))
        for port in (0, 1, 4791, 0xBFFF, 0xFFFF):
            await is_taken(conn, "UDP source port", with_path(sport=port))
        for tag in (0, 5, 0xFFF, 0xE000, 0x1001):
            await is_taken(conn, "802.1Q tag", tagged(tag))
        for hops in (0, 1, 255):
            await is_taken(conn, "TTL", with_path(hop_limit=hops))
        for traffic in (1, 2, 3, 0x28, 0xB8, 0xFF):
            await is_taken(conn, "DSCP and ECN", with_path(traffic_class=traffic))
        if gid == 0:
            for number in (1, 0xFFFF):
                await is_taken(conn, "identification", with_path(ident=number))
            for flags in (0x0000, 0x4000):
                await is_taken(conn, "DF", with_path(fragment=flags))
        else:
            for label in (1, 0xFFFFF):
                await is_taken(conn, "flow label", with_path(flow_label=label))
        await is_taken(conn, "source MAC", with_path(src_mac=b"\x02\0\0\0\0\x99"))


@cocotb.test()
@covers("ROCE-028")
async def what_routers_change_is_not_seen(dut: Any) -> None:
    """Each of these without a new ICRC."""
    wire = await Wire.start(dut)
    for gid in VERSIONS:
        conn = await wire.connect(gid=gid)
        udp = udp_at(gid)

        def routed(frame: bytes, gid: int = gid, udp: int = udp) -> bytes:
            out = bytearray(frame)
            if gid == 0:
                out[15], out[22] = 0xB9, 3
                out[24:26] = b"\0\0"
                out[24:26] = ipv4_checksum(bytes(out[14:34])).to_bytes(2, "big")
            else:
                out[14:18] = b"\x6b\x9a\xbc\xde"
                out[21] = 3
            out[udp + 6 : udp + 8] = b"\xab\xcd"
            out[udp + 12] = 0xC0
            return bytes(out[:12]) + b"\x81\x00\x20\x05" + bytes(out[12:])

        await is_taken(conn, "everything at once", after(routed))
        for value in (0x80, 0x40, 0x3F):

            def marked(frame: bytes, at: int = udp + 12, value: int = value) -> bytes:
                return frame[:at] + bytes([value]) + frame[at + 1 :]

            await is_taken(conn, "FECN, BECN, reserved", after(marked))


@cocotb.test()
@covers("ROCE-011")
async def padding_behind_the_packet_is_ignored(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid in VERSIONS:
        conn = await wire.connect(gid=gid)
        for count in (1, 2, 3, 4, 18, 63, 64, 65, 300):
            tail = random.randbytes(count)
            await is_taken(conn, f"{count} bytes behind", after(lambda f, t=tail: f + t))


@cocotb.test()
@covers("ROCE-019", "ROCE-024")
async def reserved_bits_and_pad_are_ignored(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid in VERSIONS:
        conn = await wire.connect(gid=gid)
        for bits in (1, 0x20, 0x3F):
            await is_taken(conn, "reserved bits of byte 4", with_bth(reserved6=bits))
        for bits in (1, 0x40, 0x7F):
            await is_taken(conn, "reserved bits of byte 8", with_bth(reserved7=bits))
        for flag in ("migrated", "fecn", "solicited"):
            for value in (False, True):
                await is_taken(conn, flag, with_bth(**{flag: value}))
        for size in (1, 2, 3):
            data = bytes(range(1, 65 - size))
            wire.memory[0:64] = bytes(64)
            pad = bytes.fromhex("a5b6c7")[: -len(data) % 4]
            conn.write(0, data, pad=pad)
            await conn.ack()
            assert wire.memory[0:64] == data + bytes(size), "pad was written"
            conn.receive(conn.sge(0x100, 100))
            await conn.rung()
            wire.memory[0x100:0x164] = bytes(100)
            conn.send(data, pad=pad)
            await conn.ack()
            await conn.completion(byte_len=len(data), status=CqeStatus.SUCCESS)
            assert wire.memory[0x100:0x164] == data + bytes(100 - len(data)), "pad was written"


@cocotb.test()
@covers("ROCE-019")
async def bit_7_of_the_aeth_drops_an_acknowledge(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    conn.post(write_wqe(conn, 100))
    await conn.expect(Op.WRITE_ONLY, 0x100, bytes(wire.memory[:100]))
    ack = replace(conn.packet(Op.ACK, psn=0x100), aeth=Aeth(0x1F, 1))
    for syndrome in (0x80, 0x9F, 0xE2):
        wire.give(replace(ack, aeth=Aeth(syndrome, 1)))
    await conn.quiet()
    conn.no_completion()
    assert await conn.query() == QpState.RTS
    wire.give(ack)
    await conn.completion(status=CqeStatus.SUCCESS)


def broken(conn: Conn, packet: Packet, gid: int) -> dict[str, bytes]:
    """The packet in frames of which each is wrong in one way."""
    good, udp = encode(packet), udp_at(gid)
    bth = udp + 8
    other_v4, other_v6 = bytes([10, 0, 0, 77]), THERE.gids[1][:15] + b"\x77"
    other = other_v4 if gid == 0 else other_v6
    frames = {
        "UDP port 4790": patch(good, udp + 2, b"\x12\xb6"),
        "UDP port 53": patch(good, udp + 2, b"\0\x35"),
        "ICRC bit": good[:-1] + bytes([good[-1] ^ 1]),
        "ICRC in big endian": good[:-4] + good[:-5:-1],
        "ICRC of zeros": good[:-4] + bytes(4),
        "cut by one byte": good[:-1],
        "cut in half": good[: len(good) // 2],
        "transport version 1": with_bth(version=1)(packet),
        "transport version 8": with_bth(version=8)(packet),
        "source address": with_path(src_ip=other)(packet),
        "destination address": with_path(dst_ip=other)(packet),
        "source address of the adapter": with_path(src_ip=packet.path.dst_ip)(packet),
        "queue pair 0": with_bth(dest_qp=0)(packet),
        "queue pair 250": with_bth(dest_qp=250)(packet),
        "queue pair plus 2^16": with_bth(dest_qp=packet.bth.dest_qp + 0x10000)(packet),
        "P_Key": with_bth(p_key=0x8001)(packet),
    }
    for opcode in (0x40, 0x44, 0x4A, 0x80, 0x8A, 0xC4, 0xCA, 0xEA, 0xFF):
        frames[f"opcode {opcode:#x}"] = patch(good, bth, bytes([opcode]))
    if gid == 0:
        frames["options"] = patch(good, 14, b"\x46")
        frames["more fragments"] = with_path(fragment=0x2000)(packet)
        frames["fragment"] = with_path(fragment=0x0004)(packet)
        frames["last fragment"] = with_path(fragment=0x1FFF)(packet)
        wrong = bytes([good[24] ^ 0x40])
        frames["checksum"] = good[:24] + wrong + good[25:]
        frames["checksum of zero"] = good[:24] + b"\0\0" + good[26:]
        frames["total length + 4"] = patch(good, 16, (len(good) - 14 + 4).to_bytes(2, "big"))
        frames["mapped IPv4 source in IPv6"] = with_path(
            src_ip=ipv4_gid("10.0.0.2"), dst_ip=HERE.gids[1]
        )(packet)
    else:
        frames["payload length + 4"] = patch(good, 18, (len(good) - 54 + 4).to_bytes(2, "big"))
        frames["version 4"] = patch(good, 14, b"\x45")
    return frames


@cocotb.test()
@cocotb.parametrize(gid=VERSIONS)
@covers("ROCE-008", "ROCE-009", "ROCE-010", "ROCE-012", "ROCE-016", "ROCE-017", "ROCE-020")
@covers("ROCE-021", "ROCE-030", "ROCE-031", "ROCE-034", "ROCE-176")
async def broken_frames_leave_no_trace(dut: Any, gid: int) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect(gid=gid)
    conn.receive(conn.sge(0x1000, 4096), wr_id=3)
    await conn.rung()
    before = bytes(wire.memory)
    write = conn.packet(Op.WRITE_ONLY, b"\x55" * 100, ack_req=True, reth=conn.reth(0, 100))
    send = conn.packet(Op.SEND_ONLY, b"\x66" * 99, ack_req=True)
    for packet in (write, send):
        for what, frame in broken(conn, packet, gid).items():
            wire.give(frame)
            await wire.cycles(80)
            assert wire.memory == before, f"{what}: reached memory"
            assert not wire.frames, f"{what}: answered"
    await conn.quiet()
    assert not wire.frames
    conn.no_completion()
    assert await conn.query() == QpState.RTS
    # Nothing moved on: the packets themselves are still due.
    conn.send(b"\x66" * 99)
    await conn.ack(0x200, msn=1)
    await conn.completion(wr_id=3, byte_len=99)
    await conn.alive()


@cocotb.test()
@covers("ROCE-013")
async def packets_shorter_than_their_headers_are_dropped(dut: Any) -> None:
    """Right in everything, lengths and ICRC too, but the headers or the pad do not fit."""
    wire = await Wire.start(dut)
    needs = {
        **dict.fromkeys((0x03, 0x05, 0x09, 0x16, 0x17), 4),
        **dict.fromkeys((0x06, 0x0A, 0x0C), 16),
        **{0x0B: 20, 0x13: 28, 0x14: 28},
        **{0x0D: 4, 0x0F: 4, 0x10: 4, 0x11: 4, 0x12: 12},
    }
    for gid in VERSIONS:
        conn = await wire.connect(gid=gid)
        conn.post(write_wqe(conn, 100))  # so that the responses have something to answer
        await conn.expect(Op.WRITE_ONLY, 0x100, bytes(wire.memory[:100]))
        for opcode, size in needs.items():
            psn = 0x100 if 0x0D <= opcode <= 0x12 else conn.psn
            for short in range(0, size, 4):
                bare = encode(conn.packet(Op.SEND_ONLY, bytes(short), psn=psn, ack_req=True))
                wire.give(patch(bare, udp_at(gid) + 8, bytes([opcode])))
        for pad in (1, 2, 3):
            bare = encode(conn.packet(Op.SEND_ONLY, ack_req=True))
            wire.give(patch(bare, udp_at(gid) + 9, bytes([0x40 | pad << 4])))
        # A UDP length that ends inside the BTH.
        bare = encode(conn.packet(Op.SEND_ONLY, ack_req=True))
        if gid == 0:
            wire.give(patch(patch(bare, 38, b"\0\x14"), 16, b"\0\x28"))
        await conn.quiet(2 * QUIET)
        conn.no_completion()
        wire.give(replace(conn.packet(Op.ACK, psn=0x100), aeth=Aeth(0x1F, 1)))
        await conn.completion(status=CqeStatus.SUCCESS)
        await conn.alive()


@cocotb.test()
@covers("ROCE-032")
async def a_packet_that_is_only_a_bth(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid in VERSIONS:
        conn = await wire.connect(gid=gid)
        for _ in range(2):
            conn.receive(conn.sge(0, 100))
        await conn.rung()
        frame = encode(conn.packet(Op.SEND_ONLY, ack_req=True))
        assert len(frame) == (58 if gid == 0 else 78)
        for at in range(4):
            wrong = bytearray(frame)
            wrong[len(frame) - 4 + at] ^= 0x10
            wire.give(bytes(wrong))
        await conn.quiet()
        conn.no_completion()
        wire.give(frame)
        conn.psn += 1
        await conn.ack(msn=1)
        await conn.completion(byte_len=0, status=CqeStatus.SUCCESS)
        conn.wire.give(encode(conn.packet(Op.SEND_ONLY, ack_req=True)).ljust(60, b"\0"))
        conn.psn += 1
        await conn.ack(msn=2)
        await conn.completion(byte_len=0, status=CqeStatus.SUCCESS)


@cocotb.test()
@covers("ROCE-029", "ROCE-030", "ROCE-034")
async def any_covered_bit_drops_the_packet(dut: Any) -> None:
    """Every bit of the headers and of the ICRC, and some of the payload."""
    wire = await Wire.start(dut)
    for gid in VERSIONS:
        conn = await wire.connect(gid=gid)
        udp = udp_at(gid)
        before = bytes(wire.memory)
        packet = conn.packet(Op.WRITE_ONLY_IMM, b"\x5a" * 75, ack_req=True, imm=0x01020304,
                             reth=conn.reth(0, 75), path=path(gid, ident=0x1234))  # fmt: skip
        conn.receive()
        await conn.rung()
        frame = encode(packet)
        masked = {15, 22, 24, 25} if gid == 0 else {15, 16, 17, 21}
        masked |= {udp + 6, udp + 7, udp + 12}
        headers = udp + 8 + 12 + 20
        places = [at for at in range(14, headers) if at not in masked]
        places += [headers, headers + 40, headers + 74, headers + 75, *range(-4, 0)]
        for at in places:
            for bit in range(8):
                if at == 14 and gid == 1 and bit < 4:
                    continue  # traffic class
                out = bytearray(frame)
                out[at] ^= 1 << bit
                if gid == 0 and 14 <= at < 34:
                    out[24:26] = b"\0\0"
                    out[24:26] = ipv4_checksum(bytes(out[14:34])).to_bytes(2, "big")
                wire.give(bytes(out))
        await conn.quiet(2000)
        assert not wire.packets.get(conn.peer_qpn)
        assert wire.memory == before
        conn.no_completion()
        wire.give(frame)
        conn.psn += 1
        await conn.ack(msn=1)
        await conn.completion(byte_len=75)
        assert wire.memory[:75] == b"\x5a" * 75
        wire.memory[:75] = before[:75]
