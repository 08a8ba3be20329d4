"""rnic_rx, what it tells of congestion: marks of good packets, notifications, and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb

from spec.codes import DropReason, QpState, QpType
from tb.blocks.rx_bench import RxBench, psns
from tb.blocks.rx_packets import QPN, TARGET, Memory, config, write_packet
from tb.model.headers import Aeth, Bth, Packet, Path
from tb.model.icrc import seal
from tb.model.opcodes import CNP, Op
from tb.model.packets import encode

OTHER = 0x34
CE = 3
PEER = Path().src_ip
# What a ConnectX-4 Lx sent: UDP source port 0, ECT(0), QPN 0x118.
CAPTURED = bytes.fromhex(
    "e41d2dab2bc27cfe90643b320800" "45c2003c718c4000401191610a0011010a001201"
    "000012b700280000" "8100ffff4000011800000000" "00000000000000000000000000000000" "82fd002a"
)  # fmt: skip


def cnp(qpn: int = QPN, **bth: int) -> Packet:
    """A notification."""
    values = {"becn": True, "migrated": False, **bth}
    return Packet(Bth(CNP, qpn, **values), Path(traffic_class=48 << 2 | 2), payload=bytes(16))


def marked(packet: Packet, ecn: int = CE) -> Packet:
    """The packet as it leaves a congested switch."""
    return replace(packet, path=replace(packet.path, traffic_class=ecn))


@cocotb.test()
async def a_notification_is_told_and_moves_nothing(dut):
    bench = await RxBench.start(dut)
    bench.send(cnp())
    await bench.settle(1)
    assert (bench.cnps, bench.marks) == ([QPN], [])
    assert not bench.headers
    assert not bench.done
    assert not bench.drops + bench.qp_drops
    assert not bench.memory.masks


@cocotb.test()
async def the_notification_of_a_real_adapter_is_understood(dut):
    bench = await RxBench.start(dut)
    bench.configs[0x118] = config(bytes([10, 0, 17, 1])).to_int()
    bench.own(bytes([10, 0, 18, 1]))
    bench.send(CAPTURED)
    await bench.settle(1)
    assert bench.cnps == [0x118]


@cocotb.test()
async def marks_of_a_notification_do_not_count(dut):
    bench = await RxBench.start(dut)
    bench.send(marked(cnp()))
    bench.send(cnp(fecn=True))
    await bench.settle(2)
    assert (bench.cnps, bench.marks) == ([QPN] * 2, [])


@cocotb.test()
async def only_congestion_experienced_is_a_mark(dut):
    bench = await RxBench.start(dut)
    write = write_packet(0, TARGET, b"data")
    ack = Packet(Bth(Op.ACK, QPN), aeth=Aeth(0x1F, 1))
    count = 0
    for packet in (write, ack):
        for ecn in range(4):
            bench.send(marked(packet, ecn))
        bench.send(replace(packet, bth=replace(packet.bth, fecn=True)))
        count += 5
    await bench.settle(count)
    assert (bench.marks, bench.cnps) == ([QPN] * 4, [])
    assert len(bench.done) == count


@cocotb.test()
async def becn_in_another_packet_is_a_notification(dut):
    bench = await RxBench.start(dut)
    ack = Packet(Bth(Op.ACK, QPN, psn=7, becn=True), aeth=Aeth(0x1F, 1))
    bench.send(ack)
    bench.send(marked(ack))
    await bench.settle(2)
    assert (bench.cnps, bench.marks) == ([QPN] * 2, [QPN])
    assert psns(bench.done) == [7, 7]


@cocotb.test()
async def refused_packets_tell_nothing(dut):
    bench = await RxBench.start(dut)
    good = marked(write_packet(1, TARGET, bytes(70)))
    good = replace(good, bth=replace(good.bth, becn=True))
    frame = encode(good)
    strange = replace(good, path=replace(good.path, src_ip=b"\x0a\0\0\x09"))
    lost = cnp(0x99)
    cases = [
        (frame[:-1] + bytes([frame[-1] ^ 1]), {}, DropReason.BAD_ICRC),
        (replace(good, bth=replace(good.bth, dest_qp=0x99)), {}, DropReason.BAD_QPN),
        (replace(good, bth=replace(good.bth, p_key=0x1234)), {}, DropReason.BAD_PKEY),
        (strange, {}, DropReason.BAD_ADDRESS),
        (good, {"qp_type": QpType.UC}, DropReason.QP_TYPE),
        (good, {"state": QpState.ERR}, DropReason.QP_STATE),
        (lost, {}, DropReason.BAD_QPN),
        (replace(cnp(), path=strange.path), {}, DropReason.BAD_ADDRESS),
        (cnp(), {"qp_type": QpType.UD}, DropReason.QP_TYPE),
        (seal(encode(cnp())[:-20] + bytes(4)), {}, DropReason.LENGTH),
    ]  # fmt: skip
    for packet, changes, reason in cases:
        bench.configs[QPN] = config(PEER, **changes).to_int()
        bench.forget()
        bench.send(packet)
        await bench.settle(1)
        assert bench.drops + bench.qp_drops == [reason]
        assert not bench.marks + bench.cnps, reason


@cocotb.test()
async def a_notification_needs_a_connected_queue_pair_but_no_partition(dut):
    bench = await RxBench.start(dut)
    connected = (QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE)
    for state in QpState:
        bench.configs[QPN] = config(PEER, state=state).to_int()
        bench.forget()
        bench.send(cnp(p_key=0x1234))
        await bench.settle(1)
        assert bench.cnps == ([QPN] if state in connected else [])
        assert bench.qp_drops == ([] if state in connected else [DropReason.QP_STATE])


@cocotb.test()
@cocotb.parametrize(stall=["none", "half"])
async def notifications_keep_out_of_the_way_of_data(dut, stall):
    bench = await RxBench.start(dut, stall=stall)
    bench.configs[OTHER] = config(PEER).to_int()
    expected, cnps, marks, alive = Memory(), [], [], []
    for n in range(150):
        if random.random() < 0.4:
            packet = cnp(random.choice((QPN, OTHER)), psn=random.getrandbits(24))
            cnps.append(packet.bth.dest_qp)
        else:
            payload = random.randbytes(random.choice([0, 1, 64, 130, 1024]))
            packet = write_packet(n, TARGET + (n << 12) + n % 64, payload)
            packet = marked(packet, random.randrange(4))
            marks += [QPN] * (packet.path.ecn == CE)
            expected.put(packet.reth.va, payload)
            alive.append(n)
        bench.send(packet)
    await bench.settle(150)
    assert (bench.cnps, bench.marks) == (cnps, marks)
    assert psns(bench.done) == alive
    assert bench.memory.same_as(expected)
