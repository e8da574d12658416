"""Annotations of GitHub Actions for broken gates: lines of the log that a pull request shows above its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_qeval.summary.results import GateResult

ON_GITHUB = "GITHUB_ACTIONS"
"""The variable that is `true` in a job of GitHub Actions."""


def annotation_lines(gates: Iterable[GateResult], fault: str = "") -> Iterator[str]:
    """Yield a line for every broken gate, and for a fault that makes a run fail although its gates hold.

    A line is a command of the workflow, so what would end a property or the line is escaped.
    """
    for gate in gates:
        if gate.outcome == "fail":
            yield _error(f"gate broken: {gate.label}", f"{gate.reason}; {gate.evidence}")
    if fault:
        yield _error("pytest-qeval", fault)


def _error(title: str, message: str) -> str:
    escaped = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={escaped}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
