"""Requests and their responses."""

from __future__ import annotations

import pytest

from tb.sim import Sim


def test_responder(sim: Sim) -> None:
    sim.run("rnic_responder", tests="tb.blocks.rsp_rules", params={"QP_COUNT": 8, "SRQ_COUNT": 2})


@pytest.mark.simulators("icarus")
def test_responder_index_wrap(sim: Sim) -> None:
    sim.run("rnic_responder", tests="tb.blocks.rsp_wrap", params={"QP_COUNT": 8, "SRQ_COUNT": 2})
