"""The host memory of the bench, tested like a block."""

from __future__ import annotations

import pytest

from tb.blocks.axi_memory import test_grants_add_up_and_are_taken_back
from tb.sim import Sim

__all__ = ["test_grants_add_up_and_are_taken_back"]

SPEED = "streams_of_traffic_and_their_price"


def test_axi_memory(sim: Sim) -> None:
    sim.run(
        "axi_wires",
        tests="tb.blocks.axi_memory",
        sources=["tb/hdl/axi_wires.sv"],
        testcase=None,
        env={"COCOTB_TEST_FILTER": f"^(?!.*{SPEED})"},
    )


@pytest.mark.simulators("verilator")
def test_axi_traffic(sim: Sim) -> None:
    sim.run(
        "axi_traffic",
        tests="tb.blocks.axi_memory",
        sources=["tb/hdl/axi_traffic.sv"],
        env={"COCOTB_TEST_FILTER": SPEED},
    )
