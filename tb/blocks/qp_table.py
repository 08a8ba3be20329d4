"""rnic_qp_table: who may change a queue pair, who hears of it, and what readers see."""

from __future__ import annotations

import random
from collections import Counter

import cocotb

from spec.codes import CqeStatus, EventType, QpState
from spec.streams import QpConfig, RqConfig
from tb.blocks.qp_bench import DEAD, ERRORS, LISTENERS, QPS, READERS, RINGS, Bench
from tb.streams import cycles

PATTERNS = [
    ("none", "none", "none", "none"),
    ("none", "none", "none", "mostly"),
    ("none", "half", "mostly", "none"),
    ("mostly", "none", "bursts", "half"),
]


@cocotb.test()
@cocotb.parametrize(stalls=PATTERNS)
async def an_error_is_told_once_to_everybody(dut, stalls):
    bench = await Bench.start(dut, stalls)
    for qpn in range(QPS):
        await bench.set(qpn, state=QpState.RTS)
    failing = random.sample(range(QPS), 6)
    for qpn in failing:
        for lane in random.sample(range(ERRORS), 2):
            bench.fail(lane, qpn)
    await bench.settle()
    for heard in bench.listeners.heard:
        assert Counter(heard) == Counter(failing)
    events = await bench.events.recv_many(len(failing))
    assert bench.events.empty()
    assert sorted(event.number for event in events) == sorted(failing)
    for event in events:
        assert (event.event_type, event.eqn) == (EventType.QP_ERROR, 0)
        assert event.detail == CqeStatus.REM_OP_ERR
    for qpn in range(QPS):
        assert await bench.state(qpn) == (1, QpState.ERR if qpn in failing else QpState.RTS)


@cocotb.test()
async def a_flush_that_was_asked_for_is_no_event(dut):
    bench = await Bench.start(dut)
    await bench.set(3, state=QpState.RTS)
    bench.fail(1, 3, CqeStatus.WR_FLUSH_ERR)
    await bench.settle()
    assert bench.listeners.heard == [[3]] * LISTENERS
    assert bench.events.empty()
    assert await bench.state(3) == DEAD


@cocotb.test()
async def event_tells_which_kind_of_request_was_refused(dut):
    bench = await Bench.start(dut)
    cases = {
        (CqeStatus.REM_INV_REQ_ERR, 1): EventType.QP_REQ_ERROR,
        (CqeStatus.REM_ACCESS_ERR, 1): EventType.QP_ACCESS_ERROR,
        (CqeStatus.LOC_QP_OP_ERR, 1): EventType.QP_ERROR,
        (CqeStatus.REM_INV_REQ_ERR, 0): EventType.QP_ERROR,
        (CqeStatus.REM_ACCESS_ERR, 0): EventType.QP_ERROR,
    }
    for qpn, ((status, remote), kind) in enumerate(cases.items()):
        await bench.set(qpn, state=QpState.RTS)
        bench.fail(0, qpn, status, remote)
        event = await bench.events.recv()
        assert (event.event_type, event.number, event.detail) == (kind, qpn, status)


@cocotb.test()
async def an_error_of_nobody_changes_nothing(dut):
    """Numbers that are not in use, in RESET, or in ERR already."""
    bench = await Bench.start(dut)
    await bench.set(1, state=QpState.RESET)
    await bench.set(2, state=QpState.ERR)
    for qpn in (0, 1, 2):
        bench.fail(0, qpn)
    await bench.settle()
    assert bench.listeners.heard == [[]] * LISTENERS
    assert bench.events.empty()
    assert await bench.state(0) == (0, QpState.RESET)
    assert await bench.state(1) == (1, QpState.RESET)
    assert await bench.state(2) == DEAD


@cocotb.test()
@cocotb.parametrize(stalls=PATTERNS[:3], idle=["none", "half"])
async def only_reset_leads_out_of_err(dut, stalls, idle):
    """Writes and errors race; who comes second does not undo an error."""
    bench = await Bench.start(dut, stalls, idle)
    for _ in range(40):
        qpn = random.randrange(QPS)
        await bench.set(qpn, state=QpState.INIT)
        target = random.choice([QpState.RTR, QpState.RTS, QpState.SQD])
        bench.fail(random.randrange(ERRORS), qpn)
        await cycles(dut, random.randrange(6))
        await bench.set(qpn, state=target, path_mtu=5)
        await bench.settle()
        assert await bench.state(qpn) == DEAD
        assert [heard.pop() for heard in bench.listeners.heard] == [qpn] * LISTENERS
        gone = random.getrandbits(1)
        await bench.set(qpn, state_only=1, state=QpState.RESET, exists=1 - gone)
        assert await bench.state(qpn) == (1 - gone, QpState.RESET)
        if not gone:
            # RESET forgets the error, not the attributes.
            assert (await bench.read(qpn, qpn))[0].path_mtu == 5


@cocotb.test()
async def err_is_readable_before_the_flush_leaves(dut):
    bench = await Bench.start(dut)
    for status in (CqeStatus.REM_OP_ERR, CqeStatus.WR_FLUSH_ERR):
        await bench.set(5, state=QpState.RTS, send_cq=9)
        bench.fail(2, 5, status)
        dut.rd_qpn.value = 5
        for _ in range(50):
            await cycles(dut)
            if int(dut.m_flush_valid.value):
                break
        # A number driven in the cycle of the flush is answered two cycles later.
        await cycles(dut, 2)
        bits = str(dut.rd_cfg.value)[-QpConfig.WIDTH :]
        cfg = QpConfig.from_int(int(bits.replace("x", "0").replace("X", "0"), 2))
        assert (cfg.exists, cfg.state, cfg.send_cq) == (1, QpState.ERR, 9)
        await bench.settle()
        await bench.set(5, state_only=1, state=QpState.RESET)


@cocotb.test()
async def every_reader_gets_every_record(dut):
    """Random writes against a plain table; numbers out of range are not in use."""
    bench = await Bench.start(dut, idle="half")
    table: dict[int, QpConfig] = {}
    for _ in range(150):
        qpn = random.randrange(QPS)
        fields = {
            "state": random.choice([QpState.INIT, QpState.RTR, QpState.RTS]),
            "pd": random.getrandbits(16), "sq_base": random.getrandbits(64),
            "dest_gid": random.getrandbits(128), "qkey": random.getrandbits(32),
            "path_mtu": random.randint(1, 5),
        }  # fmt: skip
        await bench.set(qpn, **fields)
        table[qpn] = QpConfig(exists=1, **fields)
        numbers = [
            random.choice([*range(QPS), 8, 9, 1 << 20, (1 << 24) - 1]) for _ in range(READERS)
        ]
        for number, found in zip(numbers, await bench.read(*numbers), strict=True):
            if number in table:
                assert found == table[number]
            else:
                assert (found.exists, found.state) == (0, QpState.RESET)


@cocotb.test()
async def receive_rings_come_and_go(dut):
    bench = await Bench.start(dut)
    rings: dict[int, RqConfig] = {}
    for _ in range(60):
        rq_id = random.randrange(RINGS)
        fields = {
            "exists": random.getrandbits(1), "base": random.getrandbits(64),
            "log_size": random.getrandbits(4), "pd": random.getrandbits(16),
        }  # fmt: skip
        await bench.write_ring(rq_id, **fields)
        rings[rq_id] = RqConfig(**fields)
        asked = random.choice([*range(RINGS), RINGS, RINGS + 1, 15, 16, 0xFFFF])
        found = await bench.ring(asked)
        if asked in rings:
            assert found == rings[asked]
        else:
            assert not found.exists


@cocotb.test()
async def a_reset_forgets_everything(dut):
    bench = await Bench.start(dut)
    for qpn in range(QPS):
        await bench.set(qpn, state=QpState.RTS)
        await bench.write_ring(qpn, exists=1)
    bench.fail(0, 1)
    await cycles(dut, 2)
    bench.errors.clear()
    dut.rst.value = 1
    await cycles(dut, 3)
    dut.rst.value = 0
    await cycles(dut)
    await bench.wait_ready()
    for qpn in range(QPS):
        assert await bench.state(qpn) == (0, QpState.RESET)
        assert not (await bench.ring(qpn)).exists
