"""All executed benchmarks together: the report's section `pooled`, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_qeval.report.plain import without
from pytest_qeval.report.text import COLOURS, Line, change, evidence_at_margin, p_value, percent, table
from pytest_qeval.schema import Estimate, Json, Undefined
from pytest_qeval.summary.pooled import PooledComparison, Stratum
from pytest_qeval.summary.results import Summary


def pooled_dict(summary: Summary) -> Json:
    """Return the report's section, by recipe; its strata are the rows of a forest plot."""
    return {one.recipe: without(one, "recipe") for one in summary.pooled}


def pooled_lines(summary: Summary) -> Iterator[Line]:
    """Yield each candidate's change over all benchmarks, where it ran several, and every benchmark's part of it."""
    for one in summary.pooled:
        if len(one.strata) > 1:
            yield Line("")
            yield from _lines(one)


def _lines(pooled: PooledComparison) -> Iterator[Line]:
    name = f"all benchmarks, {pooled.recipe} against {pooled.baseline}:"
    if isinstance(pooled.delta, Undefined):
        yield Line(f"{name} {pooled.delta.reason}", "yellow")
        return
    evidence = evidence_at_margin(pooled.evidence, pooled.margin)
    yield Line(
        f"{name} {change(pooled.delta)}, sign-flip {p_value(pooled.p, pooled.p_adjusted)}; {evidence}",
        COLOURS[pooled.evidence],
    )
    rates = (f"{name} {percent(rate.value)}" for name, rate in pooled.pass_at_1.items() if isinstance(rate, Estimate))
    yield Line(f"  pass@1: {', '.join(rates)}")
    heads = ["  benchmark", "problems", "weight", f"{pooled.baseline} solved", "change"]
    yield from table([heads, *map(_row, pooled.strata)])
    for stratum in pooled.strata:
        if stratum.counted_elsewhere:
            others = " and ".join(stratum.counted_in)
            yield Line(f"  {stratum.benchmark}: {stratum.counted_elsewhere} more count as problems of {others}")


def _row(stratum: Stratum) -> list[str]:
    delta = stratum.delta
    shown = "–" if isinstance(delta, Undefined) else change(delta)
    solved = str(stratum.baseline_solved)
    return [f"  {stratum.benchmark}", str(stratum.problems), percent(stratum.weight), solved, shown]
