"""Logical address mappings: the pages of a buffer as the adapter's DMA sees them."""

from __future__ import annotations

from driver_model.memory import Mdl, mdl_pages
from driver_model.ndkpi import PAGE_SIZE, NdkLogicalAddressMapping, Out
from driver_model.status import Status

HEAD_BYTES = 16
ENTRY_BYTES = 8


def mapping_size(pages: int) -> int:
    """Bytes of NDK_LOGICAL_ADDRESS_MAPPING for so many pages."""
    return HEAD_BYTES + ENTRY_BYTES * pages


def build_mapping(
    mdl: Mdl,
    length: int,
    lam: NdkLogicalAddressMapping | None,
    lam_size: Out[int],
    fbo: Out[int],
) -> Status:
    """What NdkBuildLAM does: bus addresses are logical addresses, so nothing is held afterwards."""
    pages = mdl_pages(mdl, length) if length > 0 else None
    if pages is None:
        return Status.INVALID_PARAMETER
    offered = lam_size.value or 0
    lam_size.value = mapping_size(len(pages))
    if lam is None or offered < lam_size.value:
        return Status.BUFFER_TOO_SMALL
    lam.adapter_page_array[:] = pages
    fbo.value = mdl.virtual_address % PAGE_SIZE
    return Status.SUCCESS
