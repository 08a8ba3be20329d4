"""What every sequence of a consumer can say, so that the sequences themselves read as sentences."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import cocotb
from cocotb.triggers import Event, Timer
from pyuvm import uvm_sequence, uvm_sequencer

from driver_model.ndkpi import OpFlag
from tb.nic import make
from tb.nic.image import Region
from tb.nic.lane import Lane
from tb.nic.moves import FENCE, INLINE, NONE, SILENT, SOLICITED, Move, Read, Send, Write
from tb.nic.ndk import World
from tb.streams import CLOCK_NS
from tb.uvm.items import MoveItem, ReceiveItem
from tb.uvm.knobs import Knobs
from tb.uvm.moves import WriteImm

SETTLE = 60
"""Cycles after which a doorbell that has reached the adapter has had its effect."""
MOST_PARTS = 14
EDGES = (0, 1, 3, 4, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025)


@dataclass(slots=True, eq=False)
class Place:
    """Where a lane works: the lane, memory on both sides, both consumers, and what it may do."""

    world: World
    knobs: Knobs
    lane: Lane
    own: list[Region]
    other: list[Region]
    sequencer: uvm_sequencer
    peer_sequencer: uvm_sequencer
    rng: random.Random
    budget: int = 0  # requests still to be made
    bytes_left: int = 0  # of messages, more or less
    pmtu: int = 1024
    raw: bool = False  # queue pairs without a provider: immediates are possible
    words: list[Region] = field(default_factory=list)  # the peer's memory for atomics
    late: deque[Move] = field(default_factory=deque)  # SENDs whose receive is still to be posted
    posts_late: bool = False


class LaneSequence(uvm_sequence):
    """Requests on one lane; start it on the place's sequencer."""

    def __init__(self, place: Place) -> None:
        super().__init__(type(self).__name__)
        self.place = place
        self.world, self.lane, self.rng = place.world, place.lane, place.rng
        self.knobs = place.knobs

    # ------------------------------------------------------------ sentences

    async def transfer(self, *moves: Move) -> None:
        """Post these in order, receives before them or, now and then, behind."""
        for move in moves:
            self.place.budget -= 1
            self.place.bytes_left -= move.size
            if isinstance(move, (Send, WriteImm)):
                await self._receive_for(move)
            await self._post(move)

    async def complete(self, *moves: Move) -> None:
        """Wait until all of them have completed."""
        for move in moves:
            for work in move.works:
                while not work.done:
                    await self.pause(80)

    async def pause(self, cycles: int) -> None:
        """Let time pass; when something was found wrong, for ever: the test tells of it."""
        await Timer(cycles * CLOCK_NS, "ns")
        if self.world.broken:
            await Event().wait()

    async def do(self, *others: LaneSequence) -> None:
        """One sequence after the other on this lane."""
        for other in others:
            await other.start(self.sequencer)

    # ------------------------------------------------------------ words

    def write(self, size: int, flags: OpFlag = NONE, parts: int = 1) -> Write:
        """RDMA WRITE."""
        own, other = self._own(size, flags), self._other(size)
        return make.write(self.lane, own, other, size, parts=parts, flags=flags)

    def send(self, size: int, flags: OpFlag = NONE, parts: int = 1, into: int = 1) -> Send:
        """SEND."""
        spare = self.rng.choice([0, 0, 70]) if into else 0
        return make.send(
            self.lane, self._own(size, flags), self._other(size), size,
            parts=parts, into=into, spare=spare, flags=flags,
        )  # fmt: skip

    def read(self, size: int, flags: OpFlag = NONE, parts: int = 1) -> Read:
        """RDMA READ."""
        own, other = self._own(size), self._other(size)
        return make.read(self.lane, own, other, size, parts=parts, flags=flags)

    def any_size(self) -> int:
        """Small ones often, large ones now and then, edges of beats and packets too."""
        kind = self.rng.random()
        if kind < 0.2:
            return self.at_most(self.rng.choice(EDGES))
        if kind < 0.4:
            whole = self.place.pmtu * self.rng.choice([1, 1, 2, 3, 4])
            return self.at_most(whole + self.rng.choice([-4, -1, 0, 0, 0, 1, 4]))
        return self.at_most(int((self.knobs.largest + 1) ** self.rng.random()) - 1)

    def at_most(self, size: int) -> int:
        """As much as is left for this lane; the smallest messages are always there."""
        return min(size, self.knobs.largest, max(self.place.bytes_left, 70))

    def any_move(self) -> Move:
        """Any request."""
        rng = self.rng
        flags = SILENT if rng.random() < 0.25 else NONE
        flags |= FENCE if rng.random() < 0.1 else NONE
        kind = rng.choice(["send", "write", "read", "send", "write", "read", "inline"])
        if rng.random() < 0.03:
            return self.no_data(flags)
        if kind == "read":
            return self.read(self.any_size(), flags, rng.randint(1, 8))
        if kind == "inline":
            maker = self.send if rng.random() < 0.5 else self.write
            return maker(rng.randint(0, 224), flags | INLINE)
        parts = rng.choice([1, 1, 1, 2, 3, 14])
        if kind == "write":
            return self.write(self.any_size(), flags, parts)
        flags |= SOLICITED if rng.random() < 0.3 else NONE
        return self.send(self.any_size(), flags, parts, rng.randint(1, 3))

    def no_data(self, flags: OpFlag) -> Move:
        """A request without a single place in memory."""
        if self.rng.random() < 0.5:
            return self.send(0, flags, parts=0, into=0)
        return self.rng.choice([self.write, self.read])(0, flags, parts=0)

    def _own(self, size: int, flags: OpFlag = NONE) -> Region:
        """Any region; inline data is named by its virtual address."""
        named = [r for r in self.place.own if not (flags & INLINE and r.privileged)]
        return self._with_room(named, size)

    def _other(self, size: int) -> Region:
        return self._with_room(self.place.other, size)

    def _with_room(self, regions: list[Region], size: int) -> Region:
        need = size + MOST_PARTS * make.ROOM
        roomy = [region for region in regions if region.left >= need]
        return self.rng.choice(roomy or [max(regions, key=lambda region: region.left)])

    # ------------------------------------------------------------ posting

    async def ask_peer(self, move: Move) -> None:
        """The consumer on the other side posts this."""
        await self._post(move, self.place.peer_sequencer)

    async def _post(self, move: Move, sequencer: uvm_sequencer | None = None) -> None:
        item, target = MoveItem(move), sequencer or self.sequencer
        while not item.taken:
            await target.start_item(item)
            await target.finish_item(item)
            if not item.taken:
                await self.pause(self.rng.randint(40, 300))

    async def _receive_for(self, move: Move) -> None:
        """Post the receive now, unless it is to come late, or an earlier one is late still."""
        place = self.place
        if place.late or self.rng.random() < self.knobs.late_receives:
            place.late.append(move)
            if not place.posts_late:
                place.posts_late = True
                cocotb.start_soon(self._post_late())
            return
        await self._post_receive(move)
        if not self.knobs.late_receives:
            await self._rung()

    async def _post_late(self) -> None:
        place = self.place
        while place.late:
            await self.pause(self.rng.choice([10, 300, 3000, 8000]))
            await self._post_receive(place.late[0])
            place.late.popleft()
        place.posts_late = False

    async def _post_receive(self, move: Move) -> None:
        item = ReceiveItem(move)
        while not item.taken:
            await self.place.peer_sequencer.start_item(item)
            await self.place.peer_sequencer.finish_item(item)
            if not item.taken:
                await self.pause(self.rng.randint(40, 300))

    async def _rung(self) -> None:
        """The other adapter knows of its receives: nothing may be refused for want of one."""
        while not self.lane.there.rung:
            await self.pause(20)
        await self.pause(SETTLE)
