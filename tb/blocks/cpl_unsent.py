"""rnic_completer: packets that could not be sent, of messages before, behind and under recovery."""

from __future__ import annotations

import cocotb

from spec.codes import CqeStatus, Syndrome
from spec.streams import MsgKind
from tb.blocks.cpl_bench import Bench
from tb.blocks.cpl_model import Message, Qp

SEQUENCE = Syndrome.NAK_SEQUENCE
PROT, BUS = CqeStatus.LOC_PROT_ERR, CqeStatus.LOC_QP_OP_ERR
FLUSH, GOOD = CqeStatus.WR_FLUSH_ERR, CqeStatus.SUCCESS


async def start(dut, count: int = 4, **fields: int) -> tuple[Bench, Qp, list[Message]]:
    """A queue pair with so many WRITEs under way."""
    bench = await Bench.start(dut)
    qp = await bench.create(0, **{"retry_cnt": 7} | fields)
    return (
        bench,
        qp,
        [await bench.post(qp, MsgKind.WRITE, 600, signaled=True) for _ in range(count)],
    )


async def seen(bench: Bench, qp: Qp) -> list[CqeStatus]:
    """How messages have ended by now, after a look at everything else."""
    await bench.settle()
    await bench.check(qp)
    return [end[1] for end in qp.completions]


@cocotb.test()
async def an_older_loss_is_mended_before_a_failure_counts(dut):
    """It is found again with every repetition, and told again: once is enough."""
    bench, qp, writes = await start(dut)
    bench.unsent(qp, writes[2])
    assert await seen(bench, qp) == []
    for lost in (0, 1):
        bench.acknowledge(qp, writes[lost].first, SEQUENCE)
        assert await seen(bench, qp) == [GOOD] * lost
        await bench.sent(qp)
        bench.unsent(qp, writes[2])
        assert await seen(bench, qp) == [GOOD] * lost
    assert qp.rewinds == 2
    bench.acknowledge(qp, writes[1].last)
    assert await seen(bench, qp) == [GOOD, GOOD, PROT, FLUSH]


@cocotb.test()
async def what_fails_when_its_message_is_done_costs_nothing(dut):
    """A repetition whose memory was given back with the completion: the queue pair goes on."""
    bench, qp, writes = await start(dut, retry_cnt=0)
    bench.acknowledge(qp, writes[1].last)
    assert await seen(bench, qp) == [GOOD, GOOD]
    for turn in range(5):
        bench.unsent(qp, writes[turn & 1], (PROT, BUS)[turn & 1])
        await seen(bench, qp)
        assert qp.rewinds == turn + 1
    assert (qp.retries, qp.errors) == (0, [])
    bench.acknowledge(qp, writes[3].last)
    assert await seen(bench, qp) == [GOOD] * 4
    # Nothing is outstanding; but what is begun in the meantime would be dropped.
    bench.unsent(qp, writes[3])
    await seen(bench, qp)
    assert qp.rewinds == 6


@cocotb.test()
async def what_is_acknowledged_has_not_failed(dut):
    """The answer to the first sending comes after the second one has failed."""
    bench, qp, writes = await start(dut)
    bench.unsent(qp, writes[1])
    assert await seen(bench, qp) == []
    bench.acknowledge(qp, writes[1].last)
    assert await seen(bench, qp) == [GOOD, GOOD]
    assert qp.rewinds == 1, "what was behind it has been dropped"
    bench.acknowledge(qp, writes[3].last)
    assert await seen(bench, qp) == [GOOD] * 4


@cocotb.test()
async def the_older_of_two_failures_counts(dut):
    bench, qp, writes = await start(dut)
    bench.unsent(qp, writes[2], BUS)
    await seen(bench, qp)
    bench.unsent(qp, writes[1], PROT)
    assert await seen(bench, qp) == []
    bench.acknowledge(qp, writes[0].last)
    assert await seen(bench, qp) == [GOOD, PROT, FLUSH, FLUSH]


@cocotb.test()
async def a_failed_local_operation_stays_failed(dut):
    """Whatever packet in front of it fails, and whatever becomes of that."""
    bench, qp, writes = await start(dut, 2)
    op = await bench.post(qp, MsgKind.LOCAL, signaled=True)
    later = await bench.post(qp, MsgKind.LOCAL, signaled=True)
    bench.unsent(qp, writes[1])
    bench.local_result(qp, op, BUS)
    await seen(bench, qp)
    bench.local_result(qp, later)
    assert await seen(bench, qp) == []
    bench.acknowledge(qp, writes[1].last)
    assert await seen(bench, qp) == [GOOD, GOOD, BUS, FLUSH]


@cocotb.test()
async def a_local_operation_behind_a_failure_that_was_none_is_done(dut):
    bench, qp, writes = await start(dut, 2)
    op = await bench.post(qp, MsgKind.LOCAL, signaled=True)
    bench.unsent(qp, writes[1])
    bench.local_result(qp, op)
    assert await seen(bench, qp) == []
    bench.acknowledge(qp, writes[1].last)
    assert await seen(bench, qp) == [GOOD] * 3
