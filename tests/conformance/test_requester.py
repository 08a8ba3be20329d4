"""One adapter as requester against hand-made answers, its states, keys and timers."""

from __future__ import annotations

import pytest

from tb.nic.design import PAIR, PAIR_TOP
from tb.sim import Sim

MODULES = [
    "conf_ask", "conf_answers", "conf_states", "conf_drain", "conf_protect", "conf_robust",
    "conf_congestion", pytest.param("conf_timers", marks=pytest.mark.slow),
]  # fmt: skip


@pytest.mark.nic
@pytest.mark.simulators("verilator")
@pytest.mark.parametrize("module", MODULES)
def test_wire(sim: Sim, module: str) -> None:
    sim.run("rnic_top", tests=f"tb.nic.{module}")


@pytest.mark.nic
@pytest.mark.slow
@pytest.mark.simulators("verilator")
def test_storm(sim: Sim) -> None:
    sim.run(PAIR_TOP, tests="tb.nic.conf_storm", **PAIR)


@pytest.mark.nic
@pytest.mark.slow
@pytest.mark.simulators("verilator")
def test_lengths(sim: Sim) -> None:
    sim.run(PAIR_TOP, tests="tb.nic.conf_lengths", **PAIR)
