"""Queue pair states over the whole device: draining, failing, and being reborn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import AdminStatus, CqeStatus, QpState
from spec.layouts import AdminCommand, AdminOp, RqWqe, Sge, SqWqe, WqeFlag, WrOp
from spec.registers import CommandReg, StatusReg, TimebaseReg
from tb.axi_memory import Timing
from tb.nic.bad_work import good_write, works
from tb.nic.pair import PORTS, Pair
from tb.nic.smoke import Side, sges, two_sides
from tb.raw_driver import RawDriver

HOST_TICKS = 16384  # ACK ticks that a soft reset waits for answers


@cocotb.test()
async def a_drained_queue_pair_goes_on_where_it_stopped(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    a.driver.post_send(a.qp, good_write(a, b, 1))
    assert (await a.completion()).wr_id == 1
    assert (await a.driver.modify(7, QpState.SQD)).status == 0
    for number in (2, 3):
        a.driver.post_send(a.qp, good_write(a, b, number))
    await ClockCycles(dut.clk, 1000)
    assert a.cq.poll() is None, "a draining queue pair started something"
    assert (await a.driver.modify(7, QpState.RTS)).status == 0
    for number in (2, 3):
        done = await a.completion()
        assert (done.wr_id, done.status) == (number, CqeStatus.SUCCESS)


@cocotb.test()
async def a_queue_pair_sent_to_err_flushes_both_queues_in_order(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    receive = RqWqe(num_sge=1, sge0=Sge(addr=a.address, length=64, token=a.token))
    for number in range(5):
        a.driver.post_recv(a.qp, replace(receive, wr_id=100 + number))
    long = replace(
        good_write(a, b), length=60000, data=sges(Sge(addr=a.address, length=60000, token=a.token))
    )
    for number in range(40):
        a.driver.post_send(a.qp, replace(long, wr_id=number))
    await ClockCycles(dut.clk, 300)
    assert (await a.driver.modify(7, QpState.ERR)).status == 0
    a.driver.post_send(a.qp, replace(long, wr_id=40))
    a.driver.post_recv(a.qp, replace(receive, wr_id=105))
    sends: list[Any] = []
    receives: list[Any] = []
    for _ in range(47):
        done = await a.completion()
        (receives if done.wr_id >= 100 else sends).append(done)
    assert [done.wr_id for done in sends] == list(range(41))
    assert [done.wr_id for done in receives] == list(range(100, 106))
    statuses = [done.status for done in sends]
    finished = statuses.index(CqeStatus.WR_FLUSH_ERR)
    assert statuses == [CqeStatus.SUCCESS] * finished + [CqeStatus.WR_FLUSH_ERR] * (41 - finished)
    assert {done.status for done in receives} == {CqeStatus.WR_FLUSH_ERR}
    await ClockCycles(dut.clk, 300)
    assert a.cq.poll() is None


@cocotb.test()
async def a_reset_queue_pair_starts_a_new_life(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    for life in range(3):
        for number in range(3):
            a.driver.post_send(a.qp, good_write(a, b, number))
            done = await a.completion()
            assert (done.wr_id, done.status) == (number, CqeStatus.SUCCESS), f"life {life}"
        for side, psns in ((a, (0xFFFFFE, 5)), (b, (5, 0xFFFFFE))):
            assert (await side.driver.modify(side.qp.number, QpState.RESET)).status == 0
            side.qp.sq_index = side.qp.rq_index = 0
            peer = "b" if side is a else "a"
            number = 9 if side is a else 7
            await side.driver.connect(side.qp, PORTS[peer], number, sq_psn=psns[0], rq_psn=psns[1])
    await works(a, b)


@cocotb.test()
async def a_soft_reset_forgets_all_objects_and_breaks_no_transaction(dut: Any) -> None:
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    for number in range(20):
        a.driver.post_send(a.qp, good_write(a, b, number))
    device = a.driver.device
    device.write32(CommandReg.ADDRESS, CommandReg(soft_reset=1).to_int())
    for _ in range(100):
        a.driver.ring_sq(7, a.qp.sq_index)
        await ClockCycles(dut.clk, 13)
    await a.driver.until(lambda: device.doorbells.idle and device.axi.idle)

    await live_again(a, b)


async def live_again(a: Side, b: Side) -> None:
    """Everything anew behind a soft reset of a."""
    driver = RawDriver(a.driver.device, PORTS["a"])
    await driver.start()
    assert (await driver.command(AdminCommand(opcode=AdminOp.QUERY_QP, number=7))).status == (
        AdminStatus.NOT_FOUND
    )
    await a.build(driver, 1 << 16, 7)
    assert (await b.driver.modify(9, QpState.RESET)).status == 0
    b.qp.sq_index = b.qp.rq_index = 0
    await a.driver.connect(a.qp, PORTS["b"], 9, sq_psn=1, rq_psn=2)
    await b.driver.connect(b.qp, PORTS["a"], 7, sq_psn=2, rq_psn=1)
    await works(a, b)


async def soft_reset(side: Side, limit: int) -> None:
    """A soft reset that is over after at most so many cycles."""
    device, clk = side.driver.device, side.driver._edge
    device.write32(CommandReg.ADDRESS, CommandReg(soft_reset=1).to_int())
    for _ in range(100):
        await clk
    for _ in range(limit // 100):
        if StatusReg.from_int(await device.read32(StatusReg.ADDRESS)).ready:
            return
        for _ in range(80):
            await clk
    raise AssertionError("the reset does not end")


@cocotb.test()
async def a_soft_reset_does_not_wait_for_the_mac(dut: Any) -> None:
    """It takes nothing; later it gets the frame on offer, cut short, and the peer drops that."""
    pair = await Pair.start(dut)
    a, b = await two_sides(pair)
    long = replace(
        good_write(a, b), length=60000, data=sges(Sge(addr=a.address, length=60000, token=a.token))
    )
    for number in range(3):
        a.driver.post_send(a.qp, replace(long, wr_id=number))
    mac = pair.link._ends[0].tx
    while mac.frames < 4:
        await ClockCycles(dut.clk, 7)
    mac.stall = 1.0
    await ClockCycles(dut.clk, 2000)
    assert dut.a_m_axis_tx_tvalid.value == 1
    await soft_reset(a, 8000)
    mac.stall = 0.0
    await live_again(a, b)


@cocotb.test()
async def a_soft_reset_ends_a_long_read(dut: Any) -> None:
    """The responses stop; no transaction of the host and no frame is broken."""
    pair = await Pair.start(dut)
    size = 1 << 20
    a, b = await two_sides(pair, size)
    read = SqWqe(
        opcode=WrOp.READ, flags=WqeFlag.SIGNALED, blocks=1, num_sge=1, length=size, wr_id=1,
        remote_addr=a.address, rkey=a.token,
        data=sges(Sge(addr=b.address, length=size, token=b.token)),
    )  # fmt: skip
    b.driver.post_send(b.qp, read)
    mac = pair.link._ends[0].tx
    while mac.frames < 10:
        await ClockCycles(dut.clk, 7)
    await soft_reset(a, 2000)
    assert mac.frames < 60
    await live_again(a, b)


@cocotb.test()
@cocotb.parametrize(lines_later=[False, True])
async def a_soft_reset_ends_though_the_host_never_answers(dut: Any, lines_later: bool) -> None:
    """What the new life asks for is not mistaken for what the old one asked for, answered late."""
    pair = await Pair.start(dut, timing=Timing(reorder=lines_later, interleave=lines_later))
    a, b = await two_sides(pair)
    device = a.driver.device
    device.write32(TimebaseReg.ADDRESS, TimebaseReg(ack_tick=1).to_int())
    for number in range(10):
        write = good_write(a, b, number)
        a.driver.post_send(a.qp, write)
        a.driver.post_send(a.qp, replace(write, opcode=WrOp.READ))
    while pair.link._ends[0].tx.frames < 4:
        await ClockCycles(dut.clk, 7)
    device.axi.silent = True
    await ClockCycles(dut.clk, 2000)
    assert min(device.axi.unanswered) > 0
    device.write32(CommandReg.ADDRESS, CommandReg(soft_reset=1).to_int())
    await ClockCycles(dut.clk, HOST_TICKS - 200)
    assert not await status(a, "ready")
    await ClockCycles(dut.clk, 2000)
    assert (await status(a, "ready"), await status(a, "host_owes")) == (1, 1)
    anew = cocotb.start_soon(live_again(a, b))
    before = device.axi.unanswered
    await ClockCycles(dut.clk, 3000)
    assert device.axi.unanswered > before, "nothing was asked for meanwhile"
    assert not anew.done()
    device.axi.silent = False
    await anew
    assert not await status(a, "host_owes")


async def status(side: Side, name: str) -> int:
    """A bit of the status register."""
    word = await side.driver.device.read32(StatusReg.ADDRESS)
    return int(getattr(StatusReg.from_int(word), name))
