"""Lengths of completions: the report's section `length`, and one line for each comparison in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_qeval.report.plain import to_plain, without
from pytest_qeval.report.text import Colour, Line, shorten, value_and_interval
from pytest_qeval.schema import Estimate, Json, Quantity
from pytest_qeval.summary.length import Ending, LengthComparison, Lengths
from pytest_qeval.summary.results import Summary

_WIDEST = 10
"""An interval that reaches farther, as a multiple of its value, tells nothing."""


def length_dict(summary: Summary) -> Json:
    """Return the report's section, by benchmark."""
    found = summary.lengths
    return {
        name: {
            "results": {one.recipe: to_plain(one.lengths) for one in found.results if one.benchmark == name},
            "comparisons": {
                one.recipe: without(one, "benchmark", "recipe") for one in found.comparisons if one.benchmark == name
            },
        }
        for name in dict.fromkeys(one.benchmark for one in found.results)
    }


def length_lines(summary: Summary) -> Iterator[Line]:
    """Yield one line for each comparison of which there is something to say."""
    lines = [line for one in summary.lengths.comparisons if (line := _line(one))]
    if lines:
        yield Line("")
        yield Line("completions: how long they are, and how they end")
        yield from lines


def _line(one: LengthComparison) -> Line | None:
    """Describe a comparison; None where both are as long, and end, as they should, or nothing is known."""
    base, own = one.of_baseline, one.of_candidate
    parts = [
        *_tokens(one),
        *_change("truncated", base.truncated, own.truncated),
        *_change("loops", base.loops, own.loops, _new_loops(base, own)),
    ]
    worse = _exceeds(one.token_ratio, 1) or _exceeds(one.truncated_increase, 0) or _exceeds(one.loops_increase, 0)
    colour: Colour | None = "yellow" if worse else None
    return Line(f"  {one.recipe}, {one.benchmark}: {', '.join(parts)}", colour) if parts else None


def _tokens(one: LengthComparison) -> Iterator[str]:
    ratio, base, own = one.token_ratio, one.of_baseline.tokens, one.of_candidate.tokens
    if isinstance(ratio, Estimate) and isinstance(base, Estimate) and isinstance(own, Estimate):
        value, ends = value_and_interval(ratio, "{:.2f}".format, interval="[{}, {}]")
        if ratio.high is not None and ratio.high > _WIDEST * ratio.value:
            ends = "(too few problems for an interval)"
        means = f"{own.value:.0f} against {base.value:.0f} a completion"
        yield f"{value} × the tokens of {one.baseline} {ends} ({means})"


def _change(what: str, base: Ending, own: Ending, more: str = "") -> Iterator[str]:
    if base.count or own.count:
        yield f"{what} {_count(base)} → {_count(own)}{more}"


def _count(ending: Ending) -> str:
    return "?" if ending.count is None else str(ending.count)


def _new_loops(base: Lengths, own: Lengths) -> str:
    labels = [label for label in own.looping if label not in base.looping]
    return f" ({shorten(labels)})" if labels else ""


def _exceeds(quantity: Quantity, least: float) -> bool:
    """Whether the whole interval is above a value."""
    return isinstance(quantity, Estimate) and quantity.low is not None and quantity.low > least
