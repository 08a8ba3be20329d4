"""Random work in both directions of a pair of adapters, every byte and every completion judged.

Each queue pair has slots of memory on both sides; a slot is in use from posting to completion, so
what it must hold then is known exactly. An atomic adds to a counter that only its queue pair uses:
its result tells whether each was executed once. Receives complete in the order of the sends.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from cocotb.triggers import Timer

from spec.codes import CqeStatus
from spec.layouts import Cqe, CqeOp, RqWqe, Sge, SqWqe, WqeFlag, WrOp
from spec.registers import TimebaseReg
from tb.frames import Chance
from tb.host import SimBuffer
from tb.nic.pair import PORTS, Pair
from tb.nic.smoke import sges
from tb.raw_driver import RawDriver, RawQp, Ring
from tb.streams import CLOCK_NS

SLOTS = 8
"""Messages of a queue pair that may be under way."""
STALL_CYCLES = 400_000
"""Without a completion for so long, nothing will come any more."""
LOOK_CYCLES = 16
OPS = [WrOp.WRITE, WrOp.WRITE_IMM, WrOp.SEND, WrOp.SEND_IMM, WrOp.READ, WrOp.FETCH_ADD]


@dataclass
class Posted:
    """A message under way."""

    op: WrOp
    slot: int
    data: bytes
    before: int = 0  # FETCH_ADD: the counter it must find
    open: int = 1  # completions still to come, of both sides


@dataclass
class Side:
    """An adapter and its memory."""

    name: str
    driver: RawDriver
    cq: Ring
    buffer: SimBuffer
    token: int


@dataclass
class Way:
    """One direction of a connection: who posts, and what is under way."""

    number: int
    here: Side
    there: Side
    qp: RawQp
    other: RawQp
    size: int
    rng: random.Random
    total: int
    posted: int = 0
    done: int = 0
    received: int = 0
    counter: int = 0
    under_way: deque[Posted] = field(default_factory=deque)
    to_receive: deque[Posted] = field(default_factory=deque)
    free: list[int] = field(default_factory=lambda: list(range(SLOTS)))

    @property
    def base(self) -> int:
        """Offset of this way's memory on both sides: source slots, target slots, a counter."""
        return (2 * self.number + (self.here.name == "b")) * (2 * SLOTS * self.size + 64)

    def source(self, slot: int) -> int:
        """Local slot."""
        return self.base + slot * self.size

    def target(self, slot: int) -> int:
        """Remote slot."""
        return self.base + (SLOTS + slot) * self.size

    @property
    def counter_at(self) -> int:
        """The remote counter."""
        return self.base + 2 * SLOTS * self.size


class Storm:
    """So many connections, messages on each way, and what the wire does to them."""

    def __init__(
        self, pair: Pair, *, seed: int, connections: int = 4, messages: int = 50, size: int = 3000,
        mtu: int = 1, psns: tuple[int, int] = (0xFFFFF0, 0x7FFFF8), ack_tick: int = 16,
        timeout: int = 8,
    ) -> None:  # fmt: skip
        self.pair, self.rng = pair, random.Random(seed)
        self.connections, self.messages, self.size = connections, messages, size
        self.connect = {"mtu": mtu, "timeout": timeout, "retry_cnt": 7, "rnr_retry": 7}
        self.psns, self.ack_tick = psns, ack_tick
        self.sides: dict[str, Side] = {}
        self.ways: list[Way] = []

    async def run(self, chance: Chance | None = None) -> None:
        """Everything: set up, work, judge."""
        await self._set_up()
        for way in (self.pair.link.ab, self.pair.link.ba):
            way.chance = chance or Chance()
        idle, progress = 0, -1
        while any(way.done < way.total or way.to_receive for way in self.ways):
            for way in self.ways:
                while way.free and way.posted < way.total:
                    self._post(way)
            for side in self.sides.values():
                while (done := side.cq.poll()) is not None:
                    side.driver.consume(3, side.cq)
                    self._completed(side, done)
            await Timer(LOOK_CYCLES * CLOCK_NS, "ns")
            now = sum(way.done + way.received for way in self.ways)
            idle = idle + LOOK_CYCLES if now == progress else 0
            progress = now
            assert idle < STALL_CYCLES, self._report()
        await self._judge_rest()

    def _report(self) -> str:
        lines = [
            f"queue pair {w.qp.number} of {w.here.name}: {w.done} of {w.posted}, oldest "
            f"{w.under_way[0].op.name if w.under_way else None}"
            for w in self.ways
        ]
        return "nothing completes any more: " + "; ".join(lines)

    # ------------------------------------------------------------ set up

    async def _set_up(self) -> None:
        room = 2 * self.connections * (2 * SLOTS * self.size + 64)
        for name, driver in zip("ab", await self.pair.raw_drivers(), strict=True):
            timebase = TimebaseReg(ack_tick=self.ack_tick, rnr_tick=8)
            driver.device.write32(TimebaseReg.ADDRESS, timebase.to_int())
            await driver.create_eq()
            cq = await driver.create_cq(3, log=10)
            buffer = driver.device.allocate(room)
            buffer.memory[:] = self.rng.randbytes(room)
            self.sides[name] = Side(name, driver, cq, buffer, await driver.register(5, buffer))
        a, b = self.sides["a"], self.sides["b"]
        for number in range(self.connections):
            qps = {}
            for side, peer, (sq_psn, rq_psn) in (
                (a, "b", self.psns), (b, "a", self.psns[::-1]),
            ):  # fmt: skip
                qp = qps[side.name] = await side.driver.create_qp(20 + number, 3)
                await side.driver.connect(
                    qp, PORTS[peer], 20 + number, sq_psn=sq_psn, rq_psn=rq_psn, **self.connect
                )
            for here, there in ((a, b), (b, a)):
                rng = random.Random(self.rng.random())
                way = Way(number, here, there, qps[here.name], qps[there.name], self.size, rng,
                          self.messages)  # fmt: skip
                self.ways.append(way)
                there.buffer.memory[way.counter_at : way.counter_at + 8] = bytes(8)

    # ------------------------------------------------------------ work

    def _post(self, way: Way) -> None:
        op = way.rng.choice(OPS)
        slot = way.free.pop(way.rng.randrange(len(way.free)))
        longest = way.rng.choice((0, 1, 64, 300, self.size))
        length = 8 if op is WrOp.FETCH_ADD else way.rng.randint(0, longest)
        item = Posted(op, slot, way.rng.randbytes(length))
        here, there = way.here, way.there
        at, to = way.source(slot), way.target(slot)
        if op is WrOp.READ:
            there.buffer.memory[to : to + length] = item.data
        elif op is not WrOp.FETCH_ADD:
            here.buffer.memory[at : at + length] = item.data
        if op in (WrOp.SEND, WrOp.SEND_IMM, WrOp.WRITE_IMM):
            sge = Sge(addr=there.buffer.bus_address + to, length=self.size, token=there.token)
            with_sge = op is not WrOp.WRITE_IMM
            entry = RqWqe(wr_id=way.posted, num_sge=int(with_sge), sge0=sge if with_sge else Sge())
            there.driver.post_recv(way.other, entry)
            way.to_receive.append(item)
            item.open = 2
        here.driver.post_send(way.qp, self._entry(way, item))
        way.under_way.append(item)
        way.posted += 1

    def _entry(self, way: Way, item: Posted) -> SqWqe:
        here, there, length = way.here, way.there, len(item.data)
        sge = Sge(
            addr=here.buffer.bus_address + way.source(item.slot), length=length, token=here.token
        )
        fields: dict[str, Any] = {"num_sge": 1, "data": sges(sge)}
        remote = way.target(item.slot)
        if item.op is WrOp.FETCH_ADD:
            remote, add = way.counter_at, way.rng.randint(1, 1 << 40)
            item.before, way.counter = way.counter, way.counter + add
            data = sge.pack() + add.to_bytes(8, "little") + bytes(8)
            fields["data"] = int.from_bytes(data, "little")
        elif not length:
            fields = {"num_sge": 0}
        return SqWqe(
            opcode=item.op, flags=WqeFlag.SIGNALED, blocks=1, length=length, wr_id=way.posted,
            remote_addr=there.buffer.bus_address + remote, rkey=there.token, imm=way.posted,
            **fields,
        )  # fmt: skip

    # ------------------------------------------------------------ judging

    def _completed(self, side: Side, done: Cqe) -> None:
        if done.opcode >= CqeOp.RECV:
            way = next(w for w in self.ways if w.there is side and w.other.number == done.qpn)
            assert way.to_receive, f"a receive too many: {done}"
            item = way.to_receive.popleft()
            way.received += 1
            assert done.status == CqeStatus.SUCCESS, f"{done}"
            assert done.byte_len == len(item.data), f"{item.op.name}: {done}"
            self._check(item, side, way.target(item.slot))
            self._release(way, item)
            return
        way = next(w for w in self.ways if w.here is side and w.qp.number == done.qpn)
        assert way.under_way, f"a completion too many: {done}"
        item = way.under_way.popleft()
        assert (done.wr_id, done.status) == (way.done, CqeStatus.SUCCESS), f"{done}"
        way.done += 1
        if item.op is WrOp.READ:
            self._check(item, way.here, way.source(item.slot))
        elif item.op is WrOp.FETCH_ADD:
            at = way.source(item.slot)
            found = int.from_bytes(way.here.buffer.memory[at : at + 8], "little")
            assert found == item.before, f"an atomic found {found:#x}, not {item.before:#x}"
        else:
            self._check(item, way.there, way.target(item.slot))
        self._release(way, item)

    @staticmethod
    def _release(way: Way, item: Posted) -> None:
        item.open -= 1
        if not item.open:
            way.free.append(item.slot)

    def _check(self, item: Posted, side: Side, at: int) -> None:
        got = bytes(side.buffer.memory[at : at + len(item.data)])
        assert got == item.data, f"{item.op.name} of {len(item.data)} bytes: wrong data"

    async def _judge_rest(self) -> None:
        await Timer(2000 * CLOCK_NS, "ns")
        for side in self.sides.values():
            assert side.cq.poll() is None, "completions without work"
        for way in self.ways:
            at = way.counter_at
            found = int.from_bytes(way.there.buffer.memory[at : at + 8], "little")
            assert found == way.counter, f"counter {found:#x}, added {way.counter:#x}"
