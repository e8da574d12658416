"""Results that stay with the program: the judge gets a digest, and the value only when it asks for it.

A digest is worth as much as the value. Whoever sends one has to know what the function should return, as for the value
itself, and the judge never says what it expects.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from pytest_qeval.execution.objects import LARGE
from pytest_qeval.execution.remote import RemoteObject

SMALL_BYTES = 256
"""A result is sent at once, without a digest, where it takes no more."""
_PIECE = 4096
# The last one that writes equal values of the exact builtin types as equal bytes: later ones count references.
_MARSHAL_VERSION = 2

_KINDS: Mapping[str, type] = {"list": list, "tuple": tuple}


class Held:
    """The result of a call, as a test gets it from `candidate.hold`."""

    __slots__ = ("_fetch", "digest")

    def __init__(self, digest: bytes, fetch: Callable[[], Any]) -> None:
        """Keep a digest, which is empty for a small result, and what gives the value."""
        self.digest = digest
        self._fetch = fetch

    def value(self) -> Any:
        """Return the value, which the program may send only until its next call.

        A list or tuple that is too large for one message comes in pieces.
        """
        value = self._fetch()
        if not issubclass(type(value), RemoteObject):
            return value
        reference = value._qeval_reference  # noqa: SLF001 - a prefix keeps it apart from the program's attributes
        kind = _KINDS.get(reference.name)
        if kind is None or LARGE not in reference.abilities:
            return value
        return kind(chain.from_iterable(_pieces(value)))


def digest_of(value: Any) -> bytes:
    """Return the digest of a value; empty for a small one, and for one that holds more than builtin values.

    Equal digests mean equal values of equal types. Values that are equal all the same, such as 1 and 1.0 or two
    dictionaries in another order, may have different digests.
    """
    kind = type(value)
    digest = hashlib.blake2b(kind.__name__.encode(), digest_size=32)
    size = 0
    try:
        for piece in _pieces(value) if kind in _KINDS.values() else (value,):
            data = marshal.dumps(piece, _MARSHAL_VERSION)
            size += len(data)
            digest.update(data)
    except ValueError:  # an object, or one nested too deeply
        return b""
    return digest.digest() if size > SMALL_BYTES else b""


def _pieces(sequence: Any) -> Iterator[Any]:
    return (sequence[start : start + _PIECE] for start in range(0, len(sequence), _PIECE))
