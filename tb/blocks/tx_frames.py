"""rnic_tx: every frame is the packet that its descriptor asked for, byte by byte."""

from __future__ import annotations

import random

import cocotb

from spec.codes import Access
from tb.blocks.tx_bench import (
    ACK,
    KEYS,
    LISTED,
    MEMORY,
    PAGE,
    PRIVILEGED,
    REGION,
    REMOTE,
    Bench,
    Job,
)
from tb.model.opcodes import OPCODES

WRITE_ONLY, SEND_ONLY, SEND_MIDDLE = 0x0A, 0x04, 0x01
BARE = [0x0C, ACK, 0x12, 0x13, 0x14]
LOADED = [code for code in OPCODES if code < 0x18 and code not in BARE]
LENGTHS = [*range(6), 7, 8, 9, *range(54, 69), 70, 118, 119, 120, 122, *range(125, 132)]
LENGTHS += [190, 191, 192, 193, 200]


def piece(bench: Bench, length: int, offset: int | None = None):
    """A random piece of memory that starts at ``offset`` of a line."""
    key = random.choice((PRIVILEGED, REGION, LISTED))
    room = 64 * PAGE if key == LISTED else MEMORY
    at = random.randrange((room - length - 128) // 64) * 64
    at += random.randrange(64) if offset is None else offset
    return bench.segment(key, KEYS[key].base + at, length)


def packet(bench: Bench, qpn: int, opcode: int, cuts: list[int]) -> Job:
    """A packet whose payload comes in pieces of these lengths."""
    if 0x0D <= opcode <= 0x10:
        segments = [bench.segment(REMOTE, random.randrange(MEMORY - cut), cut, Access.REMOTE_READ)
                    for cut in cuts]  # fmt: skip
    else:
        segments = [piece(bench, cut) for cut in cuts]
    return bench.job(qpn, opcode, segments)


def random_cuts(total: int, pieces: int) -> list[int]:
    edges = sorted(random.randrange(total + 1) for _ in range(pieces - 1))
    return [b - a for a, b in zip([0, *edges], [*edges, total], strict=True)]


@cocotb.test()
async def first_frame(dut):
    bench = await Bench.start(dut)
    await bench.exchange([bench.job(0, WRITE_ONLY, [bench.segment(PRIVILEGED, 0x100, 64)])])
    await bench.exchange([bench.job(2, WRITE_ONLY, [bench.segment(PRIVILEGED, 0x109, 64)])])
    await bench.exchange([bench.job(3, SEND_ONLY, [bench.segment(REGION, 0x7000_0FFF, 1003)])])


@cocotb.test()
async def every_opcode_on_every_path(dut):
    bench = await Bench.start(dut)
    jobs = []
    for qpn in range(4):
        jobs += [packet(bench, qpn, code, [random.choice(LENGTHS)]) for code in LOADED]
        jobs += [bench.job(qpn, code, []) for code in BARE]
    for part in (0, 1):
        mine = [job for job in jobs if job.beats[0].response == part]
        await bench.exchange(mine)


@cocotb.test()
async def every_offset_and_length(dut):
    bench = await Bench.start(dut)
    bench.host.latency = 20
    for qpn, code in ((0, WRITE_ONLY), (1, SEND_ONLY), (2, WRITE_ONLY), (3, SEND_ONLY)):
        jobs = []
        for offset in range(64):
            for length in random.sample(LENGTHS, 3):
                at = random.randrange(1000) * 64 + offset
                jobs.append(bench.job(qpn, code, [bench.segment(PRIVILEGED, at, length)]))
        await bench.exchange(jobs)


@cocotb.test()
@cocotb.parametrize(length=(256, 512, 1024, 2048, 4096))
async def full_packets(dut, length):
    bench = await Bench.start(dut)
    jobs = []
    for qpn in range(4):
        for offset in random.sample(range(64), 4):
            jobs.append(bench.job(qpn, SEND_MIDDLE, [piece(bench, length, offset)]))
            jobs.append(bench.job(qpn, WRITE_ONLY, [piece(bench, length - 1, offset)]))
    await bench.exchange(jobs)


@cocotb.test()
@cocotb.parametrize(idle=("none", "mostly"), stall=("none", "half", "bursts"))
async def pieces_are_gathered(dut, idle, stall):
    bench = await Bench.start(dut, idle=idle, stall=stall)
    bench.host.latency = random.choice((0, 30, 250))
    jobs = []
    for _ in range(40):
        total = random.choice([*LENGTHS, 256, 1000, 4096])
        code = random.choice([c for c in LOADED if not 0x0D <= c <= 0x12])
        cuts = random_cuts(total, random.randint(1, 14))
        jobs.append(packet(bench, random.randrange(4), code, cuts))
    await bench.exchange(jobs)


@cocotb.test()
@cocotb.parametrize(stall=("none", "half"))
async def inline_payload(dut, stall):
    bench = await Bench.start(dut, stall=stall)
    for _ in range(3):
        jobs = []
        for _ in range(40):
            payload = random.randbytes(random.choice([0, 1, 31, 32, 33, 64, 96, 97, 223, 224]))
            qpn = random.randrange(4)
            jobs.append(await bench.inline_job(qpn, WRITE_ONLY, payload))
            jobs.append(packet(bench, qpn, SEND_ONLY, [random.choice(LENGTHS)]))
        await bench.exchange(jobs)


@cocotb.test()
async def both_sources_in_turn(dut):
    bench = await Bench.start(dut, stall="half")
    requests = [packet(bench, 0, WRITE_ONLY, random_cuts(100, 3)) for _ in range(60)]
    answers = [bench.job(2, ACK, []) for _ in range(60)]
    bench.send_nowait(*requests, *answers)
    await bench.settle(120)
    order = [frame[12:14] == b"\x86\xdd" for frame in bench.seen]
    assert sum(order[:40]) >= 18
    frames = bench.seen[:]
    for jobs, answer in ((requests, False), (answers, True)):
        bench.seen[:] = [f for f, o in zip(frames, order, strict=True) if o == answer]
        bench.check(jobs)
