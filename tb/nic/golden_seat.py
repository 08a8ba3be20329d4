"""An adapter in the seat of a recorded host: same addresses, numbers, keys, PSNs and memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from spec import codes
from spec.codes import Mtu, QpState
from spec.layouts import (
    AdminKey,
    AdminOp,
    Cqe,
    FastRegWqe,
    KeyKind,
    RqWqe,
    Sge,
    SqWqe,
    WqeFlag,
    WrOp,
)
from tb.host import SimBuffer
from tb.model.headers import Path
from tb.model.memory import Region
from tb.model.verbs import Access, RecvWork, SendWork
from tb.model.verbs import Sge as ModelSge
from tb.model.verbs import WrOp as ModelOp
from tb.nic.golden_station import Station
from tb.nic.solo import Solo
from tb.raw_driver import Port, RawQp, Ring

HEAD_SGES = 2
BLOCK_SGES = 4
OPS = {
    ModelOp.SEND: WrOp.SEND,
    ModelOp.WRITE: WrOp.WRITE,
    ModelOp.READ: WrOp.READ,
    ModelOp.CMP_SWAP: WrOp.CMP_SWAP,
    ModelOp.FETCH_ADD: WrOp.FETCH_ADD,
}
Wqe = tuple[SqWqe, bytes]


def gid_of(address: bytes) -> bytes:
    """An address of the wire as a GID."""
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address


def port_of(path: Path) -> Port:
    """The port that sends with this path."""
    return Port(path.src_mac, [gid_of(path.src_ip)])


def _pieces(sges: tuple[ModelSge, ...]) -> list[Sge]:
    return [Sge(addr=s.address, length=s.length, token=s.key) for s in sges]


def _joined(sges: list[Sge]) -> bytes:
    return b"".join(sge.pack() for sge in sges)


def wqe_of(work: SendWork) -> Wqe:
    """A work request as send queue entry: its first block, and the others."""
    op = OPS[work.op]
    flags = WqeFlag(0)
    flags |= WqeFlag.SIGNALED if work.signaled else flags
    flags |= WqeFlag.SOLICITED if work.solicited else WqeFlag(0)
    flags |= WqeFlag.FENCE if work.fence else WqeFlag(0)
    imm = 0
    if work.imm is not None:
        op = WrOp(op + 1)
        imm = int.from_bytes(work.imm.to_bytes(4, "big"), "little")
    if work.invalidate is not None:
        op, imm = WrOp.SEND_INV, work.invalidate
    common = SqWqe(
        opcode=op, imm=imm, remote_addr=work.remote_address, rkey=work.remote_key,
        wr_id=work.wr_id, length=work.length,
    )  # fmt: skip
    if work.inline is not None:
        assert len(work.inline) <= 32
        data = int.from_bytes(work.inline, "little")
        return replace(common, flags=flags | WqeFlag.INLINE, blocks=1, data=data), b""
    sges = _pieces(work.sges)
    payload = _joined(sges)
    if op in (WrOp.CMP_SWAP, WrOp.FETCH_ADD):
        payload += work.swap_or_add.to_bytes(8, "little") + work.compare.to_bytes(8, "little")
        data = int.from_bytes(payload, "little")
        return replace(common, flags=flags, blocks=1, num_sge=1, length=8, data=data), b""
    blocks = 1 + max(0, -(-(len(sges) - HEAD_SGES) // BLOCK_SGES))
    payload = payload.ljust(32 + 64 * (blocks - 1), b"\0")
    head = replace(
        common, flags=flags, blocks=blocks, num_sge=len(sges),
        data=int.from_bytes(payload[:32], "little"),
    )  # fmt: skip
    return head, payload[32:]


def receive_of(work: RecvWork) -> RqWqe:
    """A receive as entry of the queue."""
    sges = _pieces(work.sges)
    sges += [Sge()] * (3 - len(sges))
    return RqWqe(wr_id=work.wr_id, num_sge=len(work.sges), sge0=sges[0], sge1=sges[1], sge2=sges[2])


def rights(access: Access) -> codes.Access:
    """Rights that the adapter knows: neither FLUSH nor, so far, windows."""
    return codes.Access(int(access) & 0xF)


@dataclass
class Mounted:
    """A region of the station and the memory it lies in."""

    region: Region
    buffer: SimBuffer


class Seat:
    """The adapter in the place of a station's host."""

    def __init__(self, solo: Solo, host: Station) -> None:
        self.solo, self.host, self.driver = solo, host, solo.driver
        self.cq: Ring
        self.memory: list[Mounted] = []
        self.qps: dict[int, RawQp] = {}
        self.sends: list[Cqe] = []
        self.receives: list[Cqe] = []
        self.others: list[Cqe] = []

    async def take(self, receives: bool = True, **attributes: int) -> None:
        """Create and connect everything; attributes replace those of the recording."""
        await self.driver.create_eq()
        self.cq = await self.driver.create_cq(3)
        for region in self.host.regions:
            await self._mount(region)
        for qpn, model in self.host.qps.items():
            config = model.config
            qp = self.qps[qpn] = await self.driver.create_qp(qpn, 3)
            path = config.path
            peer = Port(path.dst_mac, [gid_of(path.dst_ip)])
            fields: dict[str, Any] = {
                "access": rights(config.access), "timeout": config.timeout,
                "retry_cnt": config.retry_cnt, "rnr_retry": config.rnr_retry,
                "min_rnr_timer": config.min_rnr_timer, "traffic_class": path.traffic_class,
                "hop_limit": path.hop_limit, "udp_sport": path.sport,
                "max_rd_atomic": config.max_rd_atomic,
                "max_dest_rd_atomic": config.max_dest_rd_atomic,
            }  # fmt: skip
            await self.driver.connect(
                qp, peer, config.dest_qpn, sq_psn=config.sq_psn, rq_psn=config.rq_psn,
                mtu=Mtu(config.pmtu.bit_length() - 8), **{**fields, **attributes},
            )  # fmt: skip
            if receives:
                self.post_receives(qpn)

    async def _mount(self, region: Region) -> None:
        buffer = self.driver.device.allocate(max(region.length, 64))
        buffer.memory[: region.length] = bytes(region.data)
        self.memory.append(Mounted(region, buffer))
        await self.driver.register(
            region.key >> 8, buffer, key=region.key & 0xFF, base=region.address,
            access=rights(region.access), length=region.length,
        )  # fmt: skip

    def post_receives(self, qpn: int) -> None:
        """What the recorded host posted to its receive queue."""
        for number, work in enumerate(self.host.qps[qpn].rq.works):
            self.driver.post_recv(self.qps[qpn], receive_of(replace(work, wr_id=number)))

    def post(self, qpn: int, work: SendWork) -> None:
        """Post to a send queue."""
        wqe, more = wqe_of(work)
        self.driver.post_send(self.qps[qpn], wqe, more)

    async def open_again(self, qpn: int, key: int, access: Access) -> None:
        """A fast-register region over the first memory, in place of a window of the recording."""
        place = self.memory[0]
        index, byte = key >> 8, key & 0xFF
        await self.driver.must(
            AdminKey(
                opcode=AdminOp.REGISTER_KEY, number=index, key=byte ^ 0xFF, kind=KeyKind.FAST_REG,
                pd=1, length=place.region.length,
            )
        )  # fmt: skip
        wqe = FastRegWqe(
            opcode=WrOp.FAST_REG, flags=WqeFlag.SIGNALED, blocks=1, access=rights(access),
            page_shift=12, direct=1, token=key, base=place.region.address,
            pages=place.buffer.bus_address, length=place.region.length,
        )  # fmt: skip
        qp = self.qps[qpn]
        self.driver.post_send(qp, wqe)
        done = await self.driver.until(self.cq.poll)
        assert done.status == 0, f"FAST_REG ends with {done}"

    def poll(self) -> None:
        """Sort the completions that are there."""
        while (entry := self.cq.poll()) is not None:
            (self.receives if entry.opcode >= 8 else self.sends).append(entry)

    def content(self) -> list[tuple[Region, bytes]]:
        """Each region and what its memory holds now."""
        return [(m.region, bytes(m.buffer.memory[: m.region.length])) for m in self.memory]

    def poke(self, address: int, data: bytes) -> None:
        """The host itself writes to its memory."""
        for place in self.memory:
            at = address - place.region.address
            if 0 <= at < place.region.length:
                place.buffer.memory[at : at + len(data)] = data

    async def state(self, qpn: int) -> QpState:
        """State of a queue pair."""
        return await self.driver.query_state(qpn)
