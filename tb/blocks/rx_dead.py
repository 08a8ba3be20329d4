"""rnic_rx behind a refused segment: its queue pair does nothing more until a new life."""

from __future__ import annotations

import random

import cocotb

from spec.codes import Access
from spec.layouts import KeyEntry, KeyKind
from spec.streams import AtomicOp, KeyOp, MemReq, QpInitOp, RxFault, RxHeader
from tb.blocks.rx_atomic import atomic_packet, target
from tb.blocks.rx_bench import Numbers, RxBench
from tb.blocks.rx_packets import (
    LIST,
    OTHER_QPN,
    PAGED_BASE,
    PAGED_KEY,
    QPN,
    RKEY,
    TARGET,
    Memory,
    segment,
    write_packet,
)
from tb.model.headers import Aeth, Bth, Packet, Reth
from tb.model.opcodes import Op
from tb.streams import STALL_NAMES

FULL = cocotb.SIM_NAME == "Verilator"
FAST = 9 << 8 | 0x11
FAST_ENTRY = KeyEntry(
    key=0x11, valid=1, kind=KeyKind.FAST_REG, access=Access.REMOTE_WRITE, pd=7,
    direct=1, page_shift=12, length=1 << 60,
)  # fmt: skip


def read_response(psn: int, payload: bytes, qpn: int) -> Packet:
    """A frame of the response side."""
    return Packet(Bth(Op.READ_RESPONSE_ONLY, qpn, psn=psn), payload=payload, aeth=Aeth(0x1F, psn))


@cocotb.test()
@cocotb.parametrize(
    stall=STALL_NAMES if FULL else ["half"],
    cause=["token", "list"],
    list_latency=[0, 60],
)
async def only_its_own_side_is_dead(dut, stall, cause, list_latency):
    """Two queue pairs, both sides each, frames of three segments; each side dies once or never."""
    bench = await RxBench.start(dut, stall=stall, latency=10)
    bench.list_latency = list_latency
    bench.bad_lists.update(LIST + 64 * n for n in range(32))
    want = RxFault.BUS if cause == "list" else RxFault.KEY
    plans: dict[int, list[MemReq]] = {}
    expected, faults, dead = Memory(), [], set()
    count = 80 if FULL else 40
    for psn in range(count):
        side = random.choice(("req", "rsp")), random.choice((QPN, OTHER_QPN))
        payload = random.randbytes(random.randint(3, 300))
        at = TARGET + 4096 * psn + random.randrange(64)
        sizes = [1, len(payload) // 2, len(payload) - 1 - len(payload) // 2]
        breaks = random.choice((0, 1, 2)) if random.random() < 0.1 else None
        parts = []
        fault, place = RxFault.NONE, 0
        for n, size in enumerate(sizes):
            part = segment(at + place, size)
            if n == breaks:
                bad = (PAGED_BASE, PAGED_KEY) if cause == "list" else (at + place, RKEY ^ 1)
                part = segment(bad[0], size, bad[1])
                fault = fault if side in dead or not size else want
                dead |= {side} if size else set()
            elif side not in dead:
                expected.put(at + place, payload[place : place + size])
            place += size
            parts.append(part)
        plans[psn] = parts
        faults.append(fault)
        make = Bth(Op.SEND_ONLY, side[1], psn=psn)
        response = read_response(psn, payload, side[1])
        bench.send(response if side[0] == "rsp" else Packet(make, payload=payload))
    bench.plan = lambda header: plans[header.psn]
    await bench.settle(count, 60_000)
    found = {psn: fault for _, psn, fault in bench.done}
    assert [found[psn] for psn in range(count)] == faults
    assert bench.memory.same_as(expected)


@cocotb.test()
@cocotb.parametrize(op=[QpInitOp.CREATE, QpInitOp.RTR, QpInitOp.DESTROY])
async def a_new_life_begins_with_init(dut, op):
    bench = await RxBench.start(dut)

    async def alive() -> list[bool]:
        """Whether a write of each queue pair and side arrives."""
        bench.forget()
        plans, spots = {}, []
        for psn, (qpn, side) in enumerate((q, s) for q in (QPN, OTHER_QPN) for s in "qs"):
            at = TARGET + 4096 * psn
            plans[psn] = [segment(at, 10)]
            spots.append(at)
            packet = write_packet(psn, at, bytes(10), qpn)
            bench.send(packet if side == "q" else read_response(psn, bytes(10), qpn))
        bench.plan = lambda header: plans[header.psn]
        await bench.settle(4)
        assert {fault for *_, fault in bench.done} == {RxFault.NONE}
        return [at in bench.memory.masks for at in spots]

    async def kill() -> None:
        bench.forget()
        bench.plan = lambda header: [segment(TARGET, 10, RKEY ^ 1)]
        for qpn in (QPN, OTHER_QPN):
            bench.send(write_packet(0, TARGET, bytes(10), qpn))
            bench.send(read_response(0, bytes(10), qpn))
        await bench.settle(4)
        assert [fault for *_, fault in bench.done] == [RxFault.KEY] * 4

    assert await alive() == [True] * 4
    await kill()
    assert await alive() == [False] * 4
    await bench.init(QPN, QpInitOp.RTS)
    await bench.init(QPN, QpInitOp.RQ_CREATE)
    assert await alive() == [False] * 4
    await bench.init(QPN, op)
    assert await alive() == [True, True, False, False]
    await bench.init(OTHER_QPN, op)
    assert await alive() == [True] * 4
    await kill()
    await bench.reset()
    assert await alive() == [True] * 4


@cocotb.test()
@cocotb.parametrize(list_latency=[0, 5, 80], dies=[False, True], same_frame=[False, True])
async def nothing_is_invalidated_behind_a_refusal(dut, list_latency, dies, same_frame):
    """The refusal is only known when its list has been read; the INVALIDATE waits for it."""
    bench = await RxBench.start(dut, stall="half")
    bench.list_latency = list_latency
    bench.keys[9] = FAST_ENTRY.to_int()
    if dies:
        bench.bad_lists.update(LIST + 64 * n for n in range(32))
    invalidate = MemReq(op=KeyOp.INVALIDATE, token=FAST, pd=7)
    risky = segment(PAGED_BASE, 100, PAGED_KEY)
    plans = {0: [risky], 1: [segment(TARGET, 100), invalidate]}
    if same_frame:
        plans = {0: [segment(TARGET, 50)], 1: [risky, invalidate]}
    bench.plan = lambda header: plans[header.psn]
    for psn in range(2):
        bench.send(write_packet(psn, TARGET, random.randbytes(100)))
    await bench.settle(2)
    assert len(bench.key_writes) == (not dies)
    fault = RxFault.BUS if dies else RxFault.NONE
    ends = [RxFault.NONE, fault] if same_frame else [fault, RxFault.NONE]
    assert [f for *_, f in bench.done] == ends
    # It still works for whoever is alive.
    bench.forget()
    bench.keys[9] = FAST_ENTRY.to_int()
    bench.key_writes.clear()
    bench.plan = lambda header: [segment(TARGET, 100), invalidate]
    bench.send(write_packet(0, TARGET, bytes(100), OTHER_QPN))
    await bench.settle(1)
    assert len(bench.key_writes) == 1


@cocotb.test()
@cocotb.parametrize(repeated=[False, True])
async def nobody_dies_of_a_repeated_read_whose_key_is_gone(dut, repeated):
    """A first read that is refused kills; a repeated one leaves its fault and nothing else."""
    bench = await RxBench.start(dut, stall="half")
    bench.keys[9] = FAST_ENTRY.to_int()
    payload = random.randbytes(100)
    read = segment(TARGET, 0, RKEY ^ 1, span=1000, access=Access.REMOTE_READ)
    invalidate = MemReq(op=KeyOp.INVALIDATE, token=FAST, pd=7)
    plans = {0: [read], 1: [segment(TARGET, 100)], 2: [segment(TARGET + 200, 100), invalidate]}
    bench.plan = lambda header: plans[header.psn]
    bench.reading[0] = repeated
    bench.send(Packet(Bth(Op.READ_REQUEST, QPN, psn=0), reth=Reth(TARGET, RKEY ^ 1, 1000)))
    for psn in (1, 2):
        bench.send(write_packet(psn, TARGET, payload))
    await bench.settle(3)
    assert [fault for *_, fault in bench.done] == [RxFault.KEY, RxFault.NONE, RxFault.NONE]
    expected = Memory()
    if repeated:
        expected.put(TARGET, payload)
        expected.put(TARGET + 200, payload)
    assert bench.memory.same_as(expected)
    assert len(bench.key_writes) == repeated


@cocotb.test()
async def nothing_is_changed_by_an_atomic_of_the_dead(dut):
    bench = await RxBench.start(dut)
    numbers = Numbers(AtomicOp.ADD, 1)
    bench.numbers = {1: numbers, 2: numbers}

    def plan(header: RxHeader) -> list[MemReq]:
        return [target(TARGET)] if header.psn else [segment(TARGET, 4, RKEY ^ 1)]

    bench.plan = plan
    bench.send(write_packet(0, TARGET, bytes(4)))
    bench.send(atomic_packet(1, TARGET, numbers))
    bench.send(atomic_packet(2, TARGET, numbers, OTHER_QPN))
    await bench.settle(3)
    assert [fault for *_, fault in bench.done] == [RxFault.KEY, RxFault.NONE, RxFault.NONE]
    assert bench.originals[1] == 0
    line = bytes(Memory().line(TARGET))
    assert bench.originals[2] == int.from_bytes(line[:8], "little")
    assert int.from_bytes(bench.memory.line(TARGET)[:8], "little") == bench.originals[2] + 1


@cocotb.test()
async def a_dead_frame_gives_its_payload_away(dut):
    """What the dead do not write is consumed, so the frame behind finds its own."""
    bench = await RxBench.start(dut)
    payload = random.randbytes(700)
    expected = Memory()
    expected.put(TARGET, payload)
    plans = {0: [segment(TARGET, 9, RKEY ^ 1), segment(TARGET, 900)]}
    plans |= {n: [segment(TARGET, 300), segment(TARGET + 300, 400)] for n in (1, 2, 3)}
    bench.plan = lambda header: plans[header.psn]
    bench.send(write_packet(0, TARGET, random.randbytes(909)))
    bench.send(write_packet(1, TARGET, random.randbytes(700)))
    bench.send(write_packet(2, TARGET, random.randbytes(700)))
    bench.send(write_packet(3, TARGET, payload, OTHER_QPN))
    await bench.settle(4)
    assert bench.memory.same_as(expected)
