"""The transmit pipeline, from packet descriptors to frames."""

from __future__ import annotations

import pytest

from tb.sim import Sim

HARNESS = ["tb/hdl/tx_harness.sv"]


@pytest.mark.parametrize("tests", ["tx_frames", "tx_rates", "tx_faults"])
def test_tx(sim: Sim, tests: str) -> None:
    sim.run("tx_harness", tests=f"tb.blocks.{tests}", sources=HARNESS)
