"""Which responses a queue pair may send: rocev2 4.4 and 4.6 as an automaton of all possible orders.

What is due is known in its order, but not when the responder gets to it: an acknowledge may have
left before the next one replaced it, or not. So the automaton keeps every state that explains the
packets so far. In the end one of them must have nothing left.
"""

from __future__ import annotations

from typing import NamedTuple

from spec.codes import Access, AethType
from spec.streams import SegKind, TxPacket
from tb.blocks.rsp_model import SPACE, Order, Qp


class Job(NamedTuple):
    """What is left of a read or an atomic."""

    sequence: int
    order: int  # its newest request
    psn: int  # next response


class State(NamedTuple):
    """One of the things that can be."""

    seen: int  # orders that took effect
    jobs: tuple[Job, ...]  # oldest first
    ack: int | None  # order whose acknowledge waits


class Answers:
    """Follows the responses of one queue pair."""

    def __init__(self, qp: Qp) -> None:
        self.qp = qp
        self.orders: list[Order] = []
        self.states = {State(0, (), None)}

    def due(self, order: Order) -> None:
        """One more thing to answer."""
        self.orders.append(order)

    def sent(self, packet: TxPacket) -> None:
        """A response left."""
        following: set[State] = set()
        for state in self.states:
            for now in self._futures(state):
                then = self._advance(now, packet)
                if then:
                    following.add(then)
        assert following, f"no reason for {packet}; states {self.states}, orders {self.orders[-8:]}"
        self.states = following

    def finish(self) -> None:
        """Everything was answered."""
        ends = [list(self._futures(state))[-1] for state in self.states]
        assert any(not end.jobs and end.ack is None for end in ends), (
            f"not answered: {ends}, orders {self.orders[-8:]}"
        )

    # ------------------------------------------------------------------ orders

    def _futures(self, state: State):
        yield state
        while state.seen < len(self.orders):
            state = self._apply(state)
            yield state

    def _apply(self, state: State) -> State:
        index, order = state.seen, self.orders[state.seen]
        jobs, ack = state.jobs, state.ack
        waiting = self.orders[ack] if ack is not None else None
        is_nak = waiting is not None and waiting.syndrome >> 5 != AethType.ACK
        age = (order.psn - waiting.psn) % SPACE if waiting else 0
        if order.kind in ("read", "atomic"):
            others = [job for job in jobs if job.sequence != order.sequence]
            jobs = tuple(sorted([*others, Job(order.sequence, index, order.psn)]))
            if age < SPACE // 2:
                ack = None
        elif order.kind == "settle":
            ack = index if is_nak and age == 0 else ack
        elif not (is_nak and age >= SPACE // 2):
            ack = index
        return State(index + 1, jobs, ack)

    # ------------------------------------------------------------------ packets

    def _advance(self, state: State, packet: TxPacket) -> State | None:
        if not state.jobs:
            due = state.ack is not None and self._is_ack(packet, self.orders[state.ack])
            return state._replace(ack=None) if due else None
        job, *others = state.jobs
        order = self.orders[job.order]
        if order.kind == "atomic":
            return state._replace(jobs=tuple(others)) if self._is_atomic(packet, order) else None
        done = (job.psn - order.psn) % SPACE * self.qp.mtu
        left = order.length - done
        if not self._is_read(packet, order, job.psn, done, left):
            return None
        if left > self.qp.mtu:
            others = [job._replace(psn=(job.psn + 1) % SPACE), *others]
        return state._replace(jobs=tuple(others))

    def _is_whole(self, packet: TxPacket, opcode: int, order: Order, psn: int) -> bool:
        flags = (packet.first, packet.last, packet.response, packet.local_op)
        head = (packet.qpn, packet.opcode, packet.psn, packet.msn)
        wanted = (self.qp.number, opcode, psn, order.msn)
        return flags == (1, 1, 1, 0) and head == wanted

    def _is_ack(self, packet: TxPacket, order: Order) -> bool:
        empty = (packet.payload_len, packet.mem.kind) == (0, SegKind.NONE)
        whole = self._is_whole(packet, 0x11, order, order.psn)
        return whole and empty and packet.syndrome == order.syndrome

    def _is_atomic(self, packet: TxPacket, order: Order) -> bool:
        empty = (packet.payload_len, packet.mem.kind) == (0, SegKind.NONE)
        rest = (packet.syndrome, packet.swap) == (order.syndrome, order.value)
        return self._is_whole(packet, 0x12, order, order.psn) and empty and rest

    def _is_read(self, packet: TxPacket, order: Order, psn: int, done: int, left: int) -> bool:
        begins, ends = done == 0, left <= self.qp.mtu
        opcode = {(1, 0): 0x0D, (0, 0): 0x0E, (0, 1): 0x0F, (1, 1): 0x10}[begins, ends]
        size = min(left, self.qp.mtu)
        mem = packet.mem
        place = (mem.va, mem.length, mem.token, mem.pd, mem.access)
        wanted = (order.va + done, size, order.rkey, self.qp.config.pd, Access.REMOTE_READ)
        data = (mem.kind, place) == (SegKind.KEY, wanted) if size else mem.kind == SegKind.NONE
        whole = self._is_whole(packet, opcode, order, psn) and packet.payload_len == size
        return whole and data and packet.syndrome == order.syndrome
