"""rnic_host_write: every byte lands, bursts keep their order, every client hears of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import cocotb

from tb.blocks.host_bench import LINE, REGION, SLOW, Bench, Resp, Timing, random_piece, span
from tb.streams import cycles


@dataclass
class Model:
    """What the memory must hold and the clients must hear; a region's last page gives errors."""

    contents: list[bytearray]
    done: list[list[int]] = field(default_factory=list)

    @classmethod
    def of(cls, bench: Bench) -> Model:
        contents = [bench.fill(client) for client in range(bench.clients)]
        return cls(contents, [[] for _ in contents])

    def write(self, bench: Bench, client: int, bad_page: bool) -> None:
        """A random write, of which the memory sees only the strobed bytes."""
        offset, length = random_piece()
        places = span(offset, length)
        wrong = bad_page and offset >= REGION - 4096
        data, strobes = [], []
        for at in places:
            inside = [offset <= at + byte < offset + length for byte in range(LINE)]
            if random.random() < 0.3:
                inside = [on and random.random() < 0.5 for on in inside]
            line = random.randbytes(LINE)
            data.append(int.from_bytes(line, "little"))
            strobes.append(sum(1 << byte for byte, on in enumerate(inside) if on))
            if not wrong:
                for byte, on in enumerate(inside):
                    if on:
                        self.contents[client][at + byte] = line[byte]
        self.done[client].append(int(wrong))
        bench.write(client, offset, data, strobes)


async def exchange(bench: Bench, count: int, bad_page: bool = False) -> None:
    """Random writes of all clients land and are answered."""
    model = Model.of(bench)
    for _ in range(count):
        model.write(bench, random.randrange(bench.clients), bad_page)
    await bench.until(lambda: sum(map(len, bench.done)) >= count)
    await bench.quiet()
    assert bench.done == model.done
    for client, region in enumerate(bench.regions):
        assert bench.memory.read(region.address, REGION) == bytes(model.contents[client])


@cocotb.test()
@cocotb.parametrize(idle=["none", "half", "bursts"], stall=[False, True], latency=[0, 30])
async def every_byte_lands_and_every_burst_is_answered(dut, idle, stall, latency):
    bench = await Bench.start(dut, Timing(write_latency=latency, stall=SLOW if stall else {}), idle)
    await exchange(bench, 60)


@cocotb.test()
async def an_error_is_told_to_the_client_of_the_burst(dut):
    bench = await Bench.start(dut, Timing(write_latency=20, stall=SLOW))
    for region, resp in zip(bench.regions, [Resp.SLVERR, Resp.DECERR] * 8, strict=False):
        bench.axi.inject(resp, address=region.address + REGION - 4096, size=4096)
    await exchange(bench, 100, bad_page=True)


@cocotb.test()
async def reset_in_mid_burst_starts_anew(dut):
    bench = await Bench.start(dut, Timing(write_latency=30, stall={"w": 0.3}))
    model = Model.of(bench)
    for _ in range(60):
        model.write(bench, random.randrange(bench.clients), False)
    await bench.until(lambda: len(bench.write_cycles) > 40)
    await bench.reset()
    await cycles(dut, 60)
    assert not any(bench.done)
    await exchange(bench, 30)


@cocotb.test()
async def late_data_holds_others_up_and_no_more(dut):
    bench = await Bench.start(dut)
    lines = [random.getrandbits(512) for _ in range(4)]
    full = [(1 << LINE) - 1] * 4
    bench.offer_write(0, 0, 4)
    await cycles(dut, 5)
    for client in range(1, bench.clients):
        bench.write(client, 0, lines, full)
    await cycles(dut, 60)
    assert not bench.write_cycles
    bench.offer_lines(0, lines, full)
    await bench.until(lambda: all(bench.done))
    data = b"".join(line.to_bytes(LINE, "little") for line in lines)
    for region in bench.regions:
        assert bench.memory.read(region.address, 4 * LINE) == data


@cocotb.test()
@cocotb.parametrize(beats=[1, 2, 3, 64])
async def no_gap_between_bursts(dut, beats):
    bench = await Bench.start(dut, Timing(write_latency=20))
    bursts = 400 // beats // bench.clients + 3
    for index in range(bursts):
        for client in range(bench.clients):
            lines = [random.getrandbits(512) for _ in range(beats)]
            offset = index % (4096 // 64 // beats) * beats * 64
            bench.write(client, offset, lines, [(1 << LINE) - 1] * beats)
    total = bursts * beats * bench.clients
    await bench.until(lambda: sum(map(len, bench.done)) == bursts * bench.clients)
    took = bench.write_cycles[-1] - bench.write_cycles[0] + 1
    dut._log.info("%d lines in %d cycles", total, took)
    assert len(bench.write_cycles) == total
    assert took == total


@cocotb.test()
async def up_to_256_bursts_wait_for_their_answer(dut):
    bench = await Bench.start(dut, Timing(write_latency=400))
    for index in range(400):
        bench.write(index % bench.clients, 0, [index], [1])
    await bench.until(lambda: sum(map(len, bench.done)) == 400)
    assert bench.axi.counters.peak_writes == 256
