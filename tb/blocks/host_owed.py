"""rnic_host_owed: answers from before a soft reset are told from those that the core waits for."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from tb.streams import reset, start_clock

CLIENTS = 5
INPUTS = ("ar_en", "ar_id", "r_en", "r_id", "r_last", "aw_en", "w_last_en", "b_en", "forget_en")


@dataclass
class Host:
    """Transactions in the order of their answers; each knows the life of the core it is from."""

    life: int = 0
    reads: list[deque[tuple[int, int]]] = field(
        default_factory=lambda: [deque() for _ in range(CLIENTS)]
    )
    writes: deque[int] = field(default_factory=deque)
    unsent: int = 0

    def owes(self) -> bool:
        """Something of an earlier life is not answered."""
        old = [life for queue in self.reads for life, _ in queue] + list(self.writes)
        return any(life < self.life for life in old)


class Bench:
    """The host port, a cycle at a time."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.host = Host()
        self.dropped = self.kept = 0
        for name in INPUTS:
            getattr(dut, name).value = 0

    @classmethod
    async def start(cls, dut: Any) -> Self:
        """Reset."""
        start_clock(dut)
        bench = cls(dut)
        await reset(dut)
        return bench

    async def step(
        self, *, read: tuple[int, int] | None = None, line: int | None = None,
        write: bool = False, last: bool = False, answer: bool = False, forget: bool = False,
    ) -> None:  # fmt: skip
        """One cycle: a read (client, lines) and a write begin, a line and an answer come."""
        dut, host = self.dut, self.host
        values = dict.fromkeys(INPUTS, 0)
        if read is not None:
            values |= {"ar_en": 1, "ar_id": read[0]}
        if line is not None:
            life, left = host.reads[line][0]
            values |= {"r_en": 1, "r_id": line, "r_last": int(left == 1)}
        values |= {"aw_en": int(write), "w_last_en": int(last), "b_en": int(answer)}
        values["forget_en"] = int(forget)
        for name, value in values.items():
            getattr(dut, name).value = value
        await FallingEdge(dut.clk)
        assert dut.owes.value == host.owes()
        assert dut.unanswered.value == bool(host.writes or any(host.reads))
        assert dut.unsent.value == (host.unsent != 0)
        if line is not None:
            assert dut.r_keep.value == (life == host.life)
            self._count(life == host.life)
            host.reads[line].popleft()
            if left > 1:
                host.reads[line].appendleft((life, left - 1))
        if answer:
            life = host.writes.popleft()
            assert dut.b_keep.value == (life == host.life)
            self._count(life == host.life)
        if read is not None:
            host.reads[read[0]].append((host.life, read[1]))
        if write:
            host.writes.append(host.life)
        host.unsent += int(write) - int(last)
        host.life += int(forget)
        await RisingEdge(dut.clk)

    def _count(self, kept: bool) -> None:
        self.kept += int(kept)
        self.dropped += int(not kept)


@cocotb.test()
async def nothing_is_dropped_without_a_reset(dut):
    bench = await Bench.start(dut)
    await traffic(bench, 600, forget=0)
    assert bench.kept > 200
    assert bench.dropped == 0


@cocotb.test()
@cocotb.parametrize(often=[0.003, 0.02, 0.2])
async def what_was_begun_before_is_dropped_and_nothing_else(dut, often):
    """Resets may come before the answers of the last but one have come."""
    bench = await Bench.start(dut)
    await traffic(bench, 3000, forget=often)
    assert bench.dropped > 200


@cocotb.test()
async def a_burst_in_the_middle_is_owed_to_its_last_line(dut):
    bench = await Bench.start(dut)
    await bench.step(read=(2, 4))
    await bench.step(line=2)
    await bench.step(forget=True)
    await bench.step(read=(2, 2))
    await bench.step(read=(3, 1))
    await bench.step(line=3)
    for _ in range(5):
        await bench.step(line=2)
    assert (bench.kept, bench.dropped) == (4, 3)


async def traffic(bench: Bench, count: int, forget: float) -> None:
    """Random transactions and answers, a few of each outstanding; then all are answered."""
    host = bench.host
    for _ in range(count):
        open_reads = [client for client in range(CLIENTS) if host.reads[client]]
        many = sum(map(len, host.reads)) > 30
        await bench.step(
            read=(random.randrange(CLIENTS), random.randint(1, 5))
            if random.random() < 0.4 and not many
            else None,
            line=random.choice(open_reads) if open_reads and random.random() < 0.8 else None,
            write=random.random() < 0.4 and len(host.writes) < 20,
            last=host.unsent > 0 and random.random() < 0.6,
            answer=len(host.writes) > max(0, host.unsent) and random.random() < 0.5,
            forget=random.random() < forget,
        )
    while host.writes or any(host.reads):
        open_reads = [client for client in range(CLIENTS) if host.reads[client]]
        await bench.step(
            line=open_reads[0] if open_reads else None,
            last=host.unsent > 0,
            answer=len(host.writes) > max(0, host.unsent),
        )
    assert not host.owes()
    await bench.step()
