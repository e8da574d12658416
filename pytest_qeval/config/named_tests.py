"""Tests of suites that the command line names by their ids, such as `micro::int8-micro/0`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qeval.errors import UsageError
from pytest_qeval.settings import MORE_SUITES, SUITES

if TYPE_CHECKING:
    import pytest


def named_tests(config: pytest.Config) -> Sequence[str]:
    """Return the ids of suites' tests among the arguments, which are no paths; empty where there are none.

    Raises:
        UsageError: when test files are named as well, since a run has either those or suites.
    """
    words: Sequence[str] = config.known_args_namespace.file_or_dir
    ids = [word for word in words if _is_id(word, config.invocation_params.dir)]
    if ids and len(ids) < len(words):
        other = next(word for word in words if word not in ids)
        raise UsageError(f"{ids[0]} is a test of a suite, and {other} a test file: name them in two runs.")
    return ids


def _is_id(word: str, start: Path) -> bool:
    suite, separator, _ = word.partition("::")
    return bool(separator) and suite in (*SUITES, *MORE_SUITES) and not (start / suite).exists()
