"""Queue pairs whose end comes in the middle of their work: one side flushes, the other loses touch.

Or memory of one side begins to answer with errors: that of its messages, not its queues, which
could not be flushed then.

What is posted there may succeed, fail once, or be cancelled, in this order; nothing is left without
an answer. Memory that a failed request was to fill holds, byte by byte, what was there before or
what was to come; everything around it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import cocotb

from driver_model.ndkpi import PAGE_SIZE, NdkResultEx
from driver_model.status import Status
from tb.axi_types import Resp
from tb.nic.desk import Work
from tb.nic.image import Piece
from tb.nic.moves import SILENT, Move, Read, Send, Write
from tb.uvm.sequence import LaneSequence, Place

FLUSH, PAYLOAD = "flush", "bad memory"
ENDS = (FLUSH, PAYLOAD)
"""How the end comes."""
FIRST = (Status.CANCELLED, Status.IO_TIMEOUT)
"""How the first request that does not succeed may end: flushed, or retries spent."""
BROKEN = (*FIRST, Status.INVALID_DEVICE_REQUEST, Status.REMOTE_RESOURCES)
"""The same where memory fails, here or there."""
DOOMED = {"timeout": 3, "retry_count": 2}


@dataclass(slots=True)
class Fate:
    """What has become of a queue."""

    failed: bool = False
    first: tuple[Status, ...] = FIRST


@dataclass(slots=True, eq=False, repr=False)
class DoomedWork(Work):
    """A request that need not succeed."""

    fate: Fate = field(default_factory=Fate)

    def judge(self, result: NdkResultEx) -> None:
        """Success until the first failure, then nothing but cancellation."""
        if result.status == Status.SUCCESS:
            assert not self.fate.failed, f"{self.name}: succeeds behind a failure"
            Work.judge(self, result)
            return
        allowed = (Status.CANCELLED,) if self.fate.failed else self.fate.first
        assert result.status in allowed, f"{self.name}: {result}"
        self.fate.failed = True
        self.status = Status(result.status)


def doomed(work: Work, fate: Fate) -> DoomedWork:
    """The same request, on a queue that will fail."""
    return DoomedWork(**{f.name: getattr(work, f.name) for f in fields(Work)}, fate=fate)


@dataclass(slots=True)
class Trace:
    """What a request was to fill, and what was there."""

    work: Work
    pieces: Sequence[Piece]
    before: list[bytes]

    def settle(self) -> None:
        """A failed one has left what it has left, so far as it may."""
        if self.work.status is Status.SUCCESS:
            return
        for piece, old in zip(self.pieces, self.before, strict=True):
            now, new = piece.now(), piece.image()
            wrong = [at for at, byte in enumerate(now) if byte not in (old[at], new[at])]
            assert not wrong, f"{self.work.name}: byte {wrong[0]} is neither old nor new"
            piece.expect(now)


class DoomedLane(LaneSequence):
    """Requests of any kind, up to the end and a little further."""

    def __init__(self, place: Place, sends: Fate, receives: Fate) -> None:
        super().__init__(place)
        self._sends, self._receives = sends, receives
        self.sends: list[Work] = []
        self.works: list[Work] = []
        self.traces: list[Trace] = []

    async def body(self) -> None:
        """Sequence."""
        for _ in range(self.rng.randint(8, 40)):
            await self.transfer(self.any_move())
            if self.rng.random() < 0.2:
                await self.pause(self.rng.randint(1, 400))

    async def transfer(self, *moves: Move) -> None:
        """Post these; nobody promises that they succeed."""
        for move in moves:
            move.flags &= ~SILENT  # a silent one that succeeded would never say so
            move.work.silent = False
            move.work = doomed(move.work, self._sends)
            if isinstance(move, Send):
                move.received = doomed(move.received, self._receives)
            self._remember(move)
            await super().transfer(move)

    def _remember(self, move: Move) -> None:
        self.sends.append(move.work)
        self.works += move.works
        if isinstance(move, Send):
            work, pieces = move.received, list(move.into)
        elif isinstance(move, Read):
            work, pieces = move.work, list(move.local)
        else:
            assert isinstance(move, Write)
            assert move.to is not None
            work, pieces = move.work, [move.to]
        self.traces.append(Trace(work, pieces, [piece.image() for piece in pieces]))


class DoomedPair:
    """Both lanes of a pair of queue pairs, and who ends it when."""

    def __init__(self, there: Place, back: Place, how: str) -> None:
        self.rng, self.how = there.rng, how
        fates = [Fate(first=FIRST if how == FLUSH else BROKEN) for _ in range(4)]
        self.lanes = DoomedLane(there, fates[0], fates[1]), DoomedLane(back, fates[2], fates[3])

    async def live(self) -> None:
        """Both lanes work, one side flushes, then the other when its requests have ended."""
        first, second = self.lanes if self.rng.random() < 0.5 else self.lanes[::-1]
        tasks = [cocotb.start_soon(lane.start(lane.place.sequencer)) for lane in self.lanes]
        await first.pause(self.rng.choice([50, 500, 3000, 10_000]))
        if self.how != FLUSH:
            self._break(first.place)
            await first.pause(self.rng.choice([500, 3000, 10_000]))
        first.lane.qp.flush()
        await tasks[0]
        await tasks[1]
        for lane in (first, second):
            await self._done(lane, lane.sends)
        second.lane.qp.flush()
        for lane in (first, second):
            await self._done(lane, lane.works)

    def _break(self, place: Place) -> None:
        """Memory of one side answers with errors from now on, or a little later."""
        axi = place.lane.here.device.axi
        reads, writes = self.rng.choice([(True, True), (True, False), (False, True)])
        skip = self.rng.choice([0, 0, 1, 4])
        for pages in [region.buffer.pages for region in place.own if region.contiguous]:
            size = len(pages) * PAGE_SIZE
            axi.inject(
                Resp.SLVERR, address=pages[0], size=size, reads=reads, writes=writes, skip=skip
            )

    async def _done(self, lane: DoomedLane, works: list[Work]) -> None:
        for work in works:
            while not work.done:
                await lane.pause(200)

    def settle(self) -> None:
        """Every request has ended: look at what it left in memory."""
        for lane in self.lanes:
            for trace in lane.traces:
                trace.settle()
