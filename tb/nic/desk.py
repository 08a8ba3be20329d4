"""Where completions arrive: each expected once, in the order of its queue, with the right bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from driver_model.facade import WaitedCq
from driver_model.ndkpi import NdkResultEx, OperationType
from driver_model.qp import Qp
from driver_model.status import Status
from tb.nic.image import Piece, difference

RECEIVES = (OperationType.RECEIVE, OperationType.RECEIVE_AND_INVALIDATE)


@dataclass(slots=True, eq=False, repr=False)
class Work:
    """A posted request: the result it must have, and the bytes it must leave behind."""

    name: str
    operation: OperationType
    into: Sequence[Piece] = ()
    data: bytes = b""
    silent: bool = False
    bytes_transferred: int | None = None
    output: int = 0
    status: Status = Status.SUCCESS
    done: bool = False

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    def judge(self, result: NdkResultEx) -> None:
        """Compare the result with what it must be."""
        found = (result.status, result.type, result.type_specific_completion_output)
        wanted = (self.status, self.operation, self.output)
        code = result.provider_error_code
        assert found == wanted, f"{self.name}: {found}, code {code:#x}, expected {wanted}"
        if self.bytes_transferred is not None:
            length = result.bytes_transferred
            assert length == self.bytes_transferred, f"{self.name}: {length} bytes"

    def finish(self) -> None:
        """Its bytes must be there now."""
        assert not self.done, f"{self.name}: completed twice"
        self.done = True
        if self.status is not Status.SUCCESS:
            return
        at = 0
        for piece in self.into:
            part = self.data[at : at + piece.size]
            wrong = difference(piece.first(len(part)).now(), part)
            assert wrong is None, f"{self.name}, {at} bytes into the message: {wrong}"
            at += len(part)
        assert at >= len(self.data), f"{self.name}: no room for {len(self.data)} bytes"


@dataclass(slots=True)
class Queues:
    """What a queue pair has not completed yet."""

    qp: Qp
    sends: deque[Work] = field(default_factory=deque)
    receives: deque[Work] = field(default_factory=deque)


class Desk:
    """One completion queue, and all that is expected of it."""

    def __init__(
        self,
        name: str,
        waited: WaitedCq,
        moved: Callable[[Work], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.name = name
        self.waited = waited
        self.failed = failed
        self._moved = moved
        self._queues: dict[object, Queues] = {}

    def add(self, context: str, qp: Qp) -> Queues:
        """Completions of this queue pair come here."""
        self._queues[context] = Queues(qp)
        return self._queues[context]

    async def serve(self) -> None:
        """Take results as they come, woken by interrupts, until one is wrong."""
        try:
            while True:
                for result in await self.waited.results(1):
                    self.take(result)
        except Exception as error:
            self.failed(error)

    def take(self, result: NdkResultEx) -> None:
        """One result."""
        queues = self._queues[result.qp_context]
        received = result.type in RECEIVES
        waiting = queues.receives if received else queues.sends
        work = result.request_context
        assert isinstance(work, Work), f"{self.name}: {result} was never asked for"
        while waiting and waiting[0] is not work and waiting[0].silent:
            self._finish(waiting.popleft())
        head = waiting[0] if waiting else None
        again = " again" if work.done else ""
        assert head is work, f"{self.name}: {work} completed{again}, not {head}"
        work.judge(result)
        self._finish(waiting.popleft())

    def _finish(self, work: Work) -> None:
        work.finish()
        self._moved(work)

    def left(self) -> list[str]:
        """What has not completed, and results that nobody waits for."""
        names = []
        for queues in self._queues.values():
            names += [work.name for work in [*queues.sends, *queues.receives]]
        return names + [f"unexpected {result}" for result in self.waited.poll()]
