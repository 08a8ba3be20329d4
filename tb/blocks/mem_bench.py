"""The bench of key table and checks: pipelines, admin, host memory, and the model beside them.

The model is asked in the cycle in which a request enters and told of each change of the table in
the cycle in which it lands, so requests and changes may race: what must come out is known.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, replace

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import Access
from spec.layouts import KeyEntry, KeyKind
from spec.streams import KeyOp, KeyWrite, MemReq, MemRsp, SegKind
from tb.axi_memory import AxiMemory, Timing
from tb.blocks.mem_model import WORD, Answer, Keys, Registration
from tb.host_memory import HostMemory
from tb.streams import Stall, StreamSink, StreamSource, reset, stall_pattern, start_clock
from tb.ticker import sampler

KEY_COUNT = 64
POOL = 1 << 16
REQUEST = ("data", "user", "reg_pages", "reg_length", "reg_shift", "reg_direct")
SLOW = {"ar": 0.4, "r": 0.4}
GRACE = 6
"""Cycles for which a refusal may rest on what a change has just made untrue."""


@dataclass
class Offer:
    """A request on its way."""

    req: MemReq
    reg: Registration
    user: int
    answer: Answer | None = None
    landed: bool = False
    pages: int = 0
    out: int = 0  # cycle of its answer


class Lists:
    """Page lists in a pool of host memory, packed so that they share lines."""

    def __init__(self, memory: HostMemory) -> None:
        self.memory = memory
        self.pool = memory.allocate(POOL, grant=False)
        self.free = self.pool.address + 8
        self.bad: list[range] = []
        self.users: dict[int, int] = {}

    def make(self, count: int, shift: int, gap: int | None = None) -> int:
        """A list of random pages; its address."""
        at = self.free + 8 * (random.choice((0, 0, 1, 5, 30)) if gap is None else gap)
        self.free = at + 8 * count
        assert self.free <= self.pool.address + POOL
        self.memory.grant(at, 8 * count)
        self.fill(at, count, shift)
        return at

    def fill(self, at: int, count: int, shift: int) -> None:
        """Other pages in the same list."""
        pages = [random.getrandbits(64) >> shift << shift for _ in range(count)]
        self.memory.write(at, b"".join(page.to_bytes(8, "little") for page in pages))

    def read(self, at: int) -> int | None:
        """A list entry as the adapter should see it."""
        if any(at // 64 * 64 in line for line in self.bad):
            return None
        return int.from_bytes(self.memory.read(at, 8), "little")


class Pipe:
    """One check: what was offered, what must come, what came."""

    def __init__(self, dut: SimHandleBase, number: int, idle: Stall, stall: Stall) -> None:
        self.name = number
        self.source = StreamSource(dut, f"s{number}", fields=REQUEST, idle=idle)
        self.sink = StreamSink(dut, f"m{number}", fields=("data", "user"), stall=stall)
        self.handshake = (
            sampler(getattr(dut, f"s{number}_valid")), sampler(getattr(dut, f"s{number}_ready")),
        )  # fmt: skip
        self.out = (
            sampler(getattr(dut, f"m{number}_valid")), sampler(getattr(dut, f"m{number}_ready")),
        )  # fmt: skip
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.offered: deque[Offer] = deque()
        self.entered: deque[Offer] = deque()
        self.answered: list[Offer] = []
        self.enter_cycles: list[int] = []
        self.leave_cycles: list[int] = []


class Bench:
    """Everything around the wrapper mem_port."""

    def __init__(self, dut: SimHandleBase, timing: Timing | None, idle: str, stall: str) -> None:
        self.dut = dut
        self.memory = HostMemory(seed=1)
        self.lists = Lists(self.memory)
        self.axi = AxiMemory(dut, self.memory, timing=timing, seed=random.getrandbits(32))
        self.pipes = [Pipe(dut, n, stall_pattern(idle), stall_pattern(stall)) for n in (0, 1)]
        self.writes = StreamSource(dut, "s_write", record=KeyWrite)
        self.keys = Keys(KEY_COUNT)
        self.changed: dict[int, int] = {}  # index: cycle of its last change
        self.cycle = 0
        self.fetches = 0
        self.users = 0
        dut.look_en.value = 0
        dut.look_index.value = 0
        cocotb.start_soon(self._watch())

    @classmethod
    async def start(
        cls,
        dut: SimHandleBase,
        timing: Timing | None = None,
        idle: str = "none",
        stall: str = "none",
    ) -> Bench:
        """Connect everything, reset, wait for the sweep."""
        start_clock(dut)
        bench = cls(dut, timing, idle, stall)
        await bench.reset()
        return bench

    async def reset(self) -> None:
        """Reset; the table comes up empty."""
        ends = [end for pipe in self.pipes for end in (pipe.source, pipe.sink)]
        await reset(self.dut, *ends, self.writes)
        for pipe in self.pipes:
            pipe.clear()
        self.keys = Keys(KEY_COUNT)
        self.lists.users.clear()
        while not self.dut.ready.value:
            await RisingEdge(self.dut.clk)

    # ------------------------------------------------------------ what is done

    def set_key(self, index: int, entry: KeyEntry) -> None:
        """Admin writes an entry."""
        self.writes.send_nowait(KeyWrite(index=index, entry=entry))

    def offer(self, pipe: int, req: MemReq, reg: Registration | None = None) -> Offer:
        """Queue a request."""
        self.users += 1
        offer = Offer(req, reg or Registration(), self.users)
        self.pipes[pipe].offered.append(offer)
        self.pipes[pipe].source.send_nowait(
            data=req, user=offer.user, reg_pages=offer.reg.pages, reg_length=offer.reg.length,
            reg_shift=offer.reg.shift, reg_direct=offer.reg.direct,
        )  # fmt: skip
        return offer

    async def settle(self, limit: int = 60_000) -> None:
        """Wait until everything offered is answered and written."""
        for _ in range(limit):
            busy = any(p.offered or p.entered for p in self.pipes)
            if not busy and self.writes.empty():
                return
            await RisingEdge(self.dut.clk)
        raise TimeoutError([(len(p.offered), len(p.entered)) for p in self.pipes])

    async def look(self, index: int) -> KeyEntry:
        """An entry of the table as the third lookup port shows it."""
        self.dut.look_en.value = 1
        self.dut.look_index.value = index
        await RisingEdge(self.dut.clk)
        self.dut.look_en.value = 0
        for _ in range(2):
            await RisingEdge(self.dut.clk)
        return KeyEntry.from_int(int(self.dut.look_entry.value))

    async def compare_tables(self) -> None:
        """The table holds what the model holds, and nothing beyond its end."""
        for index in (*range(KEY_COUNT), KEY_COUNT, 1 << 23, (1 << 24) - 1):
            assert await self.look(index) == self.keys.find(index), f"key {index}"

    # ------------------------------------------------------------ what must be true

    async def _watch(self) -> None:
        edge = RisingEdge(self.dut.clk)
        rst, mods, fetches = map(sampler, (self.dut.rst, self.dut.mod_taken, self.dut.fetch_taken))
        write = sampler(self.dut.s_write_valid), sampler(self.dut.s_write_ready)
        data = sampler(self.dut.s_write_data)
        while True:
            await edge
            self.cycle += 1
            if rst() != "0":
                continue
            self.fetches += fetches().count("1")
            for pipe in self.pipes:
                if pipe.handshake[0]() == pipe.handshake[1]() == "1":
                    self._enter(pipe)
                if pipe.out[0]() == pipe.out[1]() == "1":
                    pipe.leave_cycles.append(self.cycle)
            self._changes(mods(), write[0]() == write[1]() == "1", data)
            self._answers()

    def _enter(self, pipe: Pipe) -> None:
        """A request is looked at in this cycle: this is what the table says."""
        offer = pipe.offered.popleft()
        pipe.enter_cycles.append(self.cycle)
        pipe.entered.append(offer)
        if offer.req.op == KeyOp.CHECK:
            offer.answer = self.keys.check(offer.req, self.lists.read)
            offer.pages = self.keys.find(offer.req.token >> 8).pages
            self.lists.users[offer.pages] = self.lists.users.get(offer.pages, 0) + 1
            return
        offer.answer = Answer(offer.landed)
        recent = self.cycle - self.changed.get(offer.req.token >> 8, -100) < GRACE
        if not offer.landed and not recent:
            assert self.keys.modified(offer.req, offer.reg) is None, f"refused: {offer}"

    def _changes(self, mods: str, written: bool, data) -> None:
        landed = [number for number in (0, 1) if mods[1 - number] == "1"]
        assert len(landed) + written <= 1, "two writes in a cycle"
        if written:
            write = KeyWrite.from_int(int(data(), 2))
            self.keys.write(write.index, write.entry)
            self.changed[write.index] = self.cycle
        for number in landed:
            offer = self.pipes[number].offered[0]
            entry = self.keys.modified(offer.req, offer.reg)
            assert entry is not None, f"granted: {offer}"
            self.keys.write(offer.req.token >> 8, entry)
            self.changed[offer.req.token >> 8] = self.cycle
            offer.landed = True

    def _answers(self) -> None:
        for pipe in self.pipes:
            while not pipe.sink.empty():
                beat = pipe.sink.recv_nowait()
                offer = pipe.entered.popleft()
                rsp = MemRsp.from_int(beat.data)
                assert beat.user == offer.user
                assert offer.answer is not None
                assert offer.answer.matches(rsp), f"{offer} got {rsp}"
                offer.out = self.cycle
                if offer.req.op == KeyOp.CHECK:
                    self.lists.users[offer.pages] -= 1
                pipe.answered.append(offer)


# ------------------------------------------------------------ random material


def random_key(bench: Bench, kind: KeyKind | None = None, pd: int | None = None) -> KeyEntry:
    """A key of any kind with a list or a piece behind it."""
    kind = (
        random.choice(list(KeyKind) + [KeyKind.MR, KeyKind.FAST_REG] * 4) if kind is None else kind
    )
    shift = random.randint(12, 30)
    direct = int(random.random() < 0.3)
    size = 1 << shift
    count = random.choice((1, 2, 9, random.randint(1, 40)))
    first = random.choice((0, random.randrange(size), size - 1))
    length = count * size - first - random.choice((0, 0, random.randrange(size)))
    top = random.random()
    base = random.getrandbits(64) // size * size + first
    if top < 0.2:
        base = (WORD - count * size + first) % WORD
    elif top < 0.3:
        base = (WORD - size + first) % WORD  # the region wraps
    elif top < 0.4:
        base = first
    if direct and random.random() < 0.2:
        base, length = random.choice((0, 0, 1)), WORD - 1
    return KeyEntry(
        key=random.getrandbits(8), valid=int(random.random() < 0.9), kind=kind,
        access=Access(random.getrandbits(6) | random.choice((0, 15))), direct=direct,
        page_shift=shift, pd=random.randrange(2) if pd is None else pd,
        qpn=random.getrandbits(16), base=base, length=max(1, length) % WORD,
        pages=random.getrandbits(64) if direct else bench.lists.make(count, shift),
    )  # fmt: skip


def fast_key(bench: Bench) -> KeyEntry:
    """What a good REGISTER makes of a random region, as long as it allows or shorter."""
    entry = random_key(bench, KeyKind.FAST_REG)
    while entry.base + entry.length > WORD:
        entry = random_key(bench, KeyKind.FAST_REG)
    access = entry.access & ~(Access.MW_BIND | Access.ZERO_BASED) | Access.LOCAL_WRITE
    size = 1 << entry.page_shift
    count = (entry.base % size + entry.length + size - 1) // size
    limit = random.choice((0, count, count + 1)) if count < 1 << 24 else 0
    return replace(entry, valid=1, access=access, limit=limit)


def spoiled(req: MemReq, reg: Registration, entry: KeyEntry) -> tuple[MemReq, Registration]:
    """The REGISTER of a fast key with one thing wrong."""
    size = 1 << reg.shift
    more = (entry.limit - (req.va + reg.length - 1 - req.va // size * size) // size) * size
    wrong = [
        (replace(req, pd=req.pd ^ 1), reg),
        (replace(req, access=Access.REMOTE_WRITE), reg),
        (replace(req, access=Access.REMOTE_ATOMIC | Access.REMOTE_READ), reg),
        (replace(req, access=req.access | Access.MW_BIND), reg),
        (replace(req, access=req.access | Access.ZERO_BASED), reg),
        (req, replace(reg, length=0)),
        (req, replace(reg, length=WORD - 1)) if req.va > 1 else (req, replace(reg, length=0)),
        *((req, replace(reg, shift=shift)) for shift in (0, 11, 31)),
    ]
    if reg.length > 1:
        wrong.append((replace(req, va=WORD - reg.length + 1), reg))
    if not reg.direct:
        wrong.append((req, replace(reg, pages=reg.pages + random.choice((1, 2, 4)))))
        if entry.limit and reg.length + more < WORD - req.va:
            wrong += [(req, replace(reg, length=reg.length + more))] * 4
    return random.choice(wrong)


def random_request(index: int, entry: KeyEntry) -> MemReq:
    """A CHECK near what the key allows, edges often."""
    size = random.choice((0, 1, 8, 64, 4095, 4096, random.randint(1, 4096), random.randint(1, 64)))
    page = 1 << entry.page_shift
    inside = entry.base + random.randrange(max(1, entry.length))
    spots = [
        inside, inside, inside, entry.base, entry.base + entry.length - size,
        inside // page * page - random.randint(0, size), inside // 4096 * 4096 - size // 2,
        entry.base - entry.base % page + 8 * page * random.randint(0, 5) - random.randint(0, size),
    ]  # fmt: skip
    va = random.choice(spots)
    if random.random() < 0.15:
        va += random.choice((-1, 1, -4096, entry.length, WORD - size))
    odd = random.random
    wanted = Access(0)
    if odd() < 0.6:
        wanted = random.choice(list(Access)) & (entry.access if odd() < 0.8 else 63)
    if entry.kind == KeyKind.PRIVILEGED and odd() < 0.7:
        wanted = random.choice((Access(0), Access.LOCAL_WRITE))
    token = index << 8 | entry.key
    if odd() < 0.06:
        token ^= 1 << random.randrange(32)
    return MemReq(
        op=KeyOp.CHECK, kind=SegKind.KEY if odd() < 0.95 else random.choice(list(SegKind)),
        va=va % WORD, length=size, token=token, pd=entry.pd if odd() < 0.96 else entry.pd ^ 1,
        qpn=random.getrandbits(16), access=wanted, span=random_span(entry, va % WORD, size),
    )  # fmt: skip


def random_span(entry: KeyEntry, va: int, size: int) -> int:
    """None, or one that reaches to an edge, or anywhere."""
    rest = entry.base + entry.length - va
    near = [rest - 1, rest, rest + 1, WORD - va, WORD - va - 1]
    spots = [s for s in near if 0 < s < 1 << 32]
    spots += [size, max(size, 1) - 1, random.getrandbits(random.randint(1, 32)), (1 << 32) - 1]
    return random.choice(spots) if random.random() < 0.4 else 0


def plain_key(bench: Bench, count: int, *, offset: int = 0, shift: int = 12) -> KeyEntry:
    """A region of `count` whole pages that its domain may do anything with."""
    return KeyEntry(
        key=7, valid=1, kind=KeyKind.MR, access=Access(15), page_shift=shift, pd=1,
        base=0x10_0000_0000 + offset, length=(count << shift) - offset,
        pages=bench.lists.make(count, shift, gap=-bench.lists.free // 8 % 8),
    )  # fmt: skip


def piece(index: int, entry: KeyEntry, offset: int, length: int) -> MemReq:
    """A good CHECK of bytes of a plain key."""
    return MemReq(
        op=KeyOp.CHECK, kind=SegKind.KEY, va=entry.base + offset, length=length,
        token=index << 8 | entry.key, pd=entry.pd, access=Access.LOCAL_WRITE,
    )  # fmt: skip


def change(op: KeyOp, index: int, entry: KeyEntry) -> tuple[MemReq, Registration]:
    """The INVALIDATE of an entry, or the REGISTER that makes it."""
    req = MemReq(
        op=op, token=index << 8 | entry.key, pd=entry.pd, va=entry.base, access=entry.access
    )
    reg = Registration(entry.pages, entry.length, entry.page_shift, entry.direct)
    return req, reg


__all__ = [
    "KEY_COUNT", "SLOW", "Bench", "Timing", "change", "fast_key", "piece", "plain_key",
    "random_key", "random_request", "replace", "spoiled",
]  # fmt: skip
