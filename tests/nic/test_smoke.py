"""The whole device, shortest way."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.simulators("verilator")
def test_smoke(sim: Sim) -> None:
    sim.run("rnic_pair", tests="tb.nic.smoke", sources=["tb/hdl/rnic_pair.sv"])


@pytest.mark.simulators("verilator")
def test_one_adapter_talks_to_itself(sim: Sim) -> None:
    sim.run("rnic_top", tests="tb.nic.loop")


@pytest.mark.slow
@pytest.mark.simulators("verilator")
def test_credits(sim: Sim) -> None:
    """A receiver that posts little, and a sender that is told so."""
    sim.run("rnic_pair", tests="tb.nic.credits", sources=["tb/hdl/rnic_pair.sv"])
