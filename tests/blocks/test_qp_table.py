"""Configuration and state of queue pairs."""

from __future__ import annotations

from tb.sim import Sim


def test_qp_table(sim: Sim) -> None:
    params = {"QP_COUNT": 8, "RQ_COUNT": 10, "READERS": 2, "RQ_READERS": 1, "ERRORS": 3}
    sim.run("rnic_qp_table", tests="tb.blocks.qp_table", params=params)
