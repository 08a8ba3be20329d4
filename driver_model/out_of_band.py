"""Test hook: queue pairs are connected with facts that somebody carried by other means.

It stands in for the connection manager, and is not NDKPI.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.codes import Mtu, QpState
from spec.layouts import AdminModifyQp, AdminOp, QpAttr

UDP_SPORT_BASE = 0xC000


@dataclass(frozen=True, slots=True)
class OutOfBandEndpoint:
    """What one side must know of the other."""

    qpn: int
    psn: int
    gid: bytes
    mac: bytes
    gid_index: int = 0
    inbound_reads: int = 16
    outbound_reads: int = 16
    uses_srq: bool = False
    path_mtu: Mtu = Mtu.BYTES_4096  # the largest that its port carries


@dataclass(frozen=True, slots=True)
class OutOfBandPath:
    """What both sides agree on; of the path MTU, both take what both ports carry."""

    path_mtu: Mtu = Mtu.BYTES_4096
    timeout: int = 14
    retry_count: int = 7
    rnr_retry: int = 6
    min_rnr_timer: int = 12
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    vlan: int | None = None


def to_rtr(local: OutOfBandEndpoint, peer: OutOfBandEndpoint, path: OutOfBandPath) -> AdminModifyQp:
    """The command that makes a QP ready to receive from its peer."""
    return AdminModifyQp(
        opcode=AdminOp.MODIFY_QP,
        number=local.qpn,
        state=QpState.RTR,
        mask=QpAttr.STATE
        | QpAttr.AV
        | QpAttr.PATH_MTU
        | QpAttr.DEST_QPN
        | QpAttr.RQ_PSN
        | QpAttr.MAX_DEST_RD_ATOMIC
        | QpAttr.MIN_RNR_TIMER,
        dest_qpn=peer.qpn,
        dest_gid=int.from_bytes(peer.gid, "little"),
        dest_mac=int.from_bytes(peer.mac, "little"),
        sgid_index=local.gid_index,
        vlan_valid=int(path.vlan is not None),
        vlan=path.vlan or 0,
        traffic_class=path.traffic_class,
        hop_limit=path.hop_limit,
        flow_label=path.flow_label,
        udp_sport=UDP_SPORT_BASE | (local.qpn ^ peer.qpn) & 0x3FFF,
        path_mtu=min(path.path_mtu, local.path_mtu, peer.path_mtu),
        rq_psn=peer.psn,
        max_dest_rd_atomic=min(local.inbound_reads, peer.outbound_reads),
        min_rnr_timer=path.min_rnr_timer,
    )


def to_rts(local: OutOfBandEndpoint, peer: OutOfBandEndpoint, path: OutOfBandPath) -> AdminModifyQp:
    """The command that lets a QP send; who has an SRQ may be without receives for any time."""
    return AdminModifyQp(
        opcode=AdminOp.MODIFY_QP,
        number=local.qpn,
        state=QpState.RTS,
        mask=QpAttr.STATE
        | QpAttr.TIMEOUT
        | QpAttr.RETRY_CNT
        | QpAttr.RNR_RETRY
        | QpAttr.SQ_PSN
        | QpAttr.MAX_RD_ATOMIC,
        sq_psn=local.psn,
        timeout=path.timeout,
        retry_cnt=path.retry_count,
        rnr_retry=7 if peer.uses_srq else path.rnr_retry,
        max_rd_atomic=min(local.outbound_reads, peer.inbound_reads),
    )
