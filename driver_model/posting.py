"""What every post checks before it takes a place in a queue."""

from __future__ import annotations

from collections.abc import Sequence

from driver_model.memory import HostMemory
from driver_model.ndkpi import NdkSge, OpFlag
from driver_model.status import Status
from spec.layouts import Sge, WqeFlag

_COMMON = OpFlag.SILENT_SUCCESS | OpFlag.READ_FENCE | OpFlag.DEFER
SEND_FLAGS = _COMMON | OpFlag.SEND_AND_SOLICIT_EVENT | OpFlag.INLINE
WRITE_FLAGS = _COMMON | OpFlag.INLINE
READ_FLAGS = _COMMON | OpFlag.RDMA_READ_LOCAL_INVALIDATE
FAST_REGISTER_FLAGS = (
    _COMMON | OpFlag.ALLOW_REMOTE_READ | OpFlag.ALLOW_REMOTE_WRITE | OpFlag.RDMA_READ_SINK
)
INVALIDATE_FLAGS = _COMMON


def check_sges(sges: Sequence[NdkSge], max_sges: int, max_length: int) -> Status:
    """The status of a list that is too long in either sense, or SUCCESS."""
    if len(sges) > max_sges:
        return Status.DATA_OVERRUN
    if sum(sge.length for sge in sges) > max_length:
        return Status.BUFFER_OVERFLOW
    return Status.SUCCESS


def hardware_sges(sges: Sequence[NdkSge]) -> list[Sge]:
    """The same list as the adapter reads it."""
    return [Sge(addr=sge.address, length=sge.length, token=sge.memory_region_token) for sge in sges]


def gather(memory: HostMemory, sges: Sequence[NdkSge]) -> bytes:
    """The bytes of inline data, copied now; tokens do not matter."""
    return b"".join(memory.read(sge.address, sge.length) for sge in sges if sge.length)


def hardware_flags(flags: int) -> WqeFlag:
    """Fence and solicitation; the rest is decided elsewhere."""
    result = WqeFlag(0)
    if flags & OpFlag.READ_FENCE:
        result |= WqeFlag.FENCE
    if flags & OpFlag.SEND_AND_SOLICIT_EVENT:
        result |= WqeFlag.SOLICITED
    return result
