"""rnic_host_read: every client gets its lines, in its order, whatever overtakes what."""

from __future__ import annotations

import random

import cocotb

from tb.blocks.host_bench import LINE, SLOW, Bench, Resp, Timing, random_piece, span
from tb.streams import cycles


def ask(bench: Bench, contents: list[bytearray], count: int) -> list[list[tuple[bytes, bool]]]:
    """Random requests of all clients; returns the lines each must get, and which end a request."""
    expected: list[list[tuple[bytes, bool]]] = [[] for _ in contents]
    for _ in range(count):
        client = random.randrange(bench.clients)
        offset, length = random_piece()
        bench.read(client, offset, length)
        places = span(offset, length)
        for at in places:
            last = at == places[-1]
            expected[client].append((bytes(contents[client][at : at + LINE]), last))
    return expected


def got(bench: Bench) -> list[list[tuple[bytes, bool]]]:
    """The lines that came."""
    return [
        [(line.data.to_bytes(LINE, "little"), bool(line.last)) for line in lane]
        for lane in bench.read_lines
    ]


async def exchange(bench: Bench, count: int) -> None:
    """All lines of random requests come, in order per client, and nothing else."""
    contents = [bench.fill(client) for client in range(bench.clients)]
    expected = ask(bench, contents, count)
    total = sum(map(len, expected))
    await bench.until(lambda: sum(map(len, bench.read_lines)) >= total)
    await bench.quiet()
    assert got(bench) == expected
    assert not any(line.error for lane in bench.read_lines for line in lane)


@cocotb.test()
@cocotb.parametrize(
    idle=["none", "half", "bursts"],
    interleave=[False, True],
    stall=[False, True],
)
async def lines_reach_their_client_in_order(dut, idle, interleave, stall):
    timing = Timing(
        read_latency=random.choice((0, 7, 40)),
        reorder=interleave,
        interleave=interleave,
        stall=SLOW if stall else {},
    )
    bench = await Bench.start(dut, timing, idle)
    await exchange(bench, 60)


@cocotb.test()
async def an_error_marks_the_lines_of_its_request(dut):
    bench = await Bench.start(dut, Timing(read_latency=5, reorder=True, interleave=True))
    bad = bench.regions[-1].address + 4096
    bench.axi.inject(Resp.SLVERR, address=bad, size=64)
    bench.axi.inject(Resp.DECERR, address=bad + 64, size=64)
    for client in range(bench.clients):
        for offset, length in ((0, 256), (4096 + 10, 20), (4096 + 64, 128), (4096 + 128, 64)):
            bench.read(client, offset, length)
    await bench.until(lambda: sum(map(len, bench.read_lines)) == 8 * bench.clients)
    for client, lane in enumerate(bench.read_lines):
        wrong = client == bench.clients - 1
        assert [line.error for line in lane] == [0] * 4 + [wrong] * 3 + [0]


@cocotb.test()
async def reset_in_mid_burst_starts_anew(dut):
    bench = await Bench.start(dut, Timing(read_latency=10, interleave=True, reorder=True))
    contents = [bench.fill(client) for client in range(bench.clients)]
    ask(bench, contents, 40)
    await bench.until(lambda: sum(map(len, bench.read_lines)) > 30)
    await bench.reset()
    await cycles(dut, 30)
    assert not any(bench.read_lines)
    await exchange(bench, 30)


@cocotb.test()
async def one_address_per_cycle(dut):
    bench = await Bench.start(dut, Timing(read_latency=20))
    for index in range(200):
        for client in range(bench.clients):
            bench.read(client, index * 64 % 4096, 64)
    total = 200 * bench.clients
    await bench.until(lambda: sum(map(len, bench.read_lines)) == total)
    took = bench.address_cycles[-1] - bench.address_cycles[0] + 1
    dut._log.info("%d addresses in %d cycles", total, took)
    assert took == total
    assert bench.read_cycles[-1] - bench.read_cycles[0] + 1 <= total + 2


@cocotb.test()
async def one_line_per_cycle(dut):
    bench = await Bench.start(dut, Timing(read_latency=250))
    for index in range(10):
        for client in range(bench.clients):
            bench.read(client, index % 4 * 4096, 4096)
    total = 10 * 64 * bench.clients
    await bench.until(lambda: sum(map(len, bench.read_lines)) == total)
    took = bench.read_cycles[-1] - bench.read_cycles[0] + 1
    dut._log.info("%d lines in %d cycles", total, took)
    assert took == total


@cocotb.test()
async def clients_take_turns(dut):
    bench = await Bench.start(dut, Timing(read_latency=2))
    for _ in range(50):
        for client in range(bench.clients):
            bench.read(client, 0, 64)
    await bench.until(lambda: sum(map(len, bench.read_lines)) >= 25 * bench.clients)
    counts = [len(lane) for lane in bench.read_lines]
    assert max(counts) - min(counts) <= 1
