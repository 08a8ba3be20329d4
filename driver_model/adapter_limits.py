"""Limits of the provider that the hardware does not set."""

from __future__ import annotations

MAX_REGISTRATION = 1 << 40
FRMR_PAGES = 256
MAX_FRMR_PAGES = 1 << 16
MAX_CQ_DEPTH = 1 << 14
MAX_SEND_DEPTH = 1 << 12
MAX_RECEIVE_DEPTH = 1 << 14
LARGE_REQUEST = 4096
