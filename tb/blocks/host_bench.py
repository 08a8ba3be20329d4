"""The bench of the two host engines: clients on one side, host memory on the other."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.streams import DmaReadData, DmaReadReq, DmaWriteData, DmaWriteReq
from tb.axi_memory import AxiMemory, Resp, Timing
from tb.host_memory import HostMemory
from tb.lanes import LaneSources
from tb.streams import StreamError, cycles, reset, stall_pattern, start_clock
from tb.ticker import sampler

LINE = 64
REGION = 4 * 4096
SLOW = dict.fromkeys(("aw", "w", "b", "ar", "r"), 0.4)


class Bench:
    """Clients, the port and the memory; every client has a region of its own."""

    def __init__(self, dut: SimHandleBase, timing: Timing | None, idle: str) -> None:
        self.dut = dut
        self.clients = len(dut.rd_req_valid)
        self.memory = HostMemory(seed=1)
        self.regions = [self.memory.allocate(REGION) for _ in range(self.clients)]
        self.axi = AxiMemory(dut, self.memory, timing=timing, seed=random.getrandbits(32))
        self.reads = LaneSources(dut, "rd_req", self.clients, idle=stall_pattern(idle))
        self.writes = LaneSources(dut, "wr_req", self.clients, idle=stall_pattern(idle))
        self.lines = LaneSources(dut, "wr_data", self.clients, idle=stall_pattern(idle))
        self.cycle = 0
        self.forget()
        cocotb.start_soon(self._watch())

    def forget(self) -> None:
        """Drop what was seen."""
        self.read_lines: list[list[DmaReadData]] = [[] for _ in range(self.clients)]
        self.done: list[list[int]] = [[] for _ in range(self.clients)]
        self.read_cycles: list[int] = []
        self.address_cycles: list[int] = []
        self.write_cycles: list[int] = []

    @classmethod
    async def start(
        cls, dut: SimHandleBase, timing: Timing | None = None, idle: str = "none"
    ) -> Bench:
        """Connect everything and reset."""
        start_clock(dut)
        bench = cls(dut, timing, idle)
        await bench.reset()
        return bench

    async def reset(self) -> None:
        """Reset both sides."""
        await reset(self.dut, self.reads, self.writes, self.lines)  # type: ignore[arg-type]
        self.forget()

    def fill(self, client: int) -> bytearray:
        """Random content for a client's region; returns a copy of it."""
        data = random.randbytes(REGION)
        self.memory.write(self.regions[client].address, data)
        return bytearray(data)

    async def until(self, done: Any, limit: int = 40_000) -> None:
        """Wait for a condition."""
        for _ in range(limit):
            if done():
                return
            await RisingEdge(self.dut.clk)
        raise TimeoutError(
            f"read {[len(s) for s in self.read_lines]}, done {[len(d) for d in self.done]}"
        )

    async def quiet(self) -> None:
        """Nothing more comes."""
        seen = (self.read_lines, self.done)
        before = [[len(lane) for lane in what] for what in seen]
        await cycles(self.dut, 40)
        assert before == [[len(lane) for lane in what] for what in seen]

    async def _watch(self) -> None:
        dut = self.dut
        edge = RisingEdge(dut.clk)
        rst, read_en, read_data = map(sampler, (dut.rst, dut.rd_rsp_en, dut.rd_rsp_data))
        done_en, done_error = map(sampler, (dut.wr_done_en, dut.wr_done_error))
        w_valid, w_ready = map(sampler, (dut.m_axi_wvalid, dut.m_axi_wready))
        ar_valid, ar_ready = map(sampler, (dut.m_axi_arvalid, dut.m_axi_arready))
        while True:
            await edge
            self.cycle += 1
            if rst() != "0":
                continue
            for client in self._up(read_en()):
                self.read_lines[client].append(DmaReadData.from_int(int(read_data(), 2)))
                self.read_cycles.append(self.cycle)
            for client in self._up(done_en()):
                self.done[client].append(int(done_error()))
            if w_valid() == w_ready() == "1":
                self.write_cycles.append(self.cycle)
            if ar_valid() == ar_ready() == "1":
                self.address_cycles.append(self.cycle)

    def _up(self, text: str) -> list[int]:
        if set(text) - {"0", "1"}:
            raise StreamError(f"an enable is {text}")
        clients = [client for client, bit in enumerate(reversed(text)) if bit == "1"]
        assert len(clients) <= 1
        return clients

    # ------------------------------------------------------------ reads

    def read(self, client: int, offset: int, length: int) -> None:
        """Ask for bytes of the client's region."""
        request = DmaReadReq(addr=self.regions[client].address + offset, length=length)
        self.reads.send_nowait(client, data=request.to_int())

    # ------------------------------------------------------------ writes

    def write(self, client: int, offset: int, data: list[int], strobes: list[int]) -> None:
        """Write lines to the client's region; offset is that of the first byte touched."""
        self.offer_write(client, offset, len(data))
        self.offer_lines(client, data, strobes)

    def offer_write(self, client: int, offset: int, beats: int) -> None:
        """The request alone."""
        request = DmaWriteReq(addr=self.regions[client].address + offset, beats=beats)
        self.writes.send_nowait(client, data=request.to_int())

    def offer_lines(self, client: int, data: list[int], strobes: list[int]) -> None:
        """The lines alone."""
        for index, (line, strobe) in enumerate(zip(data, strobes, strict=True)):
            beat = DmaWriteData(data=line, strb=strobe, last=index + 1 == len(data))
            self.lines.send_nowait(client, data=beat.to_int())


def span(offset: int, length: int) -> range:
    """Offsets of the lines that a read touches."""
    return range(offset // LINE * LINE, offset + length, LINE)


def random_piece(top: int = REGION) -> tuple[int, int]:
    """Bytes that do not cross 4 KiB: offset and length, edges often."""
    page = random.randrange(top // 4096) * 4096
    if random.random() < 0.2:
        first = random.choice((0, 1, 63, 64, 4032, 4095))
    else:
        first = random.randrange(4096)
    room = 4096 - first
    longest = room if random.random() < 0.3 else min(room, 300)
    length = random.choice((1, min(64, longest), longest, random.randint(1, longest)))
    return page + first, length


__all__ = ["LINE", "REGION", "SLOW", "Bench", "Resp", "Timing", "random_piece", "span"]
