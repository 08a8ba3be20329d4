"""The register map of the AXI4-Lite port: identity, control, admin queue, tables, counters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import ClassVar

from spec.codes import Stat
from spec.fields import Record, Register, RegisterKind, bits

RO = RegisterKind.READ_ONLY
WO = RegisterKind.COMMAND

CSR_BYTES = 0x1000
CSR_MAGIC = 0x52_4E_49_43
INTERFACE_VERSION = 1
GID_BASE = 0x400
GID_STRIDE = 32
GID_COUNT = 16
STAT_BASE = 0x800
STAT_COUNT = 64


class Feature(IntFlag):
    """What this adapter can do beyond RC."""

    UD = 1
    UC = 2
    ATOMICS = 4
    SRQ = 8
    MEMORY_WINDOWS = 16
    FAST_REGISTER = 32
    RAW_QUEUE = 64
    ECN = 128


@dataclass(frozen=True, slots=True)
class IdReg(Register):
    """Tells software that this is the adapter it expects."""

    ADDRESS: ClassVar[int] = 0x000
    KIND: ClassVar[RegisterKind] = RO
    magic: int = bits(0, 32, "0x524E4943", default=CSR_MAGIC)


@dataclass(frozen=True, slots=True)
class VersionReg(Register):
    """Version of the programming interface."""

    ADDRESS: ClassVar[int] = 0x004
    KIND: ClassVar[RegisterKind] = RO
    minor: int = bits(0, 16, "changes software may ignore")
    major: int = bits(16, 16, "changes it may not", default=INTERFACE_VERSION)


@dataclass(frozen=True, slots=True)
class QpLimitsReg(Register):
    """How many queue pairs and shared receive queues there are."""

    ADDRESS: ClassVar[int] = 0x008
    KIND: ClassVar[RegisterKind] = RO
    qp_count: int = bits(0, 24, "queue pairs, counting numbers 0 and 1")
    srq_count: int = bits(24, 8, "shared receive queues")


@dataclass(frozen=True, slots=True)
class CqLimitsReg(Register):
    """How many completion and event queues there are."""

    ADDRESS: ClassVar[int] = 0x00C
    KIND: ClassVar[RegisterKind] = RO
    cq_count: int = bits(0, 24, "completion queues")
    eq_count: int = bits(24, 8, "event queues, as many interrupt vectors")


@dataclass(frozen=True, slots=True)
class KeyLimitsReg(Register):
    """How many memory keys there are."""

    ADDRESS: ClassVar[int] = 0x010
    KIND: ClassVar[RegisterKind] = RO
    key_count: int = bits(0, 24, "entries of the key table, privileged key included")


@dataclass(frozen=True, slots=True)
class WrLimitsReg(Register):
    """How large one work request may be."""

    ADDRESS: ClassVar[int] = 0x014
    KIND: ClassVar[RegisterKind] = RO
    max_send_sge: int = bits(0, 8, "SGEs of a send or write")
    max_recv_sge: int = bits(8, 8, "SGEs of a receive")
    max_inline: int = bits(16, 16, "inline bytes")


@dataclass(frozen=True, slots=True)
class ReadLimitsReg(Register):
    """How many reads and atomics a queue pair may have outstanding, and the largest path MTU."""

    ADDRESS: ClassVar[int] = 0x018
    KIND: ClassVar[RegisterKind] = RO
    max_reads_out: int = bits(0, 8, "as requester")
    max_reads_in: int = bits(8, 8, "as responder")
    max_read_sge: int = bits(16, 8, "SGEs of a read")
    max_mtu: int = bits(24, 3, "Mtu code")


@dataclass(frozen=True, slots=True)
class FeaturesReg(Register):
    """Optional abilities."""

    ADDRESS: ClassVar[int] = 0x01C
    KIND: ClassVar[RegisterKind] = RO
    features: Feature = bits(0, 32, "Feature bits")


@dataclass(frozen=True, slots=True)
class ControlReg(Register):
    """What the adapter may do."""

    ADDRESS: ClassVar[int] = 0x040
    rx_enable: int = bits(0, 1, "receive frames; without it all are dropped as DISABLED")
    tx_enable: int = bits(1, 1, "start work on doorbells")


@dataclass(frozen=True, slots=True)
class CommandReg(Register):
    """Things that happen once."""

    ADDRESS: ClassVar[int] = 0x044
    KIND: ClassVar[RegisterKind] = WO
    soft_reset: int = bits(
        0,
        1,
        "forget all objects, as after power-up; registers keep their values; answers of the host "
        "are waited for, but no longer than 16384 ACK ticks",
    )


@dataclass(frozen=True, slots=True)
class StatusReg(Register):
    """How the adapter is."""

    ADDRESS: ClassVar[int] = 0x048
    KIND: ClassVar[RegisterKind] = RO
    ready: int = bits(0, 1, "tables are initialised, commands may be given")
    fatal: int = bits(1, 1, "an error that only a reset ends")
    host_owes: int = bits(
        2,
        1,
        "the host has not answered all that began before a soft reset; keep that memory until it has",
    )
    fatal_cause: int = bits(8, 8, "number of the block that gave up")


@dataclass(frozen=True, slots=True)
class ScratchReg(Register):
    """For software alone."""

    ADDRESS: ClassVar[int] = 0x04C
    value: int = bits(0, 32, "anything")


@dataclass(frozen=True, slots=True)
class MacLoReg(Register):
    """Port MAC, the four bytes that go first on the wire."""

    ADDRESS: ClassVar[int] = 0x050
    value: int = bits(0, 32, "first byte of the wire lowest")


@dataclass(frozen=True, slots=True)
class MacHiReg(Register):
    """Port MAC, its last two bytes."""

    ADDRESS: ClassVar[int] = 0x054
    value: int = bits(0, 16, "fifth byte of the wire lowest")


@dataclass(frozen=True, slots=True)
class PortReg(Register):
    """The Ethernet port."""

    ADDRESS: ClassVar[int] = 0x058
    mtu: int = bits(
        0, 16, "largest IP packet; a path MTU must leave 96 of it for headers", default=4200
    )
    promiscuous: int = bits(16, 1, "raw queue takes frames for every MAC")
    all_multicast: int = bits(17, 1, "raw queue takes frames for every group", default=1)


@dataclass(frozen=True, slots=True)
class OptionsReg(Register):
    """Freedoms that the transport leaves."""

    ADDRESS: ClassVar[int] = 0x060
    migreq: int = bits(0, 1, "MigReq bit of sent packets", default=1)
    ack_every: int = bits(8, 8, "requests that one acknowledge may cover", default=16)
    ack_delay: int = bits(16, 16, "cycles that an acknowledge may wait for more", default=256)


@dataclass(frozen=True, slots=True)
class TimebaseReg(Register):
    """What time is in clock cycles; the defaults are for 250 MHz."""

    ADDRESS: ClassVar[int] = 0x064
    ack_tick: int = bits(0, 16, "cycles in 4.096 microseconds, unit of the ACK timer", default=1024)
    rnr_tick: int = bits(16, 16, "cycles in 10 microseconds, unit of the RNR timer", default=2500)


@dataclass(frozen=True, slots=True)
class CongestionReg(Register):
    """What the adapter does about congestion."""

    ADDRESS: ClassVar[int] = 0x068
    ecn: int = bits(
        0,
        1,
        "requests and read responses carry ECT(0), whatever ECN the AV says; all else as the AV",
    )
    cnp: int = bits(1, 1, "packets marked CE or FECN are answered with CNPs", default=1)
    dcqcn: int = bits(2, 1, "received CNPs slow their queue pair down (DCQCN)")


@dataclass(frozen=True, slots=True)
class CnpReg(Register):
    """The CNPs that are sent."""

    ADDRESS: ClassVar[int] = 0x06C
    interval: int = bits(
        0, 16, "microseconds between two CNPs of a queue pair, at least", default=50
    )
    traffic_class: int = bits(16, 8, "DSCP and ECN: 48 and ECT(0)", default=48 << 2 | 2)
    pcp: int = bits(24, 3, "priority in the VLAN tag, where there is one", default=6)


@dataclass(frozen=True, slots=True)
class AdminSqLoReg(Register):
    """Admin submission ring."""

    ADDRESS: ClassVar[int] = 0x080
    base: int = bits(0, 32, "bus address bits 31:0, 64-byte aligned")


@dataclass(frozen=True, slots=True)
class AdminSqHiReg(Register):
    """Admin submission ring."""

    ADDRESS: ClassVar[int] = 0x084
    base: int = bits(0, 32, "bus address bits 63:32")


@dataclass(frozen=True, slots=True)
class AdminCqLoReg(Register):
    """Admin completion ring."""

    ADDRESS: ClassVar[int] = 0x088
    base: int = bits(0, 32, "bus address bits 31:0, 64-byte aligned")


@dataclass(frozen=True, slots=True)
class AdminCqHiReg(Register):
    """Admin completion ring."""

    ADDRESS: ClassVar[int] = 0x08C
    base: int = bits(0, 32, "bus address bits 63:32")


@dataclass(frozen=True, slots=True)
class AdminConfigReg(Register):
    """Shape of the admin queue; change it only while disabled. Disabling resets both indices."""

    ADDRESS: ClassVar[int] = 0x090
    enable: int = bits(0, 1, "commands are fetched")
    irq_enable: int = bits(1, 1, "completions raise an interrupt")
    sq_log: int = bits(8, 4, "log2 of the submission ring's entries")
    cq_log: int = bits(12, 4, "log2 of the completion ring's entries")
    vector: int = bits(16, 8, "interrupt vector")


@dataclass(frozen=True, slots=True)
class AdminDoorbellReg(Register):
    """Producer index of the admin submission ring."""

    ADDRESS: ClassVar[int] = 0x094
    KIND: ClassVar[RegisterKind] = WO
    index: int = bits(0, 16, "free-running producer index")


@dataclass(frozen=True, slots=True)
class AdminCqIndexReg(Register):
    """Consumer index of the admin completion ring."""

    ADDRESS: ClassVar[int] = 0x098
    KIND: ClassVar[RegisterKind] = WO
    index: int = bits(0, 16, "free-running consumer index")


@dataclass(frozen=True, slots=True)
class AdminStatusReg(Register):
    """Where the admin queue is."""

    ADDRESS: ClassVar[int] = 0x09C
    KIND: ClassVar[RegisterKind] = RO
    sq_index: int = bits(0, 16, "commands fetched")
    cq_index: int = bits(16, 16, "completions written")


@dataclass(frozen=True, slots=True)
class DcqcnLineReg(Register):
    """DCQCN: where a queue pair begins, and where it is free again."""

    ADDRESS: ClassVar[int] = 0x0A0
    rate: int = bits(0, 18, "line rate in Mbit/s", default=100_000)


@dataclass(frozen=True, slots=True)
class DcqcnCutReg(Register):
    """DCQCN: how a CNP slows a queue pair down."""

    ADDRESS: ClassVar[int] = 0x0A4
    min_rate: int = bits(0, 16, "lowest rate in Mbit/s", default=10)
    min_factor: int = bits(
        16, 8, "256ths of its rate that a queue pair keeps at least", default=128
    )


@dataclass(frozen=True, slots=True)
class DcqcnMonitorReg(Register):
    """DCQCN: how often a CNP counts, and how far a queue pair may run ahead of its rate."""

    ADDRESS: ClassVar[int] = 0x0A8
    period: int = bits(
        0, 16, "microseconds behind a cut in which CNPs are ignored; 0: none is", default=50
    )
    burst: int = bits(
        16, 16, "bytes that a queue pair may save up while it does not send", default=16384
    )


@dataclass(frozen=True, slots=True)
class DcqcnAlphaReg(Register):
    """DCQCN: the estimate of congestion, alpha; it begins at 1."""

    ADDRESS: ClassVar[int] = 0x0AC
    period: int = bits(0, 16, "K: microseconds without CNP to a decay; 0: never", default=55)
    gain: int = bits(16, 10, "g in 1024ths", default=4)


@dataclass(frozen=True, slots=True)
class DcqcnTimerReg(Register):
    """DCQCN: when a queue pair grows faster by time."""

    ADDRESS: ClassVar[int] = 0x0B0
    period: int = bits(0, 16, "T: microseconds to an increase; 0: never", default=55)
    stages: int = bits(16, 7, "F: increases of fast recovery", default=5)


@dataclass(frozen=True, slots=True)
class DcqcnBytesReg(Register):
    """DCQCN: when a queue pair grows faster by bytes."""

    ADDRESS: ClassVar[int] = 0x0B4
    count: int = bits(0, 31, "B: bytes sent to an increase; 0: never", default=10_000_000)


@dataclass(frozen=True, slots=True)
class DcqcnIncreaseReg(Register):
    """DCQCN: how much faster."""

    ADDRESS: ClassVar[int] = 0x0B8
    additive: int = bits(0, 16, "R_AI in Mbit/s", default=40)
    hyper: int = bits(16, 16, "R_HAI in Mbit/s", default=400)


@dataclass(frozen=True, slots=True)
class GidEntry(Record):
    """Entry n of the GID table, at GID_BASE + n * GID_STRIDE; written word by word."""

    SIZE: ClassVar[int] = 32
    gid: bytes = bits(0, 128, "address in network order; IPv4 as ::ffff:a.b.c.d", default=bytes(16))
    valid: int = bits(128, 1, "packets to this address are ours")
    is_v4: int = bits(129, 1, "packets carry IPv4 headers")


REGISTERS: tuple[type[Register], ...] = tuple(
    thing
    for thing in list(globals().values())
    if isinstance(thing, type) and issubclass(thing, Register) and thing is not Register
)
"""Every register, by rising address."""


def stat_address(stat: Stat | int) -> int:
    """Address of a counter's low word; reading it freezes the high word, four bytes above."""
    return STAT_BASE + 8 * int(stat)
