"""The sequences: small stories of a consumer, and the one that tells them in random order."""

from __future__ import annotations

from driver_model.mr import Mr
from spec.layouts import WrOp
from tb.nic import make
from tb.nic.image import Region
from tb.nic.moves import FENCE, INLINE, NONE, SILENT, SOLICITED, Invalidate, Move, Read, Send
from tb.nic.scenarios_memory import SOMEWHERE, fast_register
from tb.uvm.moves import AtomicMove, SendImm, WriteImm
from tb.uvm.raw import RawEnd
from tb.uvm.sequence import LaneSequence, Place


class AnythingAtAll(LaneSequence):
    """Some requests of any kind."""

    async def body(self) -> None:
        """Sequence."""
        for _ in range(self.rng.randint(2, 12)):
            await self.transfer(self.any_move())
            if self.rng.random() < 0.2:
                await self.pause(self.rng.randint(1, 400))


class ManySmallWrites(LaneSequence):
    """A run of silent writes with one at the end that is not."""

    async def body(self) -> None:
        """Sequence."""
        for _ in range(self.rng.randint(3, 20)):
            await self.transfer(self.write(self.rng.randint(0, 100), SILENT))
        await self.transfer(self.write(64))


class ManySmallSends(LaneSequence):
    """Short messages, some that wake the peer."""

    async def body(self) -> None:
        """Sequence."""
        for _ in range(self.rng.randint(3, 12)):
            flags = self.rng.choice([SOLICITED, SILENT, INLINE, INLINE | SOLICITED])
            await self.transfer(self.send(self.rng.randint(0, 128), flags))


class ReadsInARow(LaneSequence):
    """More reads than may be outstanding."""

    async def body(self) -> None:
        """Sequence."""
        for _ in range(self.rng.randint(4, 24)):
            await self.transfer(self.read(self.rng.randint(0, 700)))


class WriteAndReadBack(LaneSequence):
    """What was written is what is read."""

    async def body(self) -> None:
        """Sequence."""
        size = self.any_size()
        written = self.write(size)
        sink = make.pieces(self.lane, self._own(size), size, self.rng.randint(1, 4))
        await self.transfer(written, Read(self.lane, local=sink, source=written.to))


class FetchAndPassOn(LaneSequence):
    """A fenced SEND carries what the read before it brought."""

    async def body(self) -> None:
        """Sequence."""
        size = self.any_size()
        fetched = self.read(size)
        inbox = [self._other(size).take(size)]
        await self.transfer(fetched, Send(self.lane, local=fetched.local, into=inbox, flags=FENCE))


class OneLargeMessage(LaneSequence):
    """As large as the run allows."""

    async def body(self) -> None:
        """Sequence."""
        word = self.rng.choice([self.write, self.read, self.send])
        await self.transfer(word(self.at_most(self.knobs.largest)))


class QuestionAndAnswer(LaneSequence):
    """Each request when the one before has completed: nothing else is under way on this lane."""

    async def body(self) -> None:
        """Sequence."""
        for _ in range(self.rng.randint(1, 4)):
            word = self.rng.choice([self.write, self.read, self.send])
            asked = word(self.any_size())
            await self.transfer(asked)
            await self.complete(asked)


class FastRegisteredMemory(LaneSequence):
    """The peer registers memory, we use it, and a SEND takes it away again."""

    def __init__(self, place: Place, mr: Mr, memory: Region, turn: int) -> None:
        super().__init__(place)
        self._mr, self._memory, self._turn = mr, memory, turn

    async def body(self) -> None:
        """Sequence."""
        base = SOMEWHERE + self._turn * 0x1_0000_0000
        back, memory = self.lane.back, self._memory
        registered = fast_register(back, self._mr, memory, base)
        await self.ask_peer(registered)
        await self.complete(registered)
        room = memory.size // 3 - make.ROOM
        size = self.rng.randint(1, room)
        local = self._own(3 * room)
        token = self._mr.get_remote_token_from_mr()
        used: list[Move] = [
            make.write(self.lane, local, memory, size),
            make.read(self.lane, local, memory, room),
            make.write(self.lane, local, memory, room - size),
        ]
        await self.transfer(*used)
        if self.rng.random() < 0.6:
            taken = self._last(token)
            await self.transfer(taken)
            if self.rng.random() < 0.5:
                await self.transfer(self.write(self.rng.randint(0, 300)))
            await self.complete(taken)
        else:
            await self.complete(*used)
            own = Invalidate(back, mr=self._mr)
            await self.ask_peer(own)
            await self.complete(own)

    def _last(self, token: int) -> Send:
        """The SEND that takes the memory away, of any size."""
        size, parts = self.any_size(), self.rng.choice([1, 1, 3])
        own, other = self._own(size), self._other(size)
        return make.send(self.lane, own, other, size, parts=parts, flags=FENCE, invalidate=token)


STORIES: tuple[type[LaneSequence], ...] = (
    AnythingAtAll,
    AnythingAtAll,
    AnythingAtAll,
    ManySmallWrites,
    ManySmallSends,
    ReadsInARow,
    WriteAndReadBack,
    FetchAndPassOn,
    OneLargeMessage,
    QuestionAndAnswer,
)


class Immediates(LaneSequence):
    """SENDs and WRITEs with immediate, among others."""

    async def body(self) -> None:
        """Sequence."""
        for _ in range(self.rng.randint(2, 8)):
            size, imm = self.any_size(), self.rng.getrandbits(32)
            own, other = self._own(size), self._other(size)
            local = make.pieces(self.lane, own, size, self.rng.randint(1, 3))
            if self.rng.random() < 0.5:
                inbox = [other.take(size)]
                await self.transfer(SendImm(self.lane, local=local, into=inbox, imm=imm))
            else:
                await self.transfer(WriteImm(self.lane, local=local, to=other.take(size), imm=imm))


class Counting(LaneSequence):
    """Atomics on a word of the lane's own, other requests between them."""

    async def body(self) -> None:
        """Sequence."""
        word = self.place.words[0].take(8, align=8)
        for _ in range(self.rng.randint(3, 16)):
            kind = self.rng.choice([WrOp.FETCH_ADD, WrOp.CMP_SWAP])
            operand = self.rng.choice([0, 1, self.rng.getrandbits(64)])
            present = int.from_bytes(word.image(), "little")
            compare = self.rng.choice([present, present, self.rng.getrandbits(64)])
            flags = SILENT if self.rng.random() < 0.3 else NONE
            local = [self._own(8).take(8, align=self.rng.choice([1, 8]))]
            await self.transfer(
                AtomicMove(
                    self.lane, local=local, flags=flags, target=word, op=kind, operand=operand,
                    compare=compare if kind is WrOp.CMP_SWAP else 0,
                )
            )  # fmt: skip
            if self.rng.random() < 0.3:
                await self.transfer(self.any_move())


class Drained(LaneSequence):
    """The queue pair stops in the middle of its work; what is posted meanwhile waits."""

    async def body(self) -> None:
        """Sequence."""
        end, rng = self.lane.qp, self.rng
        assert isinstance(end, RawEnd)
        for _ in range(rng.randint(1, 10)):
            await self.transfer(self.any_move())
        await self.pause(rng.choice([1, 50, 500]))
        await end.drain()
        for _ in range(rng.randint(0, 4)):
            # Nothing that would have to wait for the queue.
            if len(end.sq.outstanding) < end.sq.depth - 1:
                await self.transfer(rng.choice([self.write, self.read])(self.any_size()))
        await self.pause(rng.choice([1, 100, 2000, 10_000]))
        await end.go_on()


class LifeOfALane(LaneSequence):
    """Stories in random order until the budget is spent, then a request that tells of its end."""

    def __init__(self, place: Place, fast: list[tuple[Mr, Region]]) -> None:
        super().__init__(place)
        self._fast = fast
        self._stories = list(STORIES)
        taste = place.knobs.taste
        if place.raw:
            self._stories += [Immediates] * (30 if taste == "immediates" else 6)
            self._stories += [Drained] * (20 if taste == "draining" else 2)
        if place.words:
            self._stories += [Counting] * (30 if taste == "atomics" else 6)
        self._fondness = 0.6 if taste == "invalidation" else 0.15

    async def body(self) -> None:
        """Sequence."""
        turn = 0
        while self.place.budget > 0:
            if self._fast and self.rng.random() < self._fondness:
                turn += 1
                mr, memory = self.rng.choice(self._fast)
                await self.do(FastRegisteredMemory(self.place, mr, memory, turn))
            else:
                await self.do(self.rng.choice(self._stories)(self.place))
        last = self.write(1)
        await self.transfer(last)
        await self.complete(last)
