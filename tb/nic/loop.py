"""One adapter whose wire leads back to itself: two of its queue pairs talk to each other.

The smallest bench of a whole device, for designs too slow to simulate twice.
"""

from __future__ import annotations

import random
from typing import Any

import cocotb

from spec.codes import CqeStatus
from spec.layouts import CqeOp, RqWqe, Sge, SqWqe, WqeFlag, WrOp
from tb.host import SimDevice
from tb.mac import Beats, MacRx, MacTx
from tb.model.packets import decode
from tb.nic.pair import PORTS
from tb.nic.smoke import sges
from tb.raw_driver import RawDriver
from tb.streams import reset, start_clock

SIGNALED = WqeFlag.SIGNALED
SIZE = 700


@cocotb.test()
async def two_queue_pairs_of_one_adapter_exchange_every_kind(dut: Any) -> None:
    start_clock(dut)
    for name in ("s_axil_awprot", "s_axil_arprot", "s_axi_db_arid", "s_axi_db_araddr"):
        getattr(dut, name).value = 0
    device = SimDevice(dut)
    frames: list[bytes] = []
    rx = MacRx(dut, "s_axis_rx", device.ticker)

    def deliver(frame: bytes, beats: Beats) -> None:
        frames.append(frame)
        rx.send(frame, beats=beats)

    MacTx(dut, "m_axis_tx", device.ticker, deliver)
    await reset(dut)

    driver = RawDriver(device, PORTS["a"])
    await driver.start()
    await driver.create_eq()
    cq = await driver.create_cq(3)
    qps = [await driver.create_qp(number, 3, sq_log=4, rq_log=4) for number in (7, 9)]
    for qp, peer in zip(qps, (9, 7), strict=True):
        await driver.connect(qp, PORTS["a"], peer, sq_psn=0x10, rq_psn=0x10, mtu=1)
    buffer = device.allocate(8192)
    token = await driver.register(5, buffer)
    data = random.randbytes(SIZE)
    buffer.memory[3 : 3 + SIZE] = data
    local = Sge(addr=buffer.bus_address + 3, length=SIZE, token=token)

    def place(at: int) -> bytes:
        return bytes(buffer.memory[at : at + SIZE])

    write = SqWqe(
        opcode=WrOp.WRITE, flags=SIGNALED, blocks=1, num_sge=1, length=SIZE, wr_id=1,
        remote_addr=buffer.bus_address + 1001, rkey=token, data=sges(local),
    )  # fmt: skip
    driver.post_send(qps[0], write)
    assert (await driver.until(cq.poll)).status == CqeStatus.SUCCESS
    assert place(1001) == data

    receive = Sge(addr=buffer.bus_address + 2000, length=SIZE, token=token)
    driver.post_recv(qps[1], RqWqe(wr_id=2, num_sge=1, sge0=receive))
    send = SqWqe(opcode=WrOp.SEND, blocks=1, num_sge=1, length=SIZE, wr_id=3, data=sges(local))
    driver.post_send(qps[0], send)
    done = await driver.until(cq.poll)
    assert (done.opcode, done.wr_id, done.byte_len) == (CqeOp.RECV, 2, SIZE)
    assert place(2000) == data

    read = SqWqe(
        opcode=WrOp.READ, flags=SIGNALED, blocks=1, num_sge=1, length=SIZE, wr_id=4,
        remote_addr=buffer.bus_address + 2000, rkey=token,
        data=sges(Sge(addr=buffer.bus_address + 4095, length=SIZE, token=token)),
    )  # fmt: skip
    driver.post_send(qps[1], read)
    done = await driver.until(cq.poll)
    assert (done.status, done.wr_id) == (CqeStatus.SUCCESS, 4)
    assert place(4095) == data
    assert len(frames) >= 3 + 1 + 3 + 1 + 1 + 3
    for frame in frames:
        decode(frame)
