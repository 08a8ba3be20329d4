"""The environment: two adapters on a link, a consumer on each, an agent on the wire, the judges.

```
  consumer a ── posted, results ─┐                         ┌─ posted, results ── consumer b
      │ NDKPI                    ├─► predictor (tb/model)  │                        │ NDKPI
  provider, adapter a ═══ wire agent: sent, arrived, faults ═══ provider, adapter b
                                 ├─► completion board, wire board, memory
                                 └─► coverage
```
"""

from __future__ import annotations

from pyuvm import uvm_env

from driver_model.hw.send_queue import PushMode
from spec.fields import Register
from spec.registers import (
    CnpReg,
    CongestionReg,
    DcqcnAlphaReg,
    DcqcnCutReg,
    DcqcnIncreaseReg,
    DcqcnMonitorReg,
    DcqcnTimerReg,
    OptionsReg,
)
from tb.nic.image import Region
from tb.nic.lane import Lane
from tb.nic.ndk import MTUS, World
from tb.uvm.boards import CompletionBoard, WireBoard
from tb.uvm.consumer import ConsumerAgent
from tb.uvm.coverage import Coverage
from tb.uvm.doomed import DOOMED
from tb.uvm.knobs import PSN_BITS, Knobs
from tb.uvm.predictor import Predictor
from tb.uvm.raw import RawSide
from tb.uvm.wire import WireAgent

WORDS = 100_000
NEAR = 600
"""PSNs before the wrap where a connection may begin."""


def registers_of(knobs: Knobs) -> list[Register]:
    """What the adapters are told beyond their defaults; DCQCN so quick that runs stay short."""
    options = OptionsReg(ack_every=knobs.ack_every, ack_delay=knobs.ack_delay)
    if not knobs.paced:
        return [options]
    return [
        options,
        CongestionReg(ecn=1, cnp=1, dcqcn=1),
        CnpReg(interval=2),
        DcqcnCutReg(min_rate=4000, min_factor=128),
        DcqcnMonitorReg(period=1, burst=4096),
        DcqcnAlphaReg(period=3, gain=256),
        DcqcnTimerReg(period=2, stages=5),
        DcqcnIncreaseReg(additive=4000, hyper=20_000),
    ]


class RnicEnv(uvm_env):
    """Builds and connects; `bring_up` and `join` do what takes simulated time."""

    def build_phase(self) -> None:
        """Phase: every component."""
        self.world: World = self.cdb_get("WORLD")
        self.knobs: Knobs = self.cdb_get("KNOBS")
        self.consumers = {side: ConsumerAgent(f"consumer_{side}", self) for side in "ab"}
        self.wire = WireAgent("wire", self)
        self.predictor = Predictor("predictor", self)
        self.completions = CompletionBoard("completions", self)
        self.frames = WireBoard("frames", self)
        self.coverage = Coverage("coverage", self)
        self.raw: dict[str, RawSide] = {}
        self.raw_lanes: list[Lane] = []
        self.doomed: list[Lane] = []
        self.words: dict[str, Region] = {}

    def connect_phase(self) -> None:
        """Phase: monitors to judges; the wire board looks before coverage counts."""
        self.frames.predictor = self.coverage.predictor = self.predictor
        for consumer in self.consumers.values():
            consumer.driver.posted.connect(self.predictor.analysis_export)
            consumer.driver.posted.connect(self.coverage.analysis_export)
            consumer.monitor.results.connect(self.completions.analysis_export)
            consumer.monitor.results.connect(self.coverage.analysis_export)
        self.wire.monitor.sent.connect(self.frames.analysis_export)
        self.wire.monitor.sent.connect(self.coverage.analysis_export)
        self.wire.monitor.arrived.connect(self.frames.arrivals)

    async def bring_up(self) -> None:
        """Both adapters, their providers, their completion queues."""
        knobs = self.knobs
        needed = 2 * knobs.depth * (knobs.qps + knobs.doomed)
        depth = max(needed, knobs.cq_depth)
        push, credits = PushMode[knobs.push], knobs.credits
        await self.world.open(push, depth, serve=False, credits=credits)
        for host in self.world.hosts.values():
            for register in registers_of(knobs):
                host.device.write32(register.ADDRESS, register.to_int())

    def watch_results(self) -> None:
        """From now on results are taken."""
        for side, consumer in self.consumers.items():
            consumer.monitor.begin(self.world.hosts[side])

    async def join(self, doomed: bool = False) -> Lane:
        """A connected pair of queue pairs; the predictor knows both of its lanes."""
        knobs, rng = self.knobs, self.world.rng
        mtu = knobs.mtu or rng.choice([256, 512, 1024, 2048, 4096])
        gid = rng.choice(knobs.versions)
        psns = (self._psn(), self._psn())
        attributes = {
            "timeout": knobs.timeout, "min_rnr_timer": knobs.min_rnr_timer, "rnr_retry": 7,
            **({"vlan": knobs.vlan} if knobs.vlan else {}),
        }  # fmt: skip
        lane = await self.world.connect(
            mtu,
            gid,
            depth=(knobs.depth, knobs.depth),
            psns=psns,
            **attributes | (DOOMED if doomed else {}),
        )
        end_a = lane.qp.out_of_band_endpoint(gid, psn=psns[0])
        end_b = lane.peer.out_of_band_endpoint(gid, psn=psns[1])
        self.predictor.add(lane, end_a, end_b, mtu, knobs.vlan)
        self.predictor.add(lane.back, end_b, end_a, mtu, knobs.vlan)
        if doomed:
            self.doomed += [lane, lane.back]
            for one in (lane, lane.back):
                self.predictor.flows[one.name].doomed = True
        return lane

    async def join_raw(self, number: int) -> Lane:
        """The same without providers."""
        knobs, rng, world = self.knobs, self.world.rng, self.world
        mtu = knobs.mtu or rng.choice([256, 512, 1024, 2048, 4096])
        gid, psns, name = rng.choice(knobs.versions), (self._psn(), self._psn()), f"raw {number}"
        a, b = [await self.raw[side].create(name) for side in "ab"]
        rest = {
            "timeout": knobs.timeout, "min_rnr_timer": knobs.min_rnr_timer, "vlan": knobs.vlan,
            "vlan_valid": int(knobs.vlan > 0),
        }  # fmt: skip
        await a.connect(b, psns, gid, MTUS[mtu], **rest)
        await b.connect(a, psns[::-1], gid, MTUS[mtu], **rest)
        at_a, at_b = world.a.desk.add(name, a), world.b.desk.add(name, b)
        there = Lane(f"{name} a>b", world.a, world.b, a, b, at_a.sends, at_b.receives)
        there.back = Lane(f"{name} b>a", world.b, world.a, b, a, at_b.sends, at_a.receives)
        there.back.back = there
        ends = a.endpoint(gid, psns[0]), b.endpoint(gid, psns[1])
        self.predictor.add(there, *ends, mtu, knobs.vlan)
        self.predictor.add(there.back, *ends[::-1], mtu, knobs.vlan)
        self.raw_lanes += [there, there.back]
        return there

    async def open_raw(self) -> None:
        """A completion queue and memory for atomics on each side, where knobs want raw pairs."""
        for side, host in self.world.hosts.items():
            self.raw[side] = RawSide(host)
            await self.raw[side].open()
            self.consumers[side].monitor.begin_raw(self.raw[side])
            self.words[side] = host.memory(WORDS, scattered=False)
            await self.raw[side].register(self.words[side])

    def _psn(self) -> int:
        top = 1 << PSN_BITS
        if self.knobs.near_wrap:
            return top - self.world.rng.randint(1, NEAR)
        return self.world.rng.randrange(top)

    @property
    def lanes(self) -> list[Lane]:
        """All of them."""
        return self.world.lanes + self.raw_lanes

    def left(self) -> list[str]:
        """What the judges still wait for."""
        return self.completions.left() + self.frames.left()

    def check_phase(self) -> None:
        """Phase: nothing is left over."""
        left = self.left()
        assert not left, f"left over: {left[:12]}"
