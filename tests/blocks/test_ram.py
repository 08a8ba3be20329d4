"""Memories and the pool of free slots."""

from __future__ import annotations

import pytest

from tb.sim import Sim, SimulationFailed


@pytest.mark.parametrize("bypass", [0, 1])
def test_1w1r(sim: Sim, bypass: int) -> None:
    params = {"DATA_W": 72, "DEPTH": 24, "BYPASS": bypass}
    sim.run("ram_1w1r", tests="tb.blocks.ram_1w1r", params=params)


@pytest.mark.parametrize("bypass", [0, 1])
def test_1w2r(sim: Sim, bypass: int) -> None:
    params = {"DATA_W": 20, "DEPTH": 16, "BYPASS": bypass}
    sim.run("ram_1w2r", tests="tb.blocks.ram_1w2r", params=params)


@pytest.mark.parametrize("depth", [2, 6, 16])
def test_free_list(sim: Sim, depth: int) -> None:
    sim.run("ram_free_list", tests="tb.blocks.ram_free_list", params={"DEPTH": depth})


def test_assertion_stops_the_simulation(sim: Sim) -> None:
    """A slot given back to a full pool breaks RNIC_ASSERT, and that must fail the run."""
    with pytest.raises(SimulationFailed, match="no_slot_comes_back_twice"):
        sim.run("ram_free_list", tests="tb.blocks.ram_free_list_misuse", params={"DEPTH": 6})
