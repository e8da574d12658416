"""The objects of a program that do not cross the border: the solver keeps them, and the judge asks for what they do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from pytest_qeval.execution.carried import CodecError
from pytest_qeval.execution.codec import Reference, encode


def _special_methods(names: str) -> frozenset[str]:
    return frozenset(f"__{name}__" for name in names.split())


SOLUTION = "solution"
"""The module that the program's code runs as: dataclasses and pickle find its classes there."""
FOREIGN = "foreign"
"""Flag of an object whose class another module than the program's defines."""
LARGE = "large"
"""Flag of a builtin value that is too large, or nested too deeply, to be copied."""
ASKED = _special_methods(
    "iter next len getitem setitem delitem call bool str repr format reversed int float index enter exit"
)
"""Special methods that the judge asks for: they return a value without seeing what the test expects."""
REFUSED = _special_methods(
    "lt le gt ge contains hash neg pos abs invert round instancecheck subclasscheck complex aiter anext aenter aexit "
    "await copy deepcopy iadd ior add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or "
    "radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand rxor ror"
)
"""Special methods that the judge never asks for, as they could say what the test wants to hear."""
_OF_OBJECT = ("__eq__", "__hash__", "__str__", "__repr__", "__format__")
_LONGEST_LOOK_AHEAD_S = 0.001
_CLASS_NAME = vars(type)["__name__"].__get__


class ObjectTable:
    """Numbers the objects of a program; they live as long as it does."""

    def __init__(self) -> None:
        """Start empty."""
        self._objects: list[object] = []
        self._references: dict[int, Reference] = {}

    def refer(self, value: object) -> Reference:
        """Return the reference to an object, the same one every time."""
        known = self._references.get(id(value))
        if known is None:
            kind = type(value)
            known = Reference(
                number=len(self._objects), name=_name_of(kind), module=_module_of(kind), abilities=_abilities(kind)
            )
            self._objects.append(value)  # kept, so that no other object gets its id
            self._references[id(value)] = known
        return known

    def find(self, reference: Reference) -> object:
        """Return the object of a reference."""
        return self._objects[reference.number]

    def encoded(self, value: object) -> bytes | None:
        """Return the bytes of a value; None where it is too large or nested too deeply."""
        try:
            return encode(value, self.refer)
        except CodecError:
            return None


def _name_of(kind: type) -> str:
    """Return a class's own name, whatever its metaclass says, in characters that can be printed."""
    name: str = _CLASS_NAME(kind)
    return name if name.isprintable() else ascii(name)


def _module_of(kind: type) -> str:
    """Return the name of the module that defines a class; empty where a program has put something else there."""
    module = kind.__module__
    return module if type(module) is str else ""


def _abilities(kind: type) -> frozenset[str]:
    """Return the special methods of a class that matter here, those of `object` left out, and its flags."""
    own = {name for base in kind.__mro__ if base is not object for name in vars(base)}
    module = _module_of(kind)
    is_foreign = module != SOLUTION and getattr(sys.modules.get(module), kind.__qualname__, None) is kind
    flags = {FOREIGN} if is_foreign else set()
    if kind in (list, tuple, dict, set, frozenset, str, bytes, bytearray, int):
        flags.add(LARGE)
    return frozenset(own & {*ASKED, *REFUSED, *_OF_OBJECT} | flags)


def ask(target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """Do what the judge asks of an object: one of its special methods, or an operation by name."""
    match name:
        case "getattr":
            return getattr(target, *args)
        case "setattr":
            setattr(target, *args)
            return None
        case "await":
            import asyncio  # noqa: PLC0415 - a program with a coroutine has imported it already

            return asyncio.run(target)
        case _:
            return getattr(type(target), name)(target, *args, **kwargs)


def look_ahead(
    iterator: Iterator[object], count: int, describe: Callable[[BaseException], tuple[object, ...]]
) -> tuple[list[tuple[bool, object]], tuple[object, ...] | None]:
    """Return the next items of an iterator, and how it ended.

    An item comes with whether it is the same object as the one before, which a program may have changed in between.
    The end is None while there may be more, empty where it is exhausted, else what `describe` returns for what it
    raised. No more than the first item is waited for.
    """
    items: list[tuple[bool, object]] = []
    previous: object = None
    until = time.monotonic() + _LONGEST_LOOK_AHEAD_S
    while len(items) < count:
        try:
            item = next(iterator)
        except StopIteration:
            return items, ()
        except BaseException as error:  # noqa: BLE001 - the judge decides what it means
            return items, describe(error)
        items.append((bool(items) and item is previous, item))
        previous = item
        if time.monotonic() > until:
            break
    return items, None
