"""End-to-end credits of a reliable connection: the code table, and the requester's side of it."""

from __future__ import annotations

from tb.model.headers import NO_CREDIT_LIMIT, Aeth
from tb.model.verbs import SendWork, WrOp, psn_add, psn_diff

CREDITS = (
    *(0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024),
    *(1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768),
)


def credit_code(free: int) -> int:
    """What an acknowledge says when so many receives are posted."""
    return max(code for code, credits in enumerate(CREDITS) if credits <= free)


def takes_receive(work: SendWork) -> bool:
    """The message takes one of the peer's receives."""
    return work.op is WrOp.SEND or (work.op is WrOp.WRITE and work.imm is not None)


class Credits:
    """How many messages were started, and up to which the peer has receives."""

    def __init__(self, *, honoured: bool) -> None:
        self._honoured = honoured
        self._limited = honoured  # none are known, so the first message is a probe
        self.ssn = 0  # of the newest message started
        self.lsn = 0

    def told(self, aeth: Aeth) -> None:
        """An AETH of type ACK came."""
        if not self._honoured:
            return
        if aeth.value == NO_CREDIT_LIMIT:
            self._limited = False
            return
        limit = psn_add(aeth.msn, CREDITS[aeth.value])
        if not self._limited or psn_diff(limit, self.lsn) > 0:
            self._limited, self.lsn = True, limit

    def allow(self, work: SendWork) -> bool:
        """The next message may start: within the limit, or one beyond it as a probe."""
        beyond = psn_diff(psn_add(self.ssn, 1), psn_add(self.lsn, 1)) > 0
        return not (self._limited and beyond and takes_receive(work))

    def start(self, work: SendWork) -> None:
        """The next message starts; those that take no receive move the limit along."""
        self.ssn = psn_add(self.ssn, 1)
        if not takes_receive(work):
            self.lsn = psn_add(self.lsn, 1)
