"""The bench of the completer: records of a requester, a receive pipeline, a queue pair table."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from itertools import pairwise
from typing import Any, Self

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import CqeStatus, QpState
from spec.layouts import Sge
from spec.streams import (
    CqeReq,
    MsgKind,
    MsgRecord,
    QpConfig,
    QpError,
    QpInit,
    QpInitOp,
    ReadRecord,
    RetireKind,
    RxDone,
    RxFault,
    RxHeader,
    RxWork,
    SegKind,
    SqProgress,
    TxResult,
)
from tb.blocks.cpl_model import (
    ACK,
    ATOMIC_ACK,
    CREDITS,
    FIRST,
    LAST,
    MIDDLE,
    ONLY,
    OPS,
    READS,
    SPACE,
    Message,
    Qp,
    Verdict,
)
from tb.streams import StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

QPS, DEPTH, SLOTS = 4, 16, 16
EVENTS = ("ghost", "sequence", "syndrome", "timeout", "exhausted")


class Delayed:
    """A table with one read port: the record comes two cycles after the number."""

    def __init__(self, number: Any, record: Any, read) -> None:
        self.number, self.record, self.read = number, record, read
        self.value = 0
        record.value = 0

    def step(self) -> None:
        """One clock edge."""
        self.record.value = self.value
        number = self.number.value
        self.value = self.read(int(number)) if number.is_resolvable else 0


class Bench:
    """Clock, reset, everybody around the completer, and the model beside it."""

    def __init__(self, dut: SimHandleBase, stall: str, idle: str) -> None:
        self.dut = dut
        self.qps: dict[int, Qp] = {}
        self.configs: dict[int, QpConfig] = {}
        self.reads_issued: dict[int, int] = {}
        self.posted: dict[int, int] = {}
        self.completions: dict[int, list[CqeReq]] = {}
        self.errors: dict[int, list[CqeStatus]] = {}
        self.kicks: dict[int, int] = {}
        self.rewinds: dict[int, int] = {}
        self.published: dict[int, SqProgress] = {}
        self.indices: dict[tuple[int, int], int] = {}
        self.told: deque[tuple[int, int, int]] = deque()
        self.cqe_times: list[int] = []
        self.work_times: list[int] = []
        self.expected: deque[Verdict] = deque()
        self.moving: deque[tuple[int, RxDone, Verdict, int]] = deque()
        self.beats: list[RxWork] = []
        self.fault = lambda verdict: RxFault.NONE
        self.latency = 10
        self.entered = self.left = 0
        self.drain_target: int | None = None
        self.drains = 0
        self.drained = False
        self.now = 0
        self.auto_flush = True
        self.event_count = dict.fromkeys(EVENTS, 0)
        self._connect(stall, idle)

    def _connect(self, stall: str, idle: str) -> None:
        dut = self.dut
        for name in ("msg_write_en", "read_write_en", "sge_write_en", "drain_req_en",
                     "rx_drain_done_en", "progress_rd_qpn"):  # fmt: skip
            getattr(dut, name).value = 0
        for name in ("sent_en", "sent_qpn", "sent_oldest", "sent_again", "read_again_en",
                     "read_again_qpn"):  # fmt: skip
            getattr(dut, name).value = 0
        dut.msg_write_new.value = 1
        dut.ack_tick.value, dut.rnr_tick.value = 16, 40
        self.rsp = StreamSource(dut, "s_rsp", fields=("hdr", "cfg"), idle=stall_pattern(idle))
        self.done = StreamSource(dut, "s_done", idle=stall_pattern(idle))
        self.result = StreamSource(dut, "s_result", idle=stall_pattern(idle))
        self.kick = StreamSource(dut, "s_kick", idle=stall_pattern(idle))
        self.flush = StreamSource(dut, "s_flush", idle=stall_pattern(idle))
        self.init = StreamSource(dut, "init")
        sinks = {
            "m_work": (RxWork, self._on_work), "m_cqe": (CqeReq, self._on_cqe),
            "m_kick": (None, self._on_kick), "m_error": (QpError, self._on_error),
            "m_rewind": (None, self._on_rewind),
        }  # fmt: skip
        self.sinks = {
            name: StreamSink(dut, name, record=record, on_beat=action, stall=stall_pattern(stall))
            for name, (record, action) in sinks.items()
        }
        self.tables = [
            Delayed(dut.qp_rd_qpn, dut.qp_rd_cfg, self._config),
            Delayed(dut.timer_rd_qpn, dut.timer_rd_cfg, self._config),
            Delayed(dut.psn_rd_qpn, dut.psn_rd_data, self._psn),
        ]

    def _config(self, number: int) -> int:
        return self.configs[number].to_int() if number in self.configs else 0

    def _psn(self, number: int) -> int:
        return self.qps[number].psn if number in self.qps else 0

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: str = "none", idle: str = "none") -> Self:
        """Connect, reset, and let everything around run."""
        start_clock(dut)
        bench = cls(dut, stall, idle)
        sources = (bench.rsp, bench.done, bench.result, bench.kick, bench.flush, bench.init)
        await reset(dut, *sources, *bench.sinks.values())
        cocotb.start_soon(bench._run())
        return bench

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        events = [(name, getattr(self.dut, f"ev_{name}_en")) for name in self.event_count]
        while True:
            await edge
            self.now += 1
            for table in self.tables:
                table.step()
            self._publish()
            for name, signal in events:
                self.event_count[name] += signal.value == 1
            self.drained = self.drained or self.dut.drain_done_en.value == 1
            self._drain()
            while self.moving and self.moving[0][0] <= self.now:
                _, done, verdict, life = self.moving.popleft()
                self.left += 1
                if self.qps.get(life >> 16) is not None and life & 0xFFFF == self._life(life >> 16):
                    self.qps[life >> 16].arrived(verdict, done.fault)
                self.done.send_nowait(done)

    def _publish(self) -> None:
        """Nobody hears of the end of a message before its place is published as free."""
        if self.dut.progress_en.value == 1:
            number = int(self.dut.progress_qpn.value)
            progress = SqProgress.from_int(int(self.dut.progress_data.value))
            self.published[number] = progress
        while self.told and self.told[0][0] < self.now:
            _, number, index = self.told.popleft()
            behind = (self.published[number].msg_tail - index - 1) & 0xFFFF
            assert behind < 0x8000, f"QP {number}: message {index} ended before it was published"

    def _life(self, number: int) -> int:
        return id(self.qps[number]) & 0xFFFF

    def _drain(self) -> None:
        """The receive pipeline's drain: everything that had entered has left."""
        ends = self.drain_target is not None and self.done.count >= self.drain_target
        asked = self.dut.rx_drain_req_en.value == 1
        if asked:
            self.drains += 1
            self.drain_target = self.entered
        self.dut.rx_drain_done_en.value = int(ends and not asked)
        if ends and not asked:
            self.drain_target = None

    # ------------------------------------------------------------------ what the completer does

    def _on_work(self, beat: RxWork) -> None:
        assert beat.first == (not self.beats)
        self.beats.append(beat)
        if not beat.last:
            return
        beats, self.beats = self.beats, []
        verdict = self.expected.popleft()
        self._check_group(verdict, beats)
        fault = self.fault(verdict) if verdict.segments else RxFault.NONE
        when = self.now + random.randint(1, self.latency)
        if self.moving:
            when = max(when, self.moving[-1][0])
        number = verdict.hdr.qpn
        done = RxDone(fault=fault, retire=beats[0].retire)
        self.moving.append((when, done, verdict, number << 16 | self._life(number)))
        self.work_times.append(self.now)

    def _check_group(self, verdict: Verdict, beats: list[RxWork]) -> None:
        hdr, first = verdict.hdr, beats[0]
        assert (first.payload_off, first.payload_beats) == (hdr.payload_off, hdr.payload_beats)
        assert (first.retire.qpn, first.retire.kind) == (hdr.qpn, verdict.kind), (verdict, first)
        if verdict.kind == RetireKind.RESP_ACK:
            assert (first.retire.psn, first.retire.syndrome) == (verdict.psn, verdict.syndrome)
        found = [(b.mem.va, b.mem.length, b.mem.token) for b in beats if b.mem.length]
        assert found == verdict.segments, (found, verdict)
        for beat in beats:
            place = SegKind.WORD if hdr.opcode == ATOMIC_ACK else SegKind.KEY
            kind = place if beat.mem.length else SegKind.NONE
            assert (beat.mem.kind, beat.mem.op) == (kind, 0)
            assert not beat.mem.length or beat.mem.pd == self.configs[hdr.qpn].pd
        assert len(beats) == max(1, len(found))

    def _on_cqe(self, cqe: CqeReq) -> None:
        self.completions.setdefault(cqe.qpn, []).append(cqe)
        self.cqe_times.append(self.now)
        self.told.append((self.now, cqe.qpn, self.indices[cqe.qpn, cqe.wr_id]))
        if cqe.status != CqeStatus.SUCCESS:
            # The host may use the memory of this queue pair's reads again.
            busy = [v for _, _, v, _ in self.moving if v.hdr.qpn == cqe.qpn and v.segments]
            assert not busy, "a frame still writes where the host was told it may"

    def _on_kick(self, number: int) -> None:
        self.kicks[number] = self.kicks.get(number, 0) + 1

    def _on_rewind(self, number: int) -> None:
        self.rewinds[number] = self.rewinds.get(number, 0) + 1

    def _on_error(self, error: QpError) -> None:
        self.errors.setdefault(error.qpn, []).append(error.status)
        if self.auto_flush:
            self.fail(error.qpn)

    def fail(self, number: int) -> None:
        """The queue pair goes to ERR: the table says so, then the flush leaves."""
        if self.configs[number].state in (QpState.RESET, QpState.ERR):
            return
        self.configs[number] = replace(self.configs[number], state=QpState.ERR)
        self.flush.send_nowait(number)

    # ------------------------------------------------------------------ queue pairs

    async def create(self, number: int, **attributes: int) -> Qp:
        """A queue pair ready to send."""
        mtu = attributes.get("path_mtu", random.randint(1, 3))
        psn = attributes.get("psn", random.getrandbits(24))
        config = QpConfig(
            state=QpState.RTS, exists=1, pd=random.getrandbits(16), path_mtu=mtu,
            send_cq=random.getrandbits(16), timeout=attributes.get("timeout", 0),
            retry_cnt=attributes.get("retry_cnt", 0), rnr_retry=attributes.get("rnr_retry", 0),
        )  # fmt: skip
        self.configs[number] = config
        await self.init.send(QpInit(op=QpInitOp.CREATE, qpn=number))
        await self.init.send(QpInit(op=QpInitOp.RTR, qpn=number, psn=random.getrandbits(24)))
        limited = attributes.get("limited", 0)
        await self.init.send(QpInit(op=QpInitOp.RTS, qpn=number, psn=psn, limited=limited))
        self.qps[number] = Qp(
            number, 128 << mtu, config.pd, config.send_cq, psn, retry_cnt=config.retry_cnt,
            rnr_retry=config.rnr_retry, limit=0 if limited else None,
        )  # fmt: skip
        for table in (self.reads_issued, self.posted, self.kicks, self.rewinds):
            table[number] = 0
        self.completions[number], self.errors[number] = [], []
        return self.qps[number]

    async def post(self, qp: Qp, kind: MsgKind, size: int = 0, **fields: Any) -> Message:
        """The requester takes a message: records, then the PSN, then word of it if need be."""
        has_packets = kind in (MsgKind.SEND, MsgKind.WRITE, MsgKind.READ, MsgKind.ATOMIC)
        size = 8 if kind == MsgKind.ATOMIC else size
        packets = max(1, -(-size // qp.mtu)) if has_packets else 0
        index = len(qp.messages)
        message = Message(
            index, kind, qp.psn, packets, fields.get("signaled", random.random() < 0.6),
            random.getrandbits(32), random.getrandbits(16), size,
            fields.get("status", CqeStatus.SUCCESS), fields.get("sges", []),
        )  # fmt: skip
        self.indices[qp.number, message.wr_id] = index & 0xFFFF
        if kind == MsgKind.ATOMIC:
            message.sges = [Sge(random.getrandbits(60) & ~7, 8, random.getrandbits(32))]
        if kind in READS:
            message.sges = message.sges or split(size)
            await self._write_read(qp, message)
        record = MsgRecord(
            kind=kind, signaled=int(message.signaled), first_psn=message.first,
            last_psn=message.last, wr_id=message.wr_id, sq_next=message.sq_next, length=size,
            status=message.status,
        )  # fmt: skip
        await self._write("msg_write", qpn=qp.number, index=index & 0xFFFF, data=record.to_int())
        if fields.get("sent", True) and packets:
            await self.sent(qp, again=False, oldest=len(qp.messages) == qp.retired)
        qp.messages.append(message)
        qp.psn = (qp.psn + packets) % SPACE
        if kind in (MsgKind.FLUSH, MsgKind.BAD):
            self.kick.send_nowait(qp.number)
            qp.retire()
        return message

    async def sent(self, qp: Qp, again: bool = True, oldest: bool = True) -> None:
        """A packet leaves the requester."""
        await self._write("sent", qpn=qp.number, again=int(again), oldest=int(oldest))
        if again:
            qp.sent_again()

    async def read_again(self, qp: Qp, psn: int) -> None:
        """The oldest read is asked for again, from this PSN on."""
        await self._write("read_again", qpn=qp.number)
        qp.asked_again = psn % SPACE

    async def _write_read(self, qp: Qp, message: Message) -> None:
        slot = self.reads_issued[qp.number] % SLOTS
        self.reads_issued[qp.number] += 1
        for number, sge in enumerate(message.sges):
            await self._write(
                "sge_write", qpn=qp.number, slot=slot, number=number, data=sge.to_int()
            )
        record = ReadRecord(
            first_psn=message.first, last_psn=message.last, length=message.length,
            num_sge=len(message.sges), atomic=int(message.kind == MsgKind.ATOMIC),
        )  # fmt: skip
        await self._write("read_write", qpn=qp.number, slot=slot, data=record.to_int())

    async def _write(self, port: str, **fields: int) -> None:
        for name, value in {**fields, "en": 1}.items():
            getattr(self.dut, f"{port}_{name}").value = value
        await RisingEdge(self.dut.clk)
        getattr(self.dut, f"{port}_en").value = 0

    # ------------------------------------------------------------------ responses

    def respond(self, qp: Qp, opcode: int, psn: int, size: int = 0, **fields: int) -> Verdict:
        """A response from the wire."""
        hdr = RxHeader(
            opcode=opcode, qpn=qp.number, psn=psn % SPACE, payload_len=size,
            payload_off=random.getrandbits(6), payload_beats=-(-size // 64),
            **{"syndrome": CREDITS, **fields},
        )  # fmt: skip
        verdict = qp.judge(hdr)
        self.expected.append(verdict)
        self.entered += 1
        self.rsp.send_nowait(hdr=hdr, cfg=self.configs[qp.number])
        return verdict

    def acknowledge(self, qp: Qp, psn: int, syndrome: int = CREDITS, msn: int = 0) -> Verdict:
        """An acknowledge or a refusal."""
        return self.respond(qp, ACK, psn, syndrome=syndrome, msn=msn)

    def answer(self, qp: Qp, read: Message, at: int, **fields: int) -> Verdict:
        """Response number ``at`` of a read, as it ought to be unless fields say otherwise."""
        left = read.packets - at
        opcode = {(True, True): ONLY, (True, False): FIRST, (False, True): LAST}.get(
            (at == 0, left == 1), MIDDLE
        )
        size = read.length - at * qp.mtu if left == 1 else qp.mtu
        if read.kind == MsgKind.ATOMIC:
            opcode, size = ATOMIC_ACK, 0
        values = {"opcode": opcode, "psn": read.first + at, "size": size, **fields}
        return self.respond(qp, **values)

    def local_result(self, qp: Qp, message: Message, status=CqeStatus.SUCCESS) -> None:
        """The transmit pipeline ended a local operation."""
        self.result.send_nowait(
            TxResult(qpn=qp.number, local_op=1, msg_idx=message.index & 0xFFFF, status=status)
        )
        qp.local(message.index, status)

    def unsent(self, qp: Qp, message: Message, status=CqeStatus.LOC_PROT_ERR) -> None:
        """The transmit pipeline could not send a packet."""
        index = message.index & 0xFFFF
        self.result.send_nowait(TxResult(qpn=qp.number, msg_idx=index, status=status))
        qp.cannot_send(message.index, status)

    # ------------------------------------------------------------------ end

    async def settle(self) -> None:
        """Wait until nothing happens any more."""
        quiet = 0
        sources = (self.rsp, self.done, self.result, self.kick, self.flush, self.init)
        for _ in range(40_000):
            await RisingEdge(self.dut.clk)
            busy = self.expected or self.moving or self.drain_target is not None
            busy = busy or not all(source.empty() for source in sources)
            busy = busy or any(sink.valid.value == 1 for sink in self.sinks.values())
            quiet = 0 if busy else quiet + 1
            if quiet > 40:
                return
        raise AssertionError(f"never quiet; {len(self.expected)} groups are missing")

    async def progress(self, number: int) -> list[SqProgress]:
        """What both readers of the published progress see."""
        self.dut.progress_rd_qpn.value = number << 16 | number
        await cycles(self.dut, 4)
        bits = str(self.dut.progress_rd_data.value)
        half = len(bits) // 2
        return [SqProgress.from_int(int(part, 2)) for part in (bits[:half], bits[half:])]

    async def check(self, qp: Qp) -> None:
        """Completions, errors, progress and kicks are those of the model."""
        if self.configs[qp.number].state == QpState.ERR:
            qp.flush()
        due = [end for end in qp.completions if end[0].signaled or end[1] != CqeStatus.SUCCESS]
        found = self.completions[qp.number]
        assert [cqe.wr_id for cqe in found] == [end[0].wr_id for end in due], (len(found), due)
        for cqe, (message, status, syndrome) in zip(found, due, strict=True):
            assert (cqe.status, cqe.syndrome) == (status, syndrome), (cqe, message)
            assert (cqe.cqn, cqe.wqe_index) == (qp.cq, message.sq_next)
            if status == CqeStatus.SUCCESS:
                assert cqe.byte_len == message.length
                assert cqe.opcode == OPS.get(message.kind, 0)
        assert self.errors[qp.number] == qp.errors
        for seen in await self.progress(qp.number):
            assert seen.msg_tail == qp.retired & 0xFFFF
            done = qp.messages[: qp.retired]
            assert seen.reads_done == sum(m.kind in READS for m in done) & 0xFFFF
            assert seen.una == qp.una, (seen, qp.una)
            assert seen.rnr_wait == qp.rnr_wait
            assert seen.limited == (qp.limit is not None), (seen, qp.limit)
            assert qp.limit is None or seen.limit == qp.limit, (seen, qp.limit)
            assert seen.sq_tail == (done[-1].sq_next if done else 0)
            assert seen.psn == ((done[-1].last + 1) % SPACE if done else qp.start)
        assert self.rewinds[qp.number] == qp.rewinds
        if qp.retired:
            assert self.kicks[qp.number] > 0

    async def drain(self, timeout: int = 5000) -> None:
        """Ask for a drain and wait for its end."""
        self.drained = False
        self.dut.drain_req_en.value = 1
        await cycles(self.dut)
        self.dut.drain_req_en.value = 0
        for _ in range(timeout):
            await cycles(self.dut)
            if self.drained:
                return
        raise AssertionError("no end of the drain")


def split(size: int) -> list[Sge]:
    """Random SGEs for a read: some empty, some that end with a packet."""
    cuts = sorted(random.choice([0, size, random.randint(0, size), size // 256 * 256])
                  for _ in range(random.randrange(8)))  # fmt: skip
    bounds = [0, *cuts, size]
    return [
        Sge(random.getrandbits(60), high - low, random.getrandbits(32))
        for low, high in pairwise(bounds)
    ]
