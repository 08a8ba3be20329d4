"""Arms, solicited events and interrupts: who is called, when, and how often."""

from __future__ import annotations

from cocotb.triggers import Event

from driver_model.cq import Cq
from driver_model.facade import WaitedCq, connect_pair
from driver_model.ndkpi import CqNotify, OpFlag, Out
from driver_model.status import Status
from tb.nic import make
from tb.nic.desk import Desk
from tb.nic.lane import Lane
from tb.nic.moves import NONE, SOLICITED, Send
from tb.nic.ndk import Host, World
from tb.nic.scenario import scenario
from tb.streams import cycles

EVENT_VECTOR = 1


class CalledCq:
    """A completion queue whose callback is counted."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, Status]] = []
        self.waited = WaitedCq(Event)

    @classmethod
    async def create(cls, host: Host) -> CalledCq:
        """By the dispatch table, with a completion callback."""
        called = cls()
        created = Event()
        out: Out[Cq] = Out()

        def completed(_context: object, status: Status, cq: Cq) -> None:
            assert status is Status.SUCCESS
            called.waited.cq = cq
            created.set()

        def notify(context: object, status: Status) -> None:
            called.calls.append((context, status))

        status = host.facade.adapter.create_cq(32, notify, "mine", None, completed, None, out)
        assert status is Status.PENDING
        await created.wait()
        return called


async def quiet_lane(world: World) -> tuple[Lane, CalledCq, Desk]:
    """A lane whose receives complete into a queue that nobody serves."""
    called = await CalledCq.create(world.b)
    a, b = world.a, world.b
    qp_a = await a.facade.create_qp(a.pd, a.desk.waited, a.desk.waited, context="quiet")
    qp_b = await b.facade.create_qp(b.pd, called.waited, called.waited, context="quiet")
    await connect_pair((a.facade, qp_a), (b.facade, qp_b))
    desk = Desk("quiet", called.waited, world.work_done, world.failed)
    at_a, at_b = a.desk.add("quiet", qp_a), desk.add("quiet", qp_b)
    lane = Lane("quiet", a, b, qp_a, qp_b, at_a.sends, at_b.receives)
    lane.back = Lane("quiet", b, a, qp_b, qp_a, at_b.sends, at_a.receives)
    world.lanes += [lane, lane.back]
    return lane, called, desk


@scenario()
async def notifications(world: World) -> None:
    """No arm, no interrupt; a solicited arm waits for a solicited SEND; an arm fires once."""
    lane, called, desk = await quiet_lane(world)
    here, there = await world.a.region(30_000), await world.b.region(30_000)
    interrupts = world.b.device.interrupts.counts
    sent: list[Send] = []

    async def deliver(*flags: OpFlag) -> tuple[int, int]:
        """Send, let everything settle; calls and interrupts that this brought."""
        calls, fired = len(called.calls), interrupts.get(EVENT_VECTOR, 0)
        moves = [make.send(lane, here, there, 50, flags=f) for f in flags]
        for move in moves:
            move.prepare()
        await world.rung()
        for move in moves:
            assert move.post()
        await world.finished([move.work for move in moves])
        await cycles(world.pair.dut, 800)
        sent.extend(moves)
        return len(called.calls) - calls, interrupts.get(EVENT_VECTOR, 0) - fired

    start = world.now()
    cq = called.waited.cq
    assert await deliver(NONE, SOLICITED) == (0, 0), "nobody armed"
    cq.arm_cq(CqNotify.SOLICITED)
    await cycles(world.pair.dut, 800)
    assert len(called.calls) == 1, "a solicited completion was new when the arm was made"
    take_all(called, desk, 2)
    cq.arm_cq(CqNotify.SOLICITED)
    assert await deliver(NONE, NONE, NONE) == (0, 0), "none was solicited"
    assert await deliver(NONE, SOLICITED, NONE, SOLICITED) == (1, 1), "one arm, one call"
    assert await deliver(SOLICITED, NONE) == (0, 0), "the arm was used up"
    take_all(called, desk, 9)
    cq.arm_cq(CqNotify.ANY)
    assert await deliver(NONE, NONE) == (1, 1), "armed for any"
    take_all(called, desk, 2)
    cq.arm_cq(CqNotify.ERRORS)
    assert await deliver(SOLICITED) == (0, 0), "armed for errors only"
    take_all(called, desk, 1)
    assert set(called.calls) == {("mine", Status.SUCCESS)}
    world.row("arms and interrupts", "50 B", sent, world.now() - start)


def take_all(called: CalledCq, desk: Desk, count: int) -> None:
    """The results that must be there by now."""
    results = called.waited.poll()
    assert len(results) == count, f"{len(results)} results, not {count}"
    for result in results:
        desk.take(result)
