"""rnic_rx, the way in: headers of good frames, and every reason to drop one."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import replace

import cocotb

from spec.codes import DropReason
from spec.streams import MemReq, RxHeader
from tb.blocks.rx_bench import RxBench, psns
from tb.blocks.rx_packets import QPN, TARGET, Memory, config, expected_header, segment, write_packet
from tb.conformance import covers
from tb.model.headers import Aeth, AtomicEth, Bth, DecodeError, Drop, Packet, Path, Reth
from tb.model.opcodes import CNP, Op
from tb.model.packets import decode, encode, ipv4_checksum
from tests.model.golden import DATA, MAC_A, MAC_B, NAMES, load

# Icarus, which runs a tenth as fast, is there for its X: a part of the load will do.
FULL = cocotb.SIM_NAME == "Verilator"
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
    if packet.bth.opcode >> 5 and packet.bth.opcode != CNP:
        return DropReason.BAD_OPCODE
    return packet


async def accept(bench: RxBench, frames: list[bytes]) -> None:
    """Send frames whose headers and payload must arrive, or whose drop must be counted."""
    verdicts = [judge(frame) for frame in frames]
    good = [v for v in verdicts if isinstance(v, Packet)]
    packets = [p for p in good if p.bth.opcode != CNP]
    expected = Memory()
    places: list[int] = []
    for packet in good:
        peer = packet.path.src_ip
        bench.configs[packet.bth.dest_qp] = config(peer, sgid_index=3).to_int()
        bench.own(packet.path.dst_ip, 3)
    for n, packet in enumerate(packets):
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
    # Notifications reach the reaction point, marks the notification point; a CNP has no marks.
    assert bench.cnps == [p.bth.dest_qp for p in good if p.bth.becn or p.bth.opcode == CNP]
    assert bench.marks == [p.bth.dest_qp for p in packets if p.path.ecn == 3 or p.bth.fecn]
    assert bench.memory.same_as(expected)
    assert psns(bench.done) == [p.bth.psn for p in packets]


@cocotb.test()
@covers("ROCE-027")
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
        if not FULL:
            frames = [f for n, f in enumerate(frames) if n < 4 or len(f) < 100]
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
@covers("ROCE-011", "ROCE-014", "ROCE-028")
async def routers_may_change_what_they_may(dut):
    bench = await RxBench.start(dut)
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
        await accept(bench, [frame, bytes(changed), bytes(tagged), frame + b"trailing" * 9])
    assert bench.ce_frames == 4


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
async def every_field_of_every_header_is_read(dut):
    bench = await RxBench.start(dut)
    for path in (V4, V6):
        for vlan in (None, 0xE123):
            here = replace(path, vlan=vlan)
            number = random.getrandbits
            bth = Bth(0, QPN, psn=number(24), ack_req=True, solicited=True, p_key=0x7FFF)
            packets = (
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
            )  # fmt: skip
            await accept(bench, [encode(packet) for packet in packets])
