"""The recorded Soft-RoCE traces of tests/data/golden, as frames and their description."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "golden"
MAC_A = bytes.fromhex("525400770001")
MAC_B = bytes.fromhex("525400770002")


def read_pcap(path: Path) -> list[tuple[float, bytes]]:
    """Every frame of a capture with its time in seconds."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1e-9 if 0x4D in (data[0], data[3]) else 1e-6
    frames, at = [], 24
    while at < len(data):
        seconds, fraction, length, _ = struct.unpack_from(f"{order}4I", data, at)
        frames.append((seconds + fraction * unit, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return frames


@dataclass(frozen=True)
class Trace:
    """One capture and what its JSON says of it."""

    name: str
    frames: list[bytes]
    info: dict[str, Any]

    @property
    def roce(self) -> list[tuple[int, bytes]]:
        """Frame number, from 1, and bytes of every RoCEv2 frame."""
        return [(n, f) for n, f in enumerate(self.frames, 1) if is_roce(f)]

    def events(self, action: str) -> set[int]:
        """Numbers of the frames to which the wire did this."""
        return {e["frame"] for e in self.info["relay_events"] if e["action"] == action}

    def says(self, host: str, start: str) -> list[dict[str, str]]:
        """The words of every transcript line of a host that begins so."""
        lines = [x for x in self.info["transcript"] if x.startswith(f"{host}{start}")]
        return [dict(w.split("=", 1) for w in line.split() if "=" in w) for line in lines]


def is_roce(frame: bytes) -> bool:
    """Has UDP port 4791; a test that uses it does not rely on the decoder under test."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        return frame[23] == 17 and frame[36:38] == b"\x12\xb7"
    return kind == b"\x86\xdd" and frame[20] == 17 and frame[56:58] == b"\x12\xb7"


def load(name: str) -> Trace:
    """One trace by name."""
    info = json.loads((GOLDEN / f"{name}.json").read_text())
    return Trace(name, [f for _, f in read_pcap(GOLDEN / f"{name}.pcap")], info)


NAMES = sorted(path.stem for path in GOLDEN.glob("*.pcap"))
