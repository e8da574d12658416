"""Every flip with its reason, for a terminal that is asked for more by `-v`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_qeval.report.text import Line
from pytest_qeval.report.visible import one_line
from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.results import Summary

_LONGEST_REASON = 160


def flip_lines(summary: Summary, benchmark: str, records: Mapping[tuple[str, Case], Record]) -> Iterator[Line]:
    """Yield a line for each problem that one of a candidate and its baseline solved; none without records.

    Args:
        summary: Whose comparisons name the problems.
        benchmark: Whose problems are listed.
        records: The cases by recipe; the reason is that of the one that did not solve the problem.
    """
    reasons = {
        (recipe, case.label): record.reason for (recipe, case), record in records.items() if case.benchmark == benchmark
    }
    if not reasons:
        return
    for one in summary.comparisons:
        if one.benchmark != benchmark:
            continue
        for label in one.regressed:
            yield _line(f"{one.recipe} lost {label}", reasons.get((one.recipe, label)))
        for label in one.fixed:
            yield _line(f"{one.recipe} won {label}, unsolved by {one.baseline}", reasons.get((one.baseline, label)))


def _line(what: str, reason: str | None) -> Line:
    return Line(f"    {what} ({one_line(reason, longest=_LONGEST_REASON)})" if reason else f"    {what}")
