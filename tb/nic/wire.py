"""One adapter and, at the other end of its wire, the test: a bench of the protocol's rules.

The test makes requests and responses by hand, from `tb.model` alone, and says what must come back.
Every frame that the adapter sends is decoded, its ICRC and the fields that never vary are checked,
and it waits for the test under the queue pair it is for. A test has many short cases: each takes a
queue pair of its own, so that a case that ends one disturbs no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cocotb.triggers import ClockCycles

from spec.codes import AdminStatus, QpState
from spec.layouts import Cqe, Eqe, FastRegWqe, RqWqe, Sge, SqWqe
from spec.registers import OptionsReg
from tb.axi_memory import Timing
from tb.host import SimBuffer, SimDevice
from tb.mac import Beats, MacRx, MacTx
from tb.model.headers import Aeth, AtomicEth, Bth, Packet, Path, Reth
from tb.model.opcodes import CNP, Op, part_of, read_response_op
from tb.model.packets import decode, encode, ipv4_checksum
from tb.nic.pair import PORTS
from tb.raw_driver import RawDriver, RawQp
from tb.streams import reset, start_clock

HERE, THERE = PORTS["a"], PORTS["b"]
CQN = 3
REGION = 1 << 16
WAIT_NS = 60_000
QUIET = 400
"""Cycles in which an answer that must not come would have come."""

UNDRIVEN = ("s_axil_awprot", "s_axil_arprot", "s_axi_db_arid", "s_axi_db_araddr")


def path(gid: int = 0, **fields: Any) -> Path:
    """From the test to the adapter, over IPv4 or (gid 1) IPv6."""
    src, dst = THERE.gids[gid], HERE.gids[gid]
    if gid == 0:
        src, dst = src[12:], dst[12:]
    return Path(src_mac=THERE.mac, dst_mac=HERE.mac, src_ip=src, dst_ip=dst, **fields)


def check_frame(frame: bytes) -> Packet:
    """What holds for everything that is sent; the packet in it."""
    packet = decode(frame)
    tag = 4 if frame[12:14] == b"\x81\x00" else 0
    kind, ip = frame[12 + tag : 14 + tag], frame[14 + tag :]
    if kind == b"\x08\x00":
        assert ip[0] == 0x45, "IPv4 with options"
        assert ip[6:8] == b"\x40\x00", f"fragment field {ip[6:8].hex()}"
        assert ip[9] == 17
        assert ipv4_checksum(ip[:20]) == 0, "IPv4 checksum"
        udp, total = ip[20:], int.from_bytes(ip[2:4], "big") - 20
    else:
        assert kind == b"\x86\xdd", f"EtherType {kind.hex()}"
        assert ip[0] >> 4 == 6
        assert ip[6] == 17
        udp, total = ip[40:], int.from_bytes(ip[4:6], "big")
    assert udp[2:4] == b"\x12\xb7", "UDP port"
    assert len(udp) == total == int.from_bytes(udp[4:6], "big"), "lengths"
    assert udp[6:8] == b"\0\0", "UDP checksum"
    assert packet.bth.version == 0
    assert packet.bth.reserved6 == packet.bth.reserved7 == 0, "reserved bits of the BTH"
    assert packet.pad == bytes(-len(packet.payload) % 4), "pad"
    if packet.aeth:
        assert not packet.aeth.syndrome & 0x80, "bit 7 of the AETH"
    return packet


class Wire:
    """The adapter, its host, and the test's end of the wire."""

    def __init__(self, dut: Any, timing: Timing | None, stall: float) -> None:
        self.dut = dut
        self.device = SimDevice(dut, timing=timing)
        self.driver = RawDriver(self.device, HERE)
        self.rx = MacRx(dut, "s_axis_rx", self.device.ticker)
        MacTx(dut, "m_axis_tx", self.device.ticker, self._arrive, stall=stall)
        self.frames: list[bytes] = []
        self.packets: dict[int, deque[Packet]] = {}  # by destination queue pair
        self.cnps: list[Packet] = []
        self.conns: list[Conn] = []
        self.completions: dict[int, deque[Cqe]] = {}  # by queue pair
        self.events: list[Eqe] = []
        self.on_packet: Callable[[Packet], None] = lambda packet: None

    @classmethod
    async def start(cls, dut: Any, *, timing: Timing | None = None, stall: float = 0.0) -> Wire:
        """Clock, reset, the adapter up with queues and one region of memory."""
        start_clock(dut)
        for name in UNDRIVEN:
            getattr(dut, name).value = 0
        wire = cls(dut, timing, stall)
        await reset(dut)
        driver = wire.driver
        await driver.start()
        wire.set_acks(1, 0)
        wire.eq = await driver.create_eq()
        wire.cq = await driver.create_cq(CQN)
        wire.region = wire.device.allocate(REGION)
        wire.token = await driver.register(5, wire.region)
        wire.address = wire.region.bus_address
        return wire

    eq: Any
    cq: Any
    region: SimBuffer
    token: int
    address: int

    @property
    def memory(self) -> memoryview:
        """The region's bytes."""
        return self.region.memory

    def _arrive(self, frame: bytes, _beats: Beats) -> None:
        packet = check_frame(frame)
        self.frames.append(frame)
        if packet.bth.opcode == CNP:  # comes beside the answers, in no order
            self.cnps.append(packet)
            return
        self.packets.setdefault(packet.bth.dest_qp, deque()).append(packet)
        self.on_packet(packet)

    def set_acks(self, every: int, delay: int) -> None:
        """How many requests an acknowledge may cover, and how many cycles it may wait."""
        options = OptionsReg(ack_every=every, ack_delay=delay)
        self.device.write32(OptionsReg.ADDRESS, options.to_int())

    def give(self, frame: bytes | Packet, delay: int = 0) -> None:
        """Put a frame on the wire to the adapter."""
        self.rx.send(encode(frame) if isinstance(frame, Packet) else frame, delay)

    async def cycles(self, count: int) -> None:
        """Let time pass."""
        await ClockCycles(self.dut.clk, count)

    def poll(self) -> None:
        """Take completions and events that are there."""
        while (done := self.cq.poll()) is not None:
            self.completions.setdefault(done.qpn, deque()).append(done)
            self.driver.consume(CQN, self.cq)
        while (event := self.eq.poll()) is not None:
            self.events.append(event)

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something that must come."""
        try:
            return await self.driver.until(lambda: condition() or None, WAIT_NS)
        except TimeoutError:
            raise AssertionError(f"{what} did not come") from None

    async def connect(self, **knobs: Any) -> Conn:
        """A fresh queue pair of the adapter, connected to the test; see `Conn`."""
        number = 8 + len(self.conns)
        conn = Conn(self, number, **knobs)
        self.conns.append(conn)
        await conn.open()
        return conn

    async def works(self) -> None:
        """The adapter still serves a fresh queue pair."""
        conn = await self.connect()
        data = bytes(range(100, 200))
        conn.write(0x8000, data)
        await conn.ack(msn=1)
        assert self.memory[0x8000:0x8064] == data


class Conn:
    """A connection: a queue pair of the adapter, and the test as its peer."""

    def __init__(
        self,
        wire: Wire,
        number: int,
        *,
        psn: int = 0x200,
        sq_psn: int = 0x100,
        mtu: int = 1,
        gid: int = 0,
        state: QpState = QpState.RTS,
        create: dict[str, Any] | None = None,
        **attributes: Any,
    ) -> None:
        self.wire, self.number, self.gid = wire, number, gid
        self.psn = psn  # of the next request to the adapter
        self.pmtu = 128 << mtu
        self.peer_qpn = 0xA50000 + number
        self.state = state
        self._create = create or {}
        self._attributes = {"gid": gid, "sq_psn": sq_psn, "rq_psn": psn, "mtu": mtu, **attributes}
        self.qp: RawQp

    async def open(self) -> None:
        """Create and connect the queue pair."""
        driver = self.wire.driver
        shape = {"sq_log": 5, "rq_log": 5, **self._create}
        self.qp = await driver.create_qp(self.number, CQN, **shape)
        if self.state is not QpState.RESET:
            await self.connect()

    async def connect(self) -> None:
        """From RESET as far as the state that was asked for."""
        await self.wire.driver.connect(
            self.qp, THERE, self.peer_qpn, until=self.state, **self._attributes
        )

    # ------------------------------------------------------------ requests by hand

    def packet(self, op: int, payload: bytes = b"", **fields: Any) -> Packet:
        """A packet for this queue pair with the PSN that is due; fields of BTH and of Packet."""
        bth = {name: fields.pop(name) for name in list(fields) if name in _BTH}
        head = Bth(**{"opcode": op, "dest_qp": self.number, "psn": self.psn, **bth})
        return Packet(head, fields.pop("path", path(self.gid)), payload, **fields)

    def give(self, op: int, payload: bytes = b"", **fields: Any) -> Packet:
        """Send a packet; the PSN that is due moves on if this one had it."""
        packet = self.packet(op, payload, **fields)
        self.wire.give(packet)
        if packet.bth.psn == self.psn:
            self.psn = self.psn + self.count(packet) & 0xFFFFFF
        return packet

    def count(self, packet: Packet) -> int:
        """PSNs that a request takes."""
        if packet.bth.opcode == Op.READ_REQUEST and packet.reth:
            return max(1, -(-packet.reth.length // self.pmtu))
        return 1

    def reth(self, at: int, length: int, key: int | None = None) -> Reth:
        """Remote address: an offset in the region."""
        return Reth(self.wire.address + at, self.wire.token if key is None else key, length)

    def write(self, at: int, data: bytes, *, key: int | None = None, **fields: Any) -> Packet:
        """RDMA WRITE of one packet, which asks for an acknowledge."""
        fields = {"ack_req": True, "reth": self.reth(at, len(data), key), **fields}
        op = Op.WRITE_ONLY_IMM if fields.get("imm") is not None else Op.WRITE_ONLY
        return self.give(op, data, **fields)

    def read(self, at: int, length: int, *, key: int | None = None, **fields: Any) -> Packet:
        """READ request."""
        fields = {"ack_req": True, "reth": self.reth(at, length, key), **fields}
        return self.give(Op.READ_REQUEST, **fields)

    def send(self, data: bytes = b"", **fields: Any) -> Packet:
        """SEND of one packet, which asks for an acknowledge."""
        return self.give(fields.pop("op", Op.SEND_ONLY), data, **{"ack_req": True, **fields})

    def atomic(self, op: Op, at: int, value: int, compare: int = 0, **fields: Any) -> Packet:
        """CmpSwap or FetchAdd on eight bytes of the region, or under another key."""
        key = fields.pop("key", self.wire.token)
        header = AtomicEth(self.wire.address + at, key, value, compare)
        return self.give(op, **{"ack_req": True, "atomic_eth": header, **fields})

    # ------------------------------------------------------------ what comes back

    @property
    def waiting(self) -> deque[Packet]:
        """Packets that came for this connection."""
        return self.wire.packets.setdefault(self.peer_qpn, deque())

    async def next(self, what: str = "a packet") -> Packet:
        """The next packet from the adapter."""
        await self.wire.until(lambda: bool(self.waiting), f"{what} for queue pair {self.number}")
        return self.waiting.popleft()

    async def expect(self, op: int, psn: int, payload: bytes = b"", **headers: Any) -> Packet:
        """The next packet, which must be this one; `syndrome` and `msn` as far as given."""
        packet = await self.next(Op(op).name)
        got = (packet.bth.opcode, packet.bth.psn)
        assert got == (op, psn & 0xFFFFFF), f"{packet}, not {Op(op).name} psn 0x{psn:06x}"
        assert packet.payload == payload, f"{packet}: wrong payload"
        for name, value in headers.items():
            assert packet.aeth is not None, f"{packet}: no AETH"
            assert getattr(packet.aeth, name) == value, f"{packet}, not {name} {value:#x}"
        return packet

    async def data(self, psn: int, data: bytes, *, msn: int | None = None) -> None:
        """The whole answer to a READ: its parts, PSNs, AETHs and bytes."""
        count = max(1, -(-len(data) // self.pmtu))
        for n in range(count):
            op = read_response_op(part_of(n, count))
            piece = data[n * self.pmtu : (n + 1) * self.pmtu]
            middle = op == Op.READ_RESPONSE_MIDDLE
            packet = await self.expect(op, psn + n, piece)
            assert (packet.aeth is None) == middle, f"{packet}: AETH"
            if packet.aeth:
                assert packet.aeth.syndrome < 0x20, f"{packet} is no ACK"
                assert msn in (None, packet.aeth.msn), f"{packet}: MSN is not {msn}"

    async def ack(self, psn: int | None = None, msn: int | None = None) -> Packet:
        """An acknowledge of everything so far."""
        psn = self.psn - 1 if psn is None else psn
        packet = await self.expect(Op.ACK, psn, **({} if msn is None else {"msn": msn}))
        assert packet.aeth is not None
        assert packet.aeth.syndrome < 0x20, f"{packet} is no ACK"
        return packet

    async def nak(self, syndrome: int, psn: int, **more: Any) -> Packet:
        """A NAK, and nothing behind it."""
        packet = await self.expect(Op.ACK, psn, syndrome=syndrome, **more)
        await self.quiet()
        return packet

    async def quiet(self, cycles: int = QUIET) -> None:
        """Nothing comes."""
        await self.wire.cycles(cycles)
        assert not self.waiting, f"came although nothing should: {self.waiting[0]}"

    async def dead(self) -> None:
        """The queue pair is in the error state."""
        assert await self.query() == QpState.ERR

    async def alive(self) -> None:
        """The queue pair serves on: a WRITE with the PSN that is due is acknowledged."""
        assert await self.query() == self.state
        self.write(0xF000, b"alive")
        await self.ack()

    async def query(self) -> QpState:
        """The state it is in."""
        return await self.wire.driver.query_state(self.number)

    # ------------------------------------------------------------ the host's side

    def sge(self, at: int, length: int, token: int | None = None) -> Sge:
        """A piece of the region."""
        token = self.wire.token if token is None else token
        return Sge(addr=self.wire.address + at, length=length, token=token)

    def receive(self, *pieces: Sge, wr_id: int = 1) -> None:
        """Post a receive."""
        fields = {f"sge{n}": piece for n, piece in enumerate(pieces)}
        wqe = RqWqe(wr_id=wr_id, num_sge=len(pieces), **fields)  # type: ignore[arg-type]
        self.wire.driver.post_recv(self.qp, wqe)

    def post(self, wqe: SqWqe | FastRegWqe, more: bytes = b"") -> None:
        """Post a send."""
        self.wire.driver.post_send(self.qp, wqe, more)

    async def rung(self) -> None:
        """All doorbells so far have reached the adapter."""
        await self.wire.until(lambda: self.wire.device.doorbells.idle, "an answer to a doorbell")
        await self.wire.cycles(20)

    async def completion(self, **fields: Any) -> Cqe:
        """The next completion, with these fields."""

        def there() -> bool:
            self.wire.poll()
            return bool(self.wire.completions.get(self.number))

        await self.wire.until(there, f"a completion of queue pair {self.number}")
        done = self.wire.completions[self.number].popleft()
        for name, value in fields.items():
            got = getattr(done, name)
            assert got == value, f"{name} is {got}, not {value}: {done}"
        return done

    def no_completion(self) -> None:
        """None is there."""
        self.wire.poll()
        left = self.wire.completions.get(self.number)
        assert not left, f"completed although it should not: {left[0]}"

    async def event(self, kind: int) -> Eqe:
        """An event about this queue pair of this type, wherever it stands among others."""

        def found() -> Eqe | None:
            self.wire.poll()
            for event in self.wire.events:
                if (event.number, event.event_type) == (self.number, kind):
                    self.wire.events.remove(event)
                    return event
            return None

        event: Eqe = await self.wire.until(found, f"event {kind} of queue pair {self.number}")
        return event

    async def modify(self, state: QpState) -> None:
        """A state change without attributes, which must succeed."""
        answer = await self.wire.driver.modify(self.number, state)
        assert answer.status == AdminStatus.OK


_BTH = set(Bth.__dataclass_fields__)


def answer(conn: Conn, op: int, psn: int, payload: bytes = b"", **fields: Any) -> Packet:
    """A response by hand to a request of the adapter."""
    aeth = Aeth(fields.pop("syndrome", 0x1F), fields.pop("msn", 0))
    shape = replace(conn.packet(op, payload, psn=psn, **fields), aeth=aeth)
    conn.wire.give(shape)
    return shape
