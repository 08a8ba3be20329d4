"""When things crossed the ports of two adapters, in clock cycles: the ruler of `make bench`.

Nothing here drives a signal or looks inside. A stamp is the number of the clock edge at which a
beat was transferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tb.ticker import Ticker, sampler


@dataclass(slots=True)
class Frames:
    """The frames that crossed one stream: first beat, last beat, beats."""

    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)
    open: int = 0

    def beat(self, cycle: int, last: bool) -> None:
        """A beat was taken."""
        if not self.open:
            self.first.append(cycle)
        self.open += 1
        if last:
            self.last.append(cycle)
            self.beats.append(self.open)
            self.open = 0


@dataclass(frozen=True, slots=True)
class Write:
    """A write burst: its address, and when its data crossed."""

    address: int
    first: int
    last: int


class AdapterProbe:
    """What crosses the ports of one adapter."""

    def __init__(self, dut: Any, side: str) -> None:
        def read(name: str) -> Any:
            return sampler(getattr(dut, f"{side}_{name}"))

        self._tx = [read(f"m_axis_tx_{n}") for n in ("tvalid", "tready", "tlast")]
        self._rx = [read(f"s_axis_rx_{n}") for n in ("tvalid", "tlast")]
        self._aw = [read(f"m_axi_aw{n}") for n in ("valid", "ready", "addr")]
        self._w = [read(f"m_axi_w{n}") for n in ("valid", "ready", "last")]
        self._ar = [read(f"m_axi_ar{n}") for n in ("valid", "ready")]
        self._bell = [read(f"s_axi_db_w{n}") for n in ("valid", "ready")]
        self.clear()

    def clear(self) -> None:
        """Forget everything; nothing may be under way."""
        self.tx, self.rx, self._bursts = Frames(), Frames(), Frames()
        self._addresses: list[int] = []
        self.reads: list[int] = []
        self.doorbells: list[int] = []

    def writes(self, start: int = 0, end: int = 1 << 64) -> list[Write]:
        """The write bursts to a range of host memory."""
        bursts = zip(self._addresses, self._bursts.first, self._bursts.last, strict=False)
        return [Write(*burst) for burst in bursts if start <= burst[0] < end]

    def sample(self, cycle: int) -> None:
        """One clock edge."""
        valid, ready, last = self._tx
        if valid() == "1" and ready() == "1":
            self.tx.beat(cycle, last() == "1")
        valid, last = self._rx
        if valid() == "1":
            self.rx.beat(cycle, last() == "1")
        valid, ready, last = self._w
        if valid() == "1" and ready() == "1":
            self._bursts.beat(cycle, last() == "1")
        valid, ready, address = self._aw
        if valid() == "1" and ready() == "1":
            self._addresses.append(int(address(), 2))
        valid, ready = self._ar
        if valid() == "1" and ready() == "1":
            self.reads.append(cycle)
        valid, ready = self._bell
        if valid() == "1" and ready() == "1":
            self.doorbells.append(cycle)


class Probe:
    """Both adapters; awake at every edge, so that the ticker's count is the clock's."""

    def __init__(self, dut: Any) -> None:
        self.ticker = Ticker.of(dut.clk)
        self.a, self.b = AdapterProbe(dut, "a"), AdapterProbe(dut, "b")
        self._reset = sampler(dut.rst)
        self.ticker.add(self)

    def clear(self) -> None:
        """Forget what was seen."""
        self.a.clear()
        self.b.clear()

    def step(self) -> bool:
        """Model: note what this edge transfers."""
        if self._reset() == "0":
            cycle = self.ticker.cycle
            self.a.sample(cycle)
            self.b.sample(cycle)
        return True


STEADY = (0.3, 0.9)
"""The part of a run that counts: pipelines and windows are full, nothing has run dry."""


def window(count: int, part: tuple[float, float] = STEADY) -> tuple[int, int]:
    """First and last index of the part that counts."""
    return int(count * part[0]), int(count * part[1])


def rate(stamps: Sequence[int]) -> float:
    """Cycles from one stamp to the next, in the steady part."""
    start, end = window(len(stamps))
    return (stamps[end] - stamps[start]) / (end - start)


def wire_bound(frames: Frames) -> float:
    """Beats per frame of the steady part: what the wire alone would take."""
    start, end = window(len(frames.last))
    return sum(frames.beats[start + 1 : end + 1]) / (end - start)
