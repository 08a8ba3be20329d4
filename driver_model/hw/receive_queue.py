"""A receive queue, of one QP or shared: entries go in, completions free them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from driver_model.device import Device
from driver_model.hw.doorbell import ring_queue
from driver_model.hw.fault import AdapterFault
from driver_model.hw.wqe import encode_receive
from spec.layouts import WQE_BLOCK, Cqe, Doorbell, Sge


class ReceiveQueue:
    """The ring of a QP (`Doorbell.RQ`) or an SRQ (`Doorbell.SRQ`); indices run free.

    `depth` may change while the queue lives, up to the ring's size (at least `most` entries).
    """

    def __init__(
        self, device: Device, kind: Doorbell, number: int, depth: int, most: int = 0
    ) -> None:
        self._device = device
        self._kind = kind
        self._number = number
        self.depth = depth
        self.log = max(1, (max(1, depth, most) - 1).bit_length())
        self._size = 1 << self.log
        self.buffer = device.allocate(self._size * WQE_BLOCK)
        self._view = self.buffer.memory
        self._producer = 0
        self._tail = 0
        self._outstanding: OrderedDict[int, object] = OrderedDict()

    @property
    def size(self) -> int:
        """Entries of the ring: the largest depth it can serve."""
        return self._size

    @property
    def full(self) -> bool:
        """No further request of the consumer fits."""
        return len(self._outstanding) >= self.depth or self._producer - self._tail >= self._size

    def __len__(self) -> int:
        return len(self._outstanding)

    def post(self, sges: Sequence[Sge], context: object) -> None:
        """Put a receive into the ring and tell the adapter."""
        place = (self._producer % self._size) * WQE_BLOCK
        entry = encode_receive(sges, self._producer, self._producer & 0xFFFF_FFFF)
        self._view[place : place + WQE_BLOCK] = entry
        self._outstanding[self._producer] = context
        self._producer += 1
        ring_queue(self._device, self._kind, self._number, self._producer)

    def complete(self, cqe: Cqe) -> object:
        """The context of the receive that a completion is for, by its index.

        An entry that the adapter could not read has no other name.
        The QPs of a shared queue complete in any order, so an entry's place is free only when all
        before it are: the adapter counts what it took, in order.
        """
        serial = self._tail + ((cqe.wqe_index - self._tail) & 0xFFFF)
        in_order = self._kind is Doorbell.RQ
        if serial not in self._outstanding or (in_order and serial != self._tail):
            wrong = f"completion of unknown entry {cqe.wqe_index}"
            raise AdapterFault(f"receive queue {self._number}: {wrong}")
        context = self._outstanding.pop(serial)
        self._tail = next(iter(self._outstanding), self._producer)
        return context

    def abandon(self) -> list[object]:
        """The adapter is done with the queue: the contexts of all it has not answered."""
        left = list(self._outstanding.values())
        self._outstanding.clear()
        return left
