"""How large a queue pair is, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from driver_model.hw.wqe import inline_blocks, sge_blocks
from driver_model.ndkpi import NdkAdapterInfo


class QpPhase(Enum):
    """What a queue pair may do."""

    IDLE = "never connected"
    CONNECTING = "being connected"
    CONNECTED = "connected"
    ERROR = "in error: everything is flushed"


@dataclass(frozen=True, slots=True)
class QpShape:
    """The five numbers of NdkCreateQp."""

    receive_queue_depth: int
    initiator_queue_depth: int
    max_receive_request_sge: int
    max_initiator_request_sge: int
    inline_data_size: int

    def fits(self, info: NdkAdapterInfo) -> bool:
        """No number exceeds its limit."""
        return (
            self.receive_queue_depth <= info.max_receive_queue_depth
            and self.initiator_queue_depth <= info.max_initiator_queue_depth
            and self.max_receive_request_sge <= info.max_receive_request_sge
            and self.max_initiator_request_sge <= info.max_initiator_request_sge
            and self.inline_data_size <= info.max_inline_data_size
        )

    def blocks_each(self, info: NdkAdapterInfo) -> int:
        """Blocks of the longest entry; a read may be longer than the shape says."""
        return max(
            sge_blocks(self.max_initiator_request_sge),
            sge_blocks(info.max_read_request_sge),
            inline_blocks(self.inline_data_size),
        )
