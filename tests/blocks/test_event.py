"""Event queues and interrupts."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SMALL = {"EQ_COUNT": 4, "SOURCES": 2, "US_CYCLES": 20}


def test_event(sim: Sim) -> None:
    sim.run("rnic_event", tests="tb.blocks.event_queue", params=SMALL)


@pytest.mark.simulators("icarus")
def test_event_wrap(sim: Sim) -> None:
    sim.run("rnic_event", tests="tb.blocks.event_wrap", params=SMALL)
