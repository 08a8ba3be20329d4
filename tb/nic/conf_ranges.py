"""Responder: keys and ranges of what the peer reaches."""

from __future__ import annotations

from typing import Any

import cocotb

from spec.codes import Access
from spec.layouts import AdminCommand, AdminKey, AdminOp, KeyKind
from tb.conformance import covers
from tb.model.headers import Reth
from tb.model.opcodes import Op
from tb.nic.conf_keys import KINDS, one_refused
from tb.nic.wire import Wire
from tb.raw_driver import EVERY_RIGHT

ACCESS = 0x62
WRITE_ONLY_RIGHTS = Access.LOCAL_WRITE | Access.REMOTE_WRITE


@cocotb.test()
@covers("ROCE-128")
async def every_way_in_which_a_key_is_wrong(dut: Any) -> None:
    wire = await Wire.start(dut)
    driver, region = wire.driver, wire.region
    other_pd = await driver.register(10, region, pd=2)
    only_read = await driver.register(11, region, access=Access.REMOTE_READ)
    only_write = await driver.register(12, region, access=WRITE_ONLY_RIGHTS)
    local = await driver.register(13, region, access=Access.LOCAL_WRITE)
    gone = await driver.register(14, region)
    await driver.must(AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=14))
    short = await driver.register(15, region, length=4096)
    await driver.must(
        AdminKey(opcode=AdminOp.REGISTER_KEY, number=16, key=0x5A, kind=KeyKind.FAST_REG,
                 access=EVERY_RIGHT, page_shift=12, pd=1, length=4096,
                 pages=region.bus_address)
    )  # fmt: skip
    keys = {
        "variant byte": wire.token ^ 1, "variant byte, top bit": wire.token ^ 0x80,
        "index never used": 0x0000FF5A, "index beyond the table": 0xFFFFFF5A,
        "privileged key": 0, "other PD": other_pd, "local rights": local, "deregistered": gone,
        "not registered yet": 16 << 8 | 0x5A,
    }  # fmt: skip
    for what, key in keys.items():
        for kind in range(KINDS):
            await one_refused(wire, kind, ACCESS, what, lambda c, k=key: c.reth(0x100, 100, k))
    for kind in range(3):
        await one_refused(wire, kind, ACCESS, "no write", lambda c: c.reth(0x100, 100, only_read))
    await one_refused(wire, 3, ACCESS, "no read", lambda c: c.reth(0x100, 100, only_write))
    ranges = {"before": (-1, 100), "behind": (4096 - 99, 100), "far": (1 << 40, 1),
              "behind its end": (4096, 1)}  # fmt: skip
    for what, (at, length) in ranges.items():
        for kind in range(KINDS):
            await one_refused(
                wire, kind, ACCESS, what, lambda c, a=at, n=length: c.reth(a, n, short)
            )
    await wire.works()


@cocotb.test()
@covers("ROCE-130", "ROCE-132")
async def ranges_end_at_the_end_of_the_region(dut: Any) -> None:
    wire = await Wire.start(dut)
    end = 5000
    key = await wire.driver.register(10, wire.region, length=end)
    for length in (1, 100, 256):
        conn = await wire.connect()
        conn.write(end - length, b"\x31" * length, key=key)
        await conn.ack()
        assert wire.memory[end - length : end + 1] == b"\x31" * length + b"\0"
        wire.memory[end - length : end] = bytes(length)
        conn.write(end - length + 1, b"\x32" * length, key=key)
        await conn.nak(ACCESS, 0x201)
        await conn.dead()
        assert not any(wire.memory), "the packet that is out of range was written"
    for length in (257, 512, 700):
        conn = await wire.connect()
        count = -(-length // 256)
        for excess in (0, 1):
            psn = conn.psn
            for n in range(count):
                size = min(256, length - 256 * n)
                op = (Op.WRITE_FIRST if not n else
                      Op.WRITE_LAST if n == count - 1 else Op.WRITE_MIDDLE)  # fmt: skip
                fields = {} if n else {"reth": conn.reth(end - length + excess, length, key)}
                conn.give(op, b"\x33" * size, ack_req=n == count - 1, **fields)
            if not excess:
                await conn.ack(msn=1)
                assert wire.memory[end - length : end + 1] == b"\x33" * length + b"\0"
                wire.memory[end - length : end] = bytes(length)
        await conn.nak(ACCESS, psn)
        await conn.dead()
        assert not any(wire.memory), "a WRITE that leaves its region was begun"
    # The whole range of a READ is looked at before its first response.
    conn = await wire.connect()
    psn = conn.read(end - 700, 700, key=key).bth.psn
    await conn.data(psn, bytes(700))
    psn = conn.read(end - 700, 701, key=key).bth.psn
    await conn.nak(ACCESS, psn)
    await wire.works()


@cocotb.test()
@covers("ROCE-131")
async def ranges_do_not_wrap(dut: Any) -> None:
    wire = await Wire.start(dut)
    top = (1 << 64) - 4096
    key = await wire.driver.register(10, wire.region, base=top, length=4096)
    whole = await wire.driver.register(11, wire.region, base=0, length=(1 << 64) - 1)
    conn = await wire.connect()
    conn.give(Op.WRITE_ONLY, b"\x44" * 96, reth=Reth((1 << 64) - 96, key, 96), ack_req=True)
    await conn.ack()
    assert wire.memory[4000:4097] == b"\x44" * 96 + b"\0"
    for va in ((1 << 64) - 50, (1 << 64) - 1):
        for token in (key, whole, wire.token):
            for kind in range(KINDS):
                await one_refused(wire, kind, ACCESS, f"{va:#x}",
                                  lambda c, v=va, t=token: Reth(v, t, 100))  # fmt: skip
    await wire.works()
