"""The bench of the responder: a fake receive pipeline, host memory, tables, and checks."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from typing import Any, Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time

from spec.codes import Access, CqeStatus, QpState, QpType, Syndrome
from spec.layouts import Sge
from spec.streams import (
    CqeReq,
    DmaReadData,
    DmaReadReq,
    KeyOp,
    MemReq,
    QpConfig,
    QpError,
    QpInit,
    QpInitOp,
    RetireKind,
    RingUpdate,
    RqConfig,
    RxDone,
    RxFault,
    RxHeader,
    RxWork,
    SegKind,
    TxPacket,
)
from tb.blocks.rsp_model import Entry, Model, Order, Outcome, Qp, Ring
from tb.streams import CLOCK_NS, StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

QPS = 8
SRQS = 2
EVENTS = ("duplicate", "sequence", "no_wqe", "resource", "ack", "nak", "rnr_nak")


class Table:
    """A configuration table with one read port: the record comes two cycles after the number."""

    def __init__(self, dut: SimHandleBase, number: str, record: str, content: dict) -> None:
        self.number, self.record = getattr(dut, number), getattr(dut, record)
        self.content = content
        self.first = 0
        self.last: int | None = None

    def step(self) -> None:
        """One clock edge."""
        if self.first != self.last:
            self.record.value = self.first
            self.last = self.first
        value = self.number.value
        found = self.content.get(int(value)) if value.is_resolvable else None
        self.first = found.to_int() if found else 0


class Bench:
    """Clock, reset, the ends of every stream, and the model beside them."""

    def __init__(self, dut: SimHandleBase, stall: str, idle: str) -> None:
        self.dut = dut
        self.model = Model()
        self.configs: dict[int, QpConfig] = {}
        self.rings: dict[int, RqConfig] = {}
        self.memory: dict[int, tuple[int, bool]] = {}
        self.expected: deque[Outcome] = deque()
        self.moving: deque[tuple[float, RxDone, Outcome]] = deque()
        self.reads: deque[tuple[float, int]] = deque()
        self.packets: dict[int, list[TxPacket]] = {}
        self.completions: dict[int, list[CqeReq]] = {}
        self.errors: dict[int, list[CqeStatus]] = {}
        self.flushes: deque[int] = deque()
        self.beats: list[RxWork] = []
        self.fault = lambda outcome: RxFault.NONE
        self.unchecked: set[int] = set()
        self.latency = 20
        self.move_time = 10
        self.done_count = 0
        self.packet_times: list[float] = []
        self.event_count = dict.fromkeys(EVENTS, 0)
        self._connect(stall, idle)

    def _connect(self, stall: str, idle: str) -> None:
        dut = self.dut
        for name in ("s_dma_en", "s_dma_data", "rq_rd_cfg", "qp_rd_cfg", "flush_rd_cfg"):
            getattr(dut, name).value = 0
        dut.drain_req_en.value = 0
        self.req = StreamSource(dut, "s_req", fields=("hdr", "cfg"), idle=stall_pattern(idle))
        self.done = StreamSource(dut, "s_done", idle=stall_pattern(idle))
        self.result = StreamSource(dut, "s_result")
        self.rq = StreamSource(dut, "s_rq")
        self.flush = StreamSource(dut, "s_flush")
        self.init = StreamSource(dut, "init")
        sinks = {
            "m_work": (RxWork, self._on_work), "m_pkt": (TxPacket, self._on_packet),
            "m_cqe": (CqeReq, self._on_cqe), "m_error": (QpError, self._on_error),
            "m_dma": (DmaReadReq, self._on_read),
        }  # fmt: skip
        self.sinks = {
            name: StreamSink(dut, name, record=record, on_beat=action, stall=stall_pattern(stall))
            for name, (record, action) in sinks.items()
        }
        self.tables = [
            Table(dut, "rq_rd_id", "rq_rd_cfg", self.rings),
            Table(dut, "qp_rd_qpn", "qp_rd_cfg", self.configs),
            Table(dut, "flush_rd_qpn", "flush_rd_cfg", self.configs),
        ]

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: str = "none", idle: str = "none") -> Self:
        """Connect, reset, and let the tables and the memory run."""
        start_clock(dut)
        bench = cls(dut, stall, idle)
        sources = (bench.req, bench.done, bench.result, bench.rq, bench.flush, bench.init)
        await reset(dut, *sources, *bench.sinks.values())
        cocotb.start_soon(bench._run())
        return bench

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        events = [(name, getattr(self.dut, f"ev_{name}_en")) for name in EVENTS]
        while True:
            await edge
            for table in self.tables:
                table.step()
            now = get_sim_time("ns")
            self._answer_read(now)
            while self.moving and self.moving[0][0] <= now:
                _, done, outcome = self.moving.popleft()
                self.model.done(outcome, done.fault)
                self.done.send_nowait(done)
            # On an SRQ, a flush between requests would change who takes which entry.
            while self.flushes and not (self.expected and self._has_srq(self.flushes[0])):
                self.flush.send_nowait(self.flushes.popleft())
            for name, signal in events:
                if signal.value == 1:
                    self.event_count[name] += 1

    def _has_srq(self, number: int) -> bool:
        return bool(self.configs[number].use_srq)

    def _answer_read(self, now: float) -> None:
        due = bool(self.reads) and self.reads[0][0] <= now
        self.dut.s_dma_en.value = int(due)
        if due:
            _, addr = self.reads.popleft()
            data, error = self.memory[addr]
            self.dut.s_dma_data.value = DmaReadData(data=data, last=1, error=error).to_int()

    # ------------------------------------------------------------------ what the responder does

    def _on_read(self, request: DmaReadReq) -> None:
        assert request.length == 64
        assert len(self.reads) < 128
        self.reads.append((get_sim_time("ns") + self.latency * CLOCK_NS, request.addr))

    def _on_packet(self, packet: TxPacket) -> None:
        self.packets.setdefault(packet.qpn, []).append(packet)
        self.packet_times.append(get_sim_time("ns") / CLOCK_NS)

    def _on_cqe(self, cqe: CqeReq) -> None:
        self.completions.setdefault(cqe.qpn, []).append(cqe)

    def _on_error(self, error: QpError) -> None:
        self.errors.setdefault(error.qpn, []).append(error.status)
        self.set_state(error.qpn, QpState.ERR)
        self.flushes.append(error.qpn)

    def _on_work(self, beat: RxWork) -> None:
        assert beat.first == (not self.beats)
        self.beats.append(beat)
        if not beat.last:
            return
        beats, self.beats = self.beats, []
        outcome = self.expected.popleft()
        self._check_group(outcome, beats)
        fault = self.fault(outcome) if beats[0].mem.length or beats[-1].mem.op else RxFault.NONE
        if fault:
            self.unchecked.add(outcome.hdr.qpn)
        when = get_sim_time("ns") + random.randint(1, self.move_time) * CLOCK_NS
        if self.moving:
            when = max(when, self.moving[-1][0])
        self.moving.append((when, RxDone(fault=fault, retire=beats[0].retire), outcome))
        self.done_count += 1

    def _check_group(self, outcome: Outcome, beats: list[RxWork]) -> None:
        hdr, first = outcome.hdr, beats[0]
        assert (first.payload_off, first.payload_beats) == (hdr.payload_off, hdr.payload_beats)
        assert first.retire.qpn == hdr.qpn
        if hdr.qpn in self.unchecked:
            return
        assert (first.retire.kind == RetireKind.NONE) == self._is_silent(outcome), (outcome, first)
        assert [self._segment(beat.mem) for beat in beats] == (outcome.segments or [None])
        if first.retire.fatal:
            assert outcome.fatal is not None
            self.unchecked.add(hdr.qpn)

    @staticmethod
    def _is_silent(outcome: Outcome) -> bool:
        """Nothing at all: not even an execution without an answer."""
        executed = outcome.good or outcome.segments or outcome.entry
        return outcome.order is None and outcome.fatal is None and not executed

    @staticmethod
    def _segment(mem: MemReq) -> tuple | None:
        if mem.op == KeyOp.INVALIDATE:
            return ("invalidate", 0, 0, mem.token, mem.pd)
        if mem.kind == SegKind.NONE:
            assert mem.length == 0
            return None
        kind = {Access.LOCAL_WRITE: "local", Access.REMOTE_WRITE: "remote"}[mem.access]
        return (kind, mem.va, mem.length, mem.token, mem.pd)

    # ------------------------------------------------------------------ queue pairs

    async def create_ring(self, number: int, log_size: int = 4) -> Ring:
        """A receive ring, empty."""
        ring = Ring(number, (number + 1) << 24, log_size, random.getrandbits(16))
        self.rings[number] = RqConfig(exists=1, base=ring.base, log_size=log_size, pd=ring.pd)
        await self.init.send(QpInit(op=QpInitOp.RQ_CREATE, qpn=number))
        return ring

    async def create_qp(self, number: int, srq: Ring | None = None, **attributes: Any) -> Qp:
        """A queue pair ready to receive."""
        ring = srq or await self.create_ring(number, attributes.pop("log_size", 4))
        psn = attributes.pop("psn", random.getrandbits(24))
        values = {
            "state": QpState.RTR, "exists": 1, "qp_type": QpType.RC, "pd": random.getrandbits(16),
            "recv_cq": random.getrandbits(16), "rq_id": ring.number, "use_srq": int(bool(srq)),
            "access": Access.REMOTE_WRITE | Access.REMOTE_READ, "path_mtu": random.randint(1, 3),
            "max_dest_rd_atomic": 16, "min_rnr_timer": random.randint(0, 31),
        }  # fmt: skip
        config = QpConfig(**{**values, **attributes})
        self.configs[number] = config
        await self.init.send(QpInit(op=QpInitOp.CREATE, qpn=number))
        await self.init.send(QpInit(op=QpInitOp.RTR, qpn=number, psn=psn))
        qp = Qp(number, config, ring, psn)
        self.model.qps[number] = qp
        self.unchecked.discard(number)
        for results in (self.packets, self.completions, self.errors):
            results.pop(number, None)
        return qp

    async def destroy_qp(self, number: int) -> None:
        """Back to nothing, as after a drain."""
        self.set_state(number, QpState.RESET)
        await self.drain()
        await self.init.send(QpInit(op=QpInitOp.DESTROY, qpn=number))

    def set_state(self, number: int, state: QpState) -> None:
        """What the queue pair table says from now on."""
        self.configs[number] = replace(self.configs[number], state=state)

    async def drain(self) -> None:
        """Ask for a drain and wait for its end."""
        self.dut.drain_req_en.value = 1
        await cycles(self.dut)
        self.dut.drain_req_en.value = 0
        for _ in range(20_000):
            await RisingEdge(self.dut.clk)
            if self.dut.drain_done_en.value == 1:
                return
        raise AssertionError("no end of the drain")

    async def post(self, ring: Ring, *sizes: int, bad: str = "") -> Entry:
        """Post a receive with SGEs of these sizes, and ring."""
        index = len(ring.posted) & 0xFFFF
        sges = [Sge(random.getrandbits(48), size, random.getrandbits(32)) for size in sizes]
        entry = Entry(index, random.getrandbits(32), sges, ring.pd, bool(bad))
        wqe = entry.wqe()
        data = wqe.to_int()
        if bad == "index":
            data ^= 1 << 48
        if bad == "sges":
            data |= 4 << 32
        slot = index & ((1 << ring.log_size) - 1)
        if bad == "bus":
            entry.wr_id = 0
        self.memory[ring.base + 64 * slot] = (data, bad == "bus")
        ring.posted.append(entry)
        await self.rq.send(RingUpdate(number=ring.number, index=(index + 1) & 0xFFFF))
        await cycles(self.dut)
        return entry

    # ------------------------------------------------------------------ requests

    def request(self, qp: Qp, opcode: int, size: int = 0, **fields: Any) -> Outcome:
        """Send a request to ``qp``; the PSN is the next one unless given."""
        values = {
            "opcode": opcode, "qpn": qp.number, "psn": qp.epsn, "payload_len": size,
            "pad": -size % 4, "payload_off": random.getrandbits(6),
            "payload_beats": (size + 63) // 64, "imm": random.getrandbits(32),
        }  # fmt: skip
        hdr = RxHeader(**{**values, **fields})
        outcome = self.model.arrive(hdr)
        self.expected.append(outcome)
        self.req.send_nowait(hdr=hdr, cfg=self.configs[qp.number])
        return outcome

    async def settle(self) -> None:
        """Wait until nothing happens any more."""
        quiet = 0
        for _ in range(60_000):
            await RisingEdge(self.dut.clk)
            busy = self.expected or self.moving or self.reads or self.flushes
            busy = busy or not (self.done.empty() and self.flush.empty() and self.req.empty())
            busy = busy or any(sink.valid.value == 1 for sink in self.sinks.values())
            quiet = 0 if busy else quiet + 1
            if quiet > 60:
                return
        raise AssertionError(f"never quiet; {len(self.expected)} groups are missing")

    # ------------------------------------------------------------------ verdict

    def check(self, qp: Qp) -> None:
        """Completions, responses and errors of ``qp`` are those of the model."""
        if qp.error is not None:
            self.model.flush(qp)
        assert self.errors.get(qp.number, []) == ([] if qp.error is None else [qp.error])
        self._check_completions(qp)
        match_responses(qp, self.packets.get(qp.number, []))
        qp.orders.clear()
        self.packets.pop(qp.number, None)

    def _check_completions(self, qp: Qp) -> None:
        found = self.completions.pop(qp.number, [])
        assert len(found) == len(qp.completions), (found, qp.completions)
        for cqe, due in zip(found, qp.completions, strict=True):
            names = ["qpn", "cqn", "wr_id", "status"]
            if due.status == CqeStatus.SUCCESS:
                names += ["opcode", "byte_len", "imm", "flags"]
            assert cqe.wqe_index == due.index
            for name in names:
                assert getattr(cqe, name) == getattr(due, name), (name, cqe, due)
        qp.completions.clear()


def read_packets(qp: Qp, order: Order) -> list[tuple]:
    """The responses of a read: opcode, PSN, address, bytes."""
    count = max(1, -(-order.length // qp.mtu))
    names = [0x10] if count == 1 else [0x0D, *[0x0E] * (count - 2), 0x0F]
    return [
        (
            names[i], (order.psn + i) % (1 << 24), order.va + i * qp.mtu,
            min(qp.mtu, order.length - i * qp.mtu),
        )
        for i in range(count)
    ]  # fmt: skip


def match_responses(qp: Qp, packets: list[TxPacket]) -> None:
    """All reads whole and in order; acknowledges in order, left out only for something newer."""
    left = deque(packets)
    acks: list[Order] = []
    for order in qp.orders:
        if not order.read:
            acks.append(order)
            continue
        match_acks(qp, acks, left, final=False)
        acks = []
        for opcode, psn, va, size in read_packets(qp, order):
            assert left, f"a response of read {order} is missing"
            packet = left.popleft()
            found = (packet.opcode, packet.psn, packet.payload_len)
            assert found == (opcode, psn, size), (packet, order)
            check_read(qp, packet, order, va, size)
    match_acks(qp, acks, left, final=True)
    assert not left, f"{len(left)} responses too many: {left[0]}"


def match_acks(qp: Qp, due: list[Order], left: deque[TxPacket], *, final: bool) -> None:
    """The acknowledges between two reads: some of those due, in order, the last one for certain."""
    found: list[TxPacket] = []
    while left and left[0].opcode == 0x11:
        found.append(left.popleft())
    if final and due:
        assert found, f"{due[-1]} was not answered"
        # A repeated acknowledge does not remove a NAK.
        while found[-1].syndrome & 0x60 and (due[-1].psn + 1) % (1 << 24) == found[-1].psn:
            due = due[:-1]
        assert is_ack(found[-1], due[-1]), (found[-1], due)
    place = len(due)
    for packet in reversed(found):
        place = next((i for i in reversed(range(place)) if is_ack(packet, due[i])), -1)
        assert place >= 0, f"{packet} is not due: {due}"
        check_ack(qp, packet)


def is_ack(packet: TxPacket, order: Order) -> bool:
    """The packet is this acknowledge."""
    return packet.opcode == 0x11 and (packet.psn, packet.syndrome, packet.msn) == (
        order.psn, order.syndrome, order.msn,
    )  # fmt: skip


def check_whole(qp: Qp, packet: TxPacket) -> None:
    """A response of this queue pair in one piece."""
    flags = (packet.first, packet.last, packet.response, packet.local_op, packet.qpn)
    assert flags == (1, 1, 1, 0, qp.number)


def check_ack(qp: Qp, packet: TxPacket) -> None:
    """The other fields of an acknowledge."""
    check_whole(qp, packet)
    assert (packet.payload_len, packet.mem.kind) == (0, SegKind.NONE)


def check_read(qp: Qp, packet: TxPacket, order: Order, va: int, size: int) -> None:
    """The other fields of a read response."""
    check_whole(qp, packet)
    assert (packet.syndrome, packet.msn) == (Syndrome.ACK_NO_CREDITS, order.msn)
    mem = packet.mem
    if size:
        assert (mem.kind, mem.va, mem.length) == (SegKind.KEY, va, size)
        assert (mem.token, mem.pd, mem.access) == (order.rkey, qp.config.pd, Access.REMOTE_READ)
    else:
        assert mem.kind == SegKind.NONE
