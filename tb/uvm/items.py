"""What travels between the components: a request to post, and what the monitors saw."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyuvm import uvm_sequence_item

from driver_model.ndkpi import NdkResultEx
from tb.model.headers import Packet
from tb.nic.moves import Move


class MoveItem(uvm_sequence_item):
    """One request for the driver of a consumer; `taken` tells whether its queue had room."""

    def __init__(self, move: Move) -> None:
        super().__init__("move")
        self.move = move
        self.taken = False


class ReceiveItem(uvm_sequence_item):
    """The receive that a SEND needs, for the driver of the other consumer."""

    def __init__(self, move: Move) -> None:
        super().__init__("receive")
        self.move = move
        self.taken = False


class FaultItem(uvm_sequence_item):
    """From now on the wire does this by chance, in both directions."""

    def __init__(self, chances: dict[str, float]) -> None:
        super().__init__("faults")
        self.chances = chances


@dataclass(slots=True)
class Result:
    """A result that a completion queue gave."""

    side: str
    result: NdkResultEx


@dataclass(slots=True)
class Sent:
    """A frame that left an adapter."""

    way: str
    data: bytes
    packet: Packet
    faults: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class Arrived:
    """A frame that came to an adapter, unspoiled."""

    way: str
    packet: Packet
    marked: bool = False
