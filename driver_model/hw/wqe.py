"""Work requests as the adapter reads them: each knows its blocks and how to become bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from spec.codes import Access
from spec.layouts import WQE_BLOCK, FastRegWqe, RqWqe, Sge, SqWqe, WqeFlag, WrOp

NO_FLAGS = WqeFlag(0)
HEAD_SGES = 2
HEAD_BYTES = 32
BLOCK_SGES = WQE_BLOCK // Sge.SIZE


def sge_blocks(sges: int) -> int:
    """Blocks of an entry with so many SGEs."""
    return 1 + max(0, -(-(sges - HEAD_SGES) // BLOCK_SGES))


def inline_blocks(length: int) -> int:
    """Blocks of an entry with so many inline bytes."""
    return 1 + max(0, -(-(length - HEAD_BYTES) // WQE_BLOCK))


class Work(Protocol):
    """An entry of a send queue before it has its place there."""

    @property
    def blocks(self) -> int:
        """64-byte blocks it takes."""
        ...

    def encode(self, index: int, wr_id: int, signaled: bool) -> bytes:
        """The entry as it lies in the ring at this index."""
        ...


def _flags(signaled: bool, flags: WqeFlag) -> WqeFlag:
    return flags | WqeFlag.SIGNALED if signaled else flags


def _with_payload(head: SqWqe, payload: bytes) -> bytes:
    """The head's first 32 bytes, what follows them, and zeros up to the end of the last block."""
    whole = head.pack()[:HEAD_BYTES] + payload
    return whole.ljust(head.blocks * WQE_BLOCK, b"\0")


@dataclass(frozen=True, slots=True)
class Transfer:
    """SEND, WRITE or READ with SGEs."""

    op: WrOp
    sges: Sequence[Sge]
    flags: WqeFlag = NO_FLAGS
    remote_addr: int = 0
    rkey: int = 0
    imm: int = 0

    @property
    def blocks(self) -> int:
        """64-byte blocks it takes."""
        return sge_blocks(len(self.sges))

    def encode(self, index: int, wr_id: int, signaled: bool) -> bytes:
        """The entry as it lies in the ring at this index."""
        head = SqWqe(
            opcode=self.op,
            flags=_flags(signaled, self.flags),
            blocks=self.blocks,
            num_sge=len(self.sges),
            index=index & 0xFFFF,
            length=sum(sge.length for sge in self.sges),
            imm=self.imm,
            remote_addr=self.remote_addr,
            rkey=self.rkey,
            wr_id=wr_id,
        )
        return _with_payload(head, b"".join(sge.pack() for sge in self.sges))


@dataclass(frozen=True, slots=True)
class InlineTransfer:
    """SEND or WRITE whose bytes stand in the entry."""

    op: WrOp
    data: bytes
    flags: WqeFlag = NO_FLAGS
    remote_addr: int = 0
    rkey: int = 0
    imm: int = 0

    @property
    def blocks(self) -> int:
        """64-byte blocks it takes."""
        return inline_blocks(len(self.data))

    def encode(self, index: int, wr_id: int, signaled: bool) -> bytes:
        """The entry as it lies in the ring at this index."""
        head = SqWqe(
            opcode=self.op,
            flags=_flags(signaled, self.flags | WqeFlag.INLINE),
            blocks=self.blocks,
            index=index & 0xFFFF,
            length=len(self.data),
            imm=self.imm,
            remote_addr=self.remote_addr,
            rkey=self.rkey,
            wr_id=wr_id,
        )
        return _with_payload(head, self.data)


@dataclass(frozen=True, slots=True)
class FastRegister:
    """FAST_REG: gives a fast-register region its pages and rights."""

    token: int
    access: Access
    base: int
    length: int
    pages: int
    direct: bool
    page_shift: int
    flags: WqeFlag = NO_FLAGS
    blocks: int = 1

    def encode(self, index: int, wr_id: int, signaled: bool) -> bytes:
        """The entry as it lies in the ring at this index."""
        return FastRegWqe(
            opcode=WrOp.FAST_REG,
            flags=_flags(signaled, self.flags),
            blocks=1,
            access=self.access,
            index=index & 0xFFFF,
            page_shift=self.page_shift,
            direct=int(self.direct),
            token=self.token,
            base=self.base,
            wr_id=wr_id,
            pages=self.pages,
            length=self.length,
        ).pack()


@dataclass(frozen=True, slots=True)
class LocalInvalidate:
    """LOCAL_INV: takes a token's access away."""

    token: int
    flags: WqeFlag = NO_FLAGS
    blocks: int = 1

    def encode(self, index: int, wr_id: int, signaled: bool) -> bytes:
        """The entry as it lies in the ring at this index."""
        return FastRegWqe(
            opcode=WrOp.LOCAL_INV,
            flags=_flags(signaled, self.flags),
            blocks=1,
            index=index & 0xFFFF,
            token=self.token,
            wr_id=wr_id,
        ).pack()


@dataclass(frozen=True, slots=True)
class Nop:
    """NOP: does nothing, and completes in its turn."""

    blocks: int = 1

    def encode(self, index: int, wr_id: int, signaled: bool) -> bytes:
        """The entry as it lies in the ring at this index."""
        return SqWqe(
            opcode=WrOp.NOP,
            flags=_flags(signaled, NO_FLAGS),
            blocks=1,
            index=index & 0xFFFF,
            wr_id=wr_id,
        ).pack()


def encode_receive(sges: Sequence[Sge], index: int, wr_id: int) -> bytes:
    """An entry of a receive queue at this index."""
    slots = list(sges) + [Sge()] * (3 - len(sges))
    return RqWqe(
        wr_id=wr_id,
        num_sge=len(sges),
        index=index & 0xFFFF,
        sge0=slots[0],
        sge1=slots[1],
        sge2=slots[2],
    ).pack()
