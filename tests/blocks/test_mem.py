"""Memory protection and translation."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.parametrize("lines", [pytest.param(256, marks=pytest.mark.slow_on("icarus")), 16])
def test_mem(sim: Sim, lines: int) -> None:
    """A small cache replaces lines all the time; the rates are those of the real one."""
    sim.run(
        "mem_port",
        tests="tb.blocks.mem_check",
        sources=["tb/hdl/mem_port.sv"],
        params={"LINES": lines},
        env={} if lines == 256 else {"COCOTB_TEST_FILTER": "model|change|anew|kept"},
    )
