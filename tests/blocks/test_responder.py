"""Requests and their responses."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SLOW_ON_ICARUS = pytest.mark.slow_on("icarus")


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param("random", marks=SLOW_ON_ICARUS),
        "rules",
        pytest.param("rates", marks=SLOW_ON_ICARUS),
        "repeats",
        pytest.param("waits", marks=SLOW_ON_ICARUS),
        pytest.param("credits", marks=SLOW_ON_ICARUS),
    ],
)
def test_responder(sim: Sim, rules: str) -> None:
    params = {"QP_COUNT": 8, "SRQ_COUNT": 2}
    sim.run("rnic_responder", tests=f"tb.blocks.rsp_{rules}", params=params)


@pytest.mark.simulators("icarus")
def test_responder_index_wrap(sim: Sim) -> None:
    sim.run("rnic_responder", tests="tb.blocks.rsp_wrap", params={"QP_COUNT": 8, "SRQ_COUNT": 2})
