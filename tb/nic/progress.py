"""What a simulation tells its parent: lines of JSON in the file that RNIC_PROGRESS names."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROGRESS = "RNIC_PROGRESS"


@dataclass(slots=True)
class Row:
    """One line of the final table."""

    operation: str
    sizes: str
    count: int
    bytes: int
    cycles: int

    @property
    def goodput(self) -> float:
        """Gbit/s at 250 MHz."""
        return self.bytes * 8 * 0.25 / self.cycles if self.cycles else 0.0


class Progress:
    """The writing end."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario
        path = os.environ.get(PROGRESS)
        self._file = Path(path).open("a", buffering=1) if path else None  # noqa: SIM115

    def tell(self, event: str, **facts: Any) -> None:
        """One line."""
        if self._file is not None:
            line = {"event": event, "scenario": self._scenario, **facts}
            self._file.write(json.dumps(line) + "\n")

    def row(self, row: Row) -> None:
        """A line of the table is complete."""
        self.tell("row", **asdict(row))

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()
            self._file = None


class ProgressReader:
    """The reading end: lines as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def poll(self) -> list[dict[str, Any]]:
        """What was told since the last call."""
        if not self._path.exists():
            return []
        with self._path.open() as handle:
            handle.seek(self._at)
            text = handle.read()
        whole = text[: text.rfind("\n") + 1]
        self._at += len(whole.encode())
        return [json.loads(line) for line in whole.splitlines()]
