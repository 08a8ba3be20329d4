"""Every frame of a capture, judged by two decoders that know nothing of the design."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from tb.model.opcodes import name_of
from tb.model.packets import UDP_PORT, decode, encode
from tb.pcap import read_pcap

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.contrib.roce import BTH  # noqa: E402
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402


def check_capture(path: Path) -> Counter[str]:
    """Fail at the first frame that is not proper RoCEv2; how many there were of each opcode."""
    kinds: Counter[str] = Counter()
    for number, (_, frame) in enumerate(read_pcap(path), 1):
        try:
            kinds[check_frame(frame)] += 1
        except Exception as error:
            raise AssertionError(f"{path.name}, frame {number}: {error}") from error
    return kinds


def check_frame(frame: bytes) -> str:
    """The opcode's name, by both."""
    packet = decode(frame)
    name = name_of(packet.bth.opcode)
    assert encode(packet) == frame, f"{name}: not what the reference encodes"
    seen = Ether(frame)
    assert seen[UDP].dport == UDP_PORT
    assert seen.haslayer(IP) != seen.haslayer(IPv6)
    layer = seen[BTH]
    fields = (layer.opcode, layer.dqpn, layer.psn, bool(layer.ackreq))
    bth = packet.bth
    assert fields == (bth.opcode, bth.dest_qp, bth.psn, bth.ack_req), f"{name}: {fields}"
    assert layer.compute_icrc(b"") == frame[-4:], f"{name}: scapy has another ICRC"
    return name
