"""The dispatch tables: NDK function names in slot order, and the methods behind them.

A slot is here when its function works. Absent for now, and then missing from the table rather than
present and failing: NdkCreateSharedEndpoint, NdkCreateConnector and NdkCreateListener (adapter),
NdkCreateMw (PD), NdkBind (QP), and with them the tables of MW, connector, listener and shared
endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from driver_model.ndkpi import ObjectType

DispatchTable = Mapping[str, Callable[..., Any]]

SLOTS: dict[ObjectType, tuple[tuple[str, str], ...]] = {
    ObjectType.ADAPTER: (
        ("NdkQueryExtension", "query_extension"),
        ("NdkQueryAdapterInfo", "query_adapter_info"),
        ("NdkCreateCq", "create_cq"),
        ("NdkCreatePd", "create_pd"),
        ("NdkBuildLAM", "build_lam"),
        ("NdkReleaseLAM", "release_lam"),
    ),
    ObjectType.CQ: (
        ("NdkCloseCq", "close"),
        ("NdkQueryExtension", "query_extension"),
        ("NdkResizeCq", "resize_cq"),
        ("NdkArmCq", "arm_cq"),
        ("NdkGetCqResults", "get_cq_results"),
        ("NdkControlCqInterruptModeration", "control_cq_interrupt_moderation"),
        ("NdkGetCqResultsEx", "get_cq_results_ex"),
    ),
    ObjectType.PD: (
        ("NdkClosePd", "close"),
        ("NdkQueryExtension", "query_extension"),
        ("NdkCreateMr", "create_mr"),
        ("NdkCreateSrq", "create_srq"),
        ("NdkCreateQp", "create_qp"),
        ("NdkCreateQpWithSrq", "create_qp_with_srq"),
        ("NdkGetPrivilegedMemoryRegionToken", "get_privileged_memory_region_token"),
    ),
    ObjectType.QP: (
        ("NdkCloseQp", "close"),
        ("NdkQueryExtension", "query_extension"),
        ("NdkFlush", "flush"),
        ("NdkSend", "send"),
        ("NdkReceive", "receive"),
        ("NdkFastRegister", "fast_register"),
        ("NdkInvalidate", "invalidate"),
        ("NdkRead", "read"),
        ("NdkWrite", "write"),
        ("NdkSendAndInvalidate", "send_and_invalidate"),
    ),
    ObjectType.SRQ: (
        ("NdkCloseSrq", "close"),
        ("NdkQueryExtension", "query_extension"),
        ("NdkModifySrq", "modify_srq"),
        ("NdkSrqReceive", "srq_receive"),
    ),
    ObjectType.MR: (
        ("NdkCloseMr", "close"),
        ("NdkQueryExtension", "query_extension"),
        ("NdkRegisterMr", "register_mr"),
        ("NdkDeregisterMr", "deregister_mr"),
        ("NdkInitializeFastRegisterMr", "initialize_fast_register_mr"),
        ("NdkGetRemoteTokenFromMr", "get_remote_token_from_mr"),
        ("NdkGetLocalTokenFromMr", "get_local_token_from_mr"),
    ),
}


_tables: dict[ObjectType, DispatchTable] = {}


def dispatch_table(cls: type, kind: ObjectType) -> DispatchTable:
    """The table that hangs on every object of a class."""
    if kind not in _tables:
        slots = {name: getattr(cls, method) for name, method in SLOTS[kind]}
        _tables[kind] = MappingProxyType(slots)
    return _tables[kind]
