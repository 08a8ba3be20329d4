"""Bad commands, work requests, doorbells and frames, against the whole device."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.simulators("verilator")
@pytest.mark.parametrize(
    "subject",
    ["bad_admin", "bad_work", "bad_frames", "late_failures", "late_repeats", "states", "notices"],
)
def test_bad_input(sim: Sim, subject: str) -> None:
    sim.run("rnic_pair", tests=f"tb.nic.{subject}", sources=["tb/hdl/rnic_pair.sv"])
