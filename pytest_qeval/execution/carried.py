"""The values that cross a process border by copy: by type, how each becomes bytes or items and is made again.

Only exact types stand here. The other side makes each value anew with the constructor of a type of the standard
library, so no code of the program runs there.
"""

from __future__ import annotations

import builtins
import re
import struct
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from typing import Any

_FLOAT = struct.Struct(">d")
_COMPLEX = struct.Struct(">dd")
_DTYPE = re.compile(r"[<>|=][biufcSUmM]\d+(?:\[\w+\])?")
"""Numbers, texts and times."""


class CodecError(ValueError):
    """Bytes that no honest encoder wrote, or a value beyond the limits of size and depth."""


class FieldTuple(tuple[Any, ...]):  # noqa: SLOT001 - no slots: a tuple has no room for its fields
    """A named tuple: equal to a tuple, with the fields of the program's class as attributes."""

    _fields: tuple[str, ...]

    @classmethod
    def of(cls, fields: tuple[str, ...], values: Sequence[object]) -> FieldTuple:
        """Name the values."""
        made = cls(values)
        made._fields = fields
        return made

    def __getattr__(self, name: str) -> Any:
        """Return the value of a field."""
        if name == "_fields" or name not in self._fields:
            raise AttributeError(f"the named tuple has no field {name!r}")
        return self[self._fields.index(name)]

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))


@dataclass(frozen=True, slots=True)
class Numbers:
    """An array or a number of numpy, as it is written."""

    dtype: str
    shape: tuple[int, ...] | None
    """None for a single number."""
    data: bytes

    @classmethod
    def of(cls, value: Any) -> Numbers | None:
        """Take the content; None where it holds objects or fields."""
        shape = tuple(value.shape) if type(value).__name__ == "ndarray" else None
        return cls(value.dtype.str, shape, value.tobytes()) if _DTYPE.fullmatch(value.dtype.str) else None


def is_builtin_class(kind: object) -> bool:
    """Return whether a class is one of Python's builtins, which has the same name on both sides."""
    return type(kind) is type and vars(builtins).get(kind.__name__) is kind


def is_carried_time(value: datetime | time) -> bool:
    """Return whether a time has no zone, or one that is a fixed offset."""
    return value.tzinfo is None or type(value.tzinfo) is timezone


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _class_bytes(kind: type) -> bytes:
    return kind.__name__.encode()


def _decode_class(data: bytes) -> type:
    kind = vars(builtins).get(data.decode("ascii"))
    if type(kind) is not type:
        raise CodecError("not the name of a builtin class")
    return kind


def _distinct(items: list[Any]) -> list[Any]:
    if len(set(items)) != len(items):
        raise CodecError("a set with equal members")
    return items


def _decode_dict(items: list[Any]) -> dict[Any, Any]:
    result = dict(zip(items[::2], items[1::2], strict=True))
    if 2 * len(result) != len(items):
        raise CodecError("a dict with equal keys")
    return result


def _expect_ints(items: list[Any]) -> list[int]:
    if any(type(item) is not int for item in items):
        raise CodecError("an integer was expected")
    return items


def _flat(value: dict[Any, Any]) -> list[object]:
    return [item for pair in value.items() for item in pair]


def _default_dict_items(value: defaultdict[Any, Any]) -> list[object]:
    factory = value.default_factory
    return [factory if is_builtin_class(factory) else None, *_flat(value)]


def _decode_default_dict(items: list[Any]) -> defaultdict[Any, Any]:
    factory, *rest = items
    if factory is not None and not is_builtin_class(factory):
        raise CodecError("not the factory of a defaultdict")
    return defaultdict(factory, _decode_dict(rest))


def _decode_array(items: list[Any]) -> array[Any]:
    typecode, data = items
    if type(typecode) is not str or type(data) is not bytes:
        raise CodecError("not an array")
    return array(typecode, data)


def _decode_deque(items: list[Any]) -> deque[Any]:
    longest, *values = items
    return deque(values, longest)


def _decode_fields(items: list[Any]) -> FieldTuple:
    fields, *values = items
    if type(fields) is not tuple or len(fields) != len(values) or any(type(name) is not str for name in fields):
        raise CodecError("a named tuple without its names")
    return FieldTuple.of(fields, values)


def _decode_numbers(items: list[Any]) -> Any:
    dtype, shape, data = items
    if type(dtype) is not str or not _DTYPE.fullmatch(dtype) or type(data) is not bytes:
        raise CodecError("not numbers")
    if shape is not None and type(shape) is not tuple:
        raise CodecError("not the shape of an array")
    try:
        numbers = import_module("numpy").frombuffer(data, dtype)
        return numbers[0] if shape is None else numbers.reshape(shape).copy()
    except ImportError as error:
        raise CodecError(str(error)) from None
    except LookupError as error:
        raise CodecError(f"numbers without data: {error}") from None


def _time_items(value: time) -> list[object]:
    return [value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold]


def _datetime_items(value: datetime) -> list[object]:
    return [value.year, value.month, value.day, *_time_items(value.timetz())]


def _decode_time(kind: Callable[..., Any], items: list[Any]) -> Any:
    *numbers, zone, fold = items
    return kind(*_expect_ints(numbers), tzinfo=zone, fold=fold)


def _decode_range(items: list[Any]) -> range:
    start, stop, step = _expect_ints(items)
    return range(start, stop, step)


def _decode_fraction(items: list[Any]) -> Fraction:
    numerator, denominator = _expect_ints(items)
    return Fraction(numerator, denominator)


# By type: the tag in the bytes, how a value becomes bytes or items, and how those become the value.
SCALARS: dict[type, tuple[bytes, Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    int: (b"i", _int_bytes, lambda data: int.from_bytes(data, "big", signed=True)),
    float: (b"f", _FLOAT.pack, lambda data: _FLOAT.unpack(data)[0]),
    complex: (b"c", lambda value: _COMPLEX.pack(value.real, value.imag), lambda data: complex(*_COMPLEX.unpack(data))),
    str: (
        b"s",
        lambda value: value.encode("utf-8", "surrogatepass"),
        lambda data: data.decode("utf-8", "surrogatepass"),
    ),
    bytes: (b"b", bytes, bytes),
    bytearray: (b"y", bytes, bytearray),
    memoryview: (b"M", bytes, memoryview),
    Decimal: (b"m", lambda value: str(value).encode(), lambda data: Decimal(data.decode("ascii"))),
    type: (b"k", _class_bytes, _decode_class),
}
CONTAINERS: dict[type, tuple[bytes, Callable[[Any], Sequence[object]], Callable[[list[Any]], Any]]] = {
    list: (b"l", list, list),
    tuple: (b"t", tuple, tuple),
    set: (b"S", list, lambda items: set(_distinct(items))),
    frozenset: (b"Z", list, lambda items: frozenset(_distinct(items))),
    dict: (b"d", _flat, _decode_dict),
    OrderedDict: (b"O", _flat, lambda items: OrderedDict(_decode_dict(items))),
    Counter: (b"C", _flat, lambda items: Counter(_decode_dict(items))),
    defaultdict: (b"G", _default_dict_items, _decode_default_dict),
    slice: (b"L", lambda value: (value.start, value.stop, value.step), lambda items: slice(*items)),
    array: (b"B", lambda value: (value.typecode, value.tobytes()), _decode_array),
    deque: (b"D", lambda value: [value.maxlen, *value], _decode_deque),
    type({}.keys()): (b"K", list, lambda items: dict.fromkeys(_distinct(items)).keys()),
    type({}.items()): (b"E", list, lambda items: dict(items).items()),
    type({}.values()): (b"V", list, lambda items: dict(enumerate(items)).values()),
    Numbers: (b"A", lambda value: (value.dtype, value.shape, value.data), _decode_numbers),
    FieldTuple: (b"n", lambda value: [value._fields, *value], _decode_fields),
    range: (b"r", lambda value: (value.start, value.stop, value.step), _decode_range),
    Fraction: (b"q", lambda value: (value.numerator, value.denominator), _decode_fraction),
    date: (b"a", lambda value: (value.year, value.month, value.day), lambda items: date(*_expect_ints(items))),
    timedelta: (
        b"e",
        lambda value: (value.days, value.seconds, value.microseconds),
        lambda items: timedelta(*_expect_ints(items)),
    ),
    timezone: (b"z", lambda value: value.__getinitargs__(), lambda items: timezone(*items)),
    time: (b"h", _time_items, lambda items: _decode_time(time, items)),
    datetime: (b"w", _datetime_items, lambda items: _decode_time(datetime, items)),
}
