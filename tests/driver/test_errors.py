"""Failures: status of the first, flush of the rest, the error state, close."""

from __future__ import annotations

import pytest

from driver_model.facade import connect_pair
from driver_model.hw.fault import AdapterFault
from driver_model.ndkpi import NdkSge, OperationType, OpFlag
from driver_model.status import NdisStatus, Status, admin_status, completion_status, nt_success
from spec.codes import AdminStatus, CqeStatus, QpState
from spec.layouts import Cqe, CqeOp
from tests.driver.pair import Pair, Side, paired

SEND, RECEIVE, LOCAL = OperationType.SEND, OperationType.RECEIVE, OperationType.FAST_REGISTER


@pytest.mark.parametrize(
    ("hardware", "operation", "status"),
    [
        (CqeStatus.SUCCESS, SEND, 0x0000_0000),
        (CqeStatus.WR_FLUSH_ERR, SEND, 0xC000_0120),
        (CqeStatus.WR_FLUSH_ERR, RECEIVE, 0xC000_0120),
        (CqeStatus.LOC_LEN_ERR, RECEIVE, 0x8000_0005),
        (CqeStatus.LOC_LEN_ERR, OperationType.WRITE, 0xC000_003C),
        (CqeStatus.LOC_PROT_ERR, SEND, 0xC000_0005),
        (CqeStatus.LOC_PROT_ERR, RECEIVE, 0xC000_0005),
        (CqeStatus.LOC_PROT_ERR, LOCAL, 0xC000_0010),
        (CqeStatus.LOC_PROT_ERR, OperationType.INVALIDATE, 0xC000_0010),
        (CqeStatus.LOC_QP_OP_ERR, OperationType.READ, 0xC000_0010),
        (CqeStatus.MW_BIND_ERR, OperationType.BIND, 0xC000_0010),
        (CqeStatus.REM_ACCESS_ERR, OperationType.WRITE, 0xC000_0005),
        (CqeStatus.REM_INV_REQ_ERR, SEND, 0xC000_013D),
        (CqeStatus.REM_OP_ERR, SEND, 0xC000_013D),
        (CqeStatus.RETRY_EXC_ERR, SEND, 0xC000_00B5),
        (CqeStatus.RNR_RETRY_EXC_ERR, SEND, 0xC000_00B5),
        (CqeStatus.FATAL_ERR, SEND, 0xC000_00E5),
        (CqeStatus.GENERAL_ERR, RECEIVE, 0xC000_00E5),
        (99, SEND, 0xC000_00E5),
    ],
)
def test_completion_maps_to_status(hardware: int, operation: OperationType, status: int) -> None:
    assert completion_status(hardware, operation) == status


def test_status_families() -> None:
    assert nt_success(Status.PENDING)
    assert not nt_success(Status.NO_MORE_ENTRIES)
    assert admin_status(AdminStatus.OK) is Status.SUCCESS
    assert admin_status(AdminStatus.NO_RESOURCE) is Status.INSUFFICIENT_RESOURCES
    assert admin_status(AdminStatus.BAD_PARAM_PD) is Status.INTERNAL_ERROR
    assert NdisStatus.BAD_VERSION == 0xC001_0004


def test_first_failure_is_followed_by_cancelled_in_both_queues() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        a.qp.receive("receive", [a.sge()], 1)
        b.qp.receive("theirs", [b.sge()], 1)
        where = (b.memory.address, b.token)
        a.qp.write("silent", [a.sge()], 1, *where, OpFlag.SILENT_SUCCESS)
        a.qp.write("bad", [a.sge()], 1, where[0], 0xBAD, OpFlag.SILENT_SUCCESS)
        a.qp.write("after", [a.sge()], 1, *where, OpFlag.SILENT_SUCCESS)
        a.qp.send("last", [a.sge()], 1, 0)
        results = await a.cq.results(4)
        sends = [r for r in results if r.type is not RECEIVE]
        assert [(r.request_context, r.status) for r in sends] == [
            ("bad", Status.ACCESS_VIOLATION),
            ("after", Status.CANCELLED),
            ("last", Status.CANCELLED),
        ]
        assert all(r.provider_error_code for r in results)
        (theirs,) = await b.cq.results(1)
        assert (theirs.request_context, theirs.status) == ("theirs", Status.CANCELLED)
        assert a.qp.send("late", [], 0, OpFlag.SILENT_SUCCESS) is Status.SUCCESS
        assert a.qp.receive("late receive", [], 0) is Status.SUCCESS
        late = await a.cq.results(2)
        assert {(r.request_context, r.status) for r in late} == {
            ("late", Status.CANCELLED),
            ("late receive", Status.CANCELLED),
        }

    paired(scenario)


@pytest.mark.parametrize("kind", ["token", "range", "pd"])
def test_bad_local_memory_completes_with_access_violation(kind: str) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        b.qp.receive(None, [b.sge()], 1)
        if kind == "pd":
            other = await a.facade.create_pd()
            mr = await a.facade.register(other, a.memory)
            sge = NdkSge(a.memory.address, 4, mr.get_local_token_from_mr())
        else:
            sge = NdkSge(a.memory.address + (40_000 - 3) * (kind == "range"), 4, a.token)
            if kind == "token":
                sge = NdkSge(sge.address, 4, a.token ^ 1)
        assert a.qp.send(None, [sge], 1, 0) is Status.SUCCESS
        (result,) = await a.cq.results(1)
        assert result.status == Status.ACCESS_VIOLATION

    paired(scenario)


def test_send_longer_than_the_receive() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        b.qp.receive(None, [b.sge(0, 10)], 1)
        a.qp.send(None, [a.sge(0, 11)], 1, 0)
        (sent,) = await a.cq.results(1)
        (got,) = await b.cq.results(1)
        assert (sent.status, got.status) == (Status.REMOTE_RESOURCES, Status.BUFFER_OVERFLOW)
        assert got.type is RECEIVE

    paired(scenario)


def test_send_without_receive_times_out() -> None:
    async def scenario(pair: Pair) -> None:
        pair.a.qp.send(None, [], 0, 0)
        (sent,) = await pair.a.cq.results(1)
        assert sent.status == Status.IO_TIMEOUT

    paired(scenario)


def test_read_with_a_limit_of_zero_is_an_invalid_request() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        await connect_pair((a.facade, a.qp), (b.facade, b.qp), outbound=0)
        a.qp.read(None, [a.sge()], 1, b.memory.address, b.token, 0)
        (result,) = await a.cq.results(1)
        assert result.status == Status.INVALID_DEVICE_REQUEST

    paired(scenario, connected=False)


def test_flush_cancels_what_is_pending_deferred_requests_included() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        for number in range(3):
            a.qp.receive(number, [a.sge()], 1)
        a.qp.send("waits for a receive", [], 0, 0)
        a.qp.send("deferred", [], 0, OpFlag.DEFER | OpFlag.SILENT_SUCCESS)
        a.qp.flush()
        a.qp.send("posted after", [], 0, 0)
        results = await a.cq.results(6)
        assert {r.status for r in results} == {Status.CANCELLED}
        sends = [r.request_context for r in results if r.type is SEND]
        assert sends == ["waits for a receive", "deferred", "posted after"]
        assert [r.request_context for r in results if r.type is RECEIVE] == [0, 1, 2]
        pair.world.settle()
        assert a.cq.poll() == []
        assert b.cq.poll() == []

    paired(scenario)


def test_flush_of_an_idle_queue_pair_says_nothing_and_leaves_others_alone() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        other = await a.facade.create_qp(a.pd, a.cq, a.cq)
        other.receive("other", [a.sge()], 1)
        a.qp.flush()
        pair.world.settle()
        assert a.cq.poll() == []
        other.flush()
        (result,) = await a.cq.results(1)
        assert (result.request_context, result.status) == ("other", Status.CANCELLED)
        assert other.send(None, [], 0, 0) is Status.CONNECTION_INVALID
        del b

    paired(scenario)


def test_close_answers_for_every_request_and_hides_silent_successes() -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        where = (b.memory.address, b.token)
        for number in range(3):
            a.qp.write(number, [a.sge()], 1, *where, OpFlag.SILENT_SUCCESS)
        pair.world.settle()
        a.qp.send("no receive", [], 0, OpFlag.SILENT_SUCCESS)
        a.qp.write("behind", [a.sge()], 1, *where, OpFlag.SILENT_SUCCESS)
        a.qp.receive("receive", [a.sge()], 1)
        await a.facade.close(a.qp)
        results = a.cq.poll()
        assert {r.status for r in results} == {Status.CANCELLED}
        contexts = [r.request_context for r in results]
        assert sorted(contexts, key=str) == ["behind", "no receive", "receive"]
        assert contexts.index("no receive") < contexts.index("behind")

    paired(scenario)


def test_close_does_not_wait_for_an_adapter_that_answers_nothing() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        a.device.nic.work = lambda _qp: None
        a.qp.send("lost", [], 0, OpFlag.SILENT_SUCCESS)
        a.qp.receive("lost too", [], 0)
        await a.facade.close(a.qp)
        results = a.cq.poll()
        assert [(r.request_context, r.status) for r in results] == [
            ("lost", Status.CANCELLED),
            ("lost too", Status.CANCELLED),
        ]
        await a.facade.close(a.mr, a.cq.cq, a.pd)

    paired(scenario)


def test_adapter_that_contradicts_itself_is_noticed() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        ring = a.device.nic.cqs[a.cq.cq.number]
        ring.post(Cqe(wr_id=77, qpn=a.qp.number, opcode=CqeOp.RECV))
        with pytest.raises(AdapterFault):
            a.cq.poll()
        ring.post(Cqe(wr_id=0, qpn=99, opcode=CqeOp.SEND))
        with pytest.raises(AdapterFault):
            a.cq.poll()

    paired(scenario)


def unreadable(index: int, a: Side, opcode: CqeOp) -> Cqe:
    """What the adapter says of an entry that it could not read: it does not know its wr_id."""
    return Cqe(wqe_index=index, qpn=a.qp.number, opcode=opcode, status=CqeStatus.LOC_QP_OP_ERR)


def test_entries_that_the_adapter_could_not_read_end_too() -> None:
    """The first is known by its index; those it passed over are flushed by what comes behind."""

    async def scenario(pair: Pair) -> None:
        a = pair.a
        nic = a.device.nic
        qp = nic.qps[a.qp.number]
        work, nic.work = nic.work, lambda _qp: None
        for context in ("fine", "bad", "passed over", "passed over too"):
            a.qp.send(context, [], 0, OpFlag.SILENT_SUCCESS if context == "fine" else 0)
        assert qp.producer == 4
        qp.state = QpState.ERR
        qp.fetch = 4
        nic.cqs[a.cq.cq.number].post(unreadable(2, a, CqeOp.SEND))
        nic.work = work
        results = []
        for _ in range(20):
            results += a.cq.poll()
            await pair.pause(1000)
        assert [(r.request_context, r.status) for r in results] == [
            ("bad", Status.INVALID_DEVICE_REQUEST),
            ("passed over", Status.CANCELLED),
            ("passed over too", Status.CANCELLED),
        ]

    paired(scenario)


def test_receive_that_the_adapter_could_not_read_ends_too() -> None:
    async def scenario(pair: Pair) -> None:
        a = pair.a
        for number in range(3):
            a.qp.receive(number, [], 0)
        ring = a.device.nic.cqs[a.cq.cq.number]
        for index in range(3):
            ring.post(unreadable(index, a, CqeOp.RECV))
        results = a.cq.poll()
        assert [r.request_context for r in results] == [0, 1, 2]
        assert {r.status for r in results} == {Status.INVALID_DEVICE_REQUEST}

    paired(scenario)
