"""rnic_rx, the way into memory: every alignment, scatter lists, refused tokens, bus errors."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb

from spec.codes import Access
from spec.layouts import KeyEntry, KeyKind
from spec.streams import KeyOp, MemReq, RxFault, RxHeader
from tb.blocks.rx_bench import RxBench, psns
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
    config,
    segment,
    write_packet,
)
from tb.model.headers import Aeth, Bth, Packet
from tb.model.opcodes import Op
from tb.streams import STALL_NAMES

# Icarus, which runs a tenth as fast, is there for its X: a part of the load will do.
FULL = cocotb.SIM_NAME == "Verilator"
LENGTHS = (1, 2, 3, 31, 58, 59, 63, 64, 65, 127, 128, 129, 255)


@cocotb.test()
@cocotb.parametrize(part=range(4))
async def every_alignment_of_source_and_target(dut, part):
    """The source moves with the kind of frame, the target through all 64 lanes."""
    bench = await RxBench.start(dut)
    v6 = {"src_ip": bytes(range(16)), "dst_ip": bytes(range(16, 32))}
    kind: dict[str, object] = [{}, {"vlan": 1}, v6, {"vlan": 1, **v6}][part]
    if "src_ip" in kind:
        bench.configs[QPN] = config(v6["src_ip"]).to_int()
        bench.own(v6["dst_ip"])
    expected = Memory()
    cases = [(lane, length) for lane in range(64) for length in LENGTHS]
    if part or not FULL:
        cases = random.sample(cases, 200 if FULL else 60)
    for n, (lane, length) in enumerate(cases):
        payload = random.randbytes(length)
        bench.send(write_packet(n, TARGET + 1024 * n + lane, payload, **kind))
        expected.put(TARGET + 1024 * n + lane, payload)
    await bench.settle(len(cases), 10_000)
    assert bench.memory.same_as(expected)
    assert psns(bench.done) == list(range(len(cases)))


def cut(total: int, pieces: int) -> list[int]:
    """Lengths, some zero, that add up to total."""
    at = sorted(random.choices(range(total + 1), k=pieces - 1))
    return [b - a for a, b in zip([0, *at], [*at, total], strict=True)]


class Scatter:
    """Random work for every frame, and the memory it must leave."""

    def __init__(self, bench: RxBench, longest: int = 600) -> None:
        self.bench = bench
        self.expected = Memory()
        self.payloads: dict[int, bytes] = {}
        self.next = TARGET
        self.longest = longest

    def packet(self, psn: int) -> Packet:
        """A frame of random kind and length."""
        size = random.choice([0, 1, random.randrange(self.longest), random.randrange(200)])
        payload = self.payloads[psn] = random.randbytes(size)
        if random.random() < 0.5:
            return Packet(Bth(Op.SEND_ONLY, QPN, psn=psn), payload=payload)
        aeth = Aeth(0x1F, psn)
        return Packet(Bth(Op.READ_RESPONSE_ONLY, QPN, psn=psn), payload=payload, aeth=aeth)

    def plan(self, header: RxHeader) -> list[MemReq]:
        """One to six pieces, through both keys; some frames move nothing."""
        payload = self.payloads[header.psn]
        if not payload or random.random() < 0.1:
            return [MemReq()]
        parts = []
        for length in cut(len(payload), random.randint(1, 6)):
            piece, payload = payload[:length], payload[length:]
            if random.random() < 0.1:
                parts.append(MemReq(length=length))  # passed over
            elif random.random() < 0.5:
                parts.append(segment(self.next, length, access=Access.LOCAL_WRITE))
                self.expected.put(self.next, piece)
            else:
                # Pages may be written twice; the last one holds, as in memory.
                offset = random.randrange(PAGES * 4096 - length)
                if random.random() < 0.5 and length > 1:
                    offset = (offset | 0xFFF) - random.randrange(length)
                    offset = min(offset, PAGES * 4096 - length)
                parts.append(segment(PAGED_BASE + offset, length, PAGED_KEY))
                for n, byte in enumerate(piece):
                    self.expected.put(self.bench.paged(offset + n), bytes([byte]))
            self.next += length + random.choice([0, 1, 63, 64, 100])
        return parts


@cocotb.test()
@cocotb.parametrize(stall=STALL_NAMES if FULL else ["none", "bursts"], idle=["none", "half"])
async def scatter_lists_with_random_cuts(dut, stall, idle):
    bench = await RxBench.start(dut, stall=stall, idle=idle, latency=random.choice([1, 50]))
    scatter = Scatter(bench)
    bench.plan = scatter.plan
    for psn in range(150):
        bench.send(scatter.packet(psn))
    await bench.settle(150, 100_000)
    if bench.drops:
        raise AssertionError(f"the buffer is large enough, yet {bench.drops}")
    assert bench.memory.same_as(scatter.expected)
    assert sorted(psns(bench.done)) == list(range(150))
    for side in ("req", "rsp"):
        order = [psn for s, psn, _ in bench.done if s == side]
        assert order == sorted(order)
    assert all(fault is RxFault.NONE for _, _, fault in bench.done)


@cocotb.test()
@cocotb.parametrize(offset=[0, 1, 6, 63])
async def full_packets_at_page_crossings(dut, offset):
    bench = await RxBench.start(dut)
    expected = Memory()
    for n in range(8):
        payload = random.randbytes(4096)
        at = 8192 * n + 4096 - 512 * n + offset
        packet = write_packet(n, PAGED_BASE + at, payload)
        bench.send(replace(packet, reth=replace(packet.reth, key=PAGED_KEY)))
        first = 4096 - at % 4096
        expected.put(bench.paged(at), payload[:first])
        if first < 4096:
            expected.put(bench.paged(at + first), payload[first:])
    await bench.settle(8)
    assert bench.memory.same_as(expected)
    assert [fault for _, _, fault in bench.done] == [RxFault.NONE] * 8


def frames_around(bench: RxBench, count: int = 7) -> tuple[list[Packet], Memory]:
    """Good frames but the middle one, of its own queue pair and not in the memory returned."""
    packets, expected = [], Memory()
    for n in range(count):
        payload = random.randbytes(300 + n)
        qpn = OTHER_QPN if n == count // 2 else QPN
        packets.append(write_packet(n, TARGET + 4096 * n + 7 * n, payload, qpn))
        if n != count // 2:
            expected.put(packets[-1].reth.va, payload)
        bench.send(packets[-1])
    return packets, expected


@cocotb.test()
@cocotb.parametrize(
    case=[
        ("remote", 0, RxFault.KEY),
        ("remote", 2, RxFault.KEY),
        ("local", 0, RxFault.LOCAL_KEY),
        ("local", 1, RxFault.LOCAL_KEY),
        ("list", 1, RxFault.BUS),
    ]
)
async def refused_segment_ends_its_frame_only(dut, case):
    kind, broken, fault = case
    bench = await RxBench.start(dut, stall="half")
    packets, expected = frames_around(bench)
    access = Access.LOCAL_WRITE if kind == "local" else Access.REMOTE_WRITE
    token = PAGED_KEY if kind == "list" else RKEY ^ 1
    bench.bad_lists.add(LIST)

    def plan(header: RxHeader) -> list[MemReq]:
        parts = []
        for n in range(4):
            length = header.payload_len // 4 if n < 3 else header.payload_len * 1 // 4 + 3
            length = min(length, header.payload_len - n * (header.payload_len // 4))
            part = segment(header.reth_va + n * (header.payload_len // 4), length, access=access)
            if header.psn == 3 and n == broken:
                part = replace(part, token=token)
                part = replace(part, va=PAGED_BASE) if kind == "list" else part
            parts.append(part)
        if sum(p.length for p in parts) != header.payload_len:
            last = header.payload_len - sum(p.length for p in parts[:3])
            parts[3] = replace(parts[3], length=last)
        return parts

    bench.plan = plan
    await bench.settle(len(packets))
    quarter = len(packets[3].payload) // 4
    expected.put(packets[3].reth.va, packets[3].payload[: quarter * broken])
    assert bench.memory.same_as(expected)
    faults = [f for _, _, f in bench.done]
    assert faults == [fault if n == 3 else RxFault.NONE for n in range(len(packets))]


@cocotb.test()
async def write_errors_are_told_in_order(dut):
    bench = await RxBench.start(dut, latency=40)
    packets, expected = frames_around(bench, 21)
    expected.put(packets[10].reth.va, packets[10].payload)
    bad = {3, 10, 11, 20}
    addresses = {packets[n].reth.va for n in bad}
    bench.bad_targets = lambda address: address in addresses
    await bench.settle(21)
    assert bench.memory.same_as(expected)
    for n, (_, psn, fault) in enumerate(bench.done):
        assert psn == n
        assert fault == (RxFault.BUS if n in bad else RxFault.NONE)


@cocotb.test()
async def first_fault_of_a_frame_counts(dut):
    bench = await RxBench.start(dut)
    bench.bad_targets = lambda address: address == TARGET
    bench.send(write_packet(1, TARGET, bytes(200)))
    bench.plan = lambda header: [
        segment(TARGET, 100),
        segment(TARGET + 100, 50, RKEY ^ 1, access=Access.LOCAL_WRITE),
        segment(TARGET + 150, 50, RKEY ^ 1),
    ]
    await bench.settle(1)
    assert [f for _, _, f in bench.done] == [RxFault.BUS]


@cocotb.test()
async def invalidate_rides_behind_the_data(dut):
    """SEND with Invalidate: the token is dead for the next frame, a second time is refused."""
    bench = await RxBench.start(dut)
    token = 9 << 8 | 0x11
    entry = KeyEntry(
        key=0x11, valid=1, kind=KeyKind.FAST_REG, access=Access.REMOTE_WRITE, pd=7,
        direct=1, page_shift=12, length=1 << 60,
    )  # fmt: skip
    bench.keys[9] = entry.to_int()
    payload = random.randbytes(100)
    expected = Memory()
    expected.put(TARGET, payload)
    expected.put(TARGET + 4096, payload)
    expected.put(TARGET + 12288, payload)
    invalidate = MemReq(op=KeyOp.INVALIDATE, token=token, pd=7)

    def plan(header: RxHeader) -> list[MemReq]:
        at = TARGET + 4096 * header.psn
        return {
            0: [segment(at, 100, token)],
            1: [segment(at, 100), invalidate],
            2: [segment(at, 100, token)],
            3: [segment(at, 100), invalidate],
        }[header.psn]

    bench.plan = plan
    for psn in range(4):
        bench.send(write_packet(psn, 0, payload, OTHER_QPN if psn == 2 else QPN))
    await bench.settle(4)
    assert [f for _, _, f in bench.done] == [
        RxFault.NONE,
        RxFault.NONE,
        RxFault.KEY,
        RxFault.KEY,
    ]
    assert bench.memory.same_as(expected)
    assert [w.index for w in bench.key_writes] == [9]
    assert not bench.key_writes[0].entry.valid
