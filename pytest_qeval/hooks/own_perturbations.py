"""Call the hook by which a project gives its own perturbations."""

from __future__ import annotations

from collections.abc import Sequence
from traceback import walk_tb

import pytest

from pytest_qeval.errors import UsageError

_HOOK = "pytest_qeval_perturbations"


def call_hook(config: pytest.Config) -> Sequence[object]:
    """Return what every implementation returns.

    Raises:
        UsageError: naming the implementation that raised an exception.
    """
    try:
        returned: Sequence[object] = config.hook.pytest_qeval_perturbations()
    except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
        raise UsageError(
            f"the hook {_HOOK} of {_failed(config, error)} failed ({type(error).__name__}: {error}): it must return a "
            "list of pytest_qeval.perturb.base.Perturbation."
        ) from error
    return returned


def _failed(config: pytest.Config, error: BaseException) -> str:
    """Return the conftest.py or plugin whose implementation is on the traceback, and the line."""
    lines = {frame.f_code: line for frame, line in walk_tb(error.__traceback__)}
    for implementation in config.hook.pytest_qeval_perturbations.get_hookimpls():
        line = lines.get(implementation.function.__code__)
        if line is not None:
            return f"{implementation.plugin_name} (line {line})"
    return "a plugin"
