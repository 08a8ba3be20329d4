"""The requests of one queue pair, and their answers, as the reference model says they must look.

A `Flow` knows every message in the order in which it was posted, hence its PSNs, hence each packet
that may carry it. It follows both directions of the wire: what was sent, what arrived unspoiled.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from tb.model.headers import NO_CREDIT_LIMIT, AethType, Nak, Packet, Path
from tb.model.memory import Memory
from tb.model.message import Message, request
from tb.model.opcodes import Kind, Op, Part, name_of, read_response_op
from tb.model.peer import reverse
from tb.model.qp import QpConfig, QueuePair
from tb.model.verbs import SendWork, WrOp, packet_count, psn_add, psn_diff
from tb.nic.image import Piece, difference

ACK = 0x11
STEADY, GOING_BACK, NOT_READY, DRAINING = "steady", "going back", "not ready", "draining"
PHASES = (STEADY, GOING_BACK, NOT_READY, DRAINING)


class WireError(AssertionError):
    """A frame that must not be."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A work request as the wire will show it."""

    name: str
    work: SendWork
    data: bytes
    into: tuple[Piece, ...] = ()  # where the receiver of a SEND or WRITE must find the data
    fence: bool = False


@dataclass(slots=True, eq=False)
class Predicted:
    """A message with its place in the PSN space."""

    posted: Posted
    message: Message
    number: int  # MSN once it is complete
    answered: int = 0  # response packets seen, counted from its first
    arrived: int = 0  # response packets that came to the requester in order
    goes_on: int | None = None  # PSN of its next response; repeats of older reads may cut in

    @property
    def name(self) -> str:
        """For messages."""
        return self.posted.name

    @property
    def owes_data(self) -> bool:
        """An acknowledge does not complete it."""
        return self.message.owes_data

    @property
    def span(self) -> int:
        """PSNs that it takes."""
        return self.message.count


@dataclass(eq=False)
class Flow:
    """One lane on the wire: requests one way, responses the other."""

    name: str
    config: QpConfig
    reads: int = 16
    doomed: bool = False  # it will end before its work is done
    messages: list[Predicted] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    qp: QueuePair = field(init=False)

    def __post_init__(self) -> None:
        start = self.config.sq_psn
        self.qp = QueuePair(self.config, Memory())
        self._holder: dict[int, Predicted] = {}
        self._end = start  # behind what was posted
        self.next = start  # behind what was sent
        self.epsn = start  # behind what the responder may have accepted, and never behind less
        self._placed = 0  # messages whose data was seen in memory
        self._ack: int | None = None
        self._naks: Counter[int] = Counter()
        self._came: Counter[int] = Counter()
        self._read_starts: set[int] = set()  # PSNs of read requests that arrived
        self._open_reads: deque[Predicted] = deque()
        self.phase = STEADY
        self.draining = False
        self._held_from = 0  # number of the first message posted while draining
        self.repeated = False  # the last request had been sent before

    def post(self, posted: Posted) -> Predicted:
        """The next message of the send queue."""
        count = 1
        if posted.work.op.kind is not Kind.ATOMIC:
            count = packet_count(posted.work.length, self.config.pmtu)
        message = Message(posted.work, count, self._end, posted.data)
        predicted = Predicted(posted, message, len(self.messages) + 1)
        self.messages.append(predicted)
        for index in range(count):
            self._holder[psn_add(self._end, index)] = predicted
        self._end = psn_add(self._end, count)
        return predicted

    def drains(self, draining: bool) -> None:
        """The queue pair is in SQD, until it is not: what is posted meanwhile must wait."""
        self.draining = draining
        self._held_from = len(self.messages) + 1

    @property
    def state(self) -> str:
        """What the queue pair was doing when the last frame left."""
        return DRAINING if self.draining else self.phase

    # ------------------------------------------------------------ requests

    def request_sent(self, packet: Packet) -> Predicted:
        """A request leaves: is it the one that belongs there?"""
        psn = packet.bth.psn
        predicted = self._holder.get(psn)
        if predicted is None:
            raise self._wrong(packet, "carries a PSN of no work request")
        message = predicted.message
        index = psn_diff(psn, message.first)
        right = request(self.qp, message, index, psn, packet.bth.ack_req)
        _compare(packet, right, f"{self.name}: {predicted.name}, packet {index}")
        ahead = psn_diff(psn, self.next)
        # What was looked at before its queue pair failed may begin behind what ended by that.
        if ahead > 0 and not (self.doomed and index == 0):
            raise self._wrong(packet, f"{ahead} PSNs are left out")
        self.repeated = ahead < 0
        if ahead < 0:
            self.counts["retransmitted"] += 1
        elif self.next == message.first:
            self._begun(packet, predicted)
        step = message.count - index if message.work.op is WrOp.READ else 1
        # What is sent for the first time behind an RNR NAK left before that arrived.
        if self.repeated or self.phase != NOT_READY:
            again = psn_diff(psn_add(psn, step), self.next) < 0
            self.phase = GOING_BACK if again else STEADY
        if psn_diff(psn_add(psn, step), self.next) > 0:
            self.next = psn_add(psn, step)
        self.counts["requests"] += 1
        return predicted

    def _begun(self, packet: Packet, predicted: Predicted) -> None:
        """The first packet of a message, for the first time."""
        if self.draining and predicted.number >= self._held_from:
            raise self._wrong(packet, f"begins {predicted.name}, posted while draining")
        if predicted.posted.fence and self._open_reads:
            raise self._wrong(packet, f"passes its fence: {self._open_reads[0].name} is not done")
        if predicted.owes_data:
            if len(self._open_reads) >= self.reads:
                raise self._wrong(packet, f"is read number {len(self._open_reads) + 1} at once")
            self._open_reads.append(predicted)

    def request_arrived(self, packet: Packet) -> None:
        """An unspoiled request comes to the responder."""
        psn = packet.bth.psn
        self._came[psn] += 1
        predicted = self._holder[psn]
        read = predicted.message.work.op is WrOp.READ
        if read:
            self._read_starts.add(psn)
        if psn == self.epsn:
            left = predicted.span - psn_diff(psn, predicted.message.first)
            self.epsn = psn_add(psn, left if read else 1)

    # ------------------------------------------------------------ responses

    def response_sent(self, packet: Packet) -> Predicted | None:
        """A response leaves: has it been asked for, and is it right?"""
        psn = packet.bth.psn
        if packet.bth.dest_qp != self.config.qpn:
            raise self._wrong(packet, "goes to another queue pair")
        _compare_paths(packet.path, reverse(self.config.path), f"{self.name}: {packet}")
        self.counts["responses"] += 1
        shape = packet.shape
        assert shape is not None
        if shape.kind is Kind.ACK:
            self._acknowledge(packet)
            return None
        if psn_diff(psn, self.epsn) >= 0:
            raise self._wrong(packet, "answers what has not arrived")
        predicted = self._holder.get(psn)
        if predicted is None or not predicted.owes_data:
            raise self._wrong(packet, "answers what asks for no data")
        if shape.kind is Kind.READ_RESPONSE:
            self._read_response(packet, predicted)
        else:
            self._atomic_response(packet, predicted)
        return predicted

    def response_arrived(self, packet: Packet) -> None:
        """An unspoiled response comes to the requester."""
        predicted = self._holder.get(packet.bth.psn)
        if predicted is None or not predicted.owes_data or packet.bth.opcode == ACK:
            return
        index = psn_diff(packet.bth.psn, predicted.message.first)
        if index == predicted.arrived:
            predicted.arrived += 1
        while self._open_reads and self._open_reads[0].arrived == self._open_reads[0].span:
            self._open_reads.popleft()

    def _read_response(self, packet: Packet, predicted: Predicted) -> None:
        psn, message = packet.bth.psn, predicted.message
        index = psn_diff(psn, message.first)
        pmtu = self.config.pmtu
        fresh = psn in self._read_starts
        goes_on = predicted.goes_on == psn
        last = index + 1 == message.count
        allowed = set()
        if fresh:
            allowed.add(read_response_op(Part.ONLY if last else Part.FIRST))
        if goes_on:
            allowed.add(read_response_op(Part.LAST if last else Part.MIDDLE))
        if packet.bth.opcode not in allowed:
            names = [name_of(op) for op in allowed]
            raise self._wrong(packet, f"is not {' or '.join(names) or 'to be sent now'}")
        payload = message.data[index * pmtu : (index + 1) * pmtu]
        if packet.payload != payload:
            raise self._wrong(packet, f"payload: {_differ(packet.payload, payload)}")
        self._check_aeth(packet, predicted)
        predicted.goes_on = None if last else psn_add(psn, 1)
        self._answered(packet, predicted, index)

    def _atomic_response(self, packet: Packet, predicted: Predicted) -> None:
        original = int.from_bytes(predicted.posted.data, "little")
        if packet.bth.opcode != Op.ATOMIC_ACK or packet.atomic_ack != original:
            raise self._wrong(packet, f"{packet.atomic_ack} is not {original}")
        self._check_aeth(packet, predicted)
        self._answered(packet, predicted, 0)

    def _answered(self, packet: Packet, predicted: Predicted, index: int) -> None:
        if index > predicted.answered:
            raise self._wrong(packet, f"response {predicted.answered} was never sent")
        predicted.answered = max(predicted.answered, index + 1)

    def _check_aeth(self, packet: Packet, predicted: Predicted) -> None:
        """The MSN counts at least this message, and nothing that has not arrived."""
        if packet.aeth is None:
            return
        if packet.aeth.type is not AethType.ACK:
            raise self._wrong(packet, f"syndrome {packet.aeth.syndrome:#x}")
        self._check_msn(packet, predicted.number)

    def _check_msn(self, packet: Packet, least: int) -> None:
        assert packet.aeth is not None
        if (packet.aeth.value == NO_CREDIT_LIMIT) is self.config.real_credits:
            raise self._wrong(packet, f"credit code {packet.aeth.value:#x}")
        most = self._complete_at(psn_add(self.epsn, -1))
        if not least <= packet.aeth.msn <= most:
            raise self._wrong(packet, f"MSN is not between {least} and {most}")

    def _acknowledge(self, packet: Packet) -> None:
        assert packet.aeth is not None
        psn, kind = packet.bth.psn, packet.aeth.type
        if kind is AethType.ACK:
            self.counts["acks"] += 1
            if psn_diff(psn, self.epsn) >= 0:
                raise self._wrong(packet, f"acknowledges what has not arrived, {self.epsn:#x}")
            if self._ack is not None and psn_diff(psn, self._ack) < 0:
                raise self._wrong(packet, f"goes back behind {self._ack:#x}")
            self._ack = psn
            self._check_placed(packet, psn)
            self._check_msn(packet, self._complete_at(psn))
            return
        if kind is AethType.RNR or packet.aeth.syndrome == Nak.SEQUENCE:
            self._refused(packet, "rnr naks" if kind is AethType.RNR else "naks")
            return
        if self.doomed and packet.aeth.syndrome == Nak.REMOTE_OPERATION:
            self.counts["naks"] += 1  # memory of the doomed may fail
            return
        raise self._wrong(packet, f"syndrome {packet.aeth.syndrome:#x}")

    def _refused(self, packet: Packet, what: str) -> None:
        """Each gap is told once, and each refusal is for something that came."""
        psn = packet.bth.psn
        self.counts[what] += 1
        self.phase = NOT_READY if what == "rnr naks" else GOING_BACK
        self._naks[psn] += 1
        if psn_diff(psn, self.epsn) > 0:
            raise self._wrong(packet, f"is ahead of {self.epsn:#x}, the next to be expected")
        if self._naks[psn] > 1 + self._came[psn]:
            raise self._wrong(packet, f"is number {self._naks[psn]} for one gap")
        self._check_placed(packet, psn_add(psn, -1))

    def _complete_at(self, psn: int) -> int:
        """How many messages are complete when everything up to a PSN is."""
        predicted = self._holder.get(psn)
        if predicted is None:
            return 0
        ends = predicted.owes_data or psn == predicted.message.last
        return predicted.number - (not ends)

    def _check_placed(self, packet: Packet, psn: int) -> None:
        """Everything that is acknowledged stands in memory, and reads before it are answered."""
        while self._placed < len(self.messages):
            predicted = self.messages[self._placed]
            if psn_diff(predicted.message.last, psn) > 0:
                break
            if predicted.owes_data and predicted.answered < predicted.span:
                raise self._wrong(packet, f"passes over {predicted.name}, not yet answered")
            self._compare_memory(packet, predicted)
            self._placed += 1

    def _compare_memory(self, packet: Packet, predicted: Predicted) -> None:
        at = 0
        for piece in predicted.posted.into:
            part = predicted.posted.data[at : at + piece.size]
            wrong = difference(piece.first(len(part)).now(), part)
            if wrong is not None:
                raise self._wrong(packet, f"acknowledges {predicted.name} before its data: {wrong}")
            at += len(part)

    # ------------------------------------------------------------ the end

    def left(self) -> list[str]:
        """What was posted and never sent, or sent and not accepted."""
        out: list[str] = []
        if self.doomed:
            return out
        if self.next != self._end:
            out.append(f"{self.name}: PSNs from {self.next:#x} to {self._end:#x} were never sent")
        if self.epsn != self._end:
            out.append(f"{self.name}: PSNs from {self.epsn:#x} to {self._end:#x} never arrived")
        if self._open_reads:
            out.append(f"{self.name}: {self._open_reads[0].name} was never answered")
        return out

    def _wrong(self, packet: Packet, what: str) -> WireError:
        return WireError(f"{self.name}: {packet}: {what}")


COMPARED = ("opcode", "dest_qp", "psn", "p_key", "solicited", "migrated", "version", "fecn", "becn",
            "reserved6", "reserved7")  # fmt: skip
HEADERS = ("reth", "atomic_eth", "imm", "ieth", "aeth", "deth", "atomic_ack")


def _compare(packet: Packet, right: Packet, where: str) -> None:
    """Every field that the standard fixes."""
    for name in COMPARED:
        found, wanted = getattr(packet.bth, name), getattr(right.bth, name)
        if found != wanted:
            raise WireError(f"{where}: {packet}: {name} is {found}, not {wanted}")
    for name in HEADERS:
        found, wanted = getattr(packet, name), getattr(right, name)
        if found != wanted:
            raise WireError(f"{where}: {packet}: {name} is {found}, not {wanted}")
    if packet.payload != right.payload:
        raise WireError(f"{where}: {packet}: {_differ(packet.payload, right.payload)}")
    if packet.pad and any(packet.pad):
        raise WireError(f"{where}: {packet}: pad is not zero")
    _compare_paths(packet.path, right.path, f"{where}: {packet}")


def _compare_paths(found: Path, wanted: Path, where: str) -> None:
    for name in ("src_mac", "dst_mac", "src_ip", "dst_ip", "vlan", "hop_limit"):
        if getattr(found, name) != getattr(wanted, name):
            raise WireError(f"{where}: {name} is {getattr(found, name)!r}")


def _differ(found: bytes, wanted: bytes) -> str:
    if len(found) != len(wanted):
        return f"{len(found)} bytes, not {len(wanted)}"
    return difference(found, wanted) or "equal"
