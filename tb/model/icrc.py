"""The invariant CRC of RoCEv2: which bytes are masked, and the CRC over the rest."""

from __future__ import annotations

import zlib

ICRC_BYTES = 4
ETHER_BYTES = 14
VLAN_BYTES = 4
UDP_BYTES = 8

_LRH = b"\xff" * 8
_TPID = b"\x81\x00"


def masked(headers: bytes) -> bytes:
    """The IP, UDP and BTH bytes as the CRC sees them: what a router may change reads as ones."""
    out = bytearray(headers)
    if out[0] >> 4 == 4:
        udp = (out[0] & 0xF) * 4
        out[1] = out[8] = out[10] = out[11] = 0xFF
    else:
        udp = 40
        out[0] |= 0x0F
        out[1:4] = b"\xff\xff\xff"
        out[7] = 0xFF
    out[udp + 6 : udp + 8] = b"\xff\xff"
    out[udp + UDP_BYTES + 4] = 0xFF
    return bytes(out)


def icrc(packet: bytes | memoryview) -> bytes:
    """The four ICRC bytes, as they lie on the wire, of an IP packet given without its ICRC."""
    first = packet[0]
    bth_end = ((first & 0xF) * 4 if first >> 4 == 4 else 40) + UDP_BYTES + 12
    crc = zlib.crc32(_LRH)
    crc = zlib.crc32(masked(bytes(packet[:bth_end])), crc)
    crc = zlib.crc32(packet[bth_end:], crc)
    return crc.to_bytes(ICRC_BYTES, "little")


def frame_icrc(frame: bytes) -> tuple[bytes, bytes]:
    """The ICRC a whole Ethernet frame should carry and the one that it does carry."""
    start = ETHER_BYTES + (VLAN_BYTES if frame[12:14] == _TPID else 0)
    packet = memoryview(frame)[start:]
    if packet[0] >> 4 == 4:
        length = int.from_bytes(packet[2:4], "big")
    else:
        length = 40 + int.from_bytes(packet[4:6], "big")
    body = packet[: length - ICRC_BYTES]
    return icrc(body), bytes(packet[length - ICRC_BYTES : length])


def seal(frame: bytes) -> bytes:
    """The frame with its ICRC made right, for a test that has changed other bytes of it."""
    right, _ = frame_icrc(frame)
    start = ETHER_BYTES + (VLAN_BYTES if frame[12:14] == _TPID else 0)
    if frame[start] >> 4 == 4:
        length = int.from_bytes(frame[start + 2 : start + 4], "big")
    else:
        length = 40 + int.from_bytes(frame[start + 4 : start + 6], "big")
    end = start + length
    return frame[: end - ICRC_BYTES] + right + frame[end:]
