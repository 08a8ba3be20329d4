"""Registers: is this our adapter, what can it do, and how it is set up."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TypeVar

from driver_model.device import Device
from driver_model.hw.fault import AdapterFault
from spec.codes import Mtu
from spec.fields import Register
from spec.registers import (
    CSR_MAGIC,
    GID_BASE,
    GID_COUNT,
    GID_STRIDE,
    INTERFACE_VERSION,
    ControlReg,
    CqLimitsReg,
    Feature,
    FeaturesReg,
    GidEntry,
    IdReg,
    KeyLimitsReg,
    MacHiReg,
    MacLoReg,
    PortReg,
    QpLimitsReg,
    ReadLimitsReg,
    StatusReg,
    VersionReg,
    WrLimitsReg,
)

READY_TIMEOUT_NS = 20_000_000
HEADER_ROOM = 96  # as the adapter has it, see PortReg
VALID_WORD = 4

Reg = TypeVar("Reg", bound=Register)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything the adapter has."""

    qp_count: int
    srq_count: int
    cq_count: int
    eq_count: int
    key_count: int
    max_send_sge: int
    max_recv_sge: int
    max_read_sge: int
    max_inline: int
    max_reads_out: int
    max_reads_in: int
    max_mtu: int
    features: Feature


async def read_register(device: Device, register: type[Reg]) -> Reg:
    """A register's present value."""
    return register.from_int(await device.read32(register.ADDRESS))


async def identify(device: Device) -> Limits:
    """Check identity and version, wait until the tables are ready, and read the limits."""
    if (await read_register(device, IdReg)).magic != CSR_MAGIC:
        raise AdapterFault("there is no adapter behind this BAR")
    version = await read_register(device, VersionReg)
    if version.major != INTERFACE_VERSION:
        raise AdapterFault(f"the adapter speaks interface version {version.major}")
    deadline = device.now_ns() + READY_TIMEOUT_NS
    while not (status := await read_register(device, StatusReg)).ready:
        if status.fatal or device.now_ns() > deadline:
            raise AdapterFault(f"the adapter does not get ready (cause {status.fatal_cause})")
    return await _read_limits(device)


async def _read_limits(device: Device) -> Limits:
    qps = await read_register(device, QpLimitsReg)
    cqs = await read_register(device, CqLimitsReg)
    wrs = await read_register(device, WrLimitsReg)
    reads = await read_register(device, ReadLimitsReg)
    return Limits(
        qp_count=qps.qp_count,
        srq_count=qps.srq_count,
        cq_count=cqs.cq_count,
        eq_count=cqs.eq_count,
        key_count=(await read_register(device, KeyLimitsReg)).key_count,
        max_send_sge=wrs.max_send_sge,
        max_recv_sge=wrs.max_recv_sge,
        max_read_sge=reads.max_read_sge,
        max_inline=wrs.max_inline,
        max_reads_out=reads.max_reads_out,
        max_reads_in=reads.max_reads_in,
        max_mtu=reads.max_mtu,
        features=(await read_register(device, FeaturesReg)).features,
    )


def gid_of(address: str) -> bytes:
    """The GID of an IP address: IPv4 is mapped into ::ffff:0:0/96."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return bytes(10) + b"\xff\xff" + parsed.packed
    return parsed.packed


def write_gid(device: Device, index: int, address: str) -> None:
    """Make the adapter answer to an address; it is invalid while its words change."""
    entry = GidEntry(
        gid=gid_of(address), valid=1, is_v4=int(isinstance(ip_address(address), IPv4Address))
    )
    data = entry.pack()
    base = GID_BASE + index * GID_STRIDE
    device.write32(base + 4 * VALID_WORD, 0)
    for word in range(VALID_WORD + 1):
        device.write32(base + 4 * word, int.from_bytes(data[4 * word : 4 * word + 4], "little"))


def configure(device: Device, mac: bytes, addresses: tuple[str, ...], port_mtu: int) -> None:
    """Give the port its MAC, its MTU and its addresses."""
    if len(mac) != 6 or len(addresses) > GID_COUNT:
        raise ValueError(f"a MAC of {len(mac)} bytes and {len(addresses)} addresses")
    largest_path_mtu(port_mtu)
    device.write32(ControlReg.ADDRESS, ControlReg().to_int())
    device.write32(MacLoReg.ADDRESS, int.from_bytes(mac[:4], "little"))
    device.write32(MacHiReg.ADDRESS, int.from_bytes(mac[4:], "little"))
    device.write32(PortReg.ADDRESS, PortReg(mtu=port_mtu).to_int())
    for index, address in enumerate(addresses):
        write_gid(device, index, address)


def largest_path_mtu(port_mtu: int) -> Mtu:
    """The largest path MTU whose packets, headers included, fit a port; ValueError if none does."""
    fitting = [code for code in Mtu if (128 << code) + HEADER_ROOM <= port_mtu]
    if not fitting:
        raise ValueError(f"a port of {port_mtu} bytes carries no path MTU")
    return max(fitting)


def switch_on(device: Device) -> None:
    """Receive frames and serve doorbells."""
    device.write32(ControlReg.ADDRESS, ControlReg(rx_enable=1, tx_enable=1).to_int())
