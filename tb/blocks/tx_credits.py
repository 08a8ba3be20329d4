"""The requester and the peer's credits (rocev2 3.7): who may start, who waits, who is woken.

The judge counts: messages that take a receive, at most as many as the peer has said to have for
them, or one alone. It knows nothing of sequence numbers.
"""

from __future__ import annotations

import cocotb
from cocotb.handle import SimHandleBase

from spec.codes import Mtu, QpState
from spec.layouts import FastRegWqe, WqeFlag, WrOp
from spec.streams import QpInitOp
from tb.blocks.queue_bench import Bench
from tb.blocks.queue_doorbell import inline, send
from tb.blocks.queue_host import Host, Qp
from tb.blocks.queue_work import LOCAL, Work

SPACE = 1 << 24
ONE = [(0x1000, 8, 1)]
TAKERS = (WrOp.SEND, WrOp.SEND_IMM, WrOp.SEND_INV, WrOp.WRITE_IMM)
OTHERS = (WrOp.WRITE, WrOp.READ, WrOp.CMP_SWAP, WrOp.FETCH_ADD, WrOp.NOP, WrOp.FAST_REG)


def work(op: WrOp) -> Work:
    """A small entry."""
    register = FastRegWqe(token=0x105, length=4096, page_shift=12) if op in LOCAL else None
    return Work(op=op, sges=[] if op in LOCAL else ONE, register=register)


async def blocked(bench: Bench, count: int, cycles: int = 150) -> None:
    """So many messages were started, and no more come."""
    await bench.until(lambda: len(bench.messages) >= count, 2000, f"{count} messages")
    await bench.cycles(cycles)
    assert len(bench.messages) == count


async def limited(bench: Bench, host: Host, limit: int | None, qpn: int = 1, **fields: int) -> Qp:
    """A QP whose peer has told so much before the first message; nothing is retired."""
    qp = await host.create(qpn, **fields)
    bench.messages.clear()
    host.hold = True
    host.tell(qp, limit)
    await bench.cycles(10)
    return qp


@cocotb.test()
async def a_limit_stops_and_lets_go(dut: SimHandleBase) -> None:
    """A new limit frees, and so does its end."""
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await limited(bench, host, 2)
    for number in range(12):
        host.post(qp, send() if number % 2 else inline(b"abc"))
    host.ring(qp)
    await blocked(bench, 2)
    assert bench.parks[-1].park
    assert bench.read_count == 1, "a parked queue is left alone"
    host.tell(qp, 3)
    await blocked(bench, 3)
    host.tell(qp, 3)
    await blocked(bench, 3)
    host.tell(qp, 6)
    await blocked(bench, 6)
    host.tell(qp, None)
    await blocked(bench, 12)
    host.hold = False
    await host.finish()


@cocotb.test()
@cocotb.parametrize(taker=[int(op) for op in TAKERS])
async def only_who_takes_a_receive_needs_a_credit(dut: SimHandleBase, taker: int) -> None:
    """All others pass, and move the limit; local operations are no messages."""
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await limited(bench, host, 1)
    works = [WrOp(taker), *OTHERS, WrOp(taker), *OTHERS[:3], WrOp(taker), WrOp.WRITE]
    for op in works:
        host.post(qp, work(op))
    host.ring(qp)
    # One credit; the second waits, and what stands behind it.
    first, second = works[:7], works[:11]
    await blocked(bench, len(first))
    # The receiver has got all of these, and posted nothing; then one entry, then another.
    messages = sum(op not in LOCAL for op in first)
    host.tell(qp, messages)
    await blocked(bench, len(first))
    host.tell(qp, messages + 1)
    await blocked(bench, len(second))
    messages = sum(op not in LOCAL for op in second)
    host.tell(qp, messages)
    await blocked(bench, len(second))
    host.tell(qp, messages + 1)
    await blocked(bench, len(works))
    host.hold = False
    await host.finish()


@cocotb.test()
async def a_limit_that_comes_late_is_not_too_much(dut: SimHandleBase) -> None:
    """What was started since the peer counted has taken from what it counted."""
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await limited(bench, host, 0)
    for op in (WrOp.SEND, WrOp.WRITE, WrOp.WRITE, WrOp.WRITE, WrOp.SEND, WrOp.SEND):
        host.post(qp, work(op))
    host.ring(qp)
    await blocked(bench, 4)
    # MSN 1 and two receives: one is for the fifth message, but of the WRITEs it says nothing.
    host.tell(qp, 3)
    await blocked(bench, 4)
    # MSN 2 and three receives.
    host.tell(qp, 5)
    await blocked(bench, 5)
    host.tell(qp, 6)
    await blocked(bench, 6)
    host.hold = False
    await host.finish()


@cocotb.test()
async def long_entries_wait_at_their_head(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await limited(bench, host, 0, path_mtu=int(Mtu.BYTES_256))
    for _ in range(4):
        host.post(qp, Work(sges=[(n << 12, 300, n) for n in range(11)]))
    host.post(qp, Work(op=WrOp.SEND, flags=WqeFlag.INLINE, inline=bytes(200)))
    host.ring(qp)
    await blocked(bench, 1)
    for limit in range(1, 6):
        host.tell(qp, limit)
        await blocked(bench, limit)
    host.hold = False
    await host.finish()


@cocotb.test()
@cocotb.parametrize(limit=[0, SPACE - 1, SPACE // 2, SPACE - 5000])
async def a_peer_that_counts_wrongly_stops_nobody(dut: SimHandleBase, limit: int) -> None:
    """The limit stands for ever where it is: one message at a time goes on."""
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await limited(bench, host, limit)
    host.hold = False
    most = 0

    def count() -> None:
        nonlocal most
        most = max(most, len(qp.out))

    bench.reacts.append(count)
    for number in range(40):
        host.post(qp, work(WrOp.SEND if number % 4 else WrOp.WRITE))
        if number % 3 == 0:
            host.ring(qp)
    host.ring(qp)
    await host.finish()
    # Half the space away nobody knows whether it is ahead or behind.
    assert most <= 2 or limit == SPACE // 2, "a WRITE may go behind a SEND, no SEND beside any"


@cocotb.test()
async def numbers_wrap(dut: SimHandleBase) -> None:
    """Limits on both sides of the wrap, seen from the first message."""
    bench = await Bench.start(dut)
    host = Host(bench)
    for qpn, (limit, started) in enumerate(
        [(SPACE - 1, 1), (SPACE // 2 + 2, 1), (0, 1), (1, 1), (2, 2), (SPACE // 2 - 1, 6)]
    ):
        qp = await limited(bench, host, limit, qpn)
        for _ in range(6):
            host.post(qp, send())
        host.ring(qp)
        await blocked(bench, started)
    # The limit itself wraps: WRITEs move it from -2 on, and newer ones are told.
    qp = await limited(bench, host, SPACE - 2, 7)
    for op in [*[WrOp.WRITE] * 4, *[WrOp.SEND] * 9]:
        host.post(qp, work(op))
    host.ring(qp)
    await blocked(bench, 4)
    for limit, started in ((SPACE - 1, 4), (2, 4), (4, 4), (5, 5), (SPACE - 3, 5), (7, 7), (6, 7)):
        host.tell(qp, limit)
        await blocked(bench, started)
    host.hold = False
    await host.finish()


@cocotb.test()
async def no_wake_up_is_lost(dut: SimHandleBase) -> None:
    """The new limit comes in every cycle around the park, as a new limit and as none."""
    bench = await Bench.start(dut)
    host = Host(bench)
    for wait in range(60):
        qpn = wait % 16
        qp = await limited(bench, host, 0, qpn)
        for _ in range(3):
            host.post(qp, send())
        host.ring(qp)
        await bench.cycles(wait)
        host.tell(qp, 2 if wait % 2 else None)
        await bench.until(lambda: len(bench.messages) >= 2, 300, f"woken after {wait} cycles")
        host.tell(qp, 3)
        await bench.until(lambda: len(bench.messages) == 3, 300, "woken again")
        host.hold = False
        await host.finish()
        bench.configure(qpn, exists=0, state=int(QpState.RESET))
        await bench.send_init(QpInitOp.DESTROY, qpn)


@cocotb.test()
async def a_queue_pair_that_waits_for_credits_can_be_flushed(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await limited(bench, host, 0)
    for _ in range(5):
        host.post(qp, send())
    host.ring(qp)
    await blocked(bench, 1)
    host.hold = False
    host.fail(qp)
    await host.finish()
    assert len(bench.messages) == 5
    assert len(bench.packets) == 1


@cocotb.test()
async def others_go_on_while_one_waits(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qps = [await limited(bench, host, 0, qpn) for qpn in range(4)]
    free = await limited(bench, host, None, 5)
    for number in range(30):
        for qp in (*qps, free):
            host.post(qp, send(wr_id=number))
    for qp in (*qps, free):
        host.ring(qp)
    await blocked(bench, 4 + 30)
    for limit in range(2, 31):
        for qp in qps:
            host.tell(qp, limit)
        await bench.until(lambda at=limit: len(bench.messages) == 30 + 4 * at, 500, f"{limit}")
    host.hold = False
    await host.finish()
