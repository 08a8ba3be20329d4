"""What admin commands mean: which objects exist, who leans on whom, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spec.codes import AdminStatus, QpState
from spec.fields import Record
from spec.layouts import AdminOp, KeyKind, QpAttr

S = AdminStatus
INIT = QpAttr.PKEY_INDEX | QpAttr.PORT | QpAttr.ACCESS_FLAGS
RTR = (QpAttr.AV | QpAttr.PATH_MTU | QpAttr.DEST_QPN | QpAttr.RQ_PSN
       | QpAttr.MAX_DEST_RD_ATOMIC | QpAttr.MIN_RNR_TIMER)  # fmt: skip
RTS = (QpAttr.TIMEOUT | QpAttr.RETRY_CNT | QpAttr.RNR_RETRY | QpAttr.SQ_PSN
       | QpAttr.MAX_RD_ATOMIC)  # fmt: skip
LIVE = QpAttr.CUR_STATE | QpAttr.ACCESS_FLAGS | QpAttr.MIN_RNR_TIMER
SQD = (QpAttr.PORT | QpAttr.AV | QpAttr.TIMEOUT | QpAttr.RETRY_CNT | QpAttr.RNR_RETRY
       | QpAttr.MAX_RD_ATOMIC | QpAttr.MAX_DEST_RD_ATOMIC | QpAttr.ACCESS_FLAGS
       | QpAttr.PKEY_INDEX | QpAttr.MIN_RNR_TIMER)  # fmt: skip
NOTHING = QpAttr(0)
Q = QpState

# The table of rocev2 5.2 for RC: what must be given, what may be given.
TRANSITIONS = {
    (Q.RESET, Q.INIT): (INIT, NOTHING),
    (Q.INIT, Q.INIT): (NOTHING, INIT),
    (Q.INIT, Q.RTR): (RTR, QpAttr.ACCESS_FLAGS | QpAttr.PKEY_INDEX),
    (Q.RTR, Q.RTS): (RTS, LIVE),
    (Q.RTS, Q.RTS): (NOTHING, LIVE),
    (Q.RTS, Q.SQD): (NOTHING, QpAttr.EN_SQD_ASYNC_NOTIFY),
    (Q.SQD, Q.SQD): (NOTHING, SQD),
    (Q.SQD, Q.RTS): (NOTHING, LIVE),
}
TRANSITIONS |= {(old, Q.RESET): (NOTHING, NOTHING) for old in Q}
TRANSITIONS |= {(old, Q.ERR): (NOTHING, NOTHING) for old in Q if old != Q.RESET}


@dataclass
class Objects:
    """What exists."""

    limits: dict[str, int]
    eqs: set[int] = field(default_factory=set)
    cqs: dict[int, int] = field(default_factory=dict)
    srqs: set[int] = field(default_factory=set)
    qps: dict[int, tuple[int, int, int | None]] = field(default_factory=dict)
    states: dict[int, QpState] = field(default_factory=dict)
    keys: set[int] = field(default_factory=set)

    def carry_out(self, command: Record) -> AdminStatus:
        """Change the world, or say why not."""
        opcode = command.opcode  # type: ignore[attr-defined]
        try:
            action = getattr(self, "_" + AdminOp(opcode).name.lower())
        except (ValueError, AttributeError):
            return S.BAD_OPCODE
        return action(command) or S.OK

    def _nop(self, command) -> None:
        pass

    # ------------------------------------------------------------------ queues

    def _eq(self, number: int) -> AdminStatus | None:
        if number >= self.limits["eq"]:
            return S.BAD_PARAM_EQN
        return None if number in self.eqs else S.NOT_FOUND

    def _create_eq(self, c: Any) -> AdminStatus | None:
        if (missing := self._eq(c.number)) != S.NOT_FOUND:
            return missing or S.IN_USE
        if bad := ring_fault(c):
            return bad
        if c.vector >= self.limits["eq"]:
            return S.BAD_PARAM_VECTOR
        self.eqs.add(c.number)
        return None

    def _modify_eq(self, c: Any) -> AdminStatus | None:
        return self._eq(c.number)

    def _destroy_eq(self, c: Any) -> AdminStatus | None:
        if missing := self._eq(c.number):
            return missing
        if c.number in self.cqs.values():
            return S.BUSY
        self.eqs.remove(c.number)
        return None

    def _cq(self, number: int) -> AdminStatus | None:
        if number >= self.limits["cq"]:
            return S.BAD_PARAM_CQN
        return None if number in self.cqs else S.NOT_FOUND

    def _create_cq(self, c: Any) -> AdminStatus | None:
        if (missing := self._cq(c.number)) != S.NOT_FOUND:
            return missing or S.IN_USE
        if bad := ring_fault(c):
            return bad
        if c.eqn not in self.eqs:
            return S.BAD_PARAM_EQN
        self.cqs[c.number] = c.eqn
        return None

    def _resize_cq(self, c: Any) -> AdminStatus | None:
        return self._cq(c.number) or ring_fault(c)

    def _query_cq(self, c: Any) -> AdminStatus | None:
        return self._cq(c.number)

    def _destroy_cq(self, c: Any) -> AdminStatus | None:
        if missing := self._cq(c.number):
            return missing
        if any(c.number in qp[:2] for qp in self.qps.values()):
            return S.BUSY
        del self.cqs[c.number]
        return None

    def _srq(self, number: int) -> AdminStatus | None:
        if number >= self.limits["srq"]:
            return S.BAD_PARAM_SRQN
        return None if number in self.srqs else S.NOT_FOUND

    def _create_srq(self, c: Any) -> AdminStatus | None:
        if (missing := self._srq(c.number)) != S.NOT_FOUND:
            return missing or S.IN_USE
        if c.base % 64:
            return S.BAD_PARAM_ADDRESS
        self.srqs.add(c.number)
        return None

    def _modify_srq(self, c: Any) -> AdminStatus | None:
        return self._srq(c.number)

    def _query_srq(self, c: Any) -> AdminStatus | None:
        return self._srq(c.number)

    def _destroy_srq(self, c: Any) -> AdminStatus | None:
        if missing := self._srq(c.number):
            return missing
        if any(qp[2] == c.number for qp in self.qps.values()):
            return S.BUSY
        self.srqs.remove(c.number)
        return None

    # ------------------------------------------------------------------ queue pairs

    def _qp(self, number: int) -> AdminStatus | None:
        if number >= self.limits["qp"]:
            return S.BAD_PARAM_QPN
        return None if number in self.qps else S.NOT_FOUND

    def _create_qp(self, c: Any) -> AdminStatus | None:
        if c.number < 2 or (missing := self._qp(c.number)) == S.BAD_PARAM_QPN:
            return S.BAD_PARAM_QPN
        if missing is None:
            return S.IN_USE
        if c.send_cq not in self.cqs or c.recv_cq not in self.cqs:
            return S.BAD_PARAM_CQN
        if bad := self._receives_fault(c):
            return bad
        self.qps[c.number] = (c.send_cq, c.recv_cq, c.srq if c.use_srq else None)
        self.states[c.number] = QpState.RESET
        return None

    def _receives_fault(self, c: Any) -> AdminStatus | None:
        if c.use_srq and c.srq not in self.srqs:
            return S.BAD_PARAM_SRQN
        if c.sq_base % 64 or (not c.use_srq and c.rq_base % 64):
            return S.BAD_PARAM_ADDRESS
        return S.BAD_PARAM_CREDITS if c.use_srq and c.e2e_credits else None

    def _modify_qp(self, c: Any) -> AdminStatus | None:
        if missing := self._qp(c.number):
            return missing
        old = self.states[c.number]
        new = c.state if c.mask & QpAttr.STATE else old
        given = c.mask & ~QpAttr.STATE
        if (old, new) not in TRANSITIONS:
            return S.BAD_STATE
        required, optional = TRANSITIONS[old, new]
        if required & ~given or given & ~(required | optional):
            return S.BAD_PARAM_MASK
        if bad := attribute_fault(c, given, old):
            return bad
        self.states[c.number] = QpState(new)
        return None

    def _query_qp(self, c: Any) -> AdminStatus | None:
        return self._qp(c.number)

    def _destroy_qp(self, c: Any) -> AdminStatus | None:
        if missing := self._qp(c.number):
            return missing
        del self.qps[c.number], self.states[c.number]
        return None

    # ------------------------------------------------------------------ keys

    def _key(self, number: int) -> AdminStatus | None:
        if number >= self.limits["key"]:
            return S.BAD_PARAM_KEY
        return None if number in self.keys else S.NOT_FOUND

    def _register_key(self, c: Any) -> AdminStatus | None:
        if (missing := self._key(c.number)) != S.NOT_FOUND:
            return missing or S.IN_USE
        assert c.kind in (KeyKind.MR, KeyKind.FAST_REG)
        self.keys.add(c.number)
        return None

    def _deregister_key(self, c: Any) -> AdminStatus | None:
        if missing := self._key(c.number):
            return missing
        self.keys.remove(c.number)
        return None

    def _query_key(self, c: Any) -> AdminStatus | None:
        return self._key(c.number)


def ring_fault(command: Any) -> AdminStatus | None:
    """What is wrong with a ring."""
    if not command.log_size:
        return S.BAD_PARAM_SIZE
    return S.BAD_PARAM_ADDRESS if command.base % 64 else None


def attribute_fault(command: Any, given: QpAttr, old: QpState) -> AdminStatus | None:
    """Which attribute of a MODIFY_QP has a value that cannot be."""
    reads = (command.max_rd_atomic if given & QpAttr.MAX_RD_ATOMIC else 0,
             command.max_dest_rd_atomic if given & QpAttr.MAX_DEST_RD_ATOMIC else 0)  # fmt: skip
    faults = {
        S.BAD_STATE: given & QpAttr.CUR_STATE and command.cur_state != old,
        S.BAD_PARAM_MTU: given & QpAttr.PATH_MTU and not 1 <= command.path_mtu <= 5,
        S.BAD_PARAM_READS: max(reads) > 16,
        S.BAD_PARAM_RESERVED: given & QpAttr.PKEY_INDEX and not command.pkey & 0x7FFF,
    }
    return next((status for status, bad in faults.items() if bad), None)
