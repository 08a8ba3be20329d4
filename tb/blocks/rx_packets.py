"""Frames for the receive pipeline, what must become of them, and memory to compare with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from spec.codes import Access, QpState, QpType
from spec.streams import MemReq, QpConfig, RxHeader, SegKind
from tb.model.headers import Bth, Packet, Path, Reth
from tb.model.opcodes import Op

QPN = 0x12
OTHER_QPN = 0x34
RKEY = 1 << 8 | 0x5A
PAGED_KEY = 2 << 8 | 0xA5
TARGET = 0x10_0000_0000
PAGED_BASE = 0x7000_0000_0000
PAGES = 256
LIST = 0x5_0000_0000
ALL_RIGHTS = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC


def gid(address: bytes) -> int:
    """An IP address as the adapter keeps it."""
    full = address if len(address) == 16 else bytes(10) + b"\xff\xff" + address
    return int.from_bytes(full, "little")


def config(peer: bytes, **changes: Any) -> QpConfig:
    """A connected RC queue pair."""
    good = QpConfig(
        state=QpState.RTS,
        exists=1,
        qp_type=QpType.RC,
        pd=7,
        pkey=0xFFFF,
        path_mtu=5,
        dest_gid=gid(peer),
    )
    return replace(good, **changes)


def expected_header(packet: Packet, index: int = 0) -> RxHeader:
    """What the parser must say of a packet, computed from the reference decoder's view."""
    size = len(packet.payload)
    start = 34 + (4 if packet.path.vlan is not None else 0)
    start += 20 if len(packet.path.src_ip) == 4 else 40
    start += packet.shape.header_bytes if packet.shape else 0
    reth = packet.reth or packet.atomic_eth
    imm = 0
    if packet.imm is not None:
        imm = int.from_bytes(packet.imm.to_bytes(4, "big"), "little")
    atomic = packet.atomic_eth
    return RxHeader(
        opcode=packet.bth.opcode,
        psn=packet.bth.psn,
        qpn=packet.bth.dest_qp,
        pkey=packet.bth.p_key,
        solicited=int(packet.bth.solicited),
        ack_req=int(packet.bth.ack_req),
        pad=len(packet.pad or b""),
        ce=int(packet.path.ecn == 3 or packet.bth.fecn),
        becn=int(packet.bth.becn),
        src_gid=gid(packet.path.src_ip),
        dest_hit=1,
        sgid_index=index,
        reth_va=reth.va if reth else 0,
        reth_rkey=reth.key if reth else 0,
        reth_len=packet.reth.length if packet.reth else 0,
        imm=packet.ieth if packet.ieth is not None else imm,
        syndrome=packet.aeth.syndrome if packet.aeth else 0,
        msn=packet.aeth.msn if packet.aeth else 0,
        swap=atomic.swap_or_add if atomic else packet.atomic_ack or 0,
        compare=atomic.compare if atomic else 0,
        payload_len=size,
        payload_off=start % 64,
        payload_beats=(start % 64 + size + 63) // 64 if size else 0,
    )


def segment(va: int, length: int, token: int = RKEY, **changes: Any) -> MemReq:
    """A remote write of one piece of memory."""
    good = MemReq(
        kind=SegKind.KEY, va=va, length=length, token=token, pd=7, access=Access.REMOTE_WRITE
    )
    return replace(good, **changes)


def write_packet(psn: int, va: int, payload: bytes, qpn: int = QPN, **path: Any) -> Packet:
    """An RDMA WRITE Only."""
    return Packet(
        Bth(Op.WRITE_ONLY, qpn, psn=psn & 0xFFFFFF),
        Path(**path),
        payload=payload,
        reth=Reth(va, RKEY, len(payload)),
    )


def untouched(line: int) -> bytearray:
    """What a line of memory holds before anybody writes it."""
    return bytearray((line >> 6 ^ line >> 12 ^ lane * 37) & 0xFF for lane in range(64))


@dataclass(eq=False)
class Memory:
    """Bytes that were written, and nothing else."""

    lines: dict[int, bytearray] = field(default_factory=dict)
    masks: dict[int, int] = field(default_factory=dict)

    def write(self, line: int, data: int, strobes: int) -> None:
        """One line with strobes."""
        if not strobes:
            raise AssertionError(f"line {line:#x} written without a byte")
        old = self.lines.setdefault(line, untouched(line))
        new = data.to_bytes(64, "little")
        for lane in range(64):
            if strobes >> lane & 1:
                old[lane] = new[lane]
        self.masks[line] = self.masks.get(line, 0) | strobes

    def line(self, line: int) -> bytes:
        """What is there now; unwritten memory is the same on both sides, and not zero."""
        return bytes(self.lines.setdefault(line, untouched(line)))

    def put(self, address: int, data: bytes) -> None:
        """Bytes anywhere."""
        while data:
            lane = address % 64
            part = data[: 64 - lane]
            old = self.lines.setdefault(address - lane, untouched(address - lane))
            old[lane : lane + len(part)] = part
            mask = ((1 << len(part)) - 1) << lane
            self.masks[address - lane] = self.masks.get(address - lane, 0) | mask
            address, data = address + len(part), data[len(part) :]

    def same_as(self, other: Memory) -> bool:
        """The same bytes were written, with the same values."""
        if self.masks != other.masks:
            return False
        return all(self.lines[address] == other.lines[address] for address in self.masks)
