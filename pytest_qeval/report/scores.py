"""Benchmarks whose completions are scored: the report's section `summarization`, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_qeval.report.pass_rates import describe_data
from pytest_qeval.report.plain import to_plain
from pytest_qeval.report.text import (
    COLOURS,
    Line,
    change,
    describe_recipe,
    evidence_at_margin,
    excluded_lines,
    no_record_line,
    p_value,
    source_lines,
    table,
    value_and_interval,
)
from pytest_qeval.schema import SCORES, Json, Undefined
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.scores import ScoreComparison, ScoreResult

_NAMES: Mapping[str, str] = {"bleu": "BLEU", "chrf": "chrF"}


def score_dict(summary: Summary) -> Json:
    """Return the report's section, by benchmark."""
    return {
        name: {
            **describe_data(summary, name),
            "results": {one.recipe: _result_dict(one) for one in summary.score_results if one.benchmark == name},
            "comparisons": {
                one.recipe: {"baseline": one.baseline, **to_plain(one.changes)}
                for one in summary.score_comparisons
                if one.benchmark == name
            },
        }
        for name in dict.fromkeys(result.benchmark for result in summary.score_results)
    }


def _result_dict(result: ScoreResult) -> Json:
    return {
        "scored": len(result.cases),
        "missing": result.missing,
        "empty": result.empty,
        **to_plain(result.means),
        "cases": to_plain(result.cases),
    }


def score_lines(summary: Summary, benchmark: str) -> Iterator[Line]:
    """Yield a table of means, then the change of each candidate's scores; one line where there is no record."""
    results = [result for result in summary.score_results if result.benchmark == benchmark]
    if not any(result.cases for result in results):
        yield no_record_line(benchmark, sum(result.missing for result in results))
        return
    rows = [[benchmark, "", *(cell for name in SCORES for cell in (_NAMES[name], "95 % interval")), "scored"]]
    yield from table([*rows, *(_row(one, describe_recipe(summary.recipes.get(one.recipe))) for one in results)])
    facts = summary.benchmarks.get(benchmark, {})
    yield from source_lines({label for one in results for label in one.cases}, facts)
    for comparison in summary.score_comparisons:
        if comparison.benchmark == benchmark:
            yield Line("")
            yield from _comparison_lines(comparison)
    yield from excluded_lines(benchmark, facts)


def _row(result: ScoreResult, recipe: str) -> list[str]:
    cells = [cell for name in SCORES for cell in value_and_interval(result.means[name], _of_100)]
    missing = f" ({result.missing} missing!)" if result.missing else ""
    empty = f", {result.empty} empty" if result.empty else ""
    return [f"  {result.recipe}", recipe, *cells, f"{len(result.cases)}{empty}{missing}"]


def _of_100(score: float) -> str:
    """Render a score from 0 to 100, as such scores are usually written."""
    return f"{100 * score:.1f}"


def _comparison_lines(comparison: ScoreComparison) -> Iterator[Line]:
    for name, score in comparison.changes.items():
        about = f"  {comparison.recipe} against {comparison.baseline}: {_NAMES[name]}"
        if isinstance(score.delta, Undefined):
            yield Line(f"{about} {score.delta.reason}", "yellow")
            continue
        evidence = evidence_at_margin(score.evidence, score.margin)
        text = f"{about} {change(score.delta)}, {p_value(score.p, score.p_adjusted)}; {evidence}"
        yield Line(text, COLOURS[score.evidence])
        yield Line(f"    {score.higher} higher, {score.lower} lower")
