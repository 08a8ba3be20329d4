"""rnic_cq: entries, arms, overflow, and changes by rnic_admin, against a plain model."""

from __future__ import annotations

import random

import cocotb

from spec.codes import CqeStatus, EventType
from spec.layouts import ArmType, CqeFlag
from spec.streams import CqConfig, CqUpdate
from tb.blocks.cq_bench import CQS, Bench
from tb.blocks.cq_model import CompletionQueue
from tb.streams import cycles

PATTERNS = [("none", "none"), ("half", "none"), ("mostly", "bursts")]
KINDS = {
    "plain": {},
    "solicited": {"flags": CqeFlag.SOLICITED},
    "error": {"status": CqeStatus.REM_OP_ERR},
}


# ---------- entries


@cocotb.test()
@cocotb.parametrize((("stall", "idle"), PATTERNS))
async def entries_come_whole_and_in_order(dut, stall, idle):
    """Two sources, several queues of several sizes, many passes."""
    bench = await Bench.start(dut, stall, idle)
    queues = [await bench.create(n, log_size=n + 1) for n in range(4)]
    for _ in range(25):
        for queue in queues:
            # One source per queue, so that the order is known.
            room = queue.size - (queue.producer - queue.consumer)
            for _ in range(random.randint(0, room)):
                queue.entries.append(bench.complete(queue.number, queue.number % 2))
        await bench.settle()
        for queue in queues:
            bench.check(queue)
            await bench.ring(queue, random.randint(queue.consumer, queue.producer))
    assert bench.events.empty()
    assert bench.errors.empty()


@cocotb.test()
async def entries_are_counted_when_they_begin_and_when_they_are_answered(dut):
    """From the cycle in which a completion is taken, so that nobody can look in between."""
    bench = await Bench.start(dut)
    await bench.create(1)
    bench.host.held = True

    def told() -> tuple[int, int, int]:
        return tuple(int(getattr(dut, n).value) for n in ("begun", "answered", "beginning"))

    assert told() == (0, 0, 0)
    for count, cqn in enumerate((1, 1, 5), 1):  # the last is for no queue
        bench.complete(cqn, 0)
        while not int(dut.s_cqe_valid.value) & int(dut.s_cqe_ready.value) & 1:
            await cycles(dut)
        seen = []
        for _ in range(5):
            await cycles(dut)
            seen.append(told())
        entries = min(count, 2)
        assert seen[0][2] == 1, "taken, not begun and not said"
        assert all(now[2] or now == (entries, 0, 0) for now in seen), seen
        assert seen[-1] == (entries, 0, 0)
    bench.host.held = False
    await bench.settle()
    assert told() == (2, 2, 0)


@cocotb.test()
async def an_event_follows_the_response_of_its_entry(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(1)
    await bench.ring(queue, 0, ArmType.ANY, 1)
    bench.host.held = True
    bench.complete(1)
    await cycles(dut, 60)
    assert bench.host.written
    assert bench.events.empty()
    bench.host.held = False
    await bench.settle()
    assert len(bench.events) == 1


# ---------- arms


@cocotb.test()
@cocotb.parametrize(arm=[ArmType.ANY, ArmType.SOLICITED, ArmType.ERRORS])
async def an_arm_fires_on_what_it_waits_for(dut, arm):
    bench = await Bench.start(dut)
    queue = await bench.create(2, 5)
    for seq, kind in enumerate(random.sample([*KINDS, *KINDS], 6), 1):
        await bench.ring(queue, queue.producer, arm, seq % 4)
        await bench.post(queue, **KINDS[kind])
        await bench.post(queue, **KINDS["error"])
        await bench.post(queue, **KINDS["error"])
        bench.check(queue)


@cocotb.test()
@cocotb.parametrize(arm=[ArmType.ANY, ArmType.SOLICITED, ArmType.ERRORS])
async def an_arm_that_comes_late_fires_at_once(dut, arm):
    """Entries that the doorbell does not cover are news; those it covers are not."""
    bench = await Bench.start(dut)
    queue = await bench.create(3, 4)
    for seq in range(1, 14):
        for kind in random.choices(list(KINDS), weights=[6, 2, 1], k=random.randrange(4)):
            await bench.post(queue, **KINDS[kind])
        await bench.ring(queue, random.randint(queue.consumer, queue.producer), arm, seq % 4)
        bench.check(queue)


@cocotb.test()
async def a_repeated_arm_is_not_a_new_one(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(0)
    await bench.ring(queue, 0, ArmType.ANY, 1)
    await bench.post(queue)
    assert queue.events == [(EventType.COMPLETION, 1)]
    bench.check(queue)
    for _ in range(3):
        await bench.ring(queue, 0, ArmType.ANY, 1)
        await bench.post(queue)
    bench.check(queue)
    await bench.ring(queue, 0, ArmType.ANY, 2)
    assert queue.events == [(EventType.COMPLETION, 2)]
    bench.check(queue)


@cocotb.test()
async def a_doorbell_beyond_what_was_written_changes_nothing(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(0, 2)
    await bench.post(queue)
    for index in (2, 5, 1 << 23, (1 << 24) - 1):
        await bench.ring(queue, index, ArmType.ANY, 1)
    bench.check(queue)
    answer = await bench.query(0)
    assert (answer.producer, answer.consumer) == (1, 0)
    # Nor does one for a queue that is not there.
    ghost = CompletionQueue(5, 0, 1, 0)
    await bench.ring(ghost, 0, ArmType.ANY, 1)
    await bench.ring(CompletionQueue(CQS, 0, 1, 0), 0, ArmType.ANY, 1)
    assert bench.events.empty()


# ---------- overflow


@cocotb.test()
@cocotb.parametrize(armed=[False, True])
async def a_full_queue_is_not_overwritten(dut, armed):
    bench = await Bench.start(dut)
    queue = await bench.create(1, 2)
    for _ in range(4):
        await bench.post(queue)
    if armed:
        await bench.ring(queue, 0, ArmType.ERRORS, 1)
    for _ in range(3):
        await bench.post(queue)
    assert len(queue.lost) == 3
    bench.check(queue)
    # Room does not heal it: what was lost is lost.
    await bench.ring(queue, 4)
    await bench.post(queue)
    bench.check(queue)
    assert (await bench.query(1)).bad
    # Whoever arms it now hears at once.
    await bench.ring(queue, 4, ArmType.SOLICITED, 2)
    bench.check(queue)


@cocotb.test()
async def a_completion_for_no_queue_fails_its_queue_pair(dut):
    bench = await Bench.start(dut)
    for cqn in (4, CQS, CQS + 1, 0xFFFF):
        request = bench.complete(cqn)
        await bench.settle()
        error = await bench.errors.recv()
        assert (error.qpn, error.status) == (request.qpn, CqeStatus.FATAL_ERR)
    assert bench.events.empty()
    assert not bench.host.written


@cocotb.test()
async def an_entry_that_cannot_be_written_breaks_the_queue(dut):
    bench = await Bench.start(dut)
    queue, other = await bench.create(1), await bench.create(2)
    bench.host.bad = lambda addr: addr == queue.base + 32
    await bench.ring(queue, 0, ArmType.SOLICITED, 1)
    await bench.post(queue)
    request = bench.complete(1, **KINDS["solicited"])
    await bench.settle()
    queue.entries.append(request)
    queue.spoil()
    queue.lost.append(request.qpn)
    bench.check_events(queue)
    await bench.post(queue)
    bench.check_events(queue)
    await bench.post(other)
    bench.check(other)


@cocotb.test()
async def writes_that_all_fail_are_all_noticed(dut):
    """As many as can be unanswered, on one queue and on many."""
    bench = await Bench.start(dut)
    queues = [await bench.create(n, 8) for n in range(CQS)]
    bench.host.bad = lambda addr: True
    bench.host.held = True
    sent = [bench.complete(random.choice(queues).number).qpn for _ in range(200)]
    await cycles(dut, 900)
    bench.host.held = False
    await bench.settle()
    events = [bench.events.recv_nowait() for _ in range(len(bench.events))]
    assert sorted(event.number for event in events) == list(range(CQS))
    assert all(event.event_type == EventType.CQ_ERROR for event in events)
    errors = [bench.errors.recv_nowait().qpn for _ in range(len(bench.errors))]
    assert sorted(errors) == sorted(sent)


# ---------- rnic_admin


@cocotb.test()
async def a_resize_keeps_the_arm_and_starts_again(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(3, 2)
    for _ in range(3):
        await bench.post(queue)
    await bench.ring(queue, 2)
    await bench.ring(queue, 3, ArmType.SOLICITED, 1)
    base = queue.base + 0x10000
    answer = await bench.configure(cqn=3, exists=1, keep=1, base=base, log_size=4, eqn=0)
    assert (answer.exists, answer.bad, answer.producer, answer.consumer) == (1, 0, 3, 3)
    queue.base, queue.log_size = base, 4
    queue.entries, queue.first, queue.consumer = [], 0, 0
    for kind in ("plain", "plain", "solicited", "solicited"):
        await bench.post(queue, **KINDS[kind])
    bench.check(queue)
    for _ in range(12):
        await bench.post(queue)
    bench.check(queue)
    await bench.post(queue)
    assert queue.bad
    bench.check_events(queue)


@cocotb.test()
async def a_resize_does_not_heal(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(3, 1)
    for _ in range(3):
        await bench.post(queue)
    bench.check(queue)
    await bench.configure(cqn=3, exists=1, keep=1, base=queue.base, log_size=4)
    await bench.post(queue)
    bench.check_events(queue)


@cocotb.test()
async def a_queue_that_is_destroyed_takes_nothing(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(6, 1)
    await bench.ring(queue, 0, ArmType.ANY, 3)
    assert (await bench.query(6)).exists
    await bench.configure(cqn=6, exists=0)
    assert not (await bench.query(6)).exists
    request = bench.complete(6)
    await bench.settle()
    assert (await bench.errors.recv()).qpn == request.qpn
    assert bench.events.empty()
    # The next one of this number begins clean: not armed, no arm number, not bad.
    queue = await bench.create(6, 1)
    await bench.post(queue)
    bench.check(queue)
    await bench.ring(queue, 1, ArmType.ANY, 3)
    await bench.post(queue)
    bench.check(queue)


@cocotb.test()
async def a_change_is_not_starved_by_completions(dut):
    """And it waits until what came before is in host memory."""
    bench = await Bench.start(dut)
    await bench.create(0, 10)
    for _ in range(300):
        bench.complete(0)
    await cycles(dut, 60)
    before = bench.host.now
    await bench.configure(cqn=1, exists=1, base=0, log_size=1)
    assert bench.host.now - before < 80
    assert not bench.cqes.empty()


@cocotb.test()
async def a_change_sees_the_answers_of_all_writes(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(0, 4)
    await bench.ring(queue, 0, ArmType.ANY, 1)
    bench.host.held = True
    bench.complete(0)
    await cycles(dut, 20)
    bench.host.bad = lambda addr: True
    bench.cfg.send_nowait(CqConfig(cqn=0, exists=0))
    await cycles(dut, 60)
    assert not bench.cfg.empty()
    bench.host.held = False
    await bench.cfg.drain()
    await bench.settle()
    bench.host.bad = lambda addr: False
    queue = await bench.create(0, 4)
    await bench.settle()
    assert not (await bench.query(0)).bad


# ---------- random, rate, reset


@cocotb.test()
@cocotb.parametrize((("stall", "idle"), PATTERNS))
async def random_life_of_a_queue(dut, stall, idle):
    bench = await Bench.start(dut, stall, idle)
    queue = await bench.create(random.randrange(CQS), random.randint(1, 4))
    seq = 0
    for _ in range(120):
        if random.random() < 0.6:
            kind = random.choices(list(KINDS), weights=[6, 2, 1])[0]
            await bench.post(queue, **KINDS[kind])
        else:
            arm = random.choice(list(ArmType))
            seq += random.random() < 0.8
            index = random.randint(queue.consumer, queue.producer)
            if random.random() < 0.1:
                index += random.randrange(1 << 24)
            await bench.ring(queue, index, arm, seq % 4)
        bench.check(queue)
        if queue.bad and random.random() < 0.3:
            await bench.configure(cqn=queue.number, exists=0)
            queue, seq = await bench.create(queue.number, random.randint(1, 4)), 0


@cocotb.test()
@cocotb.parametrize(same=[True, False])
async def one_completion_every_three_cycles(dut, same):
    bench = await Bench.start(dut)
    for n in range(CQS):
        await bench.create(n, 9)
    for i in range(240):
        bench.complete(0 if same else i % CQS, i % 2)
    before = bench.host.now
    while len(bench.host.written) < 240:
        await cycles(dut)
    rate = (bench.host.now - before) / 240
    dut._log.info("cycles per completion: %.2f", rate)
    assert rate < 3.2


@cocotb.test()
async def a_reset_in_traffic_leaves_nothing(dut):
    bench = await Bench.start(dut, "half")
    queue = await bench.create(0, 4)
    await bench.ring(queue, 0, ArmType.ANY, 1)
    for _ in range(12):
        bench.complete(0)
    await cycles(dut, 22)
    await bench.reset()
    assert not (await bench.query(0)).exists
    queue = await bench.create(0, 2)
    for _ in range(3):
        await bench.post(queue, **KINDS["error"])
    bench.check(queue)


async def taken_within(bench: Bench, limit: int, update: CqUpdate) -> None:
    """A doorbell that is not held up."""
    bench.update.send_nowait(update)
    for _ in range(limit):
        await cycles(bench.dut)
        if bench.update.empty():
            return
    raise AssertionError("the doorbell waits")


@cocotb.test()
@cocotb.parametrize(shut=["memory", "events", "both"])
async def doorbells_wait_for_nothing(dut, shut):
    """Completions stand still, for memory or for events; consumer indices and arms go on."""
    bench = await Bench.start(dut)
    queues = [await bench.create(n, 6) for n in range(CQS)]
    for _ in range(4):
        for queue in queues:
            await bench.post(queue)
    ends = [*(bench.host.ends if shut != "events" else []), *([bench.events] * (shut != "memory"))]
    for end in ends:
        end.paused = True
    seqs = [0] * CQS
    rung: set[int] = set()
    for _ in range(40):
        bench.complete(random.randrange(CQS))
    await cycles(dut, 200)
    for turn in range(100):
        number = random.randrange(CQS)
        rung.add(number)
        queue = queues[number]
        seqs[number] = seqs[number] + 1 & 3
        index = min(queue.consumer + turn % 2, queue.first + 3)
        queue.consumer = index
        update = CqUpdate(cqn=number, arm=ArmType.ANY, arm_seq=seqs[number], index=index)
        await taken_within(bench, 10, update)
    for end in ends:
        end.paused = False
    await bench.settle()
    newest: dict[int, int] = {}
    while not bench.events.empty():
        event = bench.events.recv_nowait()
        assert event.event_type == EventType.COMPLETION
        newest[event.number] = event.detail
    assert newest == {number: seqs[number] for number in rung}
    for queue in queues:
        assert (await bench.query(queue.number)).consumer == queue.consumer


@cocotb.test()
async def completions_go_on_under_a_flood_of_doorbells(dut):
    bench = await Bench.start(dut)
    queue = await bench.create(2, 9)
    for _ in range(100):
        bench.complete(2)
    for _ in range(2000):
        bench.update.send_nowait(CqUpdate(cqn=2, arm=ArmType.NONE, arm_seq=0, index=0))
    before = bench.host.now
    while len(bench.host.written) < 100:
        await cycles(dut)
    assert (bench.host.now - before) / 100 < 6.5
    assert queue.consumer == 0
