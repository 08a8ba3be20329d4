"""The wire agent: sees every frame leave and arrive, and does to it what its driver was told."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pyuvm import uvm_agent, uvm_analysis_port, uvm_driver, uvm_monitor, uvm_sequencer

from tb.link import Frame, StreamEnd, Way
from tb.model.packets import decode
from tb.nic.ndk import World
from tb.uvm.faults import Note, WireFaults
from tb.uvm.items import Arrived, Sent
from tb.uvm.knobs import Knobs
from tb.uvm.spoil import Spoil


class WireMonitor(uvm_monitor):
    """Tells of frames that leave (`sent`) and of unspoiled ones that arrive (`arrived`)."""

    def build_phase(self) -> None:
        """Phase: the two analysis ports."""
        self.sent = uvm_analysis_port("sent", self)
        self.arrived = uvm_analysis_port("arrived", self)
        self.spoiled: Counter[str] = Counter()  # frames that must be dropped, by direction
        self.delivered: Counter[str] = Counter()
        self.blemished: Counter[str] = Counter()

    def note(self, way: str, frame: Frame) -> Note:
        """A frame leaves: it must be a packet that the reference reads, ICRC included."""
        return Note(way, decode(frame.data))

    def tell(self, frame: Frame, note: Note, spoil: Spoil) -> None:
        """The faults of a frame are known."""
        self.sent.write(Sent(note.way, frame.data, spoil.packet(note.packet), note.faults))

    def take(self, frame: Frame) -> None:
        """The last beat of a frame is shown to an adapter."""
        note = frame.note
        assert isinstance(note, Note)
        self.delivered[note.way] += 1
        self.blemished[note.way] += note.blemished and not note.spoiled
        if note.spoiled:
            self.spoiled[note.way] += 1
        else:
            self.arrived.write(Arrived(note.way, note.packet, note.marked))


class WireDriver(uvm_driver):
    """Carries out faults: by the knobs at first, then as its sequences say."""

    def start_of_simulation_phase(self) -> None:
        """Phase: the world exists, put a hand on both directions."""
        self.world: World = self.cdb_get("WORLD")
        self.knobs: Knobs = self.cdb_get("KNOBS")
        self.spoil: Spoil = self.cdb_get("SPOIL")
        link = self.world.pair.link
        self.ways: dict[str, WireFaults] = {}
        for way in (link.ab, link.ba):
            self.ways[way.name] = WireFaults(
                random.Random(f"{self.knobs.seed} wire {way.name}"),
                self.knobs.chances,
                self.knobs.overtake,
                lambda: link.ticker.cycle,
            )
            way.rules.append(self._rule(way))
            assert isinstance(way.to, StreamEnd)
            way.to.rx.on_delivered = self._taken

    async def run_phase(self) -> None:
        """Phase: other faults when a sequence wants them."""
        while True:
            item: Any = await self.seq_item_port.get_next_item()
            for faults in self.ways.values():
                faults.chances = dict(item.chances)
            self.seq_item_port.item_done()

    @property
    def counts(self) -> Counter[str]:
        """Faults so far, by kind."""
        return sum((faults.counts for faults in self.ways.values()), Counter())

    def _rule(self, way: Way) -> Any:
        def rule(frame: Frame) -> Iterable[Frame]:
            return self._carry(way, frame)

        return rule

    def _carry(self, way: Way, frame: Frame) -> list[Frame]:
        monitor: WireMonitor = self.parent.monitor
        try:
            note = monitor.note(way.name, frame)
            frames = self.ways[way.name].apply(frame, note)
            monitor.tell(frame, note, self.spoil)
        except Exception as error:
            self.world.failed(error)
            return [frame]
        return frames

    def _taken(self, frame: Frame) -> None:
        try:
            if frame.note is not None:
                self.parent.monitor.take(frame)
        except Exception as error:
            self.world.failed(error)


class WireAgent(uvm_agent):
    """Both directions of the link."""

    def build_phase(self) -> None:
        """Phase: monitor, driver, sequencer."""
        super().build_phase()
        self.monitor = WireMonitor("monitor", self)
        self.driver = WireDriver("driver", self)
        self.sequencer = uvm_sequencer("sequencer", self)

    def connect_phase(self) -> None:
        """Phase: the driver takes from the sequencer."""
        self.driver.seq_item_port.connect(self.sequencer.seq_item_export)
