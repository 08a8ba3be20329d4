"""Doorbells, scheduling and fetching of send queues."""

from __future__ import annotations

import pytest

from tb.sim import Sim

TOP = ["tb/hdl/send_path.sv"]
LONG = "indices_wrap"


def test_queue_doorbell(sim: Sim) -> None:
    env = {"COCOTB_TEST_FILTER": f"^(?!.*{LONG})"}
    params = {"QP_COUNT": 16, "MSG_DEPTH": 256}
    sim.run("send_path", tests="tb.blocks.queue_doorbell", sources=TOP, params=params, env=env)


@pytest.mark.slow
@pytest.mark.simulators("verilator")
def test_queue_wrap(sim: Sim) -> None:
    env = {"COCOTB_TEST_FILTER": LONG}
    params = {"QP_COUNT": 16, "MSG_DEPTH": 256}
    sim.run("send_path", tests="tb.blocks.queue_doorbell", sources=TOP, params=params, env=env)


@pytest.mark.simulators("verilator")
def test_queue_rate(sim: Sim) -> None:
    params = {"QP_COUNT": 64, "MSG_DEPTH": 1024}
    sim.run("send_path", tests="tb.blocks.queue_rate", sources=TOP, params=params)


@pytest.mark.slow_on("icarus")
def test_queue_traffic(sim: Sim) -> None:
    """Random work through queue and requester."""
    params = {"QP_COUNT": 16, "MSG_DEPTH": 8}
    sim.run("send_path", tests="tb.blocks.queue_traffic", sources=TOP, params=params)


# Icarus is there for its X: one of each kind.
SMOKE_REWIND = "|".join(
    (
        "every_place.*shape=8",
        "told",
        "rate_limiter",
        "not_ready",
        "doorbells_count",
        "case=6/stall=0.3/latency=0",
    )
)


LONG_REWIND = "numbers_wrap"


@pytest.mark.slow
@pytest.mark.simulators("verilator")
def test_queue_rewind_wrap(sim: Sim) -> None:
    env = {"COCOTB_TEST_FILTER": LONG_REWIND}
    params = {"QP_COUNT": 16, "MSG_DEPTH": 256}
    sim.run("send_path", tests="tb.blocks.queue_rewind", sources=TOP, params=params, env=env)


@pytest.mark.slow_on("verilator")
def test_queue_rewind(sim: Sim) -> None:
    """Going back, turns, and random work over a bad wire."""
    some = SMOKE_REWIND if sim.simulator == "icarus" else f"^(?!.*{LONG_REWIND})"
    env = {"COCOTB_TEST_FILTER": some}
    params = {"QP_COUNT": 16, "MSG_DEPTH": 256}
    sim.run("send_path", tests="tb.blocks.queue_rewind", sources=TOP, params=params, env=env)
