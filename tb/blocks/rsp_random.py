"""rnic_responder against the rules: random requests, legal or not."""

from __future__ import annotations

import random

import cocotb

from spec.codes import Access
from spec.streams import RxFault
from tb.blocks.rsp_bench import Bench
from tb.blocks.rsp_model import (
    ADD,
    ATOMICS,
    READ,
    SEND_FIRST,
    SEND_MIDDLE,
    SPACE,
    SWAP,
    WRITE_FIRST,
    WRITE_MIDDLE,
    Model,
    Order,
    Outcome,
    Qp,
)

ROUNDS = 3 if cocotb.SIM_NAME.startswith("Icarus") else 12


PATTERNS = [("none", "none"), ("half", "none"), ("bursts", "bursts"), ("mostly", "half")]


class Requester:
    """Sends random messages to one queue pair, and now and then nonsense."""

    def __init__(self, bench: Bench, qp: Qp, trouble: float) -> None:
        self.bench, self.qp, self.trouble = bench, qp, trouble
        self.left = 0
        self.reads = 0

    def begin_round(self) -> None:
        """Everything before was answered."""
        self.reads = 0

    def step(self) -> None:
        """One request."""
        if random.random() < self.trouble:
            self.nonsense()
        elif random.random() < 0.15:
            self.repeat()
        elif self.qp.current:
            self.go_on()
        else:
            self.begin()

    def send(self, opcode: int, size: int, **fields: int) -> Outcome:
        """A request with random flags."""
        flags = {"ack_req": int(random.random() < 0.6), "solicited": random.getrandbits(1)}
        return self.bench.request(self.qp, opcode, size, **{**flags, **fields})

    def begin(self) -> None:
        """Start a message."""
        mtu = self.qp.mtu
        size = random.choice([0, 1, 4, 64, mtu - 1, mtu, mtu + 1, random.randint(0, 3 * mtu)])
        kind = random.choice(["send", "write", "read", "atomic"])
        address = {"reth_va": random.getrandbits(63), "reth_rkey": random.getrandbits(32)}
        if kind in ("read", "atomic"):
            if self.reads < 16:
                self.reads += 1
                self.begin_reading(kind, size, address)
        elif size > mtu:
            opcode = SEND_FIRST if kind == "send" else WRITE_FIRST
            outcome = self.send(opcode, mtu, reth_len=size, **address)
            if outcome.hdr.psn != self.qp.epsn:
                self.left = size - mtu
        elif kind == "send":
            self.send(random.choice([4, 5, 0x17]), size)
        else:
            self.send(random.choice([10, 11]), size, reth_len=size, **address)

    def begin_reading(self, kind: str, size: int, address: dict[str, int]) -> None:
        """A read or an atomic."""
        if kind == "read":
            self.send(READ, 0, reth_len=size, **address)
            return
        address["reth_va"] &= ~7
        operands = {"swap": random.getrandbits(64), "compare": random.getrandbits(64)}
        self.send(random.choice([SWAP, ADD]), 0, **operands, **address)

    def go_on(self) -> None:
        """The next packet of the message."""
        mtu = self.qp.mtu
        is_send = self.qp.current == "send"
        psn = self.qp.epsn
        if self.left > mtu:
            self.send(SEND_MIDDLE if is_send else WRITE_MIDDLE, mtu)
            size = mtu
        else:
            size = self.left
            self.send(random.choice([2, 3, 0x16] if is_send else [8, 9]), size)
        if self.qp.epsn != psn:
            self.left -= size

    def repeat(self) -> None:
        """A request that was there before, or one too early."""
        qp = self.qp
        if random.random() < 0.4:
            ahead = random.choice([1, 2, 100, SPACE // 2 - 1])
            self.send(random.choice([0, 4, 6, 7, 12]), 0, psn=(qp.epsn + ahead) % SPACE)
        elif qp.table and random.random() < 0.7:
            repeat(self.bench, qp, random.choice(list(qp.table)))
        else:
            back = random.choice([1, 2, 3, 1000, SPACE // 2])
            self.send(random.choice([1, 2, 4, 8, 10, 19]), 0, psn=(qp.epsn - back) % SPACE)

    def nonsense(self) -> None:
        """A request that breaks a rule, or several."""
        mtu = self.qp.mtu
        opcode = random.choice([*range(13), 0x13, 0x14, 0x15, 0x16, 0x17, 0x1C, 0x1D, 0x1E])
        size = random.choice([0, 1, mtu - 1, mtu, mtu + 4])
        fields = {"reth_len": random.choice([size, size + 1, mtu + 1, (1 << 31) + 1])}
        if random.random() < 0.2:
            fields["pad"] = random.getrandbits(2)
        if opcode in (READ, *ATOMICS):
            self.reads += 1
            if self.reads > 16:
                return
        self.send(opcode, size, **fields)
        self.left = random.choice([1, mtu, 2 * mtu])


def repeat(bench: Bench, qp: Qp, old: Order, wrong: float = 0.2) -> None:
    """Ask for (the rest of) a read or an atomic again, correctly or not."""
    packets = max(1, -(-old.length // qp.mtu))
    skip = random.randrange(packets)
    offset = skip * qp.mtu
    fields = {"psn": (old.psn + skip) % SPACE, "reth_va": old.va + offset, "reth_rkey": old.rkey}
    opcode = ADD
    if old.kind == "read":
        opcode, fields["reth_len"] = READ, old.length - offset
    if random.random() < wrong:
        name = random.choice(list(fields))
        bits = {"psn": 24, "reth_va": 64}.get(name, 32)
        fields[name] = (fields[name] + 1) % (1 << bits)
    if (fields["psn"] - qp.epsn) % SPACE >= SPACE // 2:
        bench.request(qp, opcode, 0, **fields)


def random_fault(probability: float):
    """Faults that the segments of a request can have; keys of repeated reads are often gone."""

    def fault(outcome: Outcome) -> RxFault:
        if Model.forgets(outcome, RxFault.KEY) and random.random() < 0.3:
            return RxFault.KEY
        if random.random() >= probability or not outcome.segments:
            return RxFault.NONE
        local = random.choice(outcome.segments)[0] == "local"
        kind = RxFault.LOCAL_KEY if local else RxFault.KEY
        return random.choice([kind, kind, RxFault.BUS]) if outcome.segments[0][2] else kind

    return fault


async def post_some(bench: Bench, ring, bad: bool) -> None:
    """Fill the ring up to a random level."""
    size = 1 << ring.log_size
    for _ in range(random.randint(0, size - (len(ring.posted) - ring.claimed))):
        sizes = [random.choice([0, 1, 64, 300, 1500]) for _ in range(random.randint(0, 3))]
        if random.random() < 0.5:
            sizes = [5000]
        wrong = random.choice(["index", "sges", "bus"]) if bad and random.random() < 0.05 else ""
        await bench.post(ring, *sizes, bad=wrong)


async def create(bench: Bench, number: int, srq) -> Qp:
    """A queue pair with a starting PSN that soon wraps, sometimes without some right."""
    access = Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC
    if random.random() < 0.1:
        access = random.choice([Access.REMOTE_WRITE, Access.REMOTE_READ, Access.REMOTE_ATOMIC])
    psn = random.choice([0, SPACE - 3, SPACE // 2 - 2, random.getrandbits(24)])
    return await bench.create_qp(number, srq, access=access, psn=psn)


@cocotb.test()
@cocotb.parametrize(
    (("stall", "idle"), PATTERNS),
    trouble=[0.0, 0.03],
)
async def random_requests_follow_the_rules(dut, stall, idle, trouble):
    bench = await Bench.start(dut, stall, idle)
    bench.fault = random_fault(trouble / 2)
    bench.latency = random.choice([3, 50])
    bench.move_time = random.choice([2, 40])
    bench.set_ack_wait(random.choice([0, 1, 3, 16]), random.choice([0, 20, 256]))
    srq = await bench.create_ring(8 + 1, 5)
    qps = {n: await create(bench, n, srq if n in (2, 3, 5) else None) for n in range(6)}
    requesters = {n: Requester(bench, qp, trouble) for n, qp in qps.items()}
    for _ in range(ROUNDS):
        for ring in {id(qp.ring): qp.ring for qp in qps.values()}.values():
            await post_some(bench, ring, trouble > 0)
        for requester in requesters.values():
            requester.begin_round()
        for _ in range(40):
            requesters[random.choice([0, 0, 1, 2, 3, 4, 5])].step()
        await bench.settle()
        for n in list(qps):
            bench.check(qps[n])
            if qps[n].error is not None:
                await bench.destroy_qp(n)
                qps[n] = await create(bench, n, srq if n in (2, 3, 5) else None)
                requesters[n] = Requester(bench, qps[n], trouble)
