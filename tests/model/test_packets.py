"""The packet codec against written-out frames, recorded traffic and scapy."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.roce import AETH, BTH
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from tb.conformance import covers
from tb.model import icrc as crc
from tb.model.headers import (
    Aeth,
    AtomicEth,
    Bth,
    DecodeError,
    Deth,
    Drop,
    Feth,
    Packet,
    Path,
    Reth,
)
from tb.model.opcodes import CNP, OPCODES, Header, Op, Part, Transport, name_of
from tb.model.packets import decode, encode, ipv4_checksum
from tests.model import golden

VECTORS = {v["name"]: v for v in json.loads((golden.DATA / "vectors.json").read_text())}
FRAMES = {name: bytes.fromhex(v["frame"]) for name, v in VECTORS.items()}

A4, B4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6 = bytes.fromhex("20010db8000000000000000000000001")
B6 = bytes.fromhex("20010db8000000000000000000000002")


@pytest.mark.parametrize("name", VECTORS)
def test_vector_decodes_and_encodes_to_the_same_bytes(name: str) -> None:
    frame = FRAMES[name]
    packet = decode(frame)
    assert encode(packet) == frame
    assert encode(replace(packet, pad=None)) == frame


@pytest.mark.parametrize("name", VECTORS)
@covers("ROCE-027")
def test_vector_icrc(name: str) -> None:
    right, carried = crc.frame_icrc(FRAMES[name])
    assert right == carried == bytes.fromhex(VECTORS[name]["icrc"])


def _from_a(opcode: int, psn: int, dest_qp: int = 0x12, **fields: object) -> Packet:
    path = Path(sport=0xC123, ident=0x1234)
    bth_fields = {k: fields.pop(k) for k in ("ack_req", "solicited") if k in fields}
    return Packet(Bth(opcode, dest_qp, psn, **bth_fields), path, **fields)  # type: ignore[arg-type]


def _v6(packet: Packet) -> Packet:
    return replace(packet, path=replace(packet.path, src_ip=A6, dst_ip=B6))


def _back(packet: Packet) -> Packet:
    path = packet.path
    back = replace(path, src_mac=path.dst_mac, dst_mac=path.src_mac)
    return replace(packet, path=replace(back, src_ip=path.dst_ip, dst_ip=path.src_ip))


PATTERN = bytes(range(256))
KEY, VA = 0x00ABCD42, 0x0000123456789000
RC, UD, XRC = Transport.RC, Transport.UD, Transport.XRC

# Written from the titles and field lists of the vectors, not from the codec.
BY_HAND = {
    "V01": _from_a(RC | Op.SEND_ONLY, 100, ack_req=True, solicited=True, payload=b"hello"),
    "V02": _from_a(RC | Op.WRITE_FIRST, 0xFFFFFE, reth=Reth(VA, KEY, 525), payload=PATTERN),
    "V05": _back(_from_a(RC | Op.ACK, 0, 0x11, aeth=Aeth(0x1F, 2))),
    "V06": _back(_from_a(RC | Op.ACK, 0x65, 0x11, aeth=Aeth(0x60, 1))),
    "V07": _back(_from_a(RC | Op.ACK, 0x66, 0x11, aeth=Aeth(0x2C, 1))),
    "V08": _from_a(
        RC | Op.CMP_SWAP,
        0x70,
        ack_req=True,
        atomic_eth=AtomicEth(VA + 8, KEY, 0x1122334455667788, 0x0102030405060708),
    ),
    "V09": _back(
        _from_a(RC | Op.ATOMIC_ACK, 0x70, 0x11, aeth=Aeth(0x1F, 3), atomic_ack=0x0102030405060708)
    ),
    "V12": _v6(_from_a(RC | Op.READ_REQUEST, 0x73, ack_req=True, reth=Reth(VA, KEY, 10))),
    "V14": _from_a(RC | Op.WRITE_ONLY, 0x74, ack_req=True, reth=Reth(0, 0, 0)),
    "V21": _from_a(RC | Op.FLUSH, 0x77, ack_req=True, feth=Feth(1, 0), reth=Reth(VA, KEY, 525)),
    "V29": _from_a(
        UD | Op.SEND_ONLY_IMM,
        6,
        0x22,
        solicited=True,
        deth=Deth(0x11111111, 0x21),
        imm=0x01020304,
        payload=bytes.fromhex("aabbccdd"),
    ),
    "V31": _from_a(
        RC | Op.WRITE_ONLY_IMM,
        0x79,
        ack_req=True,
        solicited=True,
        reth=Reth(VA, KEY, 1),
        imm=0xA5A55A5A,
        payload=b"\x5a",
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_vector_says_what_its_title_says(name: str) -> None:
    seen, want = decode(FRAMES[name]), BY_HAND[name]
    ident, traffic = seen.path.ident, seen.path.traffic_class
    assert replace(seen, pad=None) == replace(
        want, path=replace(want.path, ident=ident, traffic_class=traffic)
    )


def _bit_serial(data: bytes) -> int:
    """CRC-32 one bit at a time, most significant bit first: no table, no zlib."""
    register = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            feedback = (register >> 31) ^ (byte >> bit & 1)
            register = (register << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if feedback else 0)
    return int(f"{register ^ 0xFFFFFFFF:032b}"[::-1], 2)


def test_icrc_steps_of_v01() -> None:
    stream = bytes.fromhex(
        "ffffffffffffffff45ff003412344000ff11ffff0a0000010a000002"
        "c12312b70020ffff04f0ffffff0000128000006468656c6c6f000000"
    )
    assert _bit_serial(stream).to_bytes(4, "little") == bytes.fromhex("fde2a66a")
    assert _bit_serial(b"\xff" * 8) ^ 0xFFFFFFFF == 0xDEBB20E3


def test_icrc_of_a_captured_connectx_cnp() -> None:
    frame = bytes.fromhex(
        "e41d2dab2bc27cfe90643b320800"
        "45c2003c718c4000401191610a0011010a001201"
        "000012b700280000"
        "8100ffff4000011800000000"
        "00000000000000000000000000000000"
        "82fd002a"
    )
    packet = decode(frame)
    assert packet.bth.opcode == CNP
    assert packet.bth.becn
    assert packet.payload == bytes(16)
    assert encode(packet) == frame


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden_frames_decode_with_good_icrc(name: str) -> None:
    trace = golden.load(name)
    assert len(trace.roce) == trace.info["roce_frames"]
    names: Counter[str] = Counter()
    for _, frame in trace.roce:
        packet = decode(frame, check_icrc=False)
        opcode = name_of(packet.bth.opcode)
        names[opcode] += 1
        if opcode == "RC_FLUSH":
            with pytest.raises(DecodeError, match="ICRC"):
                decode(frame)
        else:
            assert encode(decode(frame)) == frame
        assert len(packet.pad or b"") == -len(packet.payload) % 4
    assert names["RC_FLUSH"] == (2 if name == "atomic_write_flush_v4" else 0)


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden_other_frames_are_not_roce(name: str) -> None:
    trace = golden.load(name)
    for frame in trace.frames:
        if not golden.is_roce(frame):
            with pytest.raises(DecodeError) as error:
                decode(frame)
            assert error.value.reason is Drop.NOT_ROCE


# ---------------------------------------------------------------- random packets, scapy as judge

WORD, LONG = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
U24 = st.integers(0, 2**24 - 1)
HEADER_VALUES = {
    Header.XRCETH: U24,
    Header.DETH: st.builds(Deth, WORD, U24),
    Header.FETH: st.builds(Feth, st.integers(0, 15), st.integers(0, 3)),
    Header.RETH: st.builds(Reth, LONG, WORD, WORD),
    Header.ATOMIC_ETH: st.builds(AtomicEth, LONG, WORD, LONG, LONG),
    Header.AETH: st.builds(Aeth, st.integers(0, 255), U24),
    Header.ATOMIC_ACK: LONG,
    Header.IMM: WORD,
    Header.IETH: WORD,
}


@st.composite
def paths(draw: st.DrawFn) -> Path:
    size = draw(st.sampled_from([4, 16]))
    ip = st.binary(min_size=size, max_size=size)
    mac = st.binary(min_size=6, max_size=6)
    return Path(
        src_mac=draw(mac),
        dst_mac=draw(mac),
        src_ip=draw(ip),
        dst_ip=draw(ip),
        vlan=draw(st.none() | st.integers(0, 0xFFFF)),
        traffic_class=draw(st.integers(0, 255)),
        hop_limit=draw(st.integers(0, 255)),
        flow_label=draw(st.integers(0, 0xFFFFF)) if size == 16 else 0,
        ident=draw(st.integers(0, 0xFFFF)) if size == 4 else 0,
        fragment=draw(st.sampled_from([0, 0x4000])) if size == 4 else 0x4000,
        sport=draw(st.integers(0, 0xFFFF)),
        udp_checksum=draw(st.sampled_from([0, 0x1234])),
    )


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    opcode = draw(st.sampled_from(sorted(OPCODES)))
    flag, values = st.booleans(), {}
    for header in OPCODES[opcode].headers:
        values[header.value[0]] = draw(HEADER_VALUES[header])
    bth = Bth(
        opcode,
        draw(U24),
        draw(U24),
        ack_req=draw(flag),
        solicited=draw(flag),
        migrated=draw(flag),
        p_key=draw(st.integers(0, 0xFFFF)),
        fecn=draw(flag),
        becn=draw(flag),
    )
    # scapy's CNP layer wants exactly its 16 bytes.
    payload = bytes(16) if opcode == CNP else draw(st.binary(max_size=300))
    return Packet(bth, draw(paths()), payload, pad=bytes(-len(payload) % 4), **values)


def _scapy(packet: Packet) -> bytes:
    path, bth = packet.path, packet.bth
    frame = Ether(src=path.src_mac.hex(":"), dst=path.dst_mac.hex(":"))
    if path.vlan is not None:
        frame /= Dot1Q(prio=path.vlan >> 13, dei=path.vlan >> 12 & 1, vlan=path.vlan & 0xFFF)
    if len(path.src_ip) == 4:
        src, dst = (".".join(map(str, ip)) for ip in (path.src_ip, path.dst_ip))
        flags = "DF" if path.fragment else 0
        frame /= IP(
            src=src, dst=dst, tos=path.traffic_class, ttl=path.hop_limit, id=path.ident, flags=flags
        )
    else:
        src, dst = (ip.hex(":", 2) for ip in (path.src_ip, path.dst_ip))
        flow = path.flow_label
        frame /= IPv6(src=src, dst=dst, tc=path.traffic_class, fl=flow, hlim=path.hop_limit)
    frame /= UDP(sport=path.sport, dport=4791, chksum=path.udp_checksum)
    shape = OPCODES[bth.opcode]
    layer = BTH(
        opcode=bth.opcode,
        solicited=bth.solicited,
        migreq=bth.migrated,
        padcount=len(packet.pad or b""),
        version=0,
        pkey=bth.p_key,
        fecn=bth.fecn,
        becn=bth.becn,
        dqpn=bth.dest_qp,
        ackreq=bth.ack_req,
        psn=bth.psn,
    )
    frame /= layer
    if bth.opcode == RC | Op.ACK:
        assert packet.aeth
        return bytes(frame / AETH(syndrome=packet.aeth.syndrome, msn=packet.aeth.msn))
    after_bth = shape.header_bytes + len(packet.payload) + len(packet.pad or b"")
    return bytes(frame / Raw(encode(packet)[-4 - after_bth : -4]))


@settings(max_examples=300, deadline=None)
@given(packets())
def test_scapy_builds_the_same_frame(packet: Packet) -> None:
    if packet.bth.opcode == RC | Op.ACK:
        packet = replace(packet, payload=b"", pad=b"")
    assert encode(packet) == _scapy(packet)


@settings(max_examples=300, deadline=None)
@given(packets())
def test_decode_is_the_inverse_of_encode(packet: Packet) -> None:
    frame = encode(packet)
    assert decode(frame) == packet
    assert decode(frame + bytes(7)) == packet  # Ethernet padding is not looked at


@settings(max_examples=100, deadline=None)
@given(packets(), st.data())
@covers("ROCE-029")
def test_any_covered_bit_breaks_the_icrc(packet: Packet, data: st.DataObject) -> None:
    packet = replace(packet, path=replace(packet.path, vlan=None))
    frame = bytearray(encode(packet))
    ip = 14
    bth = ip + (20 if len(packet.path.src_ip) == 4 else 40) + 8
    at = data.draw(st.integers(bth, len(frame) - 1).filter(lambda i: i != bth + 4))
    frame[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DecodeError) as error:
        decode(bytes(frame))
    assert error.value.reason is Drop.BAD_ICRC


@settings(max_examples=100, deadline=None)
@given(packets(), st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF))
@covers("ROCE-028")
def test_routers_do_not_break_the_icrc(
    packet: Packet, traffic: int, hops: int, checksum: int
) -> None:
    path = replace(
        packet.path, traffic_class=traffic, hop_limit=hops, udp_checksum=checksum, vlan=5
    )
    changed = replace(packet, path=path, bth=replace(packet.bth, fecn=True, becn=True, reserved6=3))
    assert encode(changed)[-4:] == encode(packet)[-4:]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_noise_never_decodes_and_never_crashes(noise: bytes) -> None:
    for ether in (b"\x08\x00\x45", b"\x86\xdd\x60", b"\x81\x00"):
        with pytest.raises(DecodeError):
            decode(bytes(12) + ether + noise)


# ---------------------------------------------------------------- frames that must be dropped

V01 = FRAMES["V01"]


def _patched(frame: bytes, at: int, *values: int, checksum: bool = True) -> bytes:
    out = bytearray(frame)
    out[at : at + len(values)] = values
    if checksum and out[12:14] == b"\x08\x00":
        out[24:26] = b"\0\0"
        out[24:26] = ipv4_checksum(bytes(out[14:34])).to_bytes(2, "big")
    return bytes(out)


BAD_FRAMES = {
    "no_ethertype": (V01[:13], Drop.TRUNCATED),
    "arp": (_patched(V01, 12, 8, 6), Drop.NOT_ROCE),
    "double_tag": (V01[:12] + bytes.fromhex("8100006481000064") + V01[12:], Drop.DOUBLE_TAG),
    "version_6_in_ipv4": (_patched(V01, 14, 0x65), Drop.IP_VERSION),
    "ip_options": (_patched(V01, 14, 0x46), Drop.IP_OPTIONS),
    "more_fragments": (crc.seal(_patched(V01, 20, 0x20, 0)), Drop.IP_FRAGMENT),
    "fragment_offset": (crc.seal(_patched(V01, 20, 0, 1)), Drop.IP_FRAGMENT),
    "ip_checksum": (_patched(V01, 24, 0, 0, checksum=False), Drop.IP_CHECKSUM),
    "tcp": (_patched(V01, 23, 6), Drop.NOT_ROCE),
    "other_port": (_patched(V01, 36, 0, 53), Drop.NOT_ROCE),
    "cut_short": (V01[:-1], Drop.TRUNCATED),
    "udp_longer_than_ip": (_patched(V01, 38, 0, 0x24), Drop.UDP_LENGTH),
    "udp_shorter_than_ip": (_patched(V01, 38, 0, 0x1C), Drop.UDP_LENGTH),
    "icrc_bit": (_patched(V01, len(V01) - 1, V01[-1] ^ 1), Drop.BAD_ICRC),
    "icrc_big_endian": (V01[:-4] + V01[:-5:-1], Drop.BAD_ICRC),
    "tver": (crc.seal(_patched(V01, 43, V01[43] | 1)), Drop.BTH_VERSION),
    "rd_class": (crc.seal(_patched(V01, 42, 0x44)), Drop.OPCODE_CLASS),
    "vendor_class": (crc.seal(_patched(V01, 42, 0xC4)), Drop.OPCODE_CLASS),
    "cnp_class_but_no_cnp": (crc.seal(_patched(V01, 42, 0x80)), Drop.OPCODE_CLASS),
    "no_room_for_reth": (crc.seal(_patched(V01, 42, 0x0A)), Drop.TOO_SHORT),
    "no_room_for_atomic": (crc.seal(_patched(V01, 42, 0x13)), Drop.TOO_SHORT),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_frame_names_its_fault(name: str) -> None:
    frame, reason = BAD_FRAMES[name]
    with pytest.raises(DecodeError) as error:
        decode(frame)
    assert error.value.reason is reason


@pytest.mark.parametrize("op", [0x15, 0x18, 0x1B, 0x1E, 0x1F])
def test_reserved_rc_opcode_decodes_without_a_shape(op: int) -> None:
    packet = decode(crc.seal(_patched(V01, 42, op)))
    assert packet.shape is None
    assert packet.payload == b"hello"


def test_pad_content_is_kept_apart_from_the_payload() -> None:
    frame = crc.seal(_patched(V01, len(V01) - 7, 1, 2, 3))
    packet = decode(frame)
    assert (packet.payload, packet.pad) == (b"hello", b"\x01\x02\x03")
    assert encode(packet) == frame


HEADER_BYTES = {
    **dict.fromkeys((0x00, 0x01, 0x02, 0x04, 0x07, 0x08, 0x0E), 0),
    **dict.fromkeys((0x03, 0x05, 0x09, 0x16, 0x17, 0x0D, 0x0F, 0x10, 0x11), 4),
    **dict.fromkeys((0x06, 0x0A, 0x0C, 0x1D), 16),
    **{0x0B: 20, 0x12: 12, 0x13: 28, 0x14: 28, 0x1C: 20},
}


def test_header_lengths_are_those_of_the_parser_table() -> None:
    for op, size in HEADER_BYTES.items():
        assert OPCODES[op].header_bytes == size
        response = OPCODES[op].kind.is_response
        assert OPCODES[XRC | op].header_bytes == size + (0 if response else 4)
    for op in range(12):
        assert OPCODES[Transport.UC | op].header_bytes == HEADER_BYTES[op]
    assert OPCODES[0x64].header_bytes == 8
    assert OPCODES[0x65].header_bytes == 12
    assert OPCODES[CNP].header_bytes == 0
    assert len(OPCODES) == 25 + 12 + 25 + 2 + 1


def test_receives_are_taken_where_the_opcode_table_says() -> None:
    takes = {op for op in HEADER_BYTES if OPCODES[op].takes_receive}
    assert takes == {0x00, 0x04, 0x05, 0x17, 0x09, 0x0B}
    assert OPCODES[0x02].part is Part.LAST
