"""Await-able wrappers for tests and examples, outside the NDKPI contract.

`make_event` makes an event of whatever runs the coroutines: `asyncio.Event`, or cocotb's `Event`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from driver_model.adapter import Adapter, open_adapter
from driver_model.cq import Cq
from driver_model.device import Device
from driver_model.hw.nic import Nic, NicConfig
from driver_model.memory import ConsumerBuffer, Mdl
from driver_model.mr import Mr
from driver_model.ndkpi import (
    HIGHEST_VERSION,
    CqNotify,
    MrFlag,
    NdkResultEx,
    NdkVersion,
    Out,
)
from driver_model.objects import NdkObject
from driver_model.out_of_band import OutOfBandEndpoint, OutOfBandPath
from driver_model.pd import Pd
from driver_model.qp import Qp
from driver_model.srq import Srq, SrqNotification
from driver_model.status import Status

ALL_RIGHTS = MrFlag.ALLOW_LOCAL_WRITE | MrFlag.ALLOW_REMOTE_READ | MrFlag.ALLOW_REMOTE_WRITE

T = TypeVar("T")


class Event(Protocol):
    """What asyncio and cocotb agree on."""

    def set(self) -> None:
        """Wake who waits."""
        ...

    def clear(self) -> None:
        """Let the next one wait."""
        ...

    def wait(self) -> Any:
        """Something to await."""
        ...


MakeEvent = Callable[[], Event]


class NdkError(Exception):
    """A function or its completion gave a status other than success."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what}: {status:#010x}")
        self.status = status


class WaitedCq:
    """A completion queue whose results can be awaited."""

    def __init__(self, make_event: MakeEvent) -> None:
        self.cq: Cq
        self.status = Status.SUCCESS
        self._fired = make_event()

    def notify(self, _context: object, status: Status) -> None:
        """The notification callback."""
        self.status = status
        self._fired.set()

    async def fired(self) -> None:
        """The notification callback has been called since the last wait."""
        await self._fired.wait()
        self._fired.clear()

    def poll(self, limit: int = 1 << 30) -> list[NdkResultEx]:
        """The results that are there."""
        results: list[NdkResultEx] = []
        self.cq.get_cq_results_ex(results, limit)
        return results

    async def results(self, count: int) -> list[NdkResultEx]:
        """So many results, as soon as they are there; NdkError when the queue fails."""
        results: list[NdkResultEx] = []
        while True:
            self.cq.get_cq_results_ex(results, count - len(results))
            if len(results) >= count:
                return results
            if self.status is not Status.SUCCESS:
                raise NdkError("completion queue", self.status)
            self._fired.clear()
            self.cq.arm_cq(CqNotify.ANY)
            await self._fired.wait()


class Facade:
    """One open adapter, for coroutines."""

    def __init__(self, adapter: Adapter, make_event: MakeEvent) -> None:
        self.adapter = adapter
        self.memory = adapter.memory
        self._make_event = make_event

    @classmethod
    async def open(
        cls,
        device: Device,
        config: NicConfig,
        make_event: MakeEvent,
        version: NdkVersion = HIGHEST_VERSION,
    ) -> Facade:
        """Bring a device up and open an adapter on it."""
        nic = await Nic.bring_up(device, config)
        status, adapter = open_adapter(nic, version)
        if adapter is None:
            raise NdkError("open adapter", status)
        return cls(adapter, make_event)

    # ------------------------------------------------------------ the two patterns

    async def _request(self, what: str, call: Callable[[Callable[..., None]], Status]) -> Any:
        """Make a call that may pend; what its completion brought along."""
        event = self._make_event()
        brought: list[Any] = []

        def completed(_context: object, *rest: Any) -> None:
            brought.extend(rest)
            event.set()

        status = call(completed)
        if status is Status.PENDING:
            waiting: Awaitable[Any] = event.wait()
            await waiting
            status = brought[0] if brought else Status.SUCCESS
        if status is not Status.SUCCESS:
            raise NdkError(what, status)
        return brought[1] if len(brought) > 1 else None

    async def _create(self, what: str, call: Callable[[Callable[..., None], Any], Status]) -> Any:
        out: Out[Any] = Out()
        created = await self._request(what, lambda completed: call(completed, out))
        return created if out.value is None else out.value

    # ------------------------------------------------------------ objects

    async def create_pd(self) -> Pd:
        """A protection domain."""
        pd: Pd = await self._create(
            "create PD", lambda completed, out: self.adapter.create_pd(completed, None, out)
        )
        return pd

    async def create_cq(self, depth: int) -> WaitedCq:
        """A completion queue to wait on."""
        waited = WaitedCq(self._make_event)
        waited.cq = await self._create(
            "create CQ",
            lambda completed, out: self.adapter.create_cq(
                depth, waited.notify, None, None, completed, None, out
            ),
        )
        return waited

    async def create_srq(
        self,
        pd: Pd,
        depth: int,
        max_sge: int = 3,
        threshold: int = 0,
        notification: SrqNotification | None = None,
    ) -> Srq:
        """A shared receive queue; `notification` gets None and a status."""
        srq: Srq = await self._create(
            "create SRQ",
            lambda completed, out: pd.create_srq(
                depth, max_sge, threshold, notification, None, None, completed, None, out
            ),
        )
        return srq

    async def create_qp(
        self,
        pd: Pd,
        receive_cq: WaitedCq,
        initiator_cq: WaitedCq,
        *,
        context: object = None,
        depth: tuple[int, int] = (64, 64),
        max_sge: tuple[int, int] = (3, 14),
        inline: int = 224,
        srq: Srq | None = None,
    ) -> Qp:
        """A queue pair; depths and SGE limits are (receive, initiator)."""

        def call(completed: Callable[..., None], out: Out[Qp]) -> Status:
            cqs = (receive_cq.cq, initiator_cq.cq)
            if srq is not None:
                return pd.create_qp_with_srq(
                    *cqs, srq, context, depth[1], max_sge[1], inline, completed, None, out
                )
            return pd.create_qp(*cqs, context, *depth, *max_sge, inline, completed, None, out)

        qp: Qp = await self._create("create QP", call)
        return qp

    async def register(
        self,
        pd: Pd,
        memory: ConsumerBuffer | Mdl,
        flags: int = ALL_RIGHTS,
        length: int | None = None,
    ) -> Mr:
        """A normally registered region over a whole buffer or MDL."""
        mdl = memory.mdl if isinstance(memory, ConsumerBuffer) else memory
        size = sum(part.byte_count for part in mdl.parts()) if length is None else length
        out: Out[Mr] = Out()
        pd.create_mr(False, None, None, out)
        mr = out.value
        assert mr is not None
        await self._request(
            "register MR", lambda completed: mr.register_mr(mdl, size, flags, completed, None)
        )
        return mr

    async def initialize_fast_register(self, pd: Pd, pages: int, remote: bool = True) -> Mr:
        """A region for fast registrations of up to so many pages."""
        out: Out[Mr] = Out()
        pd.create_mr(True, None, None, out)
        mr = out.value
        assert mr is not None
        await self._request(
            "initialize FRMR",
            lambda completed: mr.initialize_fast_register_mr(pages, remote, completed, None),
        )
        return mr

    async def deregister(self, mr: Mr) -> None:
        """Take a registration back."""
        await self._request("deregister MR", lambda done: mr.deregister_mr(done, None))

    async def resize_cq(self, waited: WaitedCq, depth: int) -> None:
        """Change the depth of a completion queue."""
        await self._request("resize CQ", lambda done: waited.cq.resize_cq(depth, done, None))

    async def modify_srq(self, srq: Srq, depth: int = 0, threshold: int = 0) -> None:
        """Change depth or threshold of a shared receive queue; 0 leaves one as it is."""
        await self._request("modify SRQ", lambda done: srq.modify_srq(depth, threshold, done, None))

    async def close(self, *objects: NdkObject) -> None:
        """Close one object after the other, each to its end."""
        for each in objects:
            await self._close(each)

    async def _close(self, one: NdkObject) -> None:
        await self._request("close", lambda completed: one.close(completed, None))

    async def connect_out_of_band(
        self, qp: Qp, local: OutOfBandEndpoint, peer: OutOfBandEndpoint, path: OutOfBandPath
    ) -> None:
        """TEST HOOK: bring one queue pair to RTS."""
        await self._request(
            "connect", lambda done: qp.connect_out_of_band(local, peer, path, done, None)
        )


async def connect_pair(
    side_a: tuple[Facade, Qp],
    side_b: tuple[Facade, Qp],
    path: OutOfBandPath | None = None,
    **limits: Any,
) -> None:
    """TEST HOOK: connect two queue pairs to each other, without a connection manager."""
    (facade_a, qp_a), (facade_b, qp_b) = side_a, side_b
    end_a = qp_a.out_of_band_endpoint(**limits)
    end_b = qp_b.out_of_band_endpoint(**limits)
    way = path or OutOfBandPath()
    await facade_a.connect_out_of_band(qp_a, end_a, end_b, way)
    await facade_b.connect_out_of_band(qp_b, end_b, end_a, way)
