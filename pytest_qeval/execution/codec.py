"""Encode builtin values as bytes and decode them: the format of all messages between judge, solver and plugin.

Whatever the untrusted side sends, decoding gives exact builtin types or an error. So an object with its own `__eq__`
never takes part in a comparison, and no code runs while a value is read (unlike pickle).
"""

from __future__ import annotations

import builtins
import struct
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 100

_COUNT = struct.Struct(">I")
_FLOAT = struct.Struct(">d")
_COMPLEX = struct.Struct(">dd")
_SINGLES = {None: b"N", True: b"T", False: b"F"}


class CodecError(ValueError):
    """Bytes that no honest encoder wrote, or a value beyond the limits of size and depth."""


class UnsupportedValueError(CodecError):
    """A value of a type that has no exact builtin counterpart."""


def encode(value: object) -> bytes:
    """Encode `value`; subclasses of builtin types become the builtin type itself.

    Raises:
        UnsupportedValueError: for a type such as a generator or a class of the program.
        CodecError: for a value that is too large, or nested too deeply (or contains itself).
    """
    out = bytearray()
    _write(out, value, 0)
    return bytes(out)


def decode(data: bytes) -> Any:
    """Decode exactly one value.

    Raises:
        CodecError: for anything else, even one byte too many.
    """
    reader = _Reader(data)
    try:
        value = reader.value(0)
    except (TypeError, ValueError, ArithmeticError, struct.error) as error:
        if isinstance(error, CodecError):
            raise
        raise CodecError(f"malformed value: {error}") from None  # unhashable keys, broken UTF-8, bad numbers
    if reader.position != len(data):
        raise CodecError(f"{len(data) - reader.position} bytes too many")
    return value


def _write(out: bytearray, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CodecError(f"a value nested deeper than {MAX_DEPTH} levels")
    if len(out) > MAX_BYTES:  # checked on the way: shared references can make a small object endless
        raise CodecError(f"a value larger than {MAX_BYTES // 2**20} MiB")
    kind = type(value)
    if kind in _SCALARS:
        tag, to_bytes, _ = _SCALARS[kind]
        payload = to_bytes(value)
        if len(payload) > MAX_BYTES:
            raise CodecError(f"a value larger than {MAX_BYTES // 2**20} MiB")
        out += tag + _COUNT.pack(len(payload)) + payload
    elif kind in _CONTAINERS:
        tag, to_items, _ = _CONTAINERS[kind]
        items = to_items(value)
        out += tag + _COUNT.pack(len(items))
        for item in items:
            _write(out, item, depth + 1)
    elif value is None or kind is bool:
        out += _SINGLES[value]
    else:
        _write(out, _to_builtin(value), depth)


def _to_builtin(value: Any) -> object:
    """Return the builtin value that `value` holds, read with the builtin's own methods, never with overridden ones."""
    kind = type(value)
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    for base, convert in _BASES:
        if issubclass(kind, base):  # not isinstance, which believes an object's own __class__
            return convert(value)
    if isinstance(value, _DICT_VIEWS):  # views equal sets in honest programs
        return set(value)
    raise UnsupportedValueError(f"a value of type {kind.__name__}")


_DICT_VIEWS: tuple[type[AbstractSet[Any]], ...] = (type({1: 1}.keys()), type({1: 1}.items()))
_BASES: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (complex, lambda value: complex(complex.real.__get__(value), complex.imag.__get__(value))),
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
    (bytearray, lambda value: bytearray.__getitem__(value, slice(None))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (dict, lambda value: dict(dict.items(value))),
)


class _Reader:
    """A position in the bytes and one method per shape of value."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise CodecError(f"nested deeper than {MAX_DEPTH} levels")
        tag = self.take(1)
        if tag in _SINGLE_DECODERS:
            return _SINGLE_DECODERS[tag]
        count: int = _COUNT.unpack(self.take(4))[0]
        if tag in _SCALAR_DECODERS:
            return _SCALAR_DECODERS[tag](self.take(count))
        if tag in _CONTAINER_DECODERS:
            return _CONTAINER_DECODERS[tag](self.items(count, depth))
        raise CodecError(f"unknown tag {tag!r}")

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise CodecError(f"{end - len(self.data)} bytes missing")
        block = self.data[self.position : end]
        self.position = end
        return block

    def items(self, count: int, depth: int) -> list[Any]:
        if count > len(self.data) - self.position:  # every value takes a byte at least
            raise CodecError(f"{count} values announced, {len(self.data) - self.position} bytes left")
        return [self.value(depth + 1) for _ in range(count)]


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _class_bytes(kind: type) -> bytes:
    name: str = kind.__name__
    if vars(builtins).get(name) is not kind:
        raise UnsupportedValueError(f"a class {name}")
    return name.encode()


def _decode_class(data: bytes) -> type:
    kind = vars(builtins).get(data.decode("ascii"))
    if type(kind) is not type:
        raise CodecError("not the name of a builtin class")
    return kind


def _decode_set(items: list[Any]) -> set[Any]:
    members = set(items)
    if len(members) != len(items):
        raise CodecError("a set with equal members")
    return members


def _decode_dict(items: list[Any]) -> dict[Any, Any]:
    result = dict(zip(items[::2], items[1::2], strict=True))
    if 2 * len(result) != len(items):
        raise CodecError("a dict with equal keys")
    return result


def _expect_ints(items: list[Any]) -> list[int]:
    if any(type(item) is not int for item in items):
        raise CodecError("an integer was expected")
    return items


def _decode_range(items: list[Any]) -> range:
    start, stop, step = _expect_ints(items)
    return range(start, stop, step)


def _decode_fraction(items: list[Any]) -> Fraction:
    numerator, denominator = _expect_ints(items)
    return Fraction(numerator, denominator)


# By type: the tag in the bytes, how a value becomes bytes or items, and how those become the value.
_SCALARS: dict[type, tuple[bytes, Callable[[Any], bytes], Callable[[bytes], Any]]] = {
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
    Decimal: (b"m", lambda value: str(value).encode(), lambda data: Decimal(data.decode("ascii"))),
    type: (b"k", _class_bytes, _decode_class),
}
_CONTAINERS: dict[type, tuple[bytes, Callable[[Any], Sequence[object]], Callable[[list[Any]], Any]]] = {
    list: (b"l", list, list),
    tuple: (b"t", tuple, tuple),
    set: (b"S", list, _decode_set),
    frozenset: (b"Z", list, lambda items: frozenset(_decode_set(items))),
    dict: (b"d", lambda value: [item for pair in value.items() for item in pair], _decode_dict),
    range: (b"r", lambda value: (value.start, value.stop, value.step), _decode_range),
    Fraction: (b"q", lambda value: (value.numerator, value.denominator), _decode_fraction),
}
_SINGLE_DECODERS = {tag: value for value, tag in _SINGLES.items()}
_SCALAR_DECODERS = {tag: decoder for tag, _, decoder in _SCALARS.values()}
_CONTAINER_DECODERS = {tag: decoder for tag, _, decoder in _CONTAINERS.values()}
