"""Common life of NDK objects: header, references, pending requests, close after the last child."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Generic, TypeVar

from driver_model.dispatch import dispatch_table
from driver_model.ndkpi import NdkObjectHeader, NdkVersion, ObjectType, Out
from driver_model.status import Status

CreateCompletion = Callable[[object, Status, Any], None]
RequestCompletion = Callable[[object, Status], None]
CloseCompletion = Callable[[object], None]


class Life(Enum):
    """Where an object is between creation and the end of its close."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class NdkObject:
    """An object with antecedents that must outlive it.

    A reference is a pending request, a running callback, or a successor. Close starts what is
    needed to make them go, and completes when none is left and the adapter has let go as well.
    """

    def __init__(
        self,
        kind: ObjectType,
        version: NdkVersion,
        antecedents: Iterable[NdkObject] = (),
    ) -> None:
        self.header = NdkObjectHeader(version, kind)
        # The consumer's side may replace it: nothing here reads it again.
        self.dispatch = dispatch_table(type(self), kind)
        self._antecedents = tuple(antecedents)
        self._references = 0
        self._life = Life.OPEN
        self._inside_close = False
        self._ending = False
        self._closed: Callable[[], None] | None = None
        for antecedent in self._antecedents:
            antecedent.hold()

    # ------------------------------------------------------------ references

    @property
    def is_open(self) -> bool:
        """Close has not been issued."""
        return self._life is Life.OPEN

    def hold(self) -> None:
        """One more reason why a close must wait."""
        self._references += 1

    def release(self) -> None:
        """One reason less."""
        self._references -= 1
        self._advance()

    def callback(self, call: Callable[[], None]) -> None:
        """Run a consumer callback during which this object cannot finish closing."""
        self.hold()
        try:
            call()
        finally:
            self.release()

    def query_extension(self, extension_interface_id: object, version: object, out: object) -> int:
        """NdkQueryExtension: no extension is offered."""
        del extension_interface_id, version, out
        return Status.NOT_SUPPORTED

    # ------------------------------------------------------------ close

    def close(self, close_completion: CloseCompletion | None, request_context: object) -> Status:
        """NdkCloseXxx: SUCCESS when it is closed now, else PENDING and the completion later."""
        if self._life is not Life.OPEN:
            raise RuntimeError(f"{type(self).__name__} is closed already")
        self._life = Life.CLOSING
        self._inside_close = True
        self._begin_close()
        self._advance()
        self._inside_close = False
        if self._life is Life.CLOSED:
            return Status.SUCCESS
        if close_completion is not None:
            completion = close_completion
            self._closed = lambda: completion(request_context)
        return Status.PENDING

    def _begin_close(self) -> None:
        """Start what makes pending requests end; for subclasses."""

    def _teardown(self, done: Callable[[], None]) -> None:
        """Let the adapter forget the object, then call `done`; for subclasses."""
        done()

    def _advance(self) -> None:
        if self._life is Life.CLOSING and not self._references and not self._ending:
            self._ending = True
            self._teardown(self._ended)

    def _ended(self) -> None:
        self._life = Life.CLOSED
        if not self._inside_close and self._closed is not None:
            self._closed()
        self._let_go()

    def _let_go(self) -> None:
        antecedents, self._antecedents = self._antecedents, ()
        for antecedent in antecedents:
            antecedent.release()

    def abandon(self) -> None:
        """The creation failed: the consumer never sees the object."""
        self._life = Life.CLOSED
        self._let_go()


class PendingRequest:
    """A request that returned PENDING: calls back once, and holds its object until then."""

    def __init__(
        self, owner: NdkObject, completion: RequestCompletion | None, context: object
    ) -> None:
        self._owner = owner
        self._completion = completion
        self._context = context
        owner.hold()

    def complete(self, status: Status) -> None:
        """Hand over the outcome; the consumer may close the object in the callback."""
        completion, self._completion = self._completion, None
        try:
            if completion is not None:
                completion(self._context, status)
        finally:
            self._owner.release()


Object = TypeVar("Object", bound=NdkObject)


class PendingCreate(Generic[Object]):
    """A creation under way: the object becomes visible in the callback, or not at all."""

    def __init__(
        self, created: Object, completion: CreateCompletion | None, context: object
    ) -> None:
        self._created = created
        self._completion = completion
        self._context = context
        created.hold()

    def complete(self, status: Status) -> None:
        """Hand the object over, or NULL when the creation failed."""
        shown = self._created if status is Status.SUCCESS else None
        if shown is None:
            self._created.abandon()
        try:
            if self._completion is not None:
                self._completion(self._context, status, shown)
        finally:
            self._created.release()


def created_inline(out: Out[Object], created: Object) -> Status:
    """Finish a creation that needs nothing from the adapter."""
    out.value = created
    return Status.SUCCESS
