"""rnic_tx, what leaves because of congestion: CNPs, and packets that may be marked."""

from __future__ import annotations

from dataclasses import replace

import cocotb

from spec.codes import Access
from tb.blocks.tx_bench import ACK, NO_MEM, PRIVILEGED, REMOTE, Bench, Job, make_port
from tb.conformance import covers
from tb.model.headers import Bth, Packet
from tb.model.opcodes import CNP
from tb.streams import cycles

WRITE_ONLY, READ_REQUEST, READ_RESPONSE, ATOMIC_ACK, FETCH_ADD = 0x0A, 0x0C, 0x10, 0x12, 0x14


def notification(bench: Bench, qpn: int, tclass: int = 48 << 2 | 2, pcp: int = 6) -> Job:
    """A CNP as rnic_cnp asks for it, and the frame that rocev2 1.13 wants."""
    job = bench.job(qpn, ACK, [], psn=0, ack_req=0, solicited=0, syndrome=0, msn=0)
    job.beats[0] = replace(job.beats[0], opcode=CNP, mem=NO_MEM)
    port = bench.ports[qpn]
    vlan = None if port.path.vlan is None else port.path.vlan & 0x1FFF | pcp << 13
    job.packet = Packet(
        Bth(CNP, port.dest_qpn, psn=0, becn=True, migrated=False, p_key=port.pkey),
        replace(port.path, traffic_class=tclass, vlan=vlan),
        payload=bytes(16),
        pad=b"",
    )
    return job


@cocotb.test()
@covers("ROCE-047", "ROCE-224")
async def a_notification_goes_to_the_peer_on_every_path(dut):
    bench = await Bench.start(dut)
    await bench.exchange([notification(bench, qpn) for qpn in range(4)])
    dut.cnp_tclass.value = 7 << 2
    dut.cnp_pcp.value = 3
    await bench.exchange([notification(bench, qpn, 7 << 2, 3) for qpn in range(4)])


@cocotb.test()
async def a_notification_has_its_size(dut):
    """IPv4: 74 bytes without FCS."""
    bench = await Bench.start(dut)
    bench.send_nowait(notification(bench, 0))
    await bench.settle(1)
    assert len(bench.seen[0]) == 74


@cocotb.test()
async def notifications_go_between_other_packets(dut):
    bench = await Bench.start(dut, stall="half")
    bench.host.latency = 40
    jobs = []
    for n in range(60):
        qpn = n % 4
        piece = bench.segment(REMOTE, 65 * n, 10 * n, Access.REMOTE_READ)
        jobs.append(bench.job(qpn, READ_RESPONSE, [piece]))
        jobs.append(notification(bench, qpn))
        jobs.append(bench.job(qpn, ACK, []))
    await bench.exchange(jobs)


@cocotb.test()
async def a_queue_pair_whose_packets_fail_still_notifies(dut):
    bench = await Bench.start(dut)
    for code in (READ_RESPONSE, WRITE_ONLY):
        broken = bench.job(1, code, [bench.segment(PRIVILEGED, 0, 64)])
        broken.beats[0] = replace(broken.beats[0], mem=replace(broken.beats[0].mem, token=0xFFF00))
        bench.send_nowait(broken)
        await cycles(dut, 80)
        bench.send_nowait(bench.job(1, code, [bench.segment(PRIVILEGED, 0, 64)]))
        await bench.settle(0)
        await bench.exchange([notification(bench, 1)])
    assert len(bench.results) == 2


@cocotb.test()
@covers("ROCE-223")
async def data_may_be_marked_when_ecn_is_on(dut):
    """Requests and read responses; acknowledges and CNPs stay what they are."""
    bench = await Bench.start(dut)
    dut.ecn.value = 1
    for qpn in range(4):
        port = make_port(qpn, v6=bool(qpn & 2), vlan=bool(qpn & 1))
        await bench.set_port(port)
        data = []
        stays = [bench.job(qpn, code, []) for code in (ACK, ATOMIC_ACK)]
        for code in (0x04, WRITE_ONLY, READ_REQUEST, FETCH_ADD):
            segments = [bench.segment(PRIVILEGED, 64, 100)] if code < READ_REQUEST else []
            job = bench.job(qpn, code, segments)
            ect = port.path.traffic_class & 0xFC | 2
            job.packet = replace(job.packet, path=replace(port.path, traffic_class=ect))
            data.append(job)
        await bench.exchange(data)
        await bench.exchange([*stays, notification(bench, qpn)])
