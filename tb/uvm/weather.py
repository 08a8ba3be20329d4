"""What the wire does in the course of a run: fair, foul, and fair again."""

from __future__ import annotations

import random

from cocotb.triggers import Timer
from pyuvm import uvm_sequence

from tb.streams import CLOCK_NS
from tb.uvm.items import FaultItem
from tb.uvm.knobs import HIGHEST, Knobs

SPELL = (1_000, 15_000)
"""Cycles of one kind of weather."""


class Weather(uvm_sequence):
    """Goes on until it is stopped; start it on the sequencer of the wire."""

    def __init__(self, knobs: Knobs) -> None:
        super().__init__("weather")
        self._knobs = knobs
        self._rng = random.Random(f"{knobs.seed} weather")

    async def body(self) -> None:
        """Sequence."""
        usual = dict(self._knobs.chances)
        calm = dict.fromkeys(usual, 0.0)
        storm = {kind: HIGHEST if chance else 0.0 for kind, chance in usual.items()}
        while True:
            await self.becomes(self._rng.choice([usual, usual, calm, storm]))
            await self.lasts(self._rng.randint(*SPELL))

    async def becomes(self, chances: dict[str, float]) -> None:
        """From now on."""
        item = FaultItem(chances)
        await self.start_item(item)
        await self.finish_item(item)

    async def lasts(self, cycles: int) -> None:
        """For so long."""
        await Timer(cycles * CLOCK_NS, "ns")
