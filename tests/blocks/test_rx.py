"""The receive pipeline, from frames on the wire to bytes in host memory."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.parametrize("module", ["rx_frames", "rx_moves", "rx_flow"])
def test_rx(sim: Sim, module: str) -> None:
    sim.run("rnic_rx", tests=f"tb.blocks.{module}")
