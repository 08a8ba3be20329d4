"""The receive pipeline with everything around it: MAC, tables, key table, host memory, QP logic.

The QP logic is a function of the test, ``plan``: what to do with the payload of a header. All that
the design did is recorded: headers handed out, drops, frames done, bytes written.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import DropReason
from spec.layouts import KeyEntry, KeyKind
from spec.streams import (
    AtomicOp,
    DmaReadData,
    DmaReadReq,
    DmaWriteData,
    DmaWriteReq,
    KeyWrite,
    MemReq,
    QpInit,
    QpInitOp,
    RetireKind,
    RxDone,
    RxFault,
    RxHeader,
    RxRetire,
    RxWork,
)
from tb.blocks.rx_packets import (
    ALL_RIGHTS,
    LIST,
    OTHER_QPN,
    PAGED_BASE,
    PAGED_KEY,
    PAGES,
    QPN,
    RKEY,
    Memory,
    config,
    gid,
    segment,
)
from tb.model.headers import Packet, Path
from tb.model.packets import encode
from tb.streams import (
    Stall,
    StreamEnd,
    StreamSink,
    StreamSource,
    no_stalls,
    reset,
    stall_pattern,
    start_clock,
)

Plan = Callable[[RxHeader], list[MemReq]]


def write_to_reth(header: RxHeader) -> list[MemReq]:
    """The plan of an RDMA WRITE of one packet; anything else moves nothing."""
    if header.payload_len and header.reth_rkey:
        return [segment(header.reth_va, header.payload_len, header.reth_rkey)]
    return [MemReq()]


INPUTS = (
    *("enable", "s_axis_rx_tdata", "s_axis_rx_tkeep", "s_axis_rx_tlast", "s_axis_rx_tuser"),
    *("s_axis_rx_tvalid", "rx_dest_hit", "rx_dest_index", "qp_rd_cfg", "lookup_entry"),
    *("key_changed_en", "s_dma_data", "s_dma_en", "s_wdone_en", "s_wdone_error", "drain_req_en"),
    *("key_grant_en", "s_atomic_dma_en", "s_atomic_wdone_en", "init_data", "init_valid"),
)


@dataclass
class Numbers:
    """What the work of a frame brings beside its segments."""

    op: AtomicOp = AtomicOp.NONE
    swap: int = 0
    compare: int = 0


@dataclass
class AtomicRead:
    """A read of an atomic; the memory is looked at somewhere between request and answer."""

    address: int
    due: int
    look: int
    line: int | None = None


class Writer:
    """One client's writes: they land in order, between their last line and their answer."""

    def __init__(self, bench: RxBench) -> None:
        self.bench = bench
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.bursts: deque[DmaWriteReq] = deque()
        self.lines: deque[DmaWriteData] = deque()
        self.landing: deque[tuple[int, int, int, int]] = deque()  # cycle, address, data, strobes
        self.answers: deque[tuple[int, int]] = deque()  # cycle, error
        self.part: list[tuple[int, int, int]] = []

    @property
    def empty(self) -> bool:
        """Nothing is under way."""
        return not (self.bursts or self.lines or self.landing or self.answers)

    @property
    def due(self) -> bool:
        """An answer may be given."""
        return bool(self.answers) and self.answers[0][0] <= self.bench.cycle

    def answer(self) -> int:
        """Give it; whether there was an error."""
        return self.answers.popleft()[1]

    def on_burst(self, burst: DmaWriteReq) -> None:
        """An address."""
        line = burst.addr & ~63
        assert 1 <= burst.beats <= 64
        assert (line + 64 * burst.beats - 1) >> 12 == line >> 12, f"{burst} crosses 4 KiB"
        self.bursts.append(burst)
        self._match()

    def on_line(self, line: DmaWriteData) -> None:
        """A line."""
        self.lines.append(line)
        self._match()

    def _match(self) -> None:
        while self.bursts and self.lines:
            burst, data = self.bursts[0], self.lines.popleft()
            address = (burst.addr & ~63) + 64 * len(self.part)
            if not self.part:
                assert data.strb & -data.strb == 1 << burst.addr % 64, "address of first byte"
            self.part.append((address, data.data, data.strb))
            assert data.last == (len(self.part) == burst.beats), f"last in {self.part} of {burst}"
            if data.last:
                self._complete(self.bursts.popleft())

    def _complete(self, burst: DmaWriteReq) -> None:
        now = self.bench.cycle
        error = int(self.bench.bad_targets(burst.addr))
        answer = now + self.bench.latency
        lands = random.randint(now, answer)
        # A failed write of an atomic leaves nothing, so that what was there can be told.
        if not (error and self is self.bench.atomic_writes):
            self.landing.extend((lands, *part) for part in self.part)
        self.part = []
        self.answers.append((answer, error))

    def land(self) -> None:
        """What is due is in memory now; nothing overtakes."""
        while self.landing and self.landing[0][0] <= self.bench.cycle:
            self.bench.memory.write(*self.landing.popleft()[1:])


class RxBench:
    """Clock, reset, every neighbour of the pipeline, and a record of what it did."""

    def __init__(self, dut: SimHandleBase, stall: str, idle: str, latency: int) -> None:
        self.dut = dut
        self.plan: Plan = write_to_reth
        self.latency = latency
        self.gap: Stall = stall_pattern(idle)
        self.memory = Memory()
        self.lists: dict[int, int] = {}  # line address of a page list -> line
        self.bad_lists: set[int] = set()
        self.bad_targets: Callable[[int], bool] = lambda address: False
        self.bad_sources: Callable[[int], bool] = lambda address: False
        self.configs: dict[int, int] = {}
        self.gids: dict[int, int] = {}
        self.keys: dict[int, int] = {}
        self.key_writes: list[KeyWrite] = []
        self.headers: list[tuple[str, RxHeader]] = []
        self.drops: list[DropReason] = []
        self.qp_drops: list[DropReason] = []
        self.done: list[tuple[str, int, RxFault]] = []
        self.originals: dict[int, int] = {}  # psn -> number found by an atomic
        self.numbers: dict[int, Numbers] = {}  # psn -> what its work brings along
        self.reading: dict[int, bool] = {}  # psn of a READ request -> whether it is a repeat
        self.frames_seen: list[int] = []
        self.rdma_frames = 0
        self.ce_frames = 0
        self.marks: list[int] = []
        self.cnps: list[int] = []
        self.cycle = 0
        self.wire: deque[tuple[int, int, int, int]] = deque()
        self.payload = Writer(self)
        self.atomic_writes = Writer(self)
        self.reads: deque[tuple[int, DmaReadReq]] = deque()
        self.atomic_reads: deque[AtomicRead] = deque()
        self.list_latency = 0
        self.hold_reads = False
        self.line_cycles: list[int] = []
        self.wire_cycles: list[int] = []
        self.drained: list[int] = []
        self.hold_answers = False
        self.mid_frame = False

        self.work = {
            side: StreamSource(dut, f"s_{side}_work", idle=stall_pattern(idle))
            for side in ("req", "rsp")
        }
        pattern = lambda: stall_pattern(stall)  # noqa: E731
        fields = {"fields": ("hdr", "cfg"), "records": {"hdr": RxHeader}}
        self.ends: list[StreamEnd] = [*self.work.values()]
        for side in ("req", "rsp"):
            self.ends += [
                StreamSink(
                    dut, f"m_{side}", stall=pattern(), on_beat=self._on_header(side), **fields
                ),
                StreamSink(
                    dut,
                    f"m_{side}_done",
                    stall=pattern(),
                    record=RxDone,
                    on_beat=self._on_done(side),
                ),
            ]
        self.wreq = self._sink("m_wreq", DmaWriteReq, self.payload.on_burst, pattern())
        self.wdata = self._sink("m_wdata", DmaWriteData, self._on_line, pattern())
        self._atomic_sinks(pattern)
        self._sink("m_dma", DmaReadReq, self._on_list_read, pattern())
        self._sink("m_mod", KeyWrite, self._on_key_write, no_stalls())
        cocotb.start_soon(self._run())

    @classmethod
    async def start(
        cls, dut: SimHandleBase, stall: str = "none", idle: str = "none", latency: int = 20
    ) -> Self:
        """Connect, reset, and set up one queue pair and two keys."""
        start_clock(dut)
        for name in INPUTS:
            getattr(dut, name).value = 0
        dut.enable.value = 1
        bench = cls(dut, stall, idle, latency)
        bench.own(Path().dst_ip)
        for qpn in (QPN, OTHER_QPN):
            bench.configs[qpn] = config(Path().src_ip).to_int()
        bench.set_keys()
        await bench.reset()
        return bench

    def own(self, address: bytes, index: int = 0) -> None:
        """Make this address one of ours."""
        self.gids[gid(address)] = index

    def set_keys(self) -> None:
        """One key that maps addresses as they are, one with a list of scattered 4 KiB pages."""
        common = {"valid": 1, "kind": KeyKind.MR, "access": ALL_RIGHTS, "pd": 7, "page_shift": 12}
        self.keys[1] = KeyEntry(key=RKEY & 0xFF, direct=1, length=1 << 60, **common).to_int()
        self.keys[2] = KeyEntry(
            key=PAGED_KEY & 0xFF, base=PAGED_BASE, length=PAGES << 12, pages=LIST, **common
        ).to_int()
        order = random.sample(range(4 * PAGES), PAGES)
        self.page_of = [0x20_0000_0000 + (n << 12) for n in order]
        for at in range(0, PAGES, 8):
            line = b"".join(page.to_bytes(8, "little") for page in self.page_of[at : at + 8])
            self.lists[LIST + 8 * at] = int.from_bytes(line, "little")

    def paged(self, offset: int) -> int:
        """Bus address of a byte of the paged region."""
        return self.page_of[offset >> 12] + offset % 4096

    async def reset(self) -> None:
        """Reset the pipeline; what was under way is forgotten, on the wire as well."""
        self.wire.clear()
        self._forget_memory()
        await reset(self.dut, *self.ends)
        self._forget_memory()

    def _forget_memory(self) -> None:
        for queue in (self.reads, self.atomic_reads):
            queue.clear()
        for writer in (self.payload, self.atomic_writes):
            writer.clear()

    async def init(self, qpn: int, op: QpInitOp = QpInitOp.CREATE) -> None:
        """A queue pair begins a new life."""
        self.dut.init_data.value = QpInit(op=op, qpn=qpn).to_int()
        self.dut.init_valid.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.init_valid.value = 0
        await RisingEdge(self.dut.clk)

    # What the test does

    def send(self, frame: bytes | Packet, bad: int = 0) -> None:
        """Put a frame on the wire."""
        data = encode(frame) if isinstance(frame, Packet) else bytes(frame)
        for at in range(0, len(data), 64):
            part = data[at : at + 64]
            last = int(at + 64 >= len(data))
            keep = (1 << len(part)) - 1
            self.wire.append((int.from_bytes(part, "little"), keep, last, bad * last))

    async def settle(self, frames: int, timeout: int = 20_000) -> None:
        """Wait until so many frames have left, one way or another."""
        for _ in range(timeout):
            if self.gone >= frames:
                break
            await RisingEdge(self.dut.clk)
        assert self.gone >= frames, f"{self.gone} of {frames} frames left: {self.state()}"
        for _ in range(30):
            await RisingEdge(self.dut.clk)
        assert self.gone == frames, f"{self.gone} frames left, {frames} expected"
        assert self.payload.empty
        assert self.atomic_writes.empty
        assert not self.atomic_reads

    @property
    def gone(self) -> int:
        """Frames that ended."""
        carried = sum(header.becn for _, header in self.headers)
        return len(self.done) + len(self.drops) + len(self.qp_drops) + len(self.cnps) - carried

    def state(self) -> str:
        """For an error message."""
        return f"done {len(self.done)}, drops {self.drops[-5:]}, {self.qp_drops[-5:]}"

    def forget(self) -> None:
        """Start a new record."""
        for record in (self.headers, self.drops, self.qp_drops, self.done, self.line_cycles):
            record.clear()
        self.marks.clear()
        self.cnps.clear()
        self.wire_cycles.clear()
        self.originals.clear()
        self.numbers.clear()
        self.reading.clear()
        self.memory = Memory()

    # The QP logic

    def _on_header(self, side: str) -> Callable[[Any], None]:
        def on_header(beat: Any) -> None:
            header = beat.hdr
            self.headers.append((side, header))
            assert beat.cfg == self.configs[header.qpn]
            parts = self.plan(header)
            numbers = self.numbers.get(header.psn, Numbers())
            for n, mem in enumerate(parts):
                first = n == 0
                retire = RxRetire(
                    psn=header.psn, qpn=header.qpn, swap=numbers.swap, compare=numbers.compare
                )
                if header.psn in self.reading:
                    repeated = int(self.reading[header.psn])
                    retire = replace(retire, kind=RetireKind.READ, reply=repeated)
                work = RxWork(
                    first=int(first),
                    last=int(n == len(parts) - 1),
                    payload_off=header.payload_off if first else random.getrandbits(6),
                    payload_beats=header.payload_beats if first else random.getrandbits(7),
                    mem=mem,
                    atomic=numbers.op,
                    retire=retire if first else RxRetire(qpn=random.getrandbits(16)),
                )
                self.work[side].send_nowait(work)

        return on_header

    def _on_done(self, side: str) -> Callable[[RxDone], None]:
        def on_done(done: RxDone) -> None:
            self.done.append((side, done.retire.psn, RxFault(done.fault)))
            self.originals[done.retire.psn] = done.original

        return on_done

    # Host memory

    def _atomic_sinks(self, pattern: Callable[[], Stall]) -> None:
        writes = self.atomic_writes
        self._sink("m_atomic_wreq", DmaWriteReq, writes.on_burst, pattern())
        self._sink("m_atomic_wdata", DmaWriteData, writes.on_line, pattern())
        self._sink("m_atomic_dma", DmaReadReq, self._on_atomic_read, pattern())

    def _sink(self, name: str, record: Any, on_beat: Any, stall: Stall) -> StreamSink:
        sink = StreamSink(self.dut, name, record=record, on_beat=on_beat, stall=stall)
        self.ends.append(sink)
        return sink

    def _on_line(self, line: DmaWriteData) -> None:
        self.line_cycles.append(self.cycle)
        self.payload.on_line(line)

    def _on_list_read(self, request: DmaReadReq) -> None:
        self.reads.append((self.cycle + self.list_latency, request))

    def _on_atomic_read(self, request: DmaReadReq) -> None:
        assert request.length == 8
        assert request.addr % 8 == 0
        due = self.cycle + random.randint(1, 2 * self.latency)
        self.atomic_reads.append(AtomicRead(request.addr, due, random.randint(self.cycle, due)))

    def _on_key_write(self, write: KeyWrite) -> None:
        self.key_writes.append(write)
        self.keys[write.index] = write.entry.to_int()

    # One cycle of everything without ready

    async def _run(self) -> None:
        dut = self.dut
        edge = RisingEdge(dut.clk)
        names = {"gid": dut.rx_dest_gid, "qpn": dut.qp_rd_qpn, "key": dut.lookup_index}
        read = {name: handle._handle.get_signal_val_binstr for name, handle in names.items()}
        latency = {"gid": int(os.environ.get("DEST_LATENCY", "2")), "qpn": 2, "key": 2}
        asked = {name: deque([-1] * n, maxlen=n) for name, n in latency.items()}
        bits = dict.fromkeys(names, "x")
        driven: dict[str, int | None] = dict.fromkeys(names)
        events = [
            dut.drop_frame_en, dut.drop_qp_en, dut.rx_en, dut.rdma_en, dut.rdma_ce_en,
            dut.drain_done_en, dut.mark_en, dut.cnp_en,
        ]  # fmt: skip
        event_bits = [handle._handle.get_signal_val_binstr for handle in events]
        sending = False
        writes = 0
        while True:
            await edge
            self.cycle += 1
            # Tables answer what was asked some edges ago.
            for name, sample in read.items():
                last, now = bits[name], sample()
                if now != last:
                    bits[name] = now
                    asked[name].append(int(now, 2) if set(now) <= {"0", "1"} else -1)
                else:
                    asked[name].append(asked[name][-1])
                answer = self._answer(name, asked[name][0])
                if answer != driven[name]:
                    driven[name] = answer
                    self._drive_answer(name, answer)
            dut.key_changed_en.value = int(len(self.key_writes) != writes)
            dut.key_grant_en.value = int(len(self.key_writes) != writes)
            writes = len(self.key_writes)
            if str(dut.rst.value) == "0":
                self._events([sample() == "1" for sample in event_bits])
            sending = self._wire(sending)
            self._answers()

    def _answer(self, name: str, value: int) -> int:
        if name == "gid":
            return self.gids.get(value, -1)
        return (self.configs if name == "qpn" else self.keys).get(value, 0)

    def _drive_answer(self, name: str, answer: int) -> None:
        if name == "gid":
            self.dut.rx_dest_hit.value = int(answer >= 0)
            self.dut.rx_dest_index.value = max(answer, 0)
        elif name == "qpn":
            self.dut.qp_rd_cfg.value = answer
        else:
            self.dut.lookup_entry.value = answer

    def _events(self, up: list[bool]) -> None:
        dut = self.dut
        if up[0]:
            self.drops.append(DropReason(int(dut.drop_frame_reason.value)))
        if up[1]:
            self.qp_drops.append(DropReason(int(dut.drop_qp_reason.value)))
        if up[2]:
            self.frames_seen.append(int(dut.rx_bytes.value))
        if up[3]:
            self.rdma_frames += 1
            assert int(dut.rdma_bytes.value) == self.frames_seen[-1]
        self.ce_frames += up[4]
        if up[5]:
            self.drained.append(self.cycle)
        if up[6]:
            self.marks.append(int(dut.mark_qpn.value))
        if up[7]:
            self.cnps.append(int(dut.cnp_qpn.value))

    def _wire(self, sending: bool) -> bool:
        dut = self.dut
        if not self.wire or self.gap():
            if sending:
                dut.s_axis_rx_tvalid.value = 0
            return False
        data, keep, last, bad = self.wire.popleft()
        self.mid_frame = not last
        dut.s_axis_rx_tdata.value = data
        dut.s_axis_rx_tkeep.value = keep
        dut.s_axis_rx_tlast.value = last
        dut.s_axis_rx_tuser.value = bad
        if not sending:
            dut.s_axis_rx_tvalid.value = 1
        # Visible from this edge on, taken at the next.
        self.wire_cycles.append(self.cycle)
        return True

    def _answers(self) -> None:
        """One write answer and one line read in a cycle, for whoever; data and error are shared."""
        for writer in (self.payload, self.atomic_writes):
            writer.land()
        due = [self.payload.due and not self.hold_answers, self.atomic_writes.due]
        if all(due):
            due[random.randrange(2)] = False
        self.dut.s_wdone_en.value = int(due[0])
        self.dut.s_atomic_wdone_en.value = int(due[1])
        if any(due):
            writer = self.payload if due[0] else self.atomic_writes
            self.dut.s_wdone_error.value = writer.answer()
        self._lines_read()

    def _lines_read(self) -> None:
        for read in self.atomic_reads:
            if read.line is None and self.cycle >= read.look:
                read.line = int.from_bytes(self.memory.line(read.address & ~63), "little")
        lists = bool(self.reads) and self.reads[0][0] <= self.cycle
        ready = bool(self.atomic_reads) and self.atomic_reads[0].due <= self.cycle
        atomic = ready and not lists and not self.hold_reads
        self.dut.s_dma_en.value = int(lists)
        self.dut.s_atomic_dma_en.value = int(atomic)
        if lists:
            request = self.reads.popleft()[1]
            line = request.addr & ~63
            assert request.length <= 64
            assert line in self.lists, f"no page list at {line:#x}"
            data = DmaReadData(data=self.lists[line], last=1, error=int(line in self.bad_lists))
            self.dut.s_dma_data.value = data.to_int()
        elif atomic:
            read = self.atomic_reads.popleft()
            assert read.line is not None
            error = int(self.bad_sources(read.address))
            self.dut.s_dma_data.value = DmaReadData(data=read.line, last=1, error=error).to_int()


def psns(done: Iterable[tuple[str, int, RxFault]]) -> list[int]:
    """Which frames ended, in order."""
    return [psn for _, psn, _ in done]
