"""The Ethernet between two ends, each a device's streams or a peer in plain Python.

Frames are stored and forwarded. On the way a frame may be delayed, lost, doubled, overtaken,
corrupted, marked by a switch or marked bad by the MAC: by rules, which a test writes frame by
frame, and by chance, from a seed. Every frame goes into a capture as its sender sent it.

Measured on Verilator between two bare traffic generators, both directions at 64 bytes a cycle at
once: 50 us per cycle, 12 us per stream and beat; nothing is paid while the wire is silent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import cocotb
from cocotb.task import Task
from cocotb.triggers import Timer

from tb.frames import (
    Chance,
    Frame,
    Rule,
    change,
    drop,
    duplicate,
    flip_bit,
    hold,
    mark_congestion,
    pick,
)
from tb.mac import Beats, MacRx, MacTx
from tb.pcap import PcapWriter
from tb.ticker import Ticker, now_ns


class End(Protocol):
    """One end of the link: frames go in by `give`, and come out through `out`."""

    out: Callable[[bytes, Beats | None], None]

    def attach(self, link: Link, seed: int) -> None:
        """Belong to this link."""
        ...

    def give(self, frame: Frame) -> None:
        """Deliver a frame after its delay."""
        ...

    @property
    def idle(self) -> bool:
        """Nothing waits to be delivered."""
        ...


class StreamEnd:
    """A device's transmit and receive streams."""

    out: Callable[[bytes, Beats | None], None]

    def __init__(
        self,
        dut: Any,
        tx: str = "m_axis_tx",
        rx: str = "s_axis_rx",
        *,
        rst: Any = None,
        tx_stall: float = 0.0,
        rx_gap: float = 0.0,
        rx_may_wait: bool = False,
    ) -> None:
        self._dut, self._names, self._rst = dut, (tx, rx), rst
        self._knobs = (tx_stall, rx_gap, rx_may_wait)
        self.tx: MacTx
        self.rx: MacRx

    def attach(self, link: Link, seed: int) -> None:
        """End: connect to the ports."""
        tx, rx = self._names
        tx_stall, rx_gap, may_wait = self._knobs
        self.tx = MacTx(
            self._dut,
            tx,
            link.ticker,
            self.out,
            rst=self._rst,
            rate=link.rate,
            stall=tx_stall,
            seed=seed,
        )
        self.rx = MacRx(
            self._dut,
            rx,
            link.ticker,
            rst=self._rst,
            rate=link.rate,
            gap=rx_gap,
            may_wait=may_wait,
            seed=seed + 1,
        )

    def give(self, frame: Frame) -> None:
        """End: hand over to the receive stream."""
        self.rx.send(frame.data, frame.delay, frame.bad, frame.beats, frame)

    @property
    def idle(self) -> bool:
        """End: the receive stream has delivered everything."""
        return self.rx.idle


class Peer(Protocol):
    """A protocol machine without a clock of its own, `tb.model.peer.Peer` for one."""

    def receive(self, frame: bytes, now: int, /) -> list[bytes]:
        """Take a frame; the frames to send."""
        ...

    def advance(self, now: int, /) -> list[bytes]:
        """Time has passed; the frames to send."""
        ...

    def next_deadline(self) -> int | None:
        """When `advance` must be called at the latest."""
        ...


class PeerEnd:
    """A peer in plain Python; its bad frames and its own timers are looked after."""

    out: Callable[[bytes, Beats | None], None]

    def __init__(self, peer: Peer | None = None) -> None:
        self.peer = peer
        self.received: list[Frame] = []
        self._ticker: Ticker
        self._waiting: list[tuple[int, int, Frame]] = []
        self._count = 0
        self._timer: Task[None] | None = None

    def attach(self, link: Link, seed: int) -> None:
        """End: use the link's clock."""
        self._ticker = link.ticker
        self._ticker.add(self)

    @property
    def idle(self) -> bool:
        """End: nothing is under way to the peer."""
        return not self._waiting

    def give(self, frame: Frame) -> None:
        """End: hand over when the delay has passed."""
        self._count += 1
        self._waiting.append((self._ticker.cycle + frame.delay, self._count, frame))
        self._waiting.sort(key=lambda entry: entry[:2])
        self._ticker.wake(self)

    def step(self) -> bool:
        """Model: frames whose time has come."""
        while self._waiting and self._waiting[0][0] <= self._ticker.cycle:
            frame = self._waiting.pop(0)[2]
            self.received.append(frame)
            if self.peer and not frame.bad:
                self.send(self.peer.receive(frame.data, int(now_ns())))
        return bool(self._waiting)

    def send(self, frames: Iterable[bytes]) -> None:
        """Put frames on the wire, then look at the peer's timers."""
        for frame in frames:
            self.out(frame, None)
        self._watch()

    def do(self, action: Callable[[int], list[bytes]]) -> None:
        """Call the peer with the time, and send what it says."""
        self.send(action(int(now_ns())))

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.peer.next_deadline() if self.peer else None
        if deadline is not None:
            self._timer = cocotb.start_soon(self._wait(max(1, deadline - int(now_ns()))))

    async def _wait(self, nanoseconds: int) -> None:
        await Timer(nanoseconds, "ns")
        self._timer = None
        if self.peer:
            self.send(self.peer.advance(int(now_ns())))


@dataclass(slots=True)
class Way:
    """One direction of a link."""

    name: str
    link: Link
    to: End
    random: random.Random
    rules: list[Rule] = field(default_factory=list)
    chance: Chance = field(default_factory=Chance)
    sent: int = 0
    lost: int = 0
    delivered: int = 0

    def carry(self, data: bytes, beats: Beats | None) -> None:
        """A frame has left its sender."""
        self.sent += 1
        frame = Frame(self.sent, data, now_ns(), self.link.delay, False, beats)
        self.link.record(self, frame)
        frames = self._ruled(frame)
        if self.chance != _CERTAIN:
            frames = [f for each in frames for f in self._by_chance(each)]
        if not frames:
            self.lost += 1
        for each in frames:
            self.delivered += 1
            self.to.give(each)

    def _ruled(self, frame: Frame) -> list[Frame]:
        for rule in self.rules:
            result = rule(frame)
            if result is not None:
                return list(result)
        return [frame]

    def _by_chance(self, frame: Frame) -> list[Frame]:
        chance, rng = self.chance, self.random
        if rng.random() < chance.loss:
            return []
        if rng.random() < chance.corrupt:
            frame = frame.changed(flip_bit(frame.data, rng.randrange(14 * 8, len(frame.data) * 8)))
        if rng.random() < chance.mark:
            frame = frame.changed(mark_congestion(frame.data))
        if rng.random() < chance.bad:
            frame = replace(frame, bad=True)
        if rng.random() < chance.reorder:
            frame = replace(frame, delay=frame.delay + rng.randint(1, chance.overtake))
        if rng.random() < chance.duplicate:
            return [frame, replace(frame, delay=frame.delay + rng.randint(0, chance.overtake))]
        return [frame]


_CERTAIN = Chance()


class Link:
    """A wire between `a` and `b`; `ab` and `ba` are its two directions."""

    def __init__(
        self,
        clk: Any,
        a: End,
        b: End,
        *,
        delay: int = 0,
        rate: float | None = None,
        seed: int = 0,
        pcap: Path | str | None = "wire.pcap",
        keep: bool = True,
    ) -> None:
        self.ticker = Ticker.of(clk)
        self.delay = delay  # cycles from the last beat out to the first beat in
        self.rate = rate  # bytes per cycle, preamble and gap included; None for full width
        self.frames: list[tuple[str, Frame]] = []
        self._keep = keep
        self._pcap = PcapWriter(pcap) if pcap else None
        if self._pcap:
            self.ticker.at_stop(self._pcap.close)
        self.ab = Way("ab", self, b, random.Random(seed * 2 + 1))
        self.ba = Way("ba", self, a, random.Random(seed * 2 + 2))
        a.out, b.out = self.ab.carry, self.ba.carry
        a.attach(self, seed)
        b.attach(self, seed + 1000)
        self._ends = (a, b)

    @property
    def idle(self) -> bool:
        """No frame is under way."""
        return all(end.idle for end in self._ends)

    def record(self, way: Way, frame: Frame) -> None:
        """Write a frame down as its sender sent it."""
        if self._keep:
            self.frames.append((way.name, frame))
        if self._pcap:
            self._pcap.write(frame.time_ns, frame.data)


__all__ = [
    "Chance",
    "End",
    "Frame",
    "Link",
    "Peer",
    "PeerEnd",
    "Rule",
    "StreamEnd",
    "Way",
    "change",
    "drop",
    "duplicate",
    "flip_bit",
    "hold",
    "mark_congestion",
    "pick",
]
