"""One adapter against hand-made frames: the rules of the protocol, one by one."""

from __future__ import annotations

import pytest

from tb.sim import Sim

MODULES = (
    "conf_frames",
    "conf_sent",
    "conf_psn",
    "conf_sequence",
    "conf_receive",
    "conf_keys",
    "conf_execute",
    "conf_cnp",
    "conf_ranges",
    "conf_atomics",
    "conf_errors",
    "conf_random",
)


@pytest.mark.nic
@pytest.mark.simulators("verilator")
@pytest.mark.parametrize("module", MODULES)
def test_wire(sim: Sim, module: str) -> None:
    sim.run("rnic_top", tests=f"tb.nic.{module}")
