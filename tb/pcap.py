"""Captures that Wireshark reads: nanosecond pcap, Ethernet link type, frames without FCS."""

from __future__ import annotations

import struct
from pathlib import Path

_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)


class PcapWriter:
    """A capture that grows by one frame at a time."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("wb", buffering=1 << 16)
        self._file.write(_FILE_HEADER)

    def write(self, time_ns: float, frame: bytes) -> None:
        """Append a frame seen at a simulated time."""
        seconds, fraction = divmod(round(time_ns), 1_000_000_000)
        self._file.write(struct.pack("<4I", seconds, fraction, len(frame), len(frame)))
        self._file.write(frame)

    def close(self) -> None:
        """Everything is in the file."""
        self._file.close()


def read_pcap(path: Path | str) -> list[tuple[float, bytes]]:
    """Every frame of a capture and its time in nanoseconds."""
    data = Path(path).read_bytes()
    order = "<" if data[0] in (0xD4, 0x4D) else ">"
    unit = 1 if 0x3C in (data[1], data[2]) and 0x4D in (data[0], data[3]) else 1000
    frames, at = [], 24
    while at < len(data):
        seconds, fraction, length, _ = struct.unpack_from(f"{order}4I", data, at)
        frames.append((seconds * 1e9 + fraction * unit, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return frames
