"""Names become objects: one lazy look-up for benchmarks, recipes, reporters and the like, fed by entry points.

Our own objects are registered the same way as anybody else's, in `pyproject.toml` under `pytest_qeval.<kind>`; looking
up one name imports one module. A user's package adds a benchmark by the same table in its own `pyproject.toml`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from pytest_qeval.errors import QEvalError, UnknownNameError, UsageError

__all__ = ["KINDS", "Kind", "load", "names"]

Kind = Literal["benchmarks", "recipes", "quantizers", "perturbations", "engines", "reporters"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def names(kind: Kind) -> list[str]:
    """List every registered name of a kind, sorted."""
    return sorted(entry.name for entry in _entries(kind))


def load(kind: Kind, name: str) -> Any:
    """Import and return the object that `name` stands for.

    Raises:
        UnknownNameError: with the nearest names, when there is no such entry.
        UsageError: naming the entry point, when its module raises an exception.
    """
    for entry in _entries(kind):
        if entry.name == name:
            return _load(entry)
    raise UnknownNameError(_unknown(kind, name, names(kind)))


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except QEvalError:
        raise
    except Exception as error:
        if entry.value.startswith("pytest_qeval."):  # a bug keeps its traceback
            raise
        raise UsageError(
            f"{entry.name!r} cannot be loaded: its entry point {entry.value!r} of {entry.group} failed "
            f"({type(error).__name__}: {error})."
        ) from error


def _entries(kind: Kind) -> Sequence[EntryPoint]:
    # An editable install beside a wheel lists the same entry twice; one of them is enough.
    return list({entry.name: entry for entry in entry_points(group=f"pytest_qeval.{kind}")}.values())


def _unknown(kind: Kind, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    guess = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"there is no {kind.removesuffix('s')} {name!r}.{guess} Available: {', '.join(known) or 'none'}."
