"""A completion queue whose notifications are written down."""

from __future__ import annotations

from collections.abc import Callable

from driver_model.cq import Cq
from driver_model.facade import WaitedCq, connect_pair
from driver_model.ndkpi import NdkResult, OpFlag, Out
from driver_model.qp import Qp
from driver_model.status import Status
from tests.driver.pair import Pair, paired


class Watched:
    """A receiving CQ of side b whose notifications are written down."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.calls: list[Status] = []
        self.inside: Callable[[], None] = lambda: None
        self.cq: Cq
        self.qp: Qp  # receives into it
        self.sender: Qp

    @classmethod
    async def make(cls, pair: Pair, depth: int = 64) -> Watched:
        """The queue, and a QP connected to side a's new one that receives into it."""
        self = cls(pair)
        created: list[Cq] = []
        pair.b.facade.adapter.create_cq(
            depth, self._notified, "context", None, lambda *r: created.append(r[2]), None, Out()
        )
        pair.world.settle(10_000)
        self.cq = created[0]
        waited = WaitedCq(pair.world.event)
        waited.cq = self.cq
        b = pair.b
        self.qp = await b.facade.create_qp(b.pd, waited, b.cq, depth=(100, 100))
        self.sender = await pair.a.facade.create_qp(pair.a.pd, pair.a.cq, pair.a.cq)
        await connect_pair((pair.a.facade, self.sender), (b.facade, self.qp))
        for _ in range(100):
            self.qp.receive(None, [b.sge(0, 4)], 1)
        return self

    def _notified(self, context: object, status: Status) -> None:
        assert context == "context"
        self.calls.append(status)
        self.inside()

    def arrive(self, solicited: bool = False, count: int = 1) -> None:
        """Messages arrive, and time passes."""
        flags = OpFlag.SILENT_SUCCESS | (OpFlag.SEND_AND_SOLICIT_EVENT if solicited else 0)
        for _ in range(count):
            assert self.sender.send(None, [self.pair.a.sge(0, 4)], 1, flags) is Status.SUCCESS
        self.pair.world.settle(20_000)

    def fail(self) -> None:
        """A message too long arrives."""
        assert self.sender.send(None, [self.pair.a.sge(0, 5)], 1, 0) is Status.SUCCESS
        self.pair.world.settle(20_000)

    def drain(self) -> int:
        """Read everything; how much it was."""
        results: list[NdkResult] = []
        return self.cq.get_cq_results(results, 1000)

    def arm(self, kind: int) -> None:
        """Arm, and let time pass."""
        self.cq.arm_cq(kind)
        self.pair.world.settle(20_000)


def watched(scenario: Callable[[Watched], None], depth: int = 64) -> None:
    """Run a scenario that needs no waiting."""

    async def whole(pair: Pair) -> None:
        scenario(await Watched.make(pair, depth))

    paired(whole)
