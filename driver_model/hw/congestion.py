"""Congestion control of an adapter: marks, notifications, DCQCN."""

from __future__ import annotations

from dataclasses import dataclass

from driver_model.device import Device
from spec.fields import Register
from spec.registers import (
    CnpReg,
    CongestionReg,
    DcqcnAlphaReg,
    DcqcnBytesReg,
    DcqcnCutReg,
    DcqcnIncreaseReg,
    DcqcnLineReg,
    DcqcnMonitorReg,
    DcqcnTimerReg,
)


@dataclass(frozen=True, slots=True)
class Congestion:
    """What an adapter does about congestion: nothing by itself, and it tells senders of marks.

    Parameters have the registers' units: Mbit/s, microseconds. What does not fit raises ValueError.
    """

    ecn: bool = False  # what is sent may be marked (ECT(0)), whatever the path says
    cnp: bool = True  # marks are answered with CNPs
    dcqcn: bool = False  # received CNPs slow their queue pair down
    cnp_interval: int = CnpReg().interval
    cnp_traffic_class: int = CnpReg().traffic_class
    cnp_pcp: int = CnpReg().pcp
    line_rate: int = DcqcnLineReg().rate
    min_rate: int = DcqcnCutReg().min_rate
    min_factor: int = DcqcnCutReg().min_factor
    monitor_period: int = DcqcnMonitorReg().period
    burst: int = DcqcnMonitorReg().burst
    alpha_period: int = DcqcnAlphaReg().period
    alpha_gain: int = DcqcnAlphaReg().gain
    increase_period: int = DcqcnTimerReg().period
    increase_bytes: int = DcqcnBytesReg().count
    fast_stages: int = DcqcnTimerReg().stages
    additive_increase: int = DcqcnIncreaseReg().additive
    hyper_increase: int = DcqcnIncreaseReg().hyper

    def __post_init__(self) -> None:
        for name, (register, field) in PLACES.items():
            width = next(each.width for each in register.FIELDS if each.name == field)
            value = getattr(self, name)
            if not 0 <= value < 1 << width:
                raise ValueError(f"{name} = {value}: 0 to {(1 << width) - 1}")
        if not 1 <= self.min_rate <= self.line_rate:
            raise ValueError(f"min_rate = {self.min_rate}: 1 to the line rate, {self.line_rate}")

    def registers(self) -> list[Register]:
        """The registers as they must be; what switches things on comes last."""
        values: dict[type[Register], dict[str, int]] = {}
        for name, (register, field) in PLACES.items():
            values.setdefault(register, {})[field] = int(getattr(self, name))
        return [register(**fields) for register, fields in values.items()]

    def write(self, device: Device) -> None:
        """Make the adapter behave so, from now on."""
        for register in self.registers():
            device.write32(register.ADDRESS, register.to_int())


PLACES: dict[str, tuple[type[Register], str]] = {
    "cnp_interval": (CnpReg, "interval"),
    "cnp_traffic_class": (CnpReg, "traffic_class"),
    "cnp_pcp": (CnpReg, "pcp"),
    "line_rate": (DcqcnLineReg, "rate"),
    "min_rate": (DcqcnCutReg, "min_rate"),
    "min_factor": (DcqcnCutReg, "min_factor"),
    "monitor_period": (DcqcnMonitorReg, "period"),
    "burst": (DcqcnMonitorReg, "burst"),
    "alpha_period": (DcqcnAlphaReg, "period"),
    "alpha_gain": (DcqcnAlphaReg, "gain"),
    "increase_period": (DcqcnTimerReg, "period"),
    "increase_bytes": (DcqcnBytesReg, "count"),
    "fast_stages": (DcqcnTimerReg, "stages"),
    "additive_increase": (DcqcnIncreaseReg, "additive"),
    "hyper_increase": (DcqcnIncreaseReg, "hyper"),
    "ecn": (CongestionReg, "ecn"),
    "cnp": (CongestionReg, "cnp"),
    "dcqcn": (CongestionReg, "dcqcn"),
}
"""Where each parameter lies."""
