"""Admin commands."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SMALL = {
    "QP_COUNT": 8, "CQ_COUNT": 8, "EQ_COUNT": 4, "SRQ_COUNT": 4, "KEY_COUNT": 16, "INITS": 3,
    "DRAINS": 4,
}  # fmt: skip


@pytest.mark.parametrize(
    "subject",
    ["random", "rules", pytest.param("states", marks=pytest.mark.slow_on("icarus")), "rings"],
)
def test_admin(sim: Sim, subject: str) -> None:
    sim.run("rnic_admin", tests=f"tb.blocks.admin_{subject}", params=SMALL)


@pytest.mark.simulators("icarus")
def test_admin_wrap(sim: Sim) -> None:
    sim.run("rnic_admin", tests="tb.blocks.admin_wrap", params=SMALL)
