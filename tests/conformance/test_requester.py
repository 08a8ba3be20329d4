"""One adapter as requester against hand-made answers, its states, keys and timers."""

from __future__ import annotations

import pytest

from tb.sim import Sim

MODULES = ["conf_timers", "conf_states", "conf_robust", "conf_congestion"]


@pytest.mark.nic
@pytest.mark.simulators("verilator")
@pytest.mark.parametrize("module", MODULES)
def test_wire(sim: Sim, module: str) -> None:
    sim.run("rnic_top", tests=f"tb.nic.{module}")
