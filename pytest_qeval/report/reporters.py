"""Call every registered reporter, and lose no run by one that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.report.reporter import Reporter, RunResults
from pytest_qeval.report.text import Line

_LOG = logging.getLogger(__name__)


def call_reporters(results: RunResults, folder: Path) -> Iterator[Line]:
    """Let all reporters write, in the order of their names; yield a warning for each that fails.

    The traceback goes to the log.
    """
    for name in registry.names("reporters"):
        if fault := _fault_of(name, results, folder):
            yield Line(f"warning: the reporter {name!r} failed ({fault}); the other reports are complete", "yellow")


def _fault_of(name: str, results: RunResults, folder: Path) -> str:
    try:
        reporter: Reporter = registry.load("reporters", name)
        reporter.write(results, folder)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - `pytest.fail` and `sys.exit` would end the session without a verdict
        _LOG.warning("The reporter %r failed.", name, exc_info=True)
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    return ""
