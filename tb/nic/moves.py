"""Work requests as tests write them: what is posted, from where, to where, and what must follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from driver_model.mr import Mr
from driver_model.ndkpi import OperationType, OpFlag
from driver_model.status import Status
from tb.nic.desk import Work
from tb.nic.image import Piece, sgl
from tb.nic.lane import Lane

NONE = OpFlag(0)
INLINE, SILENT, FENCE = OpFlag.INLINE, OpFlag.SILENT_SUCCESS, OpFlag.READ_FENCE
SOLICITED = OpFlag.SEND_AND_SOLICIT_EVENT


@dataclass(slots=True, eq=False)
class Move:
    """A request on one lane; `prepare` posts what the other side needs before."""

    lane: Lane
    local: Sequence[Piece] = ()
    flags: OpFlag = NONE
    work: Work = field(init=False)
    operation = OperationType.SEND
    label = "move"

    def __post_init__(self) -> None:
        name = f"{self.lane.name} {self.label} of {self.size} bytes, number {self.lane.number()}"
        self.work = Work(name, self.operation, silent=bool(self.flags & SILENT))

    @property
    def size(self) -> int:
        """Bytes of the message."""
        return sum(piece.size for piece in self.local)

    @property
    def works(self) -> list[Work]:
        """Everything that must complete."""
        return [self.work]

    def prepare(self) -> None:
        """Receives, on the other side."""

    def post(self) -> bool:
        """Give it to the adapter; False while the queue is full."""
        data = b"".join(piece.image() for piece in self.sources())
        status = self.call()
        if status is Status.NO_MORE_ENTRIES:
            return False
        assert status is Status.SUCCESS, f"{self.work.name}: {status:#010x}"
        self.lane.sends.append(self.work)
        self.posted(data)
        return True

    def sources(self) -> Sequence[Piece]:
        """Where the bytes come from."""
        return self.local

    def call(self) -> Status:
        """The function of the queue pair."""
        raise NotImplementedError

    def posted(self, data: bytes) -> None:
        """It is under way with these bytes."""


def lay(data: bytes, pieces: Sequence[Piece]) -> None:
    """From now on the bytes must be in these pieces."""
    at = 0
    for piece in pieces:
        part = data[at : at + piece.size]
        piece.expect(part)
        at += len(part)


@dataclass(slots=True, eq=False)
class Send(Move):
    """SEND into the next receive of the peer, with a token to invalidate or without."""

    into: Sequence[Piece] = ()
    invalidate: int = 0
    received: Work = field(init=False)
    label = "SEND"

    def __post_init__(self) -> None:
        Move.__post_init__(self)
        kind = OperationType.RECEIVE_AND_INVALIDATE if self.invalidate else OperationType.RECEIVE
        self.received = Work(
            f"{self.work.name} (receive)",
            kind,
            into=self.into,
            bytes_transferred=self.size,
            output=self.invalidate,
        )

    @property
    def works(self) -> list[Work]:
        """Everything that must complete."""
        return [self.work, self.received]

    def prepare(self) -> None:
        """Receives, on the other side."""
        entries = sgl(self.into)
        status = self.lane.peer.receive(self.received, entries, len(entries))
        assert status is Status.SUCCESS, f"{self.received.name}: {status:#010x}"
        self.lane.receives.append(self.received)

    def call(self) -> Status:
        """The function of the queue pair."""
        entries = sgl(self.local)
        if self.invalidate:
            return self.lane.qp.send_and_invalidate(
                self.work, entries, len(entries), self.flags, self.invalidate
            )
        return self.lane.qp.send(self.work, entries, len(entries), self.flags)

    def posted(self, data: bytes) -> None:
        """It is under way with these bytes."""
        self.received.data = data
        lay(data, self.into)


@dataclass(slots=True, eq=False)
class Write(Move):
    """RDMA WRITE into one piece."""

    to: Piece | None = None
    operation = OperationType.WRITE
    label = "WRITE"

    def call(self) -> Status:
        """The function of the queue pair."""
        assert self.to is not None
        entries = sgl(self.local)
        return self.lane.qp.write(
            self.work, entries, len(entries), self.to.address, self.to.region.token, self.flags
        )

    def posted(self, data: bytes) -> None:
        """It is under way with these bytes."""
        assert self.to is not None
        self.work.into, self.work.data = [self.to], data
        lay(data, [self.to])


@dataclass(slots=True, eq=False)
class Read(Move):
    """RDMA READ of one piece."""

    source: Piece | None = None
    operation = OperationType.READ
    label = "READ"

    def sources(self) -> Sequence[Piece]:
        """Where the bytes come from."""
        assert self.source is not None
        return [self.source]

    def call(self) -> Status:
        """The function of the queue pair."""
        assert self.source is not None
        entries = sgl(self.local)
        place = (self.source.address, self.source.region.token)
        return self.lane.qp.read(self.work, entries, len(entries), *place, self.flags)

    def posted(self, data: bytes) -> None:
        """It is under way with these bytes."""
        self.work.into, self.work.data = self.local, data
        lay(data, self.local)


@dataclass(slots=True, eq=False)
class FastRegister(Move):
    """Gives a fast-register region pages and a place in the virtual address space."""

    mr: Mr | None = None
    pages: Sequence[int] = ()
    fbo: int = 0
    length: int = 0
    base: int = 0
    operation = OperationType.FAST_REGISTER
    label = "FAST_REGISTER"

    def call(self) -> Status:
        """The function of the queue pair."""
        assert self.mr is not None
        place = (len(self.pages), self.pages, self.fbo, self.length, self.base)
        return self.lane.qp.fast_register(self.work, self.mr, *place, self.flags)


@dataclass(slots=True, eq=False)
class Invalidate(Move):
    """Takes a fast-register region's access away."""

    mr: Mr | None = None
    operation = OperationType.INVALIDATE
    label = "INVALIDATE"

    def call(self) -> Status:
        """The function of the queue pair."""
        assert self.mr is not None
        return self.lane.qp.invalidate(self.work, self.mr, self.flags)
