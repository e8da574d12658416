"""How scored answers are said: the report's section `summarization`, and the lines of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Literal

from pytest_qeval.facts import RecipeFacts
from pytest_qeval.report.table import align
from pytest_qeval.schema import SCORES, Evidence, Json, Quantity, Undefined, quantity_to_dict
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.score_results import ScoreChange, ScoreComparison, ScoreResult

__all__ = ["benchmark_dict", "score_lines", "scores_dict"]

_Colour = Literal["green", "red", "yellow"]
_COLOURS: Mapping[Evidence, _Colour] = {"worse": "red", "not worse": "green", "unproven": "yellow"}
_NAMES: Mapping[str, str] = {"bleu": "BLEU", "chrf": "chrF"}


def benchmark_dict(summary: Summary, name: str) -> Json:
    """Return what is known of a benchmark's data."""
    facts = {"excluded": {}, **summary.benchmarks.get(name, {})}
    return {key: value for key, value in facts.items() if key != "scored"}  # where it stands in the report says it


def scores_dict(summary: Summary) -> Json:
    """Return the report's section, by benchmark."""
    names = dict.fromkeys(result.benchmark for result in summary.score_results)
    return {
        name: {
            **benchmark_dict(summary, name),
            "results": {one.recipe: _result(one) for one in summary.score_results if one.benchmark == name},
            "comparisons": {
                one.recipe: {"baseline": one.baseline} | {key: _change(change) for key, change in one.changes.items()}
                for one in summary.score_comparisons
                if one.benchmark == name
            },
        }
        for name in names
    }


def _result(result: ScoreResult) -> Json:
    return {
        "scored": len(result.cases),
        "missing": result.missing,
        "empty": result.empty,
        **{name: quantity_to_dict(mean) for name, mean in result.means.items()},
        "cases": {label: dict(scores) for label, scores in result.cases.items()},
    }


def _change(change: ScoreChange) -> Json:
    quantities = {name: quantity_to_dict(getattr(change, name)) for name in ("delta", "relative_drop")}
    return {**asdict(change), **quantities}


def score_lines(
    summary: Summary, benchmark: str, *, kind: Callable[[RecipeFacts | None], str]
) -> Iterator[tuple[str, _Colour | None]]:
    """Yield lines and colours: a table of means, and for every candidate what became of each score.

    Args:
        summary: What was concluded.
        benchmark: One whose answers are scored.
        kind: Says what a recipe is.
    """
    results = [result for result in summary.score_results if result.benchmark == benchmark]
    rows = [[benchmark, "", *(cell for name in SCORES for cell in (_NAMES[name], "95 % interval")), "scored"]]
    rows += [_row(result, kind(summary.recipes.get(result.recipe))) for result in results]
    yield from ((text, None) for text in align(rows))
    for comparison in summary.score_comparisons:
        if comparison.benchmark == benchmark:
            yield "", None
            yield from _comparison(comparison)


def _row(result: ScoreResult, kind: str) -> list[str]:
    cells = [cell for name in SCORES for cell in _cells(result.means[name])]
    missing = f" ({result.missing} missing!)" if result.missing else ""
    empty = f", {result.empty} empty" if result.empty else ""
    return [f"  {result.recipe}", kind, *cells, f"{len(result.cases)}{empty}{missing}"]


def _cells(quantity: Quantity) -> tuple[str, str]:
    """Return value and interval, from 0 to 100 as such scores are usually written."""
    if isinstance(quantity, Undefined):
        return "–", quantity.reason
    low, high = quantity.low, quantity.high
    return f"{100 * quantity.value:.1f}", "" if low is None or high is None else f"{100 * low:.1f} – {100 * high:.1f}"


def _comparison(comparison: ScoreComparison) -> Iterator[tuple[str, _Colour | None]]:
    for name, change in comparison.changes.items():
        about = f"  {comparison.recipe} against {comparison.baseline}: {_NAMES[name]}"
        if isinstance(change.delta, Undefined):
            yield f"{about} {change.delta.reason}", "yellow"
            continue
        p, adjusted = f"{change.p:.2g}", f"{change.p_adjusted:.2g}"
        said = f"p = {p}" if p == adjusted else f"p = {p} ({adjusted} corrected)"
        word = f"{change.evidence} at a margin of {100 * change.margin:g} pt"
        yield f"{about} {_points(change.delta)}, {said}; {word}", _COLOURS[change.evidence]
        yield f"    {_moved(change)}", None


def _moved(change: ScoreChange) -> str:
    moved = f"{change.higher} higher, {change.lower} lower"
    if change.evidence != "unproven" or change.detectable_drop is None:
        return moved
    return f"{moved}; so many problems, moving as far, can rule out a drop of {100 * change.detectable_drop:.1f} pt"


def _points(delta: Quantity) -> str:
    """Return difference and interval in points."""
    if isinstance(delta, Undefined):
        return delta.reason
    ends: Sequence[float] = [end for end in (delta.low, delta.high) if end is not None]
    interval = f" [{', '.join(f'{100 * end:+.1f}' for end in ends)}]" if ends else ""
    return f"{100 * delta.value:+.1f} pt{interval}".replace("-", "−")
