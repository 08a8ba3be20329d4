"""The plain Verilog-2005 that Yosys writes compiles, and behaves as the sources do."""

from __future__ import annotations

import pytest

from scripts import verilog
from tb.sim import Sim


@pytest.mark.simulators("icarus")
@pytest.mark.parametrize("module", ["stream_skid", "stream_register"])
def test_a_part_behaves_as_its_source(sim: Sim, module: str) -> None:
    target = verilog.target_of(module)
    verilog.write(module, target)
    verilog.check(module, target)
    sim.run(module, tests=f"tb.blocks.{module}", netlist=target)


@pytest.mark.slow
@pytest.mark.nic
@pytest.mark.simulators("icarus")
def test_the_device_behaves_as_its_source(sim: Sim) -> None:
    target = verilog.target_of("rnic_top")
    verilog.write("rnic_top", target)
    verilog.check("rnic_top", target)
    sim.run("rnic_top", tests="tb.nic.loop", netlist=target)
