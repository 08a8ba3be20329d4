"""Statistics counters, by name."""

from __future__ import annotations

import pytest

from driver_model.device_loopback import LoopbackDevice
from driver_model.hw.counters import COUNTERS
from driver_model.hw.nic import Nic, NicConfig
from driver_model.loopback.world import World

CONFIG = NicConfig(mac=bytes(6), addresses=("10.0.0.1",))


def test_every_counter_has_a_name_and_a_place_of_its_own() -> None:
    assert sorted(COUNTERS.values()) == list(range(64))
    assert COUNTERS["TX_STALE"] == 32  # nothing is dropped for no reason
    assert (COUNTERS["TX_PACKETS"], COUNTERS["QP_ERRORS"], COUNTERS["DROP_SHORT"]) == (0, 31, 33)


def test_both_words_of_a_counter_are_read_low_word_first() -> None:
    world = World()
    device = LoopbackDevice(world)
    nic = world.run(Nic.bring_up(device, CONFIG))
    device.registers |= {0x800 + 8 * 3: 5, 0x804 + 8 * 3: 2, 0x800 + 8 * 43: 7}
    seen: list[int] = []
    read = device.read32

    async def reading(offset: int) -> int:
        seen.append(offset)
        return await read(offset)

    device.read32 = reading  # type: ignore[method-assign]
    assert world.run(nic.counter("RX_BYTES")) == 2 << 32 | 5
    assert seen == [0x818, 0x81C]
    counters = world.run(nic.counters())
    assert {name for name in counters if counters[name]} == {"RX_BYTES", "DROP_BAD_ICRC"}
    assert counters["DROP_BAD_ICRC"] == 7


def test_a_counter_that_does_not_exist_is_refused() -> None:
    world = World()
    nic = world.run(Nic.bring_up(LoopbackDevice(world), CONFIG))
    for name in ("DROP", "DROP_NONE", "tx_packets"):
        with pytest.raises(ValueError, match=name):
            world.run(nic.counter(name))
