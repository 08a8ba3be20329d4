"""The NDK consumer of one adapter: posts what sequences ask for, tells what was posted and done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import cocotb
from pyuvm import uvm_agent, uvm_analysis_port, uvm_driver, uvm_monitor, uvm_sequencer

from driver_model.ndkpi import NdkResultEx
from tb.nic.ndk import Host, World
from tb.uvm.items import MoveItem, ReceiveItem, Result
from tb.uvm.raw import RawSide
from tb.uvm.spoil import Spoil


class ConsumerDriver(uvm_driver):
    """Calls NDKPI; what a queue has no room for goes back to its sequence."""

    def build_phase(self) -> None:
        """Phase: a port for what was posted."""
        self.posted = uvm_analysis_port("posted", self)

    async def run_phase(self) -> None:
        """Phase: one request after the other."""
        while True:
            item: Any = await self.seq_item_port.get_next_item()
            if isinstance(item, ReceiveItem):
                item.taken = self._receive(item)
            else:
                item.taken = self._post(item)
            self.seq_item_port.item_done()

    def _post(self, item: MoveItem) -> bool:
        taken = item.move.post()
        if taken:
            self.posted.write(item.move)
        return taken

    def _receive(self, item: ReceiveItem) -> bool:
        queue = item.move.lane.peer.rq
        if queue is not None and queue.full:
            return False
        item.move.prepare()
        return True


class ConsumerMonitor(uvm_monitor):
    """Takes every result of the completion queue, woken by its notifications."""

    def build_phase(self) -> None:
        """Phase: a port for results."""
        self.results = uvm_analysis_port("results", self)
        self.count = 0

    def start_of_simulation_phase(self) -> None:
        """Phase: the world exists."""
        self.world: World = self.cdb_get("WORLD")
        self.spoil: Spoil = self.cdb_get("SPOIL")

    def begin(self, host: Host) -> None:
        """The completion queue exists."""
        cocotb.start_soon(self._watch(host, lambda: host.desk.waited.results(1)))

    def begin_raw(self, side: RawSide) -> None:
        """So does that of the queue pairs without a provider."""
        cocotb.start_soon(self._watch(side.host, side.results))

    async def _watch(self, host: Host, results: Callable[[], Awaitable[list[NdkResultEx]]]) -> None:
        try:
            while True:
                for result in await results():
                    self.count += 1
                    for told in self.spoil.seen(result):
                        self.results.write(Result(host.name, told))
        except Exception as error:
            self.world.failed(error)


class ConsumerAgent(uvm_agent):
    """One side."""

    def build_phase(self) -> None:
        """Phase: monitor, driver, sequencer."""
        super().build_phase()
        self.monitor = ConsumerMonitor("monitor", self)
        self.driver = ConsumerDriver("driver", self)
        self.sequencer = uvm_sequencer("sequencer", self)

    def connect_phase(self) -> None:
        """Phase: the driver takes from the sequencer."""
        self.driver.seq_item_port.connect(self.sequencer.seq_item_export)
