"""rnic_rx, the way in: headers of good frames, and every reason to drop one."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import replace

import cocotb
from cocotb.triggers import RisingEdge

from spec.codes import DropReason, QpState, QpType
from spec.streams import MemReq, RxHeader
from tb.blocks.rx_bench import (
    QPN,
    TARGET,
    Memory,
    RxBench,
    config,
    expected_header,
    psns,
    segment,
    write_packet,
)
from tb.model.headers import Aeth, AtomicEth, Bth, DecodeError, Deth, Drop, Packet, Path, Reth
from tb.model.icrc import seal
from tb.model.opcodes import Op
from tb.model.packets import decode, encode, ipv4_checksum
from tests.model.golden import DATA, MAC_A, MAC_B, NAMES, load

V4 = Path()
V6 = Path(src_ip=bytes(range(16)), dst_ip=bytes(range(16, 32)))
REASONS = {
    Drop.IP_VERSION: DropReason.IP_HEADER,
    Drop.IP_OPTIONS: DropReason.IP_HEADER,
    Drop.IP_FRAGMENT: DropReason.FRAGMENT,
    Drop.IP_CHECKSUM: DropReason.IP_CHECKSUM,
    Drop.DOUBLE_TAG: DropReason.ETHERTYPE,
    Drop.UDP_LENGTH: DropReason.LENGTH,
    Drop.TOO_SHORT: DropReason.SHORT,
    Drop.BAD_ICRC: DropReason.BAD_ICRC,
    Drop.BTH_VERSION: DropReason.BAD_TVER,
    Drop.OPCODE_CLASS: DropReason.BAD_OPCODE,
}


def judge(frame: bytes) -> Packet | DropReason:
    """What the reference decoder says of a frame."""
    try:
        packet = decode(frame)
    except DecodeError as error:
        return REASONS[error.reason]
    if packet.bth.opcode == 0x81:
        return DropReason.CNP_UNSUPPORTED
    return DropReason.BAD_OPCODE if packet.bth.opcode >> 5 else packet


async def accept(bench: RxBench, frames: list[bytes]) -> None:
    """Send frames whose headers and payload must arrive, or whose drop must be counted."""
    verdicts = [judge(frame) for frame in frames]
    packets = [v for v in verdicts if isinstance(v, Packet)]
    expected = Memory()
    places: list[int] = []
    for n, packet in enumerate(packets):
        peer = packet.path.src_ip
        bench.configs[packet.bth.dest_qp] = config(peer, sgid_index=3).to_int()
        bench.own(packet.path.dst_ip, 3)
        places.append(TARGET + (n << 13) + random.randrange(64))
        expected.put(places[-1], packet.payload)
    number = iter(range(len(packets)))

    def place(header: RxHeader) -> list[MemReq]:
        return [segment(places[next(number)], header.payload_len)]

    bench.forget()
    bench.plan = place
    for frame in frames:
        bench.send(frame)
    await bench.settle(len(frames))
    sides = ["rsp" if p.shape and p.shape.kind.is_response else "req" for p in packets]
    headers = [expected_header(p, 3) for p in packets]
    # The two sides are independent streams; compare each in its order.
    for side in ("req", "rsp"):
        right = [h for s, h in zip(sides, headers, strict=True) if s == side]
        assert [h for s, h in bench.headers if s == side] == right
    assert bench.drops == [v for v in verdicts if isinstance(v, DropReason)]
    assert not bench.qp_drops
    assert bench.memory == expected
    assert psns(bench.done) == [p.bth.psn for p in packets]


@cocotb.test()
async def every_vector_is_read_right(dut):
    bench = await RxBench.start(dut)
    vectors = json.loads((DATA / "vectors.json").read_text())
    by_pair: dict[tuple[bytes, int], list[bytes]] = {}
    for vector in vectors:
        frame = bytes.fromhex(vector["frame"])
        packet = decode(frame)
        by_pair.setdefault((packet.path.src_ip, packet.bth.dest_qp), []).append(frame)
    for frames in by_pair.values():
        await accept(bench, frames)


@cocotb.test()
async def every_recorded_frame_is_read_right(dut):
    bench = await RxBench.start(dut)
    dropped: dict[DropReason, int] = {}
    for name in NAMES:
        frames = [frame for _, frame in load(name).roce]
        for mac in (MAC_A, MAC_B):
            await accept(bench, [f for f in frames if f[:6] == mac])
            for reason in bench.drops:
                dropped[reason] = dropped.get(reason, 0) + 1
    # Two FLUSH frames of a peer that computes their ICRC wrong; UD is not served.
    assert dropped.pop(DropReason.BAD_ICRC) == 2
    assert set(dropped) <= {DropReason.BAD_OPCODE}


@cocotb.test()
async def reserved_operation_goes_to_the_responder(dut):
    bench = await RxBench.start(dut)
    frames = [
        encode(Packet(Bth(opcode, QPN, psn=opcode), payload=bytes(range(40))))
        for opcode in (0x15, 0x18, 0x1F)
    ]
    await accept(bench, frames)
    assert [side for side, _ in bench.headers] == ["req"] * 3


@cocotb.test()
async def routers_may_change_what_they_may(dut):
    bench = await RxBench.start(dut)
    frames = []
    for path in (V4, V6):
        frame = encode(write_packet(5, TARGET, b"x" * 70, src_ip=path.src_ip, dst_ip=path.dst_ip))
        changed = bytearray(frame)
        if path is V4:
            changed[15], changed[22] = 0xFF, 3
            changed[24:26] = bytes(2)
            changed[24:26] = struct.pack(">H", ipv4_checksum(bytes(changed[14:34])))
            changed[40:42] = b"\x12\x34"
            changed[46] = 0xC0
        else:
            changed[14:18] = b"\x6f\xff\xff\xff"
            changed[21] = 1
            changed[60:62] = b"\x12\x34"
            changed[66] = 0x80
        tagged = changed[:12] + b"\x81\x00\x60\x64" + changed[12:]
        for good in (frame, bytes(changed), bytes(tagged), frame + b"trailing" * 9):
            frames.append(good)
        await accept(bench, frames)
        frames.clear()
    assert bench.ce_frames == 4


def _patched(frame: bytes, at: int, new: bytes, checksum: bool = False) -> bytes:
    """A frame with some bytes replaced, its IPv4 checksum and ICRC made right again."""
    out = bytearray(frame)
    out[at : at + len(new)] = new
    if checksum:
        out[24:26] = bytes(2)
        out[24:26] = struct.pack(">H", ipv4_checksum(bytes(out[14:34])))
    return bytes(out)


def crafted() -> list[tuple[bytes, int, DropReason]]:
    """One frame per reason that the frame itself gives: bytes, tuser, reason."""
    good = encode(write_packet(1, TARGET, bytes(range(100))))
    six = encode(
        replace(write_packet(1, TARGET, bytes(100)), path=replace(V6, dst_mac=V4.dst_mac))
    )
    ack = encode(Packet(Bth(Op.ACK, QPN), aeth=Aeth(0x1F, 1)))
    tagged = good[:12] + b"\x81\x00\x00\x01" + good[12:]
    bare = Packet(Bth(Op.SEND_ONLY, QPN))
    long_udp = struct.pack(">H", 8 + 12 + 4 + 4)
    jumbo = encode(Packet(Bth(Op.SEND_ONLY, QPN), payload=bytes(4100)))
    rows = [
        (good, 1, DropReason.BAD_FRAME),
        (good[:13], 0, DropReason.SHORT),
        (tagged[:17], 0, DropReason.SHORT),
        (good[:33], 0, DropReason.SHORT),
        (six[:53], 0, DropReason.SHORT),
        (good[:41], 0, DropReason.SHORT),
        (good[:12] + b"\x08\x06" + good[14:], 0, DropReason.ETHERTYPE),
        (tagged[:12] + b"\x81\x00\x00\x01" + tagged[12:], 0, DropReason.ETHERTYPE),
        (_patched(good, 14, b"\x46", True), 0, DropReason.IP_HEADER),
        (_patched(good, 14, b"\x65", True), 0, DropReason.IP_HEADER),
        (_patched(six, 14, b"\x45"), 0, DropReason.IP_HEADER),
        (_patched(good, 24, bytes([good[24] ^ 1])), 0, DropReason.IP_CHECKSUM),
        (_patched(good, 20, b"\x20\x00", True), 0, DropReason.FRAGMENT),
        (_patched(good, 20, b"\x00\x01", True), 0, DropReason.FRAGMENT),
        (_patched(good, 23, b"\x06", True), 0, DropReason.NOT_ROCE),
        (_patched(six, 20, b"\x2c"), 0, DropReason.NOT_ROCE),
        (_patched(good, 36, b"\x12\xb6"), 0, DropReason.NOT_ROCE),
        (good[:-1], 0, DropReason.LENGTH),
        (good[:100], 0, DropReason.LENGTH),
        (_patched(good, 38, b"\x00\x10"), 0, DropReason.LENGTH),
        (_patched(_patched(six, 18, b"\0\x95"), 58, b"\0\x95") + b"x", 0, DropReason.LENGTH),
        (_patched(_patched(ack, 16, b"\0\x28", True), 38, b"\0\x14"), 0, DropReason.SHORT),
        (_patched(good, 60, bytes([good[60] ^ 1])), 0, DropReason.BAD_ICRC),
        (good[:-4] + good[:-5:-1], 0, DropReason.BAD_ICRC),
        (encode(Packet(Bth(Op.SEND_ONLY, QPN, version=1))), 0, DropReason.BAD_TVER),
        (encode(Packet(Bth(0xC4, QPN))), 0, DropReason.BAD_OPCODE),
        (encode(Packet(Bth(0x24, QPN), payload=b"uc")), 0, DropReason.BAD_OPCODE),
        (encode(Packet(Bth(0x64, 1), payload=b"ud", deth=Deth(1, 2))), 0, DropReason.BAD_OPCODE),
        (encode(Packet(Bth(0xA4, QPN), payload=b"xrc", xrceth=1)), 0, DropReason.BAD_OPCODE),
        (encode(Packet(Bth(0x81, QPN), payload=bytes(16))), 0, DropReason.CNP_UNSUPPORTED),
        (seal(_patched(encode(bare), 42, b"\x0a")), 0, DropReason.SHORT),
        (seal(_patched(encode(bare), 43, b"\x30")), 0, DropReason.SHORT),
        (jumbo, 0, DropReason.LONG),
        (good + bytes(4207 - len(good)), 0, DropReason.LONG),
        (good + bytes(9000), 0, DropReason.LONG),
    ]
    assert long_udp
    return rows


@cocotb.test()
@cocotb.parametrize(between=[False, True])
async def every_bad_frame_is_dropped_for_its_reason(dut, between):
    bench = await RxBench.start(dut)
    expected = Memory()
    count = 0
    rows = crafted()
    for n, (frame, bad, _) in enumerate(rows):
        bench.send(frame, bad)
        if between:
            payload = random.randbytes(random.randrange(1, 300))
            address = TARGET + 4096 * (n + 1) + random.randrange(64)
            bench.send(write_packet(n, address, payload))
            expected.put(address, payload)
            count += 1
    await bench.settle(len(rows) + count)
    assert bench.drops == [reason for _, _, reason in rows]
    assert bench.memory == expected
    assert psns(bench.done) == list(range(count))
    assert len(bench.frames_seen) == len(rows) + count
    assert bench.rdma_frames == count


@cocotb.test()
async def largest_frames_are_accepted(dut):
    bench = await RxBench.start(dut)
    for path in (V4, V6):
        for vlan in (None, 5):
            packet = write_packet(1, TARGET, random.randbytes(4096))
            frame = encode(replace(packet, path=replace(path, vlan=vlan)))
            padded = frame + bytes(4206 - len(frame))
            await accept(bench, [frame, padded, frame])


@cocotb.test()
async def any_flipped_byte_leaves_no_trace(dut):
    """Every byte from IP on; those that routers may change do not count."""
    bench = await RxBench.start(dut)
    for path in (V4, V6):
        source = {"src_ip": path.src_ip, "dst_ip": path.dst_ip}
        good = encode(write_packet(1, TARGET, bytes(range(75)), **source))
        bench.configs[QPN] = config(path.src_ip).to_int()
        bench.gids.clear()
        bench.own(path.dst_ip)
        v6 = path is V6
        udp = 54 if v6 else 34
        free = {15, 16, 17, 21} if v6 else set()
        free |= {udp + 6, udp + 7, udp + 12}
        bench.forget()
        expected = Memory()
        dropped = 0
        for at in range(12, len(good)):
            if at in free:
                continue
            bad = bytearray(good)
            bad[at] ^= 1 << random.randrange(8) if at != 14 or not v6 else 0x10
            bench.send(bytes(bad))
            dropped += 1
            if at % 7 == 0:
                payload = random.randbytes(90)
                bench.send(write_packet(at, TARGET + 4096 + 128 * at, payload, **source))
                expected.put(TARGET + 4096 + 128 * at, payload)
        alive = sum(at % 7 == 0 and at not in free for at in range(12, len(good)))
        await bench.settle(dropped + alive)
        assert len(bench.drops) == dropped
        assert len(bench.done) == alive
        assert bench.memory == expected


@cocotb.test()
async def truncated_anywhere_leaves_no_trace(dut):
    bench = await RxBench.start(dut)
    payload = random.randbytes(150)
    good = encode(write_packet(1, TARGET, payload))
    for size in range(1, len(good)):
        bench.send(good[:size])
    bench.send(good)
    await bench.settle(len(good))
    assert len(bench.drops) == len(good) - 1
    assert set(bench.drops) == {DropReason.SHORT, DropReason.LENGTH}
    expected = Memory()
    expected.put(TARGET, payload)
    assert bench.memory == expected


@cocotb.test()
async def queue_pair_checks_drop_and_count(dut):
    bench = await RxBench.start(dut)
    peer = V4.src_ip
    payload = random.randbytes(200)
    request = write_packet(1, TARGET, payload)
    response = Packet(Bth(Op.READ_RESPONSE_ONLY, QPN, psn=2), aeth=Aeth(0x1F, 1), payload=payload)
    cases = [
        ({"exists": 0}, {}, DropReason.BAD_QPN, "both"),
        ({"qp_type": QpType.UC}, {}, DropReason.QP_TYPE, "both"),
        ({"qp_type": QpType.UD, "state": QpState.ERR}, {}, DropReason.QP_TYPE, "both"),
        ({"dest_gid": 1}, {}, DropReason.BAD_ADDRESS, "both"),
        ({"sgid_index": 1}, {}, DropReason.BAD_ADDRESS, "both"),
        ({"pkey": 0x7FFF}, {"p_key": 0x7FFF}, DropReason.BAD_PKEY, "both"),
        ({"pkey": 0x8000}, {"p_key": 0x8000}, DropReason.BAD_PKEY, "both"),
        ({"pkey": 0xFFFE}, {}, DropReason.BAD_PKEY, "both"),
        ({"pkey": 0x7FFF}, {}, DropReason.NONE, "both"),
        ({}, {"p_key": 0x7FFF}, DropReason.NONE, "both"),
    ]
    for state in QpState:
        ok = state in (QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE)
        reason = DropReason.NONE if ok else DropReason.QP_STATE
        cases.append(({"state": state}, {}, reason, "req"))
        ok = state in (QpState.RTS, QpState.SQD)
        reason = DropReason.NONE if ok else DropReason.QP_STATE
        cases.append(({"state": state}, {}, reason, "rsp"))
    for changes, bth, reason, which in cases:
        bench.configs[QPN] = config(peer, **changes).to_int()
        for side, packet in (("req", request), ("rsp", response)):
            if which not in (side, "both"):
                continue
            bench.forget()
            bench.send(replace(packet, bth=replace(packet.bth, **bth)))
            await bench.settle(1)
            if reason:
                assert bench.qp_drops == [reason], (changes, bench.qp_drops)
                assert not bench.headers and not bench.memory.masks
            else:
                assert [s for s, _ in bench.headers] == [side]
    bench.configs[QPN] = config(peer).to_int()
    bench.gids.clear()
    bench.forget()
    bench.send(request)
    await bench.settle(1)
    assert bench.qp_drops == [DropReason.BAD_ADDRESS]


@cocotb.test()
async def dropped_frames_keep_their_place(dut):
    """Frames to a queue pair that is not there, between good ones, with payload."""
    bench = await RxBench.start(dut, stall="half")
    expected = Memory()
    alive = []
    for n in range(120):
        payload = random.randbytes(random.choice([0, 1, 64, 130, 1024]))
        packet = write_packet(n, TARGET + (n << 12) + n % 64, payload)
        if random.random() < 0.4:
            packet = replace(packet, bth=replace(packet.bth, dest_qp=0x99))
        else:
            expected.put(packet.reth.va, payload)
            alive.append(n)
        bench.send(packet)
    await bench.settle(120)
    assert psns(bench.done) == alive
    assert bench.qp_drops == [DropReason.BAD_QPN] * (120 - len(alive))
    assert bench.memory == expected


@cocotb.test()
async def nothing_enters_while_disabled(dut):
    bench = await RxBench.start(dut)
    dut.enable.value = 0
    bench.send(write_packet(1, TARGET, bytes(1000)))
    for _ in range(8):
        await RisingEdge(dut.clk)
    dut.enable.value = 1  # in the middle: the rest of the frame is lost too
    bench.send(write_packet(2, TARGET, bytes(10)))
    await bench.settle(2)
    assert bench.drops == [DropReason.DISABLED]
    assert psns(bench.done) == [2]


@cocotb.test()
async def every_field_of_every_header_is_read(dut):
    bench = await RxBench.start(dut)
    frames = []
    for path in (V4, V6):
        for vlan in (None, 0xE123):
            here = replace(path, vlan=vlan)
            number = random.getrandbits
            bth = Bth(0, QPN, psn=number(24), ack_req=True, solicited=True, p_key=0x7FFF)
            for packet in (
                Packet(replace(bth, opcode=Op.WRITE_ONLY_IMM), here, b"abc",
                       reth=Reth(number(64), number(32), 3), imm=number(32)),
                Packet(replace(bth, opcode=Op.SEND_LAST_INV), here, b"abcd", ieth=number(32)),
                Packet(replace(bth, opcode=Op.SEND_ONLY_IMM), here, b"", imm=number(32)),
                Packet(replace(bth, opcode=Op.CMP_SWAP), here,
                       atomic_eth=AtomicEth(number(64), number(32), number(64), number(64))),
                Packet(replace(bth, opcode=Op.ATOMIC_ACK), here, aeth=Aeth(0x9F, number(24)),
                       atomic_ack=number(64)),
                Packet(replace(bth, opcode=Op.READ_REQUEST), here,
                       reth=Reth(number(64), number(32), number(32))),
                Packet(replace(bth, opcode=Op.READ_RESPONSE_LAST), here, bytes(77),
                       aeth=Aeth(0x1F, number(24))),
                Packet(replace(bth, opcode=Op.READ_RESPONSE_MIDDLE), here, bytes(1024)),
            ):  # fmt: skip
                frames.append(encode(packet))
        await accept(bench, frames)
        frames.clear()
