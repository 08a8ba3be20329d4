"""One host of a recorded trace, set up in the model as its transcript says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tb.model.headers import Packet
from tb.model.memory import Region
from tb.model.opcodes import Op
from tb.model.packets import decode
from tb.model.peer import Peer
from tb.model.qp import QpConfig, QueuePair
from tb.model.verbs import Access, RecvWork, SendWork, Sge, WrOp
from tests.model.golden import MAC_A, MAC_B, Trace

RIGHTS = {
    "l": Access.LOCAL_WRITE,
    "w": Access.REMOTE_WRITE,
    "r": Access.REMOTE_READ,
    "a": Access.REMOTE_ATOMIC,
    "b": Access.MW_BIND,
    "f": Access.FLUSH_GLOBAL | Access.FLUSH_PERSISTENT,
}
OPS = {
    "SEND": WrOp.SEND,
    "SEND_IMM": WrOp.SEND,
    "SEND_INV": WrOp.SEND,
    "WRITE": WrOp.WRITE,
    "WRITE_IMM": WrOp.WRITE,
    "READ": WrOp.READ,
    "FADD": WrOp.FETCH_ADD,
    "CAS": WrOp.CMP_SWAP,
}
Words = dict[str, str]


def pattern(size: int, seed: int) -> bytearray:
    """What the recording hosts filled their memory with."""
    return bytearray((i * 7 + (i >> 8) + seed) & 0xFF for i in range(size))


def _access(letters: str) -> Access:
    rights = Access.NONE
    for letter in letters:
        rights |= RIGHTS[letter]
    return rights


class Host:
    """A model peer in the place of host `a` or `b` of a trace."""

    def __init__(self, trace: Trace, name: str, **config: Any) -> None:
        self.trace, self.name = trace, name
        self.peer = Peer()
        self.region: Region
        self.qps: dict[str, QueuePair] = {}
        self.works: list[tuple[str, SendWork]] = []
        mine = MAC_A if name == "a" else MAC_B
        sample = next(decode(f).path for _, f in trace.roce if f[6:12] == mine)
        attributes: dict[str, dict[str, Any]] = {}
        for command, words, answer in self._commands():
            match command:
                case "mr":
                    data = pattern(int(words["size"]), int(words["seed"]))
                    at, key = int(answer["addr"], 0), int(answer["rkey"], 0)
                    access = _access(words["access"])
                    self.region = self.peer.memory.register(data, at, access, key=key)
                case "qp":
                    attributes[words["name"]] = {"qpn": int(answer["qpn"])}
                case "init":
                    attributes[words["q"]]["access"] = _access(words["access"])
                case "rtr":
                    attributes[words["q"]].update(
                        dest_qpn=int(words["qpn"]),
                        rq_psn=int(words["psn"]),
                        pmtu=int(words["mtu"]),
                        min_rnr_timer=int(words["rnr"]),
                        max_dest_rd_atomic=int(words["rda"]),
                    )
                case "rts":
                    fields = attributes[words["q"]]
                    fields.update(
                        sq_psn=int(words["psn"]),
                        timeout=int(words["timeout"]),
                        retry_cnt=int(words["retry"]),
                        rnr_retry=int(words["rnr"]),
                        max_rd_atomic=int(words["rda"]),
                    )
                    made = QpConfig(path=sample, **{**fields, **config})
                    self.qps[words["q"]] = self.peer.create_qp(made)
                case "recv":
                    for _ in range(int(words.get("n", "1"))):
                        self.qps[words["q"]].post_recv(RecvWork(0, self._sges(words)))
                case "poke":
                    content, at = bytes.fromhex(words["hex"]), int(words["off"])
                    self.region.data[at : at + len(content)] = content
                case "bind":
                    self._bind(words, answer)
                case "send" if words["op"] in OPS:
                    self.works.append((words["q"], self._work(words, answer)))

    def _commands(self) -> Iterator[tuple[str, Words, Words]]:
        lines = [x for x in self.trace.info["transcript"] if x.startswith(self.name)]
        for line, answer in zip(lines, [*lines[1:], ""], strict=True):
            if line[1] == ">":
                command = line.split()[1]
                yield command, *(dict(w.split("=", 1) for w in x.split() if "=" in w)
                                 for x in (line, answer))  # fmt: skip

    def _sges(self, words: Words) -> tuple[Sge, ...]:
        base, key = self.region.address, self.region.key
        if "sg" in words:
            parts = [part.split(":")[1:] for part in words["sg"].split(",")]
            return tuple(Sge(base + int(at), int(size), key) for at, size in parts)
        at = int(words.get("off", "0"))
        return (Sge(base + at, int(words.get("len", self.region.length - at)), key),)

    def _bytes(self, words: Words) -> bytes:
        return self.peer.memory.gather(self._sges(words), self.region.pd)

    def _bind(self, words: Words, answer: Words) -> None:
        qp = next(iter(self.qps.values()))
        at = self.region.address + int(words.get("off", "0"))
        length = int(words.get("len", self.region.length))
        access, key = _access(words["access"]), int(answer["rkey"], 0)
        qpn = None if words["mw"].endswith("1") else qp.config.qpn
        self.peer.memory.bind(self.region, at, length, access, qpn=qpn, key=key)

    def _work(self, words: Words, answer: Words) -> SendWork:
        flags, number = words.get("fl", "S"), words.get
        op = words["op"]
        return SendWork(
            OPS[op],
            int(answer["wrid"], 0),
            self._sges(words),
            remote_address=int(number("raddr", "0"), 0),
            remote_key=int(number("rkey", "0"), 0),
            inline=self._bytes(words) if "I" in flags else None,
            imm=int(words["imm"], 0) if op.endswith("IMM") else None,
            invalidate=int(words["inv"], 0) if op.endswith("INV") else None,
            signaled="S" in flags,
            solicited="E" in flags,
            swap_or_add=int(number("add", number("swap", "0")), 0),
            compare=int(number("cmp", "0"), 0),
        )


def as_delivered(trace: Trace) -> Iterator[tuple[str, Packet, bool]]:
    """Sender, packet and whether it arrived, of every RoCEv2 frame with a good ICRC."""
    events = {e["frame"]: e["action"] for e in trace.info["relay_events"]}
    for number, frame in trace.roce:
        packet, action = decode(frame), events.get(number, "")
        if action.startswith("set:op:"):
            opcode = int(action.rsplit(":", 1)[1])
            packet = replace(packet, bth=replace(packet.bth, opcode=opcode))
        elif action not in ("", "drop"):
            raise AssertionError(f"unknown event {action}")
        yield "a" if frame[6:12] == MAC_A else "b", packet, action != "drop"


def fixed(packet: Packet, ack_req: bool = True) -> tuple[object, ...]:
    """The fields that the protocol leaves no choice about."""
    bth = packet.bth
    return (
        Op(bth.opcode).name,
        bth.psn,
        bth.dest_qp,
        bth.solicited,
        bth.ack_req and ack_req,
        packet.reth,
        packet.aeth,
        packet.atomic_eth,
        packet.atomic_ack,
        packet.imm,
        packet.ieth,
        packet.payload,
    )
