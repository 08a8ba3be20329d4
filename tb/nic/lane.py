"""One direction between two connected queue pairs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from driver_model.qp import Qp
from tb.nic.desk import Work

if TYPE_CHECKING:
    from tb.nic.ndk import Host


@dataclass(slots=True, eq=False)
class Lane:
    """Requests of `qp` on `here`; `peer` on `there` receives them."""

    name: str
    here: Host
    there: Host
    qp: Qp
    peer: Qp
    sends: deque[Work]  # of qp, not completed
    receives: deque[Work]  # of peer, not completed
    back: Lane = field(init=False)
    _count: int = 0

    def number(self) -> int:
        """A new number for a request."""
        self._count += 1
        return self._count
