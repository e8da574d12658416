"""Broken gates as annotations of GitHub Actions."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.report.annotations import annotation_lines
from tests.unit.report.gates import BROKEN


def test_only_broken_gates_are_annotated() -> None:
    """One line each, with the gate as its title."""
    assert list(annotation_lines([BROKEN, replace(BROKEN, outcome="pass")])) == [
        "::error title=gate broken%3A pass@1 drop <= 2pt (int8%2C micro)::observed 25.0 pt; unproven"
    ]


def test_what_would_end_the_line_is_escaped() -> None:
    """A gate file's own reason may hold anything; the log takes a new line for another command."""
    gate = replace(BROKEN, reason="100%\r\n::stop-commands::x")
    (line,) = annotation_lines([gate])

    assert line.endswith("::100%25%0D%0A::stop-commands::x; unproven")
    assert line.splitlines() == [line]


def test_a_fault_is_annotated_too() -> None:
    assert list(annotation_lines([], "no gate was judged")) == ["::error title=pytest-qeval::no gate was judged"]
