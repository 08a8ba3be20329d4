"""The receive pipeline, from frames on the wire to bytes in host memory."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SLOW_ON_ICARUS = pytest.mark.slow_on("icarus")


@pytest.mark.parametrize(
    "module",
    [
        "rx_frames",
        "rx_drops",
        "rx_congestion",
        pytest.param("rx_moves", marks=SLOW_ON_ICARUS),
        pytest.param("rx_atomic", marks=pytest.mark.slow),
        "rx_dead",
        pytest.param("rx_flow", marks=SLOW_ON_ICARUS),
    ],
)
def test_rx(sim: Sim, module: str) -> None:
    sim.run("rnic_rx", tests=f"tb.blocks.{module}")


@pytest.mark.simulators("icarus")
@pytest.mark.parametrize("latency", [1, 3])
def test_rx_address_lookup_may_take_its_time(sim: Sim, latency: int) -> None:
    sim.run(
        "rnic_rx",
        tests="tb.blocks.rx_frames",
        testcase=["every_vector_is_read_right", "every_field_of_every_header_is_read"],
        params={"DEST_LATENCY": latency},
        env={"DEST_LATENCY": str(latency)},
    )
