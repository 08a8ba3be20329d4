"""The scoreboards: completions and wire. Each proves at the end that nothing is left over.

Memory is judged in three places: the bytes of a message are compared when it is acknowledged
(`Flow`) and when it completes (`Work.finish`), all bytes of all regions, guard zones and sources
included, at the end (`World.check_memory`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pyuvm import uvm_subscriber

from tb.model.opcodes import CNP, Kind
from tb.nic.ndk import World
from tb.uvm.flow import WireError
from tb.uvm.items import Arrived, Result, Sent
from tb.uvm.predictor import Predictor


class _Judge(uvm_subscriber):
    """What it finds wrong ends the run at the next moment somebody waits."""

    def start_of_simulation_phase(self) -> None:
        """Phase: the world exists."""
        self.world: World = self.cdb_get("WORLD")
        self.judged = 0

    def write(self, item: Any) -> None:
        """Subscriber: judge one item."""
        try:
            self.judged += 1
            self.judge(item)
        except Exception as error:
            self.world.failed(error)

    def judge(self, item: Any) -> None:
        """Raise when it is wrong."""
        raise NotImplementedError


class CompletionBoard(_Judge):
    """Every request completes once, in order, with its status, length and token.

    The expectations stand at each side's `Desk`, where the moves are entered as they are posted.
    """

    def judge(self, item: Result) -> None:
        """One result."""
        self.world.hosts[item.side].desk.take(item.result)

    def left(self) -> list[str]:
        """Requests without a result."""
        return [name for host in self.world.hosts.values() for name in host.desk.left()]


class WireBoard(_Judge):
    """Every frame that leaves is one that the reference model would send there."""

    def build_phase(self) -> None:
        """Phase: the second entrance, for frames that arrive."""
        self.arrivals = uvm_subscriber.uvm_AnalysisImp("arrivals", self, self._arrived)
        self.predictor: Predictor
        self.cnps_sent: Counter[str] = Counter()  # by direction
        self.cnps_came: Counter[str] = Counter()
        self.marked: Counter[str] = Counter()
        self.marks: Counter[str] = Counter()  # those that may be answered: not on CNPs

    def judge(self, item: Sent) -> None:
        """A frame leaves."""
        packet = item.packet
        key = item.way, packet.bth.dest_qp
        if packet.bth.opcode == CNP:
            self._cnp(item)
            return
        if packet.shape is None:
            raise WireError(f"{item.way}: {packet}: reserved opcode")
        response = packet.shape.kind.is_response
        flows = self.predictor.responses if response else self.predictor.requests
        flow = flows.get(key)
        if flow is None:
            raise WireError(f"{item.way}: {packet}: no such queue pair")
        if response:
            flow.response_sent(packet)
        else:
            flow.request_sent(packet)

    def _cnp(self, item: Sent) -> None:
        """Congestion is told of, not more often than it was seen."""
        self.cnps_sent[item.way] += 1
        key = item.way, item.packet.bth.dest_qp
        known = key in self.predictor.requests or key in self.predictor.responses
        if not known or item.packet.payload != bytes(16) or not item.packet.bth.becn:
            raise WireError(f"{item.way}: {item.packet}: not a proper CNP")
        sent, marks = self.cnps_sent[item.way], self.marks[opposite(item.way)]
        if sent > marks:
            raise WireError(f"{item.way}: {sent} CNPs for {marks} marked frames")

    def _arrived(self, item: Arrived) -> None:
        cnp = item.packet.bth.opcode == CNP
        self.cnps_came[item.way] += cnp
        self.marked[item.way] += item.marked
        self.marks[item.way] += item.marked and not cnp
        try:
            self._follow(item)
        except Exception as error:
            self.world.failed(error)

    def _follow(self, item: Arrived) -> None:
        packet = item.packet
        key = item.way, packet.bth.dest_qp
        if packet.shape is None or packet.shape.kind is Kind.CNP:
            return
        if packet.shape.kind.is_response:
            self.predictor.responses[key].response_arrived(packet)
        else:
            self.predictor.requests[key].request_arrived(packet)

    def left(self) -> list[str]:
        """Messages that were not carried to their end."""
        return [line for flow in self.predictor.flows.values() for line in flow.left()]


def opposite(way: str) -> str:
    """The other direction."""
    return way[::-1]
