"""Lies told to the scoreboards, to see that each of them can say no.

RNIC_SPOIL names one: `byte` changes a bit of a guard zone, `drop` swallows a completion, `twice`
repeats one, `length` changes its byte count, `frame` changes a payload byte of a frame that the
monitor saw, `psn` its number.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from driver_model.ndkpi import NdkResultEx
from tb.model.headers import Packet
from tb.nic.desk import RECEIVES
from tb.nic.scenario import SPOIL

LIES = ("byte", "drop", "twice", "length", "frame", "psn")
AT = 2
"""Which completion or frame it hits."""


@dataclass(slots=True)
class Spoil:
    """One lie in a run, or none."""

    kind: str = ""
    results: int = 0
    packets: int = 0

    @classmethod
    def from_environment(cls) -> Spoil:
        """What the environment asks for."""
        kind = os.environ.get(SPOIL, "")
        if kind and kind not in LIES:
            raise ValueError(f"{SPOIL} is one of {', '.join(LIES)}, not {kind}")
        return cls(kind)

    def seen(self, result: NdkResultEx) -> list[NdkResultEx]:
        """What a monitor tells of a result."""
        if self.kind == "length" and result.type not in RECEIVES:
            return [result]
        self.results += 1
        if self.results != AT:
            return [result]
        if self.kind == "drop":
            return []
        if self.kind == "twice":
            return [result, result]
        if self.kind == "length":
            return [replace(result, bytes_transferred=result.bytes_transferred + 1)]
        return [result]

    def packet(self, packet: Packet) -> Packet:
        """What a monitor tells of a packet."""
        if self.kind == "frame" and packet.payload:
            self.packets += 1
            if self.packets == AT:
                return replace(packet, payload=bytes([packet.payload[0] ^ 1]) + packet.payload[1:])
        if self.kind == "psn":
            self.packets += 1
            if self.packets == AT:
                return replace(packet, bth=replace(packet.bth, psn=packet.bth.psn ^ 0x10))
        return packet
