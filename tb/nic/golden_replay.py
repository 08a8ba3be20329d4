"""Recorded Soft-RoCE traffic against one adapter, which takes the place of either host.

The other side is the recording itself: its frames go in as they were captured, bit for bit, ICRC
included, because the adapter is given the recorded addresses, queue pair numbers, PSNs and keys.
Only keys of memory windows are replaced, by fast-register keys. What the adapter sends must be what
the host sent: every header field that the protocol fixes, payload, order per queue pair, and what
completes with which status. `golden_known` lists every frame for which that is not so.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from spec.codes import QpState
from spec.layouts import CqeFlag
from tb.conformance import covers
from tb.model.headers import Packet
from tb.model.opcodes import Op, name_of
from tb.model.packets import encode
from tb.model.verbs import Access, psn_diff
from tb.nic import golden_known as known
from tb.nic.golden_seat import Seat, port_of
from tb.nic.golden_station import Heard, place_answers, rc_frames, station, with_keys
from tb.nic.solo import Solo
from tests.model import golden

ACK_TICK, RNR_TICK = 2, 1
"""Cycles per timer unit: 4.096 us and 10 us take 8 ns and 4 ns of simulated time."""
LIMIT = 4 * ACK_TICK << 14
"""Cycles within which a retransmission of timeout code 14 must come: four times T (3.10)."""
WINDOW_KEYS = {0x8000140: 600 << 8 | 0x40, 0x80002A3: 601 << 8 | 0xA3}
WINDOW_RIGHTS = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ
"""A region that is written needs LOCAL_WRITE; a window has it from its region."""
BOTH_WAYS = [
    "rc_pingpong_mtu1024_v4", "rc_pingpong_mtu4096_v6", "srq_pingpong_v4", "rping_v4", "rping_v6",
    "rping_static_v4", "ucmatose_v4", "cm_private_data_v4", "cm_private_data_v6", "cm_lost_rtu",
    "cm_lost_rep", "cm_lost_dreq", "cm_slow_accept",
]  # fmt: skip
ONE_WAY = [name for name in golden.NAMES if name not in BOTH_WAYS and name not in known.LEFT_OUT]
CHOSEN = os.environ.get("GOLDEN", "").split(",")
"""Names of captures, to replay only these."""


def chosen(names: list[str]) -> list[cocotb.Param]:
    """Those of the names that are asked for; all of them by default."""
    wanted = names if CHOSEN == [""] else [name for name in names if name in CHOSEN]
    return [cocotb.Param(name, name) for name in wanted]


def fixed(packet: Packet, ack_req: bool = True) -> dict[str, object]:
    """What the protocol and the setup leave no choice about."""
    bth, path = packet.bth, packet.path
    return {
        "opcode": name_of(bth.opcode), "psn": f"{bth.psn:06x}", "dest_qp": bth.dest_qp,
        "solicited": bth.solicited, "ack_req": bth.ack_req and ack_req,
        "migrated": bth.migrated, "p_key": bth.p_key, "version": bth.version,
        "reth": packet.reth, "aeth": packet.aeth, "atomic": packet.atomic_eth,
        "original": packet.atomic_ack, "imm": packet.imm, "ieth": packet.ieth,
        "payload": packet.payload.hex(), "pad": packet.pad,
        "addresses": (path.src_mac, path.dst_mac, path.src_ip, path.dst_ip),
        "traffic_class": path.traffic_class, "hop_limit": path.hop_limit, "sport": path.sport,
        "fragment": path.fragment if len(path.src_ip) == 4 else 0,
        "udp_checksum": path.udp_checksum,
    }  # fmt: skip


class Replay:
    """One capture, one side of it played by the adapter."""

    def __init__(self, name: str, side: str) -> None:
        self.trace = golden.load(name)
        self.name, self.side = name, side
        self.host = station(self.trace, side)
        self.heard = list(rc_frames(self.trace))
        self.expected: list[Packet] = []
        self.posted: dict[int, int] = dict.fromkeys(self.host.qps, 0)
        self.next_psn = {qpn: qp.config.sq_psn for qpn, qp in self.host.qps.items()}
        self.deviated = 0
        self.solo: Solo
        self.seat: Seat

    async def run(self, dut: Any) -> None:
        """Play it and judge."""
        path = next(iter(self.host.qps.values())).config.path
        self.solo = await Solo.start(dut, port_of(path))
        self.solo.set_time(ACK_TICK, RNR_TICK)
        self.solo.set_options(migreq=0, ack_every=1, ack_delay=0)
        self.seat = Seat(self.solo, self.host)
        late = self.name == "rnr_retry_ok_v4" and self.side == "b"
        await self.seat.take(receives=not late)
        if self.name == "imm_inv_v4" and self.side == "b":
            for key in WINDOW_KEYS.values():
                await self.seat.open_again(17, key, WINDOW_RIGHTS)
        for heard in self.heard:
            if heard.sender == self.side:
                await self._say(heard)
            elif heard.arrived:
                await self._hear(heard)
        await self.solo.quiet()
        self._judge_frames()
        await self._judge_host()

    # ------------------------------------------------------------ playing

    async def _say(self, heard: Heard) -> None:
        """The recorded host sent this now: so must the adapter, once its work is posted."""
        packet = self._as_expected(heard)
        if not heard.response:
            self._post_up_to(heard.packet)
        if packet is None:
            return
        self.expected.append(packet)
        if not await self.solo.sent_count(len(self.expected), LIMIT):
            self._judge_frames()

    def _as_expected(self, heard: Heard) -> Packet | None:
        table = known.ANSWERS if heard.response else known.REQUESTS
        packet = heard.packet
        if packet.bth.opcode == Op.SEND_MIDDLE and self.name == "err_opcode_seq":
            # The wire changed it after it was sent.
            packet = replace(packet, bth=replace(packet.bth, opcode=Op.WRITE_MIDDLE))
        if self.name not in table:
            return packet
        changed = table[self.name].change(heard)
        self.deviated += changed != packet
        return changed

    def _post_up_to(self, packet: Packet) -> None:
        qpn = next(q for q, m in self.host.qps.items() if m.config.dest_qpn == packet.bth.dest_qp)
        works, pmtu = self.host.works[qpn], self.host.qps[qpn].config.pmtu
        while psn_diff(packet.bth.psn, self.next_psn[qpn]) >= 0:
            work = works[self.posted[qpn]]
            one = work.op.kind.name == "ATOMIC"
            count = 1 if one else max(1, -(-work.length // pmtu))
            self.next_psn[qpn] = self.next_psn[qpn] + count & 0xFFFFFF
            self.posted[qpn] += 1
            self.seat.post(qpn, work)

    async def _hear(self, heard: Heard) -> None:
        """The adapter gets a frame as its peer sent it, and answers in peace."""
        await self.solo.quiet()
        packet = heard.packet
        await self._act_before(heard)
        if heard.response:
            if packet.payload or packet.atomic_ack is not None:
                place_answers(self.host, packet.bth.dest_qp, packet)
        else:
            self._tell_model(heard)
        frame = self.trace.frames[heard.number - 1]
        swapped = with_keys(packet, WINDOW_KEYS)
        changed = self.name == "err_opcode_seq" and packet.bth.opcode == Op.SEND_MIDDLE
        self.solo.give(encode(swapped) if swapped != packet or changed else frame)

    async def _act_before(self, heard: Heard) -> None:
        """What the host's program did before this frame came."""
        psn = heard.packet.bth.psn
        if self._receive_comes(heard):
            self.seat.post_receives(heard.packet.bth.dest_qp)
            await ClockCycles(self.solo.dut.clk, 100)
        if self.name == "loss_atomic_ack" and self.side == "b" and psn == 0x100001:
            self._poke(self.host.regions[0].address + 64, (1).to_bytes(8, "little"))
        if not heard.response and psn in self.host.shown:
            self._poke(*self.host.shown[psn])

    def _poke(self, address: int, data: bytes) -> None:
        self.seat.poke(address, data)
        for region in self.host.regions:
            at = address - region.address
            if 0 <= at < region.length:
                region.data[at : at + len(data)] = data

    def _receive_comes(self, heard: Heard) -> bool:
        """In rnr_retry_ok_v4 the receive is posted before the last repetition."""
        if self.name != "rnr_retry_ok_v4" or self.side != "b":
            return False
        rest = [h for h in self.heard if h.sender == "a" and h.number >= heard.number]
        return len(rest) == 2

    def _tell_model(self, heard: Heard) -> None:
        """The model executes what arrives, so that its memory is what ours must become."""
        if self.name == "rnr_retry_ok_v4" and heard.number < 37:
            return
        self.host.qps[heard.packet.bth.dest_qp].receive(heard.packet, 0)

    # ------------------------------------------------------------ judging

    def _judge_frames(self) -> None:
        sent = self.solo.collect()
        numbers = sorted({p.bth.dest_qp for p in [*sent, *self.expected]})
        ack_req = self.name not in known.ACK_REQ_FREE
        for qpn in numbers:
            for response in (False, True):
                mine = [p for p in sent if p.bth.dest_qp == qpn and is_response(p) == response]
                theirs = [
                    p for p in self.expected if p.bth.dest_qp == qpn and is_response(p) == response
                ]
                self._compare(mine, theirs, ack_req)
        assert len(sent) == len(self.expected)
        if self.name in (known.ANSWERS if self.side == "b" else known.REQUESTS):
            assert self.deviated, "a listed deviation does not occur"

    def _compare(self, mine: list[Packet], theirs: list[Packet], ack_req: bool) -> None:
        for number, (ours, other) in enumerate(zip(mine, theirs, strict=False)):
            ends = ours.shape is not None and ours.shape.part.ends
            a, b = (fixed(p, ack_req or ends) for p in (ours, other))
            wrong = {k: (a[k], b[k]) for k in a if a[k] != b[k]}
            assert not wrong, f"frame {number}: {ours}, recorded {other}: {wrong}"
        shown = [str(p) for p in mine]
        assert len(mine) == len(theirs), f"sent {shown}, recorded {[str(p) for p in theirs]}"

    async def _judge_host(self) -> None:
        """Completions as in the transcript, and memory as the model has it."""
        wanted, waited = len(self._recorded(receives=False)), 0
        while len(self.seat.sends) < wanted and waited < LIMIT:
            await ClockCycles(self.solo.dut.clk, 500)
            self.seat.poll()
            waited += 500
        self.seat.poll()
        self._judge_completions()
        for region, content in self.seat.content():
            want = bytes(region.data)
            at = next((i for i, (a, b) in enumerate(zip(content, want, strict=True)) if a != b), -1)
            assert content == want, f"memory of key {region.key:#x} differs from offset {at}"
        for qpn in self.host.qps:
            failed = self._ended_badly()
            state = await self.seat.state(qpn)
            assert (state == QpState.ERR) == failed, f"queue pair {qpn} is in {state.name}"

    def _recorded(self, receives: bool) -> list[tuple[int, int, int | None]]:
        """Status, length and immediate of each completion of the transcript."""
        found = []
        for words in self.trace.says(self.side, "< WC"):
            if words["op"] == "BIND_MW" or (int(words["wrid"], 0) & 0x2000 != 0) != receives:
                continue
            status, flags = int(words["status"].split("(")[0]), int(words["flags"])
            imm = int(words["imm"], 0) if receives and flags & 2 else None
            found.append((status, int(words["len"]) if receives else 0, imm))
        if receives and found and self.name in known.STATUS:
            found[-1] = (known.STATUS[self.name][1], *found[-1][1:])
        return found

    def _judge_completions(self) -> None:
        if not self.trace.says(self.side, "> rts"):
            messages = sum(len(works) for works in self.host.works.values())
            got = [c.status for c in self.seat.sends]
            assert got == [0] * messages, f"{messages} messages, completions {got}"
            return
        sends = [(c.status, 0, None) for c in self.seat.sends]
        assert sends == self._recorded(receives=False), f"completions of sends: {sends}"
        receives = []
        for cqe in self.seat.receives:
            imm = int.from_bytes(cqe.imm.to_bytes(4, "little"), "big")
            has = cqe.flags & CqeFlag.IMMEDIATE
            receives.append((cqe.status, 0 if cqe.status else cqe.byte_len, imm if has else None))
        want = self._recorded(receives=True)
        assert receives[: len(want)] == want, f"completions of receives: {receives}, not {want}"

    def _ended_badly(self) -> bool:
        fatal = {0x61, 0x62, 0x63}
        said = any(h.packet.aeth and h.packet.aeth.syndrome in fatal for h in self.heard)
        return said or any(status for status, _, _ in self._recorded(receives=False))


def is_response(packet: Packet) -> bool:
    """Answers something."""
    return packet.shape is not None and packet.shape.kind.is_response


class Spoilt(Replay):
    """A replay whose recording says something else in one place."""

    def _as_expected(self, heard: Heard) -> Packet | None:
        packet = super()._as_expected(heard)
        if packet is None or packet.aeth is None:
            return packet
        return replace(packet, aeth=replace(packet.aeth, msn=packet.aeth.msn ^ 1))


@cocotb.test()
async def a_replay_notices_another_msn(dut: Any) -> None:
    """The judge can say no."""
    try:
        await Spoilt("many_writes", "b").run(dut)
    except AssertionError as error:
        assert "aeth" in str(error)  # noqa: PT017
    else:
        raise AssertionError("two different recordings are both right")


@cocotb.test()
@cocotb.parametrize(name=chosen([n for n in ONE_WAY if n not in known.NOT_ANSWERED]))
async def the_adapter_answers_as_recorded(dut: Any, name: str) -> None:
    """Host a's frames go in; host b's come out."""
    await Replay(name, "b").run(dut)


@cocotb.test()
@cocotb.parametrize(name=chosen(ONE_WAY))
@covers("ROCE-050", "ROCE-051", "ROCE-052")
async def the_adapter_asks_as_recorded(dut: Any, name: str) -> None:
    """Host a's work is posted, host b's answers come back; host a's frames come out."""
    await Replay(name, "a").run(dut)


@cocotb.test()
@cocotb.parametrize(name=chosen(BOTH_WAYS), side=["a", "b"])
async def the_adapter_converses_as_recorded(dut: Any, name: str, side: str) -> None:
    """Both hosts ask and answer; the adapter is one of them."""
    await Replay(name, side).run(dut)
