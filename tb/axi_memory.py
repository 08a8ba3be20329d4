"""The AXI4 slave through which an adapter reaches host memory: latency, disorder, faults, rules.

One plain function per clock edge serves all five channels and sleeps when nothing is under way.
Measured on Verilator with a bare traffic generator, per cycle of 512 bits: reads at full rate cost
12 us, writes 16 us, both 19 us, idle nothing beyond the clock's 2.4 us. AxiRam of cocotbext-axi
0.1.28 costs 49, 107 and 179 us, has no grants and answers in order only: hence not used here.

Data is written when its B response is presented and read when its first R beat is: what a master
may not rely on, it does not get. Equal IDs answer in order; different IDs do so too unless
`reorder` is set.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from tb.axi_types import Burst, Channel, Counters, Fault, Resp, Timing
from tb.host_memory import HostMemory, MemoryViolation
from tb.ticker import BusError, Ticker, bits_driver, int_driver, now_ns, sampler

INCR = "01"


class AxiMemory:
    """An AXI4 slave on the ports `<prefix>_aw*` to `<prefix>_r*` of a design, backed by memory."""

    def __init__(
        self,
        dut: Any,
        memory: HostMemory,
        *,
        prefix: str = "m_axi",
        clk: Any = None,
        rst: Any = None,
        timing: Timing | None = None,
        seed: int = 0,
    ) -> None:
        self._dut, self._prefix = dut, prefix
        self.memory = memory
        self.timing = timing or Timing()
        self.faults: list[Fault] = []
        self.silent = False  # takes everything and answers nothing
        self.counters = Counters()
        self.on_violation: Callable[[AssertionError], None] = self._raise
        self._random = random.Random(seed)
        self._bytes = len(self.signal("wdata")) // 8
        self._ones = "1" * self._bytes
        self._reset = sampler(dut.rst if rst is None else rst)
        stall = self.timing.stall
        burst = ("id", "addr", "len", "size", "burst")
        self._aw = Channel(self, "aw", burst, stall.get("aw", 0.0))
        self._w = Channel(self, "w", ("last", "strb", "data"), stall.get("w", 0.0))
        self._ar = Channel(self, "ar", burst, stall.get("ar", 0.0))
        self._b_stall, self._r_stall = stall.get("b", 0.0), stall.get("r", 0.0)
        self._writes: deque[Burst] = deque()  # addresses whose data is not complete
        self._early: deque[list[str]] = deque()  # data whose address has not come
        self._answers: deque[Burst] = deque()  # complete writes, in order of completion
        self._reads: deque[Burst] = deque()  # in order of arrival
        self._b_shown = self._r_shown = False
        self._b_ready, self._r_ready = (
            sampler(self.signal("bready")),
            sampler(self.signal("rready")),
        )
        self._drive = {n: int_driver(self.signal(n)) for n in _DRIVEN}
        self._driven: dict[str, int] = {}
        self._set_rdata = bits_driver(self.signal("rdata"))
        self.ticker = Ticker.of(dut.clk if clk is None else clk)
        for name in ("bvalid", "rvalid", "awready", "wready", "arready"):
            self.ticker.write(self._drive[name], 0)
        valids = [self.signal(n) for n in ("awvalid", "wvalid", "arvalid")]
        self.ticker.add(self, *valids)

    def signal(self, name: str) -> Any:
        """A port of this bus."""
        return getattr(self._dut, f"{self._prefix}_{name}")

    @property
    def unanswered(self) -> tuple[int, int]:
        """Reads and writes taken, but not answered to their end."""
        return len(self._reads), len(self._answers)

    @property
    def idle(self) -> bool:
        """Nothing is outstanding."""
        return not (self._writes or self._early or self._answers or self._reads) and not (
            self._b_shown or self._r_shown
        )

    def inject(self, resp: Resp, **where: Any) -> Fault:
        """Answer with an error; see `Fault`. `faults.remove` ends it."""
        fault = Fault(resp, **where)
        self.faults.append(fault)
        return fault

    def broken(self, what: str) -> BusError:
        """The error for a broken rule of the bus, with place and time."""
        return BusError(f"{self._prefix}: {what} at {now_ns():.0f} ns")

    def _raise(self, error: AssertionError) -> None:
        raise error

    # ------------------------------------------------------------ one clock edge

    def step(self) -> bool:
        """Model: sample the edge, answer after it."""
        if self._reset() != "0":
            self._clear()
            return True
        now = self.ticker.cycle
        if self._b_shown and self._b_ready() == "1":
            self._b_shown = False
        if self._r_shown and self._r_ready() == "1":
            self._r_shown = False
        if beat := self._w.take():
            self._data(beat, now)
        if beat := self._aw.take():
            self._write_address(beat, now)
        if beat := self._ar.take():
            self._read_address(beat, now)
        self._answer_write(now)
        self._answer_read(now)
        return self._prepare()

    def _prepare(self) -> bool:
        write, rng, timing = self.ticker.write, self._random, self.timing
        waiting = len(self._writes) + len(self._answers)
        self._aw.prepare(waiting < timing.max_writes, write, rng)
        self._w.prepare(True, write, rng)
        self._ar.prepare(len(self._reads) < timing.max_reads, write, rng)
        held = self._aw.held or self._w.held or self._ar.held
        ready = self._aw.ready and self._w.ready and self._ar.ready
        return bool(held) or not ready or not self.idle

    def _clear(self) -> None:
        for queue in (self._writes, self._early, self._answers, self._reads):
            queue.clear()
        for channel in (self._aw, self._w, self._ar):
            channel.held = None
        self._b_shown = self._r_shown = False
        self._show("bvalid", 0)
        self._show("rvalid", 0)

    def _show(self, name: str, value: int) -> None:
        if self._driven.get(name) != value:
            self._driven[name] = value
            self.ticker.write(self._drive[name], value)

    # ------------------------------------------------------------ requests

    def _burst(self, channel: str, beat: list[str], now: int) -> Burst:
        try:
            ident, address, length, size = (int(text, 2) for text in beat[:4])
        except ValueError:
            raise self.broken(f"X or Z on {channel}: {beat}") from None
        width, beats = self._bytes, length + 1
        what = f"{channel} id {ident} address {address:#x} len {length}"
        if beat[4] != INCR:
            raise self.broken(f"{what}: burst type {beat[4]}, only INCR is used")
        if 1 << size != width:
            raise self.broken(f"{what}: size {1 << size} bytes on a bus of {width}")
        if address % 4096 // width + beats > 4096 // width:
            raise self.broken(f"{what}: crosses a 4 KiB boundary")
        return Burst(address, beats, ident, now)

    def _fault(self, burst: Burst, write: bool) -> int:
        end = burst.address - burst.address % self._bytes + burst.beats * self._bytes
        for fault in self.faults:
            inside = burst.address < fault.address + fault.size and end > fault.address
            if inside and (fault.writes if write else fault.reads):
                fault.hits += 1
                if fault.skip < fault.hits <= fault.skip + fault.count:
                    return fault.resp
        return Resp.OKAY

    def _write_address(self, beat: list[str], now: int) -> None:
        burst = self._burst("aw", beat, now)
        self._writes.append(burst)
        self.counters.write_bursts += 1
        outstanding = len(self._writes) + len(self._answers)
        self.counters.peak_writes = max(self.counters.peak_writes, outstanding)
        while self._early and self._writes:
            self._data(self._early.popleft(), now)

    def _data(self, beat: list[str], now: int) -> None:
        if not self._writes:
            self._early.append(beat)
            return
        burst = self._writes[0]
        last, strobe, data = beat
        burst.data.append(data)
        burst.strobes.append(strobe)
        self.counters.write_beats += 1
        complete = len(burst.data) == burst.beats
        if (last == "1") != complete:
            at = f"beat {len(burst.data)} of {burst.beats}"
            raise self.broken(f"wlast {last} on {at}, id {burst.id} address {burst.address:#x}")
        if complete:
            self._writes.popleft()
            burst.due = now + self.timing.write_latency
            self._answers.append(burst)

    def _read_address(self, beat: list[str], now: int) -> None:
        burst = self._burst("ar", beat, now)
        burst.due = now + self.timing.read_latency
        self._reads.append(burst)
        self.counters.read_bursts += 1
        self.counters.peak_reads = max(self.counters.peak_reads, len(self._reads))

    # ------------------------------------------------------------ answers

    def _pick(self, queue: deque[Burst], now: int, stick: bool) -> Burst | None:
        """The burst to answer: the oldest, or any whose ID has no older one."""
        if not queue:
            return None
        head = queue[0]
        if not self.timing.reorder:
            return head if head.due <= now else None
        first: dict[int, Burst] = {}
        for burst in queue:
            first.setdefault(burst.id, burst)
        ready = [burst for burst in first.values() if burst.due <= now]
        if stick:
            started = [burst for burst in ready if burst.next_beat]
            ready = started or ready
        return self._random.choice(ready) if ready else None

    def _answer_write(self, now: int) -> None:
        if self._b_shown:
            return
        burst = None
        stalled = self.silent or (self._b_stall and self._random.random() < self._b_stall)
        if self._answers and not stalled:
            burst = self._pick(self._answers, now, stick=False)
        if burst is None:
            self._show("bvalid", 0)
            return
        self._answers.remove(burst)
        resp = self._fault(burst, write=True)
        if not resp:
            self._store(burst)
        self._show("bid", burst.id)
        self._show("bresp", resp)
        self._show("bvalid", 1)
        self._b_shown = True

    def _store(self, burst: Burst) -> None:
        try:
            if burst.address % self._bytes == 0 and all(s == self._ones for s in burst.strobes):
                data = int("".join(reversed(burst.data)), 2)
                size = burst.beats * self._bytes
                self.memory.dma_write(burst.address, data.to_bytes(size, "little"))
            else:
                self._store_strobed(burst)
        except ValueError:
            raise self.broken(
                f"X or Z in wdata, id {burst.id} address {burst.address:#x}"
            ) from None
        except MemoryViolation as error:
            self._violation(burst, error)

    def _store_strobed(self, burst: Burst) -> None:
        """Write the runs of enabled bytes; unused lanes may hold anything, X too."""
        width = self._bytes
        base = burst.address - burst.address % width
        for index, (data, strobe) in enumerate(zip(burst.data, burst.strobes, strict=True)):
            lanes = strobe[::-1]
            if lanes.strip("01"):
                raise self.broken(f"X or Z in wstrb, id {burst.id} address {burst.address:#x}")
            if index == 0 and "1" in lanes[: burst.address - base]:
                raise self.broken(f"wstrb below the address {burst.address:#x}, id {burst.id}")
            start = lanes.find("1")
            while start >= 0:
                end = lanes.find("0", start)
                end = width if end < 0 else end
                bits = data[(width - end) * 8 : (width - start) * 8]
                content = int(bits, 2).to_bytes(end - start, "little")
                self.memory.dma_write(base + index * width + start, content)
                start = lanes.find("1", end)

    def _answer_read(self, now: int) -> None:
        if self._r_shown:
            return
        burst = None
        stalled = self.silent or (self._r_stall and self._random.random() < self._r_stall)
        if self._reads and not stalled:
            burst = self._pick(self._reads, now, stick=not self.timing.interleave)
        if burst is None:
            self._show("rvalid", 0)
            return
        if not burst.next_beat:
            self._load(burst)
            self._show("rid", burst.id)
        index = burst.next_beat
        last = index + 1 == burst.beats
        burst.next_beat = index + 1
        if last:
            self._reads.remove(burst)
        self.ticker.write(self._set_rdata, burst.data[index])
        self._show("rid", burst.id)
        self._show("rresp", burst.resp)
        self._show("rlast", int(last))
        self._show("rvalid", 1)
        self._r_shown = True
        self.counters.read_beats += 1

    def _load(self, burst: Burst) -> None:
        width = self._bytes
        skew = burst.address % width
        size = burst.beats * width - skew
        data = bytes(size)
        burst.resp = self._fault(burst, write=False)
        if not burst.resp:
            try:
                data = self.memory.dma_read(burst.address, size, width)
            except MemoryViolation as error:
                self._violation(burst, error)
        bits = burst.beats * width * 8
        text = f"{int.from_bytes(data, 'little') << skew * 8:0{bits}b}"
        step = width * 8
        burst.data = [text[at - step : at] for at in range(bits, 0, -step)]

    def _violation(self, burst: Burst, error: MemoryViolation) -> None:
        where = f"{self._prefix} id {burst.id} at {now_ns():.0f} ns"
        self.on_violation(MemoryViolation(f"{where}: {error}"))


_DRIVEN = (
    *("awready", "wready", "bid", "bresp", "bvalid"),
    *("arready", "rid", "rresp", "rlast", "rvalid"),
)

__all__ = ["AxiMemory", "Counters", "Fault", "Resp", "Timing"]
