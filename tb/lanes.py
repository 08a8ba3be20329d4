"""N streams side by side in packed ports, ``s_data[N-1:0][W-1:0]`` with ``s_valid[N-1:0]``.

A simulator shows such a port as one wide number, so one coroutine drives all lanes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from tb.streams import Beat, Stall, StreamError, no_stalls


class _Lanes:
    def __init__(
        self,
        dut: SimHandleBase,
        name: str,
        lanes: int,
        fields: tuple[str, ...],
        stall: Stall | None,
    ) -> None:
        self.name = name
        self.lanes = lanes
        self.fields = {field: getattr(dut, f"{name}_{field}") for field in fields}
        self.widths = {field: len(signal) // lanes for field, signal in self.fields.items()}
        self.valid = getattr(dut, f"{name}_valid")
        self.ready = getattr(dut, f"{name}_ready")
        self.stall = stall or no_stalls()
        self.edge = RisingEdge(dut.clk)
        self.in_reset = False
        self.rst = dut.rst if hasattr(dut, "rst") else None

    def _vector(self, signal: Any) -> int:
        text = signal._handle.get_signal_val_binstr()
        if set(text) <= {"0", "1"}:
            return int(text, 2)
        if self.in_reset or (self.rst is not None and str(self.rst.value) != "0"):
            return 0
        raise StreamError(f"{self.name}: control is {text}")


class LaneSources(_Lanes):
    """Drives every lane from its own queue; ``stall`` is asked once per lane and cycle."""

    def __init__(
        self,
        dut: SimHandleBase,
        name: str,
        lanes: int,
        *,
        fields: tuple[str, ...] = ("data",),
        idle: Stall | None = None,
    ) -> None:
        super().__init__(dut, name, lanes, fields, idle)
        self._queues: list[deque[Beat]] = [deque() for _ in range(lanes)]
        self._driving = [False] * lanes
        self.valid.value = 0
        cocotb.start_soon(self._run())

    def send_nowait(self, lane: int, **values: int) -> None:
        """Queue a beat on a lane."""
        self._queues[lane].append(Beat(**values))

    def empty(self) -> bool:
        """Nothing waits on any lane."""
        return not any(self._queues)

    def clear(self) -> None:
        """Forget everything, for a reset."""
        for queue in self._queues:
            queue.clear()
        self._driving = [False] * self.lanes
        self.valid.value = 0

    async def _run(self) -> None:
        while True:
            await self.edge
            self._take(self._vector(self.ready))
            for lane, queue in enumerate(self._queues):
                if queue and not self._driving[lane] and not self.in_reset:
                    self._driving[lane] = not self.stall()
            self._drive()

    def _take(self, ready: int) -> None:
        for lane, queue in enumerate(self._queues):
            if self._driving[lane] and ready >> lane & 1:
                queue.popleft()
                self._driving[lane] = False

    def _drive(self) -> None:
        numbers = dict.fromkeys(self.fields, 0)
        for lane, queue in enumerate(self._queues):
            if self._driving[lane]:
                for field, width in self.widths.items():
                    numbers[field] |= getattr(queue[0], field) << lane * width
        for field, signal in self.fields.items():
            signal.value = numbers[field]
        self.valid.value = sum(1 << lane for lane, on in enumerate(self._driving) if on)


class LaneSinks(_Lanes):
    """Takes from every lane; ``seen[lane]`` is what arrived, ``on_beat`` sees it as it comes."""

    def __init__(
        self,
        dut: SimHandleBase,
        name: str,
        lanes: int,
        *,
        fields: tuple[str, ...] = ("data",),
        stall: Stall | None = None,
        on_beat: Callable[[int, Beat], None] | None = None,
    ) -> None:
        super().__init__(dut, name, lanes, fields, stall)
        self.seen: list[list[Beat]] = [[] for _ in range(lanes)]
        self.on_beat = on_beat
        self._ready_now = 0
        self._waiting: list[Beat | None] = [None] * lanes
        self.ready.value = 0
        cocotb.start_soon(self._run())

    def clear(self) -> None:
        """Forget everything, for a reset."""
        self.seen = [[] for _ in range(self.lanes)]
        self._waiting = [None] * self.lanes

    async def _run(self) -> None:
        while True:
            await self.edge
            valid = 0 if self.in_reset else self._vector(self.valid)
            for lane in range(self.lanes):
                self._observe(lane, bool(valid >> lane & 1))
            self._ready_now = sum(1 << lane for lane in range(self.lanes) if not self.stall())
            self.ready.value = self._ready_now

    def _observe(self, lane: int, valid: bool) -> None:
        beat = self._beat(lane) if valid else None
        waiting = self._waiting[lane]
        if waiting is not None and beat != waiting and not self.in_reset:
            raise StreamError(f"{self.name}[{lane}]: {waiting} became {beat} before it was taken")
        taken = beat is not None and self._ready_now >> lane & 1
        self._waiting[lane] = None if taken else beat
        if beat is not None and taken:
            self.seen[lane].append(beat)
            if self.on_beat is not None:
                self.on_beat(lane, beat)

    def _beat(self, lane: int) -> Beat:
        values = {}
        for field, signal in self.fields.items():
            text = signal._handle.get_signal_val_binstr()
            width = self.widths[field]
            end = len(text) - lane * width
            values[field] = int(text[end - width : end], 2)
        return Beat(**values)
