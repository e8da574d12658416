"""The isolations that work on this machine: namespaces may be switched off, and bubblewrap not installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest

from pytest_qeval.execution.isolation import try_isolation
from pytest_qeval.settings import IsolationName

_STRONGEST_FIRST: tuple[IsolationName, ...] = ("bwrap", "namespace", "landlock", "process")

find_problem = cache(try_isolation)


@cache
def strongest_isolation() -> IsolationName:
    """Return the strongest isolation that works here, plain processes included."""
    return next(name for name in _STRONGEST_FIRST if name == "process" or find_problem(name) is None)


def accept_weakest(arguments: Sequence[str]) -> list[str]:
    """Let a run of pytest execute programs as plain processes, where no stronger isolation works here."""
    starts = ("--qeval-model", "--qeval-completions", "--qeval-selftest")
    evaluates = any(one.startswith(starts) for one in arguments)
    asks = any(one.startswith(("--qeval-sandbox", "--qeval-compare")) for one in arguments)
    accepts = evaluates and not asks and strongest_isolation() == "process"
    return [*(["--qeval-sandbox=process"] if accepts else []), *arguments]


def skip_unless_usable(name: IsolationName) -> None:
    """Skip a test where an isolation does not work."""
    if name == "auto":
        if strongest_isolation() == "process":
            pytest.skip("neither bubblewrap, nor user namespaces, nor Landlock work here")
    elif problem := find_problem(name):
        pytest.skip(f"{name} does not work here: {problem}")
