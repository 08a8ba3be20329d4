"""One callback per clock edge for all bus models of a bench; none while nothing moves.

Measured with Verilator 5.48 and cocotb 2.1, per clock edge: an awaited RisingEdge costs 7 us and a
scheduled write 5 us more; the callbacks used here cost 2.5 us together, shared by every model.
Reading 512 bits as `handle.value.to_unsigned()` costs 12.5 us, as the simulator's string 6 us; one
bit costs 0.8 us against 0.2 us. A simulation of two devices has six such ports, so this file uses
cocotb below its documented face, and is the only one that does.

A model samples in `step`, before the edge takes effect, and writes through `Ticker.write`, after
it: the same two moments as a coroutine that awaits the edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Protocol

import cocotb
from cocotb import _event_loop, _gpi_triggers, simulator
from cocotb.triggers import Event, RisingEdge

Sample = Callable[[], str]
"""The value of a signal as the simulator's string of 0, 1, X and Z, most significant bit first."""
Drive = Callable[[int, Any], None]
"""The setter of a signal, for `Ticker.write`."""


def sampler(handle: Any) -> Sample:
    """The fast way to read a signal."""
    sample: Sample = handle._handle.get_signal_val_binstr
    return sample


def int_driver(handle: Any) -> Drive:
    """The fast way to write up to 32 bits, as an integer."""
    drive: Drive = handle._handle.set_signal_val_int
    return drive


def bits_driver(handle: Any) -> Drive:
    """The fast way to write a wide signal, as a string of exactly its width."""
    drive: Drive = handle._handle.set_signal_val_binstr
    return drive


def now_ns() -> float:
    """Simulated time."""
    high, low = simulator.get_sim_time()
    return float((high << 32 | low) * 10.0 ** (simulator.get_precision() + 9))


class BusError(AssertionError):
    """A bus rule was broken by the design."""


class Model(Protocol):
    """What a Ticker drives."""

    def step(self) -> bool:
        """One clock edge; False to sleep until a watched signal rises or `wake`."""
        ...


@dataclass(slots=True)
class _Watch:
    handle: Any
    armed: simulator.sim_callback | None = None


class Ticker:
    """Steps models at each rising edge of one clock while any of them is awake."""

    _of: ClassVar[dict[Any, Ticker]] = {}

    def __init__(self, clk: Any) -> None:
        self.cycle = 0  # edges stepped, not edges passed: differences count only while awake
        self._clk = clk._handle
        self._edge_trigger = RisingEdge(clk)
        self._awake: list[Model] = []
        self._woken: list[Model] = []
        self._broken: list[Model] = []
        self._watches: dict[Model, list[_Watch]] = {}
        self._writes: list[tuple[Drive, Any]] = []
        self._armed: simulator.sim_callback | None = None
        self._applying: simulator.sim_callback | None = None
        self._stopped = False
        self._at_stop: list[Callable[[], None]] = []
        cocotb.start_soon(self._live())

    @classmethod
    def of(cls, clk: Any) -> Ticker:
        """The one ticker of this clock in this test."""
        ticker = cls._of.get(clk)
        if ticker is None or ticker._stopped:
            ticker = cls._of[clk] = cls(clk)
        return ticker

    async def _live(self) -> None:
        try:
            await Event().wait()
        finally:
            self.stop()

    def stop(self) -> None:
        """No model steps any more; happens by itself at the end of a test."""
        if self._stopped:
            return
        self._stopped = True
        # A callback that outlives the simulation crashes it.
        watched = [watch.armed for watches in self._watches.values() for watch in watches]
        for callback in (self._armed, self._applying, *watched):
            if callback is not None:
                callback.deregister()
        actions, self._at_stop = self._at_stop, []
        for action in actions:
            action()

    def at_stop(self, action: Callable[[], None]) -> None:
        """Call at the end of the test, whatever its outcome."""
        self._at_stop.append(action)

    def add(self, model: Model, *wakers: Any) -> None:
        """Step this model; once asleep, the rise of any of these signals wakes it."""
        self._watches[model] = [_Watch(handle._handle) for handle in wakers]
        self.wake(model)

    def wake(self, model: Model) -> None:
        """Step this model from the next edge on."""
        self._woken.append(model)
        self._arm()

    def write(self, drive: Drive, value: Any) -> None:
        """Drive a signal after this edge; the last of several writes holds."""
        if self._applying is None and not self._stopped:
            self._applying = simulator.register_rwsynch_callback(self._apply)
        self._writes.append((drive, value))

    def fail(self, error: BaseException) -> None:
        """Make the running test fail."""
        cocotb.start_soon(_raise(error))

    def _arm(self) -> None:
        if self._armed is None and not self._stopped:
            self._armed = simulator.register_value_change_callback(
                self._clk, self._edge, simulator.RISING
            )

    def _apply(self) -> None:
        self._applying = None
        writes, self._writes = self._writes, []
        for drive, value in writes:
            drive(0, value)

    def _edge(self) -> None:
        self._armed = None
        self.cycle += 1
        awake = self._awake
        if self._woken:
            awake += [m for m in dict.fromkeys(self._woken) if m not in awake]
            self._woken.clear()
        asleep = [model for model in awake if not self._step(model)]
        if asleep:
            self._awake = [model for model in awake if model not in asleep]
            for model in asleep:
                if model not in self._broken:
                    self._watch(model)
        if self._awake or self._woken:
            self._arm()
        if _event_loop._inst._callbacks:
            _gpi_triggers._current_gpi_trigger = self._edge_trigger
            _event_loop._inst.run()

    def _step(self, model: Model) -> bool:
        try:
            return model.step()
        except Exception as error:  # a raw callback would lose it
            self._broken.append(model)
            self.fail(error)
            return False

    def _watch(self, model: Model) -> None:
        for watch in self._watches[model]:
            if watch.armed is None:
                watch.armed = simulator.register_value_change_callback(
                    watch.handle, self._rise, simulator.RISING, model, watch
                )

    def _rise(self, model: Model, watch: _Watch) -> None:
        watch.armed = None
        if model not in self._broken:
            self.wake(model)


async def _raise(error: BaseException) -> NoReturn:
    raise error
