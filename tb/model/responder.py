"""The responder half of an RC queue pair: executes requests in order and answers for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tb.model.checks import Refused, check_length, check_opcode, flush_access
from tb.model.headers import Aeth, Drop, Nak, Packet
from tb.model.memory import ProtectionError, Span
from tb.model.opcodes import Kind, Op, Part, Shape, part_of, read_response_op
from tb.model.verbs import (
    Access,
    Completion,
    EventKind,
    RecvWork,
    State,
    Status,
    WcOp,
    packet_count,
    psn_add,
    psn_diff,
)

if TYPE_CHECKING:
    from tb.model.qp import QueuePair


@dataclass(slots=True)
class Remembered:
    """A request whose answer may have to be given again."""

    kind: Kind
    first: int
    last: int
    address: int = 0
    length: int = 0
    key: int = 0
    original: int = 0


class Responder:
    """Expected PSN, message count, and what is in progress."""

    def __init__(self, qp: QueuePair) -> None:
        self.qp = qp
        self.epsn = qp.config.rq_psn
        self.msn = 0
        self.nak_sent = False
        self.ack_due: int | None = None
        self._running: Kind | None = None
        self._work: RecvWork | None = None
        self._received = 0
        self._write: Span | None = None
        self._write_length = 0
        self._received_write = 0
        self._remembered: deque[Remembered] = deque(maxlen=qp.config.max_dest_rd_atomic)
        self._now = 0
        self._execute: dict[Kind, Callable[[Packet, Shape], list[Packet]]] = {
            Kind.SEND: self._do_send,
            Kind.WRITE: self._do_write,
            Kind.READ: self._do_read,
            Kind.ATOMIC: self._do_atomic,
            Kind.ATOMIC_WRITE: self._do_atomic_write,
            Kind.FLUSH: self._do_flush,
        }

    # ------------------------------------------------------------ entry points

    def receive(self, packet: Packet, now: int) -> list[Packet]:
        """Act on a request; the packets to send."""
        self._now = now
        ahead = psn_diff(packet.bth.psn, self.epsn)
        if ahead > 0:
            return self._out_of_order()
        if ahead < 0:
            return self._duplicate(packet)
        self.nak_sent = False
        if self.qp.state is State.RTR and self.epsn == self.qp.config.rq_psn:
            self.qp.raise_event(EventKind.COMM_EST)
        try:
            shape = check_opcode(packet, self._running, self.qp.config)
            if shape.takes_receive and not self.qp.rq.works:
                return self._not_ready(packet)
            if shape.takes_receive:
                self._work, self._received = self.qp.rq.works.pop(0), 0
            room = self._work.length - self._received if self._work else 0
            left = self._write_length - self._received_write
            check_length(packet, shape, self.qp.config.pmtu, room, left)
            return self._execute[shape.kind](packet, shape)
        except Refused as refusal:
            return self._refuse(packet, refusal)

    def advance(self, now: int) -> list[Packet]:
        """Send an acknowledge that was held back long enough."""
        if self.ack_due is None or now < self.ack_due:
            return []
        return self._flush_ack()

    def flush(self) -> None:
        """The queue pair is in error: a receive in use goes back to its consumer."""
        if self._work:
            self._complete(Status.WR_FLUSH_ERR)
        self.ack_due = None

    # ------------------------------------------------------------ answers

    def _aeth(self, op: int, psn: int, syndrome: int | None = None, **fields: object) -> Packet:
        code = self.qp.credit_syndrome if syndrome is None else syndrome
        return self.qp.packet(op, psn, aeth=Aeth(code, self.msn), **fields)

    def _ack(self, psn: int) -> Packet:
        return self._aeth(Op.ACK, psn)

    def _flush_ack(self) -> list[Packet]:
        if self.ack_due is None:
            return []
        self.ack_due = None
        return [self._ack(self.qp.previous_epsn)]

    def _nak(self, psn: int, syndrome: int) -> list[Packet]:
        return [*self._flush_ack(), self._aeth(Op.ACK, psn, syndrome)]

    def _acknowledge(self, packet: Packet) -> list[Packet]:
        if not packet.bth.ack_req:
            return []
        delay = self.qp.config.ack_delay_ns
        if delay:
            self.ack_due = self._now + delay if self.ack_due is None else self.ack_due
            return []
        return [self._ack(packet.bth.psn)]

    def _out_of_order(self) -> list[Packet]:
        if self.nak_sent:
            self.qp.drops[Drop.OUT_OF_ORDER] += 1
            return []
        self.nak_sent = True
        return self._nak(self.epsn, Nak.SEQUENCE)

    def _not_ready(self, packet: Packet) -> list[Packet]:
        self.nak_sent = True
        return self._nak(packet.bth.psn, 0x20 | self.qp.config.min_rnr_timer)

    def _refuse(self, packet: Packet, refusal: Refused) -> list[Packet]:
        out = self._nak(packet.bth.psn, refusal.nak)
        if self._work:
            self._complete(refusal.status)
        else:
            self.qp.raise_event(refusal.event)
        self.qp.fail()
        return out

    def _span(self, key: int, address: int, length: int | None, right: Access) -> Span:
        config = self.qp.config
        try:
            return self.qp.memory.remote(key, address, length, right, config.pd, config.qpn)
        except ProtectionError:
            access = EventKind.QP_ACCESS_ERR
            raise Refused(Nak.REMOTE_ACCESS, Status.REM_ACCESS_ERR, access) from None

    # ------------------------------------------------------------ execution

    def _do_send(self, packet: Packet, shape: Shape) -> list[Packet]:
        assert self._work
        pd = self.qp.rq.pd if self.qp.rq.shared else self.qp.config.pd
        try:
            self.qp.memory.scatter(self._work.sges, self._received, packet.payload, pd)
        except ProtectionError:
            raise Refused(Nak.REMOTE_OPERATION, Status.LOC_PROT_ERR) from None
        self._received += len(packet.payload)
        self._accept(1, shape)
        if not shape.part.ends:
            return self._acknowledge(packet)
        if packet.ieth is not None:
            config = self.qp.config
            if not self.qp.memory.invalidate(packet.ieth, config.pd, config.qpn):
                return self._refuse_invalidate(packet)
        self.msn = psn_add(self.msn, 1)
        self._complete(Status.SUCCESS, WcOp.RECV, packet)
        return self._acknowledge(packet)

    def _refuse_invalidate(self, packet: Packet) -> list[Packet]:
        """The data was delivered, so acknowledge; the message does not count."""
        out = [*self._flush_ack(), self._ack(packet.bth.psn)] if packet.bth.ack_req else []
        self._complete(Status.REM_INV_REQ_ERR)
        self.qp.fail()
        return out

    def _do_write(self, packet: Packet, shape: Shape) -> list[Packet]:
        if packet.reth:
            reth = packet.reth
            self._write, self._write_length, self._received_write = None, reth.length, 0
            if reth.length:
                self._write = self._span(reth.key, reth.va, reth.length, Access.REMOTE_WRITE)
        if self._write:
            self._write.write(self._received_write, packet.payload)
        self._received_write += len(packet.payload)
        self._accept(1, shape)
        if shape.part.ends:
            self.msn = psn_add(self.msn, 1)
            if self._work:
                self._received = self._received_write
                self._complete(Status.SUCCESS, WcOp.RECV_WRITE_IMM, packet)
        return self._acknowledge(packet)

    def _do_read(self, packet: Packet, shape: Shape) -> list[Packet]:
        assert packet.reth
        reth, psn = packet.reth, packet.bth.psn
        if reth.length:
            self._span(reth.key, reth.va, reth.length, Access.REMOTE_READ)
        count = packet_count(reth.length, self.qp.config.pmtu)
        out = self._flush_ack()
        self._accept(count, shape)
        self.msn = psn_add(self.msn, 1)
        last = psn_add(psn, count - 1)
        self._remember(Remembered(Kind.READ, psn, last, reth.va, reth.length, reth.key))
        return out + self._read_responses(packet)

    def _read_responses(self, packet: Packet) -> list[Packet]:
        assert packet.reth
        reth, pmtu = packet.reth, self.qp.config.pmtu
        data = b""
        if reth.length:
            data = self._span(reth.key, reth.va, reth.length, Access.REMOTE_READ).read()
        count = packet_count(reth.length, pmtu)
        out = []
        for index in range(count):
            part, psn = part_of(index, count), psn_add(packet.bth.psn, index)
            payload = data[index * pmtu : (index + 1) * pmtu]
            op = read_response_op(part)
            if part is Part.MIDDLE:
                out.append(self.qp.packet(op, psn, payload=payload))
            else:
                out.append(self._aeth(op, psn, payload=payload))
        return out

    def _do_atomic(self, packet: Packet, shape: Shape) -> list[Packet]:
        assert packet.atomic_eth
        atomic = packet.atomic_eth
        span = self._span(atomic.key, atomic.va, 8, Access.REMOTE_ATOMIC)
        original = int.from_bytes(span.read(), "little")
        new = original
        if packet.bth.opcode & 0x1F == Op.FETCH_ADD:
            new = (original + atomic.swap_or_add) % (1 << 64)
        elif original == atomic.compare:
            new = atomic.swap_or_add
        span.write(0, new.to_bytes(8, "little"))
        psn = packet.bth.psn
        self._remember(Remembered(Kind.ATOMIC, psn, psn, original=original))
        out = self._flush_ack()
        self._accept(1, shape)
        self.msn = psn_add(self.msn, 1)
        return [*out, self._aeth(Op.ATOMIC_ACK, psn, atomic_ack=original)]

    def _do_atomic_write(self, packet: Packet, shape: Shape) -> list[Packet]:
        assert packet.reth
        span = self._span(packet.reth.key, packet.reth.va, 8, Access.REMOTE_WRITE)
        span.write(0, packet.payload)
        return self._empty_answer(packet, shape)

    def _do_flush(self, packet: Packet, shape: Shape) -> list[Packet]:
        assert packet.feth
        assert packet.reth
        reth, right = packet.reth, flush_access(packet)
        if packet.feth.selectivity:
            self._span(reth.key, reth.va, None, right)
        else:
            self._span(reth.key, reth.va, reth.length, right)
        return self._empty_answer(packet, shape)

    def _empty_answer(self, packet: Packet, shape: Shape) -> list[Packet]:
        psn = packet.bth.psn
        self._remember(Remembered(shape.kind, psn, psn))
        out = self._flush_ack()
        self._accept(1, shape)
        self.msn = psn_add(self.msn, 1)
        return [*out, self._aeth(Op.READ_RESPONSE_ONLY, psn)]

    def _accept(self, packets: int, shape: Shape) -> None:
        self.epsn = psn_add(self.epsn, packets)
        self._running = None if shape.part.ends else shape.kind

    def _remember(self, entry: Remembered) -> None:
        self._remembered.append(entry)

    def _complete(self, status: Status, op: WcOp = WcOp.RECV, packet: Packet | None = None) -> None:
        assert self._work
        work, self._work = self._work, None
        good = packet if status is Status.SUCCESS else None
        self.qp.complete(
            Completion(
                work.wr_id,
                status,
                op,
                self.qp.config.qpn,
                byte_len=self._received if good else 0,
                imm=good.imm if good else None,
                invalidated=good.ieth if good else None,
                solicited=good.bth.solicited if good else True,
            )
        )

    # ------------------------------------------------------------ duplicates

    def _duplicate(self, packet: Packet) -> list[Packet]:
        shape = packet.shape
        if shape and shape.kind in (Kind.SEND, Kind.WRITE):
            if packet.bth.ack_req or self.qp.config.ack_all_duplicates:
                self.ack_due = None
                return [self._ack(self.qp.previous_epsn)]
            self.qp.drops[Drop.DUPLICATE] += 1
            return []
        known = [e for e in self._remembered if shape and self._matches(e, packet, shape)]
        if not known:
            self.qp.drops[Drop.STALE] += 1
            return []
        return self._flush_ack() + self._answer_again(known[0], packet)

    def _answer_again(self, entry: Remembered, packet: Packet) -> list[Packet]:
        psn = packet.bth.psn
        if entry.kind is Kind.ATOMIC:
            return [self._aeth(Op.ATOMIC_ACK, psn, atomic_ack=entry.original)]
        if entry.kind is not Kind.READ:
            return [self._aeth(Op.READ_RESPONSE_ONLY, psn)]
        try:
            return self._read_responses(packet)
        except Refused:  # the key, taken back since the first answer
            self.qp.drops[Drop.STALE] += 1
            return []

    def _matches(self, entry: Remembered, packet: Packet, shape: Shape) -> bool:
        psn = packet.bth.psn
        inside = psn_diff(psn, entry.first) >= 0 and psn_diff(psn, entry.last) <= 0
        if not inside or entry.kind is not shape.kind:
            return False
        if shape.kind is not Kind.READ:
            return True
        assert packet.reth
        reth = packet.reth
        skipped = psn_diff(psn, entry.first) * self.qp.config.pmtu
        end = entry.address + entry.length
        return (reth.key, reth.va, reth.va + reth.length) == (
            entry.key,
            entry.address + skipped,
            end,
        )
