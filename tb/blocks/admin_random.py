"""rnic_admin: random commands, right and wrong, against the model of what exists."""

from __future__ import annotations

import random

import cocotb

from spec.codes import AdminStatus, QpState
from spec.layouts import AdminCommand, AdminKey, AdminModifyQp, AdminOp, QpAttr
from tb.blocks.admin_bench import CQS, EQS, KEYS, QPS, SRQS, Bench
from tb.blocks.admin_commands import create_qp, modify, queue, register
from tb.blocks.admin_model import TRANSITIONS, Objects

Op = AdminOp
LIMITS = {"eq": EQS, "cq": CQS, "srq": SRQS, "qp": QPS, "key": KEYS}


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
