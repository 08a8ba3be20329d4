"""Congestion control: notification point and reaction point."""

from __future__ import annotations

import pytest

from spec import registers
from tb.sim import Sim


def test_cnp(sim: Sim) -> None:
    sim.run("rnic_cnp", tests="tb.blocks.cnp", params={"QP_COUNT": 16, "US_CYCLES": 10})


@pytest.mark.slow_on("icarus")
def test_dcqcn(sim: Sim) -> None:
    sim.run(
        "rnic_dcqcn",
        tests="tb.blocks.dcqcn",
        params={"QP_COUNT": 16, "US_CYCLES": 50},
        inside=True,
    )


def test_registers_begin_with_the_proposed_defaults() -> None:
    """rocev2 8.2, the column of this project."""
    assert registers.CongestionReg() == registers.CongestionReg(ecn=0, cnp=1, dcqcn=0)
    assert (registers.CnpReg().interval, registers.CnpReg().traffic_class >> 2) == (50, 48)
    assert registers.DcqcnLineReg().rate == 100_000
    assert registers.DcqcnCutReg().min_rate == 10
    assert registers.DcqcnCutReg().min_factor / 256 == 0.5
    assert registers.DcqcnMonitorReg().period == 50
    assert registers.DcqcnAlphaReg().period == 55
    assert registers.DcqcnAlphaReg().gain / 1024 == 1 / 256
    assert (registers.DcqcnTimerReg().period, registers.DcqcnTimerReg().stages) == (55, 5)
    assert registers.DcqcnBytesReg().count == 10_000_000
    assert registers.DcqcnIncreaseReg().additive == 40
    assert registers.DcqcnIncreaseReg().hyper == 400
