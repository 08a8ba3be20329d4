"""A DMA write port of the host: one burst of one line at a time, answered in order, late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.streams import DmaWriteData, DmaWriteReq
from tb.streams import StreamSink, stall_pattern


class WritePort:
    """Takes requests and lines, keeps the bytes, and answers each after ``latency`` cycles."""

    def __init__(self, dut: SimHandleBase, stall: str = "none") -> None:
        self.dut = dut
        self.bytes: dict[int, int] = {}
        self.latency = 12
        self.held = False
        self.bad: Callable[[int], bool] = lambda addr: False
        self.on_done: Callable[[int, bool], None] = lambda addr, error: None
        self.written: list[int] = []
        self._requests: deque[DmaWriteReq] = deque()
        self._lines: deque[DmaWriteData] = deque()
        self._unanswered: deque[tuple[int, int]] = deque()
        self.now = 0
        dut.s_wdone_en.value = 0
        if hasattr(dut, "s_wdone_error"):
            dut.s_wdone_error.value = 0
        self.ends = [
            StreamSink(
                dut, "m_wreq", record=DmaWriteReq, stall=stall_pattern(stall),
                on_beat=self._requests.append,
            ),
            StreamSink(
                dut, "m_wdata", record=DmaWriteData, stall=stall_pattern(stall),
                on_beat=self._lines.append,
            ),
        ]  # fmt: skip
        cocotb.start_soon(self._run())

    def clear(self) -> None:
        """Forget what was under way, for a reset."""
        for queue in (self._requests, self._lines, self._unanswered, self.written):
            queue.clear()

    def busy(self) -> bool:
        """A write is under way."""
        return bool(self._requests or self._lines or self._unanswered)

    def read(self, addr: int, size: int) -> bytes | None:
        """What the host sees; None where nothing was written."""
        if any(addr + i not in self.bytes for i in range(size)):
            return None
        return bytes(self.bytes[addr + i] for i in range(size))

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        while True:
            await edge
            self.now += 1
            while self._requests and self._lines:
                self._write(self._requests.popleft(), self._lines.popleft())
            due = bool(self._unanswered) and self._unanswered[0][0] <= self.now and not self.held
            self.dut.s_wdone_en.value = int(due)
            if due:
                _, addr = self._unanswered.popleft()
                error = self.bad(addr)
                if hasattr(self.dut, "s_wdone_error"):
                    self.dut.s_wdone_error.value = int(error)
                self.on_done(addr, error)

    def _write(self, request: DmaWriteReq, line: DmaWriteData) -> None:
        assert (request.beats, line.last) == (1, 1)
        places = [i for i in range(64) if line.strb >> i & 1]
        base = request.addr & ~63
        assert places, "a write of nothing"
        assert base + places[0] == request.addr, "the address is not that of the first byte"
        assert places == list(range(places[0], places[-1] + 1))
        self.written.append(request.addr)
        if not self.bad(request.addr):
            for i in places:
                self.bytes[base + i] = line.data >> 8 * i & 0xFF
        self._unanswered.append((self.now + self.latency, request.addr))
