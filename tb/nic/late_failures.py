"""Local failures beside losses: each message ends as it deserves; what was over cannot fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import CqeStatus, QpState, Stat
from spec.layouts import AdminCommand, AdminOp, Sge
from spec.registers import TimebaseReg
from tb.link import drop, hold
from tb.model.opcodes import Op
from tb.nic.bad_work import fresh, good_write, works
from tb.nic.late_repeats import is_a
from tb.nic.pair import Pair
from tb.nic.smoke import sges, two_sides

TICK = 1
"""Cycles in 4.096 microseconds: the bench's timeout of code 14 takes 16,384."""
KEY = 6
OTHER = 21
FULL = 12
"""Packets of 4096 bytes that the transmit pipeline lets in at once."""
TIMEOUT = 11
"""2048 cycles, with that tick."""


@cocotb.test()
async def a_failure_behind_a_loss_waits_until_the_loss_is_mended(dut: Any) -> None:
    """The first is lost on the wire, the second has a bad key, the third is behind both."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair, timeout=TIMEOUT)
    a.driver.device.write32(TimebaseReg.ADDRESS, TimebaseReg(ack_tick=TICK).to_int())
    pair.link.ab.rules.append(drop(is_a(Op.WRITE_ONLY)))
    bad = Sge(addr=a.address, length=64, token=a.token ^ 1)
    a.driver.put_send(a.qp, good_write(a, b, 1))
    a.driver.put_send(a.qp, replace(good_write(a, b, 2), length=64, data=sges(bad)))
    a.driver.post_send(a.qp, good_write(a, b, 3))
    done = [await a.completion() for _ in range(3)]
    assert [(one.wr_id, one.status) for one in done] == [
        (1, CqeStatus.SUCCESS), (2, CqeStatus.LOC_PROT_ERR), (3, CqeStatus.WR_FLUSH_ERR),
    ]  # fmt: skip
    assert await a.driver.counter(Stat.TIMEOUTS) == 1
    assert await b.driver.query_state(9) is QpState.RTS


@cocotb.test()
async def a_repetition_of_what_is_over_may_find_its_key_gone(dut: Any) -> None:
    """Its acknowledge comes while it waits to be sent again, and its memory is given back."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair, timeout=TIMEOUT, retry_cnt=1)
    a.driver.device.write32(TimebaseReg.ADDRESS, TimebaseReg(ack_tick=TICK).to_int())
    filler, _ = await fresh(a, b, OTHER)
    token = await a.driver.register(KEY, a.buffer)
    first = good_write(a, b, 1)
    first = replace(first, data=sges(Sge(addr=a.address, length=first.length, token=token)))
    pair.link.ba.rules.append(hold(2900, is_a(Op.ACK)))
    a.driver.post_send(a.qp, first)
    while not pair.link.ab.sent:
        await ClockCycles(dut.clk, 10)
    # From here on the MAC takes nothing, and packets of another queue pair fill the pipeline: as
    # many as it lets in, so that the repetition is the one that waits in front of it.
    mac = pair.ends["a"].tx
    mac.stall = 1.0
    length = FULL * 4096
    block = Sge(addr=a.address, length=length, token=a.token)
    a.driver.post_send(
        filler,
        replace(good_write(a, b, 100), length=length, data=sges(block), remote_addr=b.address),
    )
    assert (await a.completion()).wr_id == 1
    assert await a.driver.counter(Stat.TIMEOUTS) == 1
    gone = cocotb.start_soon(a.driver.must(AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=KEY)))
    a.driver.post_send(a.qp, good_write(a, b, 2))
    await ClockCycles(dut.clk, 800)
    mac.stall = 0.0
    await gone
    found = {(one.wr_id, one.status) for one in [await a.completion() for _ in range(2)]}
    assert found == {(n, CqeStatus.SUCCESS) for n in (2, 100)}
    assert await a.driver.counter(Stat.TX_ABORTED) >= 1, "the repetition did not fail"
    assert await a.driver.counter(Stat.TIMEOUTS) == 1, "what was dropped was not sent again at once"
    assert await a.driver.query_state(7) is QpState.RTS
    await works(a, b)
