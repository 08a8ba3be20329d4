"""Bring-up: what is checked, what is written where, the admin queue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driver_model.device_loopback import LoopbackDevice
from driver_model.hw import registers
from driver_model.hw.admin import CommandQueue
from driver_model.hw.fault import AdapterFault
from driver_model.hw.nic import Nic, NicConfig
from driver_model.hw.numbers import KeyPool, NumberPool
from driver_model.loopback.world import World
from driver_model.out_of_band import OutOfBandEndpoint, OutOfBandPath, to_rtr
from spec.codes import Mtu
from spec.layouts import AdminCommand, AdminCqe, AdminOp, AdminQueue

CONFIG = NicConfig(mac=bytes.fromhex("021122334455"), addresses=("10.0.0.1", "fe80::1:2"))


class Listening(LoopbackDevice):
    """Writes down what is written."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.writes: list[tuple[int, int]] = []

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        self.writes.append((offset, value))
        super().write32(offset, value)


def test_registers_get_what_the_operator_chose() -> None:
    world = World()
    device = Listening(world)
    world.run(Nic.bring_up(device, CONFIG))
    written = dict(device.writes)
    assert written[0x050] == 0x3322_1102
    assert written[0x054] == 0x5544
    assert written[0x058] & 0xFFFF == 4200
    assert [written[0x400 + 4 * n] for n in range(5)] == [0, 0, 0xFFFF_0000, 0x0100_000A, 3]
    assert [written[0x420 + 4 * n] for n in range(5)] == [0x80FE, 0, 0, 0x0200_0100, 1]
    assert written[0x040] == 3
    assert written[0x090] == 0x0000_5503


def test_adapter_is_off_while_it_is_set_up_and_on_last() -> None:
    world = World()
    device = Listening(world)
    world.run(Nic.bring_up(device, CONFIG))
    assert device.writes[0] == (0x040, 0)
    assert device.writes[-1] == (0x040, 3)
    flag_writes = [value for offset, value in device.writes if offset == 0x410]
    assert flag_writes == [0, 3]


@pytest.mark.parametrize(
    ("offset", "value"), [(0x000, 0x1234), (0x004, 2 << 16), (0x048, 0), (0x048, 2)]
)
def test_wrong_adapter_is_refused(offset: int, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registers, "READY_TIMEOUT_NS", 100_000)
    world = World()
    device = LoopbackDevice(world)
    device.registers[offset] = value
    with pytest.raises(AdapterFault):
        world.run(Nic.bring_up(device, CONFIG))


def test_bad_configuration_is_refused() -> None:
    world = World()
    bad = NicConfig(mac=bytes(5), addresses=())
    with pytest.raises(ValueError, match="a MAC"):
        world.run(Nic.bring_up(LoopbackDevice(world), bad))


@pytest.mark.parametrize(
    ("port", "largest"), [(352, 1), (607, 1), (1500, 3), (4191, 4), (4192, 5), (4200, 5), (9000, 5)]
)
def test_largest_path_mtu_of_a_port(port: int, largest: int) -> None:
    assert registers.largest_path_mtu(port) == largest


def test_port_too_small_for_any_path_mtu_is_refused() -> None:
    world = World()
    with pytest.raises(ValueError, match="351"):
        world.run(Nic.bring_up(LoopbackDevice(world), replace(CONFIG, port_mtu=351)))


def test_both_sides_of_a_path_take_what_both_ports_carry() -> None:
    here, there = (
        OutOfBandEndpoint(1, 2, bytes(16), bytes(6), path_mtu=m) for m in (Mtu(3), Mtu(5))
    )
    for local, peer in ((here, there), (there, here)):
        assert to_rtr(local, peer, OutOfBandPath()).path_mtu == 3
        assert to_rtr(local, peer, OutOfBandPath(path_mtu=Mtu(2))).path_mtu == 2
    assert to_rtr(there, there, OutOfBandPath()).path_mtu == 5


def test_more_commands_than_the_ring_holds_are_all_answered_in_order() -> None:
    world = World()
    device = LoopbackDevice(world)
    queue = CommandQueue(device, log_size=2)
    device.on_interrupt(0, queue.on_interrupt)
    queue.start()
    answers: list[tuple[int, AdminCqe]] = []
    for number in range(30):
        command = AdminCommand(opcode=AdminOp.DESTROY_QP, number=number)
        queue.submit(command, lambda answer, number=number: answers.append((number, answer)))
    assert answers == []
    assert not queue.idle
    world.settle()
    assert queue.idle
    assert [number for number, _ in answers] == list(range(30))
    assert [answer.tag for _, answer in answers] == list(range(30))


def test_command_given_inside_an_answer_is_carried_out() -> None:
    world = World()
    device = LoopbackDevice(world)
    queue = CommandQueue(device, log_size=1)
    device.on_interrupt(0, queue.on_interrupt)
    queue.start()
    statuses: list[int] = []
    create = AdminQueue(opcode=AdminOp.CREATE_EQ, number=0, log_size=4, base=0x1000)
    bad = AdminCommand(opcode=AdminOp.DESTROY_QP, number=3)

    def first(answer: AdminCqe) -> None:
        statuses.append(answer.status)
        queue.submit(bad, lambda second: statuses.append(second.status))

    queue.submit(create, first)
    world.settle()
    assert statuses == [0, 2]


def test_key_bytes_change_with_every_use_of_an_index() -> None:
    pool = KeyPool(3)
    first = [pool.take(), pool.take(), pool.take()]
    assert first == [0x101, 0x201, None]
    pool.give(0x101)
    assert pool.take() == 0x102
    numbers = NumberPool(2, 5)
    assert [numbers.take(), numbers.take()] == [2, 3]
    numbers.give(2)
    assert [numbers.take(), numbers.take(), numbers.take()] == [4, 2, None]
