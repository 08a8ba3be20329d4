"""Statistics counters, by name."""

from __future__ import annotations

from driver_model.device import Device
from spec.codes import DropReason, Stat
from spec.registers import stat_address

COUNTERS: dict[str, int] = {stat.name: stat.value for stat in Stat} | {
    f"DROP_{reason.name}": Stat.DROP + reason for reason in DropReason if reason
}
"""Every counter of the adapter: those of `Stat`, and DROP_ with the reason of a drop."""


async def read_counter(device: Device, name: str) -> int:
    """What a counter has come to, all 64 bits; one reader at a time, and some cycles behind."""
    if name not in COUNTERS:
        raise ValueError(f"there is no counter {name}")
    address = stat_address(COUNTERS[name])
    low = await device.read32(address)  # freezes the high word
    return await device.read32(address + 4) << 32 | low
