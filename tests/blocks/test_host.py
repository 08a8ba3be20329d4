"""The engines that reach host memory."""

from __future__ import annotations

import pytest

from tb.sim import Sim

WRAPPER = ["tb/hdl/host_port.sv"]


@pytest.mark.parametrize("clients", [1, 5])
@pytest.mark.parametrize("tests", ["host_read", "host_write"])
def test_host(sim: Sim, tests: str, clients: int) -> None:
    params = {"CLIENTS": clients}
    sim.run("host_port", tests=f"tb.blocks.{tests}", sources=WRAPPER, params=params)


def test_host_owed(sim: Sim) -> None:
    sim.run("rnic_host_owed", tests="tb.blocks.host_owed", params={"CLIENTS": 5})
