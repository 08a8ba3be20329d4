"""The register block: registers, GID table, counters."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.parametrize("tests", ["csr_registers", "csr_gids", "csr_stats"])
def test_csr(sim: Sim, tests: str) -> None:
    params = {"QP_COUNT": 200, "SRQ_COUNT": 3, "KEY_COUNT": 77, "EVENT_SOURCES": 3}
    sim.run("rnic_csr", tests=f"tb.blocks.{tests}", params=params, inside=True)


def test_soft_reset(sim: Sim) -> None:
    params = {"PATIENCE": 256, "HOST_TICKS": 128}
    sim.run("rnic_csr_reset", tests="tb.blocks.csr_reset", params=params)
