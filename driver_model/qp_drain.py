"""The wait at the end of a queue pair: until the adapter has answered for every request."""

from __future__ import annotations

from collections.abc import Callable

from driver_model.cq import Cq
from driver_model.device import Device
from driver_model.hw.receive_queue import ReceiveQueue
from driver_model.hw.send_queue import Request, SendQueue
from driver_model.hw.wqe import Nop
from driver_model.ndkpi import OperationType

TIMEOUT_NS = 1_000_000


class Drain:
    """Calls `done` once: when both queues are answered for, cannot be any more, or after a while.

    The send queue gets a marker, because silent requests that succeeded say nothing themselves.
    """

    def __init__(
        self,
        device: Device,
        send: tuple[SendQueue, Cq],
        receive: tuple[ReceiveQueue | None, Cq],
        done: Callable[[], None],
    ) -> None:
        self._sq, self._send_cq = send
        self._rq, self._receive_cq = receive
        self._done = done
        self._over = False
        if self._sq.outstanding:
            self._sq.post(Nop(), Request(None, OperationType.SEND, internal=True))
        self._timer = device.call_later(TIMEOUT_NS, self._end)
        self._send_cq.wait(self._look)
        self._receive_cq.wait(self._look)

    def _look(self) -> bool:
        """Nobody needs to wake us any more."""
        sent = not self._sq.outstanding or self._send_cq.failed
        received = not self._rq or self._receive_cq.failed
        if sent and received:
            self._end()
        return self._over

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._timer.cancel()
            self._done()
