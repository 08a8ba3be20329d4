"""rnic_rx, what it refuses: every reason to drop a frame, which then leaves no trace."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import cocotb
from cocotb.triggers import RisingEdge

from spec.codes import DropReason, QpState, QpType
from tb.blocks.rx_bench import RxBench, psns
from tb.blocks.rx_packets import QPN, TARGET, Memory, config, write_packet
from tb.conformance import covers
from tb.model.headers import Aeth, Bth, Deth, Packet, Path
from tb.model.icrc import seal
from tb.model.opcodes import Op
from tb.model.packets import encode, ipv4_checksum

V4 = Path()
V6 = Path(src_ip=bytes(range(16)), dst_ip=bytes(range(16, 32)))


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
    six = encode(replace(write_packet(1, TARGET, bytes(100)), path=replace(V6, dst_mac=V4.dst_mac)))
    ack = encode(Packet(Bth(Op.ACK, QPN), aeth=Aeth(0x1F, 1)))
    tagged = good[:12] + b"\x81\x00\x00\x01" + good[12:]
    bare = Packet(Bth(Op.SEND_ONLY, QPN))
    jumbo = encode(Packet(Bth(Op.SEND_ONLY, QPN), payload=bytes(4100)))
    return [
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
        (encode(Packet(Bth(0x80, QPN), payload=bytes(16))), 0, DropReason.BAD_OPCODE),
        (encode(Packet(Bth(0x91, QPN), payload=bytes(16))), 0, DropReason.BAD_OPCODE),
        (seal(_patched(encode(bare), 42, b"\x0a")), 0, DropReason.SHORT),
        (seal(_patched(encode(bare), 43, b"\x30")), 0, DropReason.SHORT),
        (jumbo, 0, DropReason.LONG),
        (good + bytes(4207 - len(good)), 0, DropReason.LONG),
        (good + bytes(9000), 0, DropReason.LONG),
    ]


@cocotb.test()
@cocotb.parametrize(between=[False, True])
@covers("ROCE-009", "ROCE-010", "ROCE-013", "ROCE-031")
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
    assert bench.memory.same_as(expected)
    assert psns(bench.done) == list(range(count))
    assert len(bench.frames_seen) == len(rows) + count
    assert bench.rdma_frames == count


@cocotb.test()
@covers("ROCE-029", "ROCE-034")
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
        assert bench.memory.same_as(expected)


@cocotb.test()
@covers("ROCE-012")
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
    assert bench.memory.same_as(expected)


@cocotb.test()
@covers("ROCE-016", "ROCE-017")
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
                assert not bench.headers
                assert not bench.memory.masks
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
    assert bench.memory.same_as(expected)


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
