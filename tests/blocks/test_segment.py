"""The requester: from send queue entries to packets and records."""

from __future__ import annotations

from tb.sim import Sim


def test_segment(sim: Sim) -> None:
    sim.run(
        "send_path",
        tests="tb.blocks.tx_segment",
        sources=["tb/hdl/send_path.sv"],
        params={"QP_COUNT": 16, "MSG_DEPTH": 256},
    )


def test_credits(sim: Sim) -> None:
    """What the peer says about its receives, and what the requester makes of it."""
    sim.run(
        "send_path",
        tests="tb.blocks.tx_credits",
        sources=["tb/hdl/send_path.sv"],
        params={"QP_COUNT": 16, "MSG_DEPTH": 256},
    )
