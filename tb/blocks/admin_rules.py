"""rnic_admin: commands against a model of what exists, the order of steps, and the rings."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb

from spec.codes import Access, AdminStatus, CqeStatus, QpState, QpType
from spec.layouts import (
    AdminCommand,
    AdminCreateQp,
    AdminKey,
    AdminModifyQp,
    AdminOp,
    AdminQueue,
    KeyKind,
    QpAttr,
)
from spec.streams import QpInitOp
from tb.blocks.admin_bench import CQS, DRAINS, EQS, INITS, KEYS, QPS, SRQS, Bench
from tb.blocks.admin_model import INIT, RTR, RTS, TRANSITIONS, Objects
from tb.streams import cycles

Op = AdminOp
LIMITS = {"eq": EQS, "cq": CQS, "srq": SRQS, "qp": QPS, "key": KEYS}
DRAIN = ["drain", "drained"] * DRAINS
DRAIN_SEND = ["drain", "drained"] * 2


# ---------- commands


def queue(opcode: Op, number: int, **fields: int) -> AdminQueue:
    """A command about a queue, right unless fields say otherwise."""
    values = {"log_size": 3, "base": random.getrandbits(40) << 6}
    return AdminQueue(opcode=opcode, number=number, **{**values, **fields})


def create_qp(number: int, send: int, recv: int, srq: int | None = None, **fields) -> AdminCreateQp:
    """A queue pair on these queues."""
    values = {
        "qp_type": QpType.RC, "pd": random.getrandbits(16), "send_cq": send, "recv_cq": recv,
        "srq": srq or 0, "use_srq": int(srq is not None), "sq_base": random.getrandbits(40) << 6,
        "rq_base": random.getrandbits(40) << 6, "sq_log": random.getrandbits(4),
        "rq_log": random.getrandbits(4),
    }  # fmt: skip
    return AdminCreateQp(opcode=Op.CREATE_QP, number=number, **{**values, **fields})


def modify(number: int, state: QpState, mask: QpAttr, **fields: int) -> AdminModifyQp:
    """A transition with random attributes."""
    values = {
        "access": Access(random.getrandbits(4)), "pkey": 0x8001, "path_mtu": random.randint(1, 5),
        "dest_qpn": random.getrandbits(24), "rq_psn": random.getrandbits(24),
        "sq_psn": random.getrandbits(24), "max_rd_atomic": random.randint(0, 16),
        "max_dest_rd_atomic": random.randint(0, 16), "min_rnr_timer": random.getrandbits(5),
        "timeout": random.getrandbits(5), "retry_cnt": random.getrandbits(3),
        "rnr_retry": random.getrandbits(3), "dest_gid": random.getrandbits(128),
        "dest_mac": random.getrandbits(48), "udp_sport": random.getrandbits(16),
    }  # fmt: skip
    return AdminModifyQp(
        opcode=Op.MODIFY_QP, number=number, state=state, mask=mask, **{**values, **fields}
    )


def register(number: int, **fields: int) -> AdminKey:
    """A memory region."""
    values = {
        "kind": KeyKind.MR, "access": Access.LOCAL_WRITE, "page_shift": 12, "direct": 1,
        "key": random.getrandbits(8), "length": 4096, "base": random.getrandbits(48),
    }  # fmt: skip
    return AdminKey(opcode=Op.REGISTER_KEY, number=number, **{**values, **fields})


def random_command(world: Objects):
    """Something that may be right or wrong in one way."""
    kind = random.choice(["eq", "cq", "srq", "qp", "qp", "modify", "modify", "modify", "key"])
    aligned = random.random() < 0.95
    base = random.getrandbits(40) << 6 | (0 if aligned else 8)
    if kind == "qp":
        opcode = random.choice([Op.CREATE_QP, Op.CREATE_QP, Op.DESTROY_QP, Op.QUERY_QP])
        number = random.randrange(QPS + 1)
        if opcode != Op.CREATE_QP:
            return AdminCommand(opcode=opcode, number=number)
        srq = random.choice([None, random.randrange(SRQS + 1)])
        return create_qp(
            number,
            random.randrange(CQS + 1),
            random.randrange(CQS),
            srq,
            rq_base=base,
            e2e_credits=random.getrandbits(1),
        )
    if kind == "modify":
        return random_modify(world)
    if kind == "key":
        opcode = random.choice([Op.REGISTER_KEY, Op.DEREGISTER_KEY, Op.QUERY_KEY])
        number = random.randrange(KEYS + 1)
        return register(number) if opcode == Op.REGISTER_KEY else AdminKey(opcode, number=number)
    names = {
        "eq": [Op.CREATE_EQ, Op.CREATE_EQ, Op.DESTROY_EQ, Op.MODIFY_EQ],
        "cq": [Op.CREATE_CQ, Op.CREATE_CQ, Op.CREATE_CQ, Op.DESTROY_CQ, Op.RESIZE_CQ, Op.QUERY_CQ],
        "srq": [Op.CREATE_SRQ, Op.CREATE_SRQ, Op.MODIFY_SRQ, Op.DESTROY_SRQ, Op.QUERY_SRQ],
    }  # fmt: skip
    number = random.randrange(LIMITS[kind] + 1)
    fields = {"base": base, "eqn": random.randrange(EQS), "vector": random.randrange(EQS)}
    return queue(random.choice(names[kind]), number, **fields)


def random_modify(world: Objects) -> AdminModifyQp:
    """A step forward, usually."""
    number = random.choice([*world.qps, random.randrange(QPS)])
    old = world.states.get(number, QpState.RESET)
    steps = [n for o, n in TRANSITIONS if o == old and n not in (QpState.RESET, QpState.ERR)]
    new = random.choice([*steps, *steps, *steps, QpState.RESET, QpState.ERR, random.choice(
        [QpState.INIT, QpState.RTR, QpState.RTS, QpState.SQD])])  # fmt: skip
    required, optional = TRANSITIONS.get((old, new), (QpAttr(0), QpAttr(0)))
    mask = QpAttr.STATE | required
    mask |= QpAttr(random.getrandbits(18)) & optional
    if random.random() < 0.1:
        mask ^= QpAttr(1 << random.randrange(1, 18))
    wrong = [{"path_mtu": 6}, {"max_rd_atomic": 17}, {"pkey": 0x8000}, {"cur_state": 1}]
    return modify(number, new, mask, **{"cur_state": old, **random.choice([{}] * 8 + wrong)})


# ---------- random


@cocotb.test()
@cocotb.parametrize(stall=["none", "half", "mostly"])
async def commands_do_what_the_model_says(dut, stall):
    """Random commands: same verdict as the model; a refused one gives no order to anybody."""
    bench = await Bench.start(dut, stall)
    world = Objects(LIMITS)
    good = 0
    begin = [queue(Op.CREATE_EQ, 1), *(queue(Op.CREATE_CQ, n, eqn=1) for n in range(CQS - 1))]
    begin += [queue(Op.CREATE_SRQ, 0), *(create_qp(n, n, 1) for n in range(2, 6))]
    for step in range(350 if stall == "none" else 150):
        command = begin[step] if step < len(begin) else random_command(world)
        status = world.carry_out(command)
        found = await bench.run(command)
        assert found.status == status, (AdminStatus(found.status), status, command)
        if status != AdminStatus.OK:
            assert bench.log == [], command
        good += status == AdminStatus.OK
        for number, state in world.states.items():
            assert (bench.qps[number].exists, bench.qps[number].state) == (1, state)
    assert good > 40
    assert {n for n, key in bench.keys.items() if key.kind} == world.keys


# ---------- steps


async def furnish(bench: Bench) -> None:
    """EQ 0, CQs 1 and 2, SRQ 3."""
    await bench.succeed(queue(Op.CREATE_EQ, 0))
    await bench.succeed(queue(Op.CREATE_CQ, 1))
    await bench.succeed(queue(Op.CREATE_CQ, 2))
    await bench.succeed(queue(Op.CREATE_SRQ, 3))


def inits(bench: Bench) -> list[tuple[QpInitOp, int, int]]:
    """What each block was told, all alike."""
    told = [[init for name, init in bench.log if name == f"init{n}"] for n in range(INITS)]
    assert all(each == told[0] for each in told)
    return [(init.op, init.qpn, init.psn) for init in told[0]]


def without_inits(bench: Bench) -> list[str]:
    """The other orders, with one ``init`` where a round began."""
    names: list[str] = []
    for name in bench.names():
        short = "init" if name.startswith("init") else name
        if short != "init" or not names or names[-1] != "init":
            names.append(short)
    return names


@cocotb.test()
@cocotb.parametrize(stall=["none", "mostly"])
async def a_queue_pair_is_stopped_drained_cleared_in_this_order(dut, stall):
    bench = await Bench.start(dut, stall)
    await furnish(bench)
    for srq, credits in ((None, 1), (None, 0), (3, 0)):
        command = create_qp(5, 1, 2, srq, e2e_credits=credits)
        await bench.succeed(command)
        rq_id = 5 if srq is None else QPS + 3
        ring = [(QpInitOp.RQ_CREATE, 5, 0)] if srq is None else []
        assert inits(bench) == [(QpInitOp.CREATE, 5, 0), *ring]
        assert without_inits(bench) == ["init", *(["m_rq"] if srq is None else []), "m_qp"]
        cfg = bench.qps[5]
        assert (cfg.rq_id, cfg.use_srq, cfg.send_cq, cfg.recv_cq) == (rq_id, srq is not None, 1, 2)
        assert (cfg.sq_base, cfg.sq_log, cfg.pd) == (command.sq_base, command.sq_log, command.pd)
        assert cfg.e2e_credits == credits
        await bench.succeed(modify(5, QpState.INIT, QpAttr.STATE | INIT))
        assert bench.names() == ["m_qp"]
        await bench.succeed(rtr := modify(5, QpState.RTR, QpAttr.STATE | RTR))
        assert inits(bench) == [(QpInitOp.RTR, 5, rtr.rq_psn)]
        assert without_inits(bench) == ["init", "m_qp"]
        await bench.succeed(rts := modify(5, QpState.RTS, QpAttr.STATE | RTS))
        assert inits(bench) == [(QpInitOp.RTS, 5, rts.sq_psn)]
        told = [what.limited for name, what in bench.log if name.startswith("init")]
        assert set(told) == {credits}
        assert bench.qps[5].e2e_credits == credits
        await bench.succeed(modify(5, QpState.SQD, QpAttr.STATE))
        assert bench.names() == ["m_qp", *DRAIN_SEND, "m_watch"]
        assert not bench.log[-1][1].on
        assert bench.log[0][1].state_only
        await bench.succeed(modify(5, QpState.SQD, QpAttr.STATE | QpAttr.TIMEOUT, timeout=9))
        assert bench.names() == ["m_qp"]
        assert bench.qps[5].timeout == 9
        await bench.succeed(modify(5, QpState.RTS, QpAttr.STATE))
        assert bench.names() == ["m_watch", "m_qp", "m_kick"]
        assert not bench.log[0][1].on
        await bench.succeed(modify(5, QpState.ERR, QpAttr.STATE))
        assert bench.names() == ["m_error"]
        assert bench.log[0][1].status == CqeStatus.WR_FLUSH_ERR
        await bench.succeed(modify(5, QpState.RESET, QpAttr.STATE))
        assert without_inits(bench) == ["m_qp", *DRAIN, "m_watch", "init"]
        assert inits(bench) == [(QpInitOp.CREATE, 5, 0), *ring]
        assert bench.log[0][1].state_only
        await bench.succeed(AdminCommand(opcode=Op.DESTROY_QP, number=5))
        assert inits(bench) == [(QpInitOp.DESTROY, 5, 0)]
        ending = ["m_rq"] if srq is None else []
        assert without_inits(bench) == ["m_qp", *DRAIN, "m_watch", "init", *ending]
        assert not bench.qps[5].exists


async def lead_to(bench: Bench, number: int, state: QpState) -> None:
    """A queue pair on its way from RESET, or from anywhere."""
    way = [(QpState.RESET, QpAttr(0)), (QpState.INIT, INIT), (QpState.RTR, RTR), (QpState.RTS, RTS)]
    last = {QpState.SQD: QpState.RTS, QpState.ERR: QpState.INIT}.get(state, state)
    for step, attributes in way[: last + 1]:
        await bench.succeed(modify(number, step, QpAttr.STATE | attributes))
    if last != state:
        await bench.succeed(modify(number, state, QpAttr.STATE))
    assert bench.qps[number].state == state


STATES = [state for state in QpState if state != QpState.SQE]


@cocotb.test()
@cocotb.parametrize(old=STATES)
async def transitions_and_their_attributes_are_those_of_the_table(dut, old):
    """Every target, each required attribute missing, each other attribute added; rocev2 5.2."""
    bench = await Bench.start(dut)
    await furnish(bench)
    await bench.succeed(create_qp(5, 1, 2))
    await lead_to(bench, 5, old)

    async def attempt(new: int, mask: QpAttr, good: AdminStatus) -> None:
        found = await bench.run(modify(5, new, QpAttr.STATE | mask, cur_state=old))
        assert found.status == good, (old, new, mask, AdminStatus(found.status))
        if good == AdminStatus.OK:
            assert bench.qps[5].state == new
            await lead_to(bench, 5, old)
        else:
            assert bench.log == []

    for new in range(8):
        if (old, new) not in TRANSITIONS:
            await attempt(new, QpAttr(0), AdminStatus.BAD_STATE)
            continue
        required, optional = TRANSITIONS[old, new]
        await attempt(new, required, AdminStatus.OK)
        for bit in range(1, 32):
            attribute = QpAttr(1 << bit)
            good = attribute in optional
            await attempt(
                new, required ^ attribute, AdminStatus.OK if good else AdminStatus.BAD_PARAM_MASK
            )


@cocotb.test()
async def a_queue_pair_in_another_state_than_named_is_left_alone(dut):
    bench = await Bench.start(dut)
    await furnish(bench)
    await bench.succeed(create_qp(5, 1, 2))
    await lead_to(bench, 5, QpState.RTR)
    mask = QpAttr.STATE | RTS | QpAttr.CUR_STATE
    found = await bench.run(modify(5, QpState.RTS, mask, cur_state=QpState.INIT))
    assert (found.status, bench.log) == (AdminStatus.BAD_STATE, [])
    await bench.succeed(modify(5, QpState.RTS, mask, cur_state=QpState.RTR))


SENDING = (QpAttr.PORT | QpAttr.AV | QpAttr.PKEY_INDEX | QpAttr.TIMEOUT | QpAttr.RETRY_CNT
           | QpAttr.RNR_RETRY | QpAttr.MAX_RD_ATOMIC)  # fmt: skip


@cocotb.test()
async def what_decides_how_messages_are_sent_changes_behind_the_last_of_them(dut):
    """rocev2 5.2: in SQD, AV and similar wait for the drain; the receiving side does not."""
    bench = await Bench.start(dut)
    await furnish(bench)
    await bench.succeed(create_qp(5, 1, 2))
    await lead_to(bench, 5, QpState.SQD)
    _, optional = TRANSITIONS[QpState.SQD, QpState.SQD]
    for attribute in optional:
        command = modify(5, QpState.SQD, QpAttr.STATE | attribute, timeout=3, dest_mac=0x1234)
        dut.qp_rd_drained.value = 0
        before = bench.qps[5]
        found = await bench.run(command)
        if attribute in SENDING:
            assert (found.status, bench.log, bench.qps[5]) == (AdminStatus.BUSY, [], before)
        else:
            assert found.status == AdminStatus.OK, attribute
        dut.qp_rd_drained.value = 1
        await bench.succeed(command)
    dut.qp_rd_drained.value = 0
    wrong = modify(5, QpState.SQD, QpAttr.STATE | QpAttr.AV | QpAttr.MAX_RD_ATOMIC)
    found = await bench.run(replace(wrong, max_rd_atomic=17))
    assert found.status == AdminStatus.BAD_PARAM_READS
    # Going on, or away, needs no drain, and nothing else looks at it.
    await bench.succeed(modify(5, QpState.RTS, QpAttr.STATE))
    await bench.succeed(modify(5, QpState.RTS, QpAttr.STATE | QpAttr.MIN_RNR_TIMER))
    await bench.succeed(modify(5, QpState.SQD, QpAttr.STATE))
    await bench.succeed(modify(5, QpState.ERR, QpAttr.STATE))


@cocotb.test()
async def a_path_mtu_that_the_port_cannot_carry_is_refused(dut):
    """The smallest port for each path MTU, and one byte less (rocev2 1.1: PMTU + 96)."""
    bench = await Bench.start(dut)
    await furnish(bench)
    await bench.succeed(create_qp(5, 1, 2))
    await lead_to(bench, 5, QpState.INIT)
    for port, codes in ((351, 0), (352, 1), (607, 1), (608, 2), (1119, 2), (1500, 3), (2143, 3),
                        (2144, 4), (4191, 4), (4192, 5), (9000, 5), (0, 0)):  # fmt: skip
        dut.port_mtu.value = port
        for code in {0, codes, codes + 1, 7}:
            found = await bench.run(modify(5, QpState.RTR, QpAttr.STATE | RTR, path_mtu=code))
            if 1 <= code <= codes:
                assert found.status == AdminStatus.OK, (port, code)
                assert bench.qps[5].path_mtu == code
                await lead_to(bench, 5, QpState.INIT)
            else:
                assert (found.status, bench.log) == (AdminStatus.BAD_PARAM_MTU, []), (port, code)


@cocotb.test()
async def the_end_of_a_drain_is_watched_for_when_asked(dut):
    bench = await Bench.start(dut, "half")
    await furnish(bench)
    await bench.succeed(create_qp(5, 1, 2))
    await lead_to(bench, 5, QpState.RTS)
    await bench.succeed(modify(5, QpState.SQD, QpAttr.STATE | QpAttr.EN_SQD_ASYNC_NOTIFY))
    assert bench.names() == ["m_qp", *DRAIN_SEND, "m_watch"]
    watch = bench.log[-1][1]
    assert (watch.qpn, watch.on) == (5, 1)


@cocotb.test()
async def a_shared_receive_queue_is_armed_and_asked(dut):
    bench = await Bench.start(dut)
    await bench.succeed(queue(Op.CREATE_SRQ, 2, limit=7))
    name, order = bench.log[-1]
    assert (name, order.srqn, order.create, order.arm, order.limit) == ("m_srq", 2, 1, 1, 7)
    for limit in (300, 0):
        await bench.succeed(queue(Op.MODIFY_SRQ, 2, limit=limit))
        assert bench.names() == ["m_srq"]
        order = bench.log[0][1]
        assert (order.create, order.arm, order.limit) == (0, int(limit > 0), limit)
    found = await bench.succeed(AdminCommand(opcode=Op.QUERY_SRQ, number=2))
    assert (bench.log[0][1].create, bench.log[0][1].arm) == (0, 0)
    assert found.detail == 0x4321_FF12_0000_FFF0


@cocotb.test()
async def a_key_is_gone_when_its_deregistration_completes(dut):
    bench = await Bench.start(dut)
    command = register(7)
    await bench.succeed(command)
    assert bench.names() == ["m_key"]
    entry = bench.keys[7]
    for name in ("key", "kind", "access", "direct", "page_shift", "pd", "base", "length", "pages"):
        assert getattr(entry, name) == getattr(command, name)
    assert entry.valid
    await bench.succeed(AdminKey(opcode=Op.DEREGISTER_KEY, number=7))
    assert bench.names() == ["m_key", *DRAIN]
    assert not bench.keys[7].valid
    await bench.succeed(register(7, kind=KeyKind.FAST_REG))
    assert not bench.keys[7].valid


@cocotb.test()
async def what_is_in_use_stays(dut):
    """A completion queue of both halves of two queue pairs counts each of them."""
    bench = await Bench.start(dut)
    await furnish(bench)
    gone = {"cq": AdminCommand(opcode=Op.DESTROY_CQ, number=1),
            "srq": AdminCommand(opcode=Op.DESTROY_SRQ, number=3),
            "eq": AdminCommand(opcode=Op.DESTROY_EQ, number=0)}  # fmt: skip
    await bench.succeed(create_qp(2, 1, 1, 3))
    await bench.succeed(create_qp(3, 1, 2, 3))
    await bench.succeed(create_qp(4, 2, 1))
    for number in (2, 4, 3):
        assert (await bench.run(gone["cq"])).status == AdminStatus.BUSY
        await bench.succeed(AdminCommand(opcode=Op.DESTROY_QP, number=number))
        srq = await bench.run(AdminCommand(opcode=Op.QUERY_SRQ, number=3))
        assert srq.status == AdminStatus.OK
        if number != 3:
            assert (await bench.run(gone["srq"])).status == AdminStatus.BUSY
    assert (await bench.run(gone["eq"])).status == AdminStatus.BUSY
    await bench.succeed(gone["cq"])
    await bench.succeed(gone["srq"])
    assert bench.names() == [*DRAIN, "m_rq", "m_srq"]
    assert (await bench.run(gone["eq"])).status == AdminStatus.BUSY
    await bench.succeed(AdminCommand(opcode=Op.DESTROY_CQ, number=2))
    await bench.succeed(gone["eq"])


@cocotb.test()
async def queries_tell_what_was_set(dut):
    bench = await Bench.start(dut)
    await furnish(bench)
    await bench.succeed(create_qp(6, 1, 1))
    await bench.succeed(modify(6, QpState.INIT, QpAttr.STATE | INIT))
    await bench.succeed(rtr := modify(6, QpState.RTR, QpAttr.STATE | RTR))
    found = await bench.succeed(AdminCommand(opcode=Op.QUERY_QP, number=6))
    assert found.detail == QpState.RTR
    record = AdminModifyQp.from_int(found.data << 64)
    for name in ("dest_qpn", "dest_gid", "dest_mac", "path_mtu", "udp_sport"):
        assert getattr(record, name) == getattr(rtr, name)
    found = await bench.succeed(AdminCommand(opcode=Op.QUERY_CQ, number=1))
    answer = bench.answer
    assert found.detail == answer.consumer << 32 | answer.producer
    await bench.succeed(mr := register(3, length=12345))
    found = await bench.succeed(AdminKey(opcode=Op.QUERY_KEY, number=3))
    record = AdminKey.from_int(found.data << 64)
    assert (record.base, record.length, found.detail & 0xFF) == (mr.base, 12345, mr.key)


# ---------- rings


@cocotb.test()
async def a_command_that_cannot_be_read_changes_nothing(dut):
    bench = await Bench.start(dut)
    found = await bench.run(queue(Op.CREATE_EQ, 0), error=True)
    assert found.status == AdminStatus.DMA_ERROR
    assert bench.log == []
    await bench.succeed(queue(Op.CREATE_EQ, 0))


@cocotb.test()
async def completions_wait_for_room(dut):
    bench = await Bench.start(dut, sq_log=4, cq_log=2)
    for _ in range(10):
        bench.write(AdminCommand(opcode=Op.NOP))
    await bench.ring()
    await cycles(dut, 1000)
    assert len(bench.host.written) == 4
    assert int(dut.admin_status.value) == 4 << 16 | 4
    for n in range(10):
        assert (await bench.wait()).sq_head <= n + 5
    await cycles(dut, 200)
    assert len(bench.host.written) == 10
    assert bench.irqs == [7] * 10


@cocotb.test()
async def an_offered_interrupt_is_not_taken_back(dut):
    """Also when interrupts are switched off meanwhile."""
    bench = await Bench.start(dut)
    bench.irq.paused = True
    await cycles(dut)
    await bench.run(AdminCommand(opcode=Op.NOP))
    await cycles(dut, 40)
    assert dut.m_irq_valid.value == 1
    config = int(dut.admin_config.value)
    dut.admin_config.value = config & ~2
    await cycles(dut, 10)
    bench.irq.paused = False
    await cycles(dut, 10)
    assert bench.irqs == [7]
    await bench.run(AdminCommand(opcode=Op.NOP))
    await cycles(dut, 40)
    assert bench.irqs == [7]


@cocotb.test()
async def disabling_the_queue_resets_its_indices(dut):
    """Even when it is enabled again before the command under way has ended."""
    bench = await Bench.start(dut)
    for _ in range(3):
        await bench.run(AdminCommand(opcode=Op.NOP))
    bench.drain_latency = 200
    await bench.run(register(1))
    bench.log.clear()
    bench.write(AdminKey(opcode=Op.DEREGISTER_KEY, number=1))
    await bench.ring()
    while "drain" not in bench.names():
        await cycles(dut)
    dut.admin_config.value = 0
    await cycles(dut, 3)
    await bench.enable()
    for _ in range(2000):
        await cycles(dut)
        if int(dut.admin_status.value) == 0:
            break
    assert int(dut.admin_status.value) == 0
    bench.host.bytes.clear()
    bench.drain_latency = 5
    found = await bench.run(AdminCommand(opcode=Op.NOP))
    assert (found.status, found.phase) == (AdminStatus.OK, 1)


@cocotb.test()
async def a_reset_ends_everything(dut):
    bench = await Bench.start(dut, "half")
    await furnish(bench)
    await bench.succeed(create_qp(5, 1, 2))
    bench.write(AdminCommand(opcode=Op.DESTROY_QP, number=5))
    await bench.ring()
    await cycles(dut, 60)
    dut.rst.value = 1
    ends = [*bench.sinks, bench.irq, *bench.host.ends]
    for end in ends:
        end.in_reset = True
    await cycles(dut, 30)
    for end in ends:
        end.clear()
        end.in_reset = False
    bench.host.clear()
    bench.host.bytes.clear()
    bench.fetches.clear()
    bench.qps.clear()
    dut.rst.value = 0
    await cycles(dut, 2)
    while dut.ready.value != 1:
        await cycles(dut)
    await bench.enable()
    found = await bench.run(AdminCommand(opcode=Op.QUERY_CQ, number=1))
    assert found.status == AdminStatus.NOT_FOUND
    await furnish(bench)


@cocotb.test()
async def indices_of_small_rings_go_round(dut):
    bench = await Bench.start(dut, sq_log=1, cq_log=1)
    for n in range(40):
        found = await bench.run(AdminCommand(opcode=Op.NOP))
        assert found.status == AdminStatus.OK
        await cycles(dut, 20)
        assert int(dut.admin_status.value) == (n + 1) << 16 | (n + 1)
