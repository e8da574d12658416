"""What the codec lets through, and what it refuses."""

from __future__ import annotations

import array
import collections
import contextlib
import datetime as dt
import enum
import math
import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.execution import codec
from pytest_qeval.execution.carried import CodecError, FieldTuple
from pytest_qeval.execution.codec import Reference, UnsupportedValueError, decode, encode

_HASHABLE_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**300), max_value=2**300),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters(exclude_categories=[])),  # surrogates too
    st.binary(),
    st.fractions(),
    st.decimals(allow_nan=False),
)
_HASHABLE = st.recursive(
    _HASHABLE_LEAVES,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
_VALUES = st.recursive(
    _HASHABLE
    | st.binary().map(bytearray)
    | st.builds(range, st.integers(-5, 5), st.integers(-5, 5), st.integers(1, 3))
    | st.datetimes()
    | st.times()
    | st.timedeltas(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(_HASHABLE, max_size=4)
        | st.dictionaries(_HASHABLE, inner, max_size=4)
    ),
    max_leaves=20,
)


def _types(value: Any) -> Any:
    """Return the types of a value and of everything in it, in an order that does not depend on sets."""
    if isinstance(value, dict):
        return dict, [(_types(key), _types(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(repr(_types(item)) for item in value)
    if isinstance(value, (list, tuple)):
        return type(value), [_types(item) for item in value]
    return type(value)


@settings(deadline=None)  # the machine may be busy with a model
@given(_VALUES)
def test_round_trip_keeps_value_and_exact_types(value: object) -> None:
    """A value comes back equal, with the same types at every depth."""
    back = decode(encode(value))
    assert back == value
    assert _types(back) == _types(value)


def test_nan_and_signed_zero_survive() -> None:
    """Floats keep what equality cannot see."""
    assert math.isnan(decode(encode(math.nan)))
    assert math.copysign(1, decode(encode(-0.0))) == -1
    assert decode(encode([math.inf, -math.inf])) == [math.inf, -math.inf]


class _Colour(enum.IntEnum):
    RED = 7


class _Liar(int):
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __int__(self) -> int:
        return 42

    def __index__(self) -> int:
        return 42


class _LyingList(list[int]):
    def __iter__(self) -> Any:
        return iter([1, 2, 3])

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None


class _LyingDict(dict[str, int]):
    def items(self) -> Any:
        return [("forged", 1)]


class _Tally(collections.Counter[str]):
    def items(self) -> Any:
        return [("forged", 1)]


_Point = collections.namedtuple("_Point", "x y")  # noqa: PYI024 - what programs return
_UTC = dt.timezone.utc
_STANDARD = [
    collections.Counter("aab"),
    collections.OrderedDict(b=1, a=2),
    collections.defaultdict(list, a=[1]),
    collections.deque([1, 2], maxlen=2),
    slice(1, None, 2),
    array.array("d", [1.5, 2]),
    memoryview(b"abc"),
    dt.date(2020, 2, 29),
    dt.time(1, 2, 3, 4, fold=1),
    dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=-1), "X")),
    dt.datetime(2020, 2, 29, 1, tzinfo=_UTC),
    dt.timedelta(days=-1, microseconds=5),
    _UTC,
    {"b": 1, "a": 2}.keys(),
    {"b": 1}.items(),
    ...,
    NotImplemented,
]
"""Values of exact types of the standard library."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (_Tally("aab"), {"a": 2, "b": 1}),
        (_Colour.RED, 7),
        (_Liar(5), 5),
        (_LyingList([9]), [9]),
        (_LyingDict(honest=2), {"honest": 2}),
        (int, int),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_become_the_builtin_value_that_they_hold(value: object, expected: object) -> None:
    """Overridden methods of a subclass are never called."""
    back = decode(encode(value))
    assert type(back) is type(expected)
    assert back == expected


@pytest.mark.parametrize("value", _STANDARD, ids=lambda value: type(value).__name__)
def test_values_of_the_standard_library_keep_their_type(value: object) -> None:
    """They are made again by the constructors of their types."""
    back = decode(encode([value]))[0]
    assert type(back) is type(value)
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, memoryview)


@pytest.mark.parametrize(
    "value",
    [np.int64(3), np.float64(2.5), np.bool_(True), np.arange(6).reshape(2, 3), np.array(["a", "bc"]), np.zeros((0, 2))],  # noqa: FBT003
    ids=str,
)
def test_numbers_of_numpy_keep_their_type(value: Any) -> None:
    """And their shape; arrays can be changed."""
    back = decode(encode([value]))[0]
    assert (type(back), back.dtype, back.shape) == (type(value), value.dtype, value.shape)
    assert np.array_equal(back, value)
    assert getattr(back, "flags", value.flags).writeable == value.flags.writeable


def test_further_details_of_copies() -> None:
    """What equality does not see: order, defaults, the names of a tuple."""
    assert list(decode(encode({"a": 1, "b": 1}.values()))) == [1, 1]
    assert decode(encode(collections.defaultdict(lambda: 0, a=1))) == {"a": 1}
    point = decode(encode(_Point(1, 2)))
    assert (point, point.x, point._fields) == ((1, 2), 1, ("x", "y"))
    assert decode(encode(point)).y == 2


@pytest.mark.parametrize(
    "value", [(n for n in [1]), object(), len, enum.Enum, Fraction, iter([]), dt.time(tzinfo=ZoneInfo("UTC"))]
)
def test_other_types_are_refused(value: object) -> None:
    """What has no builtin counterpart cannot be sent."""
    with pytest.raises(UnsupportedValueError, match=r"a (value of type|class) \w+"):
        encode([value])


def test_a_reference_stands_for_what_cannot_be_copied() -> None:
    """Where references are expected, and nowhere else."""
    reference = Reference(number=3, name="generator", module="builtins", abilities=frozenset({"__next__"}))
    data = encode([1, iter([])], lambda _: reference)

    assert decode(data, lambda found: found) == [1, reference]
    with pytest.raises(CodecError, match="unknown tag"):
        decode(data)


def test_endless_and_deep_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a list that holds itself nor shared references can exhaust the encoder."""
    monkeypatch.setattr(codec, "MAX_BYTES", 2**16)
    own: list[object] = []
    own.append(own)
    with pytest.raises(CodecError, match="nested deeper"):
        encode(own)
    doubled: list[object] = [0]
    for _ in range(60):
        doubled = [doubled, doubled]
    with pytest.raises(CodecError, match="larger than"):
        encode(doubled)
    with pytest.raises(CodecError, match="larger than"):
        encode(bytes(codec.MAX_BYTES + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NN",
        b"?" + bytes(4),
        b"i" + struct.pack(">I", 9) + b"1",
        b"l" + struct.pack(">I", 2**31),
        b"d" + struct.pack(">I", 1) + b"N",
        b"d" + struct.pack(">I", 2) + encode([]) + b"N",
        b"d" + struct.pack(">I", 4) + encode(1) + b"N" + encode(1) + b"N",
        b"S" + struct.pack(">I", 2) + b"NN",
        b"s" + struct.pack(">I", 1) + b"\xff",
        b"m" + struct.pack(">I", 3) + b"abc",
        b"k" + struct.pack(">I", 4) + b"eval",
        b"q" + struct.pack(">I", 2) + encode(1) + encode(0),
        b"q" + struct.pack(">I", 2) + encode("1") + encode(1),
        b"r" + struct.pack(">I", 3) + encode(1) + encode(2) + encode(0),
        b"f" + struct.pack(">I", 3) + b"abc",
        b"n" + struct.pack(">I", 2) + encode(("x", "y")) + b"N",
        b"G" + struct.pack(">I", 1) + encode("list"),
        b"a" + struct.pack(">I", 3) + encode(0) * 3,
        b"h" + struct.pack(">I", 6) + encode(0) * 4 + encode("UTC") + encode(0),
        b"E" + struct.pack(">I", 1) + encode(1),
        b"B" + struct.pack(">I", 2) + encode("d") + encode(b"abc"),
        b"B" + struct.pack(">I", 2) + encode("?") + encode(b"abc"),
        b"L" + struct.pack(">I", 4) + b"NNNN",
        b"A" + struct.pack(">I", 3) + encode("|O8") + encode((1,)) + encode(bytes(8)),
        b"A" + struct.pack(">I", 3) + encode("<i8") + encode((3,)) + encode(bytes(8)),
        b"A" + struct.pack(">I", 3) + encode("<i8") + encode(None) + encode(b""),
        (b"l" + struct.pack(">I", 1)) * 500 + b"N",
    ],
    ids=str,
)
def test_malformed_bytes_are_refused(data: bytes) -> None:
    """Everything that the encoder would not write is an error of one kind."""
    with pytest.raises(CodecError):
        decode(data)


_MODULES = {"numpy", "array", "builtins", "decimal", "fractions", "collections", "datetime", FieldTuple.__module__}


@settings(deadline=None)  # the machine may be busy with a model
@given(st.binary(max_size=200))
def test_garbage_gives_plain_values_or_a_codec_error(data: bytes) -> None:
    """No bytes make the decoder raise anything else, or give anything but builtin types."""
    with contextlib.suppress(CodecError):
        assert type(decode(data)).__module__ in _MODULES


@settings(deadline=None)  # the machine may be busy with a model
@given(_VALUES, st.data())
def test_damaged_bytes_give_plain_values_or_a_codec_error(value: object, data: st.DataObject) -> None:
    """The same holds for honest bytes with one byte changed."""
    damaged = bytearray(encode(value))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CodecError):
        assert type(decode(bytes(damaged))).__module__ in _MODULES


def test_exact_numbers_are_not_rounded() -> None:
    """Fractions and decimals keep their value and their digits."""
    assert decode(encode(Fraction(1, 3))) == Fraction(1, 3)
    assert str(decode(encode(Decimal("1.50")))) == "1.50"
