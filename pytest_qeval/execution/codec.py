"""Turn builtin values into bytes and back: the only language that judge, solver and plugin speak.

Whatever the untrusted side sends, decoding gives exact builtin types or an error. An object with its own `__eq__` can
therefore never take part in a comparison, and no code runs while a value is being read (unlike pickle).
"""

from __future__ import annotations

import builtins
import struct
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from fractions import Fraction
from typing import Any

__all__ = ["MAX_BYTES", "MAX_DEPTH", "CodecError", "UnsupportedValueError", "decode", "encode"]

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
        UnsupportedValueError: for a type such as a generator or a class of the program's own.
        CodecError: for a value that is too large, or nested too deeply (or contains itself).
    """
    out = bytearray()
    _write(out, value, 0)
    return bytes(out)


def decode(data: bytes) -> Any:
    """Decode exactly one value; everything else, also a single byte too many, is a `CodecError`."""
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


def _write(out: bytearray, value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CodecError(f"a value nested deeper than {MAX_DEPTH} levels")
    if len(out) > MAX_BYTES:  # checked on the way: shared references can make a small object endless
        raise CodecError(f"a value larger than {MAX_BYTES // 2**20} MiB")
    kind = type(value)
    if kind in _SCALARS:
        tag, to_bytes = _SCALARS[kind]
        _write_block(out, tag, to_bytes(value))
    elif kind in _CONTAINERS:
        tag, to_items = _CONTAINERS[kind]
        _write_items(out, tag, to_items(value), depth)
    elif kind is dict:
        _write_dict(out, value, depth)  # type: ignore[arg-type]  # an exact dict
    elif value is None or kind is bool:
        out += _SINGLES[value]  # type: ignore[index]  # one of the three keys
    else:
        _write(out, _to_builtin(value), depth)


def _write_block(out: bytearray, tag: bytes, payload: bytes) -> None:
    if len(payload) > MAX_BYTES:
        raise CodecError(f"a value larger than {MAX_BYTES // 2**20} MiB")
    out += tag + _COUNT.pack(len(payload)) + payload


def _write_items(out: bytearray, tag: bytes, items: Sequence[object], depth: int) -> None:
    out += tag + _COUNT.pack(len(items))
    for value in items:
        _write(out, value, depth + 1)


def _write_dict(out: bytearray, mapping: Mapping[object, object], depth: int) -> None:
    out += b"d" + _COUNT.pack(len(mapping))
    for key, value in mapping.items():
        _write(out, key, depth + 1)
        _write(out, value, depth + 1)


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _class_name(kind: type) -> str:
    name: str = kind.__name__
    if vars(builtins).get(name) is not kind:
        raise UnsupportedValueError(f"a class {name}")
    return name


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

_SCALARS: dict[type, tuple[bytes, Callable[[Any], bytes]]] = {
    int: (b"i", _int_bytes),
    float: (b"f", _FLOAT.pack),
    complex: (b"c", lambda value: _COMPLEX.pack(value.real, value.imag)),
    str: (b"s", lambda value: value.encode("utf-8", "surrogatepass")),
    bytes: (b"b", bytes),
    bytearray: (b"y", bytes),
    Decimal: (b"m", lambda value: str(value).encode()),
    type: (b"k", lambda value: _class_name(value).encode()),
}
_CONTAINERS: dict[type, tuple[bytes, Callable[[Any], Sequence[object]]]] = {
    list: (b"l", list),
    tuple: (b"t", tuple),
    set: (b"S", list),
    frozenset: (b"Z", list),
    range: (b"r", lambda value: (value.start, value.stop, value.step)),
    Fraction: (b"q", lambda value: (value.numerator, value.denominator)),
}
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
        if tag in _DECODED_SINGLES:
            return _DECODED_SINGLES[tag]
        count: int = _COUNT.unpack(self.take(4))[0]
        if tag in _DECODED_SCALARS:
            return _DECODED_SCALARS[tag](self.take(count))
        if tag == b"d":
            return self.mapping(count, depth)
        if tag in _DECODED_CONTAINERS:
            return self.container(_DECODED_CONTAINERS[tag], count, depth)
        raise CodecError(f"unknown tag {tag!r}")

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise CodecError(f"{end - len(self.data)} bytes missing")
        block = self.data[self.position : end]
        self.position = end
        return block

    def expect_room(self, count: int) -> None:
        if count > len(self.data) - self.position:  # every value takes a byte at least
            raise CodecError(f"{count} values announced, {len(self.data) - self.position} bytes left")

    def container(self, kind: Callable[[list[Any]], Any], count: int, depth: int) -> Any:
        self.expect_room(count)
        items = [self.value(depth + 1) for _ in range(count)]
        return kind(items)

    def mapping(self, count: int, depth: int) -> dict[Any, Any]:
        self.expect_room(2 * count)
        result = {}
        for _ in range(count):
            key = self.value(depth + 1)
            result[key] = self.value(depth + 1)
        if len(result) != count:
            raise CodecError("a dict with equal keys")
        return result


def _decode_set(items: list[Any]) -> set[Any]:
    members = set(items)
    if len(members) != len(items):
        raise CodecError("a set with equal members")
    return members


def _decode_range(items: list[Any]) -> range:
    start, stop, step = map(_expect_int, items)
    return range(start, stop, step)


def _decode_fraction(items: list[Any]) -> Fraction:
    numerator, denominator = map(_expect_int, items)
    return Fraction(numerator, denominator)


def _decode_class(data: bytes) -> type:
    kind = vars(builtins).get(data.decode("ascii"))
    if type(kind) is not type:
        raise CodecError("not the name of a builtin class")
    return kind


def _expect_int(value: object) -> int:
    if type(value) is not int:
        raise CodecError("an integer was expected")
    return value


_DECODED_SINGLES = {tag: value for value, tag in _SINGLES.items()}
_DECODED_SCALARS: dict[bytes, Callable[[bytes], Any]] = {
    b"i": lambda data: int.from_bytes(data, "big", signed=True),
    b"f": lambda data: _FLOAT.unpack(data)[0],
    b"c": lambda data: complex(*_COMPLEX.unpack(data)),
    b"s": lambda data: data.decode("utf-8", "surrogatepass"),
    b"b": bytes,
    b"y": bytearray,
    b"m": lambda data: Decimal(data.decode("ascii")),
    b"k": _decode_class,
}
_DECODED_CONTAINERS: dict[bytes, Callable[[list[Any]], Any]] = {
    b"l": list,
    b"t": tuple,
    b"S": _decode_set,
    b"Z": lambda items: frozenset(_decode_set(items)),
    b"r": _decode_range,
    b"q": _decode_fraction,
}
