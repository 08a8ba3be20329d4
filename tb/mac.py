"""The MAC's side of a device's two AXI streams: frames out of one, frames into the other.

What a MAC demands of the transmit stream is checked on every beat: no gap inside a frame, an offer
that holds still, full `tkeep` up to the last beat and contiguous there, nothing unknown.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from tb.ticker import BusError, Ticker, bits_driver, int_driver, now_ns, sampler

WIRE_OVERHEAD = 24  # preamble, FCS and inter-frame gap, in bytes
MAX_FRAME = 9216

Beats = list[str]
"""The data of a frame, beat by beat, as the simulator writes it."""


def to_beats(frame: bytes, width: int) -> Beats:
    """Cut a frame into beats of `width` bytes; the lanes behind its end are zero."""
    count = -(-len(frame) // width)
    step = width * 8
    bits = count * step
    text = f"{int.from_bytes(frame, 'little'):0{bits}b}"
    return [text[at - step : at] for at in range(bits, 0, -step)]


class Pace:
    """When the next frame may start on a wire of so many bytes per cycle."""

    def __init__(self, bytes_per_cycle: float | None) -> None:
        self.rate = bytes_per_cycle
        self._free = 0.0

    def took(self, size: int, start: int) -> None:
        """A frame of this size has started in this cycle."""
        if self.rate:
            self._free = max(self._free, start) + (size + WIRE_OVERHEAD) / self.rate

    def open(self, now: int) -> bool:
        """A frame may start."""
        return now >= self._free


class MacTx:
    """Takes the frames that a device transmits."""

    def __init__(
        self,
        dut: Any,
        prefix: str,
        ticker: Ticker,
        deliver: Callable[[bytes, Beats], None],
        *,
        rst: Any = None,
        rate: float | None = None,
        stall: float = 0.0,
        seed: int = 0,
    ) -> None:
        def port(name: str) -> Any:
            return getattr(dut, f"{prefix}_{name}")

        self.name = prefix
        self.ticker = ticker
        self.deliver = deliver
        self.stall = stall
        self.frames = 0
        self._random = random.Random(seed)
        self._pace = Pace(rate)
        self._reset = sampler(dut.rst if rst is None else rst)
        self._valid, self._last = sampler(port("tvalid")), sampler(port("tlast"))
        self._keep, self._data = sampler(port("tkeep")), sampler(port("tdata"))
        self._set_ready = int_driver(port("tready"))
        self._width = len(port("tdata")) // 8
        self._full = "1" * self._width
        self._ready = True
        self._beats: Beats = []
        self._start = 0
        self._held: tuple[str, str, str] | None = None
        ticker.write(self._set_ready, 1)
        ticker.add(self, port("tvalid"))

    def step(self) -> bool:
        """Model: take a beat when there is one."""
        if self._reset() != "0":
            self._beats, self._held = [], None
            return True
        valid = self._valid()
        if valid == "1":
            beat = self._last(), self._keep(), self._data()
            if self._held is not None and beat != self._held:
                raise self._broken("payload changed before tready")
            if self._ready:
                self._held = None
                self._take(*beat)
            else:
                self._held = beat
        elif valid != "0":
            raise self._broken(f"tvalid is {valid}")
        elif self._held is not None or self._beats:
            raise self._broken(f"tvalid fell inside a frame, after {len(self._beats)} beats")
        ready = self._want()
        if ready != self._ready:
            self._ready = ready
            self.ticker.write(self._set_ready, int(ready))
        return valid == "1" or not ready

    def _want(self) -> bool:
        if self.stall and self._random.random() < self.stall:
            return False
        return bool(self._beats) or self._pace.open(self.ticker.cycle)

    def _take(self, last: str, keep: str, data: str) -> None:
        if not self._beats:
            self._start = self.ticker.cycle
        self._beats.append(data)
        if last == "0":
            if keep != self._full:
                raise self._broken(f"tkeep {keep} before the last beat")
            if len(self._beats) * self._width >= MAX_FRAME:
                raise self._broken(f"no tlast in {MAX_FRAME} bytes")
            return
        lanes = keep.rstrip("1")
        if last != "1" or lanes.strip("0") or len(lanes) == self._width:
            raise self._broken(f"tlast {last} with tkeep {keep}")
        frame = self._join(self._width - len(lanes))
        beats, self._beats = self._beats, []
        self.frames += 1
        self._pace.took(len(frame), self._start)
        self.deliver(frame, beats)

    def _join(self, tail: int) -> bytes:
        last = self._beats[-1]
        self._beats[-1] = "0" * (self._width - tail) * 8 + last[-tail * 8 :]
        size = (len(self._beats) - 1) * self._width + tail
        try:
            return int("".join(reversed(self._beats)), 2).to_bytes(
                len(self._beats) * self._width, "little"
            )[:size]
        except ValueError:
            raise self._broken("X or Z in a frame's bytes") from None

    def _broken(self, what: str) -> BusError:
        return BusError(f"{self.name}: {what}, frame {self.frames + 1} at {now_ns():.0f} ns")


class MacRx:
    """Gives frames to a device, each not before its time."""

    def __init__(
        self,
        dut: Any,
        prefix: str,
        ticker: Ticker,
        *,
        rst: Any = None,
        rate: float | None = None,
        gap: float = 0.0,
        may_wait: bool = False,
        seed: int = 0,
    ) -> None:
        def port(name: str) -> Any:
            return getattr(dut, f"{prefix}_{name}")

        self.name = prefix
        self.ticker = ticker
        self.gap = gap
        self.may_wait = may_wait
        self.frames = 0
        self._random = random.Random(seed)
        self._pace = Pace(rate)
        self._reset = sampler(dut.rst if rst is None else rst)
        self._ready = sampler(port("tready")) if hasattr(dut, f"{prefix}_tready") else None
        self._drive = {n: int_driver(port(n)) for n in ("tvalid", "tlast", "tuser")}
        self._set_data, self._set_keep = bits_driver(port("tdata")), bits_driver(port("tkeep"))
        self._width = len(port("tdata")) // 8
        self._shown: dict[str, int | str] = {}
        self._queue: list[tuple[int, int, bytes, Beats | None, bool, Any]] = []
        self._order = 0
        self.on_delivered: Callable[[Any], None] | None = None  # the tag of a frame, at its end
        self._tag: Any = None
        self._beats: Beats = []
        self._size = 0
        self._bad = False
        self._next = 0
        self._valid = False
        for drive in self._drive.values():
            ticker.write(drive, 0)
        ticker.add(self)

    @property
    def idle(self) -> bool:
        """Nothing waits to be delivered."""
        return not self._queue and not self._valid

    def send(
        self,
        frame: bytes,
        delay: int = 0,
        bad: bool = False,
        beats: Beats | None = None,
        tag: Any = None,
    ) -> None:
        """Deliver a frame after a delay in cycles; `bad` marks it as broken by the MAC."""
        self._order += 1
        heappush(self._queue, (self.ticker.cycle + delay, self._order, frame, beats, bad, tag))
        self.ticker.wake(self)

    def step(self) -> bool:
        """Model: the last beat has been taken; show the next."""
        if self._reset() != "0":
            self._valid, self._next = False, len(self._beats)
            self._show("tvalid", 0)
            return True
        if self._valid and self._ready is not None and self._ready() != "1":
            if not self.may_wait:
                raise BusError(f"{self.name}: tready low in frame {self.frames}, {now_ns():.0f} ns")
            return True
        self._valid = False
        if self._next == len(self._beats):
            self._start()
        if self._next < len(self._beats) and not (self.gap and self._random.random() < self.gap):
            self._beat()
        self._show("tvalid", int(self._valid))
        return self._valid or bool(self._queue) or self._next < len(self._beats)

    def _start(self) -> None:
        now = self.ticker.cycle
        if not self._queue or self._queue[0][0] > now or not self._pace.open(now):
            return
        _, _, frame, beats, self._bad, self._tag = heappop(self._queue)
        self._beats = beats or to_beats(frame, self._width)
        self._size, self._next = len(frame), 0
        self.frames += 1
        self._pace.took(len(frame), now)

    def _beat(self) -> None:
        index = self._next
        last = index + 1 == len(self._beats)
        keep = self._size - index * self._width if last else self._width
        self.ticker.write(self._set_data, self._beats[index])
        if self._shown.get("tkeep") != keep:
            self._shown["tkeep"] = keep
            self.ticker.write(self._set_keep, ("1" * keep).rjust(self._width, "0"))
        self._show("tlast", int(last))
        self._show("tuser", int(last and self._bad))
        self._next = index + 1
        self._valid = True
        if last and self.on_delivered is not None:
            self.on_delivered(self._tag)

    def _show(self, name: str, value: int) -> None:
        if self._shown.get(name) != value:
            self._shown[name] = value
            self.ticker.write(self._drive[name], value)
