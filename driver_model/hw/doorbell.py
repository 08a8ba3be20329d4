"""Doorbells: how the adapter is told that an index moved."""

from __future__ import annotations

from driver_model.device import Device
from spec.layouts import PUSH_OFFSET, ArmType, CqDoorbell, Doorbell, QueueDoorbell

PUSH_WINDOWS = 1024


def ring_queue(device: Device, kind: Doorbell, number: int, index: int) -> None:
    """Publish the index of a send, receive, shared receive or event queue."""
    device.ring(kind, QueueDoorbell(number=number, index=index & 0xFFFF).pack())


def ring_cq(
    device: Device, number: int, index: int, arm: ArmType = ArmType.NONE, arm_seq: int = 0
) -> None:
    """Publish the consumer index of a completion queue, and arm it."""
    doorbell = CqDoorbell(number=number, arm=arm, arm_seq=arm_seq & 3, index=index & 0xFF_FFFF)
    device.ring(Doorbell.CQ, doorbell.pack())


def push_block(device: Device, qpn: int, block: bytes) -> None:
    """Hand over a one-block WQE, which also stands in the ring."""
    device.ring(PUSH_OFFSET + 64 * qpn, block)
