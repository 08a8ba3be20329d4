"""The parts that streams are joined with."""

from __future__ import annotations

import pytest

from tb.sim import Sim


@pytest.mark.parametrize("data_w", [1, 512])
def test_skid(sim: Sim, data_w: int) -> None:
    sim.run("stream_skid", tests="tb.blocks.stream_skid", params={"DATA_W": data_w})


def test_register(sim: Sim) -> None:
    sim.run("stream_register", tests="tb.blocks.stream_register")


@pytest.mark.parametrize(("depth", "registered"), [(2, 0), (16, 0), (4, 1), (16, 1)])
def test_fifo(sim: Sim, depth: int, registered: int) -> None:
    params = {"DATA_W": 40, "DEPTH": depth, "REGISTERED": registered}
    sim.run("stream_fifo", tests="tb.blocks.stream_fifo", params=params)


@pytest.mark.parametrize("hold_last", [0, 1])
@pytest.mark.parametrize("n", [2, 5])
def test_arbiter(sim: Sim, n: int, hold_last: int) -> None:
    params = {"N": n, "DATA_W": 24, "HOLD_LAST": hold_last}
    sim.run("stream_arbiter", tests="tb.blocks.stream_arbiter", params=params)


@pytest.mark.parametrize("n", [2, 3])
def test_demux(sim: Sim, n: int) -> None:
    sim.run(
        "stream_demux_bench",
        tests="tb.blocks.stream_demux",
        params={"N": n, "DATA_W": 24},
        sources=["tb/hdl/stream_demux_bench.sv"],
    )


def test_fork(sim: Sim) -> None:
    sim.run("stream_fork", tests="tb.blocks.stream_fork", params={"N": 3, "DATA_W": 8})


def test_drain(sim: Sim) -> None:
    sim.run("stream_drain", tests="tb.blocks.stream_drain")


@pytest.mark.parametrize("count", [1, 4, 16])
def test_once(sim: Sim, count: int) -> None:
    sim.run("stream_once", tests="tb.blocks.stream_once", params={"COUNT": count})
