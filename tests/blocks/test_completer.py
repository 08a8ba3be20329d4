"""Responses and the completions that follow."""

from __future__ import annotations

import pytest

from tb.sim import Sim

SMALL = {"QP_COUNT": 4, "MSG_DEPTH": 16}

# Icarus is there for its X: what is short.
SMOKE = "|".join(
    (
        "every_message.*stall=half/idle=none",
        "read_data_goes",
        "an_init_spares",
        "an_older_ack",
        "a_refusal",
        "cannot_be_sent",
        "nothing_is_placed",
        "a_flush_waits",
        "a_local_operation",
        "a_drain_waits",
        "a_reset_in_traffic",
    )
)


def test_completer(sim: Sim) -> None:
    env = {"COCOTB_TEST_FILTER": SMOKE} if sim.simulator == "icarus" else {}
    sim.run("rnic_completer", tests="tb.blocks.cpl_rules", params=SMALL, env=env)


def test_completer_unsent(sim: Sim) -> None:
    sim.run("rnic_completer", tests="tb.blocks.cpl_unsent", params=SMALL)


@pytest.mark.simulators("verilator")
def test_completer_rate(sim: Sim) -> None:
    sim.run("rnic_completer", tests="tb.blocks.cpl_rate", params=SMALL)


@pytest.mark.slow_on("icarus")
def test_completer_credits(sim: Sim) -> None:
    """What answers tell about the peer's receive WQEs."""
    sim.run("rnic_completer", tests="tb.blocks.cpl_credits", params=SMALL)


def test_barrier(sim: Sim) -> None:
    sim.run("rnic_cpl_barrier", tests="tb.blocks.cpl_barrier")


SMOKE_RECOVERY = "|".join(
    (
        "losses_without.*count=3",
        "read_passed_over.*kind=ATOMIC/what=read",
        "goes_on_where.*lost=2",
        "peer_without_receives",
        "answer_that_never.*count=2",
        "local_operation_is_no_loss",
    )
)


@pytest.mark.slow
def test_completer_recovery(sim: Sim) -> None:
    """Losses, waits and timers."""
    env = {"COCOTB_TEST_FILTER": SMOKE_RECOVERY} if sim.simulator == "icarus" else {}
    sim.run("rnic_completer", tests="tb.blocks.cpl_recovery", params=SMALL, env=env)


@pytest.mark.slow_on("icarus")
@pytest.mark.parametrize("qps", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_timer(sim: Sim, qps: int) -> None:
    """The ACK and the RNR timer alone."""
    sim.run("rnic_cpl_timer", tests="tb.blocks.cpl_timer", params={"QP_COUNT": qps})
