"""Which queue pairs the provider lets give credits."""

from __future__ import annotations

import pytest

from driver_model.device_loopback import LoopbackDevice
from driver_model.facade import Facade
from driver_model.hw.nic import NicConfig
from driver_model.loopback.world import World
from spec.codes import AdminStatus
from spec.layouts import AdminCreateQp, AdminOp


@pytest.mark.parametrize("chosen", [True, False, None])
def test_queue_pairs_with_receives_of_their_own_give_credits(chosen: bool | None) -> None:
    """Unless the operator asked for none; those on a shared queue never do."""

    world = World()
    device = LoopbackDevice(world)

    async def story() -> None:
        choice = {} if chosen is None else {"credits": chosen}
        config = NicConfig(mac=bytes(6), addresses=("10.0.0.1",), **choice)
        facade = await Facade.open(device, config, world.event)
        pd, cq = await facade.create_pd(), await facade.create_cq(64)
        srq = await facade.create_srq(pd, 8)
        own = await facade.create_qp(pd, cq, cq)
        shared = await facade.create_qp(pd, cq, cq, srq=srq)
        assert device.nic.qps[own.number].fields.e2e_credits == (chosen is not False)
        assert device.nic.qps[shared.number].fields.e2e_credits == 0

    world.run(story())


def test_credits_of_a_shared_queue_are_refused_by_name() -> None:
    device = LoopbackDevice(World())
    command = AdminCreateQp(opcode=AdminOp.CREATE_QP, number=5, use_srq=1, e2e_credits=1)
    assert device.nic.command(command.pack()) == (AdminStatus.BAD_PARAM_CREDITS, 0)
