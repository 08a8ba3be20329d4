"""Moves that NDKPI has no function for: immediates and atomics, on lanes of `RawEnd`s."""

from __future__ import annotations

from dataclasses import dataclass, field

from driver_model.ndkpi import OperationType
from driver_model.status import Status
from spec.layouts import WrOp
from tb.nic.desk import Work
from tb.nic.image import Piece, sgl
from tb.nic.moves import Move, Send, Write, lay

WORD = 1 << 64


@dataclass(slots=True, eq=False)
class SendImm(Send):
    """SEND with immediate."""

    imm: int = 0
    label = "SEND with immediate"

    def __post_init__(self) -> None:
        Send.__post_init__(self)
        self.received.output = self.imm

    def call(self) -> Status:
        """The function of the queue pair."""
        entries = sgl(self.local)
        end = self.lane.qp
        return end.send(self.work, entries, len(entries), self.flags, self.imm)  # type: ignore[call-arg]


@dataclass(slots=True, eq=False)
class WriteImm(Write):
    """RDMA WRITE with immediate, which takes a receive."""

    imm: int = 0
    received: Work = field(init=False)
    label = "WRITE with immediate"

    def __post_init__(self) -> None:
        Write.__post_init__(self)
        self.received = Work(
            f"{self.work.name} (receive)",
            OperationType.RECEIVE,
            bytes_transferred=self.size,
            output=self.imm,
        )

    @property
    def works(self) -> list[Work]:
        """Everything that must complete."""
        return [self.work, self.received]

    def prepare(self) -> None:
        """A receive without memory, on the other side."""
        status = self.lane.peer.receive(self.received, [], 0)
        assert status is Status.SUCCESS, f"{self.received.name}: {status:#010x}"
        self.lane.receives.append(self.received)

    def call(self) -> Status:
        """The function of the queue pair."""
        assert self.to is not None
        entries = sgl(self.local)
        place = (self.to.address, self.to.region.token)
        end = self.lane.qp
        return end.write(self.work, entries, len(entries), *place, self.flags, self.imm)  # type: ignore[call-arg]


@dataclass(slots=True, eq=False)
class AtomicMove(Move):
    """COMPARE & SWAP or FETCH & ADD of a word that no other lane touches."""

    target: Piece | None = None
    op: WrOp = WrOp.FETCH_ADD
    operand: int = 0
    compare: int = 0
    operation = OperationType.READ
    label = "atomic"

    def call(self) -> Status:
        """The function of the queue pair."""
        assert self.target is not None
        (sge,) = self.local[0].sges()
        place = (self.target.address, self.target.region.token)
        end = self.lane.qp
        return end.atomic(  # type: ignore[attr-defined]
            self.work, self.op, sge, *place, self.operand, self.compare, self.flags
        )

    def sources(self) -> list[Piece]:
        """The word: its original value comes back."""
        assert self.target is not None
        return [self.target]

    def posted(self, data: bytes) -> None:
        """It is under way: the word changes once, however often the request is repeated."""
        assert self.target is not None
        original = int.from_bytes(data, "little")
        self.work.into, self.work.data = self.local, data
        lay(data, self.local)
        new = original
        if self.op is WrOp.FETCH_ADD:
            new = (original + self.operand) % WORD
        elif original == self.compare:
            new = self.operand
        self.target.expect(new.to_bytes(8, "little"))
