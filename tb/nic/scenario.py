"""How a scenario becomes a simulation test, and the list of all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import cocotb

from driver_model.hw.send_queue import PushMode
from tb.nic.ndk import World
from tb.nic.pair import Pair

SMALL = "RNIC_SMALL"
SPOIL = "RNIC_SPOIL"
"""Set to see that the judge can say no: one bit of a guard zone changes behind its back."""
HUNDRED_GIGABIT = 50.0
"""Bytes of a 100 Gbit/s wire in a cycle of 4 ns, preamble and gap included."""
Body = Callable[[World], Coroutine[Any, Any, None]]
Knobs = Callable[[int], dict[str, Any]]


def hundred_gigabit(_seed: int) -> dict[str, Any]:
    """A wire that is slower than the device's streams."""
    return {"rate": HUNDRED_GIGABIT}


def no_knobs(_seed: int) -> dict[str, Any]:
    """Everything ideal: frames follow each other without a gap at 64 bytes a cycle."""
    return {}


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is known of a scenario without running it."""

    name: str
    about: str
    body: Body
    quick: bool  # short enough for Icarus
    push: PushMode
    healthy: bool  # nothing goes wrong on purpose
    knobs: Knobs = field(default=no_knobs)  # of the pair, from the seed


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *,
    quick: bool = False,
    push: PushMode = PushMode.INLINE_WHEN_EMPTY,
    healthy: bool = True,
    knobs: Knobs = no_knobs,
) -> Callable[[Body], Any]:
    """Make a scenario of a coroutine that takes a `World` with both adapters up."""

    def register(body: Body) -> Any:
        name = body.__name__
        about = (body.__doc__ or "").split("\n", maxsplit=1)[0]
        entry = Scenario(name, about, body, quick, push, healthy, knobs)
        SCENARIOS[name] = entry

        async def test(dut: Any) -> None:
            await play(dut, entry)

        test.__name__ = test.__qualname__ = name
        test.__doc__ = body.__doc__
        test.__module__ = body.__module__
        return cocotb.test()(test)

    return register


async def play(dut: Any, entry: Scenario) -> None:
    """Bring both adapters up, run the body, check everything, take everything down."""
    seed = int(cocotb.RANDOM_SEED)
    small = os.environ.get(SMALL, "0") == "1"
    pair = await Pair.start(dut, seed=seed, pcap=f"{entry.name}.pcap", **entry.knobs(seed))
    world = World(pair, entry.name, seed, small)
    world.progress.tell("start", cycle=world.now())
    try:
        await world.open(entry.push)
        await entry.body(world)
        if os.environ.get(SPOIL):
            world.spoil()
        await world.check_quiet(entry.healthy)
        await world.close()
    except BaseException as error:
        world.progress.tell("end", ok=False, why=str(error)[:500], cycle=world.now())
        raise
    else:
        world.progress.tell("end", ok=True, cycle=world.now())
    finally:
        world.progress.close()
