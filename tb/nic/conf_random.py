"""Random requests, legal and not, to the adapter and to the reference responder: same answers.

The reference is `tb.model`, fed packet by packet with what the adapter is given. Everything that
comes back is compared in order; so are the completions, the memory and the state at the end.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import cocotb

from spec.codes import QpState
from spec.layouts import CqeOp
from tb.conformance import covers
from tb.model.headers import AtomicEth, Packet, Reth
from tb.model.memory import Memory
from tb.model.opcodes import OPCODES, Header, Op
from tb.model.qp import QpConfig, QueuePair
from tb.model.verbs import Access, RecvWork, Sge, State
from tb.nic.wire import Conn, Wire, path

REMOTE = Access.REMOTE_READ | Access.REMOTE_WRITE | Access.REMOTE_ATOMIC
STEPS = 120
RECEIVES = (Op.SEND_ONLY, Op.SEND_ONLY_IMM)


class Twin:
    """The adapter's queue pair and the model's, given the same."""

    def __init__(self, conn: Conn, data: bytearray, psn: int) -> None:
        self.conn = conn
        wire = conn.wire
        memory = Memory()
        memory.register(data, wire.address, Access.LOCAL_WRITE | REMOTE, key=wire.token)
        there = path(conn.gid)
        back = replace(there, src_ip=there.dst_ip, dst_ip=there.src_ip,
                       src_mac=there.dst_mac, dst_mac=there.src_mac)  # fmt: skip
        config = QpConfig(conn.number, conn.peer_qpn, back, pmtu=conn.pmtu, rq_psn=psn,
                          access=REMOTE, min_rnr_timer=1)  # fmt: skip
        self.model = QueuePair(config, memory)
        self.given: list[Packet] = []
        self.message: tuple[str, int] | None = None  # what is in progress, and bytes left
        self.posted = 0

    @property
    def alive(self) -> bool:
        """No error so far."""
        return self.model.state is State.RTS

    async def receive(self, trouble: float) -> None:
        """Post a receive on both sides, now and then a short one."""
        if self.posted - len(self.model.completions) > 20:
            return
        at, length = 0x8000 + random.randrange(0x1000), 4000
        if random.random() < trouble:
            length = random.choice((0, 10, 300))
        piece = self.conn.sge(at, length)
        self.conn.receive(piece, wr_id=self.posted)
        work = RecvWork(self.posted, (Sge(piece.addr, length, piece.token),))
        self.model.post_recv(work)
        self.posted += 1
        await self.conn.rung()

    async def give(self, packet: Packet) -> bool:
        """One request; True when it was taken as the next one."""
        before = self.model.responder.epsn
        expected = self.model.receive(packet, 0)
        self.conn.wire.give(packet)
        for wanted in expected:
            got = await self.conn.next(f"{wanted}, the answer to {packet},")
            same = all(
                getattr(got, name) == getattr(wanted, name)
                for name in ("aeth", "payload", "atomic_ack")
            )
            assert same, f"{got}, not {wanted}, to {packet}"
            assert (got.bth.opcode, got.bth.psn) == (wanted.bth.opcode, wanted.bth.psn), (
                f"{got}, not {wanted}, to {packet}"
            )
        return self.model.responder.epsn != before

    # ------------------------------------------------------------ what to give

    def packet(self, op: int, size: int, **fields: Any) -> Packet:
        """A request with the headers of its opcode, random where nothing is said."""
        conn, shape = self.conn, OPCODES.get(op)
        headers = shape.headers if shape else ()
        fields = {"psn": self.model.responder.epsn, "ack_req": random.random() < 0.6, **fields}
        if Header.RETH in headers:
            fields.setdefault("reth", conn.reth(random.randrange(0x4000), size))
        if Header.ATOMIC_ETH in headers:
            where = conn.wire.address + 8 * random.randrange(64)
            number = random.getrandbits
            fields.setdefault(
                "atomic_eth", AtomicEth(where, conn.wire.token, number(64), number(64))
            )
        if Header.IMM in headers:
            fields["imm"] = random.getrandbits(32)
        if Header.IETH in headers:
            fields["ieth"] = random.getrandbits(32)
        if Header.FETH in headers:
            fields["feth"] = None
        return conn.packet(op, random.randbytes(size), **fields)

    def legal(self) -> tuple[Packet, tuple[str, int] | None]:
        """A packet that is in order, and the message behind it."""
        pmtu = self.conn.pmtu
        if self.message is not None:
            kind, left = self.message
            is_send = kind == "send"
            if left > pmtu:
                op = Op.SEND_MIDDLE if is_send else Op.WRITE_MIDDLE
                return self.packet(op, pmtu), (kind, left - pmtu)
            ends = (
                (Op.SEND_LAST, Op.SEND_LAST_IMM) if is_send else (Op.WRITE_LAST, Op.WRITE_LAST_IMM)
            )
            return self.packet(random.choice(ends), left), None
        size = random.choice((0, 1, 7, 64, pmtu - 1, pmtu, pmtu + 1, 3 * pmtu - 5))
        kind = random.choice(("send", "send", "write", "write", "read", "atomic"))
        if kind == "read":
            return self.packet(
                Op.READ_REQUEST, 0, reth=self.conn.reth(random.randrange(999), size)
            ), None
        if kind == "atomic":
            return self.packet(random.choice((Op.CMP_SWAP, Op.FETCH_ADD)), 0), None
        if size <= pmtu:
            ops = RECEIVES if kind == "send" else (Op.WRITE_ONLY, Op.WRITE_ONLY_IMM)
            return self.packet(random.choice(ops), size), None
        op, reth = Op.SEND_FIRST, {}
        if kind == "write":
            op, reth = Op.WRITE_FIRST, {"reth": self.conn.reth(random.randrange(0x4000), size)}
        return self.packet(op, pmtu, **reth), (kind, size - pmtu)

    def old(self) -> Packet:
        """One that was given before, as it was, or a READ from its middle, or a little wrong."""
        packet = random.choice(self.given[-12:])
        reth = packet.reth
        if reth is None or packet.bth.opcode != Op.READ_REQUEST or random.random() < 0.3:
            return packet
        skip = random.randrange(max(1, -(-reth.length // self.conn.pmtu)))
        step = skip * self.conn.pmtu
        changes = {"va": reth.va + step, "length": reth.length - step, "key": reth.key}
        if random.random() < 0.4:
            changes[random.choice(list(changes))] += random.choice((1, 256))
        psn = packet.bth.psn + skip & 0xFFFFFF
        return replace(packet, bth=replace(packet.bth, psn=psn), reth=Reth(**changes))

    def ahead(self) -> Packet:
        """One that is too early."""
        step = random.choice((1, 2, 77, (1 << 23) - 1))
        op = random.choice((Op.SEND_ONLY, Op.WRITE_MIDDLE, Op.READ_REQUEST, Op.FETCH_ADD))
        return self.packet(op, 0, psn=self.model.responder.epsn + step & 0xFFFFFF)

    def nonsense(self) -> Packet:
        """One that is wrong in one way or several."""
        pmtu = self.conn.pmtu
        op = random.choice([o for o in range(0x20) if not 0x0D <= o <= 0x12 and o != Op.FLUSH])
        size = random.choice((0, 1, 4, pmtu - 1, pmtu, pmtu + 4))
        if op in (Op.READ_REQUEST, Op.CMP_SWAP, Op.FETCH_ADD):
            size = 0
        if op == Op.ATOMIC_WRITE:
            op = 0x1E
        packet = self.packet(op, size, ack_req=True)
        if packet.reth and random.random() < 0.5:
            wrong = {"key": packet.reth.key ^ 1, "va": 1 << 40, "length": random.getrandbits(32)}
            name = random.choice(list(wrong))
            packet = replace(packet, reth=replace(packet.reth, **{name: wrong[name]}))
        if packet.atomic_eth and random.random() < 0.5:
            name, by = random.choice((("va", 3), ("key", 1), ("va", 1 << 30)))
            value = getattr(packet.atomic_eth, name) + by
            packet = replace(packet, atomic_eth=replace(packet.atomic_eth, **{name: value}))
        return packet

    async def step(self, trouble: float) -> None:
        """One request."""
        if random.random() < 0.45:
            await self.receive(trouble)
        dice = random.random()
        if self.given and dice < 0.2:
            await self.give(self.old())
        elif dice < 0.26:
            await self.give(self.ahead())
        elif dice < 0.26 + trouble:
            await self.give(self.nonsense())
        else:
            packet, message = self.legal()
            if await self.give(packet):
                self.given.append(packet)
                self.message = message

    async def compare(self, data: bytearray) -> None:
        """Nothing more comes, and all that can be seen is the same."""
        conn = self.conn
        await conn.quiet()
        assert await conn.query() == (QpState.RTS if self.alive else QpState.ERR)
        for wanted in self.model.completions:
            done = await conn.completion(wr_id=wanted.wr_id, status=int(wanted.status))
            if not wanted.status:
                assert done.byte_len == wanted.byte_len, f"{done}, not {wanted}"
                imm = 0 if wanted.imm is None else wanted.imm
                kinds = (CqeOp.RECV_IMM, CqeOp.RECV_WRITE_IMM)
                assert (done.opcode in kinds) == (wanted.imm is not None), f"{done}, not {wanted}"
                if wanted.imm is not None:
                    assert done.imm == int.from_bytes(imm.to_bytes(4, "big"), "little")
        conn.no_completion()
        assert conn.wire.memory == data, "memory differs"


@cocotb.test()
@cocotb.parametrize(trouble=(0.0, 0.05))
@covers("ROCE-096", "ROCE-098", "ROCE-101", "ROCE-103", "ROCE-105", "ROCE-117", "ROCE-140")
@covers("ROCE-143", "ROCE-144")
async def the_reference_answers_the_same(dut: Any, trouble: float) -> None:
    wire = await Wire.start(dut)
    data = bytearray(random.randbytes(len(wire.memory)))
    wire.memory[:] = data
    for n in range(8 if trouble else 4):
        psn = random.choice((0, 0xFFFFF0, 0x7FFFF0, random.getrandbits(24)))
        mtu = random.choice((1, 1, 2, 3))
        twin = Twin(await wire.connect(psn=psn, mtu=mtu, gid=n & 1), data, psn)
        for _ in range(STEPS):
            if twin.alive:
                await twin.step(trouble)
        await twin.compare(data)
