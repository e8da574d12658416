"""Whether a session is active at all; pytest sessions without a model stop here."""

from __future__ import annotations

import pytest

from pytest_qeval.config.origins import check_ini_keys, with_origin
from pytest_qeval.config.values import Values
from pytest_qeval.errors import QEvalError, UsageError
from pytest_qeval.hooks.collect import MARKERS

_ACTIVATING = ("model", "completions", "selftest")


def activate(config: pytest.Config) -> None:
    """Read the settings; when there is a model or a samples file, register what evaluates it.

    Raises:
        pytest.UsageError: for whatever the user can fix, before anything is loaded.
    """
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        if not hasattr(config, "workerinput") and not config.getoption("help"):
            check_ini_keys(config)
        if any(map(Values(config).flag, _ACTIVATING)):
            from pytest_qeval.hooks.start import start  # noqa: PLC0415 - an inert plugin must cost next to nothing

            start(config)
        else:
            _check_typed_options(config)
    except QEvalError as error:
        raise pytest.UsageError(with_origin(str(error), config)) from error


def _check_typed_options(config: pytest.Config) -> None:
    """Refuse options that were typed without a model: a gate that nobody judges must not look as if it held.

    What stands in the ini file, in `addopts` or in the environment is for the sessions that have a model.

    Raises:
        UsageError: naming the option, and what is missing.
    """
    if hasattr(config, "workerinput") or config.getoption("help"):
        return
    typed = Values(config).typed_options
    if not typed:
        return
    empty = next((name for name in ("model", "completions") if config.getoption(f"qeval_{name}") == ""), None)
    if empty:
        raise UsageError(
            f"--qeval-{empty} is empty, perhaps from a variable that is not set: expected a model or a file."
        )
    raise UsageError(
        f"{typed[0]} without a model does nothing: add --qeval-model (such as --qeval-model demo), "
        "--qeval-completions or --qeval-selftest."
    )
