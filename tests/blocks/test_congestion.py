"""Congestion control: notification point and reaction point."""

from __future__ import annotations

from tb.sim import Sim


def test_cnp(sim: Sim) -> None:
    sim.run("rnic_cnp", tests="tb.blocks.cnp", params={"QP_COUNT": 16, "US_CYCLES": 10})
