"""The bench of the responder: a fake receive pipeline, host memory, tables, and checks."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time

from spec.codes import Access, CqeStatus, EventType, QpState, QpType
from spec.layouts import Sge
from spec.streams import (
    CqeReq,
    DmaReadData,
    DmaReadReq,
    EventReq,
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
from tb.blocks.rsp_answers import Answers
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
        self.history: dict[int, list[Order | TxPacket]] = {}
        self.answers: dict[int, Answers] = {}
        self.events: dict[int, list[EventType]] = {}
        self.completions: dict[int, list[CqeReq]] = {}
        self.errors: dict[int, list[CqeStatus]] = {}
        self.flushes: deque[int] = deque()
        self.beats: list[RxWork] = []
        self.fault = lambda outcome: RxFault.NONE
        self.unchecked: set[int] = set()
        self.moves = True  # data moves
        self.executed = 0  # atomics
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
        self.set_entries(0, 0)
        self.set_ack_wait(16, 256)
        self.req = StreamSource(dut, "s_req", fields=("hdr", "cfg"), idle=stall_pattern(idle))
        self.done = StreamSource(dut, "s_done", idle=stall_pattern(idle))
        self.result = StreamSource(dut, "s_result")
        self.rq = StreamSource(dut, "s_rq")
        self.flush = StreamSource(dut, "s_flush")
        self.init = StreamSource(dut, "init")
        sinks = {
            "m_work": (RxWork, self._on_work), "m_pkt": (TxPacket, self._on_packet),
            "m_cqe": (CqeReq, self._on_cqe), "m_error": (QpError, self._on_error),
            "m_dma": (DmaReadReq, self._on_read), "m_event": (EventReq, self._on_event),
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

    def set_ack_wait(self, every: int, delay: int) -> None:
        """How many requests an acknowledge may cover, and cycles that it may wait for them."""
        self.dut.ack_every.value, self.dut.ack_delay.value = every, delay

    def set_entries(self, begun: int, answered: int, beginning: bool = False) -> None:
        """What the completion queues say of their entries."""
        self.dut.cqes_begun.value, self.dut.cqes_answered.value = begun, answered
        self.dut.cqes_beginning.value = int(beginning)

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
            while self.moves and self.moving and self.moving[0][0] <= now:
                _, done, outcome = self.moving.popleft()
                order = self.model.done(outcome, done.fault, done.original)
                if order:
                    self.history.setdefault(outcome.hdr.qpn, []).append(order)
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
        self.history.setdefault(packet.qpn, []).append(packet)
        self.packet_times.append(get_sim_time("ns") / CLOCK_NS)

    def _on_cqe(self, cqe: CqeReq) -> None:
        self.completions.setdefault(cqe.qpn, []).append(cqe)

    def _on_event(self, event: EventReq) -> None:
        assert (event.eqn, event.detail) == (0, 0)
        self.events.setdefault(event.number, []).append(EventType(event.event_type))

    def _on_error(self, error: QpError) -> None:
        assert error.remote
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
        self.executed += bool(beats[0].atomic)
        moves = beats[0].mem.length or beats[0].mem.span or beats[-1].mem.op
        fault = self.fault(outcome) if moves else RxFault.NONE
        if fault and not self.model.forgets(outcome, fault):
            self.unchecked.add(outcome.hdr.qpn)
        when = get_sim_time("ns") + random.randint(1, self.move_time) * CLOCK_NS
        if self.moving:
            when = max(when, self.moving[-1][0])
        done = RxDone(fault=fault, original=random.getrandbits(64), retire=beats[0].retire)
        self.moving.append((when, done, outcome))
        self.done_count += 1

    def _check_group(self, outcome: Outcome, beats: list[RxWork]) -> None:
        hdr, first = outcome.hdr, beats[0]
        assert (first.payload_off, first.payload_beats) == (hdr.payload_off, hdr.payload_beats)
        assert first.retire.qpn == hdr.qpn
        if hdr.qpn in self.unchecked:
            return
        assert (first.retire.kind == RetireKind.NONE) == self._is_silent(outcome), (outcome, first)
        assert [self._segment(beat.mem) for beat in beats] == (outcome.segments or [None])
        assert all(beat.atomic == outcome.atomic for beat in beats)
        if outcome.atomic:
            assert (first.retire.swap, first.retire.compare) == (hdr.swap, hdr.compare)
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
            return ("invalidate", 0, 0, mem.token, mem.pd, 0)
        if mem.kind == SegKind.NONE:
            assert (mem.length, mem.span) == (0, 0)
            return None
        assert mem.kind == SegKind.KEY
        kind = {
            Access.LOCAL_WRITE: "local", Access.REMOTE_WRITE: "remote",
            Access.REMOTE_READ: "read", Access.REMOTE_ATOMIC: "atomic",
        }[mem.access]  # fmt: skip
        return (kind, mem.va, mem.length, mem.token, mem.pd, mem.span)

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
            "access": Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC,
            "path_mtu": random.randint(1, 3),
            "max_dest_rd_atomic": 16, "min_rnr_timer": random.randint(0, 31),
        }  # fmt: skip
        config = QpConfig(**{**values, **attributes})
        self.configs[number] = config
        await self.init.send(QpInit(op=QpInitOp.CREATE, qpn=number))
        await self.init.send(QpInit(op=QpInitOp.RTR, qpn=number, psn=psn))
        qp = Qp(number, config, ring, psn)
        self.model.qps[number] = qp
        self.unchecked.discard(number)
        self.answers[number] = Answers(qp)
        for results in (self.packets, self.history, self.completions, self.errors, self.events):
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

    def set_config(self, number: int, **attributes: Any) -> QpConfig:
        """Change attributes in the queue pair table."""
        self.configs[number] = replace(self.configs[number], **attributes)
        return self.configs[number]

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

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        for _ in range(20_000):
            if condition():
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError("it never came to that")

    async def moved(self) -> None:
        """Wait until the data of every request has moved."""
        await self.until(lambda: not self.expected and not self.moving and self.done.empty())

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
        self._check_events(qp)
        answers = self.answers[qp.number]
        for event in self.history.pop(qp.number, []):
            if isinstance(event, Order):
                answers.due(event)
            else:
                answers.sent(event)
        answers.finish()
        self.packets.pop(qp.number, None)

    def _check_events(self, qp: Qp) -> None:
        due = [EventType.COMM_EST] if qp.established else []
        if qp.error is not None and qp.config.use_srq:
            due.append(EventType.LAST_WQE_REACHED)
        assert self.events.get(qp.number, []) == due

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
