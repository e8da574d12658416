"""Whether a session is active at all; pytest sessions without a model stop here."""

from __future__ import annotations

import pytest

from pytest_qeval.collection import MARKERS
from pytest_qeval.command_line import read_settings
from pytest_qeval.errors import QEvalError

__all__ = ["activate"]


def activate(config: pytest.Config) -> None:
    """Read the settings; when there is a model or a samples file, register what evaluates it.

    Raises:
        pytest.UsageError: for whatever the user can mend, before anything is loaded.
    """
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        settings = read_settings(config)
        if settings is not None:
            from pytest_qeval.startup import start  # noqa: PLC0415 - an inert plugin must cost next to nothing

            start(config, settings)
    except QEvalError as error:
        raise pytest.UsageError(str(error)) from error
