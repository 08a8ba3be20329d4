"""The requester half of an RC queue pair: turns work into requests and retries until answered."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tb.model.credits import Credits
from tb.model.headers import AethType, Drop, Packet
from tb.model.memory import ProtectionError
from tb.model.message import Message, acceptable, request, rnr_ns, timeout_ns
from tb.model.opcodes import Kind, Part, part_of
from tb.model.verbs import (
    MAX_MESSAGE,
    MAX_OUTSTANDING,
    Completion,
    EventKind,
    SendWork,
    State,
    Status,
    WcOp,
    WrOp,
    packet_count,
    psn_add,
    psn_diff,
)

if TYPE_CHECKING:
    from tb.model.qp import QueuePair

RNR_INFINITE = 7
_NAK_STATUS = {
    0x61: Status.REM_INV_REQ_ERR,
    0x62: Status.REM_ACCESS_ERR,
    0x63: Status.REM_OP_ERR,
}


class Requester:
    """Work not started, messages not answered, and the timers that watch them."""

    def __init__(self, qp: QueuePair) -> None:
        self.qp = qp
        self.queue: deque[Message] = deque()
        self.outstanding: deque[Message] = deque()
        self.next_psn = qp.config.sq_psn  # of the next packet never sent before
        self.una_psn = self.next_psn
        self.send_psn = self.next_psn  # being sent; behind next_psn while going back
        self.retries = qp.config.retry_cnt
        self.rnr_retries = qp.config.rnr_retry
        self.timer: int | None = None
        self.rnr_until: int | None = None
        self.retransmitted = 0
        self.credits = Credits(honoured=qp.config.honour_credits)
        self._implied_nak_seen = False
        self._since_ack_req = 0
        self._drained = False
        self._now = 0

    # ------------------------------------------------------------ entry points

    def accept(self, work: SendWork) -> Message:
        """A message for the queue."""
        if work.op in (WrOp.CMP_SWAP, WrOp.FETCH_ADD, WrOp.FLUSH):
            return Message(work, 1)
        return Message(work, packet_count(work.length, self.qp.config.pmtu))

    def pump(self, now: int) -> list[Packet]:
        """Whatever may be sent now."""
        self._now = now
        out: list[Packet] = []
        if self.qp.state not in (State.RTS, State.SQD) or self.rnr_until is not None:
            return out
        while packet := self._next_packet():
            out.append(packet)
        if out and self.timer is None:
            self._restart_timer()
        if self.qp.state is State.SQD and not self.outstanding and not self._drained:
            self._drained = True
            self.qp.raise_event(EventKind.SQ_DRAINED)
        return out

    def receive(self, packet: Packet, now: int) -> list[Packet]:
        """Act on a response; the packets to send."""
        self._now = now
        psn, aeth, shape = packet.bth.psn, packet.aeth, packet.shape
        assert shape
        is_ack = aeth is not None and aeth.type is AethType.ACK
        if psn_diff(psn, self.next_psn) >= 0 or psn_diff(psn, self.una_psn) < 0:
            if aeth and is_ack and shape.kind is Kind.ACK and psn == psn_add(self.una_psn, -1):
                self.credits.told(aeth)
            return self._drop(Drop.GHOST) + self.pump(now)
        if aeth and (
            aeth.type is AethType.RESERVED or (aeth.type is AethType.NAK and aeth.value > 3)
        ):
            return self._drop(Drop.AETH)
        if aeth and is_ack:
            self.credits.told(aeth)
        if shape.kind is not Kind.ACK:
            self._data_response(packet)
        elif aeth and aeth.type is AethType.ACK:
            self._acknowledge(psn)
        elif aeth and aeth.type is AethType.RNR:
            self._not_ready(psn, aeth.value)
        elif aeth:
            self._nak(psn, aeth.syndrome)
        return self.pump(now)

    @property
    def deadline(self) -> int | None:
        """When `advance` has something to do."""
        return self.timer if self.rnr_until is None else self.rnr_until

    def advance(self, now: int) -> list[Packet]:
        """Time has passed; the packets to send."""
        self._now = now
        if self.rnr_until is not None:
            if now < self.rnr_until:
                return []
            self.rnr_until = self.timer = None
            return self.pump(now)
        if self.timer is None or now < self.timer:
            return []
        self.timer = None
        self._implied_nak_seen = False
        self._retry(self.una_psn)
        return self.pump(now)

    def flush(self) -> None:
        """The queue pair is in error."""
        self.stop()
        for queue in (self.outstanding, self.queue):
            while queue:
                self._complete(queue.popleft(), Status.WR_FLUSH_ERR)

    def stop(self) -> None:
        """No timer runs any more."""
        self.timer = self.rnr_until = None

    # ------------------------------------------------------------ sending

    def _next_packet(self) -> Packet | None:
        if self.send_psn != self.next_psn:
            message = next(m for m in self.outstanding if m.holds(self.send_psn))
            self.retransmitted += 1
        else:
            current = self._current()
            if current is None:
                return None
            message = current
            step = message.count if message.owes_data else 1
            limit = MAX_OUTSTANDING if message.owes_data else self.qp.config.window
            if psn_diff(self.next_psn, self.una_psn) + step > min(limit, MAX_OUTSTANDING):
                return None
        return self._send(message)

    def _current(self) -> Message | None:
        """The message whose packets go next: one half sent, or a new one."""
        if self.outstanding:
            last = self.outstanding[-1]
            if last.error is not None:
                return None
            if last.sent < last.count:
                return last
        return self._start()

    def _start(self) -> Message | None:
        """The next message, if it may begin; it joins the outstanding ones."""
        if not self.queue or self.qp.state is State.SQD:
            return None
        message, config = self.queue[0], self.qp.config
        waiting = sum(m.owes_data for m in self.outstanding)
        if message.work.fence and waiting:
            return None
        if message.owes_data and waiting >= config.max_rd_atomic > 0:
            return None
        if not self.credits.allow(message.work):
            return None
        self.credits.start(message.work)
        self.outstanding.append(self.queue.popleft())
        message.first = self.next_psn
        message.error = self._prepare(message)
        if message.error is not None:
            self._retire()
            return None
        return message

    def _prepare(self, message: Message) -> Status | None:
        work, config = message.work, self.qp.config
        if work.length > MAX_MESSAGE or message.count > MAX_OUTSTANDING:
            return Status.LOC_LEN_ERR
        if message.owes_data and config.max_rd_atomic == 0:
            return Status.LOC_QP_OP_ERR
        if work.op.gathers:
            try:
                gathered = self.qp.memory.gather(work.sges, config.pd)
            except ProtectionError:
                return Status.LOC_PROT_ERR
            message.data = gathered if work.inline is None else work.inline
        return None

    def _send(self, message: Message) -> Packet:
        index = psn_diff(self.send_psn, message.first)
        ask = self._ack_req(message, part_of(index, message.count))
        packet = request(self.qp, message, index, self.send_psn, ask)
        taken = message.count - index if message.owes_data else 1
        self.send_psn = psn_add(self.send_psn, taken)
        if psn_diff(self.send_psn, self.next_psn) > 0:
            self.next_psn = self.send_psn
        message.sent = max(message.sent, index + taken)
        if message.owes_data and message.answered:
            message.restarted = index
        return packet

    def _ack_req(self, message: Message, part: Part) -> bool:
        self._since_ack_req += 1
        wanted = part.ends or message.owes_data or self._since_ack_req >= self.qp.config.ack_every
        closing = psn_diff(self.send_psn, self.una_psn) + 1 >= self.qp.config.window
        if wanted or closing:
            self._since_ack_req = 0
        return wanted or closing

    # ------------------------------------------------------------ progress

    def _acknowledge(self, target: int, failing: int | None = None) -> bool:
        """Everything up to a PSN is done; False when that skips a response still missing.

        A NAK that ends the connection names its PSN in `failing`: a read that holds it is not
        skipped.
        """
        before = self.una_psn
        skipped = False
        while self.outstanding and self.outstanding[0].sent:
            head = self.outstanding[0]
            if head.owes_data:
                if failing is not None and head.holds(failing):
                    break
                skipped = psn_diff(target, head.expected) >= 0
                break
            if psn_diff(target, head.first) < 0:
                break
            if psn_diff(target, head.last) < 0:
                self.una_psn = psn_add(target, 1)
                break
            self.una_psn = psn_add(head.last, 1)
            self._complete(self.outstanding.popleft(), Status.SUCCESS)
        if self.una_psn != before:
            self._progress()
        if skipped:
            self._implied_nak(self.outstanding[0].expected)
        self._retire()
        return not skipped

    def _retire(self) -> None:
        """A message that failed locally reports when it is the oldest."""
        if self.outstanding and self.outstanding[0].error is not None:
            self._fail(self.outstanding[0].error)

    def _progress(self) -> None:
        self.retries, self.rnr_retries = self.qp.config.retry_cnt, self.qp.config.rnr_retry
        self._implied_nak_seen = False
        if psn_diff(self.send_psn, self.una_psn) < 0:
            self.send_psn = self.una_psn  # no need to repeat what is acknowledged by now
        self._restart_timer()

    def _restart_timer(self) -> None:
        period = timeout_ns(self.qp.config.timeout)
        waiting = any(m.sent for m in self.outstanding)
        self.timer = self._now + period if period and waiting else None

    def _data_response(self, packet: Packet) -> None:
        psn = packet.bth.psn
        if packet.aeth and packet.aeth.type is not AethType.ACK:
            self._fail(Status.BAD_RESP_ERR)
            return
        if not self._acknowledge(psn_add(psn, -1)) or not self.outstanding:
            return
        head = self.outstanding[0]
        if not head.owes_data or head.expected != psn:
            self._fail(Status.BAD_RESP_ERR)
            return
        error = self._consume(head, packet)
        if error is not None:
            self._fail(error)
            return
        head.answered += 1
        self.una_psn = head.expected
        if head.answered == head.count:
            self._complete(self.outstanding.popleft(), Status.SUCCESS)
        self._progress()
        self._retire()

    def _consume(self, head: Message, packet: Packet) -> Status | None:
        index, work, pmtu = head.answered, head.work, self.qp.config.pmtu
        if packet.bth.opcode not in acceptable(head, index):
            return Status.BAD_RESP_ERR
        if packet.atomic_ack is not None:
            data = packet.atomic_ack.to_bytes(8, "little")
        else:
            data = packet.payload
            expected = work.length - index * pmtu if work.op is WrOp.READ else 0
            if len(data) != min(pmtu, expected):
                return Status.LOC_LEN_ERR
        try:
            self.qp.memory.scatter(work.sges, index * pmtu, data, self.qp.config.pd)
        except ProtectionError:
            return Status.LOC_PROT_ERR
        return None

    # ------------------------------------------------------------ retries

    def _nak(self, psn: int, syndrome: int) -> None:
        status = _NAK_STATUS.get(syndrome)
        if not self._acknowledge(psn_add(psn, -1), psn if status else None):
            return
        if status is not None:
            self._fail(status)
        elif self.rnr_until is None and not self._going_back_to(psn):
            self._retry(psn)

    def _not_ready(self, psn: int, code: int) -> None:
        if not self._acknowledge(psn_add(psn, -1)):
            return
        if self.rnr_retries == 0:
            self._fail(Status.RNR_RETRY_EXC_ERR)
            return
        if self.qp.config.rnr_retry != RNR_INFINITE:
            self.rnr_retries -= 1
        self.send_psn = psn
        self.timer = None
        self.rnr_until = self._now + rnr_ns(code)

    def _implied_nak(self, psn: int) -> None:
        if self._implied_nak_seen:
            self._drop(Drop.RESPONSE_OUT_OF_ORDER)
            return
        self._implied_nak_seen = True
        if not self._going_back_to(psn):
            self._retry(psn)

    def _going_back_to(self, psn: int) -> bool:
        going_back = self.send_psn != self.next_psn
        return going_back and psn_diff(self.send_psn, psn) <= 0

    def _retry(self, psn: int) -> None:
        if self.retries == 0:
            self._fail(Status.RETRY_EXC_ERR)
            return
        self.retries -= 1
        self.send_psn = psn
        self._restart_timer()

    def _drop(self, reason: Drop) -> list[Packet]:
        self.qp.drops[reason] += 1
        return []

    # ------------------------------------------------------------ the end of a message

    def _fail(self, status: Status) -> None:
        if self.outstanding:
            self._complete(self.outstanding.popleft(), status)
        self.qp.fail()

    def _complete(self, message: Message, status: Status) -> None:
        work = message.work
        if status is Status.SUCCESS and not work.signaled:
            return
        reads = work.op in (WrOp.READ, WrOp.CMP_SWAP, WrOp.FETCH_ADD)
        size = (work.length if work.op is WrOp.READ else 8) if reads else 0
        good = status is Status.SUCCESS
        op, qpn = WcOp[work.op.name], self.qp.config.qpn
        self.qp.complete(Completion(work.wr_id, status, op, qpn, size if good else 0))
