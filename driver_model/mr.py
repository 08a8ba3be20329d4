"""NDK_MR: memory under a token, registered normally or by work requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from driver_model.adapter_limits import MAX_FRMR_PAGES
from driver_model.device import DmaBuffer
from driver_model.hw.page_list import PageList, write_pages
from driver_model.hw.wqe import FastRegister, LocalInvalidate
from driver_model.memory import Mdl, mdl_pages
from driver_model.ndkpi import PAGE_SIZE, MrFlag, ObjectType, OpFlag
from driver_model.objects import NdkObject, PendingRequest, RequestCompletion
from driver_model.posting import hardware_flags
from driver_model.status import Status, admin_status
from spec.codes import Access, AdminStatus
from spec.layouts import AdminCommand, AdminCqe, AdminKey, AdminOp, KeyKind

if TYPE_CHECKING:
    from driver_model.pd import Pd

PAGE_SHIFT = 12


class MrState(Enum):
    """What a region is ready for."""

    CREATED = "created"
    BUSY = "registering, initializing or deregistering"
    REGISTERED = "registered, or initialized for fast registration"


def registration_rights(flags: int) -> Access:
    """Rights of NDK_MR_FLAG; remote write brings local write along."""
    rights = Access(0)
    if flags & (MrFlag.ALLOW_LOCAL_WRITE | MrFlag.REMOTE_WRITE_BIT):
        rights |= Access.LOCAL_WRITE
    if flags & MrFlag.ALLOW_REMOTE_READ:
        rights |= Access.REMOTE_READ
    if flags & MrFlag.REMOTE_WRITE_BIT:
        rights |= Access.REMOTE_WRITE
    return rights


def operation_rights(flags: int) -> Access:
    """Rights of NDK_OP_FLAG; remote write brings local write along."""
    rights = Access(0)
    if flags & (OpFlag.ALLOW_LOCAL_WRITE | OpFlag.REMOTE_WRITE_BIT):
        rights |= Access.LOCAL_WRITE
    if flags & OpFlag.ALLOW_REMOTE_READ:
        rights |= Access.REMOTE_READ
    if flags & OpFlag.REMOTE_WRITE_BIT:
        rights |= Access.REMOTE_WRITE
    return rights


def describes_region(pages: Sequence[int], fbo: int, length: int, base: int) -> bool:
    """The parameters of NdkFastRegister fit each other."""
    return (
        not any(page % PAGE_SIZE for page in pages)
        and 0 <= fbo < PAGE_SIZE
        and 0 < length <= len(pages) * PAGE_SIZE - fbo
        and base % PAGE_SIZE == fbo
    )


class Mr(NdkObject):
    """A region; which kind is fixed at creation."""

    def __init__(self, pd: Pd, fast_register: bool) -> None:
        super().__init__(ObjectType.MR, pd.header.version, [pd])
        self.pd = pd
        self.fast = fast_register
        self._nic = pd.adapter.nic
        self._state = MrState.CREATED
        self._token = 0
        self._pages: PageList | None = None
        self._max_pages = 0
        self._remote = False
        self._lists: list[DmaBuffer] = []
        self._spare: list[DmaBuffer] = []
        self._current: DmaBuffer | None = None

    # ------------------------------------------------------------ dispatch table

    def register_mr(
        self,
        mdl: Mdl | None,
        length: int,
        flags: int,
        request_completion: RequestCompletion | None,
        request_context: object,
    ) -> Status:
        """NdkRegisterMr."""
        if self.fast or self._state is not MrState.CREATED:
            return Status.INVALID_DEVICE_REQUEST
        if mdl is None:
            return Status.INVALID_PARAMETER
        if length == 0:
            return Status.INVALID_BUFFER_SIZE
        fits = length <= self.pd.adapter.info.max_registration_size
        pages = mdl_pages(mdl, length) if fits else None
        if pages is None:
            return Status.INVALID_PARAMETER
        token = self._nic.keys.take()
        if token is None:
            return Status.INSUFFICIENT_RESOURCES
        self._pages = PageList.build(self._nic.device, pages, mdl.virtual_address % PAGE_SIZE)
        command = self._registration(token, mdl.virtual_address, length, flags)
        return self._ask_for_token(token, command, request_completion, request_context)

    def initialize_fast_register_mr(
        self,
        adapter_page_count: int,
        remote_access: bool,
        request_completion: RequestCompletion | None,
        request_context: object,
    ) -> Status:
        """NdkInitializeFastRegisterMr."""
        if not self.fast or self._state is not MrState.CREATED:
            return Status.INVALID_DEVICE_REQUEST
        if adapter_page_count > MAX_FRMR_PAGES:
            return Status.IMPLEMENTATION_LIMIT
        token = self._nic.keys.take()
        if token is None:
            return Status.INSUFFICIENT_RESOURCES
        self._max_pages = adapter_page_count
        self._remote = remote_access
        command = AdminKey(
            opcode=AdminOp.REGISTER_KEY,
            number=token >> 8,
            key=token & 0xFF,
            kind=KeyKind.FAST_REG,
            pd=self.pd.number,
            length=adapter_page_count,
        )
        return self._ask_for_token(token, command, request_completion, request_context)

    def deregister_mr(
        self, request_completion: RequestCompletion | None, request_context: object
    ) -> Status:
        """NdkDeregisterMr; when it completes the adapter touches the memory no more."""
        if self.fast or self._state is not MrState.REGISTERED:
            return Status.INVALID_DEVICE_REQUEST
        pending = PendingRequest(self, request_completion, request_context)
        self._give_token_back(pending.complete)
        return Status.PENDING

    def get_remote_token_from_mr(self) -> int:
        """NdkGetRemoteTokenFromMr."""
        return self._token

    def get_local_token_from_mr(self) -> int:
        """NdkGetLocalTokenFromMr."""
        return self._token

    # ------------------------------------------------------------ work requests

    def fast_register_work(
        self, pages: Sequence[int], fbo: int, length: int, base: int, flags: int
    ) -> tuple[Status, FastRegister | None, Callable[[bool], None] | None]:
        """The work of NdkFastRegister, and what to do when it has completed."""
        rights = operation_rights(flags)
        if not self.fast or self._state is not MrState.REGISTERED:
            return Status.INVALID_DEVICE_REQUEST, None, None
        if rights & (Access.REMOTE_READ | Access.REMOTE_WRITE) and not self._remote:
            return Status.ACCESS_VIOLATION, None, None
        if len(pages) > self._max_pages or not describes_region(pages, fbo, length, base):
            return Status.INVALID_PARAMETER, None, None
        page_list = self._spare.pop() if self._spare else self._new_list()
        write_pages(page_list, pages)
        work = FastRegister(
            token=self._token,
            access=rights,
            base=base,
            length=length,
            pages=page_list.bus_address,
            direct=False,
            page_shift=PAGE_SHIFT,
            flags=hardware_flags(flags),
        )
        return Status.SUCCESS, work, lambda good: self._registered(page_list, good)

    def invalidate_work(self, flags: int) -> tuple[Status, LocalInvalidate | None]:
        """The work of NdkInvalidate."""
        if not self.fast or self._state is not MrState.REGISTERED:
            return Status.INVALID_DEVICE_REQUEST, None
        return Status.SUCCESS, LocalInvalidate(self._token, hardware_flags(flags))

    def _new_list(self) -> DmaBuffer:
        """Registrations may be queued one behind the other, each with its own list."""
        self._lists.append(self._nic.device.allocate(8 * self._max_pages))
        return self._lists[-1]

    def _registered(self, page_list: DmaBuffer, good: bool) -> None:
        """A new list is in force only when the one before it was invalid."""
        if good:
            page_list, self._current = self._current or page_list, page_list
        if page_list is not self._current:
            self._spare.append(page_list)

    # ------------------------------------------------------------ tokens

    def _registration(self, token: int, base: int, length: int, flags: int) -> AdminKey:
        assert self._pages is not None
        return AdminKey(
            opcode=AdminOp.REGISTER_KEY,
            number=token >> 8,
            key=token & 0xFF,
            kind=KeyKind.MR,
            access=registration_rights(flags),
            direct=int(self._pages.direct),
            page_shift=PAGE_SHIFT,
            pd=self.pd.number,
            base=base,
            length=length,
            pages=self._pages.address,
        )

    def _ask_for_token(
        self,
        token: int,
        command: AdminKey,
        completion: RequestCompletion | None,
        context: object,
    ) -> Status:
        pending = PendingRequest(self, completion, context)
        self._state = MrState.BUSY

        def answered(answer: AdminCqe) -> None:
            if answer.status == AdminStatus.OK:
                self._token = token
                self._state = MrState.REGISTERED
            else:
                self._nic.keys.give(token)
                self._free_pages()
                self._state = MrState.CREATED
            pending.complete(admin_status(answer.status))

        self._nic.submit(command, answered)
        return Status.PENDING

    def _give_token_back(self, done: Callable[[Status], None]) -> None:
        token, self._token = self._token, 0
        self._state = MrState.BUSY

        def answered(answer: AdminCqe) -> None:
            self._nic.keys.give(token)
            self._free_pages()
            self._state = MrState.CREATED
            done(admin_status(answer.status))

        command = AdminCommand(opcode=AdminOp.DEREGISTER_KEY, number=token >> 8)
        self._nic.submit(command, answered)

    def _free_pages(self) -> None:
        if self._pages is not None:
            self._pages.free(self._nic.device)
            self._pages = None
        for page_list in self._lists:
            self._nic.device.free(page_list)
        self._lists = []

    def _teardown(self, done: Callable[[], None]) -> None:
        if self._state is MrState.REGISTERED:
            self._give_token_back(lambda _status: done())
        else:
            done()
