"""The transmit pipeline, from packet descriptors to frames."""

from __future__ import annotations

import pytest

from tb.sim import Sim

HARNESS = ["tb/hdl/tx_harness.sv"]

# Icarus is there for its X: one of each kind.
SMOKE = "|".join(
    (
        "first_frame",
        "every_opcode",
        "full_packets/length=512",
        "pieces_are_gathered/idle=none/stall=half",
        "both_sources",
        "failed_check.*latency=0/pieces=2",
        "bus_error.*latency=0/pieces=3",
        "responses_stop",
        "an_answer_given_before.*latency=0",
        "local_operations",
        "soup/latency=0/stall=half",
        "reset_in_mid_packet/wait=(20|71)",
        "a_stale_request",
        "stale_frames_do_not_begin/stall=half",
        "poison_ends",
        "a_failed_local",
        "going_back.*latency=60/stall=none",
    )
)


@pytest.mark.parametrize(
    "tests",
    ["tx_frames", "tx_faults", pytest.param("tx_stale", marks=pytest.mark.slow_on("icarus"))],
)
def test_tx(sim: Sim, tests: str) -> None:
    env = {"COCOTB_TEST_FILTER": SMOKE} if sim.simulator == "icarus" else {}
    sim.run("tx_harness", tests=f"tb.blocks.{tests}", sources=HARNESS, env=env)


def test_tx_congestion(sim: Sim) -> None:
    sim.run("tx_harness", tests="tb.blocks.tx_congestion", sources=HARNESS)


@pytest.mark.simulators("verilator")
def test_tx_rates(sim: Sim) -> None:
    sim.run("tx_harness", tests="tb.blocks.tx_rates", sources=HARNESS)


def test_tx_gate(sim: Sim) -> None:
    sim.run("rnic_tx_gate", tests="tb.blocks.tx_gate", params={"DATA_W": 64})
