"""The end of a run: nothing is under way, counters fit what happened, nothing stays behind."""

from __future__ import annotations

from collections import Counter

from spec.codes import AdminStatus, DropReason, QpState, Stat
from spec.layouts import AdminCommand, AdminOp
from spec.registers import stat_address
from tb.nic.lane import Lane
from tb.nic.ndk import Host
from tb.uvm.ask import ask
from tb.uvm.env import RnicEnv
from tb.uvm.flow import Flow

BROKEN_FRAMES = (
    DropReason.SHORT, DropReason.LONG, DropReason.BAD_FRAME, DropReason.ETHERTYPE,
    DropReason.IP_HEADER, DropReason.IP_CHECKSUM, DropReason.FRAGMENT, DropReason.LENGTH,
    DropReason.NOT_ROCE, DropReason.BAD_ICRC, DropReason.BAD_TVER, DropReason.BAD_OPCODE,
)  # fmt: skip
"""Reasons that a spoiled frame may be dropped for, and no other."""
NEVER_DROPPED = (
    DropReason.BAD_MAC, DropReason.BAD_QPN, DropReason.QP_STATE, DropReason.QP_TYPE,
    DropReason.BAD_ADDRESS, DropReason.BAD_PKEY, DropReason.BAD_QKEY, DropReason.BAD_SYNDROME,
    DropReason.UC_SEQUENCE, DropReason.DISABLED,
)  # fmt: skip
NEVER_COUNTED = (
    Stat.RETRIES_EXHAUSTED, Stat.DMA_READ_ERRORS, Stat.DMA_WRITE_ERRORS, Stat.TX_ABORTED,
    Stat.BAD_DOORBELLS, Stat.QP_ERRORS,
)  # fmt: skip
DOOMED_DROPS = (DropReason.QP_STATE,)
DOOMED_COUNTS = (
    Stat.RETRIES_EXHAUSTED, Stat.QP_ERRORS, Stat.TX_ABORTED, Stat.DMA_READ_ERRORS,
    Stat.DMA_WRITE_ERRORS,
)  # fmt: skip
"""What happens when a queue pair ends in the middle of its work."""


class Audit:
    """Asks both adapters."""

    def __init__(self, env: RnicEnv) -> None:
        self.env, self.world, self.knobs = env, env.world, env.knobs
        self.stats: dict[str, Counter[str]] = {}

    async def at_rest(self) -> None:
        """All has completed: the counters must fit what was seen on the wire."""
        await self.world.check_quiet(self.knobs.healthy)
        for host in self.world.hosts.values():
            self.stats[host.name] = await self._counters(host)
            self._check_drops(host)
            self._check_counters(host)
            await self._check_objects(host)

    async def all_gone(self) -> None:
        """Close everything: the adapters know none of it, and nothing moved any more."""
        link = self.world.pair.link
        before = link.ab.sent, link.ba.sent
        numbers = {
            host.name: [
                *[
                    (AdminOp.QUERY_QP, lane.qp.number)
                    for lane in self.world.lanes
                    if lane.here is host
                ],
                (AdminOp.QUERY_CQ, host.desk.waited.cq.number),
                *[(AdminOp.QUERY_KEY, mr.get_local_token_from_mr() >> 8) for mr in host.mrs],
            ]
            for host in self.world.hosts.values()
        }
        for side, raw in self.env.raw.items():
            numbers[side] += await raw.close()
        await self.world.close()
        for host in self.world.hosts.values():
            for opcode, number in numbers[host.name]:
                answer = await ask(host, AdminCommand(opcode=opcode, number=number))
                status = AdminStatus(answer.status)
                gone = status is AdminStatus.NOT_FOUND
                assert gone, f"{host.name}: {opcode.name} {number} after its end: {status.name}"
        assert (link.ab.sent, link.ba.sent) == before, "frames left while everything was closed"

    def _lanes(self, host: Host) -> list[Lane]:
        return [lane for lane in self.env.lanes if lane.here is host]

    async def _counters(self, host: Host) -> Counter[str]:
        stats: Counter[str] = Counter()
        for stat in Stat:
            stats[stat.name] = await host.device.read32(stat_address(stat))
        for reason in DropReason:
            if reason is DropReason.NONE:
                continue
            value = await host.device.read32(stat_address(Stat.DROP + reason))
            stats[f"DROP {reason.name}"] = value
        return stats

    def _ways(self, host: Host) -> tuple[str, str]:
        """The directions out of and into an adapter."""
        return ("ab", "ba") if host.name == "a" else ("ba", "ab")

    def _check_drops(self, host: Host) -> None:
        """Every spoiled frame was dropped, for a reason that fits, and no other frame was."""
        stats, into = self.stats[host.name], self._ways(host)[1]
        spoiled = self.env.wire.monitor.spoiled[into]
        dropped = sum(stats[f"DROP {reason.name}"] for reason in BROKEN_FRAMES)
        overflow = stats["DROP RX_OVERFLOW"]
        assert dropped <= spoiled <= dropped + overflow, (
            f"{host.name}: {dropped} frames dropped as broken, {overflow} for want of room,"
            f" {spoiled} were broken: {+stats}"
        )
        may = DOOMED_DROPS if self.env.doomed else ()
        wrong = {
            r.name: n for r in NEVER_DROPPED if r not in may and (n := stats[f"DROP {r.name}"])
        }
        assert not wrong, f"{host.name}: dropped {wrong}"

    def _check_counters(self, host: Host) -> None:
        """What can be counted from outside."""
        stats, (out, into) = self.stats[host.name], self._ways(host)
        link = self.world.pair.link
        sent = {"ab": link.ab, "ba": link.ba}[out].sent
        # What was made in vain has not been on the wire.
        again = stats["RETRANSMISSIONS"] - stats[Stat.TX_STALE.name]
        asked = sum(flow.counts["retransmitted"] for flow in self._flows(host, responder=False))
        wire = Counter[str]()
        for flow in self._flows(host, responder=True):
            wire.update(flow.counts)
        expected = {
            "TX_RDMA_PACKETS": sent,
            "TX_NAKS": wire["naks"],
            "TX_RNR_NAKS": wire["rnr naks"],
            "TX_CNPS": self.env.frames.cnps_sent[out],
        }
        # A blemish may be a mark of another kind; not everything had room, or somebody to look.
        lost = stats["DROP RX_OVERFLOW"] + stats["DROP QP_STATE"]
        if not lost and not self.env.wire.monitor.blemished[into]:
            expected["ECN_MARKED"] = self.env.frames.marked[into]
            expected["RX_CNPS"] = self.env.frames.cnps_came[into]
        wrong = {name: (stats[name], n) for name, n in expected.items() if stats[name] != n}
        # A repetition whose payload cannot be read any more is aborted, not sent.
        if not asked <= again <= asked + stats["TX_ABORTED"]:
            wrong["RETRANSMISSIONS less TX_STALE"] = (again, asked)
        never = set(NEVER_COUNTED) - set(DOOMED_COUNTS if self.env.doomed else ())
        if self.env.coverage.keys_went and not self.knobs.healthy:
            never.discard(Stat.TX_ABORTED)  # a READ may be repeated behind the end of its key
        wrong |= {s.name: (stats[s.name], 0) for s in never if stats[s.name]}
        assert not wrong, f"{host.name}: counted and expected: {wrong}"
        arrived = self.env.wire.monitor.delivered[into] - self.env.wire.monitor.spoiled[into]
        good = stats["RX_RDMA_PACKETS"]
        assert arrived - stats["DROP RX_OVERFLOW"] <= good <= arrived, (
            f"{host.name}: {good} packets received of {arrived} good frames"
        )

    def _flows(self, host: Host, responder: bool) -> list[Flow]:
        ends = [(lane.there if responder else lane.here, lane.name) for lane in self.env.lanes]
        return [self.env.predictor.flows[name] for end, name in ends if end is host]

    async def _check_objects(self, host: Host) -> None:
        """Queue pairs still work, completion queues are empty."""
        for lane in self._lanes(host):
            if lane in self.env.doomed:
                continue
            command = AdminCommand(opcode=AdminOp.QUERY_QP, number=lane.qp.number)
            answer = await ask(host, command)
            state = QpState(answer.detail & 7)
            assert state is QpState.RTS, f"{host.name}: {lane} is in {state.name}"
        await self._check_cq(host, host.desk.waited.cq.number, host.desk.waited.cq._ring.consumer)
        if raw := self.env.raw.get(host.name):
            await self._check_cq(host, raw.cqn, raw.ring.index & 0xFF_FFFF)

    async def _check_cq(self, host: Host, number: int, consumer: int) -> None:
        """Everything that it was given was taken."""
        answer = await ask(host, AdminCommand(opcode=AdminOp.QUERY_CQ, number=number))
        producer, bad = answer.detail & 0xFF_FFFF, answer.detail >> 56 & 1
        assert (producer, bad) == (consumer, 0), (
            f"{host.name}: CQ produced {producer}, bad {bad}, taken {consumer}"
        )
