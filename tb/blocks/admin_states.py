"""rnic_admin: states of a queue pair, and what may change in each of them."""

from __future__ import annotations

from dataclasses import replace

import cocotb

from spec.codes import AdminStatus, QpState
from spec.layouts import QpAttr
from tb.blocks.admin_bench import Bench
from tb.blocks.admin_commands import create_qp, furnish, lead_to, modify
from tb.blocks.admin_model import RTR, RTS, TRANSITIONS

DRAIN_SEND = ["drain", "drained"] * 2
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
