"""The Ethernet link of the bench, tested like a block."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SPEED = "full_rate_both_ways_and_its_price"


def test_link(sim: Sim) -> None:
    sim.run(
        "link_wires",
        tests="tb.blocks.link",
        sources=["tb/hdl/link_wires.sv"],
        env={"COCOTB_TEST_FILTER": f"^(?!.*{SPEED})"},
    )


@pytest.mark.simulators("verilator")
def test_link_traffic(sim: Sim) -> None:
    sim.run(
        "link_traffic",
        tests="tb.blocks.link",
        sources=["tb/hdl/link_traffic.sv"],
        env={"COCOTB_TEST_FILTER": SPEED},
    )
