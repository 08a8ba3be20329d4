"""rnic_completer: what answers tell about the peer's receive WQEs (rocev2 3.7, 3.8)."""

from __future__ import annotations

import random

import cocotb

from spec.codes import Syndrome
from spec.streams import MsgKind, QpInit, QpInitOp
from tb.blocks.cpl_bench import DEPTH, Bench
from tb.blocks.cpl_model import ACK, SPACE, Qp
from tb.model.credits import CREDITS

SEND, WRITE, READ, ATOMIC = MsgKind.SEND, MsgKind.WRITE, MsgKind.READ, MsgKind.ATOMIC
NO_LIMIT = 0x1F


class Watch:
    """Whether what is published changed, and whether the queue was told."""

    def __init__(self, bench: Bench, qp: Qp) -> None:
        self.bench, self.qp = bench, qp

    async def look(self) -> tuple[int, int]:
        """Settle; progress count and kicks so far."""
        await self.bench.settle()
        await self.bench.check(self.qp)
        seen = await self.bench.progress(self.qp.number)
        return seen[0].count, self.bench.kicks[self.qp.number]

    async def tells(self, *, news: bool) -> None:
        """What was just given tells something new, or nothing at all."""
        count, kicks = self.before
        after = await self.look()
        assert after == (count + news, kicks + news), (self.before, after)

    async def mark(self) -> None:
        """Remember what is so now."""
        self.before = await self.look()


@cocotb.test()
async def an_acknowledge_that_ends_nothing_tells_its_credits(dut):
    """The newest one once more: only its credits count, and the queue hears of a new limit."""
    bench = await Bench.start(dut)
    qp = await bench.create(1)
    for _ in range(3):
        await bench.post(qp, SEND, 10)
    watch = Watch(bench, qp)
    bench.acknowledge(qp, qp.start, 0x03, msn=1)
    await watch.mark()
    assert (qp.limit, qp.retired) == (4, 1)
    for code, msn, limit in ((0x03, 1, 4), (0x04, 1, 5), (0x02, 1, 5), (0x06, 1, 9), (0x06, 1, 9)):
        news = limit != qp.limit
        bench.acknowledge(qp, qp.start, code, msn=msn)
        await watch.tells(news=news)
        assert qp.limit == limit
        await watch.mark()
    for news in (True, False):
        bench.acknowledge(qp, qp.start, NO_LIMIT, msn=1)
        await watch.tells(news=news)
        assert qp.limit is None
        await watch.mark()
    # Behind no limit any limit is news, a smaller one too.
    bench.acknowledge(qp, qp.start, 0x00, msn=1)
    await watch.tells(news=True)
    assert qp.limit == 1
    assert qp.retired == 1


@cocotb.test()
async def what_must_not_count_tells_nothing(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(1, limited=1, retry_cnt=7, rnr_retry=7)
    for _ in range(6):
        await bench.post(qp, SEND, 10)
    bench.acknowledge(qp, qp.start + 2, 0x02, msn=3)
    watch = Watch(bench, qp)
    await watch.mark()
    assert qp.limit == 5
    for back in (2, 3, 100):
        bench.acknowledge(qp, qp.una - back, 0x1E, msn=3)  # older than the newest
        bench.acknowledge(qp, qp.una - back, NO_LIMIT, msn=3)
    bench.acknowledge(qp, qp.psn, 0x1E, msn=3)  # of what was never sent
    bench.acknowledge(qp, qp.una - 1, 0x9E, msn=3)  # reserved
    bench.acknowledge(qp, qp.una - 1, 0x5E, msn=3)
    bench.acknowledge(qp, qp.una - 1, Syndrome.NAK_SEQUENCE, msn=0x1000)  # NAKs of what is done
    bench.acknowledge(qp, qp.una - 1, Syndrome.RNR_NAK | 0x1E, msn=0x1000)
    await watch.tells(news=False)
    assert qp.limit == 5
    # Those that count do not tell credits.
    bench.acknowledge(qp, qp.una, Syndrome.NAK_SEQUENCE, msn=0x1000)
    await watch.mark()
    bench.acknowledge(qp, qp.una, Syndrome.RNR_NAK | 0x1E, msn=0x1000)
    await watch.mark()
    assert (qp.limit, qp.retired, qp.rewinds) == (5, 3, 2)


@cocotb.test()
async def answers_of_reads_and_atomics_tell(dut):
    """First, Last, Only and an atomic's; Middle has no AETH and removes no limit."""
    bench = await Bench.start(dut)
    qp = await bench.create(1, limited=1)
    long = await bench.post(qp, READ, 3 * qp.mtu + 1)
    short = await bench.post(qp, READ, 5)
    atomic = await bench.post(qp, ATOMIC)
    watch = Watch(bench, qp)
    limits = []
    bench.answer(qp, long, 0, syndrome=0x01, msn=1)
    await watch.mark()
    limits.append(qp.limit)
    for at in (1, 2):
        bench.answer(qp, long, at, syndrome=NO_LIMIT, msn=0x5555)
        await watch.mark()
        limits.append(qp.limit)
    bench.answer(qp, long, 3, syndrome=0x03, msn=1)
    await watch.mark()
    limits.append(qp.limit)
    bench.answer(qp, short, 0, syndrome=0x04, msn=2)
    await watch.mark()
    limits.append(qp.limit)
    bench.answer(qp, atomic, 0, syndrome=0x04, msn=3)
    await watch.mark()
    limits.append(qp.limit)
    assert limits == [2, 2, 2, 4, 6, 7]
    assert qp.retired == 3


@cocotb.test()
async def a_wrong_answer_tells_nothing(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(1, limited=1)
    read = await bench.post(qp, READ, 5)
    bench.answer(qp, read, 0, size=4, syndrome=0x09, msn=1)
    await bench.settle()
    assert qp.limit == 0
    await bench.check(qp)


@cocotb.test()
async def limits_are_compared_modulo_their_space(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(1, psn=SPACE - 2)
    for _ in range(8):
        await bench.post(qp, SEND, 10)
    steps = [
        (0x01, SPACE - 3, SPACE - 2), (0x00, SPACE - 1, SPACE - 1), (0x01, SPACE - 1, 0),
        (0x00, SPACE - 1, 0), (0x02, 0, 2), (0x00, SPACE - 9, 2), (0x00, SPACE // 2 + 3, 2),
        (0x00, SPACE // 2 + 1, SPACE // 2 + 1), (0x00, 0, 0),
    ]  # fmt: skip
    for number, (code, msn, limit) in enumerate(steps):
        bench.acknowledge(qp, qp.start + min(number, 3), code, msn=msn)
        await bench.settle()
        assert qp.limit == limit
        await bench.check(qp)


@cocotb.test()
async def every_code_has_its_number(dut):
    bench = await Bench.start(dut)
    for code, credits in enumerate(CREDITS):
        qp = await bench.create(1)
        await bench.post(qp, SEND, 10)
        bench.acknowledge(qp, qp.start, code, msn=0x1234)
        await bench.settle()
        assert qp.limit == 0x1234 + credits
        await bench.check(qp)


@cocotb.test()
async def a_life_begins_as_it_is_told(dut):
    """Limited or not, whatever the one before knew."""
    bench = await Bench.start(dut)
    for limited in (0, 1, 1, 0, 0):
        qp = await bench.create(1, limited=limited)
        assert qp.limit == (0 if limited else None)
        await bench.check(qp)
        await bench.post(qp, SEND, 10)
        bench.acknowledge(qp, qp.start, 0x08, msn=1)
        await bench.settle()
        assert qp.limit == 17
        await bench.check(qp)
        await bench.init.send(QpInit(op=QpInitOp.DESTROY, qpn=1))


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "bursts"])
async def limits_that_grow_arrive(dut, stall):
    """Many acknowledges at once, merged or not, middles of reads among them."""
    bench = await Bench.start(dut, stall, "none")
    qp = await bench.create(1, limited=1)
    msn = limit = 0
    for _ in range(40):
        while len(qp.messages) - qp.retired < DEPTH - 4:
            kind = random.choice([SEND, WRITE, WRITE, READ])
            await bench.post(qp, kind, random.choice([10, 3 * qp.mtu]))
        for message in qp.messages[msn:]:
            # Never less than before: what was told in between may be lost in a merge.
            least = max(0, limit - msn - 1)
            least += random.choice([0, 0, 1, 8]) if least < 100 else 0
            code = min(code for code, credits in enumerate(CREDITS) if credits >= least)
            limit = msn + 1 + CREDITS[code]
            told = {"syndrome": code, "msn": msn + 1}
            if message.kind == READ:
                for at in range(message.packets):
                    bench.answer(qp, message, at, **told)
            else:
                bench.respond(qp, ACK, message.last, **told)
            msn += 1
        await bench.settle()
        await bench.check(qp)
    assert qp.retired == len(qp.messages)
    assert qp.limit == limit
