"""The bench of rnic_cq: completions in, entries in host memory, events and failing queue pairs."""

from __future__ import annotations

import random
from typing import Self

from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from spec.codes import CqeStatus
from spec.layouts import ArmType, Cqe, CqeFlag, CqeOp
from spec.streams import CqAnswer, CqConfig, CqeReq, CqUpdate, EventReq, QpError
from tb.blocks.cq_host import WritePort
from tb.blocks.cq_model import CompletionQueue
from tb.lanes import LaneSources
from tb.streams import StreamSink, StreamSource, cycles, reset, stall_pattern, start_clock

CQS, SOURCES = 8, 2


class Bench:
    """Clock, reset, all streams, and the model of each queue."""

    def __init__(self, dut: SimHandleBase, stall: str, idle: str) -> None:
        self.dut = dut
        self.cqes = LaneSources(dut, "s_cqe", SOURCES, idle=stall_pattern(idle))
        self.update = StreamSource(dut, "s_update")
        self.cfg = StreamSource(dut, "s_cfg")
        self.host = WritePort(dut, stall)
        self.events = StreamSink(dut, "m_event", record=EventReq, stall=stall_pattern(stall))
        self.errors = StreamSink(dut, "m_error", record=QpError, stall=stall_pattern(stall))
        self.queues: dict[int, CompletionQueue] = {}

    @classmethod
    async def start(cls, dut: SimHandleBase, stall: str = "none", idle: str = "none") -> Self:
        """Connect, reset, and wait for the sweep."""
        start_clock(dut)
        bench = cls(dut, stall, idle)
        await bench.reset()
        return bench

    def ends(self) -> list:
        """What forgets at a reset."""
        return [self.cqes, self.update, self.cfg, self.events, self.errors, *self.host.ends]

    async def reset(self) -> None:
        """Reset the block and the host's port."""
        await reset(self.dut, *self.ends())
        self.host.clear()
        self.queues.clear()
        while self.dut.ready.value != 1:
            await cycles(self.dut)

    async def configure(self, **fields: int) -> CqAnswer:
        """A word of rnic_admin, and its answer."""
        self.cfg.send_nowait(CqConfig(**fields))
        edge = RisingEdge(self.dut.clk)
        for _ in range(5000):
            await edge
            if self.dut.s_cfg_valid.value == 1 and self.dut.s_cfg_ready.value == 1:
                return CqAnswer.from_int(int(self.dut.cfg_answer.value))
        raise AssertionError("no answer")

    async def create(self, number: int, log_size: int = 3) -> CompletionQueue:
        """A queue, empty."""
        queue = CompletionQueue(number, (number + 1) << 32, log_size, random.randrange(16))
        await self.configure(
            cqn=number, exists=1, base=queue.base, log_size=log_size, eqn=queue.eqn
        )
        self.queues[number] = queue
        self.forget(queue)
        return queue

    async def query(self, number: int) -> CqAnswer:
        """Only ask."""
        return await self.configure(cqn=number, query=1)

    def forget(self, queue: CompletionQueue) -> None:
        """The host's memory of a ring, as before its first use."""
        for place in [at for at in self.host.bytes if at >> 32 == queue.base >> 32]:
            del self.host.bytes[place]

    def complete(self, cqn: int, lane: int | None = None, **fields: int) -> CqeReq:
        """A completion of random content; the model of its queue sees it when settled."""
        values = {
            "cqn": cqn, "wr_id": random.getrandbits(32), "wqe_index": random.getrandbits(16),
            "qpn": random.getrandbits(16), "opcode": random.choice(list(CqeOp)),
            "byte_len": random.getrandbits(32), "imm": random.getrandbits(32),
            "status": CqeStatus.SUCCESS, "flags": CqeFlag(0), "syndrome": random.getrandbits(8),
        }  # fmt: skip
        request = CqeReq(**{**values, **fields})
        lane = random.randrange(SOURCES) if lane is None else lane
        self.cqes.send_nowait(lane, data=request.to_int())
        return request

    async def post(self, queue: CompletionQueue, **fields: int) -> CqeReq:
        """A completion that is over before anything else happens."""
        request = self.complete(queue.number, **fields)
        await self.settle()
        queue.complete(request)
        return request

    async def ring(
        self, queue: CompletionQueue, index: int, arm: ArmType = ArmType.NONE, seq: int = 0
    ) -> None:
        """A doorbell; the index may be nonsense."""
        index %= 1 << 24
        await self.update.send(CqUpdate(cqn=queue.number, arm=arm, arm_seq=seq, index=index))
        await self.settle()
        queue.doorbell(index, arm, seq)

    def check_entry(self, queue: CompletionQueue, index: int) -> None:
        """The entry of this index is in its slot, with the phase of its pass."""
        request = queue.entries[index - queue.first]
        data = self.host.read(queue.base + 32 * (index % queue.size), 32)
        assert data is not None, f"entry {index} was not written"
        entry = Cqe.unpack(data)
        assert entry.phase == 1 - (index // queue.size) % 2
        for name in ("wr_id", "wqe_index", "qpn", "opcode", "byte_len", "imm", "status", "flags",
                     "syndrome"):  # fmt: skip
            assert getattr(entry, name) == getattr(request, name), name

    def check(self, queue: CompletionQueue) -> None:
        """What waits for the host, the events and the errors are those of the model."""
        for index in range(queue.consumer, queue.producer):
            self.check_entry(queue, index)
        self.check_events(queue)

    def check_events(self, queue: CompletionQueue) -> None:
        """The events so far; all must be of this queue."""
        found = []
        while not self.events.empty():
            event = self.events.recv_nowait()
            assert (event.number, event.eqn) == (queue.number, queue.eqn)
            found.append((event.event_type, event.detail))
        assert found == queue.events
        queue.events.clear()
        lost = []
        while not self.errors.empty():
            error = self.errors.recv_nowait()
            assert error.status == CqeStatus.FATAL_ERR
            lost.append(error.qpn)
        assert lost == queue.lost
        queue.lost.clear()

    async def settle(self) -> None:
        """Until nothing is on its way."""
        quiet = 0
        for _ in range(20_000):
            await cycles(self.dut)
            busy = not (self.cqes.empty() and self.update.empty()) or self.host.busy()
            busy = busy or any(
                getattr(self.dut, f"{name}_valid").value == 1
                for name in ("m_wreq", "m_wdata", "m_event", "m_error")
            )
            quiet = 0 if busy else quiet + 1
            if quiet > 8:
                return
        raise AssertionError("never quiet")
