"""The Ethernet link between two ends that cocotbext-axi plays, or plain Python."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamMonitor, AxiStreamSource

from tb.link import Chance, Link, PeerEnd, StreamEnd, change, drop, duplicate, flip_bit, hold
from tb.model.headers import Bth, DecodeError, Packet
from tb.model.headers import Path as Route
from tb.model.packets import decode, encode
from tb.model.peer import Peer, reverse
from tb.model.qp import QpConfig
from tb.model.verbs import SendWork, Sge, Status, WrOp
from tb.pcap import read_pcap
from tb.ticker import BusError, now_ns


async def _reset(dut: Any) -> None:
    Clock(dut.clk, 4, "ns", impl="gpi").start(start_high=False)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)


class Bench:
    """Two devices played by cocotbext-axi on either side of the link."""

    def __init__(self, dut: Any, ends: dict[str, Any] | None = None, **link: Any) -> None:
        self.dut = dut
        link.setdefault("seed", cocotb.RANDOM_SEED)
        dut.a_out_tready.value = dut.b_out_tready.value = 1
        a, b = (
            StreamEnd(dut, f"{x}_m_axis_tx", f"{x}_s_axis_rx", **(ends or {})) for x in ("a", "b")
        )
        self.link = Link(dut.clk, a, b, **link)
        self.tx, self.rx = {}, {}
        for x in ("a", "b"):
            bus = AxiStreamBus.from_prefix(dut, f"{x}_in")
            self.tx[x] = AxiStreamSource(bus, dut.clk, dut.rst)
            bus = AxiStreamBus.from_prefix(dut, f"{x}_out")
            self.rx[x] = AxiStreamMonitor(bus, dut.clk, dut.rst)

    async def start(self) -> None:
        await _reset(self.dut)
        for monitor in self.rx.values():
            monitor.clear()  # whatever the pins held at power-up

    async def send(self, x: str, *frames: bytes) -> None:
        for frame in frames:
            await self.tx[x].send(AxiStreamFrame(frame))

    async def recv(self, x: str, count: int) -> list[bytes]:
        out = []
        for _ in range(count):
            frame = await with_timeout(self.rx[x].recv(), 100, "us")
            out.append(bytes(frame.tdata))
        return out

    async def settle(self) -> None:
        for x in ("a", "b"):
            await self.tx[x].wait()
        await ClockCycles(self.dut.clk, 20)
        while not self.link.idle:
            await ClockCycles(self.dut.clk, 20)
        await ClockCycles(self.dut.clk, 20)


def _frames(count: int, rng: random.Random) -> list[bytes]:
    return [rng.randbytes(rng.choice([60, 63, 64, 65, 128, 1500, 4202])) for _ in range(count)]


@cocotb.test()
@cocotb.parametrize(rough=[False, True])
async def frames_arrive_unchanged_and_in_order(dut: Any, rough: bool) -> None:
    bench = Bench(dut, {"tx_stall": 0.3, "rx_gap": 0.3} if rough else None, delay=50)
    await bench.start()
    rng = random.Random(cocotb.RANDOM_SEED)
    there, back = _frames(30, rng), _frames(30, rng)
    await bench.send("a", *there)
    await bench.send("b", *back)
    assert await bench.recv("b", 30) == there
    assert await bench.recv("a", 30) == back
    assert bench.link.ab.sent == bench.link.ab.delivered == 30


@cocotb.test()
async def capture_holds_every_frame_with_its_time(dut: Any) -> None:
    bench = Bench(dut, pcap="seen.pcap")
    await bench.start()
    start = now_ns()
    there = _frames(5, random.Random(1))
    bench.link.ab.rules.append(drop(skip=1))
    await bench.send("a", *there)
    await bench.settle()
    bench.link.ticker.stop()
    seen = read_pcap(Path("seen.pcap"))
    assert [frame for _, frame in seen] == there
    times = [ns for ns, _ in seen]
    assert times == sorted(times)
    assert all((ns - times[0]) % 4 == 0 for ns in times)
    assert start < times[0] < times[-1] < start + 4000


@cocotb.test()
async def delay_is_counted_from_last_beat_to_first(dut: Any) -> None:
    bench = Bench(dut, delay=100)
    await bench.start()
    await bench.send("a", bytes(200))
    at = {}
    for cycle in range(200):
        await RisingEdge(dut.clk)
        if dut.a_in_tvalid.value == 1 and dut.a_in_tlast.value == 1:
            at.setdefault("out", cycle)
        if dut.b_out_tvalid.value == 1:
            at.setdefault("in", cycle)
    assert at["in"] - at["out"] == 101


@cocotb.test()
async def rate_paces_the_sender(dut: Any) -> None:
    bench = Bench(dut, rate=16.0)
    await bench.start()
    await bench.send("a", *[bytes(1000)] * 20)
    await bench.recv("b", 20)
    times = [frame.time_ns for _, frame in bench.link.frames]
    gaps = [(b - a) / 4 for a, b in pairwise(times)]
    assert abs(sum(gaps) / len(gaps) - 1024 / 16) < 1.5


@cocotb.test()
async def rules_drop_double_hold_and_change(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    frames = [bytes([n]) * 100 for n in range(8)]
    bench.link.ab.rules += [
        drop(lambda f: f.data[0] == 1),
        duplicate(lambda f: f.data[0] == 2),
        hold(100, lambda f: f.data[0] == 3),
        change(lambda data: flip_bit(data, 99 * 8), lambda f: f.data[0] == 4),
    ]
    await bench.send("a", *frames)
    await bench.settle()
    got = [bytes(bench.rx["b"].recv_nowait().tdata) for _ in range(8)]
    changed = frames[4][:-1] + bytes([5])
    assert got == [frames[0], frames[2], frames[2], changed, *frames[5:8], frames[3]]
    assert bench.link.ab.lost == 1


@cocotb.test()
async def chance_is_roughly_as_told(dut: Any) -> None:
    bench = Bench(dut, seed=7)
    await bench.start()
    bench.link.ab.chance = Chance(loss=0.2, duplicate=0.2, reorder=0.2, corrupt=0.2, bad=0.2)
    frames = [n.to_bytes(2, "big") * 40 for n in range(200)]
    await bench.send("a", *frames)
    await bench.settle()
    got = [bench.rx["b"].recv_nowait() for _ in range(bench.rx["b"].count())]
    assert 20 < bench.link.ab.lost < 65
    assert len(got) == bench.link.ab.delivered
    data = [bytes(f.tdata) for f in got]
    assert 15 < sum(f not in frames for f in data) < 70
    assert 15 < sum(bool(f.tuser[-1] if isinstance(f.tuser, list) else f.tuser) for f in got) < 70
    order = [int.from_bytes(f[:2], "big") for f in data]
    assert order != sorted(order)


@cocotb.test()
async def marked_frames_keep_their_icrc(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    bench.link.ab.chance = Chance(mark=1.0)
    six = Route(src_ip=bytes(16), dst_ip=bytes(16))
    packets = [Packet(Bth(4, 17), payload=b"abcd"), Packet(Bth(4, 17), six, payload=b"abcd")]
    await bench.send("a", *[encode(p) for p in packets])
    for frame in await bench.recv("b", 2):
        assert decode(frame).path.ecn == 3


def _pins(dut: Any) -> tuple[Link, list[BaseException]]:
    """The transmit pins of device a in the test's hand, and the errors that the link finds."""
    ends = [StreamEnd(dut, f"{x}_m_axis_tx", f"{x}_s_axis_rx") for x in ("a", "b")]
    for x in ("a", "b"):
        for name in ("tdata", "tkeep", "tlast", "tvalid"):
            getattr(dut, f"{x}_in_{name}").value = 0
        getattr(dut, f"{x}_out_tready").value = 1
    link = Link(dut.clk, *ends, pcap=None)
    errors: list[BaseException] = []
    link.ticker.fail = errors.append  # type: ignore[method-assign]
    return link, errors


FULL = (1 << 64) - 1
BROKEN = {
    "fell inside a frame": [(1, 0, FULL), (0, 0, 0)],
    "before the last beat": [(1, 0, FULL >> 1)],
    "with tkeep": [(1, 1, 0b1011)],
    "tlast 1 with tkeep 0000": [(1, 1, 0)],
}


@cocotb.test()
@cocotb.parametrize(rule=list(BROKEN))
async def broken_rule_is_named(dut: Any, rule: str) -> None:
    _, errors = _pins(dut)
    await _reset(dut)
    for valid, last, keep in BROKEN[rule]:
        dut.a_in_tvalid.value, dut.a_in_tlast.value, dut.a_in_tkeep.value = valid, last, keep
        await RisingEdge(dut.clk)
    await ClockCycles(dut.clk, 3)
    assert len(errors) == 1
    assert isinstance(errors[0], BusError)
    assert rule in str(errors[0])


@cocotb.test()
async def a_receiver_that_is_not_ready_is_caught(dut: Any) -> None:
    link, errors = _pins(dut)
    await _reset(dut)
    dut.b_out_tready.value = 0
    link.ab.carry(bytes(64), None)
    await ClockCycles(dut.clk, 8)
    assert len(errors) == 1
    assert "tready low" in str(errors[0])


class Echo:
    """A peer that sends back what it gets, and once more when its timer fires."""

    def __init__(self) -> None:
        self.last = b""
        self.deadline: int | None = None

    def receive(self, frame: bytes, now_ns: int) -> list[bytes]:
        self.last = frame
        self.deadline = now_ns + 1000
        return [frame]

    def advance(self, now_ns: int) -> list[bytes]:
        assert self.deadline is not None
        assert now_ns >= self.deadline
        self.deadline = None
        return [self.last]

    def next_deadline(self) -> int | None:
        return self.deadline


@cocotb.test()
async def a_python_peer_answers_and_keeps_time(dut: Any) -> None:
    for name in ("tdata", "tkeep", "tlast", "tvalid"):
        getattr(dut, f"b_in_{name}").value = 0
    dut.a_out_tready.value = 1
    end = PeerEnd(Echo())
    device = StreamEnd(dut, "a_m_axis_tx", "a_s_axis_rx")
    Link(dut.clk, device, end, delay=10)
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "a_in"), dut.clk, dut.rst)
    monitor = AxiStreamMonitor(AxiStreamBus.from_prefix(dut, "a_out"), dut.clk, dut.rst)
    await _reset(dut)
    frame = bytes(range(100))
    await source.send(AxiStreamFrame(frame))
    first = await with_timeout(monitor.recv(), 1, "us")
    assert bytes(first.tdata) == frame
    second = await with_timeout(monitor.recv(), 2, "us")
    assert bytes(second.tdata) == frame


@cocotb.test()
async def model_peers_talk_over_a_bad_link(dut: Any) -> None:
    """The reference peer keeps its promises with the link's delays, losses and its own timers."""
    here = Route(sport=0xC001)
    a, b = Peer(), Peer()
    knobs: dict[str, Any] = {"pmtu": 256, "timeout": 3, "min_rnr_timer": 1}
    a.create_qp(QpConfig(17, 18, here, **knobs))
    b.create_qp(QpConfig(18, 17, reverse(here), **knobs))
    mine, yours = bytearray(random.Random(1).randbytes(8192)), bytearray(8192)
    local = a.memory.register(mine, 0x1000)
    remote = b.memory.register(yours, 0x9000)
    ends = PeerEnd(a), PeerEnd(b)
    link = Link(dut.clk, *ends, delay=50, seed=cocotb.RANDOM_SEED)
    link.ab.chance = link.ba.chance = Chance(
        loss=0.05, duplicate=0.05, reorder=0.05, corrupt=0.05, bad=0.02
    )
    await _reset(dut)
    for n in range(16):
        work = SendWork(
            WrOp.WRITE,
            n,
            (Sge(0x1000 + n * 512, 512, local.key),),
            remote_address=0x9000 + n * 512,
            remote_key=remote.key,
        )
        ends[0].do(lambda now, work=work: a.post_send(17, work, now))
    await Timer(400, "us")
    assert [(c.wr_id, c.status) for c in a.qps[17].completions] == [
        (n, Status.SUCCESS) for n in range(16)
    ]
    assert yours == mine
    assert link.ab.lost
    assert a.next_deadline() is None


@cocotb.test()
async def corrupted_packets_fail_their_icrc(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    frame = encode(Packet(Bth(4, 17), payload=bytes(100)))
    bench.link.ab.rules.append(change(lambda data: flip_bit(data, 8 * 80), count=1))
    await bench.send("a", frame, frame)
    bad, good = await bench.recv("b", 2)
    assert decode(good).payload == bytes(100)
    with pytest.raises(DecodeError, match="ICRC"):
        decode(bad)


@cocotb.test()
async def full_rate_both_ways_and_its_price(dut: Any) -> None:
    dut.run.value = 0
    ends = [StreamEnd(dut, f"{x}_m_axis_tx", f"{x}_s_axis_rx") for x in ("a", "b")]
    link = Link(dut.clk, *ends, delay=20)
    await _reset(dut)
    for label, run in (("silent", 0), ("full", 1)):
        await RisingEdge(dut.clk)
        dut.run.value = run
        start = time.perf_counter()
        await Timer(8000, "ns")
        per = (time.perf_counter() - start) / 2000 * 1e6
        dut._log.info(f"speed: {label}: {per:.1f} us per cycle")
    await RisingEdge(dut.clk)
    dut.run.value = 0
    await ClockCycles(dut.clk, 100)
    assert link.idle
    for x in ("a", "b"):
        assert int(getattr(dut, f"{x}_errors").value) == 0
        assert int(getattr(dut, f"{x}_beats").value) >= 1990
