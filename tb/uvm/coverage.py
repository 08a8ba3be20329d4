"""Functional coverage: which frames, faults, phases and wraps a run has met, as named bins.

A run leaves functional.json, name to count, unmet bins with 0; `tb/uvm/holes.py` adds up many of
them and says what is missing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from pyuvm import uvm_subscriber

from driver_model.ndkpi import OpFlag
from tb.model.headers import AethType
from tb.model.opcodes import OPCODES, Kind, Op, Part, name_of
from tb.nic.lane import Lane
from tb.nic.moves import Move, Send
from tb.uvm.doomed import ENDS
from tb.uvm.flow import PHASES, Flow
from tb.uvm.items import Result, Sent
from tb.uvm.knobs import KINDS, MTUS, Knobs
from tb.uvm.moves import AtomicMove
from tb.uvm.predictor import Predictor

REQUESTS = tuple(
    op for op in Op if OPCODES[op].kind in (Kind.SEND, Kind.WRITE, Kind.READ, Kind.ATOMIC)
)
RESPONSES = tuple(op for op in Op if OPCODES[op].kind.is_response)
OPERATIONS = ("SEND", "WRITE", "READ")
FLAGS = {
    "inline": OpFlag.INLINE,
    "silent": OpFlag.SILENT_SUCCESS,
    "fenced": OpFlag.READ_FENCE,
    "solicited": OpFlag.SEND_AND_SOLICIT_EVENT,
}
EXTENTS = ("empty", "one packet", "two packets", "many packets")
RINGS = ("SQ", "RQ", "CQ")
NO_PAYLOAD = (Op.READ_REQUEST, Op.ACK, Op.ATOMIC_ACK, Op.CMP_SWAP, Op.FETCH_ADD)
CLEAN = "no"
"""In place of a fault's name, for a frame that was left alone."""
PAIRS = (1, 2, 4, 8, 16, 32, 64)
"""Pairs of queue pairs at work: a run counts for the largest of these that it reaches."""
VERSIONS = ("IPv4", "IPv6")
TAGS = ("untagged", "tagged")
PIECES = {"SEND": (0, 1, 2, 5, 14), "WRITE": (0, 1, 2, 5, 14), "READ": (0, 1, 2, 5, 8),
          "RECEIVE": (0, 1, 2, 3)}  # fmt: skip
"""Pieces of a scatter or gather list: classes begin here; the last is the most there may be."""
INLINE_BLOCKS = (1, 2, 3, 4)
"""Blocks of a send queue entry that carries its data."""
MEMORIES = ("ideal", "slow", "stalled", "slow and stalled")
ORDERS = ("in order", "in disorder")


def sizes_of(op: Op) -> tuple[str, ...]:
    """The size classes that a packet of this opcode may have."""
    part = OPCODES[op].part
    if op in NO_PAYLOAD:
        return ("empty",)
    if part in (Part.FIRST, Part.MIDDLE):
        return ("full",)
    return ("empty", "odd", "even", "full") if part is Part.ONLY else ("odd", "even", "full")


def size_class(length: int, pmtu: int) -> str:
    """Nothing, padded, a multiple of four, or as much as fits."""
    if length == 0:
        return "empty"
    if length == pmtu:
        return "full"
    return "odd" if length % 4 else "even"


def every_place() -> list[tuple[str, str, int, str, str]]:
    """Opcode, size, path MTU, fault and state of a frame, crossed as far as they can meet."""
    return [
        (name_of(op), size, mtu, kind, phase)
        for op in (*REQUESTS, *RESPONSES)
        for size, mtu, kind, phase in product(sizes_of(op), MTUS, (CLEAN, *KINDS), PHASES)
    ]


def cross(name: str, size: str, mtu: int, kind: str, phase: str) -> str:
    """The bin of a frame in all five respects."""
    return f"cross {name} {size} PMTU {mtu} {kind} fault while {phase}"


def class_of(value: int, starts: Iterable[int]) -> int:
    """The class that a number belongs to: the largest start that it reaches."""
    return max(start for start in starts if start <= value)


def every_bin() -> list[str]:
    """All that a run may meet."""
    bins = [
        f"packet {name_of(op)} {size} PMTU {mtu}"
        for op in (*REQUESTS, *RESPONSES)
        for size in sizes_of(op)
        for mtu in MTUS
    ]
    bins += [
        f"fault {kind} on {name_of(op)} while {phase}"
        for kind in KINDS
        for op in (*REQUESTS, *RESPONSES)
        for phase in PHASES
    ]
    bins += [cross(*place) for place in every_place()]
    bins += [f"again {name_of(op)}" for op in REQUESTS]
    bins += [f"address {version} {name_of(op)}" for op in (*REQUESTS, *RESPONSES)
             for version in VERSIONS]  # fmt: skip
    bins += [f"path {version} {tag}" for version, tag in product(VERSIONS, TAGS)]
    bins += [f"pairs {count}" for count in PAIRS]
    bins += [f"pieces {name} {count}" for name, counts in PIECES.items() for count in counts]
    bins += [f"inline {name} {count} blocks" for name in ("SEND", "WRITE")
             for count in INLINE_BLOCKS]  # fmt: skip
    bins += [f"memory {memory} {order} {name}" for memory in MEMORIES for order in ORDERS
             for name in OPERATIONS]  # fmt: skip
    bins += [f"end {end}" for end in ENDS]
    bins += [f"wrap PSN {name_of(op)}" for op in (*REQUESTS, *RESPONSES)]
    bins += [f"wrap {ring}" for ring in RINGS]
    bins += [f"message {name} {extent}" for name in OPERATIONS for extent in EXTENTS]
    bins += [f"operation {name} {flag}" for name in OPERATIONS for flag in ("plain", *FLAGS)
             if not (name == "READ" and flag in ("inline", "solicited"))
             and not (name == "WRITE" and flag == "solicited")]  # fmt: skip
    bins += ["operation CMP_SWAP", "operation FETCH_ADD"]
    bins += ["operation SEND invalidate", "operation FAST_REGISTER", "operation INVALIDATE"]
    bins += [f"answer {kind}" for kind in ("ACK", "RNR", "NAK")]
    return bins


class Coverage(uvm_subscriber):
    """Counts; fed by the monitors through `write`."""

    def build_phase(self) -> None:
        """Phase: every bin, unmet."""
        self.bins: Counter[str] = Counter(dict.fromkeys(every_bin(), 0))
        self.predictor: Predictor
        knobs: Knobs = self.cdb_get("KNOBS")
        slow = knobs.read_latency > 0 or knobs.write_latency > 0
        self.memory = f"{MEMORIES[slow + 2 * (knobs.stall > 0)]} {ORDERS[knobs.disorder]}"

    def write(self, item: object) -> None:
        """Subscriber: a frame, a posted move, or a result."""
        if isinstance(item, Sent):
            self._frame(item)
        elif isinstance(item, Move):
            self._move(item)
        elif isinstance(item, Result):
            self._hit(f"completion {item.result.type.name} {item.result.status:#x}")

    def _hit(self, name: str) -> None:
        self.bins[name] += 1

    def _flow(self, item: Sent) -> Flow | None:
        key = item.way, item.packet.bth.dest_qp
        response = item.packet.shape is not None and item.packet.shape.kind.is_response
        flows = self.predictor.responses if response else self.predictor.requests
        return flows.get(key)

    def _frame(self, item: Sent) -> None:
        packet, flow = item.packet, self._flow(item)
        if flow is None or packet.shape is None or packet.shape.kind is Kind.CNP:
            return
        name, pmtu = name_of(packet.bth.opcode), flow.config.pmtu
        size, state = size_class(len(packet.payload), pmtu), flow.state
        self._hit(f"packet {name} {size} PMTU {pmtu}")
        for kind in item.faults:
            self._hit(f"fault {kind} on {name} while {state}")
        for kind in item.faults or (CLEAN,):
            self._hit(cross(name, size, pmtu, kind, state))
        version, tag = VERSIONS[len(packet.path.src_ip) > 4], packet.path.vlan is not None
        self._hit(f"address {version} {name}")
        self._hit(f"path {version} {TAGS[tag]}")
        if packet.bth.psn == 0 and flow.config.sq_psn > 1 << 20:
            self._hit(f"wrap PSN {name}")
        if packet.aeth and packet.shape.kind is Kind.ACK:
            kinds = {AethType.ACK: "ACK", AethType.RNR: "RNR", AethType.NAK: "NAK"}
            self._hit(f"answer {kinds.get(packet.aeth.type, 'reserved')}")
        if flow.repeated and not packet.shape.kind.is_response:
            self._hit(f"again {name}")

    def _move(self, move: Move) -> None:
        name, pmtu = move.operation.name, self.predictor.flows[move.lane.name].config.pmtu
        if isinstance(move, AtomicMove):
            self._hit(f"operation {move.op.name}")
        elif name in OPERATIONS:
            packets = -(-move.size // pmtu)
            self._hit(f"message {name} {EXTENTS[min(packets, 3)]}")
            flags = [flag for flag, bit in FLAGS.items() if move.flags & bit]
            for flag in flags or ["plain"]:
                self._hit(f"operation {name} {flag}")
            self._hit(f"memory {self.memory} {name}")
            self._shape(move, name, "inline" in flags)
            if getattr(move, "invalidate", 0):
                self._hit("operation SEND invalidate")
        else:
            self._hit(f"operation {name}")

    def _shape(self, move: Move, name: str, inline: bool) -> None:
        """How a message lies in memory on either side."""
        if inline:
            blocks = 1 + -(-max(move.size - 32, 0) // 64)
            self._hit(f"inline {name} {blocks} blocks")
        else:
            count = sum(len(piece.sges()) for piece in move.local)
            self._hit(f"pieces {name} {class_of(count, PIECES[name])}")
        if isinstance(move, Send):
            count = sum(len(piece.sges()) for piece in move.into)
            self._hit(f"pieces RECEIVE {class_of(count, PIECES['RECEIVE'])}")

    def pairs(self, count: int) -> None:
        """So many pairs of queue pairs work at once."""
        self._hit(f"pairs {class_of(count, PAIRS)}")

    def ended(self, how: str) -> None:
        """A doomed queue pair ended like this."""
        self._hit(f"end {how}")

    @property
    def keys_went(self) -> bool:
        """Some memory was taken away from the peer that had used it."""
        return any(self.bins[f"operation {name}"] for name in ("SEND invalidate", "INVALIDATE"))

    def rings(self, lanes: Iterable[Lane]) -> None:
        """How often each ring went round, from how far its index came."""
        rings = {}
        for lane in lanes:
            sq, rq, cq = lane.qp.sq, lane.peer.rq, lane.here.desk.waited.cq
            self.bins["wrap SQ"] += sq._producer >> sq.log
            if rq is not None:
                self.bins["wrap RQ"] += rq._producer >> rq.log
            rings[id(cq)] = cq._ring
        for ring in rings.values():
            self.bins["wrap CQ"] += ring._consumer >> ring.log

    def save(self, path: Path) -> None:
        """Leave the counts for those who add them up."""
        path.write_text(json.dumps(dict(sorted(self.bins.items())), indent=0))
