"""Responder: what follows an error, and what the host is told."""

from __future__ import annotations

from typing import Any

import cocotb

from spec.codes import EventType, QpState
from tb.axi_memory import Timing
from tb.conformance import covers
from tb.model.opcodes import Op
from tb.nic.wire import Wire

INVALID, ACCESS = 0x61, 0x62
ACCESS_EVENT, REQUEST_EVENT = EventType.QP_ACCESS_ERROR, EventType.QP_REQ_ERROR


@cocotb.test()
@covers("ROCE-138")
async def silence_after_the_error(dut: Any) -> None:
    wire = await Wire.start(dut, timing=Timing(read_latency=200))
    for bad in ("key", "sequence", "long"):
        conn = await wire.connect()
        conn.receive(conn.sge(0x4000, 10), wr_id=1)
        await conn.rung()
        conn.write(0x100, b"before")
        psn = conn.read(0, 2000).bth.psn
        if bad == "key":
            conn.write(0x3000, b"bad", key=1)
        elif bad == "sequence":
            conn.give(Op.WRITE_LAST, b"bad", ack_req=True)
        else:
            conn.send(b"longer than ten bytes")
        wrong = conn.psn - 1
        conn.write(0x3000, b"later")
        conn.read(0, 100)
        conn.send(b"later")
        conn.give(Op.WRITE_ONLY, b"old", psn=0x1FF, reth=conn.reth(0, 3), ack_req=True)
        conn.write(0, b"ahead", psn=conn.psn + 9)
        if conn.waiting and conn.waiting[0].bth.opcode == Op.ACK:
            await conn.ack(0x200)
        await wire.until(lambda c=conn: c.waiting, "an answer")
        if conn.waiting[0].bth.opcode == Op.ACK:
            await conn.ack(0x200)
        await conn.data(psn, bytes(wire.memory[:2000]))
        await conn.nak(ACCESS if bad == "key" else INVALID, wrong)
        await conn.dead()
        assert not any(wire.memory[0x3000:0x3010]), f"{bad}: what followed was executed"
        conn.write(0x3000, b"much later")
        wire.give(conn.packet(Op.READ_REQUEST, psn=psn, reth=conn.reth(0, 2000)))
        await conn.quiet()
        assert not any(wire.memory[0x3000:0x3010])
    await wire.works()


@cocotb.test()
@covers("ROCE-139")
async def an_event_tells_what_no_receive_does(dut: Any) -> None:
    wire = await Wire.start(dut)
    cases = (
        (ACCESS_EVENT, lambda c: c.write(0, b"x", key=1)),
        (ACCESS_EVENT, lambda c: c.read(0, 100, key=1)),
        (ACCESS_EVENT, lambda c: c.write(1 << 20, b"x")),
        (REQUEST_EVENT, lambda c: c.give(Op.WRITE_LAST, b"x", ack_req=True)),
        (REQUEST_EVENT, lambda c: c.give(0x1F, ack_req=True)),
        (REQUEST_EVENT, lambda c: c.give(Op.WRITE_FIRST, b"x", reth=c.reth(0, 1000))),
        (REQUEST_EVENT, lambda c: c.read(0, (1 << 31) + 1)),
    )
    for kind, act in cases:
        conn = await wire.connect()
        psn = conn.psn
        act(conn)
        await conn.nak(ACCESS if kind == ACCESS_EVENT else INVALID, psn)
        await conn.event(kind)
        wire.poll()
        more = [e for e in wire.events if (e.number, e.event_type) == (conn.number, kind)]
        assert not more, "told twice"
        assert await conn.query() == QpState.ERR


@cocotb.test()
@covers("ROCE-115")
async def the_first_request_in_rtr_is_told_once(dut: Any) -> None:
    wire = await Wire.start(dut)
    for first in ("write", "read", "send", "refused"):
        conn = await wire.connect(state=QpState.RTR)
        conn.receive(conn.sge(0x1000, 100), wr_id=5)
        await conn.rung()
        wire.poll()
        assert not [e for e in wire.events if e.number == conn.number], "an event too early"
        if first == "write":
            conn.write(0, b"hello")
            await conn.ack(msn=1)
            assert wire.memory[0:5] == b"hello"
        elif first == "read":
            psn = conn.read(0, 300).bth.psn
            await conn.data(psn, bytes(wire.memory[:300]), msn=1)
        elif first == "send":
            conn.send(b"hello")
            await conn.ack(msn=1)
            await conn.completion(wr_id=5, byte_len=5)
        else:
            conn.give(Op.SEND_LAST, b"hello")
            await conn.nak(INVALID, 0x200)
            continue
        await conn.event(EventType.COMM_EST)
        assert await conn.query() == QpState.RTR
        conn.write(0, b"again")
        await conn.ack(msn=2)
        await wire.cycles(200)
        wire.poll()
        again = [e for e in wire.events if e.number == conn.number]
        assert not again, f"told twice: {again}"
