"""The simulation of two adapters: one description, so that one build serves every test."""

from __future__ import annotations

from typing import Any

PAIR_TOP = "rnic_pair"
PAIR: dict[str, Any] = {"sources": ["tb/hdl/rnic_pair.sv"]}
