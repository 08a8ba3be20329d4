"""Congestion control between two adapters."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.simulators("verilator")
def test_congestion(sim: Sim) -> None:
    sim.run("rnic_pair", tests="tb.nic.congestion", sources=["tb/hdl/rnic_pair.sv"])
