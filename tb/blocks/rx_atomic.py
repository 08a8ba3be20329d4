"""rnic_rx: numbers written in place of payload, and eight bytes changed in one piece.

The model carries the frames out one after the other. Where the design overlaps them, host memory
lands writes and looks at what is read at any moment between request and answer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import cocotb

from spec.codes import Access
from spec.layouts import KeyEntry, KeyKind
from spec.streams import AtomicOp, MemReq, RxFault, SegKind
from tb.blocks.rx_bench import Numbers, RxBench, psns
from tb.blocks.rx_packets import (
    LIST,
    OTHER_QPN,
    PAGED_BASE,
    PAGED_KEY,
    PAGES,
    QPN,
    RKEY,
    TARGET,
    Memory,
    segment,
    write_packet,
)
from tb.model.headers import AtomicEth, Bth, Packet
from tb.model.opcodes import Op
from tb.streams import STALL_NAMES, cycles

# Icarus, which runs a tenth as fast, is there for its X: a part of the load will do.
FULL = cocotb.SIM_NAME == "Verilator"
WORD = 1 << 64


def atomic_packet(psn: int, va: int, numbers: Numbers, qpn: int = QPN, key: int = RKEY) -> Packet:
    """An atomic request; what is done with it is the plan's matter."""
    opcode = Op.FETCH_ADD if numbers.op is AtomicOp.ADD else Op.CMP_SWAP
    eth = AtomicEth(va, key, numbers.swap, numbers.compare)
    return Packet(Bth(opcode, qpn, psn=psn), atomic_eth=eth)


def target(va: int, key: int = RKEY) -> MemReq:
    """The eight bytes of an atomic."""
    return segment(va, 8, key, access=Access.REMOTE_ATOMIC)


def result(va: int, key: int = RKEY) -> MemReq:
    """Where a requester wants its result."""
    return segment(va, 8, key, kind=SegKind.WORD, access=Access.LOCAL_WRITE)


@dataclass
class Host:
    """Host memory in which the frames are carried out one by one."""

    bench: RxBench
    memory: Memory = field(default_factory=Memory)
    originals: dict[int, int] = field(default_factory=dict)
    plans: dict[int, list[MemReq]] = field(default_factory=dict)

    def place(self, va: int) -> int:
        """Bus address behind either key."""
        return self.bench.paged(va - PAGED_BASE) if va >= PAGED_BASE else va

    def get(self, va: int) -> int:
        """The number at an address."""
        line = self.memory.line(self.place(va) & ~63)
        return int.from_bytes(line[va % 64 : va % 64 + 8], "little")

    def put(self, va: int, data: bytes) -> None:
        """Bytes, page by page."""
        for n, byte in enumerate(data):
            self.memory.put(self.place(va + n), bytes([byte]))

    def atomic(self, psn: int, va: int, op: AtomicOp, swap: int, compare: int = 0) -> Packet:
        """Carry an atomic out here and make its frame."""
        key = PAGED_KEY if va >= PAGED_BASE else RKEY
        old = self.originals[psn] = self.get(va)
        if op is AtomicOp.ADD:
            self.put(va, ((old + swap) % WORD).to_bytes(8, "little"))
        elif old == compare:
            self.put(va, swap.to_bytes(8, "little"))
        self.plans[psn] = [target(va, key)]
        numbers = self.bench.numbers[psn] = Numbers(op, swap, compare)
        return atomic_packet(psn, va, numbers, key=key)

    def any_atomic(self, psn: int, va: int) -> Packet:
        """Add, swap, or a swap that finds something else."""
        swap = random.getrandbits(64)
        if random.random() < 0.5:
            return self.atomic(psn, va, AtomicOp.ADD, swap)
        compare = self.get(va) ^ (random.random() < 0.4) << random.randrange(64)
        return self.atomic(psn, va, AtomicOp.SWAP, swap, compare)

    def write(self, psn: int, va: int, payload: bytes) -> Packet:
        """Carry a write out here and make its frame."""
        self.put(va, payload)
        key = PAGED_KEY if va >= PAGED_BASE else RKEY
        self.plans[psn] = [segment(va, len(payload), key)]
        return write_packet(psn, va, payload)

    async def pace(self, sent: int) -> None:
        """Keep what is under way within the buffers; overflow is another test's matter."""
        while sent - self.bench.gone > 60:
            await cycles(self.bench.dut, 5)

    def check(self) -> None:
        """Memory and what atomics found are as if one frame had followed the other."""
        assert self.bench.memory.same_as(self.memory)
        done = {psn for _, psn, _ in self.bench.done}
        for psn in done:
            assert self.bench.originals[psn] == self.originals.get(psn, 0), f"frame {psn}"


async def start(dut, **options) -> tuple[RxBench, Host]:
    """Bench and model; frames are planned when they are made."""
    bench = await RxBench.start(dut, **options)
    host = Host(bench)
    bench.plan = lambda header: host.plans[header.psn]
    return bench, host


# ------------------------------------------------------------ words


@cocotb.test()
@cocotb.parametrize(stall=["none", "half"])
async def words_lie_right_anywhere(dut, stall):
    """Results at every address modulo 64 and at page ends, between frames with payload."""
    bench, host = await start(dut, stall=stall)
    spots = [TARGET + 128 * n + n for n in range(0, 64, 1 if FULL else 5)]
    spots += [PAGED_BASE + (n + 1) * 4096 - n for n in range(9)]
    frames = 0
    for va in spots:
        number = random.getrandbits(64)
        host.put(va, number.to_bytes(8, "little"))
        host.plans[frames] = [result(va, PAGED_KEY if va >= PAGED_BASE else RKEY)]
        bench.numbers[frames] = Numbers(swap=number, compare=random.getrandbits(64))
        bench.send(Packet(Bth(Op.SEND_ONLY, QPN, psn=frames)))
        frames += 1
        if random.random() < 0.5:
            at = TARGET + 0x10_0000 + 512 * frames + random.randrange(64)
            bench.send(host.write(frames, at, random.randbytes(random.randint(1, 300))))
            frames += 1
    await bench.settle(frames)
    host.check()
    assert {fault for *_, fault in bench.done} == {RxFault.NONE}


@cocotb.test()
async def a_word_between_payload_segments_takes_none_of_it(dut):
    """Frames whose work mixes both, the word first, between and last."""
    bench, host = await start(dut, stall="half")
    for psn in range(30):
        payload = random.randbytes(random.randint(2, 200))
        number = random.getrandbits(64)
        cut = random.randrange(len(payload))
        at = TARGET + 4096 * psn + random.randrange(64)
        parts = [segment(at, cut), segment(at + 1024, len(payload) - cut)]
        parts.insert(psn % 3, result(at + 2048))
        host.put(at, payload[:cut])
        host.put(at + 1024, payload[cut:])
        host.put(at + 2048, number.to_bytes(8, "little"))
        host.plans[psn] = parts
        bench.numbers[psn] = Numbers(swap=number)
        bench.send(Packet(Bth(Op.SEND_ONLY, QPN, psn=psn), payload=payload))
    await bench.settle(30)
    host.check()


@cocotb.test()
async def a_word_needs_its_right(dut):
    bench, host = await start(dut)
    entry = KeyEntry.from_int(bench.keys[1])
    bench.keys[3] = KeyEntry(
        key=3, valid=1, kind=KeyKind.MR, access=Access.REMOTE_READ, pd=entry.pd, direct=1,
        page_shift=12, length=1 << 60,
    ).to_int()  # fmt: skip
    host.plans = {0: [result(TARGET, 3 << 8 | 3)], 1: [result(TARGET)]}
    host.put(TARGET, (7).to_bytes(8, "little"))
    bench.numbers = {psn: Numbers(swap=7) for psn in (0, 1)}
    for psn, qpn in ((0, OTHER_QPN), (1, QPN)):
        bench.send(Packet(Bth(Op.SEND_ONLY, qpn, psn=psn)))
    await bench.settle(2)
    assert [fault for *_, fault in bench.done] == [RxFault.LOCAL_KEY, RxFault.NONE]
    host.check()


# ------------------------------------------------------------ atomics


@cocotb.test()
@cocotb.parametrize(op=[AtomicOp.ADD, AtomicOp.SWAP])
async def every_place_in_a_line_and_every_carry(dut, op):
    bench, host = await start(dut)
    frames = 0
    for lane in range(8):
        va = TARGET + 8 * lane
        for number in (0, 1, WORD - 1, 1 << 63, 0x0123_4567_89AB_CDEF) if FULL else (WORD - 1,):
            bench.send(host.write(frames, va, number.to_bytes(8, "little")))
            for swap in (0, 1, WORD - 1, random.getrandbits(64)):
                frames += 1
                compare = host.get(va) ^ random.choice((0, 0, 1, 1 << 63))
                bench.send(host.atomic(frames, va, op, swap, compare))
            frames += 1
    await bench.settle(frames, 60_000)
    host.check()


@cocotb.test()
@cocotb.parametrize(
    stall=STALL_NAMES if FULL else ["bursts"],
    latency=[1, 40] if FULL else [40],
    lines=[1, 3, 40] if FULL else [2, 40],
)
async def atomics_and_writes_as_if_one_by_one(dut, stall, latency, lines):
    """Few lines: everything is in everybody's way; many: nothing is."""
    bench, host = await start(dut, stall=stall, idle=random.choice(STALL_NAMES), latency=latency)
    bench.list_latency = random.choice((0, 30))
    count = 250 if FULL else 50
    pages = random.sample(range(PAGES), 3)
    for psn in range(count):
        await host.pace(psn)
        base = TARGET + 64 * random.randrange(lines)
        if random.random() < 0.4:
            base = PAGED_BASE + 4096 * random.choice(pages) + 64 * random.randrange(lines)
        if random.random() < 0.6:
            bench.send(host.any_atomic(psn, base + 8 * random.randrange(8)))
        else:
            size = random.choice((1, 8, 64, 200, random.randint(1, 1500)))
            # Bursts that begin before a line, end in it, or only pass by.
            before = random.choice((0, 0, 64, 640)) if base % 4096 >= 640 else 0
            at = base - before + random.randrange(64)
            bench.send(host.write(psn, at, random.randbytes(size)))
    await bench.settle(count, 200_000)
    assert psns(bench.done) == list(range(count))
    assert {fault for *_, fault in bench.done} == {RxFault.NONE}
    host.check()


@cocotb.test()
async def a_counter_of_many_is_exact(dut):
    """Every number is handed out once, in order, whoever asks."""
    bench, host = await start(dut, stall="half", latency=15)
    bench.memory.put(TARGET, bytes(8))
    host.put(TARGET, bytes(8))
    count = 120 if FULL else 30
    for psn in range(count):
        await host.pace(psn)
        bench.send(host.atomic(psn, TARGET, AtomicOp.ADD, 1))
    await bench.settle(count, 60_000)
    assert [bench.originals[psn] for psn in range(count)] == list(range(count))
    host.check()


@cocotb.test()
async def others_pass_an_atomic_and_its_line_waits(dut):
    bench, host = await start(dut, latency=5)
    bench.hold_reads = True
    base = TARGET + 0x200
    bench.send(host.any_atomic(0, base + 8))
    frames = 1
    for n in range(1, 40):
        bench.send(host.write(frames, base + 64 * n, random.randbytes(64)))
        frames += 1
    bench.send(host.any_atomic(frames, base + 0x4000))
    frames += 1
    await cycles(dut, 400)
    assert len(bench.line_cycles) == 39
    assert len(bench.atomic_reads) == 2
    assert not bench.done
    before = bench.memory.line(base)
    bench.send(host.write(frames, base - 128 + 3, random.randbytes(150)))  # touches the line
    await cycles(dut, 200)
    assert len(bench.line_cycles) == 39
    assert bench.memory.line(base) == before
    bench.hold_reads = False
    await bench.settle(frames + 1)
    assert len(bench.line_cycles) == 42
    host.check()


@cocotb.test()
async def an_atomic_waits_for_writes_before_it(dut):
    """Whatever was asked for before is answered before memory is looked at."""
    bench, host = await start(dut)
    bench.hold_answers = bench.hold_reads = True
    for psn in range(20):
        bench.send(host.write(psn, TARGET + 64 * psn, random.randbytes(64)))
    bench.send(host.any_atomic(20, TARGET))
    for psn in range(21, 30):
        bench.send(host.write(psn, TARGET + 64 * psn, random.randbytes(64)))
    await cycles(dut, 300)
    assert len(bench.payload.answers) == 29
    assert not bench.atomic_reads
    assert bench.atomic_writes.empty
    held = list(bench.payload.answers)
    bench.payload.answers.clear()
    bench.payload.answers.extend(held[:19])
    bench.hold_answers = False
    await cycles(dut, 100)
    assert not bench.atomic_reads
    bench.hold_reads = False
    bench.payload.answers.extend(held[19:])
    await bench.settle(30)
    host.check()


@cocotb.test()
async def a_swap_that_finds_another_number_writes_nothing(dut):
    bench, host = await start(dut)
    for psn in range(10):
        compare = host.get(TARGET) ^ 1 << random.randrange(64)
        bench.send(host.atomic(psn, TARGET, AtomicOp.SWAP, psn, compare))
    await bench.settle(10)
    host.check()
    assert not bench.memory.masks


@cocotb.test()
@cocotb.parametrize(where=["read", "write", "list", "key", "odd"])
async def a_failed_atomic_is_told_in_its_place(dut, where):
    """Frames before and behind it, of another queue pair, are none the worse."""
    bench, host = await start(dut, stall="half", latency=10)
    want = RxFault.KEY if where in ("key", "odd") else RxFault.BUS
    entry = KeyEntry.from_int(bench.keys[1])
    bench.keys[3] = KeyEntry(
        key=3, valid=1, kind=KeyKind.MR, access=Access(15), pd=entry.pd, direct=1, page_shift=12,
        base=TARGET, length=4096, pages=TARGET + (4 if where == "odd" else 0),
    ).to_int()  # fmt: skip
    bench.bad_lists.add(LIST)
    bad = TARGET + 0x100
    if where == "read":
        bench.bad_sources = lambda address: address == bad
    if where == "write":
        bench.bad_targets = lambda address: address == bad
    count, odd = 21, random.randrange(21)
    for psn in range(count):
        if psn != odd:
            bench.send(host.any_atomic(psn, TARGET + 0x8000 + 64 * random.randrange(4)))
            continue
        key = {"list": PAGED_KEY, "key": RKEY ^ 1, "odd": 3 << 8 | 3}.get(where, RKEY)
        host.plans[psn] = [target(PAGED_BASE if where == "list" else bad, key)]
        bench.numbers[psn] = Numbers(AtomicOp.ADD, 5)
        bench.send(atomic_packet(psn, bad, bench.numbers[psn], OTHER_QPN))
        if where in ("read", "write"):
            line = host.memory.line(bad & ~63)
            host.originals[psn] = int.from_bytes(line[bad % 64 :][:8], "little")
    await bench.settle(count)
    assert [fault for *_, fault in bench.done] == [
        want if psn == odd else RxFault.NONE for psn in range(count)
    ]
    host.check()


@cocotb.test()
@cocotb.parametrize(after=range(1, 60, 3) if FULL else range(1, 60, 20))
async def reset_among_atomics(dut, after):
    bench, host = await start(dut, stall="half", latency=10)
    for psn in range(40):
        bench.send(host.any_atomic(psn, TARGET + 64 * random.randrange(4)))
    await cycles(dut, after * 5)
    await bench.reset()
    bench.forget()
    await cycles(dut, 40)
    host = Host(bench)
    bench.plan = lambda header: host.plans[header.psn]
    for psn in range(30):
        bench.send(host.any_atomic(psn, TARGET + 64 * random.randrange(4)))
    while len(bench.done) < 30:
        await cycles(dut, 10)
    await cycles(dut, 50)
    host.check()


# ------------------------------------------------------------ rates


async def rate_of(bench: RxBench, host: Host, count: int, lines: int) -> float:
    """Cycles per atomic, far from memory, over so many lines."""
    for psn in range(count):
        bench.send(host.atomic(psn, TARGET + 64 * (psn % lines), AtomicOp.ADD, 1))
    while len(bench.done) < count // 4:
        await cycles(bench.dut, 1)
    begun, at = bench.cycle, len(bench.done)
    while len(bench.done) < count:
        await cycles(bench.dut, 1)
    await bench.settle(count)
    host.check()
    return (bench.cycle - begun - 30) / (count - at)


@cocotb.test()
async def sixteen_atomics_overlap(dut):
    """A read takes 1 to 500 cycles, 250 on average, in order; a write 250."""
    bench, host = await start(dut, latency=250)
    rate = await rate_of(bench, host, 160 if FULL else 64, 1 << 20)
    dut._log.info("atomics in different lines: %.1f cycles each", rate)
    assert rate <= (2 * 500 + 50) / 16


@cocotb.test()
async def atomics_of_one_line_follow_each_other(dut):
    bench, host = await start(dut, latency=100)
    rate = await rate_of(bench, host, 40 if FULL else 12, 1)
    dut._log.info("atomics in one line: %.1f cycles each", rate)
    assert rate <= 200 + 100 + 20


@cocotb.test()
async def small_writes_keep_their_rate_beside_an_atomic(dut):
    """One atomic always under way: 64-byte writes still take three cycles."""
    bench, host = await start(dut, latency=250)
    count = 90
    bench.send(host.any_atomic(0, TARGET))
    for psn in range(1, count + 1):
        bench.send(host.write(psn, TARGET + 4096 + 128 * psn, random.randbytes(64)))
    bench.hold_reads = True
    while len(bench.line_cycles) < count:
        await cycles(dut, 1)
    took = (bench.line_cycles[-1] - bench.line_cycles[0]) / (count - 1)
    dut._log.info("64-byte writes beside an atomic: %.2f cycles each", took)
    assert took <= 3.02
    bench.hold_reads = False
    await bench.settle(count + 1)
    host.check()
