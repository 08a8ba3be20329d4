"""Any mix of requests gives the results it must, in order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from driver_model.ndkpi import OpFlag
from driver_model.status import Status
from tests.driver.pair import Pair, paired

STEP = st.tuples(
    st.sampled_from(["write", "read", "inline", "settle", "poll"]),
    st.booleans(),  # silent
    st.booleans(),  # deferred
    st.integers(1, 5),  # SGEs
)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, max_size=60), depth=st.integers(1, 6))
def test_results_are_those_of_the_loud_requests_in_posting_order(
    steps: list[tuple[str, bool, bool, int]], depth: int
) -> None:
    async def scenario(pair: Pair) -> None:
        a, b = pair.a, pair.b
        expected: list[int] = []
        got: list[object] = []
        for number, (kind, silent, defer, count) in enumerate(steps):
            if kind == "settle":
                pair.world.settle(5_000)
                continue
            if kind == "poll":
                got += [r.request_context for r in a.cq.poll(2)]
                continue
            flags = OpFlag.SILENT_SUCCESS * silent | OpFlag.DEFER * defer
            sges = [a.sge(10 * n, 10) for n in range(count)]
            where = (b.memory.address, b.token)
            if kind == "read":
                status = a.qp.read(number, sges, count, *where, flags)
            else:
                flags |= OpFlag.INLINE * (kind == "inline")
                status = a.qp.write(number, sges, count, *where, flags)
            assert status in (Status.SUCCESS, Status.NO_MORE_ENTRIES)
            if status is Status.SUCCESS and not silent:
                expected.append(number)
        while a.qp.write(-1, [], 0, 0, 0, 0) is Status.NO_MORE_ENTRIES:
            pair.world.settle(5_000)
        got += [r.request_context for r in await a.cq.results(len(expected) + 1 - len(got))]
        assert got == [*expected, -1]

    paired(scenario, depth=(1, depth), cq_depth=4 * depth + 64)
