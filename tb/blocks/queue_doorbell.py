"""The doorbell page and the scheduler, one situation at a time."""

from __future__ import annotations

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import QpState
from spec.layouts import PUSH_OFFSET, ArmType, CqDoorbell, Doorbell, QueueDoorbell, WqeFlag, WrOp
from spec.streams import QpInitOp
from tb.blocks.queue_bench import OKAY, SLVERR, Bench, Write
from tb.blocks.queue_host import Host
from tb.blocks.queue_work import Work

ALL = (1 << 64) - 1


def send(length: int = 8, **knobs: object) -> Work:
    """A small SEND."""
    return Work(op=WrOp.SEND, sges=[(0x1000, length, 77)] if length else [], **knobs)  # type: ignore[arg-type]


def inline(data: bytes, **knobs: object) -> Work:
    """A small inline SEND."""
    return Work(op=WrOp.SEND, flags=WqeFlag.INLINE, inline=data, **knobs)  # type: ignore[arg-type]


async def answered(bench: Bench, write: Write) -> int:
    """The response of a write."""
    await bench.until(lambda: write.resp is not None, 100, "write response")
    assert write.resp is not None
    return write.resp


@cocotb.test()
async def doorbells_of_other_rings_become_updates(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    bench.ring(9, 0x1234, Doorbell.RQ)
    bench.ring(2, 0xFFFF, Doorbell.SRQ)
    bench.ring(3, 0x55, Doorbell.EQ)
    arm = CqDoorbell(number=6, arm=ArmType.SOLICITED, arm_seq=3, index=0xABCDEF).to_int()
    last = bench.write(Doorbell.CQ, arm << 8 * Doorbell.CQ, 0xFF << Doorbell.CQ, size=3)
    assert await answered(bench, last) == OKAY
    await bench.cycles(5)
    assert [(u.number, u.index) for u in bench.updates["rq"]] == [(9, 0x1234), (16 + 2, 0xFFFF)]
    assert [(u.number, u.index) for u in bench.updates["eq"]] == [(3, 0x55)]
    (update,) = bench.updates["cq"]
    assert (update.cqn, update.arm, update.arm_seq, update.index) == (6, 2, 3, 0xABCDEF)


@cocotb.test()
async def several_doorbells_fit_one_beat_and_one_burst(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)

    def value(number: int, index: int) -> int:
        return QueueDoorbell(number=number, index=index).to_int()

    both = value(1, 10) << 8 * Doorbell.RQ | value(2, 20) << 8 * Doorbell.EQ
    strobes = 0xFF << Doorbell.RQ | 0xFF << Doorbell.EQ
    one = bench.write(0, both, strobes)
    # Narrow beats of one burst walk through the page; the first touches nothing.
    narrow = [(0, 0), (value(3, 30) << 64, 0xFF << 8), (value(1, 40) << 128, 0xFF << 16)]
    two = bench.burst(Write(0, narrow, size=3))
    # A fixed burst rings the same doorbell again and again.
    fixed = [(value(4, n) << 64, 0xFF << 8) for n in range(3)]
    three = bench.burst(Write(8, fixed, size=3, burst=0))
    for write in (one, two, three):
        assert await answered(bench, write) == OKAY
    await bench.cycles(5)
    seen = [(u.number, u.index) for u in bench.updates["rq"]]
    assert seen == [(1, 10), (3, 30), (16 + 1, 40), (4, 0), (4, 1), (4, 2)]
    assert [(u.number, u.index) for u in bench.updates["eq"]] == [(2, 20)]


@cocotb.test()
async def wrong_writes_are_refused_and_change_nothing(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1)
    (block,) = send().encode(0)
    data = int.from_bytes(block, "little")
    wrong = [
        bench.write(0, 1, 0x0F),                       # half a doorbell
        bench.write(8, 1 << 64, 0x7F << 8),            # seven bytes
        bench.write(0, 1, 0x1FE),                      # not aligned
        bench.write(0x28, 0, 0xFF << 0x28),            # no such doorbell
        bench.write(0, 0, ALL),                        # those beyond the last, too
        bench.write(0x40, 0, 0xFF),                    # second line of the page
        bench.write(0xFFC0, 0, 0xFF),
        bench.write(PUSH_OFFSET + 64, data, ALL >> 1),  # not the whole block
        bench.write(PUSH_OFFSET + 64, data, 0xFF),
        bench.write(0x2_0000, data, ALL),              # behind the windows
        bench.write(0xF_0000, data, ALL),
        bench.write(8, 1 << 64, 0xFF << 8, size=3, burst=2),
    ]  # fmt: skip
    for write in wrong:
        assert await answered(bench, write) == SLVERR
    # One bad beat spoils the answer of its burst, not the other beats.
    good = QueueDoorbell(number=5, index=50).to_int() << 64
    mixed = bench.burst(Write(8, [(good, 0xFF << 8), (good, 0x01 << 8)], size=3, burst=0))
    assert await answered(bench, mixed) == SLVERR
    assert bench.events["refused"] == len(wrong) + 1
    await bench.cycles(20)
    assert [(u.number, u.index) for u in bench.updates["rq"]] == [(5, 50)]
    assert not bench.updates["cq"]
    assert not bench.updates["eq"]
    assert not bench.messages
    host.post(qp, send())
    host.ring(qp)
    await host.finish()


@cocotb.test()
async def numbers_out_of_range_are_dropped_and_counted(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    writes = [
        bench.ring(16, 1), bench.ring(0x10000, 1), bench.ring(16, 1, Doorbell.RQ),
        bench.ring(4, 1, Doorbell.SRQ), bench.ring(8, 1, Doorbell.CQ),
        bench.ring(0x800000, 1, Doorbell.EQ), bench.push(16, bytes(64)),
        bench.push(1023, bytes(64)),
    ]  # fmt: skip
    for write in writes:
        assert await answered(bench, write) == OKAY
    await bench.cycles(10)
    assert bench.events["range"] == len(writes)
    assert bench.events["bad"] == 0
    assert not any(bench.updates.values())


@cocotb.test()
async def reads_of_the_page_are_answered_with_an_error(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    dut.s_axi_db_arid.value = 9
    dut.s_axi_db_arlen.value = 2
    dut.s_axi_db_arvalid.value = 1
    await RisingEdge(dut.s_axi_db_rvalid)
    dut.s_axi_db_arvalid.value = 0
    dut.s_axi_db_rready.value = 1
    beats = []
    while len(beats) < 3:
        await RisingEdge(dut.clk)
        if int(dut.s_axi_db_rvalid.value):
            beats.append((int(dut.s_axi_db_rresp.value), int(dut.s_axi_db_rlast.value)))
            assert int(dut.s_axi_db_rid.value) == 9
    assert beats == [(SLVERR, 0), (SLVERR, 0), (SLVERR, 1)]
    await bench.cycles(3)
    assert not int(dut.s_axi_db_rvalid.value)


@cocotb.test()
async def doorbells_that_make_no_sense_are_dropped(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1, sq_log=3)
    bench.configure(2, exists=1, state=int(QpState.RTR), sq_log=3)
    bad = [bench.ring(1, 9), bench.ring(1, 0x7FFF), bench.ring(2, 1), bench.ring(3, 1)]
    bad += [bench.push(2, send().encode(0)[0]), bench.push(1, send().encode(5)[0])]
    bad += [bench.push(1, Work(sges=[(0, 1, 0)] * 3).encode(0)[0])]
    for write in bad:
        assert await answered(bench, write) == OKAY
    await bench.cycles(20)
    assert bench.events["bad"] == len(bad)
    assert bench.read_count == 0
    # A whole ring at once is fine; an index from the past says nothing.
    for _ in range(8):
        host.post(qp, send())
    host.ring(qp)
    bench.ring(1, 3)
    bench.ring(1, 0xFFF0)
    await host.finish()
    assert bench.events["bad"] == len(bad)


@cocotb.test()
async def a_push_to_an_idle_queue_needs_no_read(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qps = [await host.create(n) for n in range(3)]
    for n in range(12):
        host.push(qps[n % 3], inline(bytes([n]) * 20, wr_id=n))
    await host.finish()
    assert bench.read_count == 0
    assert bench.events["push"] == 12
    assert [r.wr_id for _, _, _, r in bench.messages] == list(range(12))


@cocotb.test()
async def a_push_to_a_busy_queue_is_a_doorbell(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, latency=(100, 100))
    host = Host(bench, delay=(100, 100))
    qp = await host.create(4)
    # Blocks that wait to be fetched (17 and more are two turns), so that the push cannot pass.
    for n in range(40):
        host.post(qp, send(wr_id=n))
    host.ring(qp)
    host.push(qp, inline(b"me too", wr_id=40))
    await host.finish()
    assert [r.wr_id for _, _, _, r in bench.messages] == list(range(41))


@cocotb.test()
async def pushes_without_room_are_fetched(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qps = [await host.create(n) for n in range(5)]
    bench.pkt_hold = True
    for n in range(60):
        host.push(qps[n % 5], inline(bytes([n]) * 32, wr_id=n))
    await bench.until(lambda: bench.events["push"] == 60, what="all pushes are taken")
    assert bench.read_count > 0
    bench.pkt_hold = False
    await host.finish()
    assert bench.events["bad"] == 0


@cocotb.test()
async def nothing_starts_while_sending_is_disabled(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qps = [await host.create(n) for n in range(2)]
    dut.tx_enable.value = 0
    await bench.cycles(2)
    host.push(qps[0], inline(b"x"))
    host.post(qps[1], send())
    host.ring(qps[1])
    await bench.cycles(60)
    assert not bench.messages
    assert bench.read_count == 0
    dut.tx_enable.value = 1
    await host.finish()


@cocotb.test()
async def a_long_queue_does_not_starve_a_short_one(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench, depth=1 << 16)
    big = [await host.create(n, sq_log=9) for n in range(3)]
    small = await host.create(3)
    host.hold = True
    for qp in big:
        for _ in range(200):
            host.post(qp, send())
        host.ring(qp)
    await bench.cycles(30)
    host.post(small, send(wr_id=99))
    host.ring(small)
    await bench.until(lambda: any(q == 3 for _, q, _, _ in bench.messages), what="the short one")
    # At most the window of 128 blocks and one turn of each other queue were ahead.
    assert len(bench.messages) < 128 + 3 * 16 + 30
    host.hold = False
    await host.finish()


@cocotb.test()
async def a_turn_goes_on_behind_the_end_of_ring_and_page(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    bench.keep_blocks = True
    host = Host(bench)
    other = await host.create(0)
    # Ring of four blocks, of which the first is the last of its page: an entry of four blocks that
    # begins at place 3 lies in three pieces.
    qp = await host.create(1, sq_log=2, sq_base=0x20_0FC0)
    for n in range(3):
        host.post(qp, send(wr_id=n))
    host.ring(qp)
    await host.finish()
    host.post(qp, Work(sges=[(n << 12, 9, n) for n in range(14)], wr_id=3))
    reads = bench.read_count
    for _ in range(20):
        host.post(other, send())
    host.ring(other)
    host.ring(qp)
    await host.finish()
    assert bench.read_count == reads + 2 + 3
    assert not bench.parks


@cocotb.test()
async def a_destroyed_queue_on_the_ready_list_is_harmless(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    for qpn in range(4):
        await host.create(qpn)
    for _ in range(5):
        dut.tx_enable.value = 0
        await bench.cycles(2)
        for qpn in range(4):
            bench.store(qpn, 0, send().encode(0))
            bench.ring(qpn, 1)
        await bench.cycles(20)
        for qpn in range(4):
            bench.configure(qpn, exists=0, state=int(QpState.RESET))
            await bench.send_init(QpInitOp.DESTROY, qpn)
            await host.create(qpn)
        await bench.cycles(20)
        for qpn in (2, 3):
            host.post(host.qps[qpn], send())
            host.ring(host.qps[qpn])
        dut.tx_enable.value = 1
        await host.finish()
        assert not bench.parks


@cocotb.test()
async def kicks_and_flushes_out_of_the_blue_change_nothing(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1)
    for n in range(100):
        bench.kick.queue.append(n % 16)
        bench.flush.queue.append((n * 7) % 16)
        if n % 5 == 0:
            host.post(qp, send(wr_id=n))
            host.ring(qp)
        await bench.cycles(1)
    await host.finish()
    await bench.until(lambda: not bench.kick.queue and not bench.flush.queue)
    assert bench.read_count <= 20


@cocotb.test()
async def indices_wrap_at_sixteen_bits(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench, depth=1 << 16, delay=(0, 3), quick=True)
    qp = await host.create(1, sq_log=6)
    length = 0
    while qp.producer < 0x1_0000 + 200:
        # Mostly long entries, so that the end comes soon; their blocks wrap in every way.
        length = (length + 41) % 224
        work = inline(bytes(max(161, length)) if qp.producer % 7 else bytes(20))
        if host.room(qp) >= work.blocks:
            host.post(qp, work)
            if qp.producer & 1 or host.room(qp) < 8:
                host.ring(qp)
        else:
            host.ring(qp)
            await bench.cycles(20)
    host.ring(qp)
    await host.finish()
    assert qp.msgs > 0x4000
