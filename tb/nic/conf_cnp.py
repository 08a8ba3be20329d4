"""The shape of a congestion notification."""

from __future__ import annotations

from typing import Any

import cocotb

from tb.conformance import covers
from tb.model.headers import Bth
from tb.model.opcodes import CNP, Op
from tb.nic.wire import HERE, QUIET, THERE, Wire, path

MARKED = 3


@cocotb.test()
@covers("ROCE-047", "ROCE-224")
async def shape_of_a_cnp(dut: Any) -> None:
    wire = await Wire.start(dut)
    for gid, tag in ((0, None), (1, None), (0, 0x2005)):
        more = {} if tag is None else {"vlan_valid": 1, "vlan": tag}
        conn = await wire.connect(gid=gid, **more)
        start = len(wire.frames)
        for traffic in (0, 1, 2):  # not marked
            conn.write(0, b"plain", path=path(gid, traffic_class=traffic))
            await conn.ack()
        await wire.cycles(QUIET)
        assert not wire.cnps
        conn.write(0, b"marked", path=path(gid, traffic_class=MARKED))
        await conn.ack()
        await wire.until(lambda: wire.cnps, "a CNP")
        cnp = wire.cnps.pop()
        frame = next(f for f in wire.frames[start:] if f[-32:-4].endswith(bytes(16)))
        assert cnp.bth == Bth(CNP, conn.peer_qpn, becn=True, migrated=False)
        assert cnp.payload == bytes(16)
        assert cnp.path.vlan is None if tag is None else cnp.path.vlan & 0xFFF == tag & 0xFFF
        assert len(frame) == (74, 94)[gid] + (0 if tag is None else 4)
        source, dest = HERE.gids[gid], THERE.gids[gid]
        if gid == 0:
            source, dest = source[12:], dest[12:]
        assert (cnp.path.src_ip, cnp.path.dst_ip) == (source, dest)
        assert (cnp.path.src_mac, cnp.path.dst_mac) == (HERE.mac, THERE.mac)
        # It is no response: the sequence goes on as if it had not been.
        conn.write(0, b"plain")
        await conn.ack()
        assert conn.wire.packets[conn.peer_qpn] == type(conn.waiting)()
        conn.give(Op.WRITE_ONLY, b"x", psn=conn.psn + 3, reth=conn.reth(0, 1))
        await conn.nak(0x60, conn.psn)
