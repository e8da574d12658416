"""What stands in the judge for an object of the program: its methods ask the solver, which never decides a comparison.

A test gets the same answers as in plain Python: it iterates over a generator, calls a function, reads an attribute.
Whatever could say what the test wants to hear is not asked: comparisons, arithmetic with the test's values, `in`, and
methods such as `startswith`. An object of the program's own class equals no value. Where plain Python could give
another answer, the verdict is `unsupported`, which is not the program's failure.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pytest_qeval.execution.carried import CONTAINERS, SCALARS, CodecError
from pytest_qeval.execution.codec import Reference
from pytest_qeval.execution.objects import ASKED, FOREIGN, LARGE, REFUSED


class Border(Protocol):
    """What a remote object needs of the judge's end of the solver."""

    def ask(self, reference: Reference, operation: str, /, *args: object, **kwargs: object) -> Any:
        """Return the result of an operation on an object of the program."""

    def next_items(self, reference: Reference, count: int) -> Sequence[Callable[[object], object]]:
        """Return what gives each of the next items of an iterator, or raises, when it is given the item before."""

    def refuse(self, what: str) -> BaseException:
        """Return the exception to raise where the solver must not be asked; `what` says what the test does."""


_KINDS: Mapping[str, type] = {
    "generator": types.GeneratorType,
    "function": types.FunctionType,
    "method": types.MethodType,
    "map": map,
    "filter": filter,
    "zip": zip,
    "enumerate": enumerate,
    "reversed": reversed,
}
"""Builtin classes without a value, which `isinstance` finds an object to be of, by their names."""
_TAKING = frozenset({
    "add", "append", "clear", "copy", "extend", "get", "insert", "items", "keys", "pop", "popitem", "reverse",
    "setdefault", "sort", "update", "values",
})  # fmt: skip
"""Methods of builtin values that hand something out or take it in."""
_DECIDING = {"equals"} | {
    name
    for kind in (str, bytes, int, float, list, tuple, set, dict)
    for name in dir(kind)
    if not name.startswith("_") and name not in _TAKING
}
"""Methods of builtin values that say something about them, such as `startswith`: an object that only looks like such a
value could say anything."""
_READABLE = ("__name__", "__qualname__", "__doc__", "__wrapped__", "__self__", "__dict__", "__module__")
_SCALAR_KINDS = (int, float, complex, str, bool, type(None))
_STEPS = 16
"""Items of an iterator that are asked for one by one, so that what it does happens when the test asks for it."""
_LOOK_AHEAD = 256


def refer(value: object) -> Reference | None:
    """Return the reference that a remote object stands for; None for other values."""
    return Reference(number=value._qeval_reference.number) if issubclass(type(value), RemoteObject) else None  # type: ignore[attr-defined] # noqa: SLF001


class RemoteObject:
    """An object of the program; subclasses have the special methods that its class has.

    Names of its own would hide attributes of the program's object, hence the prefix.
    """

    __slots__ = tuple(f"_qeval_{name}" for name in ("asked", "border", "buffer", "last", "reference"))

    def __init__(self, reference: Reference, border: Border) -> None:
        """Stand for the object of a reference."""
        for name, value in (("reference", reference), ("border", border), ("buffer", deque()), ("asked", 0)):
            object.__setattr__(self, f"_qeval_{name}", value)
        object.__setattr__(self, "_qeval_last", None)

    def __getattr__(self, name: str) -> Any:
        """Ask for an attribute; a method that decides something about its object is refused."""
        if name.startswith("__") and name not in _READABLE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = self._qeval_border.ask(self._qeval_reference, "getattr", name)
        if name in _DECIDING and isinstance(value, RemoteObject):
            raise self._qeval_border.refuse(f"calls {name} of the program's {self._qeval_reference.name}")
        return value

    def __setattr__(self, name: str, value: object) -> None:
        self._qeval_border.ask(self._qeval_reference, "setattr", name, value)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if self._equals_nothing_like(other):
            return False
        raise self._qeval_border.refuse(
            f"compares the program's {self._qeval_reference.name} with a value of type {type(other).__name__}"
        )

    def _equals_nothing_like(self, other: object) -> bool:
        own = self._qeval_reference.abilities
        if isinstance(other, RemoteObject):
            return "__eq__" not in own and "__eq__" not in other._qeval_reference.abilities  # noqa: SLF001 - its own class
        if LARGE in own:
            return type(other) in _SCALAR_KINDS and type(other).__name__ != self._qeval_reference.name
        return (type(other) in SCALARS or type(other) in CONTAINERS or other is None or type(other) is bool) and not (
            {FOREIGN, "__eq__"} <= own
        )

    def __hash__(self) -> int:
        if "__eq__" in self._qeval_reference.abilities:
            raise self._qeval_border.refuse(f"needs the hash of the program's {self._qeval_reference.name}")
        return object.__hash__(self)

    def __str__(self) -> str:
        return self._text("__str__")

    def __repr__(self) -> str:
        return self._text("__repr__")

    def _text(self, name: str) -> str:
        if {name, "__repr__"} & self._qeval_reference.abilities:
            text: str = self._qeval_border.ask(self._qeval_reference, name)
            return text  # Python raises a TypeError for anything else
        return f"<{self._qeval_reference.name} object of the program>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise self._qeval_border.refuse(f"copies the program's {self._qeval_reference.name}")


def _next(self: RemoteObject) -> object:
    """Return the next item of an iterator; later items are asked for many at a time."""
    set_own = object.__setattr__
    if not self._qeval_buffer:
        set_own(self, "_qeval_asked", self._qeval_asked + 1)
        count = 1 if self._qeval_asked <= _STEPS else _LOOK_AHEAD
        self._qeval_buffer.extend(self._qeval_border.next_items(self._qeval_reference, count))
    produce = self._qeval_buffer.popleft()
    set_own(self, "_qeval_last", produce(self._qeval_last))
    return self._qeval_last


def resolver(border: Border) -> Callable[[Reference], object]:
    """Return a function that makes what stands for a reference; the same reference gives the same object."""
    known: dict[int, object] = {}
    classes: dict[tuple[str, str, frozenset[str]], type[RemoteObject]] = {}

    def resolve(reference: Reference) -> object:
        if reference.number not in known:
            key = reference.module, reference.name, reference.abilities
            if key not in classes:
                classes[key] = _make_class(reference)
            is_coroutine = (reference.module, reference.name) == ("builtins", "coroutine")
            known[reference.number] = _run(reference, border) if is_coroutine else classes[key](reference, border)
        return known[reference.number]

    return resolve


async def _run(coroutine: Reference, border: Border) -> object:
    """Have the program's own event loop run its coroutine."""
    return border.ask(coroutine, "await")


def _make_class(reference: Reference) -> type[RemoteObject]:
    """Make a class whose instances have the special methods of a reference and no others."""
    if not reference.name or not reference.name.isprintable():  # but any other: builtins have a `method-wrapper`
        raise CodecError("not the name of a class")
    body: dict[str, Any] = {"__slots__": ()}
    for name in reference.abilities & ASKED - {"__str__", "__repr__"}:
        body[name] = _asking(name)
    for name in reference.abilities & REFUSED - {"__hash__"}:
        body[name] = _refusing(name)
    if "__next__" in body:
        body["__next__"] = _next
    kind = _KINDS.get(reference.name) if reference.module == "builtins" else None
    if kind is not None:
        body["__class__"] = property(lambda _: kind)
    return type(reference.name, (RemoteObject,), body)


def _asking(name: str) -> Callable[..., Any]:
    def method(self: RemoteObject, /, *args: object, **kwargs: object) -> Any:
        return self._qeval_border.ask(self._qeval_reference, name, *args, **kwargs)

    return method


def _refusing(name: str) -> Callable[..., Any]:
    def method(self: RemoteObject, *_args: object) -> Any:
        raise self._qeval_border.refuse(f"uses {name} of the program's {self._qeval_reference.name}")

    return method
