"""The requester, one situation at a time."""

from __future__ import annotations

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import CqeStatus, Mtu, QpState
from spec.layouts import WqeFlag, WrOp
from spec.streams import MsgKind, QpInitOp
from tb.blocks.queue_bench import Bench
from tb.blocks.queue_doorbell import inline, send
from tb.blocks.queue_host import Host
from tb.blocks.queue_work import Work

OP = CqeStatus.LOC_QP_OP_ERR
LEN = CqeStatus.LOC_LEN_ERR
TWO = [(0x1000, 10, 1), (0x2000, 20, 2)]

BAD = {
    "unknown opcode": (Work(op=12), OP),
    "memory window": (Work(op=WrOp.BIND_MW), OP),
    "no blocks": (Work(change={"blocks": 0}), OP),
    "five blocks": (Work(change={"blocks": 5}), OP),
    "more blocks than the ring": (Work(sges=TWO * 7, change={"blocks": 15}), OP),
    "wrong index": (Work(change={"index": 4711}), OP),
    "fifteen SGEs": (Work(sges=TWO * 7, change={"num_sge": 15}), OP),
    "SGEs beyond the blocks": (Work(sges=TWO, change={"num_sge": 3}), OP),
    "read with nine SGEs": (Work(op=WrOp.READ, sges=[(0, 1, 0)] * 9), OP),
    "inline read": (Work(op=WrOp.READ, flags=WqeFlag.INLINE), OP),
    "inline with SGEs": (
        Work(flags=WqeFlag.INLINE, inline=b"abc", change={"num_sge": 1}), OP),
    "inline beyond the blocks": (
        Work(flags=WqeFlag.INLINE, inline=b"abc", change={"length": 33}), OP),
    "inline too long": (Work(flags=WqeFlag.INLINE, inline=b"abc", change={"length": 225}), LEN),
    "SGEs too short": (Work(sges=TWO, change={"length": 31}), LEN),
    "SGEs too long": (Work(sges=TWO, change={"length": 29}), LEN),
    "no SGE": (Work(change={"length": 1}), LEN),
    "SGEs too long, four blocks": (Work(sges=TWO * 7, change={"length": 209}), LEN),
    "SGEs too short, three blocks": (Work(sges=TWO * 5, change={"length": 151}), LEN),
    "SGEs that add up modulo 2^32": (
        Work(sges=[(0, 0xFFFF_FFFF, 0), (0, 9, 0)], change={"length": 8}), LEN),
    "read that does not add up": (Work(op=WrOp.READ, sges=TWO, change={"length": 1}), LEN),
    "longer than 2^31": (Work(sges=[(0, 0x8000_0001, 0)]), LEN),
    "more PSNs than half their space": (Work(op=WrOp.READ, sges=[(0, 0x8000_0000, 0)]), LEN),
    "atomic without SGE": (Work(op=WrOp.CMP_SWAP, change={"length": 8}), OP),
    "atomic of two SGEs": (Work(op=WrOp.FETCH_ADD, sges=[(0, 4, 0)] * 2), OP),
    "atomic of 16 bytes": (Work(op=WrOp.FETCH_ADD, sges=[(0, 16, 0)]), LEN),
    "atomic into 4 bytes": (Work(op=WrOp.FETCH_ADD, sges=[(0, 4, 0)], change={"length": 8}), LEN),
    "local operation of two blocks": (Work(op=WrOp.NOP, change={"blocks": 2}), OP),
}  # fmt: skip


@cocotb.test()
async def bad_entries_stop_the_queue_pair(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    for number, (name, (work, status)) in enumerate(BAD.items()):
        qpn = number % 16
        qp = await host.create(qpn, psn=1000, sq_log=3, path_mtu=int(Mtu.BYTES_256))
        bench.memory.clear()
        bench.packets.clear()
        bench.messages.clear()
        bench.kicks.clear()
        host.post(qp, send(wr_id=1))
        host.post(qp, work, status)
        if "blocks" not in work.change and len(work.encode(0)) < 3:
            host.post(qp, send(wr_id=2))
            host.post(qp, send(wr_id=3))
        else:
            qp.producer = 8
        bench.ring(qpn, qp.producer)
        dut._log.info(name)
        await host.finish()
        assert len(bench.packets) == 1, name
        kinds = [record.kind for _, _, _, record in bench.messages]
        assert kinds[:2] == [MsgKind.SEND, MsgKind.BAD], name
        assert all(kind == MsgKind.FLUSH for kind in kinds[2:]), name
        assert bench.kicks == [qpn] * (len(kinds) - 1), name
        await bench.send_init(QpInitOp.DESTROY, qpn)


@cocotb.test()
async def reads_without_a_limit_to_wait_for_are_bad(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    for qpn, op in enumerate((WrOp.READ, WrOp.CMP_SWAP)):
        qp = await host.create(qpn, max_rd_atomic=0)
        host.post(qp, Work(op=op, sges=[(0, 8, 0)]), OP)
        host.ring(qp)
    await host.finish()
    assert not bench.packets


@cocotb.test()
@cocotb.parametrize(block=[0, 1, 3])
async def a_block_that_the_host_does_not_deliver_is_bad(dut: SimHandleBase, block: int) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1)
    work = Work(sges=[(0, 1, 0)] * 14)
    # Without its head nobody knows how long the entry is.
    if block == 0:
        work.change = {"index": 0}
    bench.broken.add(bench.cfg[1].sq_base + 64 * block)
    host.post(qp, work, OP)
    host.post(qp, send())
    host.ring(qp)
    await host.finish()
    assert not bench.packets


@cocotb.test()
async def a_fence_waits_for_reads_and_no_more(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1)
    host.hold = True
    host.post(qp, Work(op=WrOp.READ, sges=TWO))
    host.post(qp, send())
    host.post(qp, send(flags=WqeFlag.FENCE))
    host.post(qp, send())
    host.ring(qp)
    await bench.cycles(200)
    assert len(bench.messages) == 2
    assert bench.parks
    assert bench.parks[-1].park
    assert bench.read_count == 1, "a parked queue is left alone"
    host.hold = False
    await host.finish()
    bench.parks.clear()
    host.hold = True
    host.post(qp, send())
    host.post(qp, send(flags=WqeFlag.FENCE))
    host.ring(qp)
    await bench.until(lambda: len(bench.messages) == 6, 200, "a fence behind a send is no fence")
    host.hold = False
    await host.finish()


@cocotb.test()
async def reads_wait_at_their_limit(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1, max_rd_atomic=3)
    host.hold = True
    for _ in range(5):
        host.post(qp, Work(op=WrOp.READ, sges=TWO))
    host.post(qp, send())
    host.ring(qp)
    await bench.cycles(200)
    assert len(bench.messages) == 3
    host.hold = False
    await host.finish()


@cocotb.test()
async def the_window_of_sequence_numbers_stays_half_open(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1, psn=0xFFFF00, path_mtu=int(Mtu.BYTES_256))
    host.hold = True
    # 2^23 - 1 packets are the most; the second read fits only when the first is complete.
    for length in (0x4000_0000, 0x3FFF_FF00, 0x100):
        host.post(qp, Work(op=WrOp.READ, sges=[(0, length, 0)]))
    host.ring(qp)
    await bench.cycles(200)
    assert len(bench.messages) == 2
    host.hold = False
    await host.finish()
    host.post(qp, Work(op=WrOp.READ, sges=[(0, 0x7FFF_FF00, 0)]))
    host.ring(qp)
    await host.finish()


@cocotb.test()
async def a_draining_queue_pair_starts_nothing(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, latency=(30, 40))
    host = Host(bench)
    qp = await host.create(1)
    for round_number in range(12):
        for n in range(9):
            host.post(qp, send(wr_id=n))
        host.ring(qp)
        await bench.cycles(3 * round_number)
        bench.configure(1, state=int(QpState.SQD))
        # What has passed the look at the state may leave.
        await bench.cycles(12)
        count = len(bench.messages)
        await bench.cycles(150)
        assert len(bench.messages) == count
        bench.configure(1, state=int(QpState.RTS))
        bench.flush.queue.append(1)
        await host.finish()
    assert len(bench.messages) == 12 * 9


@cocotb.test()
async def a_draining_queue_pair_that_fails_is_flushed(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    for wait in range(0, 40):
        qp = await host.create(wait % 16)
        for _ in range(3):
            host.post(qp, send())
        host.ring(qp)
        await bench.cycles(wait // 3)
        bench.configure(qp.number, state=int(QpState.SQD))
        await bench.cycles(wait)
        host.fail(qp)
        await host.finish()
        await bench.send_init(QpInitOp.DESTROY, qp.number)


@cocotb.test()
async def a_failing_queue_pair_never_loses_a_message(dut: SimHandleBase) -> None:
    """The flush meets the record in every cycle around its writing."""
    bench = await Bench.start(dut)
    host = Host(bench, delay=(0, 0))
    for wait in range(40):
        qp = await host.create(wait % 16)
        for _ in range(4):
            host.push(qp, send())
        await bench.cycles(wait)
        host.fail(qp)
        await host.finish(2000)
        await bench.send_init(QpInitOp.DESTROY, qp.number)


@cocotb.test()
async def a_long_message_ends_when_the_queue_pair_fails(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1, path_mtu=int(Mtu.BYTES_256))
    other = await host.create(2)
    host.post(qp, Work(op=WrOp.WRITE, sges=[(0, 200, 0), (0, 256 * 4000 - 200, 0)]))
    host.ring(qp)
    await bench.until(lambda: len(bench.packets) > 30)
    host.fail(qp)
    host.post(other, send())
    host.ring(other)
    await host.finish()
    assert len(bench.packets) < 100
    qp_packets = [pkt for _, pkt in bench.packets if pkt.qpn == 1]
    assert qp_packets[-1].last, "the packet in progress is whole"


@cocotb.test()
@cocotb.parametrize(mtu=[Mtu.BYTES_256, Mtu.BYTES_1024, Mtu.BYTES_2048, Mtu.BYTES_4096])
async def every_64_kib_an_acknowledge_is_asked_for(dut: SimHandleBase, mtu: Mtu) -> None:
    """And at least every 64 packets; `Work` knows which packets that are."""
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1, path_mtu=int(mtu))
    size = 128 << mtu
    every = min(64, 0x10000 // size)
    counts = (every - 1, every, every + 1, 2 * every, 2 * every + 1, 200)
    for packets in counts:
        host.post(
            qp, Work(op=WrOp.WRITE_IMM, sges=[(0, size * packets, 0)], flags=WqeFlag.SOLICITED)
        )
    host.ring(qp)
    await host.finish()
    asks = sum(pkt.ack_req for _, pkt in bench.packets)
    assert asks == sum(-(-packets // every) for packets in counts)


@cocotb.test()
async def next_psn_is_there_two_cycles_later(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    for qpn in range(4):
        qp = await host.create(qpn, psn=0xFFFFFE + qpn & 0xFFFFFF)
        host.post(qp, Work(op=WrOp.READ, sges=[(0, 3000, 0)]))
        host.post(qp, inline(b"abc"))
        host.ring(qp)
    await host.finish()
    seen = []
    for qpn in [0, 1, 2, 3, 0, 0]:
        dut.psn_rd_qpn.value = qpn
        await RisingEdge(dut.clk)
        seen.append(str(dut.psn_rd_data.value))
    # What was asked in a cycle is sampled at the end of the second cycle after it.
    asked = [host.qps[n].psn for n in (0, 1, 2, 3)]
    assert [int(bits, 2) for bits in seen[2:6]] == asked


@cocotb.test()
async def a_drain_waits_for_what_is_inside(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1)
    bench.pkt_hold = True
    for _ in range(5):
        host.post(qp, send())
    host.ring(qp)
    await bench.cycles(60)
    dut.drain_req_en.value = 1
    await RisingEdge(dut.clk)
    dut.drain_req_en.value = 0
    await bench.cycles(50)
    assert not bench.drained
    bench.pkt_hold = False
    await bench.until(lambda: bench.drained == 1, 100, "drained")
    assert len(bench.packets) >= 5
    await host.finish()
    dut.drain_req_en.value = 1
    await RisingEdge(dut.clk)
    dut.drain_req_en.value = 0
    await bench.until(lambda: bench.drained == 2, 20, "drained at once")


@cocotb.test()
async def half_an_entry_of_an_old_life_is_forgotten(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1)
    blocks = Work(sges=[(0, 1, 0)] * 14).encode(0)
    bench.store(1, 0, blocks)
    bench.ring(1, 2)
    await bench.cycles(60)
    assert not bench.messages
    bench.configure(1, exists=0, state=int(QpState.RESET))
    await bench.send_init(QpInitOp.DESTROY, 1)
    qp = await host.create(1)
    host.post(qp, send())
    host.ring(qp)
    await host.finish()
    assert not bench.parks


@cocotb.test()
async def half_an_entry_waits_for_its_rest(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut)
    host = Host(bench)
    qp = await host.create(1)
    other = await host.create(2)
    for wait in (1, 60):
        first = qp.producer
        host.post(qp, Work(sges=[(n, 100, n) for n in range(14)]))
        bench.ring(1, first + 2)
        await bench.cycles(wait)
        host.post(other, send())
        host.ring(other)
        await bench.cycles(wait)
        host.ring(qp)
        await host.finish()
