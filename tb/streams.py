"""Both ends of a valid/ready stream, and a monitor.

A stream is named as in the RTL: ``StreamSource(dut, "s_cqe")`` drives ``s_cqe_data`` and
``s_cqe_valid`` and reads ``s_cqe_ready``. What travels is:

- one field (the default, ``data``): a plain number, or a record when ``record`` is given;
- several fields (``fields=("data", "last")``): a ``Beat`` with one attribute per field;
  ``records`` turns fields into records by name.

::

    src = StreamSource(dut, "s_cqe", record=Cqe)
    snk = StreamSink(dut, "m_req", fields=("data", "last"), stall=random_stalls(0.3))
    await src.send(Cqe(qpn=5))
    beat = await snk.recv()  # beat.data, beat.last

One coroutine serves one stream. It samples on the rising edge, before registers change, and its
writes take effect after it. An end with nothing to do sleeps, so that long device runs do not pay
for idle streams.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Protocol, Self

import cocotb
from cocotb.clock import Clock
from cocotb.handle import SimHandleBase
from cocotb.triggers import Event, RisingEdge, with_timeout

Stall = Callable[[], bool]
"""Says, once a cycle, whether this end holds back."""

TIMEOUT_NS = 100_000
CLOCK_NS = 4


class RecordType(Protocol):
    """What a record of ``spec`` offers to a stream."""

    def to_int(self) -> int: ...

    @classmethod
    def from_int(cls, value: int) -> Self: ...


class Beat(SimpleNamespace):
    """One transfer of a stream with several fields."""


class StreamError(AssertionError):
    """A stream broke its rules: an unknown control signal, or a beat that did not wait."""


# Stall and idle patterns


def no_stalls() -> Stall:
    """Never hold back."""
    return lambda: False


def random_stalls(probability: float, seed: int | None = None) -> Stall:
    """Hold back in each cycle with this probability; seeded from the test's seed unless given."""
    rng = random.Random(random.getrandbits(32) if seed is None else seed)
    return lambda: rng.random() < probability


def burst_stalls(go: int, stop: int) -> Stall:
    """Go for ``go`` cycles, hold back for ``stop``, and again."""
    return from_pattern([False] * go + [True] * stop)


def random_bursts(longest: int, seed: int | None = None) -> Stall:
    """Alternate go and hold back, each for a random number of cycles up to ``longest``."""
    rng = random.Random(random.getrandbits(32) if seed is None else seed)

    def cycles() -> Iterator[bool]:
        held = False
        while True:
            yield from [held] * rng.randint(1, longest)
            held = not held

    source = cycles()
    return lambda: next(source)


def from_pattern(pattern: Iterable[bool]) -> Stall:
    """Repeat a pattern; True holds back."""
    held = list(pattern)
    position = -1

    def stall() -> bool:
        nonlocal position
        position = (position + 1) % len(held)
        return held[position]

    return stall


def stall_pattern(name: str) -> Stall:
    """A pattern by name, so that ``cocotb.parametrize`` can cross them."""
    return {
        "none": no_stalls,
        "half": lambda: random_stalls(0.5),
        "mostly": lambda: random_stalls(0.9),
        "rarely": lambda: random_stalls(0.1),
        "alternate": lambda: burst_stalls(1, 1),
        "bursts": lambda: random_bursts(8),
    }[name]()


STALL_NAMES = ("none", "half", "mostly", "bursts")


# Clock and reset


def start_clock(dut: SimHandleBase, period_ns: int = CLOCK_NS) -> None:
    """Start ``clk`` with ``rst`` high, so that no cycle passes outside reset before ``reset``."""
    dut.rst.value = 1
    Clock(dut.clk, period_ns, "ns", impl="gpi").start(start_high=False)


async def reset(dut: SimHandleBase, *ends: StreamEnd, cycles: int = 4) -> None:
    """Hold ``rst`` for some cycles; ``ends`` forget what they were about to do."""
    dut.rst.value = 1
    for end in ends:
        end.clear()
        end.in_reset = True
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    for end in ends:
        end.clear()
        end.in_reset = False
    dut.rst.value = 0
    await RisingEdge(dut.clk)


async def cycles(dut: SimHandleBase, count: int = 1) -> None:
    """Let ``count`` rising edges pass."""
    edge = RisingEdge(dut.clk)
    for _ in range(count):
        await edge


# The ends


class _Payload:
    """The payload signals of a stream, and what they mean."""

    def __init__(
        self,
        dut: SimHandleBase,
        name: str,
        fields: tuple[str, ...],
        records: Mapping[str, type[RecordType]],
    ) -> None:
        self.name = name
        self.fields = fields
        self.records = records
        self.signals = [getattr(dut, f"{name}_{field}") for field in fields]
        self._binary = [signal._handle.get_signal_val_binstr for signal in self.signals]

    def sample(self) -> tuple[str, ...]:
        """The raw bits of every field, fast to take and to compare."""
        return tuple(read() for read in self._binary)

    def decode(self, raw: tuple[str, ...]) -> Any:
        """What travels, from raw bits."""
        values = [self._decode_field(*pair) for pair in zip(self.fields, raw, strict=True)]
        if len(values) == 1:
            return values[0]
        return Beat(**dict(zip(self.fields, values, strict=True)))

    def _decode_field(self, field: str, bits: str) -> Any:
        try:
            number = int(bits, 2)
        except ValueError:
            # An X is data like any other until somebody computes with it.
            return bits
        record = self.records.get(field)
        return number if record is None else record.from_int(number)

    def encode(self, item: Any) -> tuple[int, ...]:
        """The number of every field, from what travels."""
        if len(self.fields) == 1 and not isinstance(item, Beat | Mapping):
            return (_to_number(item),)
        values = item if isinstance(item, Mapping) else vars(item)
        unknown = set(values) - set(self.fields)
        if unknown:
            raise ValueError(f"{self.name} has no field {', '.join(sorted(unknown))}")
        return tuple(_to_number(values.get(field, 0)) for field in self.fields)


def _to_number(value: Any) -> int:
    if isinstance(value, bytes | bytearray):
        return int.from_bytes(value, "little")
    return int(value.to_int()) if hasattr(value, "to_int") else int(value)


class StreamEnd:
    """What source, sink and monitor share: the signals and a way to forget."""

    def __init__(
        self,
        dut: SimHandleBase,
        name: str,
        *,
        fields: tuple[str, ...] = ("data",),
        record: type[RecordType] | None = None,
        records: Mapping[str, type[RecordType]] | None = None,
        clock: SimHandleBase | None = None,
    ) -> None:
        by_field = dict(records or {})
        if record is not None:
            by_field[fields[0]] = record
        self.name = name
        self.payload = _Payload(dut, name, fields, by_field)
        self.valid = getattr(dut, f"{name}_valid")
        self.ready = getattr(dut, f"{name}_ready")
        self.edge = RisingEdge(dut.clk if clock is None else clock)
        self.count = 0
        self.in_reset = False
        self._rst = dut.rst
        self._read_valid = self.valid._handle.get_signal_val_binstr
        self._read_ready = self.ready._handle.get_signal_val_binstr

    def clear(self) -> None:
        """Forget everything queued, for a reset."""

    def _is_high(self, bit: str, what: str) -> bool:
        """Whether a control signal is up; unknown is an error once reset is over."""
        if bit == "1":
            return not self.in_reset
        if bit != "0" and not self.in_reset and str(self._rst.value) == "0":
            raise StreamError(f"{self.name}_{what} is {bit}")
        return False


class StreamSource(StreamEnd):
    """Drives a stream from a queue; once valid is up the beat stays until it is taken."""

    def __init__(
        self, dut: SimHandleBase, name: str, *, idle: Stall | None = None, **knobs: Any
    ) -> None:
        super().__init__(dut, name, **knobs)
        self.idle = idle or no_stalls()
        self._queue: deque[tuple[tuple[int, ...], Event | None]] = deque()
        self._driving = False
        self._valid_now = False
        self._wake = Event()
        self._drained = Event()
        self._drained.set()
        self.valid.value = 0
        cocotb.start_soon(self._run())

    def send_nowait(self, item: Any = None, **values: Any) -> None:
        """Queue a beat."""
        self._put(item, values, None)

    async def send(self, item: Any = None, **values: Any) -> None:
        """Queue a beat and return when it was taken."""
        taken = Event()
        self._put(item, values, taken)
        await with_timeout(taken.wait(), TIMEOUT_NS, "ns")

    async def drain(self, timeout_ns: int = TIMEOUT_NS) -> None:
        """Return when everything queued was taken."""
        await with_timeout(self._drained.wait(), timeout_ns, "ns")

    def empty(self) -> bool:
        """Nothing waits to be taken."""
        return not self._queue

    def clear(self) -> None:
        """Drop valid and everything queued, for a reset."""
        self._queue.clear()
        self._driving = False
        self._drained.set()
        self._drop_valid()

    def _put(self, item: Any, values: Mapping[str, Any], taken: Event | None) -> None:
        self._queue.append((self.payload.encode(values or item), taken))
        self._drained.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
            await self.edge
            if self._driving and self._is_high(self._read_ready(), "ready"):
                self._taken()
            if self._driving or self.in_reset or not self._queue:
                continue
            if not self.idle():
                self._drive(self._queue[0][0])
            elif self._valid_now:
                self._drop_valid()

    def _taken(self) -> None:
        self._driving = False
        self.count += 1
        _, taken = self._queue.popleft()
        if taken is not None:
            taken.set()
        if not self._queue:
            self._drop_valid()
            self._drained.set()

    def _drop_valid(self) -> None:
        self._valid_now = False
        self.valid.value = 0

    def _drive(self, numbers: tuple[int, ...]) -> None:
        for signal, number in zip(self.payload.signals, numbers, strict=True):
            signal.value = number
        if not self._valid_now:
            self.valid.value = 1
        self._driving = self._valid_now = True


class _Receiver(StreamEnd):
    """What sink and monitor share: the queue of what was seen, and the rules of a stream."""

    def __init__(
        self,
        dut: SimHandleBase,
        name: str,
        *,
        on_beat: Callable[[Any], None] | None = None,
        **knobs: Any,
    ) -> None:
        super().__init__(dut, name, **knobs)
        self.on_beat = on_beat
        self._seen: deque[Any] = deque()
        self._arrived = Event()
        self._waiting: tuple[str, ...] | None = None

    async def recv(self, timeout_ns: int = TIMEOUT_NS) -> Any:
        """The next beat, in order."""
        while not self._seen:
            self._arrived.clear()
            await with_timeout(self._arrived.wait(), timeout_ns, "ns")
        return self._seen.popleft()

    async def recv_many(self, count: int, timeout_ns: int = TIMEOUT_NS) -> list[Any]:
        """The next ``count`` beats."""
        return [await self.recv(timeout_ns) for _ in range(count)]

    def recv_nowait(self) -> Any:
        """The next beat, which has arrived."""
        return self._seen.popleft()

    def __len__(self) -> int:
        return len(self._seen)

    def empty(self) -> bool:
        """Nothing arrived that was not fetched."""
        return not self._seen

    def clear(self) -> None:
        """Forget what arrived, for a reset."""
        self._seen.clear()
        self._waiting = None

    def _observe(self, valid: bool, ready: bool) -> None:
        """One cycle of the stream: a beat that is taken, one that waits, or none."""
        raw = self.payload.sample() if valid else None
        self._check_kept(raw)
        if raw is None:
            return
        if ready:
            self._accept(raw)
        else:
            self._waiting = raw

    def _accept(self, raw: tuple[str, ...]) -> None:
        self.count += 1
        self._waiting = None
        item = self.payload.decode(raw)
        if self.on_beat is not None:
            self.on_beat(item)
        else:
            self._seen.append(item)
            self._arrived.set()

    def _check_kept(self, raw: tuple[str, ...] | None) -> None:
        """A beat that waited must still be there, unchanged."""
        if self._waiting is not None and raw != self._waiting and not self.in_reset:
            what = "went away" if raw is None else f"changed to {raw}"
            raise StreamError(f"{self.name}: beat {self._waiting} {what} before it was taken")


class StreamSink(_Receiver):
    """Takes beats as its stall pattern allows."""

    def __init__(
        self, dut: SimHandleBase, name: str, *, stall: Stall | None = None, **knobs: Any
    ) -> None:
        super().__init__(dut, name, **knobs)
        self.stall = stall or no_stalls()
        self._paused = False
        self._asleep = False
        self._ready_now = False
        self.ready.value = 0
        cocotb.start_soon(self._run())

    @property
    def paused(self) -> bool:
        """Take nothing, whatever the stall pattern says; counts from the coming cycle."""
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        self._paused = value
        if self._asleep:
            self._set_ready(not value)

    async def _run(self) -> None:
        rise = RisingEdge(self.valid)
        while True:
            await self.edge
            valid = self._is_high(self._read_valid(), "valid")
            self._observe(valid, self._ready_now)
            self._set_ready(not (self._paused or self.stall()))
            # Nothing to take: sleep, with ready as the pattern left it.
            if not valid and self._read_valid() == "0":
                self._asleep = True
                await rise
                self._asleep = False

    def _set_ready(self, ready: bool) -> None:
        if ready != self._ready_now:
            self._ready_now = ready
            self.ready.value = int(ready)


class StreamMonitor(_Receiver):
    """Watches a stream between two blocks, and that it keeps the rules."""

    def __init__(self, dut: SimHandleBase, name: str, **knobs: Any) -> None:
        super().__init__(dut, name, **knobs)
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        rise = RisingEdge(self.valid)
        while True:
            await self.edge
            valid = self._is_high(self._read_valid(), "valid")
            self._observe(valid, valid and self._is_high(self._read_ready(), "ready"))
            if not valid and self._read_valid() == "0":
                await rise
