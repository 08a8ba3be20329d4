"""A send queue: entries go into the ring, some ask for a completion, the completion frees them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

from driver_model.device import Device
from driver_model.hw.doorbell import PUSH_WINDOWS, push_block, ring_queue
from driver_model.hw.fault import AdapterFault
from driver_model.hw.wqe import Work
from driver_model.ndkpi import OperationType
from spec.codes import CqeStatus
from spec.layouts import WQE_BLOCK, Cqe, Doorbell


class PushMode(Enum):
    """When a one-block entry is pushed through the doorbell space instead of fetched."""

    NEVER = "never"
    INLINE_WHEN_EMPTY = "inline data, and the queue is empty"
    ALWAYS = "whenever it has one block"


@dataclass(slots=True)
class Request:
    """What the provider remembers of a posted initiator request."""

    context: object
    operation: OperationType
    silent: bool = False
    internal: bool = False
    done: Callable[[bool], None] | None = None
    signaled: bool = False
    wr_id: int = 0
    end: int = 0


class SendQueue:
    """The ring of one QP; indices run free and count blocks."""

    def __init__(
        self, device: Device, qpn: int, depth: int, blocks_each: int, push: PushMode
    ) -> None:
        self._device = device
        self._qpn = qpn
        self.depth = depth
        self._period = max(1, depth // 2)
        # Room for what the consumer may have outstanding, for silent requests that have ended
        # without saying so, and for a marker.
        self.log = max(2, ((depth + self._period) * blocks_each).bit_length())
        self._size = 1 << self.log
        self.buffer = device.allocate(self._size * WQE_BLOCK)
        self._view = self.buffer.memory
        self.push = push if qpn < PUSH_WINDOWS else PushMode.NEVER
        self._producer = 0
        self._rung = 0
        self._tail = 0
        self._serial = 0
        self._unsignaled = 0
        self._holds = 0
        self._failed = False
        self.outstanding: deque[Request] = deque()

    @property
    def full(self) -> bool:
        """No further request of the consumer fits.

        The oldest requests may have ended without saying so; they do not count, or a consumer who
        knows by other means that they did would be refused.
        """
        if len(self.outstanding) < self.depth:
            return False
        silent = takewhile(lambda r: not r.signaled and r.end <= self._rung, self.outstanding)
        return len(self.outstanding) - sum(1 for _ in silent) >= self.depth

    def must_signal(self) -> bool:
        """A silent request must ask for a completion, so that half of the queue is always known."""
        return self._unsignaled + 1 >= self._period

    def post(
        self, work: Work, request: Request, *, defer: bool = False, inline: bool = False
    ) -> None:
        """Put a request into the ring and, unless it is deferred, tell the adapter."""
        empty = not self.outstanding
        signaled = not request.silent or request.internal or self.must_signal()
        self._unsignaled = 0 if signaled else self._unsignaled + 1
        request.signaled = signaled
        request.wr_id = self._serial & 0xFFFF_FFFF
        self._serial += 1
        entry = work.encode(self._producer, request.wr_id, signaled)
        self._write(entry)
        request.end = self._producer
        self.outstanding.append(request)
        if defer:
            return
        if self._pushes(work, empty, inline):
            push_block(self._device, self._qpn, entry)
            self._rung = self._producer
        else:
            self.release()

    def _pushes(self, work: Work, empty: bool, inline: bool) -> bool:
        """Only a block that is the sole news may be pushed."""
        if work.blocks != 1 or self._holds or self._producer - self._rung != 1:
            return False
        if self.push is PushMode.INLINE_WHEN_EMPTY:
            return inline and empty
        return self.push is PushMode.ALWAYS

    def _write(self, entry: bytes) -> None:
        blocks = len(entry) // WQE_BLOCK
        if self._producer + blocks - self._tail > self._size:
            raise AdapterFault(f"send queue {self._qpn}: no room for what was allowed")
        for number in range(blocks):
            place = ((self._producer + number) % self._size) * WQE_BLOCK
            block = entry[number * WQE_BLOCK : (number + 1) * WQE_BLOCK]
            self._view[place : place + WQE_BLOCK] = block
        self._producer += blocks

    def release(self) -> None:
        """Tell the adapter about everything that was deferred."""
        if self._rung != self._producer and not self._holds:
            self._rung = self._producer
            ring_queue(self._device, Doorbell.SQ, self._qpn, self._producer)

    def hold(self) -> None:
        """Keep doorbells back until `unhold`."""
        self._holds += 1

    def unhold(self) -> None:
        """Let doorbells through again, and ring for what was posted meanwhile."""
        self._holds -= 1
        self.release()

    def complete(self, cqe: Cqe) -> list[tuple[Request, CqeStatus]]:
        """The requests that a completion ends, oldest first, each with its status.

        The index tells which entry it is for: one that could not be read has no other name.
        Silent requests before it have succeeded. Behind a failure the adapter may pass entries over
        (those it got together with one it could not read): they are flushed.
        """
        behind = self._tail + ((cqe.wqe_index - self._tail) & 0xFFFF)
        ended: list[tuple[Request, CqeStatus]] = []
        while self.outstanding and self._tail < behind:
            request = self.outstanding.popleft()
            self._tail = request.end
            status = cqe.status
            if self._tail < behind:
                status = CqeStatus.WR_FLUSH_ERR if self._failed else CqeStatus.SUCCESS
                if status == CqeStatus.SUCCESS and not (request.silent or request.internal):
                    break
            elif status == CqeStatus.SUCCESS and request.wr_id != cqe.wr_id:
                break
            self._failed = self._failed or status != CqeStatus.SUCCESS
            if request.done is not None:
                request.done(status == CqeStatus.SUCCESS)
            ended.append((request, status))
            if self._tail >= behind:
                return ended
        raise AdapterFault(
            f"send queue {self._qpn}: completion of unknown entry {cqe.wqe_index}"
            f" (request {cqe.wr_id})"
        )

    def abandon(self) -> list[Request]:
        """The adapter is done with the queue: every request it has not answered."""
        left = list(self.outstanding)
        self.outstanding.clear()
        for request in left:
            if request.done is not None:
                request.done(False)
        return left
