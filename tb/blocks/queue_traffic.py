"""Random work on many queue pairs: every entry comes out once, in order, with the right packets."""

from __future__ import annotations

import random

import cocotb
from cocotb.handle import SimHandleBase

from spec.codes import Mtu
from tb.blocks.queue_bench import Bench
from tb.blocks.queue_host import Host, Qp
from tb.blocks.queue_work import random_work

DEPTH = 8
"""MSG_DEPTH of the build, small so that windows close often."""


class Driver:
    """Posts on random QPs and rings in every way a driver may."""

    def __init__(self, host: Host, seed: int, most: int = 20_000) -> None:
        self.host = host
        self.rng = random.Random(seed)
        self.most = most
        self.posted = 0
        self.waiting: dict[int, int] = {}

    async def create(self, count: int) -> None:
        """QPs of all shapes."""
        for qpn in range(count):
            log = self.rng.choice((2, 2, 3, 4, 6, 7))
            # Rings that begin just before a page's end, too.
            base = 0x10_0000 * (qpn + 1) + 64 * self.rng.choice((0, 60, 62, 63))
            await self.host.create(
                qpn,
                self.rng.choice((0, 0xFFFFF0, self.rng.getrandbits(24))),
                sq_log=log,
                sq_base=base,
                path_mtu=int(self.rng.choice(list(Mtu))),
                max_rd_atomic=self.rng.choice((1, 2, 16, 31)),
            )

    def step(self) -> None:
        """Perhaps post, perhaps ring."""
        qp = self.rng.choice(list(self.host.qps.values()))
        if qp.down or qp.flushing:
            return
        for _ in range(self.rng.choice((1, 1, 1, 4))):
            self._post(qp)
        if qp.rung != qp.producer and self.rng.random() < 0.5:
            self.host.ring(qp)
        if self.rng.random() < 0.1 and qp.rung:
            # A doorbell that was overtaken.
            self.host.bench.ring(qp.number, qp.rung - self.rng.randint(0, min(qp.rung, 200)))

    def _post(self, qp: Qp) -> None:
        work = random_work(self.rng, qp.mtu, self.rng.getrandbits(32), self.most)
        if work.blocks > self.host.room(qp):
            return
        self.posted += 1
        if work.blocks == 1 and qp.rung == qp.producer and self.rng.random() < 0.5:
            self.host.push(qp, work)
        else:
            self.host.post(qp, work)

    def ring_all(self) -> None:
        """The last doorbells."""
        for qp in self.host.qps.values():
            if qp.rung != qp.producer:
                self.host.ring(qp)

    async def run(self, steps: int) -> None:
        """Post for so many steps, then wait for the end."""
        for _ in range(steps):
            self.step()
            await self.host.bench.cycles(self.rng.choice((0, 1, 3, 10, 40)))
        self.ring_all()
        await self.host.finish()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3], latency=[(3, 6), (60, 250)])
async def every_entry_comes_out_once(
    dut: SimHandleBase, stall: float, latency: tuple[int, int]
) -> None:
    bench = await Bench.start(dut, stall=stall, latency=latency)
    host = Host(bench, DEPTH)
    driver = Driver(host, random.getrandbits(32))
    await driver.create(7)
    await driver.run(220)
    assert host.retired == driver.posted
    assert bench.events["bad"] == 0
    assert bench.entered == bench.left
    dut._log.info(f"{driver.posted} entries, {len(bench.packets)} beats, {bench.cycle} cycles, "
                  f"{len(bench.parks)} parks, {bench.read_count} reads")  # fmt: skip


@cocotb.test()
async def queue_pairs_that_fail_are_flushed_whole(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, stall=0.1, latency=(3, 40))
    host = Host(bench, DEPTH)
    driver = Driver(host, random.getrandbits(32), most=60_000)
    await driver.create(8)
    for round_number in range(160):
        driver.step()
        if round_number % 18 == 17:
            qp = host.qps[round_number // 18 % 8]
            if not qp.down:
                host.fail(qp)
        await bench.cycles(driver.rng.choice((0, 1, 3, 10, 40)))
    driver.ring_all()
    await host.finish()
    assert host.retired == driver.posted


@cocotb.test()
async def a_reset_forgets_everything(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, stall=0.2, latency=(20, 60))
    host = Host(bench, DEPTH)
    driver = Driver(host, random.getrandbits(32))
    await driver.create(6)
    for _ in range(3):
        for _ in range(40):
            driver.step()
            await bench.cycles(2)
        await bench.reset()
        host.qps.clear()
        await driver.create(6)
    driver.posted = host.retired = 0
    await driver.run(60)
    assert host.retired == driver.posted
