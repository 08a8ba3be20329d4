"""The scenarios of a consumer as simulation tests, each on two adapters fresh from reset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cocotb
from cocotb.triggers import Event, Timer, with_timeout

from driver_model.facade import Facade, connect_pair
from driver_model.hw.congestion import Congestion
from driver_model.hw.counters import COUNTERS
from driver_model.hw.nic import NicConfig
from spec.codes import Mtu
from spec.layouts import MAX_INLINE, MAX_READ_SGE, MAX_RECV_SGE, MAX_SGE
from spec.registers import Feature
from tb.model.opcodes import Op
from tb.nic.pair import PORTS
from tb.nic.pair import Pair as Bench
from tests.driver.pair import Side, furnish
from tests.driver.scenarios import SCENARIOS, Scenario

ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2"}
LIMIT_US = 3000
WRITE_BYTES = 14 + 20 + 8 + 12 + 16 + 100 + 4  # Ethernet to ICRC, 100 bytes of payload


@dataclass(slots=True)
class SimulatedPair:
    """Two sides, and simulated time."""

    a: Side
    b: Side

    async def pause(self, nanoseconds: int) -> None:
        """Let time pass."""
        await Timer(nanoseconds, "ns")


async def bring_up(
    dut: Any, congestion: Congestion | None = None, port_mtu: int = 4200, **options: Any
) -> tuple[Bench, Side, Side]:
    """Both sides up and furnished; `congestion` and `port_mtu` are for a alone."""
    bench = await Bench.start(dut, seed=int(cocotb.RANDOM_SEED))
    sides = []
    for name, device in bench.devices.items():
        config = NicConfig(mac=PORTS[name].mac, addresses=(ADDRESSES[name],))
        if name == "a":
            config = replace(config, congestion=congestion or Congestion(), port_mtu=port_mtu)
        facade = await Facade.open(device, config, Event)
        sides.append(await furnish(device, facade, name, **options))
    a, b = sides
    return bench, a, b


async def play(dut: Any, body: Scenario, connected: bool = True, **options: Any) -> None:
    """Bring both sides up, run a scenario, close what it left."""
    _, a, b = await bring_up(dut, **options)
    if connected:
        await connect_pair((a.facade, a.qp), (b.facade, b.qp))
    await body(SimulatedPair(a, b))
    for side in (a, b):
        left = [side.qp] if side.qp.is_open else []
        await side.facade.close(*left, side.mr, side.cq.cq, side.pd)


def make_test(name: str) -> Any:
    """A simulation test of one scenario."""
    body, options = SCENARIOS[name]

    async def test(dut: Any) -> None:
        await with_timeout(play(dut, body, **options), LIMIT_US, "us")

    test.__name__ = test.__qualname__ = name
    test.__module__ = __name__
    return cocotb.test()(test)


async def write_and_wait(near: Side, far: Side, length: int = 100) -> None:
    """One write, from one side to the other."""
    near.qp.write(None, [near.sge(0, length)], 1, far.memory.address, far.token, 0)
    await near.cq.results(1)


def marks(bench: Bench, way: str) -> list[int]:
    """The ECN bits of the writes that were sent in a direction."""
    packets = [frame.packet for name, frame in bench.link.frames if name == way]
    return [p.path.ecn for p in packets if p is not None and p.bth.opcode == Op.WRITE_ONLY]


@cocotb.test()
async def the_operator_chooses_how_congestion_is_treated(dut: Any) -> None:
    """ECN marks what is sent, until it is switched off; every parameter is in its register."""
    chosen = Congestion(ecn=True, dcqcn=True, line_rate=40_000, min_rate=7, alpha_gain=9)
    bench, a, b = await bring_up(dut, chosen)
    await connect_pair((a.facade, a.qp), (b.facade, b.qp))
    for register in chosen.registers():
        assert await a.device.read32(register.ADDRESS) == register.to_int()
    await write_and_wait(a, b)
    await write_and_wait(b, a)
    a.facade.adapter.nic.set_congestion(Congestion())
    await Timer(1, "us")
    await write_and_wait(a, b)
    assert (marks(bench, "ab"), marks(bench, "ba")) == ([2, 0], [0])


@cocotb.test()
async def a_path_follows_the_smaller_port(dut: Any) -> None:
    """Ports for 1500 and 4200 bytes: packets of 1024 bytes in both directions."""
    bench, a, b = await bring_up(dut, port_mtu=1500)
    await connect_pair((a.facade, a.qp), (b.facade, b.qp))
    for near, far in ((a, b), (b, a)):
        near.memory.write(bytes(range(256)) * 12)
        await write_and_wait(near, far, 3000)
        assert far.memory.read(0, 3000) == (bytes(range(256)) * 12)[:3000]
    for way in ("ab", "ba"):
        packets = [frame.packet for name, frame in bench.link.frames if name == way]
        writes = [
            len(p.payload) for p in packets if p is not None and p.bth.opcode <= Op.WRITE_ONLY
        ]
        assert writes == [1024, 1024, 952]


@cocotb.test()
async def the_adapter_says_what_it_can(dut: Any) -> None:
    _, a, _ = await bring_up(dut)
    limits = a.facade.adapter.nic.limits
    assert limits.features == Feature.ATOMICS | Feature.SRQ | Feature.FAST_REGISTER | Feature.ECN
    assert (limits.max_reads_in, limits.max_reads_out, limits.max_mtu) == (16, 16, Mtu.BYTES_4096)
    most = (limits.max_send_sge, limits.max_recv_sge, limits.max_read_sge, limits.max_inline)
    assert most == (MAX_SGE, MAX_RECV_SGE, MAX_READ_SGE, MAX_INLINE)


@cocotb.test()
async def counters_are_read_by_name(dut: Any) -> None:
    """Three writes are in the counters of both sides; nothing is dropped."""
    _, a, b = await bring_up(dut)
    await connect_pair((a.facade, a.qp), (b.facade, b.qp))
    nics = (a.facade.adapter.nic, b.facade.adapter.nic)
    before = [await nic.counters() for nic in nics]
    for _ in range(3):
        await write_and_wait(a, b)
    await Timer(1, "us")
    after = [await nic.counters() for nic in nics]
    sent, got = (
        {name: late[name] - early[name] for name in COUNTERS}
        for early, late in zip(before, after, strict=True)
    )
    assert [sent[name] for name in ("TX_PACKETS", "WQES", "CQES", "RX_ACKS")] == [3] * 4
    assert [got[name] for name in ("RX_PACKETS", "TX_ACKS")] == [3] * 2
    assert sent["TX_BYTES"] == got["RX_BYTES"] == 3 * WRITE_BYTES
    assert not any(counted[name] for counted in (sent, got) for name in COUNTERS if "DROP" in name)


globals().update({name: make_test(name) for name in SCENARIOS})
