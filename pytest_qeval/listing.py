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
    if kind == "recipes":
        _list_parts()
    return int(pytest.ExitCode.OK)


def _list_parts() -> None:
    """Print what schemes are made of, for those that have no name."""
    from pytest_qeval.quantize.guide import PARTS  # noqa: PLC0415 - an inert plugin must cost next to nothing

    sys.stdout.write("\nor a scheme, such as w3a16-g64-mse, put together from\n")
    width = max(len(part) for part, _ in PARTS)
    for part, meaning in PARTS:
        sys.stdout.write(f"  {part:<{width}}  {meaning.replace('`', '')}\n")
    sys.stdout.write("or a *.toml file, or a configuration of another package (--qeval-list quantizers)\n")


def _summary(kind: registry.Kind, name: str) -> str:
    try:
        return str(registry.load(kind, name).summary)
    except (QEvalError, ImportError) as error:
        return f"not available: {error}"
