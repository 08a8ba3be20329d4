"""The rows of `make bench`: what is measured, in which unit, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

LATENCIES = (0, 125, 250)
"""Host memory latencies, in cycles, at which every row is measured."""

Cost = Callable[[float, int], float]
"""Cycles from the row's bound and the memory latency."""


def _times(factor: float) -> Cost:
    return lambda bound, _latency: bound * factor


def _cycles(count: float, round_trips: int = 0) -> Cost:
    return lambda _bound, latency: count + round_trips * latency


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is measured."""

    id: str
    unit: str
    budget: Cost | None = None
    """What the design aims at."""
    limit: Cost | None = None
    """What no change may exceed."""


PACKET, MESSAGE, CYCLES = "cycles/packet", "cycles/message", "cycles"
PERCENT, REPEATS = "% of lossless", "sent again/lost"

ROWS = {
    row.id: row
    for row in (
        Row("write_bulk_4096", PACKET, _times(1.02), _times(1.10)),
        Row("read_bulk_4096", PACKET, _times(1.02), _times(1.10)),
        Row("send_bulk_4096", PACKET, _times(1.02), _times(1.10)),
        Row("write_bulk_1024", PACKET, _times(1.03), _times(1.10)),
        Row("write_64_1qp", MESSAGE, _cycles(4), _cycles(8)),
        Row("write_64_64qp", MESSAGE, _cycles(4), _cycles(8)),
        Row("send_64_cqe", MESSAGE, _cycles(5)),
        Row("send_64_64qp", MESSAGE, _cycles(5)),
        Row("read_8", MESSAGE, _cycles(6)),
        Row("doorbell_to_wire", CYCLES, _cycles(40, round_trips=2)),
        Row("push_to_wire", CYCLES, _cycles(30), _cycles(60)),
        Row("wire_to_memory", CYCLES, _cycles(40)),
        Row("wire_to_cqe", CYCLES, _cycles(56, round_trips=1)),
        Row("ack_to_cqe", CYCLES),
        Row("goodput_loss_01", PERCENT),
        Row("repeat_loss_01", REPEATS),
        Row("goodput_loss_1", PERCENT),
        Row("repeat_loss_1", REPEATS),
    )
}


@dataclass(frozen=True, slots=True)
class Result:
    """A measured row."""

    id: str
    host_latency_cycles: int
    value: float
    unit: str
    bound: float
    budget: float | None
    limit: float | None

    @property
    def verdict(self) -> str:
        """How the value stands."""
        if self.limit is not None and self.value > self.limit:
            return "over limit"
        if self.budget is not None and self.value > self.budget:
            return "over budget"
        return "ok"

    def as_json(self) -> dict[str, object]:
        """What goes into the file."""
        return asdict(self)


def result(row_id: str, latency: int, value: float, bound: float) -> Result:
    """A measured row beside what it may cost."""
    row = ROWS[row_id]
    budget = row.budget and round(row.budget(bound, latency), 3)
    limit = row.limit and round(row.limit(bound, latency), 3)
    return Result(row_id, latency, round(value, 3), row.unit, round(bound, 3), budget, limit)
