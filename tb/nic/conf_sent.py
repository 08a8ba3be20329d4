"""Frames on the way out: how a message becomes packets, and what every field of them says."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import cocotb
from scapy.contrib.roce import BTH
from scapy.layers.l2 import Ether

from spec.codes import CqeStatus
from spec.layouts import WqeFlag, WrOp
from tb.conformance import covers
from tb.model.headers import Aeth, Bth, Packet, Reth
from tb.model.opcodes import Op, Part, part_of, send_op, write_op
from tb.nic.wire import HERE, THERE, Conn, Wire, answer
from tb.nic.wire_work import PEER_KEY, PEER_VA, SIGNALED, read_wqe, send_wqe, write_wqe

IMM = bytes.fromhex("c0a1b2d3")
"""As it lies on the wire."""
TOKEN = 0x00ABCD_7E
SOLICITED = WqeFlag.SOLICITED


def sizes(pmtu: int) -> tuple[int, ...]:
    """Lengths around every boundary of a message's packets."""
    return (0, 1, 2, 3, 4, pmtu - 1, pmtu, pmtu + 1, 2 * pmtu, 2 * pmtu + 3, 3 * pmtu)


def expected(op: WrOp, data: bytes, pmtu: int, solicited: bool) -> list[dict[str, Any]]:
    """What the packets of a message carry, beside what all packets of a connection share."""
    count = max(1, -(-len(data) // pmtu))
    packets = []
    for n in range(count):
        part = part_of(n, count)
        ends, imm = part.ends, op in (WrOp.SEND_IMM, WrOp.WRITE_IMM)
        is_write = op in (WrOp.WRITE, WrOp.WRITE_IMM)
        opcode = write_op(part, imm) if is_write else send_op(part, imm, op == WrOp.SEND_INV)
        packets.append(
            {
                "opcode": opcode,
                "payload": data[n * pmtu : (n + 1) * pmtu],
                "reth": Reth(PEER_VA, PEER_KEY, len(data)) if is_write and part.starts else None,
                "imm": int.from_bytes(IMM, "big") if imm and ends else None,
                "ieth": TOKEN if op == WrOp.SEND_INV and ends else None,
                "solicited": solicited and ends and op != WrOp.WRITE,
            }
        )
    assert [len(p["payload"]) for p in packets[:-1]] == [pmtu] * (count - 1)
    assert count == 1 or 0 < len(packets[-1]["payload"]) <= pmtu
    return packets


def wqe(conn: Conn, op: WrOp, length: int, at: int, solicited: bool) -> Any:
    """The work request for it."""
    fields: dict[str, Any] = {"flags": SIGNALED | SOLICITED if solicited else SIGNALED}
    if op in (WrOp.SEND_IMM, WrOp.WRITE_IMM):
        fields["imm"] = int.from_bytes(IMM, "little")
    if op == WrOp.SEND_INV:
        fields["imm"] = TOKEN
    if op in (WrOp.WRITE, WrOp.WRITE_IMM):
        return write_wqe(conn, length, at, op, **fields)
    return send_wqe(conn, length, at, op, **fields)


def check_common(conn: Conn, packet: Packet, psn: int) -> None:
    """Addresses and numbers of a packet of this connection."""
    bth: Bth = packet.bth
    assert (bth.dest_qp, bth.psn, bth.p_key) == (conn.peer_qpn, psn & 0xFFFFFF, 0xFFFF)
    src, dst = HERE.gids[conn.gid], THERE.gids[conn.gid]
    if conn.gid == 0:
        src, dst = src[12:], dst[12:]
    path = packet.path
    assert (path.src_mac, path.dst_mac) == (HERE.mac, THERE.mac)
    assert (path.src_ip, path.dst_ip) == (src, dst)
    assert 0xC000 <= path.sport <= 0xFFFF


async def message(conn: Conn, op: WrOp, length: int, psn: int, solicited: bool = False) -> int:
    """One message of the adapter: its packets, then its acknowledge; the PSN behind it."""
    wire = conn.wire
    at = random.randrange(200)
    data = random.randbytes(length)
    wire.memory[at : at + length] = data
    conn.post(wqe(conn, op, length, at, solicited))
    for fields in expected(op, data, conn.pmtu, solicited):
        packet = await conn.next(f"{op.name} of {length} bytes")
        check_common(conn, packet, psn)
        got = {
            "opcode": packet.bth.opcode, "payload": packet.payload, "reth": packet.reth,
            "imm": packet.imm, "ieth": packet.ieth, "solicited": packet.bth.solicited,
        }  # fmt: skip
        assert got == fields, f"{op.name} of {length} bytes: {packet}"
        assert packet.aeth is packet.atomic_eth is packet.deth is None
        last = packet
        psn = psn + 1 & 0xFFFFFF
    assert last.bth.ack_req, "the last packet asks for no acknowledge"
    answer(conn, Op.ACK, psn - 1 & 0xFFFFFF)
    await conn.completion(status=CqeStatus.SUCCESS)
    return psn


ALL = (WrOp.SEND, WrOp.SEND_IMM, WrOp.SEND_INV, WrOp.WRITE, WrOp.WRITE_IMM)


@cocotb.test()
@covers("ROCE-001", "ROCE-002", "ROCE-003", "ROCE-004", "ROCE-006", "ROCE-018", "ROCE-019")
@covers("ROCE-023", "ROCE-025", "ROCE-033", "ROCE-035", "ROCE-036", "ROCE-037", "ROCE-038")
@covers("ROCE-039", "ROCE-040", "ROCE-041", "ROCE-042", "ROCE-043")
async def every_message_in_every_size(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid, vlan in ((0, None), (1, None), (0, 0x6005), (1, 0x2FFF)):
        tag = {} if vlan is None else {"vlan_valid": 1, "vlan": vlan}
        for mtu in range(1, 6):
            conn = await wire.connect(gid=gid, mtu=mtu, sq_psn=0xFFFFF0, **tag)
            psn, before = 0xFFFFF0, len(wire.frames)
            for op in ALL if mtu == 1 else random.sample(ALL, 2):
                for length in sizes(conn.pmtu):
                    psn = await message(conn, op, length, psn, solicited=bool(length & 1))
            assert not conn.waiting
            ports = {int.from_bytes(frame[at : at + 2], "big")
                     for frame in wire.frames[before:]
                     for at in [(34, 54)[gid] + (4 if tag else 0)]}  # fmt: skip
            assert ports == {0xC000 + conn.number}
            for frame in wire.frames[before:]:
                assert (frame[12:16] == b"\x81\x00" + (vlan or 0).to_bytes(2, "big")) == bool(tag)
    for frame in wire.frames:
        check_by_scapy(frame)


def check_by_scapy(frame: bytes) -> None:
    """Scapy reads the frame as RoCEv2, and writes it again with the same ICRC and checksums."""
    packet = Ether(frame)
    assert BTH in packet
    carried = packet[BTH].icrc
    for layer, names in ((BTH, ("icrc",)), ("IP", ("len", "chksum")), ("IPv6", ("plen",))):
        if layer in packet:
            for name in names:
                delattr(packet[layer], name)
    packet["UDP"].len = None
    again = bytes(packet)
    assert again == frame, f"scapy writes {again.hex()}, not {frame.hex()}"
    assert Ether(again)[BTH].icrc == carried


@cocotb.test()
@covers("ROCE-026")
async def solicited_is_said_in_the_last_packet_alone(dut: Any) -> None:
    wire = await Wire.start(dut)
    conn = await wire.connect()
    psn = 0x100
    for op in ALL:
        for length in (0, 10, 256, 257, 700):
            for solicited in (True, False):
                psn = await message(conn, op, length, psn, solicited)


@cocotb.test()
@covers("ROCE-039", "ROCE-003", "ROCE-033")
async def a_read_request_is_a_reth_and_nothing_else(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid in (0, 1):
        conn = await wire.connect(gid=gid)
        psn = 0x100
        for length in (1, 256, 700, 0):
            conn.post(read_wqe(conn, length, 3))
            packet = await conn.next()
            check_common(conn, packet, psn)
            assert (packet.bth.opcode, packet.payload) == (Op.READ_REQUEST, b"")
            assert packet.reth == Reth(PEER_VA, PEER_KEY, length)
            assert len(wire.frames[-1]) == (74, 94)[gid]
            check_by_scapy(wire.frames[-1])
            data = random.randbytes(length)
            count = max(1, -(-length // 256))
            for n in range(count):
                part = part_of(n, count)
                op = {
                    Part.ONLY: Op.READ_RESPONSE_ONLY, Part.FIRST: Op.READ_RESPONSE_FIRST,
                    Part.MIDDLE: Op.READ_RESPONSE_MIDDLE, Part.LAST: Op.READ_RESPONSE_LAST,
                }[part]  # fmt: skip
                answer(conn, op, psn + n, data[256 * n : 256 * n + 256])
            await conn.completion(status=CqeStatus.SUCCESS)
            assert wire.memory[3 : 3 + length] == data
            psn += count


@cocotb.test()
@covers("ROCE-045", "ROCE-046", "ROCE-019", "ROCE-033")
async def shape_of_the_responses(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid in (0, 1):
        conn = await wire.connect(gid=gid)
        wire.memory[0:2000] = random.randbytes(2000)
        conn.write(0, b"acknowledge this")
        ack = await conn.ack(msn=1)
        check_common(conn, ack, 0x200)
        headers = 14 + (20, 40)[gid] + 8
        assert len(wire.frames[-1]) == headers + 20
        flags = (ack.bth.solicited, ack.bth.ack_req, ack.bth.fecn, ack.bth.becn)
        assert not any(flags), "an acknowledge has flags"
        for length in (0, 1, 255, 256, 257, 512, 700):
            first, start = conn.read(1, length).bth.psn, len(wire.frames)
            await conn.data(first, bytes(wire.memory[1 : 1 + length]))
            frames = wire.frames[start:]
            count = max(1, -(-length // 256))
            for n, frame in enumerate(frames):
                size = min(256, length - 256 * n)
                aeth = 0 if 0 < n < count - 1 else 4
                assert len(frame) == headers + 12 + aeth + size + -size % 4 + 4
                check_by_scapy(frame)
        conn.give(Op.SEND_ONLY, psn=conn.psn + 2)
        nak = await conn.next()
        assert nak.aeth == Aeth(0x60, 8)
        assert len(wire.frames[-1]) == headers + 20


@cocotb.test()
@covers("ROCE-044", "ROCE-025", "ROCE-033")
async def layout_of_atomics(dut: Any) -> None:
    """Byte by byte: address, key, swap or add, compare, all in big endian."""
    wire = await Wire.start(dut)
    for gid in (0, 1):
        conn = await wire.connect(gid=gid)
        psn = 0x100
        for op, opcode in ((WrOp.CMP_SWAP, 0x13), (WrOp.FETCH_ADD, 0x14)):
            value, compare = 0x1122334455667788, 0x99AABBCCDDEEFF01
            words = value.to_bytes(8, "little") + compare.to_bytes(8, "little")
            entry = write_wqe(conn, 8, 40, op)
            conn.post(replace(entry, data=entry.data | int.from_bytes(words, "little") << 128))
            packet = await conn.next()
            check_common(conn, packet, psn)
            assert packet.bth.opcode == opcode
            header = wire.frames[-1][(54, 74)[gid] : -4]
            other = compare if op == WrOp.CMP_SWAP else 0
            assert header.hex() == f"{PEER_VA:016x}{PEER_KEY:08x}{value:016x}{other:016x}"
            check_by_scapy(wire.frames[-1])
            old = 0x0102030405060708
            conn.wire.give(
                replace(conn.packet(Op.ATOMIC_ACK, psn=psn, atomic_ack=old), aeth=Aeth(0x1F, 1))
            )
            await conn.completion(status=CqeStatus.SUCCESS)
            assert wire.memory[40:48] == old.to_bytes(8, "little")
            psn += 1
