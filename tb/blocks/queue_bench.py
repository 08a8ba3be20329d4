"""The bench of the send path: doorbells and host memory here, packets and records there.

One coroutine serves every port, once a cycle: it samples before the edge takes effect, lets the
models react, and drives what the next cycle shows.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import Mtu, QpState, QpType
from spec.layouts import PUSH_OFFSET, Doorbell, QueueDoorbell, Sge
from spec.streams import (
    CqUpdate,
    DmaReadReq,
    MsgRecord,
    QpConfig,
    QpInit,
    QpInitOp,
    ReadRecord,
    RingUpdate,
    SqPark,
    SqProgress,
    TxPacket,
    WqeBlock,
)
from tb.streams import start_clock
from tb.ticker import sampler

OKAY = 0
SLVERR = 2
EVENTS = ("doorbell", "push", "refused", "range", "bad", "wqe")


@dataclass
class Write:
    """An AXI write burst; ``resp`` is there when it was answered."""

    addr: int
    beats: list[tuple[int, int]]
    size: int = 6
    burst: int = 1
    resp: int | None = None
    beat_cycle: int = 0


class Source:
    """Drives a stream of numbers."""

    def __init__(self, dut: SimHandleBase, name: str) -> None:
        self.data = getattr(dut, f"{name}_data")
        self.valid = getattr(dut, f"{name}_valid")
        self.ready = sampler(getattr(dut, f"{name}_ready"))
        self.queue: deque[int] = deque()
        self.driving = False
        self.valid.value = 0

    def step(self, hold: bool = False) -> bool:
        """One cycle; says whether a beat was taken."""
        taken = self.driving and self.ready() == "1"
        if taken:
            self.queue.popleft()
            self.driving = False
            self.valid.value = 0
        if not self.driving and self.queue and not hold:
            self.data.value = self.queue[0]
            self.valid.value = 1
            self.driving = True
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self.queue.clear()
        self.driving = False
        self.valid.value = 0


class Table:
    """A table with two cycles of latency."""

    def __init__(self, dut: SimHandleBase, qpn: str, data: str, rows: list[int]) -> None:
        self.qpn = sampler(getattr(dut, qpn))
        self.data = getattr(dut, data)
        self.rows = rows
        self.pending = 0
        self.shown = 0
        self.data.value = 0

    def step(self) -> None:
        """Show what was asked for a cycle ago, look up what is asked for now."""
        if self.pending != self.shown:
            self.shown = self.pending
            self.data.value = self.shown
        try:
            number = int(self.qpn(), 2)
        except ValueError:
            number = 1 << 30
        self.pending = self.rows[number] if number < len(self.rows) else 0


class Bench:
    """Everything around the send path."""

    def __init__(
        self,
        dut: SimHandleBase,
        qps: int = 16,
        latency: tuple[int, int] = (4, 12),
        stall: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self.dut = dut
        self.rng = random.Random(random.getrandbits(32) if seed is None else seed)
        self.latency = latency
        self.stall = stall
        self.cycle = 0
        self.qps = qps
        self.cfg = [QpConfig() for _ in range(qps)]
        self.cfg_rows = [0] * qps
        self.progress_rows = [0] * qps
        self.memory: dict[int, bytes] = {}
        self.broken: set[int] = set()
        self.tables = [
            Table(dut, f"{who}_qp_rd_qpn", f"{who}_qp_rd_cfg", self.cfg_rows)
            for who in ("queue", "tx")
        ] + [
            Table(dut, f"{who}_progress_rd_qpn", f"{who}_progress_rd_data", self.progress_rows)
            for who in ("queue", "tx")
        ]
        self.holds = [0] * qps
        """QPs that the rate limiter holds."""
        self.tables += [
            Table(dut, f"{who}_pace_rd_qpn", f"{who}_pace_rd_hold", self.holds)
            for who in ("queue", "tx")
        ]
        for name in ("progress_en", "progress_qpn", "progress_data"):
            getattr(dut, name).value = 0
        self.rewind = Source(dut, "s_rewind")
        self.kick = Source(dut, "s_kick")
        self.flush = Source(dut, "s_flush")
        self.init = Source(dut, "init")
        self.reacts: list[Callable[[], None]] = []
        self.on_msg: Callable[[int, int, MsgRecord], None] | None = None
        self.on_pkt: Callable[[TxPacket], None] | None = None
        self.on_kick: Callable[[int], None] | None = None
        self._bits = {
            name: sampler(getattr(dut, name))
            for name in (
                "m_dma_valid", "m_dma_data", "m_pkt_valid", "m_pkt_data", "m_kick_valid",
                "m_kick_data", "msg_write_en", "read_write_en", "sge_write_en", "inline_write_en",
                "inline_slot_ready", "wqe_valid", "wqe_ready", "wqe_data", "park_valid",
                "park_ready", "park_data", "m_rq_valid", "m_cq_valid", "m_eq_valid",
                "s_axi_db_awready", "s_axi_db_wready", "s_axi_db_bvalid", "s_axi_db_bresp",
                "drain_done_en", "enter_en", "leave_en", "sent_en", "read_again_en", "epoch_en",
                *(f"ev_{event}_en" for event in EVENTS),
            )
        }  # fmt: skip
        for name in (
            "rst", "psn_rd_qpn", "drain_req_en", "s_axi_db_awvalid", "s_axi_db_wvalid",
            "s_axi_db_arvalid", "s_axi_db_rready", "s_dma_en", "inline_slot_valid",
        ):  # fmt: skip
            getattr(dut, name).value = 0
        for name in ("m_rq_ready", "m_cq_ready", "m_eq_ready", "tx_enable", "s_axi_db_bready"):
            getattr(dut, name).value = 1
        self.pkt_hold = False
        self.msg_new = 1
        self.in_reset = True
        self.forget()

    def forget(self) -> None:
        """Drop everything that is on its way or was seen."""
        self.writes: deque[Write] = deque()  # whose address is to be sent
        self.bursts: deque[Write] = deque()  # whose beats are to be sent
        self.answers: deque[Write] = deque()  # whose response is to come
        self.beat_at = 0
        self.aw_up = self.w_up = False
        self.reads: deque[tuple[int, list[int]]] = deque()
        self.read_count = 0
        self.packets: list[tuple[int, TxPacket]] = []
        self.messages: list[tuple[int, int, int, MsgRecord]] = []
        self.read_records: dict[tuple[int, int], ReadRecord] = {}
        self.sge_records: dict[tuple[int, int, int], Sge] = {}
        self.parks: list[SqPark] = []
        self.publishing: deque[tuple[int, int]] = deque()
        self.sent: list[tuple[int, int, int]] = []
        """Packets: QP, whether of its oldest message, whether sent before."""
        self.reads_again: list[int] = []
        self.epochs: dict[int, int] = {}
        """Of each QP, as it was told last."""
        self.blocks: list[tuple[int, WqeBlock]] = []
        self.keep_blocks = False
        self.kicks: list[int] = []
        self.updates: dict[str, list[Any]] = {"rq": [], "cq": [], "eq": []}
        self.events = dict.fromkeys(EVENTS, 0)
        self.entered = self.left = self.drained = 0
        self.slots = list(range(64))
        self.slot_shown: int | None = None
        self.slot_data: dict[int, list[int]] = {slot: [0] * 4 for slot in range(64)}
        self.slot_back: deque[tuple[int, int]] = deque()
        self.dma_ready = self.pkt_ready = self.kick_ready = False

    @classmethod
    async def start(cls, dut: SimHandleBase, **knobs: Any) -> Bench:
        """Connect everything and reset."""
        start_clock(dut)
        bench = cls(dut, **knobs)
        await bench.reset()
        cocotb.start_soon(bench._run())
        return bench

    async def reset(self) -> None:
        """Reset; nothing that was on its way arrives."""
        dut = self.dut
        self.in_reset = True
        dut.rst.value = 1
        for source in (self.kick, self.flush, self.init, self.rewind):
            source.clear()
        for name in ("s_axi_db_awvalid", "s_axi_db_wvalid", "s_dma_en", "inline_slot_valid",
                     "m_dma_ready", "m_pkt_ready", "m_kick_ready"):  # fmt: skip
            getattr(dut, name).value = 0
        self.forget()
        for _ in range(4):
            await RisingEdge(dut.clk)
        self.forget()
        dut.rst.value = 0
        await RisingEdge(dut.clk)
        self.in_reset = False

    # What the tests say

    def configure(self, qpn: int, **fields: Any) -> None:
        """Change the configuration of a QP; the design sees it from the next look on."""
        self.cfg[qpn] = replace(self.cfg[qpn], **fields)
        self.cfg_rows[qpn] = self.cfg[qpn].to_int()

    async def create(self, qpn: int, psn: int = 0, **fields: Any) -> None:
        """Bring a QP to RTS."""
        base = {
            "exists": 1, "qp_type": QpType.RC, "state": int(QpState.RESET), "sq_log": 6,
            "sq_base": 0x10_0000 * (qpn + 1), "path_mtu": int(Mtu.BYTES_1024), "pd": 7 + qpn,
            "max_rd_atomic": 16,
        }  # fmt: skip
        self.configure(qpn, **(base | fields))
        await self.send_init(QpInitOp.CREATE, qpn)
        self.progress_rows[qpn] = SqProgress(psn=psn, una=psn).to_int()
        self.holds[qpn] = 0
        await self.send_init(QpInitOp.RTS, qpn, psn)
        self.configure(qpn, state=int(QpState.RTS))
        await self.cycles(2)

    async def send_init(self, op: QpInitOp, qpn: int, psn: int = 0) -> None:
        """Give a QP a new context."""
        self.init.queue.append(QpInit(op=op, qpn=qpn, psn=psn).to_int())
        while self.init.queue:
            await RisingEdge(self.dut.clk)

    def set_progress(self, qpn: int, progress: SqProgress) -> None:
        """Publish the completer's progress."""
        self.publishing.append((qpn, progress.to_int()))
        self.progress_rows[qpn] = progress.to_int()

    def send_back(self, qpn: int) -> None:
        """Ask for a return to the oldest message; the list holds each QP once."""
        if qpn not in self.rewind.queue:
            self.rewind.queue.append(qpn)

    def _publish(self) -> None:
        dut = self.dut
        dut.progress_en.value = int(bool(self.publishing))
        if self.publishing:
            qpn, row = self.publishing.popleft()
            dut.progress_qpn.value, dut.progress_data.value = qpn, row

    def store(self, qpn: int, index: int, blocks: list[bytes]) -> None:
        """Write blocks into a send queue."""
        cfg = self.cfg[qpn]
        for number, block in enumerate(blocks):
            place = index + number & (1 << cfg.sq_log) - 1
            self.memory[cfg.sq_base + 64 * place] = block

    def ring(self, qpn: int, index: int, where: Doorbell = Doorbell.SQ) -> Write:
        """A doorbell."""
        value = QueueDoorbell(number=qpn, index=index & 0xFFFF).to_int()
        return self.write(int(where), value << 8 * int(where), 0xFF << int(where), size=3)

    def push(self, qpn: int, block: bytes) -> Write:
        """A pushed entry."""
        data = int.from_bytes(block, "little")
        return self.write(PUSH_OFFSET + 64 * qpn, data, (1 << 64) - 1)

    def write(self, addr: int, data: int, strb: int, size: int = 6, burst: int = 1) -> Write:
        """Any write of one beat."""
        return self.burst(Write(addr, [(data, strb)], size, burst))

    def burst(self, write: Write) -> Write:
        """Any write."""
        self.writes.append(write)
        return write

    async def cycles(self, count: int) -> None:
        """Let cycles pass."""
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    async def until(
        self, condition: Callable[[], bool], limit: int = 20_000, what: str = ""
    ) -> None:
        """Wait for something."""
        for _ in range(limit):
            if condition():
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"timeout: {what or condition}")

    # Once a cycle

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        while True:
            await edge
            self.cycle += 1
            if self.in_reset:
                continue
            for table in self.tables:
                table.step()
            self._publish()
            for source in (self.kick, self.flush, self.init, self.rewind):
                source.step()
            self._axi()
            self._records()
            self._packets()
            self._dma()
            self._inline()
            self._watch()
            for react in self.reacts:
                react()

    def _high(self, name: str) -> bool:
        bit = self._bits[name]()
        assert bit in "01", f"{name} is {bit}"
        return bit == "1"

    def _word(self, name: str) -> int:
        return int(self._bits[name](), 2)

    def _idle(self) -> bool:
        return self.stall > 0 and self.rng.random() < self.stall

    def _axi(self) -> None:
        dut = self.dut
        if self.aw_up and self._high("s_axi_db_awready"):
            self.aw_up = False
            dut.s_axi_db_awvalid.value = 0
        if self.w_up and self._high("s_axi_db_wready"):
            self.w_up = False
            dut.s_axi_db_wvalid.value = 0
            self.bursts[0].beat_cycle = self.cycle
            self.beat_at += 1
            if self.beat_at == len(self.bursts[0].beats):
                self.bursts.popleft()
                self.beat_at = 0
        if self._high("s_axi_db_bvalid"):
            self.answers.popleft().resp = self._word("s_axi_db_bresp")
        if not self.aw_up and self.writes and not self._idle():
            write = self.writes.popleft()
            self.bursts.append(write)
            self.answers.append(write)
            dut.s_axi_db_awaddr.value = write.addr
            dut.s_axi_db_awlen.value = len(write.beats) - 1
            dut.s_axi_db_awsize.value = write.size
            dut.s_axi_db_awburst.value = write.burst
            dut.s_axi_db_awid.value = 5
            dut.s_axi_db_awvalid.value = 1
            self.aw_up = True
        if not self.w_up and self.bursts and not self._idle():
            data, strb = self.bursts[0].beats[self.beat_at]
            dut.s_axi_db_wdata.value = data
            dut.s_axi_db_wstrb.value = strb
            dut.s_axi_db_wlast.value = int(self.beat_at == len(self.bursts[0].beats) - 1)
            dut.s_axi_db_wvalid.value = 1
            self.w_up = True

    def _records(self) -> None:
        dut = self.dut
        if self._high("sge_write_en"):
            key = (
                int(dut.sge_write_qpn.value), int(dut.sge_write_slot.value),
                int(dut.sge_write_number.value),
            )  # fmt: skip
            self.sge_records[key] = Sge.from_int(int(dut.sge_write_data.value))
        if self._high("read_write_en"):
            at = (int(dut.read_write_qpn.value), int(dut.read_write_slot.value))
            self.read_records[at] = ReadRecord.from_int(int(dut.read_write_data.value))
        if self._high("sent_en"):
            self.sent.append(
                (int(dut.sent_qpn.value), int(dut.sent_oldest.value), int(dut.sent_again.value))
            )
        if self._high("epoch_en"):
            self.epochs[int(dut.epoch_qpn.value)] = int(dut.epoch.value)
        if self._high("read_again_en"):
            self.reads_again.append(int(dut.read_again_qpn.value))
        if self._high("msg_write_en"):
            qpn, index = int(dut.msg_write_qpn.value), int(dut.msg_write_index.value)
            record = MsgRecord.from_int(int(dut.msg_write_data.value))
            self.messages.append((self.cycle, qpn, index, record))
            self.msg_new = int(dut.msg_write_new.value)
            if self.on_msg:
                self.on_msg(qpn, index, record)
        if self.kick_ready and self._high("m_kick_valid"):
            qpn = self._word("m_kick_data")
            self.kicks.append(qpn)
            if self.on_kick:
                self.on_kick(qpn)
        self.kick_ready = not self._idle()
        dut.m_kick_ready.value = int(self.kick_ready)

    def _packets(self) -> None:
        if self.pkt_ready and self._high("m_pkt_valid"):
            pkt = TxPacket.from_int(self._word("m_pkt_data"))
            self.packets.append((self.cycle, pkt))
            if self.on_pkt:
                self.on_pkt(pkt)
        ready = not self.pkt_hold and not self._idle()
        if ready != self.pkt_ready:
            self.pkt_ready = ready
            self.dut.m_pkt_ready.value = int(ready)

    def _dma(self) -> None:
        dut = self.dut
        if self.dma_ready and self._high("m_dma_valid"):
            req = DmaReadReq.from_int(self._word("m_dma_data"))
            assert req.addr % 64 == 0
            assert req.length % 64 == 0
            assert 64 <= req.length <= 1024
            assert req.addr >> 12 == req.addr + req.length - 1 >> 12, "burst crosses a page"
            lines = [req.addr + at for at in range(0, req.length, 64)]
            self.reads.append((self.cycle + self.rng.randint(*self.latency), lines))
            self.read_count += 1
        ready = not self._idle()
        if ready != self.dma_ready:
            self.dma_ready = ready
            dut.m_dma_ready.value = int(ready)
        if self.reads and self.reads[0][0] <= self.cycle and not self._idle():
            lines = self.reads[0][1]
            addr = lines.pop(0)
            block = self.memory.get(addr, b"\xee" * 64)
            error = addr in self.broken
            last = not lines
            value = int.from_bytes(block, "little") | last << 512 | error << 513
            dut.s_dma_data.value = value
            dut.s_dma_en.value = 1
            if last:
                self.reads.popleft()
        else:
            dut.s_dma_en.value = 0

    def _inline(self) -> None:
        dut = self.dut
        if self._high("inline_write_en"):
            slot, block = int(dut.inline_write_slot.value), int(dut.inline_write_block.value)
            self.slot_data[slot][block] = int(dut.inline_write_data.value)
        if self.slot_shown is not None and self._high("inline_slot_ready"):
            self.slot_shown = None
            dut.inline_slot_valid.value = 0
        while self.slot_back and self.slot_back[0][0] <= self.cycle:
            self.slots.append(self.slot_back.popleft()[1])
        if self.slot_shown is None and self.slots:
            self.slot_shown = self.slots.pop(0)
            dut.inline_slot.value = self.slot_shown
            dut.inline_slot_valid.value = 1

    def inline_bytes(self, slot: int, length: int) -> bytes:
        """Payload in a slot of the inline buffer; the slot is given back."""
        whole = b"".join(block.to_bytes(64, "little") for block in self.slot_data[slot])
        self.slot_back.append((self.cycle + 20, slot))
        return whole[32 : 32 + length]

    def _watch(self) -> None:
        for event in EVENTS:
            self.events[event] += self._high(f"ev_{event}_en")
        self.entered += self._high("enter_en")
        self.left += self._high("leave_en")
        self.drained += self._high("drain_done_en")
        if self._high("park_valid") and self._high("park_ready"):
            self.parks.append(SqPark.from_int(self._word("park_data")))
        if self.keep_blocks and self._high("wqe_valid") and self._high("wqe_ready"):
            self.blocks.append((self.cycle, WqeBlock.from_int(self._word("wqe_data"))))
        for name, record in (("rq", RingUpdate), ("cq", CqUpdate), ("eq", RingUpdate)):
            if self._high(f"m_{name}_valid"):
                data = int(getattr(self.dut, f"m_{name}_data").value)
                self.updates[name].append(record.from_int(data))
