"""rnic_completer against the rules: what counts, in which order messages end, and how they fail."""

from __future__ import annotations

import random

import cocotb

from spec.codes import CqeStatus, Syndrome
from spec.layouts import Sge
from spec.streams import MsgKind, QpInit, QpInitOp, RetireKind, RxFault
from tb.blocks.cpl_bench import DEPTH, QPS, Bench
from tb.blocks.cpl_model import ACK, FIRST, LAST, MIDDLE, ONLY, READS, SPACE, Qp
from tb.streams import cycles

PATTERNS = [("none", "none"), ("half", "none"), ("bursts", "bursts"), ("mostly", "half")]


# ---------- random


class Peer:
    """Answers what one queue pair sent, in order, with nonsense in between."""

    def __init__(self, bench: Bench, qp: Qp, trouble: float) -> None:
        self.bench, self.qp, self.trouble = bench, qp, trouble
        self.answered = 0
        self.packet = 0

    def step(self) -> None:
        """One response."""
        qp = self.qp
        if random.random() < self.trouble:
            self.nonsense()
            return
        while self.answered < len(qp.messages):
            message = qp.messages[self.answered]
            if message.kind in READS:
                self.bench.answer(qp, message, self.packet)
                self.packet += 1
                if self.packet == message.packets:
                    self.answered, self.packet = self.answered + 1, 0
                return
            self.answered += 1
            if message.kind == MsgKind.LOCAL:
                self.bench.local_result(qp, message)
                return
            # Several messages may be acknowledged at once, but not past a read.
            following = qp.messages[self.answered : self.answered + 1]
            plain = following and following[0].kind in (MsgKind.SEND, MsgKind.WRITE)
            if not plain or random.random() < 0.5:
                if message.packets > 1 and random.random() < 0.3:
                    self.bench.acknowledge(qp, message.last - 1)
                self.bench.acknowledge(qp, message.last)
                return

    def nonsense(self) -> None:
        """A response that must have no effect."""
        qp, bench = self.qp, self.bench
        read = qp.oldest_read()
        choice = random.randrange(6)
        if choice == 0:
            bench.respond(qp, random.choice([ACK, FIRST, LAST, ONLY, MIDDLE]),
                          qp.psn + random.choice([0, 1, 100, SPACE // 2 - 1]))  # fmt: skip
        elif choice == 1:
            bench.acknowledge(qp, qp.psn - 1, random.choice([0x40, 0x5F, 0x80, 0x65, 0x7F, 0xE0]))
        elif choice == 2:
            bench.acknowledge(qp, qp.una - random.randint(1, 5))
        elif choice == 3 and read and read.kind == MsgKind.READ:
            wrong = (read.first + read.arrived + random.choice([1, -1, 3])) % SPACE
            if wrong != (read.first + read.arrived) % SPACE:
                bench.respond(qp, random.choice([FIRST, MIDDLE, LAST, ONLY]), wrong, 64)
        elif choice == 4 and read:
            bench.acknowledge(qp, random.choice([read.first, read.last, qp.psn - 1]))
        else:
            bench.acknowledge(qp, qp.una - 1, random.choice([0x60, 0x61, 0x62, 0x20, 0x3F]))


async def post_some(bench: Bench, qp: Qp, count: int, local: bool = True) -> None:
    """Random messages, as many as have room."""
    kinds = [MsgKind.SEND, MsgKind.WRITE, MsgKind.READ, MsgKind.READ, MsgKind.ATOMIC]
    if local:
        kinds.append(MsgKind.LOCAL)
    for _ in range(min(count, DEPTH - (len(qp.messages) - qp.retired))):
        mtu = qp.mtu
        size = random.choice([0, 1, 64, mtu - 1, mtu, mtu + 1, 2 * mtu, random.randint(0, 4 * mtu)])
        kind = random.choice(kinds)
        await bench.post(qp, kind, 0 if kind == MsgKind.LOCAL else size)


@cocotb.test()
@cocotb.parametrize((("stall", "idle"), PATTERNS))
async def every_message_ends_once_and_in_order(dut, stall, idle):
    """Four queue pairs, random messages, coalesced and repeated answers, nonsense in between."""
    bench = await Bench.start(dut, stall, idle)
    peers = []
    for number in range(QPS):
        psn = random.choice([0, SPACE - 20, random.getrandbits(24)])
        qp = await bench.create(number, psn=psn, retry_cnt=7, rnr_retry=7)
        peers.append(Peer(bench, qp, 0.15))
    for _ in range(14):
        for peer in random.sample(peers, QPS):
            await post_some(bench, peer.qp, random.randint(0, 6))
        for _ in range(40):
            random.choice(peers).step()
        await bench.settle()
    while any(peer.answered < len(peer.qp.messages) for peer in peers):
        for peer in peers:
            peer.step()
    await bench.settle()
    for peer in peers:
        assert peer.qp.retired == len(peer.qp.messages)
        await bench.check(peer.qp)


@cocotb.test()
@cocotb.parametrize((("stall", "idle"), PATTERNS[:3]))
async def one_failure_ends_a_queue_pair(dut, stall, idle):
    """Some messages succeed, one fails in any of the ways, what follows is flushed; many lives."""
    bench = await Bench.start(dut, stall, idle)
    for life in range(24):
        qp = await bench.create(life % QPS)
        peer = Peer(bench, qp, 0.1)
        await post_some(bench, qp, random.randint(2, 8))
        for _ in range(random.randrange(12)):
            peer.step()
        await bench.settle()
        await fail_somehow(bench, qp)
        await bench.settle()
        await bench.post(qp, MsgKind.FLUSH)
        await bench.settle()
        await bench.check(qp)
        assert qp.retired == len(qp.messages)
        await bench.drain()
        await bench.init.send(QpInit(op=QpInitOp.DESTROY, qpn=qp.number))


async def fail_somehow(bench: Bench, qp: Qp) -> None:
    """A refusal, a bad response, an unsent packet, a bad request, or a word of admin."""
    bench.fault = lambda verdict: RxFault.NONE
    read = qp.oldest_read()
    open_messages = qp.messages[qp.retired :]
    sent = [m for m in open_messages if m.packets]
    way = random.choice(["nak", "bad", "unsent", "admin", "read", "fault", "local"])
    locals_open = [m for m in open_messages if m.kind == MsgKind.LOCAL and not m.local_done]
    if way == "nak" and sent and not (read and read is not sent[0]):
        syndrome = random.choice([0x60, 0x61, 0x62, 0x63, 0x20, 0x3F])
        bench.acknowledge(qp, sent[0].last, syndrome)
        for message in locals_open:
            bench.local_result(qp, message)
    elif way == "unsent" and sent:
        bench.unsent(qp, random.choice(sent))
        bench.fail(qp.number)
    elif way == "read" and read and read is open_messages[0]:
        wrong = random.choice([{"syndrome": 0x40}, {"size": 7}, {"opcode": MIDDLE, "size": 1}])
        if read.kind == MsgKind.ATOMIC:
            wrong = random.choice([{"syndrome": 0x40}, {"opcode": ONLY, "size": 8}])
        bench.answer(qp, read, read.arrived, **wrong)
        if not qp.refused:
            bench.fail(qp.number)
    elif way == "fault" and read and read is open_messages[0]:
        kinds = [RxFault.LOCAL_KEY, RxFault.KEY, RxFault.BUS]
        bench.fault = lambda verdict: random.choice(kinds)
        while read.arrived < read.packets:
            bench.answer(qp, read, read.arrived)
    elif way == "local" and locals_open:
        bench.local_result(qp, locals_open[0], CqeStatus.LOC_QP_OP_ERR)
    elif way == "bad":
        await bench.post(qp, MsgKind.BAD, status=CqeStatus.LOC_LEN_ERR)
    await bench.settle()
    bench.fail(qp.number)


# ---------- one situation each


@cocotb.test()
async def read_data_goes_where_the_list_says(dut):
    """SGEs that are empty, that end with a packet, and that begin in the middle of one."""
    bench = await Bench.start(dut)
    qp = await bench.create(1, path_mtu=1)
    lists = [
        [256, 256, 256], [0, 256, 0, 0, 512, 0], [0, 0, 0, 0, 0, 0, 0, 768], [1, 255, 511, 1],
        [768, 0, 0], [100, 100, 100, 100, 100, 100, 100, 68], [255, 2, 255, 256], [512, 0, 256],
    ]  # fmt: skip
    for sizes in lists:
        sges = [Sge(random.getrandbits(50), size, random.getrandbits(32)) for size in sizes]
        read = await bench.post(qp, MsgKind.READ, sum(sizes), sges=sges)
        for at in range(read.packets):
            bench.answer(qp, read, at)
    await bench.settle()
    await bench.check(qp)
    assert qp.retired == len(lists)


@cocotb.test()
async def read_slots_turn_over_and_begin_again(dut):
    """More reads than slots, then a new life that starts with reads left open."""
    bench = await Bench.start(dut)
    for _ in range(4):
        qp = await bench.create(2)
        for _ in range(random.choice([5, 11, 16, 23, 37])):
            read = await bench.post(qp, MsgKind.READ, random.randint(0, 2 * qp.mtu))
            for at in range(read.packets):
                bench.answer(qp, read, at)
            await bench.settle()
        await bench.check(qp)
        # Left open; an acknowledge of what is before must pass, one beyond must not.
        send = await bench.post(qp, MsgKind.SEND, 1)
        read = await bench.post(qp, MsgKind.READ, 100)
        await bench.post(qp, MsgKind.READ, 100)
        bench.acknowledge(qp, read.first)
        bench.acknowledge(qp, send.last)
        await bench.settle()
        await bench.check(qp)
        await bench.drain()
        await bench.init.send(QpInit(op=QpInitOp.DESTROY, qpn=2))
        # The next life has no open read in any slot.
        qp = await bench.create(2)
        for _ in range(3):
            send = await bench.post(qp, MsgKind.SEND, 1)
            bench.acknowledge(qp, send.last)
            await bench.settle()
        await bench.check(qp)
        assert qp.retired == 3
        await bench.drain()


@cocotb.test()
async def an_init_spares_its_neighbours(dut):
    """Reads of one queue pair come while another one is made and unmade."""
    bench = await Bench.start(dut)
    qp = await bench.create(0, path_mtu=1)

    async def churn():
        for _ in range(12):
            await bench.create(1)
            await bench.init.send(QpInit(op=QpInitOp.DESTROY, qpn=1))

    task = cocotb.start_soon(churn())
    for _ in range(30):
        reads = [await bench.post(qp, MsgKind.READ, 30) for _ in range(3)]
        for read in reads:
            bench.answer(qp, read, 0)
        await cycles(dut, 20)
        await bench.settle()
    await task
    await bench.check(qp)
    assert qp.retired == 90


@cocotb.test()
async def an_older_ack_does_not_hide_a_later_one(dut):
    """Acknowledges that wait behind a slow completion become one: the one that says most."""
    bench = await Bench.start(dut)
    bench.latency = 1
    busy, qp = await bench.create(0), await bench.create(1)
    for _ in range(4):
        for _ in range(12):
            await bench.post(busy, MsgKind.SEND, 1, signaled=True)
        sends = [await bench.post(qp, MsgKind.SEND, 1, signaled=True) for _ in range(6)]
        bench.sinks["m_cqe"].paused = True
        bench.acknowledge(busy, busy.psn - 1)
        bench.acknowledge(busy, busy.psn - 1)
        for psn in (sends[1].last, sends[5].last, sends[0].last, sends[3].last):
            bench.acknowledge(qp, psn)
        await cycles(dut, 80)
        bench.sinks["m_cqe"].paused = False
        await bench.settle()
        await bench.check(qp)
        await bench.check(busy)
    assert qp.retired == 24


@cocotb.test()
async def a_refusal_waits_for_a_local_operation_before_it(dut):
    """And is not forgotten when the local operation ends."""
    bench = await Bench.start(dut)
    qp = await bench.create(3)
    local = await bench.post(qp, MsgKind.LOCAL, signaled=True)
    send = await bench.post(qp, MsgKind.SEND, 10)
    await bench.post(qp, MsgKind.SEND, 10)
    bench.acknowledge(qp, send.last, Syndrome.NAK_REMOTE_ACCESS)
    await bench.settle()
    await bench.check(qp)
    assert not qp.errors
    bench.local_result(qp, local)
    await bench.settle()
    await bench.check(qp)
    assert qp.errors == [CqeStatus.REM_ACCESS_ERR]


@cocotb.test()
async def a_message_that_cannot_be_sent_waits_for_those_before_it(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(0)
    sends = [await bench.post(qp, MsgKind.WRITE, 600, signaled=True) for _ in range(4)]
    bench.unsent(qp, sends[2])
    await bench.settle()
    await bench.check(qp)
    assert qp.retired == 0
    bench.acknowledge(qp, sends[1].last)
    await bench.settle()
    await bench.check(qp)
    status = [end[1] for end in qp.completions]
    assert status == [CqeStatus.SUCCESS] * 2 + [CqeStatus.LOC_PROT_ERR, CqeStatus.WR_FLUSH_ERR]


@cocotb.test()
@cocotb.parametrize(part=[0, 1, 2])
async def a_refusal_in_the_middle_of_a_read_fails_it(dut, part):
    bench = await Bench.start(dut)
    qp = await bench.create(1, path_mtu=1)
    send = await bench.post(qp, MsgKind.SEND, 10)
    read = await bench.post(qp, MsgKind.READ, 700)
    await bench.post(qp, MsgKind.READ, 700)
    for at in range(part):
        bench.answer(qp, read, at)
    bench.acknowledge(qp, read.first + part, Syndrome.NAK_REMOTE_ACCESS)
    await bench.settle()
    await bench.check(qp)
    assert qp.completions[0][:2] == (send, CqeStatus.SUCCESS)
    assert qp.completions[1][1:] == (CqeStatus.REM_ACCESS_ERR, Syndrome.NAK_REMOTE_ACCESS)
    assert qp.completions[2][1] == CqeStatus.WR_FLUSH_ERR


@cocotb.test()
async def nothing_is_placed_after_a_bad_response(dut):
    bench = await Bench.start(dut)
    qp = await bench.create(1, path_mtu=1)
    bench.auto_flush = False
    read = await bench.post(qp, MsgKind.READ, 256 * 5)
    bench.answer(qp, read, 0)
    bench.answer(qp, read, 1, size=255)
    for at in (2, 3, 4):
        assert bench.answer(qp, read, at).kind == RetireKind.NONE
    await bench.settle()
    assert bench.errors[1] == [CqeStatus.LOC_LEN_ERR]
    assert bench.completions[1] == []
    bench.fail(1)
    await bench.settle()
    await bench.check(qp)


@cocotb.test()
async def a_flush_waits_for_frames_that_still_write(dut):
    """The host gets its buffers back when nothing is on its way to them."""
    bench = await Bench.start(dut)
    bench.latency = 300
    for number in range(QPS):
        qp = await bench.create(number, path_mtu=1)
        for _ in range(2):
            read = await bench.post(qp, MsgKind.READ, 256 * 6)
            for at in range(5):
                bench.answer(qp, read, at)
            if random.random() < 0.5:
                break
    await cycles(dut, 100)
    for number in range(QPS):
        bench.fail(number)
    await bench.settle()
    for number in range(QPS):
        assert bench.qps[number].retired < len(bench.qps[number].messages)
        await bench.check(bench.qps[number])


@cocotb.test()
async def a_local_operation_waits_for_older_frames_but_not_for_each_other(dut):
    bench = await Bench.start(dut)
    bench.latency = 1
    qp, other = await bench.create(0), await bench.create(1, path_mtu=1)
    read = await bench.post(other, MsgKind.READ, 256)
    ops = [await bench.post(qp, MsgKind.LOCAL, signaled=True) for _ in range(9)]
    bench.latency = 200
    bench.answer(other, read, 0)
    await cycles(dut, 12)
    assert bench.moving
    for op in ops:
        bench.local_result(qp, op)
    while bench.moving:
        assert not bench.completions[0]
        await cycles(dut)
    await bench.settle()
    await bench.check(qp)
    assert bench.drains <= 3


# ---------- drain, reset


@cocotb.test()
async def a_drain_waits_for_completions_but_not_for_others(dut):
    """An event that is stuck behind slow completions is inside, however many follow it."""
    bench = await Bench.start(dut)
    bench.latency = 1
    busy, qp = await bench.create(0), await bench.create(1)
    for _ in range(12):
        await bench.post(busy, MsgKind.SEND, 1, signaled=True)
        await bench.post(qp, MsgKind.SEND, 1, signaled=True)
    bench.sinks["m_cqe"].paused = True
    bench.acknowledge(busy, busy.psn - 1)
    bench.acknowledge(qp, qp.psn - 1)
    await cycles(dut, 60)
    bench.drained = False
    dut.drain_req_en.value = 1
    await cycles(dut)
    dut.drain_req_en.value = 0
    for _ in range(60):
        bench.acknowledge(busy, busy.psn - 1)
    await cycles(dut, 300)
    assert not bench.drained
    bench.sinks["m_cqe"].paused = False
    for _ in range(4000):
        if bench.drained:
            break
        await cycles(dut)
    assert bench.drained
    assert len(bench.completions[1]) == 12
    await bench.settle()


@cocotb.test()
async def a_drain_ends_while_others_go_on(dut):
    bench = await Bench.start(dut, idle="none")
    bench.latency = 1
    busy = await bench.create(0)
    for round_ in range(4):
        for _ in range(300):
            bench.acknowledge(busy, busy.psn - 1)
        await cycles(dut, 20 + round_)
        before = bench.now
        await bench.drain()
        assert bench.now - before < 150
        await bench.settle()


@cocotb.test()
async def a_reset_in_traffic_leaves_nothing(dut):
    bench = await Bench.start(dut, "half")
    qps = [await bench.create(number) for number in range(QPS)]
    for qp in qps:
        await post_some(bench, qp, 5)
        peer = Peer(bench, qp, 0)
        for _ in range(8):
            peer.step()
    await cycles(dut, 25)
    sources = (bench.rsp, bench.done, bench.result, bench.kick, bench.flush)
    dut.rst.value = 1
    for end in (*sources, *bench.sinks.values()):
        end.clear()
        end.in_reset = True
    bench.expected.clear()
    bench.moving.clear()
    bench.beats.clear()
    bench.drain_target = None
    await cycles(dut, 4)
    for end in (*sources, *bench.sinks.values()):
        end.clear()
        end.in_reset = False
    bench.entered = bench.done.count
    dut.rst.value = 0
    await cycles(dut, 2)
    for number in range(QPS):
        qp = await bench.create(number)
        peer = Peer(bench, qp, 0)
        await post_some(bench, qp, 8)
        while peer.answered < len(qp.messages):
            peer.step()
        await bench.settle()
        await bench.check(qp)
