"""Events of queue pairs and shared receive queues that somebody asked for."""

from __future__ import annotations

import pytest

from tb.sim import Sim


def test_drained(sim: Sim) -> None:
    sim.run("rnic_qp_drained", tests="tb.blocks.qp_drained", params={"QP_COUNT": 8})


def test_srq(sim: Sim) -> None:
    params = {"QP_COUNT": 8, "SRQ_COUNT": 4}
    sim.run("rnic_qp_srq", tests="tb.blocks.qp_srq", params=params)


@pytest.mark.simulators("icarus")
def test_srq_wrap(sim: Sim) -> None:
    params = {"QP_COUNT": 8, "SRQ_COUNT": 4}
    sim.run("rnic_qp_srq", tests="tb.blocks.qp_srq_wrap", params=params)
