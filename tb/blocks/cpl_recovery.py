"""rnic_completer over a bad wire: what is a loss, how often it is tried, when it is given up."""

from __future__ import annotations

import random

import cocotb

from spec.codes import CqeStatus, QpState, Syndrome
from spec.streams import MsgKind, QpInit, QpInitOp, RetireKind
from tb.blocks.cpl_bench import QPS, Bench
from tb.blocks.cpl_model import FIRST, LAST, MIDDLE, ONLY, READS, SPACE, Message, Qp
from tb.blocks.cpl_rules import PATTERNS, Peer, post_some
from tb.streams import cycles

SEQUENCE = Syndrome.NAK_SEQUENCE
RNR = 0x20
TICK = 16
"""Cycles of the ACK timer's unit, as the bench sets it."""
RNR_TICK = 40


async def wait_for(bench: Bench, condition, limit: int = 20_000) -> int:
    """Cycles until something is so."""
    begin = bench.now
    while not condition():
        assert bench.now - begin < limit, "it never happens"
        await cycles(bench.dut)
    return bench.now - begin


class LossyPeer(Peer):
    """Its answers get lost; when the requester goes back, so does it."""

    def __init__(self, bench: Bench, qp: Qp, loss: float) -> None:
        super().__init__(bench, qp, 0.1)
        self.loss = loss

    def step(self) -> None:
        """One response, or one that nobody sees."""
        if random.random() < self.loss:
            self._lose()
        else:
            super().step()

    def _lose(self) -> None:
        while self.answered < len(self.qp.messages):
            message = self.qp.messages[self.answered]
            if message.kind == MsgKind.LOCAL:
                self.bench.local_result(self.qp, message)
                self.answered += 1
                continue
            self.packet += 1
            if message.kind not in READS or self.packet == message.packets:
                self.answered, self.packet = self.answered + 1, 0
            return

    def unfinished(self) -> Message | None:
        """The first message that something of is missing."""
        for message in self.qp.messages:
            over = message.local_done if message.kind == MsgKind.LOCAL else self._is_over(message)
            if not over:
                return message
        return None

    def _is_over(self, message: Message) -> bool:
        if message.kind in READS:
            return message.arrived == message.packets
        return (message.last - self.qp.una) % SPACE >= SPACE // 2

    async def go_back(self) -> None:
        """The requester sends again from the first packet that was not acknowledged."""
        message = self.unfinished()
        if message is None:
            return
        while message.kind == MsgKind.LOCAL:
            self.bench.local_result(self.qp, message)
            await self.bench.settle()
            message = self.unfinished()
            if message is None:
                return
        qp = self.qp
        await self.bench.sent(qp)
        self.answered, self.packet = message.index, message.arrived
        if message.kind == MsgKind.READ and message.arrived:
            await self.bench.read_again(qp, message.first + message.arrived)
            await self._restart(message)

    async def _restart(self, read: Message) -> None:
        """The answer begins anew, or goes on as if nothing had been: both are right."""
        left = read.packets - read.arrived
        anew = ONLY if left == 1 else FIRST
        if random.random() < 0.5:
            self.bench.answer(self.qp, read, self.packet, opcode=anew)
        else:
            self.bench.answer(self.qp, read, self.packet)
        self.packet += 1
        if self.packet == read.packets:
            self.answered, self.packet = self.answered + 1, 0


async def provoke(bench: Bench, peer: LossyPeer) -> None:
    """Nothing more comes: the peer says what it misses."""
    qp, message = peer.qp, peer.unfinished()
    if message is None or message.kind == MsgKind.LOCAL:
        return
    bench.acknowledge(qp, qp.una, random.choice([SEQUENCE, SEQUENCE, RNR | 1, RNR | 2]))
    await bench.settle()
    if qp.rnr_wait:
        await wait_for(bench, lambda: not bench.published[qp.number].rnr_wait)
        qp.rnr_over()
        await bench.settle()


@cocotb.test()
@cocotb.parametrize((("stall", "idle"), PATTERNS[:3]), loss=[0.1, 0.5])
async def every_message_ends_once_over_a_bad_wire(dut, stall, idle, loss):
    """Answers get lost, reads are asked for again from where they broke off, waits for receives."""
    bench = await Bench.start(dut, stall, idle)
    peers = []
    for number in range(QPS):
        psn = random.choice([0, SPACE - 20, random.getrandbits(24)])
        qp = await bench.create(number, psn=psn, retry_cnt=7, rnr_retry=7)
        peers.append(LossyPeer(bench, qp, loss))
    for round_ in range(40):
        for peer in random.sample(peers, QPS):
            if round_ < 25:
                await post_some(bench, peer.qp, random.randint(0, 5))
        for _ in range(30):
            random.choice(peers).step()
        await bench.settle()
        for peer in peers:
            await provoke(bench, peer)
            await peer.go_back()
            if round_ >= 25:
                peer.loss = 0
        await bench.settle()
    rewinds = sum(peer.qp.rewinds for peer in peers)
    dut._log.info(f"{rewinds} returns, {sum(len(p.qp.messages) for p in peers)} messages")
    assert rewinds > 20
    for peer in peers:
        assert not peer.qp.errors
        assert peer.qp.retired == len(peer.qp.messages)
        await bench.check(peer.qp)


# ---------- sequence NAK, implied NAK


@cocotb.test()
@cocotb.parametrize(count=[0, 1, 3, 7])
async def losses_without_progress_end_it_after_as_many_retries_as_were_asked(dut, count):
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=count)
    send = await bench.post(qp, MsgKind.SEND, 10)
    await bench.post(qp, MsgKind.SEND, 10)
    for _ in range(count):
        bench.acknowledge(qp, send.first, SEQUENCE)
        await bench.settle()
        assert not bench.errors[0]
        await bench.sent(qp)
    assert bench.rewinds[0] == count
    bench.acknowledge(qp, send.first, SEQUENCE)
    await bench.settle()
    await bench.check(qp)
    assert qp.errors == [CqeStatus.RETRY_EXC_ERR]
    assert bench.event_count["exhausted"] == 1


@cocotb.test()
async def progress_restores_the_retries(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(1, retry_cnt=1, rnr_retry=1, path_mtu=1)
    send = await bench.post(qp, MsgKind.SEND, 256 * 9)
    for at in range(1, 8):
        # What is before the NAK's PSN is acknowledged, in the middle of a message too.
        bench.acknowledge(qp, send.first + at, SEQUENCE)
        await bench.settle()
        await bench.sent(qp)
    await bench.check(qp)
    assert qp.rewinds == 7
    bench.acknowledge(qp, send.last)
    await bench.settle()
    await bench.check(qp)
    assert not qp.errors


@cocotb.test()
async def a_loss_counts_once_until_something_was_sent_again(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(2, retry_cnt=2)
    send = await bench.post(qp, MsgKind.SEND, 10)
    for _ in range(5):
        bench.acknowledge(qp, send.first, SEQUENCE)
    await bench.settle()
    await bench.check(qp)
    assert (qp.rewinds, qp.retries) == (1, 1)
    await bench.sent(qp)
    for _ in range(5):
        bench.acknowledge(qp, send.first, SEQUENCE)
    await bench.settle()
    await bench.check(qp)
    assert (qp.rewinds, qp.retries) == (2, 2)
    bench.acknowledge(qp, send.first - 1, SEQUENCE)
    await bench.settle()
    await bench.check(qp)
    assert not qp.errors, "a NAK of what is acknowledged says nothing"


@cocotb.test()
@cocotb.parametrize(
    kind=[MsgKind.READ, MsgKind.ATOMIC], what=["ack", "read", "atomic", "rnr", "nak"]
)
async def a_read_passed_over_is_asked_for_again_once(dut, kind, what):
    """Whatever speaks of something behind it says so; a burst of that starts one return."""
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=3, rnr_retry=3, path_mtu=1)
    before = await bench.post(qp, MsgKind.SEND, 10)
    read = await bench.post(qp, kind, 256 * 3)
    send = await bench.post(qp, MsgKind.SEND, 10)
    later = await bench.post(qp, MsgKind.ATOMIC if what == "atomic" else MsgKind.READ, 100)

    def passes():
        if what == "ack":
            return bench.acknowledge(qp, send.last)
        if what in ("read", "atomic"):
            return bench.answer(qp, later, 0)
        return bench.acknowledge(qp, later.first, SEQUENCE if what == "nak" else RNR | 1)

    first = passes()
    assert (first.kind, first.psn) == (RetireKind.RESP_ACK, read.first)
    for _ in range(4):
        assert passes().kind == RetireKind.NONE
    await bench.settle()
    await bench.check(qp)
    assert qp.rewinds == 1
    assert qp.completions[0][0] is before
    await bench.sent(qp)
    # Still missing: nothing new, until it comes.
    assert passes().kind == RetireKind.NONE
    for at in range(read.packets):
        bench.answer(qp, read, at)
    bench.acknowledge(qp, send.last)
    bench.answer(qp, later, 0)
    await bench.settle()
    await bench.check(qp)
    assert qp.retired == 4
    assert qp.rewinds == 1


@cocotb.test()
@cocotb.parametrize(style=["anew", "on"], lost=[1, 2, 3])
async def a_read_goes_on_where_it_broke_off(dut, style, lost):
    """The answer to the second request begins with First or Only, or goes on (rocev2 3.9)."""
    bench = await Bench.start(dut)
    qp = await bench.create(3, retry_cnt=7, path_mtu=1)
    read = await bench.post(qp, MsgKind.READ, 256 * 3 + 9)
    for at in range(4):
        if at != lost:
            bench.answer(qp, read, at)
    await bench.settle()
    assert qp.rewinds == (0 if lost == 3 else 1)
    await bench.sent(qp)
    await bench.read_again(qp, read.first + lost)
    anew = ONLY if lost == 3 else FIRST
    bench.answer(qp, read, lost, **({"opcode": anew} if style == "anew" else {}))
    for at in range(lost + 1, 4):
        bench.answer(qp, read, at)
    await bench.settle()
    await bench.check(qp)
    assert qp.retired == 1
    assert not qp.errors


@cocotb.test()
@cocotb.parametrize(wrong=["first, not asked again", "last too early", "middle at the end"])
async def other_opcodes_in_a_read_are_bad(dut, wrong):
    bench = await Bench.start(dut)
    qp = await bench.create(3, retry_cnt=7, path_mtu=1)
    read = await bench.post(qp, MsgKind.READ, 256 * 4)
    bench.answer(qp, read, 0)
    if wrong == "first, not asked again":
        bench.answer(qp, read, 1, opcode=FIRST)
    else:
        await bench.settle()
        await bench.sent(qp)
        await bench.read_again(qp, read.first + 1)
        if wrong == "last too early":
            bench.answer(qp, read, 1, opcode=LAST)
        else:
            for at in (1, 2):
                bench.answer(qp, read, at)
            bench.answer(qp, read, 3, opcode=MIDDLE)
    await bench.settle()
    await bench.check(qp)
    assert qp.errors == [CqeStatus.BAD_RESP_ERR]


@cocotb.test()
async def answers_of_the_first_request_still_count(dut):
    """A response that was late, not lost, comes after the read was asked for again, then twice."""
    bench = await Bench.start(dut)
    qp = await bench.create(1, retry_cnt=7, path_mtu=1)
    read = await bench.post(qp, MsgKind.READ, 256 * 5)
    bench.answer(qp, read, 0)
    bench.answer(qp, read, 2)
    await bench.settle()
    await bench.sent(qp)
    await bench.read_again(qp, read.first + 1)
    bench.answer(qp, read, 1)
    assert bench.answer(qp, read, 1, opcode=FIRST).kind == RetireKind.NONE
    for at in (2, 3, 2, 3, 4):
        bench.answer(qp, read, at)
    await bench.settle()
    await bench.check(qp)
    assert qp.retired == 1


# ---------- RNR NAK


@cocotb.test()
async def a_peer_without_receives_is_waited_for(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=1, rnr_retry=2)
    before = await bench.post(qp, MsgKind.SEND, 10)
    send = await bench.post(qp, MsgKind.SEND, 10)
    for code in (4, 3):
        begin = bench.now
        bench.acknowledge(qp, send.first, RNR | code)
        await bench.settle()
        await bench.check(qp)
        assert qp.rnr_wait
        assert qp.completions[0][0] is before
        # What its peer says of the packets behind it does not cut the wait short (rocev2 3.12).
        for syndrome in (SEQUENCE, SEQUENCE, RNR | 1):
            bench.acknowledge(qp, send.first, syndrome)
        kicks = bench.kicks[0]
        await wait_for(bench, lambda: not bench.published[0].rnr_wait)
        waited = bench.now - begin
        assert code * RNR_TICK <= waited <= (code + 2) * RNR_TICK + 60, waited
        qp.rnr_over()
        await bench.settle()
        assert bench.kicks[0] > kicks, "the queue is woken"
        await bench.sent(qp)
    await bench.check(qp)
    assert (qp.rewinds, qp.rnr_retries, qp.retries) == (2, 2, 0)
    bench.acknowledge(qp, send.first, RNR | 1)
    await bench.settle()
    await bench.check(qp)
    assert qp.errors == [CqeStatus.RNR_RETRY_EXC_ERR]


@cocotb.test()
async def seven_rnr_retries_are_for_ever(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(0, rnr_retry=7)
    send = await bench.post(qp, MsgKind.SEND, 10)
    for _ in range(20):
        bench.acknowledge(qp, send.first, RNR | 1)
        await bench.settle()
        await wait_for(bench, lambda: not bench.published[0].rnr_wait)
        qp.rnr_over()
        await bench.sent(qp)
    await bench.check(qp)
    assert qp.rewinds == 20
    bench.acknowledge(qp, send.last)
    await bench.settle()
    await bench.check(qp)


@cocotb.test()
async def progress_ends_the_wait_for_receives(dut):
    """What was late is acknowledged meanwhile: go on at once, and wake the queue."""
    bench = await Bench.start(dut)
    qp = await bench.create(0, rnr_retry=1)
    send = await bench.post(qp, MsgKind.SEND, 10)
    await bench.post(qp, MsgKind.SEND, 10)
    bench.acknowledge(qp, send.first, RNR)
    await bench.settle()
    kicks = bench.kicks[0]
    bench.acknowledge(qp, send.last)
    await bench.settle()
    await bench.check(qp)
    assert not qp.rnr_wait
    assert bench.kicks[0] > kicks


# ---------- timers


@cocotb.test()
@cocotb.parametrize(count=[0, 2])
async def an_answer_that_never_comes(dut, count):
    """Each timeout costs a retry and sends back; the last one ends it."""
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=count, timeout=3)
    await bench.post(qp, MsgKind.WRITE, 10)
    begin = bench.now
    for number in range(count):
        await wait_for(bench, lambda n=number: bench.rewinds[0] > n)
        assert 8 * TICK <= bench.now - begin <= 10 * TICK + 40, bench.now - begin
        qp.timeout()
        await bench.sent(qp)
        begin = bench.now
    await wait_for(bench, lambda: bench.errors[0])
    assert 8 * TICK <= bench.now - begin <= 10 * TICK + 40, bench.now - begin
    qp.timeout()
    await bench.settle()
    await bench.check(qp)
    assert qp.errors == [CqeStatus.RETRY_EXC_ERR]
    assert bench.event_count["timeout"] == count + 1


@cocotb.test()
async def a_timeout_spends_nothing_while_nothing_was_sent_again(dut):
    """The requester's turn may be later than the timer: many queue pairs, a paused wire."""
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=2, timeout=1)
    send = await bench.post(qp, MsgKind.WRITE, 10)
    await cycles(dut, 40 * TICK)
    assert not bench.errors[0], "given up without a single packet sent again"
    await bench.sent(qp)
    bench.acknowledge(qp, send.last)
    await bench.settle()
    assert bench.completions[0] == [] or bench.completions[0][0].status == CqeStatus.SUCCESS
    assert bench.published[0].msg_tail == 1


@cocotb.test()
async def a_local_operation_is_no_loss(dut):
    """It answers nobody, so no timer runs for it, however long the queue pair was idle before."""
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=0, timeout=2)
    for _ in range(3):
        await cycles(dut, 12 * TICK)
        local = await bench.post(qp, MsgKind.LOCAL, signaled=True)
        send = await bench.post(qp, MsgKind.SEND, 10)
        await cycles(dut, 8 * TICK)
        assert not bench.errors[0]
        bench.local_result(qp, local)
        # From now on the send is the oldest message: its time begins.
        await cycles(dut, 3 * TICK)
        assert not bench.errors[0]
        bench.acknowledge(qp, send.last)
        await bench.settle()
    await bench.check(qp)
    assert qp.retired == 6
    assert bench.event_count["timeout"] == 0


@cocotb.test()
async def a_loss_behind_a_local_operation_is_noticed(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=1, timeout=2)
    local = await bench.post(qp, MsgKind.LOCAL)
    await bench.post(qp, MsgKind.SEND, 10)
    bench.local_result(qp, local)
    await wait_for(bench, lambda: bench.rewinds[0] == 1)
    qp.timeout()
    await bench.settle()
    await bench.check(qp)


@cocotb.test()
async def each_turn_of_the_oldest_message_starts_the_time_anew(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=0, timeout=2)
    send = await bench.post(qp, MsgKind.SEND, 10)
    for _ in range(10):
        await cycles(dut, 3 * TICK)
        await bench.sent(qp, again=False)
    for _ in range(2):
        await cycles(dut, 3 * TICK)
        await bench.sent(qp, again=False, oldest=False)
    await wait_for(bench, lambda: bench.errors[0])
    qp.timeout()
    await bench.settle()
    await bench.check(qp)
    assert send.index == 0


@cocotb.test()
async def no_timer_survives_its_queue_pair(dut):
    """Destroyed while a timer is about to run out, made again at once."""
    bench = await Bench.start(dut)
    for wait in range(30):
        qp = await bench.create(0, retry_cnt=0, timeout=1)
        await bench.post(qp, MsgKind.WRITE, 10)
        await cycles(dut, TICK + wait)
        bench.configs[0] = type(bench.configs[0])(exists=1, state=QpState.RESET)
        await bench.drain()
        await bench.init.send(QpInit(op=QpInitOp.DESTROY, qpn=0))
        await bench.settle()
        bench.qps[0].retired = 0
        qp = await bench.create(0, retry_cnt=0, timeout=5)
        send = await bench.post(qp, MsgKind.WRITE, 10)
        bench.acknowledge(qp, send.last)
        await bench.settle()
        await bench.check(qp)
        assert qp.retired == 1
        await bench.drain()
        await bench.init.send(QpInit(op=QpInitOp.DESTROY, qpn=0))


@cocotb.test()
async def a_queue_pair_that_failed_is_not_sent_back(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(0, retry_cnt=7, rnr_retry=7, timeout=1)
    bench.auto_flush = False
    send = await bench.post(qp, MsgKind.SEND, 10)
    await bench.post(qp, MsgKind.SEND, 10)
    bench.acknowledge(qp, send.first, Syndrome.NAK_REMOTE_ACCESS)
    await bench.settle()
    for syndrome in (SEQUENCE, RNR | 1):
        bench.acknowledge(qp, send.first, syndrome)
    await cycles(dut, 30 * TICK)
    assert bench.rewinds[0] == 0
    bench.fail(0)
    await bench.settle()
    bench.acknowledge(qp, send.first, SEQUENCE)
    await cycles(dut, 30 * TICK)
    await bench.check(qp)
    assert bench.rewinds[0] == 0
