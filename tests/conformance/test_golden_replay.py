"""Recorded Soft-RoCE traffic against one adapter."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.simulators("verilator")
@pytest.mark.parametrize(
    "subject", [pytest.param("golden_replay", marks=pytest.mark.slow), "golden_flush"]
)
def test_golden(sim: Sim, subject: str) -> None:
    sim.run("rnic_top", tests=f"tb.nic.{subject}")
