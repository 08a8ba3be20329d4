"""Congestion: marks, notifications, and the rate of a queue pair, on the wire."""

from __future__ import annotations

from typing import Any

import cocotb

from spec.codes import CqeStatus, Stat
from spec.registers import CnpReg, CongestionReg
from tb.conformance import covers
from tb.model.headers import Aeth, Packet
from tb.model.opcodes import CNP, Op
from tb.nic.wire import Conn, Wire, path
from tb.nic.wire_ask import ack, psns, respond, respond_read, rest, take
from tb.nic.wire_work import read_wqe, write_wqe

FIRST = 0x100
S = CqeStatus
US_CYCLES = 250
MARKED = 3
ECT0 = 2


def configure(wire: Wire, *, interval: int = 0, **fields: int) -> None:
    """What is switched on, and how many microseconds lie between two CNPs."""
    wire.device.write32(CongestionReg.ADDRESS, CongestionReg(**{"cnp": 1, **fields}).to_int())
    wire.device.write32(CnpReg.ADDRESS, CnpReg(interval=interval).to_int())


async def notifications(conn: Conn) -> list[Packet]:
    """The CNPs that have come for a connection; other packets for it are forgotten."""
    await rest(conn)
    found = [cnp for cnp in conn.wire.cnps if cnp.bth.dest_qp == conn.peer_qpn]
    conn.wire.cnps = [cnp for cnp in conn.wire.cnps if cnp not in found]
    return found


@cocotb.test()
@covers("ROCE-047", "ROCE-224")
async def a_notification_goes_back_to_the_sender(dut: Any) -> None:
    """Over both IP versions; every field that 1.13 names."""
    wire = await Wire.start(dut)
    configure(wire)
    for gid in (0, 1):
        conn = await wire.connect(gid=gid, pkey=0x8765)
        conn.write(0, b"marked", path=path(gid, traffic_class=MARKED), p_key=0x8765)
        (cnp,) = await notifications(conn)
        there, back = path(gid), cnp.path
        assert (back.src_mac, back.dst_mac) == (there.dst_mac, there.src_mac)
        assert (back.src_ip, back.dst_ip) == (there.dst_ip, there.src_ip)
        assert back.traffic_class >> 2 == 48
        assert cnp.payload == bytes(16)
        bth = cnp.bth
        assert (bth.dest_qp, bth.psn, bth.p_key) == (conn.peer_qpn, 0, 0x8765)
        assert bth.becn
        flags = (bth.fecn, bth.solicited, bth.ack_req, bth.migrated)
        assert flags == (False,) * 4
        at = {0: 42, 1: 62}[gid]
        sizes = [len(frame) for frame in wire.frames if frame[at : at + 1] == bytes([CNP])]
        assert sizes[-1] == {0: 74, 1: 94}[gid]


@cocotb.test()
@covers("ROCE-223")
async def marks_are_answered_once_per_interval(dut: Any) -> None:
    """Interval 4 us; each queue pair has its own. Requests, READ responses and ACKs, CE and FECN.

    Nothing answers a marked packet that is dropped, a marked CNP, or an unmarked packet.
    """
    wire = await Wire.start(dut)
    configure(wire, interval=4)
    marked = path(traffic_class=MARKED)
    conns = [await wire.connect() for _ in range(2)]
    for _ in range(5):
        for conn in conns:
            conn.write(0, b"marked", path=marked)
    for conn in conns:
        assert len(await notifications(conn)) == 1
    await wire.cycles(5 * US_CYCLES)
    conns[0].write(0, b"not marked", path=path(traffic_class=ECT0))
    assert await notifications(conns[0]) == []
    conns[0].write(0, b"marked", path=marked)
    assert len(await notifications(conns[0])) == 1
    assert await wire.driver.counter(Stat.TX_CNPS) == 3

    configure(wire, interval=0)
    conn = await wire.connect()
    cases: dict[str, Packet] = {
        "FECN": conn.packet(Op.WRITE_ONLY, b"x", reth=conn.reth(0, 1), fecn=True),
        "out of order": conn.packet(
            Op.WRITE_ONLY, b"x", reth=conn.reth(0, 1), path=marked, psn=conn.psn + 9
        ),
    }
    for what, packet in cases.items():
        wire.give(packet)
        assert len(await notifications(conn)) == 1, what
    conn = await wire.connect()
    conn.post(write_wqe(conn, 10, wr_id=1))
    conn.post(read_wqe(conn, 10, 0x100, wr_id=2))
    await take(conn, 2)
    wire.give(conn.packet(Op.ACK, psn=FIRST, aeth=Aeth(0x1F, 1), path=marked))
    assert len(await notifications(conn)) == 1
    respond(conn, Op.READ_RESPONSE_ONLY, FIRST + 1, bytes(10), path=marked)
    assert len(await notifications(conn)) == 1
    for number in (1, 2):
        await conn.completion(wr_id=number, status=S.SUCCESS)
    silent: dict[str, Packet] = {
        "no such queue pair": conn.packet(
            Op.WRITE_ONLY, b"x", reth=conn.reth(0, 1), path=marked, dest_qp=99
        ),
        "P_Key": conn.packet(Op.WRITE_ONLY, b"x", reth=conn.reth(0, 1), path=marked, p_key=0x1234),
        "CNP": conn.packet(CNP, bytes(16), psn=0, becn=True, path=marked),
    }
    for what, packet in silent.items():
        wire.give(packet)
        assert await notifications(conn) == [], what


@cocotb.test()
@covers("ROCE-223")
async def data_is_marked_ect_where_that_is_on(dut: Any) -> None:
    """Requests and READ responses carry ECT(0) beside the DSCP of the connection."""
    wire = await Wire.start(dut)
    for ecn in (0, 1):
        configure(wire, ecn=ecn)
        conn = await wire.connect(traffic_class=26 << 2)
        conn.post(write_wqe(conn, 600))
        conn.post(read_wqe(conn, 10))
        conn.read(0, 600)
        sent = await rest(conn)
        assert len(sent) == 7
        for packet in sent:
            assert packet.path.traffic_class == 26 << 2 | (ECT0 if ecn else 0), str(packet)


@cocotb.test()
@covers("ROCE-225")
async def a_notification_changes_nothing_but_the_rate(dut: Any) -> None:
    """CNPs whose PSN is that of outstanding, next, expected and old packets; with DCQCN or without.

    Nothing completes, is repeated, acknowledged or counted as received in sequence; the next
    numbers are those that were due.
    """
    wire = await Wire.start(dut)
    for dcqcn in (0, 1):
        configure(wire, dcqcn=dcqcn)
        before = await wire.driver.counter(Stat.RX_CNPS)
        conn = await wire.connect()
        conn.post(write_wqe(conn, 600, wr_id=1))
        conn.post(read_wqe(conn, 300, 0x100, wr_id=2))
        await take(conn, 4)
        for psn in (0, FIRST, FIRST + 2, FIRST + 3, FIRST + 5, conn.psn, conn.psn + 1, 0xFFFFFF):
            wire.give(conn.packet(CNP, bytes(16), psn=psn, becn=True, migrated=False))
        assert await rest(conn, 600) == []
        conn.no_completion()
        assert await conn.query() == conn.state
        assert await wire.driver.counter(Stat.RX_CNPS) == before + 8
        ack(conn, FIRST + 2)
        await conn.completion(wr_id=1, status=S.SUCCESS)
        respond_read(conn, FIRST + 3, bytes(range(150)) * 2)
        await conn.completion(wr_id=2, status=S.SUCCESS)
        conn.post(write_wqe(conn, 10, wr_id=3))
        assert psns(await take(conn, 1)) == [FIRST + 5]
        ack(conn, FIRST + 5)
        await conn.completion(wr_id=3, status=S.SUCCESS)
        await conn.alive()
