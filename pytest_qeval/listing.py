"""`--qeval-list KIND`: what there is, one line each."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from pytest_qeval import registry
from pytest_qeval.errors import QEvalError

__all__ = ["list_names"]


def list_names(config: pytest.Config) -> int | None:
    """Print the names of a kind with their summaries; None when nobody asked."""
    kind: registry.Kind | None = config.getoption("qeval_list")
    if kind is None:
        return None
    found = {name: _summary(kind, name) for name in registry.names(kind)}
    if kind == "perturbations":
        found |= _own(config)
    width = max(map(len, found), default=0)
    for name, summary in sorted(found.items()):
        sys.stdout.write(f"{name:<{width}}  {summary}\n")
    if kind == "perturbations":
        _list_files()
    if kind == "recipes":
        _list_parts()
    return int(pytest.ExitCode.OK)


def _own(config: pytest.Config) -> Mapping[str, str]:
    """Give the perturbations of the project's `conftest.py`."""
    from pytest_qeval.perturb.catalogue import own_perturbations  # noqa: PLC0415 - as below

    try:
        own = own_perturbations(config.hook.pytest_qeval_perturbations())
    except QEvalError as error:
        raise pytest.UsageError(str(error)) from error
    return {one.name: one.summary for one in own.values()}


def _list_files() -> None:
    """Print what can be asked where there are files of it."""
    from pytest_qeval.perturb.catalogue import FROM_FILES  # noqa: PLC0415 - as below

    sys.stdout.write("\nand, from files below the folder that --qeval-data names,\n")
    width = max(map(len, FROM_FILES))
    for name, meaning in FROM_FILES.items():
        sys.stdout.write(f"  {name:<{width}}  {meaning}\n")


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
