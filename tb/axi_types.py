"""What the memory port is made of: timing, faults, counters, bursts, and the rules of a channel."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from tb.ticker import BusError, int_driver, sampler


class Resp(IntEnum):
    """AXI responses."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


@dataclass(slots=True)
class Timing:
    """How a port behaves; the defaults are an ideal memory."""

    read_latency: int = 0  # cycles from AR to the first R beat
    write_latency: int = 0  # cycles from the last W beat to B
    reorder: bool = False  # answer different IDs in random order
    interleave: bool = False  # and mix the beats of their reads
    stall: dict[str, float] = field(default_factory=dict)  # aw, w, b, ar, r: chance of a wait
    max_reads: int = 1 << 30  # bursts accepted and not answered
    max_writes: int = 1 << 30


@dataclass(slots=True)
class Fault:
    """An error to answer with, for accesses to a range, the first `skip` of them excepted."""

    resp: Resp
    address: int = 0
    size: int = 1 << 64
    reads: bool = True
    writes: bool = True
    skip: int = 0
    count: int = 1 << 30
    hits: int = 0


@dataclass(slots=True, eq=False)
class Burst:
    """One burst, from its address to its answer."""

    address: int
    beats: int
    id: int
    due: int = 0
    resp: int = 0
    data: list[str] = field(default_factory=list)
    strobes: list[str] = field(default_factory=list)
    next_beat: int = 0


@dataclass(slots=True)
class Counters:
    """What went through a port."""

    read_bursts: int = 0
    read_beats: int = 0
    write_bursts: int = 0
    write_beats: int = 0
    peak_reads: int = 0
    peak_writes: int = 0


class Port(Protocol):
    """What a channel needs of the bus that it belongs to."""

    def signal(self, name: str) -> Any:
        """A port of the bus."""
        ...

    def broken(self, what: str) -> BusError:
        """The error for a broken rule."""
        ...


class Channel:
    """One channel that the master drives: its ready, and the rule that a valid beat holds still."""

    def __init__(self, port: Port, name: str, fields: tuple[str, ...], stall: float) -> None:
        self.name = name
        self.port = port
        self.valid = sampler(port.signal(f"{name}valid"))
        self.fields = [sampler(port.signal(name + f)) for f in fields]
        self.set_ready = int_driver(port.signal(f"{name}ready"))
        self.ready = False
        self.stall = stall
        self.held: list[str] | None = None

    def take(self) -> list[str] | None:
        """The fields of a beat that this edge transfers."""
        valid = self.valid()
        if valid == "0":
            if self.held is not None:
                raise self.port.broken(f"{self.name}valid fell before {self.name}ready")
            return None
        if valid != "1":
            raise self.port.broken(f"{self.name}valid is {valid}")
        beat = [f() for f in self.fields]
        if self.held is not None and beat != self.held:
            raise self.port.broken(f"{self.name} payload changed before {self.name}ready")
        if self.ready:
            self.held = None
            return beat
        self.held = beat
        return None

    def prepare(self, want: bool, write: Callable[..., None], rng: random.Random) -> None:
        """Set ready for the next edge."""
        ready = want and not (self.stall and rng.random() < self.stall)
        if ready != self.ready:
            self.ready = ready
            write(self.set_ready, int(ready))
