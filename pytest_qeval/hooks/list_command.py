"""`--qeval-list KIND`: what there is, one line each."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from typing import Literal

import pytest

from pytest_qeval import registry
from pytest_qeval.config.suites import suite_files
from pytest_qeval.errors import QEvalError
from pytest_qeval.hooks.own_perturbations import call_hook
from pytest_qeval.perturb.catalogue import FROM_FILES, own_perturbations
from pytest_qeval.quantize.grammar import CACHE_PARTS, SCHEME_PARTS
from pytest_qeval.settings import MORE_SUITES, SUITES


def list_names(config: pytest.Config) -> int:
    """Print the names of a kind with their summaries, and return the exit status."""
    kind: registry.Kind | Literal["suites"] = config.getoption("qeval_list")
    found = _suites() if kind == "suites" else {name: _summary(kind, name) for name in registry.names(kind)}
    if kind == "perturbations":
        found |= _own(config)
    _write(dict(sorted(found.items())))
    if kind == "perturbations":
        sys.stdout.write("\nand, from files below the folder that --qeval-data names,\n")
        _write(FROM_FILES, indent="  ")
    if kind == "recipes":  # what schemes without a name are made of
        sys.stdout.write("\nor a scheme, such as w3a16-g64-mse, put together from\n")
        _write({part: meaning.replace("`", "") for part, meaning in SCHEME_PARTS}, indent="  ")
        sys.stdout.write("or a *.toml file, or a configuration of another package (--qeval-list quantizers);\n")
        sys.stdout.write("the name of any of them may end in\n")
        _write(dict(CACHE_PARTS), indent="  ")
    return int(pytest.ExitCode.OK)


def _suites() -> dict[str, str]:
    """Return the suites: what their benchmark is, or what the file says of itself."""
    names, benchmarks = (*SUITES, *MORE_SUITES), registry.names("benchmarks")
    docstrings = {
        name: ast.get_docstring(ast.parse(path.read_bytes()))
        for name, path in zip(names, suite_files(names), strict=True)
    }
    return {
        name: _summary("benchmarks", name) if name in benchmarks else (about or "").partition(": ")[2].rstrip(".")
        for name, about in docstrings.items()
    }


def _own(config: pytest.Config) -> Mapping[str, str]:
    """Return the perturbations of the project's `conftest.py`."""
    try:
        own = own_perturbations(call_hook(config))
    except QEvalError as error:
        raise pytest.UsageError(str(error)) from error
    return {one.name: one.summary for one in own.values()}


def _write(rows: Mapping[str, str], *, indent: str = "") -> None:
    """Print names and their meanings in two columns."""
    width = max(map(len, rows), default=0)
    for name, meaning in rows.items():
        sys.stdout.write(f"{indent}{name:<{width}}  {meaning}\n")


def _summary(kind: registry.Kind, name: str) -> str:
    try:
        return str(registry.load(kind, name).summary).removeprefix(f"{name}: ")
    except QEvalError as error:
        return f"not available: {error}"
