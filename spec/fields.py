"""How a layout is declared: bit fields in a frozen dataclass.

Four kinds of layout share one mechanism:

- ``Record`` with ``bits(lo, width, doc)``: little-endian as it lies in host memory; ``lo`` counts
  from bit 0 of byte 0. ``SIZE`` (bytes) or ``WIDTH`` (bits) fixes the length; without either it is
  as long as its fields.
- ``Record`` with ``auto(width, doc)``: internal streams, each field directly above the one before.
- ``WireRecord`` with ``wire(width, doc)``: network order, declared as sent, first field on top.
- ``Register``: a 32-bit record with an address and an access kind.

Wherever a width is asked for, a record or a code enumeration may stand for it. ``spec.generate``
turns every record into a ``typedef struct packed`` at *file level* in a guarded include: Icarus,
Verilator and Yosys all accept that, and ports can have the type. A file that uses a type includes
the header itself, before ``module``.

Layout errors (overlap, overflow, unusable name) are raised when the class is defined.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, field
from enum import Enum, IntEnum, IntFlag
from functools import cache
from inspect import get_annotations
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

KEYWORDS = frozenset(
    """
    alias always and assert assign assume automatic begin bind bit break buf byte case cell
    chandle checker class clocking config const context continue cover default defparam design
    disable do edge else end endcase enum event expect export extends extern final first_match for
    force foreach forever fork function generate genvar global if iff import incdir include
    initial inout input inside instance int integer interface join large let liblist library local
    localparam logic longint macromodule matches medium modport module nand negedge new nor not
    null or output package packed parameter posedge primitive priority program property protected
    pull0 pull1 pure rand randc real realtime ref reg release repeat restrict return scalared
    sequence shortint signed small solve static string strong struct super supply0 supply1 table
    tagged task this throughout time timeprecision timeunit tran tri trior type typedef union
    unique unsigned until use uwire var vectored virtual void wait wand weak while wildcard wire
    with within wor xnor xor
    """.split()  # noqa: SIM905
)


class LayoutError(TypeError):
    """A record that cannot exist: fields overlap, do not fit, or have an unusable name."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: where it lies and what is nested in it."""

    name: str
    lo: int
    width: int
    doc: str
    nested: type[Record] | None = None

    @property
    def hi(self) -> int:
        """Highest bit of the field."""
        return self.lo + self.width - 1


@dataclass(frozen=True, slots=True)
class _Place:
    """What ``bits`` and its kin leave in a dataclass field until positions are known."""

    lo: int | None
    width: int
    doc: str
    nested: type[Record] | None


_CODE_WIDTHS: dict[type, int] = {}

Code = TypeVar("Code", bound=type)


def coded(width: int) -> Any:
    """Class decorator: say how many bits a code enumeration takes; eight when nothing is said."""

    def mark(code: Code) -> Code:
        _CODE_WIDTHS[code] = width
        for member in code:  # type: ignore[attr-defined]
            if not 0 <= member.value < 1 << width:
                raise LayoutError(f"{code.__name__}.{member.name} does not fit {width} bits")
        return code

    return mark


def code_width(code: type) -> int:
    """Bits that a code enumeration takes."""
    if code in _CODE_WIDTHS:
        return _CODE_WIDTHS[code]
    highest = max(member.value for member in code)  # type: ignore[attr-defined]
    return next(width for width in (8, 16, 32, 64) if highest < 1 << width)


def _measure(what: int | type) -> tuple[int, type[Record] | None]:
    """Width in bits of a number of bits, a record or a code, and the record if it is one."""
    if isinstance(what, int):
        if what < 1:
            raise LayoutError(f"a field of {what} bits")
        return what, None
    if issubclass(what, Record):
        return what.WIDTH, what
    if issubclass(what, (IntEnum, IntFlag)):
        return code_width(what), None
    raise LayoutError(f"{what!r} has no width: give bits, a record or a code")


def _place(lo: int | None, what: int | type, doc: str, default: Any) -> Any:
    width, nested = _measure(what)
    metadata = {"place": _Place(lo, width, doc, nested)}
    if nested is not None:
        return field(default_factory=nested, metadata=metadata)
    return field(default=default, metadata=metadata)


def bits(lo: int, width: int | type, doc: str, default: Any = 0) -> Any:
    """A field of ``width`` bits whose lowest bit is bit ``lo`` of the little-endian record."""
    return _place(lo, width, doc, default)


def auto(width: int | type, doc: str, default: Any = 0) -> Any:
    """A field directly above the field declared before it."""
    return _place(None, width, doc, default)


def sub(record: type[Record], doc: str, lo: int | None = None) -> Any:
    """A nested record, at bit ``lo`` or directly above the field declared before it."""
    return _place(lo, record, doc, 0)


def wire(width: int | type, doc: str, default: Any = 0) -> Any:
    """A field of a wire header, sent directly after the field declared before it."""
    return _place(None, width, doc, default)


@dataclass(frozen=True, slots=True)
class Record:
    """A little-endian layout; subclasses are frozen slotted dataclasses made of fields."""

    WIDTH: ClassVar[int] = 0
    FIELDS: ClassVar[tuple[Field, ...]] = ()
    BYTE_ORDER: ClassVar[Any] = "little"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # slots=True makes every class a second time, with the layout already in place.
        if "__slots__" in cls.__dict__ or "BYTE_ORDER" in cls.__dict__:
            return
        cls.FIELDS = _lay_out(cls)
        cls.WIDTH = _total_width(cls)
        _check(cls)

    @classmethod
    def size_bytes(cls) -> int:
        """Bytes that a packed record takes."""
        return (cls.WIDTH + 7) // 8

    def to_int(self) -> int:
        """The record as one number, bit 0 of the layout in bit 0."""
        value = 0
        for part in self.FIELDS:
            value |= _field_to_int(self, part) << part.lo
        return value

    def pack(self) -> bytes:
        """The record as it lies in memory or goes on the wire."""
        return self.to_int().to_bytes(self.size_bytes(), self.BYTE_ORDER)

    @classmethod
    def from_int(cls, value: int) -> Self:
        """The record that ``to_int`` made a number of; bits outside every field are ignored."""
        hints = _hints(cls)
        values = {}
        for part in cls.FIELDS:
            raw = value >> part.lo & (1 << part.width) - 1
            values[part.name] = _field_from_int(part, hints[part.name], raw, cls.BYTE_ORDER)
        return cls(**values)

    @classmethod
    def unpack(cls, data: bytes | bytearray | memoryview) -> Self:
        """The record at the beginning of ``data``, which may be longer."""
        size = cls.size_bytes()
        if len(data) < size:
            raise ValueError(f"{cls.__name__} takes {size} bytes, got {len(data)}")
        return cls.from_int(int.from_bytes(data[:size], cls.BYTE_ORDER))


@dataclass(frozen=True, slots=True)
class WireRecord(Record):
    """A header in network order; fields come from ``wire``, in the order they are sent."""

    BYTE_ORDER: ClassVar[Any] = "big"


def snake(name: str) -> str:
    """``SqWqe`` as the RTL spells it: ``sq_wqe``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def field_types(cls: type[Record]) -> dict[str, Any]:
    """The annotated type of every field of a record."""
    return _hints(cls)


@cache
def _resolve(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _hints(cls: Any) -> dict[str, Any]:
    # mypy does not see that the class of a slotted dataclass is hashable; Any says so.
    return _resolve(cls)


def _places(cls: type[Record]) -> list[tuple[str, _Place]]:
    """The declared fields in order; everything annotated must be a field or a class variable."""
    places = []
    for name, hint in get_annotations(cls).items():
        if "ClassVar" in str(hint):
            continue
        declared = cls.__dict__.get(name, MISSING)
        place = getattr(declared, "metadata", {}).get("place")
        if place is None:
            raise LayoutError(f"{cls.__name__}.{name} is not declared with bits, auto, sub or wire")
        places.append((name, place))
    return places


def _lay_out(cls: type[Record]) -> tuple[Field, ...]:
    """Give every field its position; wire records are then turned upside down."""
    placed: list[Field] = list(cls.FIELDS)
    above = max((part.hi + 1 for part in placed), default=0)
    for name, place in _places(cls):
        lo = above if place.lo is None else place.lo
        above = lo + place.width
        placed.append(Field(name, lo, place.width, place.doc, place.nested))
    if cls.BYTE_ORDER == "big":
        placed = [Field(p.name, above - p.lo - p.width, p.width, p.doc, p.nested) for p in placed]
    return tuple(placed)


def _total_width(cls: type[Record]) -> int:
    used = max((part.hi + 1 for part in cls.FIELDS), default=0)
    size: int | None = getattr(cls, "SIZE", None)
    if size is not None:
        return size * 8
    return int(cls.__dict__.get("WIDTH", used))


def _check(cls: type[Record]) -> None:
    """Raise on overlap, overflow, twice the same name, or a name the RTL cannot use."""
    owner: Field | None = None
    for part in sorted(cls.FIELDS, key=lambda p: p.lo):
        where = f"{cls.__name__}.{part.name} (bits {part.hi}:{part.lo})"
        if part.lo < 0 or part.hi >= cls.WIDTH:
            raise LayoutError(f"{where} does not fit {cls.WIDTH} bits")
        if owner is not None and part.lo <= owner.hi:
            raise LayoutError(f"{where} overlaps {owner.name} (bits {owner.hi}:{owner.lo})")
        if part.name in KEYWORDS or part.name.startswith("rsvd") or hasattr(Record, part.name):
            raise LayoutError(f"{where}: the name is taken")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", part.name):
            raise LayoutError(f"{where}: the name is not lower_snake")
        owner = part


def _field_to_int(record: Record, part: Field) -> int:
    """The raw bits of one field, checked for range."""
    value: Any = getattr(record, part.name)
    where = f"{type(record).__name__}.{part.name}"
    if isinstance(value, Record):
        if part.nested is None or not isinstance(value, part.nested):
            raise ValueError(f"{where} does not hold a {type(value).__name__}")
        return value.to_int()
    if isinstance(value, (bytes, bytearray)):
        value = int.from_bytes(value, record.BYTE_ORDER)
    raw = int(value)
    if not 0 <= raw < 1 << part.width:
        raise ValueError(f"{where} = {raw:#x} does not fit {part.width} bits")
    return raw


def _field_from_int(part: Field, hint: Any, raw: int, order: Any) -> Any:
    """One field's value in its annotated type; codes nobody knows stay plain numbers."""
    if part.nested is not None:
        return part.nested.from_int(raw)
    if hint is bytes:
        return raw.to_bytes((part.width + 7) // 8, order)
    if isinstance(hint, type) and issubclass(hint, (IntEnum, IntFlag, bool)):
        try:
            return hint(raw)
        except ValueError:
            return raw
    return raw


class RegisterKind(Enum):
    """How software and hardware meet in a register."""

    READ_ONLY = "RO"
    READ_WRITE = "RW"
    COMMAND = "WO"


@dataclass(frozen=True, slots=True)
class Register(Record):
    """A 32-bit register: field defaults are the reset value.

    READ_ONLY shows what the hardware drives; READ_WRITE keeps what software wrote; COMMAND hands a
    write to the hardware for one cycle and reads zero.
    """

    SIZE: ClassVar[int] = 4
    ADDRESS: ClassVar[int] = 0
    KIND: ClassVar[RegisterKind] = RegisterKind.READ_WRITE
