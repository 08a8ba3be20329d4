"""Completion queues."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SMALL = {"CQ_COUNT": 8, "SOURCES": 2}


def test_cq(sim: Sim) -> None:
    sim.run("rnic_cq", tests="tb.blocks.cq_rules", params=SMALL)


@pytest.mark.simulators("icarus")
def test_cq_wrap(sim: Sim) -> None:
    sim.run("rnic_cq", tests="tb.blocks.cq_wrap", params=SMALL)
