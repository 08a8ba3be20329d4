"""What an operator may choose about congestion, and what the adapter is then told."""

from __future__ import annotations

import pytest

from driver_model.device_loopback import LoopbackDevice
from driver_model.hw.congestion import PLACES, Congestion
from driver_model.hw.nic import Nic, NicConfig
from driver_model.loopback.world import World
from spec.registers import CnpReg, CongestionReg

REGISTERS = (0x068, 0x06C, 0x0A0, 0x0A4, 0x0A8, 0x0AC, 0x0B0, 0x0B4, 0x0B8)


def brought_up(congestion: Congestion) -> tuple[Nic, LoopbackDevice]:
    """An adapter that got this."""
    world = World()
    device = LoopbackDevice(world)
    config = NicConfig(mac=bytes(6), addresses=("10.0.0.1",), congestion=congestion)
    return world.run(Nic.bring_up(device, config)), device


def test_nothing_slows_down_or_is_marked_unless_asked_for() -> None:
    _, device = brought_up(Congestion())
    assert device.registers[0x068] == 0b010  # marks of others are answered
    assert {place: device.registers[place] for place in REGISTERS} == {
        register.ADDRESS: type(register)().to_int() for register in Congestion().registers()
    }


def test_every_parameter_lies_where_the_registers_want_it() -> None:
    """Bits written out by hand from docs/reference/registers.md."""
    _, device = brought_up(
        Congestion(
            ecn=True, cnp=False, dcqcn=True,
            cnp_interval=0x1234, cnp_traffic_class=0x56, cnp_pcp=5,
            line_rate=0x2_3456, min_rate=0x0789, min_factor=0xAB, monitor_period=0x1357,
            burst=0x2468, alpha_period=0x1122, alpha_gain=0x234, increase_period=0x3344,
            increase_bytes=0x4567_89AB, fast_stages=0x6B, additive_increase=0x5566,
            hyper_increase=0x7788,
        )
    )  # fmt: skip
    assert [device.registers[place] for place in REGISTERS] == [
        0b101, 0x0556_1234, 0x2_3456, 0x00AB_0789, 0x2468_1357, 0x0234_1122, 0x006B_3344,
        0x4567_89AB, 0x7788_5566,
    ]  # fmt: skip


def test_it_may_change_while_the_adapter_works() -> None:
    nic, device = brought_up(Congestion())
    nic.set_congestion(Congestion(dcqcn=True, cnp_interval=9))
    assert CongestionReg.from_int(device.registers[0x068]) == CongestionReg(cnp=1, dcqcn=1)
    assert CnpReg.from_int(device.registers[0x06C]) == CnpReg(interval=9)


@pytest.mark.parametrize("name", list(PLACES))
def test_what_does_not_fit_its_register_is_refused(name: str) -> None:
    register, field = PLACES[name]
    (width,) = (each.width for each in register.FIELDS if each.name == field)
    for value in (-1, 1 << width):
        with pytest.raises(ValueError, match=rf"{name} = "):
            Congestion(**{name: value})


@pytest.mark.parametrize(
    "rates", [{"min_rate": 0}, {"min_rate": 11, "line_rate": 10}, {"line_rate": 0}]
)
def test_no_queue_pair_may_stand_still(rates: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="min_rate = "):
        Congestion(**rates)
