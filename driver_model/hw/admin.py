"""The admin queue: commands go in, each calls back with its answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from driver_model.device import Device
from driver_model.hw.phase_ring import new_entry
from spec.layouts import (
    AdminCommand,
    AdminCqe,
    AdminCreateQp,
    AdminKey,
    AdminModifyQp,
    AdminQueue,
)
from spec.registers import (
    AdminConfigReg,
    AdminCqHiReg,
    AdminCqIndexReg,
    AdminCqLoReg,
    AdminDoorbellReg,
    AdminSqHiReg,
    AdminSqLoReg,
)

Command = AdminCommand | AdminQueue | AdminCreateQp | AdminModifyQp | AdminKey
Answered = Callable[[AdminCqe], None]
ENTRY = AdminCqe.SIZE


class CommandQueue:
    """Submission and completion ring; any number of commands, as many in the ring as fit."""

    def __init__(self, device: Device, log_size: int = 5, vector: int = 0) -> None:
        self._device = device
        self._size = 1 << log_size
        self._log = log_size
        self._vector = vector
        self._commands = device.allocate(self._size * ENTRY)
        self._answers = device.allocate(self._size * ENTRY)
        self._producer = 0
        self._consumer = 0
        self._waiting: deque[tuple[Command, Answered]] = deque()
        self._inside: dict[int, Answered] = {}

    def start(self) -> None:
        """Tell the adapter where the rings are and let it fetch."""
        write = self._device.write32
        disabled = AdminConfigReg(sq_log=self._log, cq_log=self._log, vector=self._vector)
        write(AdminConfigReg.ADDRESS, disabled.to_int())
        write(AdminSqLoReg.ADDRESS, self._commands.bus_address & 0xFFFF_FFFF)
        write(AdminSqHiReg.ADDRESS, self._commands.bus_address >> 32)
        write(AdminCqLoReg.ADDRESS, self._answers.bus_address & 0xFFFF_FFFF)
        write(AdminCqHiReg.ADDRESS, self._answers.bus_address >> 32)
        enabled = replace(disabled, enable=1, irq_enable=1)
        write(AdminConfigReg.ADDRESS, enabled.to_int())

    @property
    def idle(self) -> bool:
        """Every command has been answered."""
        return not self._inside and not self._waiting

    def submit(self, command: Command, answered: Answered) -> None:
        """Give a command; `answered` is called once, after this call has returned."""
        self._waiting.append((command, answered))
        self._feed()

    def _feed(self) -> None:
        fed = False
        while self._waiting and len(self._inside) < self._size:
            command, answered = self._waiting.popleft()
            tag = self._producer & 0xFFFF
            place = (self._producer % self._size) * ENTRY
            self._commands.memory[place : place + ENTRY] = replace(command, tag=tag).pack()
            self._inside[tag] = answered
            self._producer += 1
            fed = True
        if fed:
            self._device.write32(AdminDoorbellReg.ADDRESS, self._producer & 0xFFFF)

    def on_interrupt(self) -> None:
        """Take every answer that is there, free its place, then call back."""
        done: list[tuple[Answered, AdminCqe]] = []
        while (answer := self._next()) is not None:
            done.append((self._inside.pop(answer.tag), answer))
        if done:
            self._device.write32(AdminCqIndexReg.ADDRESS, self._consumer & 0xFFFF)
            self._feed()
        for answered, answer in done:
            answered(answer)

    def _next(self) -> AdminCqe | None:
        entry = new_entry(self._answers.memory, ENTRY, self._log, self._consumer)
        if entry is None:
            return None
        self._consumer += 1
        return AdminCqe.unpack(entry)
