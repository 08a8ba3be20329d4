"""rnic_admin: what a command says to whom, in which order."""

from __future__ import annotations

import cocotb

from spec.codes import AdminStatus, CqeStatus, QpState
from spec.layouts import AdminCommand, AdminKey, AdminModifyQp, AdminOp, KeyKind, QpAttr
from spec.streams import QpInitOp
from tb.blocks.admin_bench import DRAINS, INITS, QPS, Bench
from tb.blocks.admin_commands import create_qp, furnish, modify, queue, register
from tb.blocks.admin_model import INIT, RTR, RTS

Op = AdminOp
DRAIN = ["drain", "drained"] * DRAINS
DRAIN_SEND = ["drain", "drained"] * 2


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
