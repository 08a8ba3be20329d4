"""The parts that streams are joined with."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.parametrize("data_w", [1, 512])
def test_skid(sim: Sim, data_w: int) -> None:
    sim.run("stream_skid", tests="tb.blocks.stream_skid", params={"DATA_W": data_w})
