"""The tests that a simulation loads: random traffic, as the seed and the environment say."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import cocotb
import pyuvm
from cocotb.task import Task
from cocotb.triggers import SimTimeoutError, Timer, with_timeout
from pyuvm import ConfigDB, uvm_test

from tb.nic.image import Region
from tb.nic.lane import Lane
from tb.nic.ndk import Host, World
from tb.nic.pair import Pair
from tb.streams import CLOCK_NS, reset, start_clock
from tb.uvm.audit import Audit
from tb.uvm.doomed import ENDS, DoomedPair
from tb.uvm.env import RnicEnv
from tb.uvm.knobs import knobs_from
from tb.uvm.launch import FUNCTIONAL, SUMMARY
from tb.uvm.sequence import Place
from tb.uvm.spoil import Spoil
from tb.uvm.stories import LifeOfALane
from tb.uvm.weather import Weather

T = TypeVar("T")
NAME = "random_traffic"
SEED = "COCOTB_RANDOM_SEED"
"""As it was given: cocotb mixes the name of the test into its own."""
TOTAL_BYTES = 900_000
LOOK = 2_000
"""Cycles between two looks at whether anything moves."""
PATIENCE_HEALTHY = 100_000
PATIENCE = 600_000
PHASE = 3_000_000
"""Cycles for a phase that only asks the adapters: far more than it needs, yet not for ever."""
FAST_PAGES = 8
DOOMED_BYTES = 400_000


@pyuvm.test()
class RandomTraffic(uvm_test):
    """Lanes live their lives at once; then everything is checked and taken down."""

    def build_phase(self) -> None:
        """Phase: adapters, link, world, environment."""
        self.knobs = knobs_from(int(os.environ[SEED]))
        knobs = self.knobs
        dut = cocotb.top
        start_clock(dut)
        self.pair = Pair(
            dut,
            seed=knobs.seed,
            timing=knobs.timing,
            pcap=f"{NAME}.pcap",
            keep=False,
            delay=knobs.wire_delay,
            rate=knobs.rate,
        )
        self.world = World(self.pair, NAME, knobs.seed, small=False)
        self.spoil = Spoil.from_environment()
        for name, value in (("WORLD", self.world), ("KNOBS", knobs), ("SPOIL", self.spoil)):
            ConfigDB().set(None, "*", name, value)
        self.env = RnicEnv("env", self)
        self.audit = Audit
        self.verdict = "broken off"

    async def run_phase(self) -> None:
        """Phase: the whole run."""
        self.raise_objection()
        self.world.progress.tell("start", cycle=self.world.now())
        self.logger.info(f"knobs: {self.knobs.as_json()}")
        try:
            await reset(cocotb.top)
            await self._live()
        except BaseException as error:
            self.verdict = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._report()
        self.drop_objection()

    async def _live(self) -> None:
        audit = Audit(self.env)
        self.audit = audit
        await within(self.env.bring_up(), "bringing up")
        self.env.watch_results()
        places = await within(self._places(), "connecting")
        doomed = [await self._doomed() for _ in range(self.knobs.doomed)]
        lives = [cocotb.start_soon(self._life(place)) for place in places]
        lives += [cocotb.start_soon(pair.live()) for pair in doomed]
        weather = None
        if self.knobs.weather:
            sequence, sequencer = Weather(self.knobs), self.env.wire.sequencer
            weather = cocotb.start_soon(sequence.start(sequencer))
        await self._all(lives)
        if weather is not None:
            weather.cancel()
        for pair in doomed:
            pair.settle()
        if self.spoil.kind == "byte":
            self.world.spoil()
        self.env.coverage.rings(self.world.lanes)
        self.env.coverage.pairs(len(self.env.lanes) // 2)
        await within(audit.at_rest(), "looking at what is at rest")
        await within(audit.all_gone(), "taking down")
        left = self.env.left()
        assert not left, f"left over: {left[:12]}"
        self.verdict = "ok"

    # ------------------------------------------------------------ where lanes live

    async def _places(self) -> list[Place]:
        knobs = self.knobs
        for _ in range(knobs.qps):
            await self.env.join()
        if knobs.raw_qps:
            await self.env.open_raw()
        for number in range(knobs.raw_qps):
            await self.env.join_raw(number)
        lanes = self.env.lanes
        self._each = -(-knobs.operations // len(lanes))
        memory = {side: await self._memory(host) for side, host in self.world.hosts.items()}
        return [self._place(lane, memory) for lane in lanes]

    async def _memory(self, host: Host) -> list[Region]:
        """Regions of several kinds, each large enough for most of it."""
        gaps = 3000 * (self.knobs.operations + 40 * len(self.env.lanes))
        size = TOTAL_BYTES + 40 * self.knobs.largest + gaps
        return [
            await host.region(size),
            await host.region(size // 2, scattered=False),
            host.privileged(size // 2, scattered=False),
        ]

    def _place(self, lane: Lane, memory: dict[str, list[Region]]) -> Place:
        knobs = self.knobs
        own, other = memory[lane.here.name], memory[lane.there.name]
        raw = lane in self.env.raw_lanes
        return Place(
            self.world, knobs, lane, own, other[:2],
            self.env.consumers[lane.here.name].sequencer,
            self.env.consumers[lane.there.name].sequencer,
            random.Random(f"{knobs.seed} {lane.name}"),
            budget=self._each,
            bytes_left=TOTAL_BYTES // len(self.env.lanes),
            pmtu=self.env.predictor.flows[lane.name].config.pmtu,
            raw=raw,
            words=[self.env.words[lane.there.name]] if raw and knobs.atomics else [],
        )  # fmt: skip

    async def _doomed(self) -> DoomedPair:
        """A pair that will end early, with memory of its own."""
        lane = await self.env.join(doomed=True)
        memory = {
            side: [
                await host.region(DOOMED_BYTES),
                await host.region(DOOMED_BYTES, scattered=False),
            ]
            for side, host in self.world.hosts.items()
        }
        there, back = self._place(lane, memory), self._place(lane.back, memory)
        there.bytes_left = back.bytes_left = DOOMED_BYTES // 8
        how = self.world.rng.choice(ENDS)
        self.env.coverage.ended(how)
        return DoomedPair(there, back, how)

    async def _life(self, place: Place) -> None:
        fast = []
        often = 1.0 if self.knobs.taste == "invalidation" else 0.3
        if place.rng.random() < often and not place.raw:
            there = place.lane.there
            mr = await there.fast_region(FAST_PAGES)
            fast = [(mr, there.memory(20_000))]
        await LifeOfALane(place, fast).start(place.sequencer)

    # ------------------------------------------------------------ waiting

    async def _all(self, lives: list[Task[Any]]) -> None:
        """Wait for the lanes and for whatever is still under way behind them, if it moves."""
        lived = cocotb.start_soon(_wait(lives))
        patience = PATIENCE_HEALTHY if self.knobs.healthy else PATIENCE
        last, quiet = -1, 0
        while not lived.done() or self.env.left():
            await Timer(LOOK * CLOCK_NS, "ns")
            await self.world.raise_failure()
            now = self.world.completed
            quiet = 0 if now != last else quiet + LOOK
            last = now
            if quiet > patience:
                left = self.env.left()
                self.world.failed(AssertionError(f"nothing completes any more; open: {left[:12]}"))
                await self.world.raise_failure()
        await lived

    def _report(self) -> None:
        """What the parent adds up, whatever the verdict."""
        flows = self.env.predictor.flows.values()
        counts: dict[str, int] = {}
        for flow in flows:
            for name, value in flow.counts.items():
                counts[name] = counts.get(name, 0) + value
        link = self.pair.link
        stats = getattr(self.audit, "stats", {})
        summary = {
            "seed": self.knobs.seed,
            "verdict": self.verdict[:2000],
            "knobs": json.loads(self.knobs.as_json()),
            "operations": self.world.completed,
            "messages": sum(len(flow.messages) for flow in flows),
            "frames": link.ab.sent + link.ba.sent,
            "cycles": self.world.now(),
            "faults": dict(self.env.wire.driver.counts),
            "wire": counts,
            "stats": {side: {k: v for k, v in s.items() if v} for side, s in stats.items()},
        }
        Path(SUMMARY).write_text(json.dumps(summary, indent=1))
        self.env.coverage.save(Path(FUNCTIONAL))
        ok = self.verdict == "ok"
        self.world.progress.tell("end", ok=ok, why=self.verdict[:500], cycle=self.world.now())
        self.world.progress.close()


async def within(phase: Coroutine[Any, Any, T], what: str) -> T:
    """A phase that waits for the adapters and nothing else; it has an end, or the run fails."""
    try:
        return await with_timeout(phase, PHASE * CLOCK_NS, "ns")
    except SimTimeoutError:
        raise AssertionError(f"{what} does not come to an end") from None


async def _wait(lives: list[Task[Any]]) -> None:
    for life in lives:
        await life
