"""Every path MTU with every length, between two adapters."""

from __future__ import annotations

from typing import Any

import cocotb

from spec.codes import CqeStatus, Mtu
from spec.layouts import CqeOp, RqWqe, Sge, SqWqe, WqeFlag, WrOp
from tb.conformance import covers
from tb.nic.pair import Pair
from tb.nic.smoke import Side, sges, two_sides

LONG = 1 << 20


@cocotb.test()
@cocotb.parametrize(mtu=list(Mtu))
@covers("ROCE-234")
async def every_path_mtu_carries_every_length(dut: Any, mtu: Mtu) -> None:
    """0, 1, 3, 4, PMTU - 1, PMTU, PMTU + 1, 2 PMTU, 2^20: SEND, WRITE and READ, and an atomic."""
    pair = await Pair.start(dut, keep=False, pcap=None)
    a, b = await two_sides(pair, size=LONG + 8192, mtu=int(mtu))
    pmtu = 128 << mtu
    for length in (0, 1, 3, 4, pmtu - 1, pmtu, pmtu + 1, 2 * pmtu, LONG):
        for op in (WrOp.SEND, WrOp.WRITE, WrOp.READ):
            await _move(a, b, op, length)
    await _add(a, b)


async def _move(a: Side, b: Side, op: WrOp, length: int) -> None:
    content = pattern(length, int(op))
    source, sink = (b, a) if op is WrOp.READ else (a, b)
    source.buffer.memory[5 : 5 + length] = content
    sink.buffer.memory[3 : 3 + length + 1] = b"\xa5" * (length + 1)
    if op is WrOp.SEND:
        entry = Sge(addr=b.address + 3, length=length, token=b.token)
        b.driver.post_recv(b.qp, RqWqe(wr_id=9, num_sge=1, sge0=entry))
    offset, remote = (3, 5) if op is WrOp.READ else (5, 3)
    wqe = SqWqe(
        opcode=op, flags=WqeFlag.SIGNALED, blocks=1, num_sge=1, length=length, wr_id=8,
        remote_addr=b.address + remote, rkey=b.token,
        data=sges(Sge(addr=a.address + offset, length=length, token=a.token)),
    )  # fmt: skip
    a.driver.post_send(a.qp, wqe)
    done = await a.driver.until(a.cq.poll, 2_000_000)
    assert (done.wr_id, done.status) == (8, CqeStatus.SUCCESS), f"{op.name} of {length} bytes"
    if op is WrOp.SEND:
        got = await b.completion()
        assert (got.status, got.opcode, got.byte_len) == (0, CqeOp.RECV, length)
        b.driver.consume(3, b.cq)
    a.driver.consume(3, a.cq)
    assert sink.buffer.memory[3 : 3 + length] == content, f"{op.name} of {length} bytes"
    assert sink.buffer.memory[3 + length] == 0xA5, f"{op.name} of {length} bytes: one too many"


async def _add(a: Side, b: Side) -> None:
    b.buffer.memory[64:72] = (40).to_bytes(8, "little")
    sge = Sge(addr=a.address, length=8, token=a.token)
    data = sge.pack() + (2).to_bytes(8, "little") + bytes(8)
    wqe = SqWqe(
        opcode=WrOp.FETCH_ADD, flags=WqeFlag.SIGNALED, blocks=1, num_sge=1, length=8, wr_id=7,
        remote_addr=b.address + 64, rkey=b.token, data=int.from_bytes(data, "little"),
    )  # fmt: skip
    a.driver.post_send(a.qp, wqe)
    done = await a.completion()
    assert (done.wr_id, done.status, done.byte_len) == (7, CqeStatus.SUCCESS, 8)
    assert a.buffer.memory[:8] == (40).to_bytes(8, "little")
    assert b.buffer.memory[64:72] == (42).to_bytes(8, "little")


def pattern(length: int, seed: int) -> bytes:
    """Bytes that differ from place to place."""
    return bytes((n * 7 + (n >> 8) * 3 + seed) & 0xFF for n in range(length))
