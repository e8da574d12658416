"""Encode values as bytes and decode them: the format of all messages between judge, solver and plugin.

Whatever the untrusted side sends, decoding gives exact builtin types, types of the standard library, references or an
error. So an object with its own `__eq__` never takes part in a comparison, and no code runs while a value is read
(unlike pickle).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import datetime, time
from typing import Any

from pytest_qeval.execution.carried import (
    CONTAINERS,
    SCALARS,
    CodecError,
    FieldTuple,
    Numbers,
    is_builtin_class,
    is_carried_time,
)

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 100

_COUNT = struct.Struct(">I")
_SINGLES = {None: b"N", True: b"T", False: b"F", Ellipsis: b".", NotImplemented: b"!"}
_REFERENCE = b"x"


class UnsupportedValueError(CodecError):
    """A value of a type that cannot be copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An object that stays with the program, as the judge gets to know it."""

    number: int
    """Identifies it."""
    name: str = ""
    """Of its class."""
    module: str = ""
    """Of its class."""
    abilities: frozenset[str] = frozenset()
    """Special methods that its class has, and the flags of `objects`."""


Refer = Callable[[object], "Reference | None"]
"""Returns a reference to an object that cannot be copied; None where there is none."""
Resolve = Callable[[Reference], object]
"""Returns what stands for a reference on this side."""


def no_reference(_value: object) -> None:
    """Refer to nothing."""


def encode(value: object, refer: Refer = no_reference) -> bytes:
    """Encode `value`; subclasses of builtin types become the builtin type itself.

    Raises:
        UnsupportedValueError: for a value that can neither be copied nor referred to.
        CodecError: for a value that is too large, or nested too deeply (or contains itself).
    """
    out = bytearray()
    _write(out, value, 0, refer)
    return bytes(out)


def decode(data: bytes, resolve: Resolve | None = None) -> Any:
    """Decode exactly one value.

    Raises:
        CodecError: for anything else, even one byte too many, or a reference where none is expected.
    """
    reader = _Reader(data, resolve)
    try:
        value = reader.value(0)
    except (TypeError, ValueError, ArithmeticError, struct.error) as error:
        if isinstance(error, CodecError):
            raise
        raise CodecError(f"malformed value: {error}") from None  # unhashable keys, broken UTF-8, bad numbers
    if reader.position != len(data):
        raise CodecError(f"{len(data) - reader.position} bytes too many")
    return value


def _write(out: bytearray, value: Any, depth: int, refer: Refer) -> None:
    if depth > MAX_DEPTH:
        raise CodecError(f"a value nested deeper than {MAX_DEPTH} levels")
    if len(out) > MAX_BYTES:  # checked on the way: shared references can make a small object endless
        raise CodecError(f"a value larger than {MAX_BYTES // 2**20} MiB")
    kind = type(value)
    if kind not in _COPIED:
        value = _carried(value, kind, refer)
        kind = type(value)
    if kind in SCALARS:
        tag, to_bytes, _ = SCALARS[kind]
        payload = to_bytes(value)
        if len(payload) > MAX_BYTES:
            raise CodecError(f"a value larger than {MAX_BYTES // 2**20} MiB")
        out += tag + _COUNT.pack(len(payload)) + payload
    elif kind in CONTAINERS or kind is Reference:
        tag, to_items, _ = CONTAINERS.get(kind, _AS_REFERENCE)
        items = to_items(value)
        out += tag + _COUNT.pack(len(items))
        for item in items:
            _write(out, item, depth + 1, refer)
    else:
        out += _SINGLES[value]


def _carried(value: Any, kind: type, refer: Refer) -> object:
    """Return what is written of a value: itself, the builtin value that it holds, or a reference to it."""
    if kind in {datetime, time}:
        plain = value if is_carried_time(value) else None
    elif kind is type:
        plain = value if is_builtin_class(value) else None
    else:
        plain = _to_builtin(value)
    if plain is None and (plain := refer(value)) is None:
        raise UnsupportedValueError(f"a class {value.__name__}" if kind is type else f"a value of type {kind.__name__}")
    return plain


def _to_builtin(value: Any) -> object:
    """Return the builtin value that `value` holds, read with the builtin's own methods, never with overridden ones.

    None where it holds none.
    """
    kind = type(value)
    if kind.__module__ == "numpy" and hasattr(value, "tobytes"):
        return Numbers.of(value)
    fields = getattr(kind, "_fields", None)
    if issubclass(kind, tuple) and type(fields) is tuple and len(fields) == tuple.__len__(value):
        return FieldTuple.of(fields, list(tuple.__iter__(value)))
    for base, convert in _BASES:
        if issubclass(kind, base):  # not isinstance, which believes an object's own __class__
            return convert(value)
    return None


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

    __slots__ = ("data", "position", "resolve")

    def __init__(self, data: bytes, resolve: Resolve | None) -> None:
        self.data = data
        self.position = 0
        self.resolve = resolve

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
        if tag == _REFERENCE and self.resolve is not None:
            return self.resolve(_decode_reference(self.items(count, depth)))
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


def _decode_reference(items: list[Any]) -> Reference:
    number, name, module, abilities = items
    if (type(number), type(name), type(module), type(abilities)) != (int, str, str, frozenset):
        raise CodecError("a malformed reference")
    return Reference(number=number, name=name, module=module, abilities=abilities)


_AS_REFERENCE = (_REFERENCE, astuple, _decode_reference)
_COPIED = frozenset({*SCALARS, *CONTAINERS, *map(type, _SINGLES), Reference} - {type, datetime, time})
_SINGLE_DECODERS = {tag: value for value, tag in _SINGLES.items()}
_SCALAR_DECODERS = {tag: decoder for tag, _, decoder in SCALARS.values()}
_CONTAINER_DECODERS = {tag: decoder for tag, _, decoder in CONTAINERS.values()}
