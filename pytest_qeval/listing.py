"""`--qeval-list KIND`: what there is, one line each."""

from __future__ import annotations

import sys

import pytest

from pytest_qeval import registry
from pytest_qeval.errors import QEvalError

__all__ = ["list_names"]


def list_names(config: pytest.Config) -> int | None:
    """Print the names of a kind with their summaries; None when nobody asked."""
    kind: registry.Kind | None = config.getoption("qeval_list")
    if kind is None:
        return None
    names = registry.names(kind)
    width = max(map(len, names), default=0)
    for name in names:
        sys.stdout.write(f"{name:<{width}}  {_summary(kind, name)}\n")
    return int(pytest.ExitCode.OK)


def _summary(kind: registry.Kind, name: str) -> str:
    try:
        return str(registry.load(kind, name).summary)
    except (QEvalError, ImportError) as error:
        return f"not available: {error}"
