"""The bench of the transmit pipeline: host memory, tables, and a judge of frames."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import Access, CqeStatus, QpState, QpType
from spec.layouts import KeyEntry, KeyKind
from spec.streams import (
    DmaReadReq,
    KeyOp,
    KeyWrite,
    MemReq,
    QpConfig,
    QpInit,
    QpInitOp,
    SegKind,
    TxPacket,
    TxResult,
)
from tb.model import packets as codec
from tb.model.headers import Aeth, AtomicEth, Bth, Packet, Path, Reth
from tb.model.opcodes import OPCODES, Header
from tb.packets import from_beats
from tb.streams import (
    Beat,
    Stall,
    StreamSink,
    StreamSource,
    cycles,
    no_stalls,
    reset,
    stall_pattern,
    start_clock,
)

LINE = 64
PAGE = 4096
MEMORY = 1 << 20
MAC = bytes.fromhex("020a0b0c0d0e")
PD = 7
PRIVILEGED, REGION, SMALL, REMOTE, FAST, LISTED = range(6)
ACK = 0x11
LOCAL_READ = Access(0)


def token(index: int) -> int:
    """Token of a key of the bench."""
    return index << 8 | 0x5A


KEYS = {
    PRIVILEGED: KeyEntry(
        key=0x5A, valid=1, kind=KeyKind.PRIVILEGED, access=Access(1), direct=1, page_shift=12,
        pd=PD, qpn=0, base=0, length=0, pages=0,
    ),
    REGION: KeyEntry(
        key=0x5A, valid=1, kind=KeyKind.MR, access=Access(1), direct=1, page_shift=12,
        pd=PD, qpn=0, base=0x7000_0000, length=MEMORY, pages=0,
    ),
    SMALL: KeyEntry(
        key=0x5A, valid=1, kind=KeyKind.MR, access=Access(1), direct=1, page_shift=12,
        pd=PD, qpn=0, base=0, length=PAGE, pages=0,
    ),
    REMOTE: KeyEntry(
        key=0x5A, valid=1, kind=KeyKind.MR, access=Access.REMOTE_READ, direct=1, page_shift=12,
        pd=PD, qpn=0, base=0, length=MEMORY, pages=0,
    ),
    FAST: KeyEntry(
        key=0, valid=0, kind=KeyKind.FAST_REG, access=Access(0), direct=0, page_shift=12,
        pd=PD, qpn=0, base=0, length=0, pages=0,
    ),
    LISTED: KeyEntry(
        key=0x5A, valid=1, kind=KeyKind.MR, access=Access(1), direct=0, page_shift=12,
        pd=PD, qpn=0, base=0x9000_0000, length=64 * PAGE, pages=0xF_0000,
    ),
}  # fmt: skip
"""Every key starts at bus address 0, but LISTED: 64 shuffled pages, their list at 0xF0000."""


@dataclass
class Port:
    """One queue pair's path: what its packets must look like below the BTH."""

    qpn: int
    path: Path
    pkey: int
    dest_qpn: int
    sgid: int

    def config(self) -> QpConfig:
        """The record a block would read."""
        path = self.path
        values = {
            "state": QpState.RTS, "exists": 1, "qp_type": QpType.RC, "pd": PD,
            "access": Access(0), "pkey": self.pkey, "path_mtu": 5, "dest_qpn": self.dest_qpn,
            "dest_gid": int.from_bytes(gid_of(path.dst_ip), "little"),
            "dest_mac": int.from_bytes(path.dst_mac, "little"),
            "sgid_index": self.sgid, "vlan_valid": int(path.vlan is not None),
            "vlan": path.vlan or 0, "traffic_class": path.traffic_class,
            "hop_limit": path.hop_limit, "flow_label": path.flow_label,
            "udp_sport": path.sport,
        }  # fmt: skip
        return replace(QpConfig.from_int(0), **values)


def gid_of(address: bytes) -> bytes:
    """The GID of an IPv4 or IPv6 address."""
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address


def make_port(qpn: int, *, v6: bool, vlan: bool) -> Port:
    """A queue pair with a random path."""
    size = 16 if v6 else 4
    first = b"\xfd" if v6 else b"\x0a"
    path = Path(
        src_mac=MAC,
        dst_mac=random.randbytes(6),
        src_ip=first + random.randbytes(size - 1),
        dst_ip=first + random.randbytes(size - 1),
        vlan=random.getrandbits(16) if vlan else None,
        traffic_class=random.getrandbits(8),
        hop_limit=random.getrandbits(8),
        flow_label=random.getrandbits(20) if v6 else 0,
        sport=random.getrandbits(16),
    )
    return Port(qpn, path, random.getrandbits(16), random.getrandbits(24), sgid=qpn)


NO_MEM = MemReq(
    op=KeyOp.CHECK, kind=SegKind.NONE, va=0, length=0, token=0, pd=0, qpn=0, access=Access(0)
)


@dataclass
class Job:
    """A packet to send: its descriptor beats, and the frame that must come out, if any."""

    beats: list[TxPacket]
    packet: Packet | None = None
    port: Port | None = None
    results: list[tuple[int, CqeStatus]] = field(default_factory=list)


class HostReads:
    """Answers host reads in order per client, a line per cycle, some cycles after the request."""

    def __init__(self, dut: SimHandleBase, memory: bytearray, stall: Stall) -> None:
        self.dut = dut
        self.memory = memory
        self.latency = 0
        self.gaps: Stall = no_stalls()
        self.bad_lines: set[int] = set()
        self.requests: list[tuple[int, int]] = []
        self._queues: tuple[deque[tuple[int, int]], ...] = (deque(), deque())
        self._now = 0
        self.sinks = [
            StreamSink(dut, name, record=DmaReadReq, stall=stall, on_beat=self._taker(client))
            for client, name in enumerate(("m_list", "m_read"))
        ]
        dut.s_dma_en.value = 0
        dut.s_dma_data.value = 0
        cocotb.start_soon(self._run())

    def clear(self) -> None:
        for queue in self._queues:
            queue.clear()

    def _taker(self, client: int) -> Callable[[DmaReadReq], None]:
        def take(request: DmaReadReq) -> None:
            assert 1 <= request.length <= PAGE
            assert request.addr // PAGE == (request.addr + request.length - 1) // PAGE
            assert request.addr + request.length <= len(self.memory)
            if client:
                self.requests.append((request.addr, request.length))
            first = request.addr // LINE
            last = (request.addr + request.length - 1) // LINE
            for line in range(first, last + 1):
                word = self._line(line) | int(line == last) << 512
                self._queues[client].append((self._now + self.latency, word))

        return take

    def _line(self, line: int) -> int:
        data = int.from_bytes(self.memory[line * LINE : line * LINE + LINE], "little")
        return data | int(line in self.bad_lines) << 513

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        driven = 0
        turn = 0
        while True:
            await edge
            self._now += 1
            enable = 0
            if not self.gaps():
                for client in (turn, 1 - turn):
                    queue = self._queues[client]
                    if queue and queue[0][0] <= self._now:
                        self.dut.s_dma_data.value = queue.popleft()[1]
                        enable = 1 << client
                        turn = random.getrandbits(1)
                        break
            if enable != driven:
                self.dut.s_dma_en.value = enable
                driven = enable


@dataclass
class Bench:
    """Clock, tables, host, both packet sources, and everything that leaves."""

    dut: SimHandleBase
    req: StreamSource
    rsp: StreamSource
    frames: StreamSink
    results: StreamSink
    host: HostReads
    memory: bytearray
    keys: StreamSource
    init: StreamSource
    slots: StreamSink
    ports: dict[int, Port] = field(default_factory=dict)
    seen: list[bytes] = field(default_factory=list)
    epochs: dict[int, int] = field(default_factory=dict)
    psn: int = 0
    base: int = field(default_factory=lambda: random.getrandbits(16))
    """Where the numbers of messages start; they rise with the PSN."""
    _inside: bool = False
    _beats: list[Beat] = field(default_factory=list)

    @classmethod
    async def start(cls, dut: SimHandleBase, idle: str = "none", stall: str = "none") -> Self:
        """Connect everything, reset, and fill the tables."""
        start_clock(dut)
        quiet = ("qp_write_en", "gid_write_en", "inline_write_en", "epoch_en", "drain_req_en")
        for name in quiet:
            getattr(dut, name).value = 0
        dut.mac.value = int.from_bytes(MAC, "little")
        dut.mig_req.value = 1
        dut.ecn.value = 0
        dut.cnp_tclass.value = 48 << 2 | 2
        dut.cnp_pcp.value = 6
        memory = bytearray(random.randbytes(MEMORY))
        bench = cls(
            dut,
            StreamSource(dut, "s_req", idle=stall_pattern(idle)),
            StreamSource(dut, "s_rsp", idle=stall_pattern(idle)),
            StreamSink(
                dut, "m_axis_tx", fields=("data", "keep", "last"), stall=stall_pattern(stall)
            ),
            StreamSink(dut, "m_result", record=TxResult, stall=stall_pattern(stall)),
            HostReads(dut, memory, stall_pattern(stall)),
            memory,
            StreamSource(dut, "s_key"),
            StreamSource(dut, "init"),
            StreamSink(dut, "inline_slot"),
        )
        bench.frames.on_beat = bench._on_beat
        cocotb.start_soon(bench._watch_gaps())
        bench.slots.paused = True
        await bench.reset()
        await bench.fill_tables()
        return bench

    async def reset(self) -> None:
        """Reset the design; everything under way is forgotten."""
        ends = (self.req, self.rsp, self.frames, self.results, *self.host.sinks,
                self.keys, self.init, self.slots)  # fmt: skip
        self.host.clear()
        await reset(self.dut, *ends)
        self.host.clear()
        self._beats.clear()
        self.seen.clear()

    def _on_beat(self, beat: Beat) -> None:
        self._beats.append(beat)
        if beat.last:
            self.seen.append(from_beats(self._beats))
            self._beats.clear()

    async def _watch_gaps(self) -> None:
        """A frame that has begun has a beat in every cycle."""
        edge = RisingEdge(self.dut.clk)
        valid, last, ready = (
            getattr(self.dut, f"m_axis_tx_{name}") for name in ("valid", "last", "ready")
        )
        while True:
            await edge
            if valid.value == 1:
                self._inside = not (last.value == 1 and ready.value == 1)
            else:
                assert not self._inside or self.frames.in_reset, "gap in a frame"
                self._inside = False

    async def fill_tables(self) -> None:
        """Keys, four queue pairs (IPv4, VLAN, IPv6, both), no poison."""
        while int(self.dut.keys_ready.value) == 0:
            await cycles(self.dut)
        self._write_page_list()
        for index, entry in KEYS.items():
            await self.keys.send(KeyWrite(index=index, entry=entry))
        for qpn in range(8):
            await self.set_port(make_port(qpn, v6=bool(qpn & 2), vlan=bool(qpn & 1)))
            await self.init_qp(qpn)

    def _write_page_list(self) -> None:
        self.pages = random.sample(range(0, 0xE0), 64)
        for number, page in enumerate(self.pages):
            at = 0xF_0000 + 8 * number
            self.memory[at : at + 8] = (page * PAGE).to_bytes(8, "little")

    async def init_qp(self, qpn: int, op: QpInitOp = QpInitOp.CREATE) -> None:
        """Send a QpInit and wait until it was taken."""
        await self.init.send(QpInit(op=op, qpn=qpn, psn=0))
        await self.set_epoch(qpn, 0)

    async def set_epoch(self, qpn: int, epoch: int) -> None:
        """The requester's word; packets made from now on are of this epoch."""
        dut = self.dut
        self.epochs[qpn] = epoch
        dut.epoch_qpn.value = qpn
        dut.epoch.value = epoch
        dut.epoch_en.value = 1
        await cycles(dut)
        dut.epoch_en.value = 0

    async def set_port(self, port: Port) -> None:
        """Write a queue pair and its own address."""
        dut = self.dut
        self.ports[port.qpn] = port
        dut.qp_write_qpn.value = port.qpn
        dut.qp_write_cfg.value = port.config().to_int()
        dut.qp_write_en.value = 1
        dut.gid_write_index.value = port.sgid
        dut.gid_write_gid.value = int.from_bytes(gid_of(port.path.src_ip), "little")
        dut.gid_write_en.value = 1
        await cycles(dut)
        dut.qp_write_en.value = 0
        dut.gid_write_en.value = 0

    # Making packets

    def bytes_at(self, key: int, va: int, length: int) -> bytes:
        """What the host holds there."""
        base = KEYS[key].base
        if key != LISTED:
            return bytes(self.memory[va - base : va - base + length])
        out = b""
        while length:
            number, offset = divmod(va - base, PAGE)
            size = min(length, PAGE - offset)
            at = self.pages[number] * PAGE + offset
            out += self.memory[at : at + size]
            va, length = va + size, length - size
        return out

    def segment(self, key: int, va: int, length: int, access: Access = LOCAL_READ) -> MemReq:
        """A piece of memory behind a key."""
        return MemReq(
            op=KeyOp.CHECK, kind=SegKind.KEY, va=va, length=length, token=token(key), pd=PD,
            qpn=0, access=access,
        )  # fmt: skip

    def job(
        self,
        qpn: int,
        opcode: int,
        segments: list[MemReq],
        payload: bytes | None = None,
        **fields: int,
    ) -> Job:
        """A packet of ``opcode`` whose payload is made of ``segments``."""
        self.psn = (self.psn + 1) & 0xFFFFFF
        known = all(segment.kind is not SegKind.INLINE for segment in segments)
        if payload is None and known:
            payload = b"".join(
                self.bytes_at(s.token >> 8, s.va, s.length) for s in segments if s.length
            )
        assert payload is not None
        values = {
            "first": 0, "last": 0, "local_op": 0, "response": int(_is_response(opcode)),
            "qpn": qpn, "msg_idx": self.psn + self.base & 0xFFFF, "opcode": opcode, "psn": self.psn,
            "solicited": random.getrandbits(1), "ack_req": random.getrandbits(1),
            "payload_len": len(payload), "reth_va": random.getrandbits(64),
            "reth_rkey": random.getrandbits(32), "reth_len": random.getrandbits(32),
            "imm": random.getrandbits(32), "syndrome": random.getrandbits(8),
            "msn": random.getrandbits(24), "swap": random.getrandbits(64),
            "compare": random.getrandbits(64), "inline_slot": 0,
            "epoch": self.epochs.get(qpn, 0),
        } | fields  # fmt: skip
        beats = [TxPacket(**values, mem=segment) for segment in segments or [NO_MEM]]
        # Header fields count in the first beat alone.
        beats = [beats[0], *(scramble(beat) for beat in beats[1:])]
        beats[0] = replace(beats[0], first=1)
        beats[-1] = replace(beats[-1], last=1)
        return Job(beats, self._expect(qpn, values, payload), self.ports[qpn])

    def _expect(self, qpn: int, values: dict[str, int], payload: bytes) -> Packet:
        port = self.ports[qpn]
        opcode = values["opcode"]
        bth = Bth(
            opcode=opcode, dest_qp=port.dest_qpn, psn=values["psn"],
            ack_req=bool(values["ack_req"]), solicited=bool(values["solicited"]),
            migrated=True, p_key=port.pkey,
        )  # fmt: skip
        headers = set(OPCODES[opcode].headers)
        va, key, length = values["reth_va"], values["reth_rkey"], values["reth_len"]
        swapped = int.from_bytes(values["imm"].to_bytes(4, "little"), "big")
        made = {
            Header.RETH: Reth(va, key, length),
            Header.AETH: Aeth(values["syndrome"], values["msn"]),
            Header.ATOMIC_ETH: AtomicEth(va, key, values["swap"], values["compare"]),
            Header.ATOMIC_ACK: values["swap"],
            Header.IMM: swapped,
            Header.IETH: values["imm"],
        }
        extra = {header.value[0]: made[header] for header in headers}
        return Packet(bth, port.path, payload, pad=bytes(-len(payload) % 4), **extra)

    def local(self, qpn: int, op: KeyOp, key: int, status: CqeStatus, **mem: int) -> Job:
        """A local operation."""
        request = MemReq(
            op=op, kind=SegKind.NONE, va=mem.get("va", 0), length=0,
            token=mem.get("token", token(key)), pd=PD, qpn=qpn, access=Access(mem.get("access", 1)),
        )  # fmt: skip
        job = self.job(
            qpn, 0, [request], payload=b"", reth_va=mem.get("pages", 0),
            swap=mem.get("length", 0), reth_len=mem.get("shift", 12) | mem.get("direct", 1) << 5,
        )  # fmt: skip
        job.beats[0] = replace(job.beats[0], local_op=1)
        job.packet = None
        job.results = [(job.beats[0].psn, status)]
        return job

    async def inline_job(self, qpn: int, opcode: int, payload: bytes, **fields: int) -> Job:
        """A packet whose payload is written into a slot of the inline buffer first."""
        slot = await self.take_slot()
        await self.write_slot(slot, payload)
        segment = replace(NO_MEM, kind=SegKind.INLINE, length=len(payload))
        return self.job(qpn, opcode, [segment], payload=payload, inline_slot=slot, **fields)

    async def take_slot(self) -> int:
        """Take the free slot that is offered."""
        self.slots.paused = False
        slot = await self.slots.recv()
        self.slots.paused = True
        self.slots.ready.value = 0
        self.slots._ready_now = False
        return int(slot)

    async def write_slot(self, slot: int, payload: bytes) -> None:
        """Write payload from byte 32 of a slot on, as many blocks as it takes."""
        data = random.randbytes(32) + payload
        data += random.randbytes(-len(data) % 64)
        dut = self.dut
        for block in range(len(data) // 64):
            dut.inline_write_slot.value = slot
            dut.inline_write_block.value = block
            dut.inline_write_data.value = int.from_bytes(data[64 * block :][:64], "little")
            dut.inline_write_en.value = 1
            await cycles(dut)
        dut.inline_write_en.value = 0

    # Sending and checking

    def send_nowait(self, *jobs: Job) -> None:
        """Queue packets at the source they belong to."""
        for job in jobs:
            source = self.rsp if job.beats[0].response else self.req
            for beat in job.beats:
                source.send_nowait(beat)

    async def settle(self, frames: int, limit: int = 20_000) -> None:
        """Wait for so many frames, then make sure that nothing more comes."""
        for _ in range(limit):
            if len(self.seen) >= frames and self.req.empty() and self.rsp.empty():
                break
            await cycles(self.dut)
        await cycles(self.dut, 60 + self.host.latency)
        assert len(self.seen) == frames, f"{len(self.seen)} frames, {frames} expected"

    def check(self, jobs: list[Job]) -> None:
        """Every frame is the packet of its job, in order."""
        wanted = [job for job in jobs if job.packet is not None]
        assert len(self.seen) == len(wanted)
        for frame, job in zip(self.seen, wanted, strict=True):
            check_frame(frame, job)
        self.seen.clear()

    async def exchange(self, jobs: list[Job]) -> None:
        """Send jobs, of one source each way in order, and check what leaves."""
        self.send_nowait(*jobs)
        await self.settle(sum(job.packet is not None for job in jobs))
        self.check(jobs)

    async def drain(self, limit: int = 5000) -> int:
        """Ask for a drain and return the cycles it took."""
        self.dut.drain_req_en.value = 1
        await cycles(self.dut)
        self.dut.drain_req_en.value = 0
        for cycle in range(limit):
            await cycles(self.dut)
            if int(self.dut.drain_done_en.value):
                return cycle
        raise AssertionError("no drain_done_en")


def _is_response(opcode: int) -> bool:
    return 0x0D <= opcode & 0x1F <= 0x12


def scramble(beat: TxPacket) -> TxPacket:
    """A later beat of a packet: only mem and last count."""
    return replace(
        beat, qpn=random.getrandbits(4), response=random.getrandbits(1), opcode=ACK,
        again=random.getrandbits(1), local_op=0, psn=random.getrandbits(24),
        msg_idx=random.getrandbits(16), payload_len=random.getrandbits(13),
        reth_va=random.getrandbits(64), imm=random.getrandbits(32), epoch=random.getrandbits(3),
    )  # fmt: skip


def check_frame(frame: bytes, job: Job) -> None:
    """A frame is its packet, byte by byte; the identification alone is free."""
    assert job.packet is not None
    got = codec.decode(frame)
    path = job.packet.path
    if len(path.src_ip) == 4:
        path = replace(path, ident=got.path.ident)
    want = codec.encode(replace(job.packet, path=path))
    assert frame == want, f"{frame.hex()} is not {want.hex()}: {job.packet}"
