"""The whole device, shortest way."""

from __future__ import annotations

from tb.sim import Sim


def test_smoke(sim: Sim) -> None:
    sim.run("rnic_pair", tests="tb.nic.smoke", sources=["tb/hdl/rnic_pair.sv"])
