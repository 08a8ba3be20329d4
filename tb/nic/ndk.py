"""Two adapters on a wire, each with its NDK provider and what a consumer makes of it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import cocotb
from cocotb.triggers import Event, SimTimeoutError, with_timeout

from driver_model.facade import ALL_RIGHTS, Facade
from driver_model.hw.nic import NicConfig
from driver_model.hw.send_queue import PushMode
from driver_model.memory import pages_spanned
from driver_model.mr import Mr
from driver_model.ndkpi import PAGE_SIZE, Out
from driver_model.out_of_band import OutOfBandPath
from driver_model.pd import Pd
from spec.codes import DropReason, Mtu, Stat
from spec.registers import stat_address
from tb.host import SimDevice
from tb.nic.desk import Desk, Work
from tb.nic.image import Region
from tb.nic.lane import Lane
from tb.nic.moves import Move
from tb.nic.pair import PORTS, Pair
from tb.nic.progress import Progress, Row
from tb.streams import CLOCK_NS, cycles

ADDRESSES = {"a": ("10.0.0.1", "2001:db8::1"), "b": ("10.0.0.2", "2001:db8::2")}
STALLED_NS = 400_000
PAUSE = 40
MTUS = {256: Mtu.BYTES_256, 512: Mtu.BYTES_512, 1024: Mtu.BYTES_1024, 2048: Mtu.BYTES_2048,
        4096: Mtu.BYTES_4096}  # fmt: skip
NEVER = (
    Stat.TX_NAKS, Stat.TX_RNR_NAKS, Stat.RX_NAKS, Stat.RX_RNR_NAKS, Stat.RETRANSMISSIONS,
    Stat.TIMEOUTS, Stat.DMA_READ_ERRORS, Stat.DMA_WRITE_ERRORS, Stat.TX_ABORTED,
    Stat.BAD_DOORBELLS, Stat.QP_ERRORS, Stat.TX_STALE,
)  # fmt: skip
"""Counters that stay at zero when nothing goes wrong."""


class Host:
    """One computer: adapter, provider, memory."""

    def __init__(self, name: str, device: SimDevice, rng: random.Random) -> None:
        self.name, self.device, self.rng = name, device, rng
        self.regions: list[Region] = []
        self.mrs: list[Mr] = []
        self.facade: Facade
        self.pd: Pd
        self.desk: Desk
        self.credits = True

    async def open(self, world: World, push: PushMode, cq_depth: int, credits: bool = True) -> None:
        """Bring the adapter up; one PD and one CQ."""
        self.credits = credits
        config = NicConfig(
            mac=PORTS[self.name].mac, addresses=ADDRESSES[self.name], push=push, credits=credits
        )
        self.facade = await Facade.open(self.device, config, Event)
        self.pd = await self.facade.create_pd()
        cq = await self.facade.create_cq(cq_depth)
        self.desk = Desk(self.name, cq, world.work_done, world.failed)

    def memory(self, size: int, scattered: bool = True) -> Region:
        """Memory that nobody registered yet, in pages that nobody else uses."""
        lead = self.rng.randint(100, 3000)
        count = pages_spanned(lead, size + 100)
        buffer = self.facade.memory.allocate(count * PAGE_SIZE, scattered=scattered)
        region = Region(buffer, lead, size, self.rng)
        self.regions.append(region)
        return region

    async def region(self, size: int, flags: int = ALL_RIGHTS, scattered: bool = True) -> Region:
        """Normally registered memory; the registration begins and ends inside pages."""
        region = self.memory(size, scattered)
        mdl = region.buffer.mdl_of(region.lead, size)
        mr = await self.facade.register(self.pd, mdl, flags)
        self.mrs.append(mr)
        region.token = mr.get_local_token_from_mr()
        return region

    def privileged(self, size: int, scattered: bool = True) -> Region:
        """Memory that work requests name by bus addresses."""
        region = self.memory(size, scattered)
        token: Out[int] = Out()
        self.pd.get_privileged_memory_region_token(token)
        assert token.value is not None
        region.token, region.privileged = token.value, True
        if region.contiguous:
            region.base = region.buffer.logical()
        return region

    async def fast_region(self, pages: int) -> Mr:
        """A region for fast registrations."""
        mr = await self.facade.initialize_fast_register(self.pd, pages)
        self.mrs.append(mr)
        return mr

    @property
    def rung(self) -> bool:
        """Every doorbell has reached the adapter."""
        return self.device.doorbells.idle

    async def counters(self) -> dict[str, int]:
        """Statistics that must be zero and are not, and the packets that left and came."""
        wrong = {}
        for stat in NEVER:
            if value := await self.device.read32(stat_address(stat)):
                wrong[stat.name] = value
        for reason in DropReason:
            if reason is DropReason.NONE:
                continue
            if value := await self.device.read32(stat_address(Stat.DROP + reason)):
                wrong[f"DROP {reason.name}"] = value
        return wrong


class World:
    """Both hosts, the wire, and the bookkeeping of one scenario."""

    def __init__(self, pair: Pair, name: str, seed: int, small: bool) -> None:
        self.pair, self.name, self.small = pair, name, small
        self.rng = random.Random(f"{seed} {name}")
        self.hosts = {
            side: Host(side, pair.devices[side], random.Random(f"{seed} {name} {side}"))
            for side in "ab"
        }
        self.a, self.b = self.hosts["a"], self.hosts["b"]
        self.lanes: list[Lane] = []
        self.progress = Progress(name)
        self.rows: list[Row] = []
        self._moved = Event()
        self._failure: Exception | None = None
        self._completed = 0

    async def open(
        self,
        push: PushMode = PushMode.INLINE_WHEN_EMPTY,
        cq_depth: int = 4096,
        serve: bool = True,
        credits: bool = True,
    ) -> None:
        """Bring both sides up; without `serve` somebody else takes the results."""
        for host in self.hosts.values():
            await host.open(self, push, cq_depth, credits)
            if serve:
                cocotb.start_soon(host.desk.serve())

    # ------------------------------------------------------------ connections

    async def connect(
        self,
        mtu: int = 4096,
        gid_index: int = 0,
        depth: tuple[int, int] = (64, 64),
        psns: tuple[int | None, int | None] = (None, None),
        **path: int,
    ) -> Lane:
        """A queue pair on each side, connected: the lane from a to b; its `back` is the other."""
        number = len(self.lanes) // 2
        qp_a, qp_b = [
            await host.facade.create_qp(
                host.pd, host.desk.waited, host.desk.waited, context=f"qp {number}", depth=depth
            )
            for host in (self.a, self.b)
        ]
        way = OutOfBandPath(path_mtu=MTUS[mtu], **path)
        end_a = qp_a.out_of_band_endpoint(gid_index, psn=psns[0])
        end_b = qp_b.out_of_band_endpoint(gid_index, psn=psns[1])
        await self.a.facade.connect_out_of_band(qp_a, end_a, end_b, way)
        await self.b.facade.connect_out_of_band(qp_b, end_b, end_a, way)
        at_a = self.a.desk.add(f"qp {number}", qp_a)
        at_b = self.b.desk.add(f"qp {number}", qp_b)
        there = Lane(f"{number} a>b", self.a, self.b, qp_a, qp_b, at_a.sends, at_b.receives)
        back = Lane(f"{number} b>a", self.b, self.a, qp_b, qp_a, at_b.sends, at_a.receives)
        there.back, back.back = back, there
        self.lanes += [there, back]
        return there

    # ------------------------------------------------------------ running

    def now(self) -> int:
        """Clock cycles since the simulation began."""
        return self.a.device.now_ns() // CLOCK_NS

    async def run(self, moves: Sequence[Move], label: str = "", sizes: str = "") -> int:
        """Post all, in order, and wait for all; the cycles from the first post to the end."""
        for move in moves:
            move.prepare()
        await self.rung()
        start = self.now()
        for move in moves:
            await self.post(move)
        await self.finished([work for move in moves for work in move.works if not work.silent])
        taken = self.now() - start
        if label:
            self.row(label, sizes, moves, taken)
        return taken

    async def post(self, move: Move) -> None:
        """Post as soon as its queue has room: silent successes make room without a result."""
        for _ in range(STALLED_NS // CLOCK_NS // PAUSE):
            if move.post():
                return
            await self.raise_failure()
            await self.pause(PAUSE)
        self.failed(AssertionError(f"{move.lane.name}: the queue stays full"))
        await self._progress_made(move.work.name)

    async def pause(self, count: int) -> None:
        """Let clock cycles pass."""
        await cycles(self.pair.dut, count)

    def row(self, label: str, sizes: str, moves: Sequence[Move], taken: int) -> None:
        """A line of the table."""
        row = Row(label, sizes, len(moves), sum(move.size for move in moves), taken)
        self.rows.append(row)
        self.progress.row(row)

    async def finished(self, works: Sequence[Work]) -> None:
        """Wait until all of them have completed."""
        for work in works:
            while not work.done:
                await self._progress_made(work.name)

    async def rung(self) -> None:
        """Wait until both adapters have seen every doorbell."""
        while not all(host.rung for host in self.hosts.values()):
            await cycles(self.pair.dut, 10)
        await cycles(self.pair.dut, 40)

    def work_done(self, work: Work) -> None:
        """A completion queue has something to say."""
        self._completed += 1
        self._moved.set()
        self.progress.tell("work", done=self._completed, cycle=self.now(), name=work.name)

    def failed(self, error: Exception) -> None:
        """A completion queue found something wrong; whoever waits is told."""
        self._failure = self._failure or error
        self._moved.set()

    async def _progress_made(self, what: str) -> None:
        if self._failure is None:
            self._moved.clear()
            try:
                await with_timeout(self._moved.wait(), STALLED_NS, "ns")
            except SimTimeoutError:
                left = [name for host in self.hosts.values() for name in host.desk.left()]
                text = f"nothing completes any more; waiting for {what}; open: {left[:12]}"
                self._failure = AssertionError(text)
        await self.raise_failure()

    @property
    def broken(self) -> bool:
        """Something was found wrong."""
        return self._failure is not None

    @property
    def completed(self) -> int:
        """Requests that have completed, silent ones included."""
        return self._completed

    async def raise_failure(self) -> None:
        """Fail with what a completion queue found wrong, and with what the adapters counted."""
        if self._failure is not None:
            counts = {side: await host.counters() for side, host in self.hosts.items()}
            raise AssertionError(f"{self._failure}; {counts}") from self._failure

    # ------------------------------------------------------------ the end

    def check_memory(self) -> None:
        """Every byte of every region, guard zones and sources included."""
        for host in self.hosts.values():
            for region in host.regions:
                wrong = region.wrong()
                assert wrong is None, f"{host.name}: region at {region.base:#x}: {wrong}"

    def spoil(self) -> None:
        """Change one bit that nobody may touch."""
        region = self.b.regions[0]
        last = region.buffer.size - 1
        region.buffer.write(bytes([region.image[last] ^ 1]), last)

    async def check_quiet(self, healthy: bool = True) -> None:
        """Nothing is under way, nothing was left out, nothing went wrong in passing."""
        devices = self.pair.devices.values()
        for _ in range(1000):
            if self.pair.link.idle and all(d.axi.idle and d.doorbells.idle for d in devices):
                break
            await cycles(self.pair.dut, 10)
        else:
            raise AssertionError("the adapters do not come to rest")
        await cycles(self.pair.dut, 300)
        await self.raise_failure()
        assert self.pair.link.idle, "a frame nobody expected"
        for host in self.hosts.values():
            assert not host.desk.left(), f"{host.name}: open: {host.desk.left()}"
            if healthy:
                wrong = await host.counters()
                assert not wrong, f"{host.name}: counters {wrong}"
        self.check_memory()
        if healthy:
            await self._check_packets()

    async def _check_packets(self) -> None:
        link = self.pair.link
        for host, out, into in ((self.a, link.ab, link.ba), (self.b, link.ba, link.ab)):
            sent = await host.device.read32(stat_address(Stat.TX_RDMA_PACKETS))
            came = await host.device.read32(stat_address(Stat.RX_RDMA_PACKETS))
            assert (sent, came) == (out.sent, into.delivered), f"{host.name}: {sent}, {came}"

    async def close(self) -> None:
        """Give everything back, as a consumer does."""
        for lane in self.lanes[::2]:
            await self.a.facade.close(lane.qp)
            await self.b.facade.close(lane.peer)
        for host in self.hosts.values():
            await host.facade.close(*host.mrs, host.desk.waited.cq, host.pd)
        self.check_memory()
