"""Responses and the completions that follow."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SMALL = {"QP_COUNT": 4, "MSG_DEPTH": 16}


@pytest.mark.simulators("verilator")
def test_completer(sim: Sim) -> None:
    sim.run("rnic_completer", tests="tb.blocks.cpl_rules", params=SMALL)


@pytest.mark.simulators("verilator")
def test_completer_rate(sim: Sim) -> None:
    sim.run("rnic_completer", tests="tb.blocks.cpl_rate", params=SMALL)


def test_barrier(sim: Sim) -> None:
    sim.run("rnic_cpl_barrier", tests="tb.blocks.cpl_barrier")


@pytest.mark.simulators("verilator")
def test_completer_recovery(sim: Sim) -> None:
    """Losses, waits and timers."""
    sim.run("rnic_completer", tests="tb.blocks.cpl_recovery", params=SMALL)
