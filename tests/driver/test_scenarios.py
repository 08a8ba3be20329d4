"""The scenarios of a consumer, on adapters in plain Python and on the simulated device."""

from __future__ import annotations

import pytest

from tb.nic.design import PAIR, PAIR_TOP
from tb.sim import Sim
from tests.driver.pair import paired
from tests.driver.scenarios import SCENARIOS


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_in_plain_python(name: str) -> None:
    body, options = SCENARIOS[name]
    paired(body, **options)


@pytest.mark.nic
@pytest.mark.simulators("verilator")
def test_simulated(sim: Sim) -> None:
    sim.run(PAIR_TOP, tests="tests.driver.simulated", **PAIR)
