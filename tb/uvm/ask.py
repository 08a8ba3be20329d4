"""Admin commands beside the provider's own."""

from __future__ import annotations

from cocotb.triggers import Event

from driver_model.hw.admin import Command
from spec.layouts import AdminCqe
from tb.nic.ndk import Host


async def ask(host: Host, command: Command) -> AdminCqe:
    """Give a command to an adapter that its provider has brought up, and wait for its answer."""
    answers: list[AdminCqe] = []
    done = Event()

    def answered(answer: AdminCqe) -> None:
        answers.append(answer)
        done.set()

    host.facade.adapter.nic.submit(command, answered)
    await done.wait()
    return answers[0]
