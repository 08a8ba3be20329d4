"""The RoCEv2 packet codec: a packet's value to the bytes of its Ethernet frame, and back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tb.model import icrc as crc
from tb.model.headers import (
    PSN_MASK,
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
from tb.model.opcodes import CNP, OPCODES, Header, name_of, transport_of

UDP_PORT = 4791
IPV4, IPV6, VLAN_TAG = 0x0800, 0x86DD, 0x8100
BTH_BYTES = 12


def ipv4_checksum(header: bytes) -> int:
    """RFC 791 header checksum; 0 over a header that already carries the right one."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _encode_bth(bth: Bth, pad: int) -> bytes:
    flags = bth.solicited << 7 | bth.migrated << 6 | pad << 4 | bth.version
    word1 = (bth.fecn << 7 | bth.becn << 6 | bth.reserved6) << 24 | bth.dest_qp
    word2 = (bth.ack_req << 7 | bth.reserved7) << 24 | bth.psn
    return struct.pack(">BBHII", bth.opcode, flags, bth.p_key, word1, word2)


def _decode_bth(data: bytes) -> tuple[Bth, int]:
    opcode, flags, p_key, word1, word2 = struct.unpack(">BBHII", data)
    bth = Bth(
        opcode=opcode,
        dest_qp=word1 & PSN_MASK,
        psn=word2 & PSN_MASK,
        ack_req=bool(word2 >> 31),
        solicited=bool(flags & 0x80),
        migrated=bool(flags & 0x40),
        p_key=p_key,
        version=flags & 0xF,
        fecn=bool(word1 >> 31),
        becn=bool(word1 >> 30 & 1),
        reserved6=word1 >> 24 & 0x3F,
        reserved7=word2 >> 24 & 0x7F,
    )
    return bth, flags >> 4 & 3


# ImmDt, IETH, XRCETH (its first byte is reserved) and AtomicAckETH are one number.
_WORD: Callable[[Any], bytes] = struct.Struct(">I").pack
_WRITERS: dict[Header, Callable[[Any], bytes]] = {
    Header.RETH: lambda h: struct.pack(">QII", h.va, h.key, h.length),
    Header.AETH: lambda h: struct.pack(">I", h.syndrome << 24 | h.msn),
    Header.ATOMIC_ETH: lambda h: struct.pack(">QIQQ", h.va, h.key, h.swap_or_add, h.compare),
    Header.ATOMIC_ACK: struct.Struct(">Q").pack,
    Header.DETH: lambda h: struct.pack(">II", h.q_key, h.src_qp),
    Header.FETH: lambda h: struct.pack(">I", h.selectivity << 4 | h.placement),
}
_READERS: dict[Header, Callable[[bytes], object]] = {
    Header.RETH: lambda data: Reth(*struct.unpack(">QII", data)),
    Header.AETH: lambda data: Aeth(data[0], int.from_bytes(data[1:], "big")),
    Header.ATOMIC_ETH: lambda data: AtomicEth(*struct.unpack(">QIQQ", data)),
    Header.DETH: lambda data: Deth(
        int.from_bytes(data[:4], "big"), int.from_bytes(data[5:], "big")
    ),
    Header.FETH: lambda data: Feth(placement=data[3] & 0xF, selectivity=data[3] >> 4 & 3),
    Header.XRCETH: lambda data: int.from_bytes(data[1:], "big"),
}


def _encode_header(packet: Packet, header: Header) -> bytes:
    value = getattr(packet, header.value[0])
    if value is None:
        raise ValueError(f"{name_of(packet.bth.opcode)} needs {header.value[0]}")
    return _WRITERS.get(header, _WORD)(value)


def _decode_header(header: Header, data: bytes) -> object:
    reader = _READERS.get(header)
    return reader(data) if reader else int.from_bytes(data, "big")


def _encode_ip(path: Path, udp_length: int) -> tuple[int, bytes]:
    """EtherType and IP header."""
    addresses = path.src_ip + path.dst_ip
    if len(path.src_ip) == 16:
        word = 6 << 28 | path.traffic_class << 20 | path.flow_label
        return IPV6, struct.pack(">IHBB", word, udp_length, 17, path.hop_limit) + addresses
    start = struct.pack(
        ">BBHHHBB",
        0x45,
        path.traffic_class,
        20 + udp_length,
        path.ident,
        path.fragment,
        path.hop_limit,
        17,
    )
    checksum = ipv4_checksum(start + addresses)
    return IPV4, start + struct.pack(">H", checksum) + addresses


def encode_transport(packet: Packet) -> bytes:
    """BTH to pad, without the ICRC."""
    shape = packet.shape
    headers = shape.headers if shape else ()
    pad = packet.pad if packet.pad is not None else bytes(-len(packet.payload) % 4)
    parts = [_encode_bth(packet.bth, len(pad))]
    parts += [_encode_header(packet, header) for header in headers]
    return b"".join([*parts, packet.payload, pad])


def encode(packet: Packet) -> bytes:
    """The whole Ethernet frame, with ICRC, without FCS, not padded to 60 bytes."""
    transport = encode_transport(packet)
    path = packet.path
    udp_length = 8 + len(transport) + crc.ICRC_BYTES
    udp = struct.pack(">4H", path.sport, UDP_PORT, udp_length, path.udp_checksum)
    kind, ip = _encode_ip(path, udp_length)
    body = ip + udp + transport
    tag = b"" if path.vlan is None else struct.pack(">HH", VLAN_TAG, path.vlan)
    ether = path.dst_mac + path.src_mac + tag + struct.pack(">H", kind)
    return ether + body + crc.icrc(body)


def _need(frame: bytes, length: int) -> None:
    if len(frame) < length:
        raise DecodeError(Drop.TRUNCATED, f"{len(frame)} bytes, {length} needed")


def _decode_ether(frame: bytes) -> tuple[int, int, int | None]:
    """EtherType, where the IP header starts, and the VLAN tag."""
    _need(frame, 14)
    kind = int.from_bytes(frame[12:14], "big")
    if kind != VLAN_TAG:
        return kind, 14, None
    _need(frame, 18)
    tag, kind = struct.unpack_from(">HH", frame, 14)
    if kind == VLAN_TAG:
        raise DecodeError(Drop.DOUBLE_TAG)
    return kind, 18, tag


def _decode_ipv4(frame: bytes, at: int) -> tuple[Path, int, int]:
    """The IP part of the path, where UDP starts and where the packet ends."""
    _need(frame, at + 20)
    version, tclass, length, ident, fragment, ttl, protocol, _ = struct.unpack_from(
        ">BBHHHBBH", frame, at
    )
    if version >> 4 != 4:
        raise DecodeError(Drop.IP_VERSION, f"{version >> 4}")
    if version != 0x45:
        raise DecodeError(Drop.IP_OPTIONS, f"IHL {version & 0xF}")
    if ipv4_checksum(frame[at : at + 20]):
        raise DecodeError(Drop.IP_CHECKSUM)
    if fragment & 0x3FFF:
        raise DecodeError(Drop.IP_FRAGMENT)
    if protocol != 17:
        raise DecodeError(Drop.NOT_ROCE, f"protocol {protocol}")
    path = Path(
        src_ip=frame[at + 12 : at + 16],
        dst_ip=frame[at + 16 : at + 20],
        traffic_class=tclass,
        hop_limit=ttl,
        ident=ident,
        fragment=fragment,
    )
    return path, at + 20, at + length


def _decode_ipv6(frame: bytes, at: int) -> tuple[Path, int, int]:
    """The IP part of the path, where UDP starts and where the packet ends."""
    _need(frame, at + 40)
    word, length, protocol, hops = struct.unpack_from(">IHBB", frame, at)
    if word >> 28 != 6:
        raise DecodeError(Drop.IP_VERSION, f"{word >> 28}")
    if protocol != 17:
        raise DecodeError(Drop.NOT_ROCE, f"next header {protocol}")
    path = Path(
        src_ip=frame[at + 8 : at + 24],
        dst_ip=frame[at + 24 : at + 40],
        traffic_class=word >> 20 & 0xFF,
        hop_limit=hops,
        flow_label=word & 0xFFFFF,
    )
    return path, at + 40, at + 40 + length


def _decode_path(frame: bytes) -> tuple[Path, int, int, int]:
    """The path, and where IP, BTH and the end of the packet stand in the frame."""
    kind, at, vlan = _decode_ether(frame)
    if kind == IPV4:
        path, udp, end = _decode_ipv4(frame, at)
    elif kind == IPV6:
        path, udp, end = _decode_ipv6(frame, at)
    else:
        raise DecodeError(Drop.NOT_ROCE, f"EtherType 0x{kind:04x}")
    _need(frame, udp + 8)
    sport, dport, length, checksum = struct.unpack_from(">4H", frame, udp)
    if dport != UDP_PORT:
        raise DecodeError(Drop.NOT_ROCE, f"UDP port {dport}")
    _need(frame, end)
    if length != end - udp or length % 4:
        raise DecodeError(Drop.UDP_LENGTH, f"{length}, IP says {end - udp}")
    if length < 8 + BTH_BYTES + crc.ICRC_BYTES:
        raise DecodeError(Drop.TOO_SHORT, f"UDP length {length}")
    path = replace(
        path,
        dst_mac=frame[:6],
        src_mac=frame[6:12],
        vlan=vlan,
        sport=sport,
        udp_checksum=checksum,
    )
    return path, at, udp + 8, end


def decode(frame: bytes, check_icrc: bool = True) -> Packet:
    """The packet in an Ethernet frame; DecodeError names why there is none."""
    frame = bytes(frame)
    path, ip_at, at, end = _decode_path(frame)
    end -= crc.ICRC_BYTES
    if check_icrc:
        right = crc.icrc(memoryview(frame)[ip_at:end])
        if right != frame[end : end + 4]:
            raise DecodeError(Drop.BAD_ICRC, f"{frame[end : end + 4].hex()} is not {right.hex()}")
    bth, pad = _decode_bth(frame[at : at + BTH_BYTES])
    if bth.version:
        raise DecodeError(Drop.BTH_VERSION, f"{bth.version}")
    if transport_of(bth.opcode) is None or (bth.opcode & 0xE0 == 0x80 and bth.opcode != CNP):
        raise DecodeError(Drop.OPCODE_CLASS, f"opcode 0x{bth.opcode:02x}")
    at += BTH_BYTES
    shape = OPCODES.get(bth.opcode)
    fields: dict[str, object] = {}
    if shape:
        if end - at < shape.header_bytes + pad:
            raise DecodeError(Drop.TOO_SHORT, f"{name_of(bth.opcode)}: {end - at} bytes")
        for header in shape.headers:
            fields[header.value[0]] = _decode_header(header, frame[at : at + header.size])
            at += header.size
    elif end - at < pad:
        raise DecodeError(Drop.TOO_SHORT, f"opcode 0x{bth.opcode:02x}: {end - at} bytes")
    return Packet(bth, path, frame[at : end - pad], pad=frame[end - pad : end], **fields)  # type: ignore[arg-type]
