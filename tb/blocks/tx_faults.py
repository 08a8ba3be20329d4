"""rnic_tx: what cannot be sent is dropped, reported once, and stops its queue pair alone."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb

from spec.codes import Access, CqeStatus, Syndrome
from spec.streams import KeyOp, QpInitOp
from tb.blocks.tx_bench import (
    ACK,
    FAST,
    LINE,
    LISTED,
    MEMORY,
    PAGE,
    PRIVILEGED,
    REGION,
    REMOTE,
    SMALL,
    Bench,
    Job,
    token,
)
from tb.streams import cycles, random_stalls

WRITE_ONLY, SEND_ONLY, READ_ONLY = 0x0A, 0x04, 0x10
KEY, BUS = CqeStatus.LOC_PROT_ERR, CqeStatus.LOC_QP_OP_ERR
BAD_PAGE = 0xE0  # its lines are unreadable in these tests


async def start(dut, **knobs) -> Bench:
    bench = await Bench.start(dut, **knobs)
    bench.host.bad_lines = set(range(BAD_PAGE * PAGE // LINE, (BAD_PAGE + 1) * PAGE // LINE))
    return bench


def good(bench: Bench, qpn: int, length: int = 100) -> Job:
    at = random.randrange(0xD0 * PAGE)
    return bench.job(qpn, WRITE_ONLY, [bench.segment(PRIVILEGED, at, length)])


def fails(job: Job, status: CqeStatus) -> Job:
    job.packet = None
    job.results = [(job.beats[0].psn, status)]
    return job


def refused(bench: Bench, qpn: int, at: int, pieces: int) -> Job:
    """A packet whose piece ``at`` fails its key check."""
    segments = [bench.segment(REGION, 0x7000_0000 + random.randrange(MEMORY - 90), 90)
                for _ in range(pieces)]  # fmt: skip
    wrong = random.choice((
        {"token": token(SMALL), "va": PAGE - 89},
        {"token": token(REGION) ^ 1},
        {"pd": 8},
        {"token": 99 << 8},
    ))  # fmt: skip
    job = bench.job(qpn, WRITE_ONLY, segments)
    job.beats[at] = replace(job.beats[at], mem=replace(job.beats[at].mem, **wrong))
    return fails(job, KEY)


def unreadable(bench: Bench, qpn: int, at: int, pieces: int, length: int = 200) -> Job:
    """A packet whose piece ``at`` lies where the host answers with an error."""
    places = [random.randrange(0xD0 * PAGE) for _ in range(pieces)]
    places[at] = BAD_PAGE * PAGE + random.randrange(PAGE - length)
    return fails(
        bench.job(qpn, WRITE_ONLY, [bench.segment(PRIVILEGED, p, length) for p in places]), BUS
    )


async def check_results(bench: Bench, jobs: list[Job]) -> None:
    """Exactly the results that the jobs ask for, in order."""
    for job in jobs:
        for psn, status in job.results:
            result = await bench.results.recv()
            first = job.beats[0]
            assert (result.psn, result.status) == (psn, status), (result, job)
            assert result.qpn == first.qpn
            assert result.response == first.response
            assert result.local_op == first.local_op
            assert first.response or result.msg_idx == first.msg_idx
    await cycles(bench.dut, 20)
    assert bench.results.empty()


async def run(bench: Bench, jobs: list[Job]) -> None:
    await bench.exchange(jobs)
    await check_results(bench, jobs)


def silent(*jobs: Job) -> list[Job]:
    """Packets that must vanish without a word."""
    for job in jobs:
        job.packet, job.results = None, []
    return list(jobs)


@cocotb.test()
@cocotb.parametrize(latency=(0, 120), pieces=(1, 2, 5))
async def failed_check_stops_its_queue_pair(dut, latency, pieces):
    bench = await start(dut)
    bench.host.latency = latency
    for at in range(pieces):
        jobs = [good(bench, 0), good(bench, 1), refused(bench, 0, at, pieces), good(bench, 1)]
        jobs += [*silent(good(bench, 0, 4000), good(bench, 0)), good(bench, 1)]
        await run(bench, jobs)
        # By now the queue pair is known to be poisoned: not even a read.
        bench.host.requests.clear()
        await run(bench, silent(good(bench, 0), refused(bench, 0, 0, 2), good(bench, 0)))
        assert not bench.host.requests
        await bench.init_qp(0, random.choice((QpInitOp.CREATE, QpInitOp.RTS, QpInitOp.DESTROY)))
        await run(bench, [good(bench, 0)])


@cocotb.test()
@cocotb.parametrize(latency=(0, 120), pieces=(1, 3))
async def bus_error_stops_its_queue_pair(dut, latency, pieces):
    bench = await start(dut)
    bench.host.latency = latency
    for at in range(pieces):
        jobs = [good(bench, 2), unreadable(bench, 2, at, pieces), good(bench, 3)]
        jobs += [*silent(good(bench, 2, 4000), refused(bench, 2, 0, 1)), good(bench, 3)]
        await run(bench, jobs)
        bench.host.requests.clear()
        await run(bench, silent(good(bench, 2)))
        assert not bench.host.requests
        await bench.init_qp(2)
    assert int(dut.dma_errors_q.value) == pieces
    await run(bench, [good(bench, 2)])


@cocotb.test()
async def any_bad_line_spoils_its_packet(dut):
    bench = await start(dut)
    bench.host.bad_lines = set()
    for line in range(5):
        bench.host.bad_lines = {100 + line}
        jobs = []
        job = bench.job(0, WRITE_ONLY, [bench.segment(PRIVILEGED, 6405, 300)])
        jobs.append(fails(job, BUS))
        jobs.append(bench.job(1, WRITE_ONLY, [bench.segment(PRIVILEGED, 105 * 64, 64)]))
        await run(bench, jobs)
        await bench.init_qp(0)


@cocotb.test()
async def unreadable_page_list_is_a_bus_error(dut):
    bench = await start(dut)
    bench.host.bad_lines = {0xF_0000 // LINE + 3}
    va = 0x9000_0000 + 25 * PAGE + 17
    job = fails(bench.job(0, WRITE_ONLY, [bench.segment(LISTED, va, 64)]), BUS)
    await run(bench, [good(bench, 0), job, *silent(good(bench, 0)), good(bench, 1)])


@cocotb.test()
@cocotb.parametrize(nak=(Syndrome.NAK_REMOTE_ACCESS, Syndrome.NAK_REMOTE_OPERATION))
async def responses_stop_alone_and_their_nak_goes(dut, nak):
    bench = await start(dut)

    def ack(syndrome: int) -> Job:
        return bench.job(1, ACK, [], syndrome=syndrome)

    def passing() -> list[Job]:
        others = (Syndrome.ACK_NO_CREDITS, Syndrome.RNR_NAK, Syndrome.NAK_SEQUENCE, 0x61)
        return silent(*(ack(syndrome) for syndrome in others))

    def answer(length: int, va: int) -> Job:
        segment = bench.segment(REMOTE, va, length, Access.REMOTE_READ)
        return bench.job(1, READ_ONLY, [segment])

    wrong = fails(bench.job(1, READ_ONLY, [bench.segment(REGION, 0x7000_0000, 64,
                                                        Access.REMOTE_READ)]), KEY)  # fmt: skip
    await run(bench, [answer(64, 0), wrong, *silent(answer(64, 0)), *passing(), ack(nak)])
    await run(bench, [good(bench, 1)])
    await run(bench, [*silent(answer(2000, 5)), ack(nak), *passing()])
    await run(bench, [refused(bench, 1, 0, 1), *silent(good(bench, 1))])
    await run(bench, [ack(nak)])
    await bench.init_qp(1, QpInitOp.RTR)
    await run(bench, silent(good(bench, 1), answer(1, 1)))
    await bench.init_qp(1, QpInitOp.RTS)
    await run(bench, [good(bench, 1)])
    await run(bench, [answer(64, 0)])


@cocotb.test()
@cocotb.parametrize(latency=(0, 120))
async def an_answer_given_before_may_find_its_key_gone(dut, latency):
    """It is dropped and nobody told; memory that fails ends the queue pair all the same."""
    bench = await start(dut)
    bench.host.latency = latency

    def answer(va: int, key: int = REMOTE, again: int = 1) -> Job:
        segment = bench.segment(key, va, 64, Access.REMOTE_READ)
        return bench.job(1, READ_ONLY, [segment], again=again)

    def ack() -> Job:
        return bench.job(1, ACK, [], syndrome=Syndrome.ACK_NO_CREDITS)

    gone = silent(*(answer(0x7000_0000, REGION) for _ in range(3)))
    await run(bench, [answer(64), *gone, answer(0), ack(), *silent(answer(0x7000_0000, REGION))])
    await run(bench, [ack(), answer(5, again=0)])
    job = fails(answer(BAD_PAGE * PAGE), BUS)
    await run(bench, [*silent(answer(0x7000_0000, REGION)), job, *silent(answer(0), ack())])
    await bench.init_qp(1)
    wrong = fails(answer(0x7000_0000, REGION, again=0), KEY)
    await run(bench, [wrong, *silent(answer(0), ack())])


@cocotb.test()
async def local_operations_take_their_place(dut):
    bench = await start(dut)
    fresh = FAST << 8 | 0x77

    def use(status: CqeStatus | None, qpn: int = 0) -> Job:
        segment = replace(bench.segment(PRIVILEGED, 0x3456, 100), token=fresh, va=0x5000_0456)
        payload = bytes(bench.memory[0x3456 : 0x3456 + 100])
        job = bench.job(qpn, SEND_ONLY, [segment], payload=payload)
        return job if status is None else fails(job, status)

    register = bench.local(0, KeyOp.REGISTER, FAST, CqeStatus.SUCCESS, token=fresh,
                           va=0x5000_0000, pages=0x3000, length=2 * PAGE)  # fmt: skip
    invalidate = bench.local(0, KeyOp.INVALIDATE, FAST, CqeStatus.SUCCESS, token=fresh)
    await run(bench, [good(bench, 0), register, use(None), invalidate, good(bench, 0)])
    again = bench.local(0, KeyOp.INVALIDATE, FAST, BUS, token=fresh)
    await run(bench, [use(KEY, 1), good(bench, 0), again, *silent(good(bench, 0))])


@cocotb.test()
async def a_registration_of_no_region_is_an_operation_error(dut):
    """Each ends its queue pair and registers nothing: the good one behind them all still may."""
    bench = await start(dut)
    right = {"token": FAST << 8 | 0x77, "va": 0x5000_0000, "pages": 0x3000, "length": 2 * PAGE}
    wrong: list[dict[str, int]] = [
        {"length": 0},
        {"va": (1 << 64) - PAGE},
        {"shift": 11},
        {"shift": 31},
        {"access": Access.REMOTE_WRITE},
        {"access": Access.LOCAL_WRITE | Access.MW_BIND},
        {"direct": 0, "pages": 0x3004},
    ]
    for change in wrong:
        job = bench.local(0, KeyOp.REGISTER, FAST, CqeStatus.LOC_QP_OP_ERR, **right | change)
        await run(bench, [job, *silent(good(bench, 0))])
        await bench.init_qp(0)
    job = bench.local(0, KeyOp.REGISTER, FAST, CqeStatus.SUCCESS, **right)
    await run(bench, [job, good(bench, 0)])


@cocotb.test()
async def inline_slots_come_back_from_dropped_packets(dut):
    bench = await start(dut)
    await run(bench, [refused(bench, 0, 0, 1)])
    for _ in range(3):
        jobs = [await bench.inline_job(0, WRITE_ONLY, random.randbytes(100)) for _ in range(60)]
        await run(bench, silent(*jobs))
    await bench.init_qp(0)
    jobs = [await bench.inline_job(0, WRITE_ONLY, random.randbytes(100)) for _ in range(60)]
    await run(bench, jobs)


def random_job(bench: Bench, qpn: int, answers: bool) -> Job:
    kind = random.choices(("good", "long", "refused", "unreadable"), (12, 2, 1, 1))[0]
    if answers:
        if random.random() < 0.4:
            syndrome = random.choice((0x1F, 0x62, 0x63, 0x60, 0x27))
            return bench.job(qpn, ACK, [], syndrome=syndrome)
        length = random.choice((0, 64, 1000, 4096))
        segment = bench.segment(REMOTE, random.randrange(0xD0 * PAGE), length, Access.REMOTE_READ)
        job = bench.job(qpn, READ_ONLY, [segment])
        if kind == "refused" and length:
            wrong = replace(segment, token=token(REMOTE) ^ 3)
            job.beats[0] = replace(job.beats[0], mem=wrong)
            return fails(job, KEY)
        return job
    pieces = random.randint(1, 4)
    at = random.randrange(pieces)
    if kind == "refused":
        return refused(bench, qpn, at, pieces)
    if kind == "unreadable":
        return unreadable(bench, qpn, at, pieces, random.choice((1, 64, 900)))
    return good(bench, qpn, 4096 if kind == "long" else random.randrange(300))


def judge(jobs: list[Job]) -> None:
    """Behind its first failed packet a queue pair says nothing more, but for the NAK that tells."""
    dead = set()
    for job in jobs:
        first = job.beats[0]
        tells = first.opcode == ACK and first.syndrome in (0x62, 0x63)
        if first.qpn in dead and not tells:
            silent(job)
        elif job.packet is None:
            dead.add(first.qpn)


@cocotb.test()
@cocotb.parametrize(latency=(0, 60, 250), stall=("none", "half", "bursts"))
async def soup(dut, latency, stall):
    """Everything at once, from both sources, on eight queue pairs."""
    bench = await start(dut, stall=stall)
    bench.host.latency = latency
    bench.host.gaps = random_stalls(0.2)
    for _ in range(2):
        requests = [random_job(bench, random.randrange(8), False) for _ in range(60)]
        answers = [random_job(bench, random.randrange(8), True) for _ in range(60)]
        judge(requests)
        judge(answers)
        bench.send_nowait(*requests, *answers)
        await bench.settle(sum(job.packet is not None for job in requests + answers))
        await check_soup(bench, requests, answers)
        assert await bench.drain() < 100
        for qpn in range(8):
            await bench.init_qp(qpn)


async def check_soup(bench: Bench, requests: list[Job], answers: list[Job]) -> None:
    """Each source's frames and results are in its order."""
    frames = bench.seen[:]
    results = [await bench.results.recv() for _ in range(len(bench.results))]
    for jobs, role in ((requests, 0), (answers, 1)):
        bench.seen[:] = [frame for frame in frames if is_answer(frame) == bool(role)]
        bench.check(jobs)
        wanted = [r for job in jobs for r in job.results]
        assert [(r.psn, r.status) for r in results if r.response == role] == wanted
    bench.seen.clear()


def is_answer(frame: bytes) -> bool:
    at = 16 if frame[12:14] == b"\x81\x00" else 12
    bth = at + 2 + (40 if frame[at : at + 2] == b"\x86\xdd" else 20) + 8
    return frame[bth] & 0x1F in (READ_ONLY, ACK)


@cocotb.test()
async def drain_waits_for_what_is_inside(dut):
    bench = await start(dut)
    assert await bench.drain() < 5
    bench.host.latency = 200
    bench.send_nowait(good(bench, 0), good(bench, 1))
    await cycles(dut, 30)
    assert not bench.seen
    assert 150 < await bench.drain() < 250
    await cycles(dut, 12)
    assert len(bench.seen) == 2
    # Traffic that comes after the question does not hold up the answer.
    jobs = [good(bench, 0) for _ in range(400)]
    bench.send_nowait(*jobs)
    await cycles(dut, 100)
    assert await bench.drain() < 700
    assert len(bench.seen) < 300
    await bench.settle(402)


@cocotb.test()
async def frames_are_counted(dut):
    bench = await start(dut)
    jobs = [bench.job(0, ACK, [], syndrome=s) for s in (0x1F, 0x00, 0x61, 0x62, 0x63, 0x33)]
    jobs += [good(bench, 1), bench.job(2, READ_ONLY, [])]
    bench.send_nowait(*jobs)
    await bench.settle(8)
    names = ("packets_q", "acks_q", "naks_q", "rnr_naks_q", "aborted_q")
    assert [int(getattr(dut, name).value) for name in names] == [8, 2, 3, 1, 0]
    assert int(dut.bytes_q.value) == sum(map(len, bench.seen))


@cocotb.test()
@cocotb.parametrize(wait=(1, 7, 20, 33, 50, 71, 90, 130))
async def reset_in_mid_packet(dut, wait):
    bench = await start(dut)
    bench.host.latency = 30
    bench.send_nowait(*(good(bench, 0, random.choice((64, 4096))) for _ in range(30)))
    await cycles(dut, wait)
    await bench.reset()
    await bench.fill_tables()
    await run(bench, [good(bench, qpn) for qpn in range(4)])
    assert await bench.drain() < 20
