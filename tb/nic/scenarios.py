"""Every scenario, as the cocotb module that a simulation loads."""

from __future__ import annotations

from tb.nic.scenario import SCENARIOS
from tb.nic.scenarios_basic import one_of_each
from tb.nic.scenarios_events import notifications
from tb.nic.scenarios_loss import lossy
from tb.nic.scenarios_many import many_qps, random_work
from tb.nic.scenarios_memory import fast_memory, invalidation, stale_token, unreadable_entries
from tb.nic.scenarios_shape import fence, inline, many_sges, privileged, pushed, silent
from tb.nic.scenarios_transfer import both_ways, ipv6, path_mtus, reads, sends, writes

__all__ = [
    "SCENARIOS",
    "both_ways",
    "fast_memory",
    "fence",
    "inline",
    "invalidation",
    "ipv6",
    "lossy",
    "many_qps",
    "many_sges",
    "notifications",
    "one_of_each",
    "path_mtus",
    "privileged",
    "pushed",
    "random_work",
    "reads",
    "sends",
    "silent",
    "stale_token",
    "unreadable_entries",
    "writes",
]
