"""What the tests share: the simulators, the seed, and how the slow ones are chosen."""

from __future__ import annotations

import os

import pytest

from tb.sim import DEFAULT_SEED, SIMULATORS, Sim


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too")
    parser.addoption("--seed", type=int, default=None, help="seed of every simulation")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simulators(*names): the simulators a test runs on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out, unless they are asked for by option or by mark."""
    if config.getoption("--slow") or "slow" in (config.getoption("-m") or ""):
        return
    slow = [item for item in items if item.get_closest_marker("slow") or slow_here(item)]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def slow_here(item: pytest.Item) -> bool:
    """A test that is slow on its simulator."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return any(params.get("simulator") in mark.args for mark in item.iter_markers("slow_on"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every simulation on both simulators, or on those a mark or SIM names."""
    if "simulator" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("simulators")
    names = marker.args if marker else SIMULATORS
    wanted = os.environ.get("SIM")
    metafunc.parametrize("simulator", [n for n in names if wanted in (None, "", n)])


@pytest.fixture
def sim(request: pytest.FixtureRequest, simulator: str) -> Sim:
    """Builds and runs a design; see ``tb.sim.run``."""
    seed = request.config.getoption("--seed")
    if seed is None:
        seed = int(os.environ.get("SEED", DEFAULT_SEED))
    return Sim(simulator, seed, request.node.nodeid, request.node.user_properties)
