"""Page lists: where the adapter reads which pages a region is made of."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from driver_model.device import Device, DmaBuffer
from driver_model.ndkpi import PAGE_SIZE


def write_pages(buffer: DmaBuffer, pages: Sequence[int]) -> None:
    """Put page addresses into a list, 8 bytes each."""
    buffer.memory[: 8 * len(pages)] = struct.pack(f"<{len(pages)}Q", *pages)


@dataclass(frozen=True, slots=True)
class PageList:
    """A list in host memory, or one address when the pages follow each other anyway."""

    address: int
    direct: bool
    buffer: DmaBuffer | None

    @classmethod
    def build(cls, device: Device, pages: Sequence[int], offset: int) -> PageList:
        """The shortest description of a region that begins `offset` bytes into its first page."""
        if all(page == pages[0] + PAGE_SIZE * n for n, page in enumerate(pages)):
            return cls(pages[0] + offset, True, None)
        buffer = device.allocate(8 * len(pages))
        write_pages(buffer, pages)
        return cls(buffer.bus_address, False, buffer)

    def free(self, device: Device) -> None:
        """Give the list back."""
        if self.buffer is not None:
            device.free(self.buffer)
