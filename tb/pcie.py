"""A PCIe function's BARs and interrupts on the adapter's ports: registers, doorbells, vectors.

Posted writes queue up and leave in order; only a register read makes software wait.
Models of one `Ticker`, so an idle port costs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from cocotb.triggers import Event

from tb.ticker import BusError, Ticker, bits_driver, int_driver, now_ns, sampler

OKAY = 0


class RegisterRead:
    """The answer to a register read, once it is there."""

    def __init__(self) -> None:
        self.done = Event()
        self.value = 0
        self.resp = OKAY


class RegisterPort:
    """An AXI4-Lite master: posted writes and reads, one access at a time, in order."""

    def __init__(self, dut: Any, prefix: str, ticker: Ticker, *, rst: Any = None) -> None:
        def port(name: str) -> Any:
            return getattr(dut, f"{prefix}_{name}")

        self.name = prefix
        self.ticker = ticker
        self.errors = 0  # accesses answered with an error
        self._reset = sampler(dut.rst if rst is None else rst)
        self._sample = {
            n: sampler(port(n))
            for n in ("awready", "wready", "bvalid", "bresp", "arready", "rvalid", "rdata", "rresp")
        }
        self._drive = {n: int_driver(port(n)) for n in ("awvalid", "wvalid", "arvalid")}
        self._wide = {
            n: (bits_driver(port(n)), len(port(n))) for n in ("awaddr", "wdata", "wstrb", "araddr")
        }
        self._queue: deque[tuple[int, int | RegisterRead]] = deque()
        self._now: tuple[int, int | RegisterRead] | None = None
        self._open: set[str] = set()
        for drive in self._drive.values():
            ticker.write(drive, 0)
        ticker.write(int_driver(port("bready")), 1)
        ticker.write(int_driver(port("rready")), 1)
        ticker.add(self)

    @property
    def idle(self) -> bool:
        """Every access has been answered."""
        return self._now is None and not self._queue

    def write(self, offset: int, value: int) -> None:
        """Posted write of a register."""
        self._queue.append((offset, value))
        self.ticker.wake(self)

    def read(self, offset: int) -> RegisterRead:
        """Start a read behind everything posted."""
        answer = RegisterRead()
        self._queue.append((offset, answer))
        self.ticker.wake(self)
        return answer

    def step(self) -> bool:
        """Model: finish an access, begin the next."""
        if self._reset() != "0":
            return bool(self._queue)
        if self._now is not None:
            self._finish(self._now)
        if self._now is None and self._queue:
            self._begin()
        return self._now is not None

    def _begin(self) -> None:
        self._now = offset, what = self._queue.popleft()
        if isinstance(what, RegisterRead):
            self._put("araddr", offset)
            self._open = {"ar"}
        else:
            self._put("awaddr", offset)
            self._put("wdata", what)
            self._put("wstrb", 0xF)
            self._open = {"aw", "w"}
        for channel in self._open:
            self.ticker.write(self._drive[f"{channel}valid"], 1)

    def _put(self, name: str, value: int) -> None:
        drive, width = self._wide[name]
        self.ticker.write(drive, f"{value:0{width}b}")

    def _finish(self, access: tuple[int, int | RegisterRead]) -> None:
        offset, what = access
        for channel in list(self._open):
            if self._sample[f"{channel}ready"]() == "1":
                self._open.discard(channel)
                self.ticker.write(self._drive[f"{channel}valid"], 0)
        channel = "r" if isinstance(what, RegisterRead) else "b"
        if self._sample[f"{channel}valid"]() != "1":
            return
        if self._open:
            raise BusError(f"{self.name}: {offset:#x} answered before it was taken")
        resp = int(self._sample[f"{channel}resp"](), 2)
        self.errors += resp != OKAY
        if isinstance(what, RegisterRead):
            what.resp, what.value = resp, int(self._sample["rdata"](), 2)
            what.done.set()
        self._now = None


class DoorbellPort:
    """An AXI4 master for the doorbell page: posted writes of one beat, in order."""

    def __init__(self, dut: Any, prefix: str, ticker: Ticker, *, rst: Any = None) -> None:
        def port(name: str) -> Any:
            return getattr(dut, f"{prefix}_{name}")

        self.name = prefix
        self.ticker = ticker
        self.errors = 0  # writes refused by the adapter
        self.on_taken: Callable[[int], None] | None = None  # offset of a write that was taken
        self._reset = sampler(dut.rst if rst is None else rst)
        self._awready, self._wready = sampler(port("awready")), sampler(port("wready"))
        self._bvalid, self._bresp = sampler(port("bvalid")), sampler(port("bresp"))
        self._set_awvalid, self._set_wvalid = (
            int_driver(port("awvalid")),
            int_driver(port("wvalid")),
        )
        self._set_addr, self._addr_w = bits_driver(port("awaddr")), len(port("awaddr"))
        self._set_data, self._set_strb = bits_driver(port("wdata")), bits_driver(port("wstrb"))
        self._bytes = len(port("wdata")) // 8
        self._queue: deque[tuple[int, bytes]] = deque()
        self._open: set[str] = set()
        self._offset = 0
        self._unanswered = 0
        size = self._bytes.bit_length() - 1
        for name, value in (("awid", 0), ("awlen", 0), ("awsize", size), ("awburst", 1),
                            ("awvalid", 0), ("wvalid", 0), ("wlast", 1), ("bready", 1),
                            ("arvalid", 0), ("rready", 1)):  # fmt: skip
            ticker.write(int_driver(port(name)), value)
        ticker.add(self)

    @property
    def idle(self) -> bool:
        """Every write has been answered."""
        return not self._queue and not self._open and not self._unanswered

    def write(self, offset: int, data: bytes) -> None:
        """Posted write inside one line of the page."""
        if offset % self._bytes + len(data) > self._bytes:
            raise ValueError(f"a doorbell write of {len(data)} bytes at {offset:#x} crosses a line")
        self._queue.append((offset, data))
        self.ticker.wake(self)

    def step(self) -> bool:
        """Model: take answers, show the next write."""
        if self._reset() != "0":
            return bool(self._queue)
        if self._unanswered and self._bvalid() == "1":
            self._unanswered -= 1
            self.errors += self._bresp() != "00"
        if "aw" in self._open and self._awready() == "1":
            self._open.discard("aw")
            self.ticker.write(self._set_awvalid, 0)
        if "w" in self._open and self._wready() == "1":
            self._open.discard("w")
            self.ticker.write(self._set_wvalid, 0)
            if self.on_taken:
                self.on_taken(self._offset)
        if not self._open and self._queue:
            self._begin()
        return not self.idle

    def _begin(self) -> None:
        self._offset, data = self._queue.popleft()
        lane = self._offset % self._bytes
        self.ticker.write(self._set_addr, f"{self._offset:0{self._addr_w}b}")
        value = int.from_bytes(data, "little") << lane * 8
        self.ticker.write(self._set_data, f"{value:0{self._bytes * 8}b}")
        strobe = (1 << len(data)) - 1 << lane
        self.ticker.write(self._set_strb, f"{strobe:0{self._bytes}b}")
        self.ticker.write(self._set_awvalid, 1)
        self.ticker.write(self._set_wvalid, 1)
        self._open = {"aw", "w"}
        self._unanswered += 1


class InterruptPort:
    """Takes interrupt vectors from an AXI-Stream and calls their handlers."""

    def __init__(self, dut: Any, prefix: str, ticker: Ticker, *, rst: Any = None) -> None:
        def port(name: str) -> Any:
            return getattr(dut, f"{prefix}_{name}")

        self.counts: dict[int, int] = {}
        self.handlers: dict[int, Callable[[], None]] = {}
        self._reset = sampler(dut.rst if rst is None else rst)
        self._valid, self._data = sampler(port("tvalid")), sampler(port("tdata"))
        ticker.write(int_driver(port("tready")), 1)
        ticker.add(self, port("tvalid"))

    def step(self) -> bool:
        """Model: a vector that was shown has been taken."""
        if self._reset() != "0" or self._valid() != "1":
            return False
        vector = int(self._data(), 2)
        self.counts[vector] = self.counts.get(vector, 0) + 1
        handler = self.handlers.get(vector)
        if handler is None:
            raise BusError(f"interrupt {vector} without a handler at {now_ns():.0f} ns")
        handler()
        return True
