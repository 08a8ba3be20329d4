"""The send path goes back: what is sent again is what was sent, from where it is wanted."""

from __future__ import annotations

import random
from itertools import pairwise

import cocotb
from cocotb.handle import SimHandleBase

from spec.codes import CqeStatus, Mtu, QpState
from spec.layouts import FastRegWqe, WqeFlag, WrOp
from spec.streams import MsgKind, MsgRecord
from tb.blocks.queue_bench import Bench
from tb.blocks.queue_doorbell import inline, send
from tb.blocks.queue_host import Qp
from tb.blocks.queue_peer import Peer
from tb.blocks.queue_work import Work, random_work, split

MTU = 256
KEY = FastRegWqe(
    opcode=WrOp.LOCAL_INV, flags=WqeFlag(0), blocks=1, access=0, index=0, page_shift=12, direct=0,
    token=5, base=0, wr_id=0, pages=0, length=0,
)  # fmt: skip


def long_write(packets: int, op: WrOp = WrOp.WRITE) -> Work:
    """A message of so many packets."""
    return Work(op=op, sges=[(0x1000, MTU * packets, 7)], remote_addr=0x10_0000, rkey=3)


async def start(dut: SimHandleBase) -> tuple[Bench, Peer]:
    """A bench whose peer does what the test says."""
    bench = await Bench.start(dut)
    peer = Peer(bench)
    peer.auto = False
    return bench, peer


async def all_sent(bench: Bench, peer: Peer, qp: Qp) -> int:
    """Everything posted was sent; says up to which PSN."""
    state = peer.state[qp.number]
    await bench.until(lambda: not qp.posted, what=peer.left())
    end = state.messages[-1].end
    quiet = 0
    while quiet < 100:
        before = len(bench.packets), len(bench.parks)
        await bench.cycles(20)
        same = before == (len(bench.packets), len(bench.parks))
        quiet = quiet + 20 if same and not bench.rewind.queue else 0
    await bench.until(lambda: state.course >= end, 100, peer.left())
    return end


async def end(bench: Bench, peer: Peer, *qps: Qp) -> None:
    """Acknowledge everything and look for leftovers."""
    for qp in qps:
        peer.acknowledge(qp.number, await all_sent(bench, peer, qp))
    await peer.finish()
    assert not bench.read_records, "a read was written down again"
    assert not bench.sge_records


SHAPES = {
    "sends": [Work(sges=split(random.Random(n), n * 100, 3)) for n in range(6)],
    "many SGEs": [Work(op=WrOp.WRITE_IMM, imm=9, sges=split(random.Random(n), 1000, 14))
                  for n in range(3)],
    "empty SGEs": [Work(op=WrOp.WRITE, sges=[(1, 0, 1), (2, 300, 2), (3, 0, 3), (4, 0, 4),
                                             (5, 212, 5), (6, 0, 6), (7, 600, 7), (8, 0, 8)])],
    "nothing": [Work(op=WrOp.SEND), Work(op=WrOp.WRITE), Work(op=WrOp.READ)],
    "reads": [Work(op=WrOp.READ, remote_addr=1 << 40, rkey=7, sges=split(random.Random(n), 900, 8))
              for n in range(3)],
    "atomics": [Work(op=op, remote_addr=64, rkey=7, swap=3, compare=4, sges=[(8, 8, 1)])
                for op in (WrOp.CMP_SWAP, WrOp.FETCH_ADD)],
    "inline": [inline(b"a"), inline(bytes(range(96))), inline(bytes(range(200))), inline(b"zz")],
    "local": [send(), Work(op=WrOp.NOP), Work(op=WrOp.FAST_REG, register=KEY), send(),
              Work(op=WrOp.NOP), long_write(3)],
    "all": [Work(op=WrOp.READ, rkey=1, sges=[(0, 700, 1)]), inline(b"abc"), long_write(4),
            Work(op=WrOp.NOP), Work(op=WrOp.FETCH_ADD, sges=[(0, 8, 1)]),
            Work(op=WrOp.SEND_INV, rkey=9, sges=split(random.Random(3), 600, 11))],
}  # fmt: skip


@cocotb.test()
@cocotb.parametrize(shape=list(SHAPES))
async def every_place_can_be_gone_back_to(dut: SimHandleBase, shape: str) -> None:
    """Again from each PSN, once all was sent; `Peer` compares every packet with the first time."""
    bench, peer = await start(dut)
    qp = await peer.create(1, psn=0xFF_FFF8, path_mtu=int(Mtu.BYTES_256), sq_log=6)
    for work in SHAPES[shape]:
        peer.post(qp, work)
    peer.ring(qp)
    last = await all_sent(bench, peer, qp)
    state = peer.state[1]
    for psn in range(last):
        peer.acknowledge(1, psn)
        peer.go_back(1)
        before = len(peer.log)
        await bench.until(lambda b=before: len(peer.log) > b, what=f"nothing sent from {psn}")
        # A second time, before it is through.
        await bench.cycles(random.choice((0, 3, 10, 40)))
        peer.go_back(1)
        await bench.cycles(10)
        await all_sent(bench, peer, qp)
        starts = [at for _, at, _ in peer.log[before:]]
        oldest = next(m for m in state.messages if m.end > psn)
        assert starts[0] == max(psn, oldest.first), (psn, starts)
    assert len(bench.messages) == len(SHAPES[shape])
    await end(bench, peer, qp)


@cocotb.test()
async def a_message_stops_when_its_queue_pair_is_to_go_back(dut: SimHandleBase) -> None:
    """Whatever already waits behind it."""
    bench, peer = await start(dut)
    for behind in range(8):
        qp = await peer.create(behind, path_mtu=int(Mtu.BYTES_256))
        state = peer.state[behind]
        for _ in range(1 + behind):
            peer.post(qp, long_write(600))
        peer.ring(qp)
        await bench.until(lambda s=state: s.course > 300)
        peer.acknowledge(behind, 100)
        peer.go_back(behind)
        await bench.until(lambda s=state: s.repeated > 0, what=peer.left())
        reached = max(psn for qpn, psn, _ in peer.log if qpn == behind)
        assert reached < 360, f"{reached} packets were sent before it went back"
        await end(bench, peer, qp)


@cocotb.test()
async def many_are_sent_back_while_each_sends_a_long_message(dut: SimHandleBase) -> None:
    bench, peer = await start(dut)
    qps = [await peer.create(n, path_mtu=int(Mtu.BYTES_1024)) for n in range(6)]
    for qp in qps:
        for _ in range(3):
            peer.post(qp, Work(op=WrOp.WRITE, sges=[(0, 200_000, 1)]))
        peer.ring(qp)
    for _ in range(6):
        await bench.cycles(400)
        for qp in random.sample(qps, 6):
            peer.go_back(qp.number)
    await end(bench, peer, *qps)


@cocotb.test()
async def long_messages_take_turns(dut: SimHandleBase) -> None:
    """64 KiB each while others wait; what was not sent before is not counted as sent again."""
    bench, peer = await start(dut)
    qps = [await peer.create(n, path_mtu=int(Mtu.BYTES_4096)) for n in range(3)]
    for qp in qps:
        peer.post(qp, Work(op=WrOp.WRITE, sges=[(0, 4096 * 100, 1)]))
        peer.ring(qp)
    await end(bench, peer, *qps)
    turns = [qpn for qpn, _, _ in peer.log]
    runs = [1]
    for one, other in pairwise(turns):
        if one == other:
            runs[-1] += 1
        else:
            runs.append(1)
    assert len(runs) >= 15, runs
    assert max(runs[:9]) <= 18, runs
    assert not any(again for _, _, again in bench.sent), "nothing was lost, nothing sent again"
    assert len(bench.sent) == 300


@cocotb.test()
async def a_lonely_long_message_keeps_its_turn(dut: SimHandleBase) -> None:
    bench, peer = await start(dut)
    qp = await peer.create(1, path_mtu=int(Mtu.BYTES_4096))
    peer.post(qp, Work(op=WrOp.WRITE, sges=[(0, 4096 * 100, 1)]))
    peer.ring(qp)
    await end(bench, peer, qp)
    assert not bench.parks


@cocotb.test()
async def what_is_sent_again_is_told(dut: SimHandleBase) -> None:
    """And whether it begins a turn of the oldest message, which the timer wants to know."""
    bench, peer = await start(dut)
    qp = await peer.create(1, path_mtu=int(Mtu.BYTES_256))
    for _ in range(2):
        peer.post(qp, long_write(3))
    peer.post(qp, Work(op=WrOp.READ, sges=[(0, 600, 1)]))
    peer.ring(qp)
    last = await all_sent(bench, peer, qp)
    assert [sent[1:] for sent in bench.sent] == [(1, 0)] + [(0, 0)] * 6
    bench.sent.clear()
    peer.acknowledge(1, 4)
    peer.go_back(1)
    await bench.until(lambda: len(bench.sent) == 3)
    assert bench.sent == [(1, 1, 1), (1, 0, 1), (1, 0, 1)]
    assert not bench.reads_again
    peer.acknowledge(1, 8)
    peer.go_back(1)
    await bench.until(lambda: len(bench.sent) == 4)
    assert bench.reads_again == [1]
    assert last == 9
    await end(bench, peer, qp)


@cocotb.test()
async def what_is_acknowledged_meanwhile_is_not_sent_again(dut: SimHandleBase) -> None:
    """Its memory may be somebody else's by now: not even when it was about to be."""
    bench, peer = await start(dut)
    for known in range(0, 60, 4):
        qp = await peer.create(1, path_mtu=int(Mtu.BYTES_256), sq_log=3)
        for _ in range(8):
            peer.post(qp, long_write(2))
        peer.ring(qp)
        await all_sent(bench, peer, qp)
        # A message of another one is on its way out, and the repetition waits behind it.
        other = await peer.create(2, path_mtu=int(Mtu.BYTES_256))
        peer.post(other, long_write(40))
        bench.pkt_hold = True
        peer.ring(other)
        await bench.cycles(60)
        peer.go_back(1)
        await bench.cycles(known)
        peer.acknowledge(1, 16)
        await bench.cycles(20)
        before = len(peer.log)
        for _ in range(8):
            peer.post(qp, long_write(1))
        peer.ring(qp)
        bench.pkt_hold = False
        await end(bench, peer, qp, other)
        mine = [psn for qpn, psn, _ in peer.log[before:] if qpn == 1]
        assert mine == list(range(16, 24)), mine


@cocotb.test()
async def an_entry_is_acknowledged_while_its_second_half_is_fetched(dut: SimHandleBase) -> None:
    """Its head was looked at before, the rest is the host's again: no bad entry, nothing sent."""
    bench, peer = await start(dut)
    for known in range(0, 120, 10):
        # The ring's first block is the last of a page: an entry there comes in two bursts.
        at = 0x10_0000 * 3 + 64 * 63
        qp = await peer.create(1, path_mtu=int(Mtu.BYTES_256), sq_log=3, sq_base=at)
        peer.post(qp, Work(op=WrOp.WRITE, sges=split(random.Random(known), 700, 5), rkey=3))
        peer.post(qp, long_write(2))
        peer.ring(qp)
        await all_sent(bench, peer, qp)
        before, reads = len(peer.log), bench.read_count
        peer.go_back(1)
        await bench.until(lambda n=reads: bench.read_count > n)
        bench.latency = (400, 400)
        await bench.cycles(known)
        if len(peer.log) > before:
            bench.latency = (3, 8)
            await end(bench, peer, qp)
            continue
        peer.acknowledge(1, 5)
        await bench.cycles(20)
        bench.latency = (3, 8)
        for _ in range(3):
            peer.post(qp, long_write(1))
        peer.ring(qp)
        await end(bench, peer, qp)
        mine = [psn for qpn, psn, _ in peer.log[before:] if qpn == 1]
        assert mine == [5, 6, 7], mine


@cocotb.test()
async def doorbells_count_from_what_is_acknowledged(dut: SimHandleBase) -> None:
    """A full ring waits to be sent again; before its turn comes it is emptied, filled, rung for."""
    bench, peer = await start(dut)
    qp = await peer.create(1, sq_log=2)
    for _ in range(4):
        peer.post(qp, send())
    peer.ring(qp)
    await all_sent(bench, peer, qp)
    other = await peer.create(2, sq_log=9)
    for _ in range(250):
        peer.post(other, send())
    bench.holds[1] = 1
    peer.go_back(1)
    await bench.cycles(100)
    bench.holds[1] = 0
    bench.pkt_hold = True
    peer.ring(other)
    await bench.cycles(300)
    peer.acknowledge(1, 4)
    for _ in range(4):
        peer.post(qp, send())
    peer.ring(qp)
    await bench.cycles(100)
    assert bench.events["bad"] == 0
    bench.pkt_hold = False
    await end(bench, peer, qp, other)


@cocotb.test()
async def the_rate_limiter_holds_a_queue_pair_between_packets(dut: SimHandleBase) -> None:
    bench, peer = await start(dut)
    qp, other = await peer.create(1, path_mtu=int(Mtu.BYTES_256)), await peer.create(2)
    peer.post(qp, long_write(400))
    peer.post(qp, send())
    peer.ring(qp)
    for round_ in range(4):
        await bench.until(lambda r=round_: peer.state[1].course > 50 * (r + 1))
        bench.holds[1] = 1
        await bench.cycles(30)
        held_at = len(peer.log)
        peer.post(other, send())
        peer.ring(other)
        await bench.cycles(150)
        assert [qpn for qpn, _, _ in peer.log[held_at:]] == [2]
        bench.holds[1] = 0
        bench.kick.queue.append(1)
    await end(bench, peer, qp, other)
    assert not any(again for _, _, again in bench.sent)


@cocotb.test()
async def nothing_is_sent_while_the_peer_is_not_ready(dut: SimHandleBase) -> None:
    bench, peer = await start(dut)
    qp = await peer.create(1, path_mtu=int(Mtu.BYTES_256))
    for _ in range(5):
        peer.post(qp, long_write(20))
    peer.ring(qp)
    await bench.until(lambda: peer.state[1].course > 30)
    peer.acknowledge(1, 25)
    peer.not_ready(1, 600)
    await bench.cycles(80)
    before = len(peer.log)
    peer.post(qp, send())
    peer.ring(qp)
    await bench.cycles(450)
    assert len(peer.log) == before
    assert bench.parks[-1].park
    await bench.until(lambda: len(peer.log) > before)
    assert peer.log[before][1] == 25
    await end(bench, peer, qp)


@cocotb.test()
@cocotb.parametrize(down=["stopped", "in ERR"])
async def behind_a_bad_entry_nothing_is_sent(dut: SimHandleBase, down: str) -> None:
    bench, peer = await start(dut)
    for wait in range(0, 120, 8):
        qp = await peer.create(1, path_mtu=int(Mtu.BYTES_256))
        peer.post(qp, Work(op=WrOp.READ, sges=[(0, 500, 1)]))
        peer.post(qp, long_write(30))
        peer.post(qp, Work(op=12), CqeStatus.LOC_QP_OP_ERR)
        peer.post(qp, send())
        peer.ring(qp)
        state = peer.state[1]
        await bench.until(lambda s=state: s.course == 32 and len(s.messages) == 4)
        peer.go_back(1)
        if down == "in ERR":
            await bench.cycles(wait)
            peer.fail(qp)
        else:
            await bench.until(lambda s=state: s.repeated and s.course == 32, what=peer.left())
            peer.post(qp, send())
            peer.ring(qp)
            await bench.until(lambda q=qp: not q.posted, what=peer.left())
            peer.acknowledge(1, 32)
        await peer.finish()
        kinds = [message.kind for message in state.messages]
        assert kinds[2] == MsgKind.BAD
        assert all(kind == MsgKind.FLUSH for kind in kinds[3:])
        assert max(psn for qpn, psn, _ in peer.log if qpn == 1) == 31


@cocotb.test()
@cocotb.parametrize(broken=["one block", "the head", "the last block"])
async def an_entry_that_cannot_be_read_again_ends_its_queue_pair(
    dut: SimHandleBase, broken: str
) -> None:
    """It was sent before; its record becomes a bad one, and nothing behind it is sent again."""
    bench, peer = await start(dut)
    for wait in range(0, 60, 6):
        qp = await peer.create(1, path_mtu=int(Mtu.BYTES_256))
        works = [long_write(2), long_write(2), send(), long_write(9)]
        if broken != "one block":
            works[1] = Work(op=WrOp.WRITE, sges=split(random.Random(wait), 500, 12), rkey=3)
        for work in works:
            peer.post(qp, work)
        peer.ring(qp)
        await all_sent(bench, peer, qp)
        state = peer.state[1]
        line = 1 + (works[1].blocks - 1 if broken == "the last block" else 0)
        bench.broken = {bench.cfg[1].sq_base + 64 * line}
        again: list[tuple[int, MsgRecord]] = []

        def recorded(qpn: int, index: int, record: MsgRecord, told: list = again) -> None:
            if bench.msg_new:
                peer._on_msg(qpn, index, record)
                return
            told.append((index, record))
            peer.qps[qpn].flushing = True
            peer.state[qpn].messages[index].kind = MsgKind.BAD

        bench.on_msg = recorded
        before = len(peer.log)
        peer.go_back(1)
        await bench.cycles(wait)
        peer.go_back(1)
        await bench.until(lambda told=again: told, what=peer.left())
        for _ in range(3):
            peer.post(qp, send())
        peer.ring(qp)
        await bench.until(lambda q=qp: not q.posted, what=peer.left())
        await bench.cycles(100)
        ((index, record),) = again
        assert (index, record.kind, record.status) == (1, MsgKind.BAD, CqeStatus.LOC_QP_OP_ERR)
        assert record.wr_id == works[1].wr_id or broken == "the head"
        assert [message.kind for message in state.messages[4:]] == [MsgKind.FLUSH] * 3
        assert max(psn for _, psn, _ in peer.log[before:]) < state.messages[1].first
        bench.broken = set()
        peer.acknowledge(1, 2)
        peer.fail(qp)
        await peer.finish()


@cocotb.test()
async def indices_and_numbers_wrap_while_it_repeats(dut: SimHandleBase) -> None:
    """Entries and messages by 16 bits, PSNs by 24, all at one place."""
    bench, peer = await start(dut)
    qp = await peer.create(1, psn=(1 << 24) - 0x1_0000, path_mtu=int(Mtu.BYTES_256), sq_log=7)
    while qp.producer < 0x1_0000 - 60:
        while peer.room(qp) and qp.producer < 0x1_0000 - 60:
            peer.post(qp, send())
        peer.ring(qp)
        await bench.until(lambda: not qp.posted and not qp.beats, what=peer.left())
        await bench.until(lambda: peer.state[1].course == qp.producer, what=peer.left())
        peer.acknowledge(1, qp.producer)
    peer.auto, peer.loss, peer.rnr, peer.spurious, peer.patience = True, 0.15, 0.05, 0.01, 400
    repeated = peer.state[1].repeated
    while qp.producer < 0x1_0000 + 200:
        work = random_work(bench.rng, qp.mtu, qp.producer, 1500)
        if work.blocks <= peer.room(qp):
            peer.post(qp, work)
            peer.ring(qp)
        await bench.cycles(bench.rng.choice((0, 3, 40)))
    await peer.finish(400_000)
    assert peer.state[1].repeated > repeated + 20
    assert bench.events["bad"] == 0


@cocotb.test()
async def a_queue_pair_fails_while_it_repeats(dut: SimHandleBase) -> None:
    """What was started is over; what was not is flushed, once and in order."""
    bench, peer = await start(dut)
    for wait in range(0, 200, 5):
        qp = await peer.create(wait % 16, path_mtu=int(Mtu.BYTES_256), sq_log=5)
        for _ in range(3):
            peer.post(qp, long_write(10))
            peer.post(qp, Work(op=WrOp.NOP))
            peer.post(qp, Work(sges=split(random.Random(wait), 700, 12)))
        peer.ring(qp)
        state = peer.state[qp.number]
        await bench.until(lambda s=state: s.course > 20)
        peer.go_back(qp.number)
        await bench.cycles(wait)
        for _ in range(2):
            peer.post(qp, send())
        peer.ring(qp)
        peer.fail(qp)
        await peer.finish()
        assert len(state.messages) == 11


@cocotb.test()
async def a_draining_queue_pair_repeats_what_it_started(dut: SimHandleBase) -> None:
    bench, peer = await start(dut)
    for wait in range(0, 60, 6):
        qp = await peer.create(1, path_mtu=int(Mtu.BYTES_256))
        state = peer.state[1]
        for _ in range(4):
            peer.post(qp, long_write(10))
        peer.ring(qp)
        await bench.cycles(20 + wait)
        bench.configure(1, state=int(QpState.SQD))
        await bench.cycles(200)
        begun = len(state.messages)
        peer.go_back(1)
        await bench.cycles(400)
        if begun:
            assert state.course == state.messages[-1].end, peer.left()
            assert state.repeated
        for _ in range(3):
            peer.post(qp, send())
        peer.ring(qp)
        peer.go_back(1)
        await bench.cycles(300)
        assert len(state.messages) == begun, "a draining queue pair starts nothing"
        bench.configure(1, state=int(QpState.RTS))
        bench.flush.queue.append(1)
        await end(bench, peer, qp)
        assert len(state.messages) == 7


@cocotb.test()
async def a_new_life_knows_nothing_of_an_old_return(dut: SimHandleBase) -> None:
    bench, peer = await start(dut)
    for wait in range(0, 40, 3):
        qp = await peer.create(1, psn=wait, path_mtu=int(Mtu.BYTES_256))
        for _ in range(3):
            peer.post(qp, long_write(5))
        peer.ring(qp)
        await all_sent(bench, peer, qp)
        peer.go_back(1)
        await bench.cycles(wait)
        bench.configure(1, state=int(QpState.RESET))
        await bench.cycles(30)
        dut.drain_req_en.value = 1
        await bench.cycles(1)
        dut.drain_req_en.value = 0
        await bench.cycles(100)
        qp = await peer.create(1, psn=99, path_mtu=int(Mtu.BYTES_256))
        # Said for nothing, to a queue pair that has not begun.
        bench.send_back(1)
        peer.state[1].asked += 1
        peer.post(qp, long_write(5))
        peer.ring(qp)
        await end(bench, peer, qp)
        assert peer.state[1].packets == 5


# ---------- random


class Driver:
    """Posts anything on random QPs; rings late and early."""

    def __init__(self, peer: Peer, most: int) -> None:
        self.peer, self.bench, self.rng, self.most = peer, peer.bench, peer.bench.rng, most
        self.posted = 0

    async def create(self, qpn: int) -> None:
        """A QP of any shape."""
        rng = self.rng
        await self.peer.create(
            qpn, rng.choice((0, 0xFFFFF0, rng.getrandbits(24))), sq_log=rng.choice((2, 3, 5, 7)),
            sq_base=0x10_0000 * (qpn + 1) + 64 * rng.choice((0, 60, 63)),
            path_mtu=int(rng.choice(list(Mtu)[:3])), max_rd_atomic=rng.choice((1, 2, 16)),
        )  # fmt: skip

    def step(self) -> None:
        """Perhaps post, perhaps ring."""
        qp = self.rng.choice(list(self.peer.qps.values()))
        if qp.down or qp.flushing:
            return
        for _ in range(self.rng.choice((1, 1, 4))):
            work = random_work(self.rng, qp.mtu, self.rng.getrandbits(32), self.most)
            if work.blocks > self.peer.room(qp):
                break
            self.posted += 1
            if work.blocks == 1 and qp.rung == qp.producer and self.rng.random() < 0.4:
                self.peer.push(qp, work)
            else:
                self.peer.post(qp, work)
        if qp.rung != qp.producer and self.rng.random() < 0.6:
            self.peer.ring(qp)

    def ring_all(self) -> None:
        """The last doorbells."""
        for qp in self.peer.qps.values():
            if qp.rung != qp.producer:
                self.peer.ring(qp)


CASES = {
    "loss": {"loss": 0.05},
    "much loss": {"loss": 0.3},
    "not ready": {"loss": 0.02, "rnr": 0.2},
    "spurious": {"spurious": 0.02},
    "all": {"loss": 0.05, "rnr": 0.1, "spurious": 0.001},
    "credits": {"loss": 0.05, "credits": True},
    "all and credits": {"loss": 0.05, "rnr": 0.02, "spurious": 0.001, "credits": True},
}


@cocotb.test()
@cocotb.parametrize(case=list(CASES), stall=[0.0, 0.3], latency=[(3, 8), (60, 200)])
async def everything_arrives_once_over_a_bad_wire(
    dut: SimHandleBase, case: str, stall: float, latency: tuple[int, int]
) -> None:
    """Random work; the peer takes every packet once, in order, and nothing is left over."""
    bench = await Bench.start(dut, stall=stall, latency=latency)
    peer = Peer(bench, int(dut.MSG_DEPTH.value), **CASES[case])
    driver = Driver(peer, 6000)
    for qpn in range(5):
        await driver.create(qpn)
    for number in range(140):
        driver.step()
        if case.startswith("all") and number % 10 == 5:
            qpn = driver.rng.randrange(5)
            bench.holds[qpn] ^= 1
            if not bench.holds[qpn]:
                bench.kick.queue.append(qpn)
        await bench.cycles(driver.rng.choice((0, 1, 3, 10, 40)))
    for qpn in range(5):
        if bench.holds[qpn]:
            bench.holds[qpn] = 0
            bench.kick.queue.append(qpn)
    driver.ring_all()
    peer.loss = min(peer.loss, 0.1)
    await peer.finish(400_000)
    assert peer.retired == driver.posted
    assert bench.events["bad"] == 0
    assert not bench.read_records
    assert not bench.sge_records
    states = peer.state.values()
    assert all(state.una == state.expected == state.messages[-1].end for state in states)
    dut._log.info(f"{driver.posted} entries, {sum(s.packets for s in states)} packets, "
                  f"{sum(s.repeated for s in states)} jumps back of {peer.returns} asked for, "
                  f"{bench.cycle} cycles")  # fmt: skip
    assert peer.returns > 4


@cocotb.test()
async def queue_pairs_fail_and_drain_over_a_bad_wire(dut: SimHandleBase) -> None:
    bench = await Bench.start(dut, stall=0.1, latency=(3, 60))
    peer = Peer(bench, int(dut.MSG_DEPTH.value), loss=0.1, rnr=0.05, spurious=0.001)
    driver = Driver(peer, 20_000)
    for qpn in range(8):
        await driver.create(qpn)
    for number in range(240):
        driver.step()
        qpn = number // 20 % 8
        if number % 20 == 10 and not peer.qps[qpn].down:
            bench.configure(qpn, state=int(QpState.SQD))
        if number % 20 == 19 and not peer.qps[qpn].down:
            if number > 120:
                peer.fail(peer.qps[qpn])
            else:
                bench.configure(qpn, state=int(QpState.RTS))
                bench.flush.queue.append(qpn)
        await bench.cycles(driver.rng.choice((0, 1, 3, 10, 40, 100)))
    driver.ring_all()
    await peer.finish(400_000)
    assert peer.retired == driver.posted
