"""Turns what consumers post into the messages that must appear on the wire."""

from __future__ import annotations

from pyuvm import uvm_subscriber

from driver_model.ndkpi import OpFlag
from driver_model.out_of_band import OutOfBandEndpoint
from spec.layouts import WrOp as DeviceOp
from tb.model.headers import Path
from tb.model.qp import QpConfig
from tb.model.verbs import SendWork, Sge, WrOp
from tb.nic.lane import Lane
from tb.nic.moves import Move, Read, Send, Write
from tb.uvm.flow import Flow, Posted
from tb.uvm.moves import AtomicMove, SendImm, WriteImm
from tb.uvm.raw import RawEnd


class Predictor(uvm_subscriber):
    """One `Flow` per lane, fed by both consumers."""

    def build_phase(self) -> None:
        """Phase: no lanes yet."""
        self.flows: dict[str, Flow] = {}
        self.requests: dict[tuple[str, int], Flow] = {}
        self.responses: dict[tuple[str, int], Flow] = {}

    def add(
        self,
        lane: Lane,
        here: OutOfBandEndpoint,
        there: OutOfBandEndpoint,
        pmtu: int,
        vlan: int = 0,
    ) -> None:
        """A lane begins: from here its requests go there, its responses come back."""
        config = QpConfig(
            qpn=here.qpn,
            dest_qpn=there.qpn,
            path=path_of(here, there, vlan),
            pmtu=pmtu,
            sq_psn=here.psn,
            rq_psn=there.psn,
            real_credits=lane.there.credits,
        )
        flow = Flow(lane.name, config, reads=min(here.outbound_reads, there.inbound_reads))
        out, back = ("ab", "ba") if lane.here.name == "a" else ("ba", "ab")
        self.flows[lane.name] = flow
        if isinstance(lane.qp, RawEnd):
            lane.qp.watchers.append(flow.drains)
        self.requests[out, there.qpn] = flow
        self.responses[back, here.qpn] = flow

    def write(self, move: Move) -> None:
        """A consumer has posted."""
        posted = posted_of(move)
        if posted is not None:
            self.flows[move.lane.name].post(posted)


def posted_of(move: Move) -> Posted | None:
    """What goes over the wire for a move, or None for what stays in the adapter."""
    fence = bool(move.flags & OpFlag.READ_FENCE)
    sges = (Sge(0, move.size, 0),)
    if isinstance(move, Send):
        work = SendWork(
            WrOp.SEND,
            sges=sges,
            imm=immediate(move.imm) if isinstance(move, SendImm) else None,
            solicited=bool(move.flags & OpFlag.SEND_AND_SOLICIT_EVENT),
            invalidate=move.invalidate or None,
        )
        return Posted(move.work.name, work, move.received.data, tuple(move.into), fence)
    if isinstance(move, Write):
        assert move.to is not None
        work = SendWork(
            WrOp.WRITE,
            sges=sges,
            remote_address=move.to.address,
            remote_key=move.to.region.token,
            imm=immediate(move.imm) if isinstance(move, WriteImm) else None,
        )
        return Posted(move.work.name, work, move.work.data, (move.to,), fence)
    if isinstance(move, Read):
        assert move.source is not None
        source = move.source
        work = SendWork(
            WrOp.READ,
            sges=sges,
            remote_address=source.address,
            remote_key=source.region.token,
        )
        return Posted(move.work.name, work, move.work.data, (), fence)
    if isinstance(move, AtomicMove):
        assert move.target is not None
        work = SendWork(
            WrOp.FETCH_ADD if move.op is DeviceOp.FETCH_ADD else WrOp.CMP_SWAP,
            sges=sges,
            remote_address=move.target.address,
            remote_key=move.target.region.token,
            swap_or_add=move.operand,
            compare=move.compare,
        )
        return Posted(move.work.name, work, move.work.data, (), fence)
    return None


def immediate(value: int) -> int:
    """The number on the wire: queue entries hold its first byte lowest."""
    return int.from_bytes(value.to_bytes(4, "little"), "big")


def path_of(here: OutOfBandEndpoint, there: OutOfBandEndpoint, vlan: int) -> Path:
    """The addresses of a connection."""
    return Path(
        src_mac=here.mac,
        dst_mac=there.mac,
        src_ip=ip_of(here.gid),
        dst_ip=ip_of(there.gid),
        vlan=vlan or None,
    )


def ip_of(gid: bytes) -> bytes:
    """The address that a GID stands for: four bytes when it is an IPv4 one."""
    mapped = bytes(10) + b"\xff\xff"
    return gid[12:] if gid[:12] == mapped else gid
