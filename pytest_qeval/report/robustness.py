"""How robustness is said: the report's section `robustness`, and the lines of the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pytest_qeval.report.table import align
from pytest_qeval.schema import Evidence, Json, Quantity, Undefined, quantity_to_dict
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.robust_results import ALL, BrokenExample, RobustChange, RobustResult

__all__ = ["robust_lines", "robustness_dict"]

_Colour = Literal["green", "red", "yellow"]
_COLOURS: Mapping[Evidence, _Colour] = {"worse": "red", "not worse": "green", "unproven": "yellow"}
_MEASURES = {"nominal": "pass", "robust": "robust_pass", "drop": "robust_drop", "relative": "robust_relative"}
"""Names of the means in the report, each with `@k`; `lost` and `gained` are called what they are."""
_SHOWN_LINES = 12
"""Of a diff in the terminal; the report has all."""


def robustness_dict(summary: Summary) -> Json:
    """Return the report's section: by benchmark, recipe and scope."""
    section: dict[str, dict[str, Json]] = {}
    changes = {(one.benchmark, one.recipe, one.scope): one for one in summary.robust_changes}
    for result in summary.robust_results:
        scopes = section.setdefault(result.benchmark, {}).setdefault(result.recipe, {})
        change = changes.get((result.benchmark, result.recipe, result.scope))
        scopes[result.scope] = {
            **_counts(summary, result),
            **_means(result),
            "problems": result.problems,
            "asked": result.asked,
            "unpaired": result.unpaired,
            "missing": result.missing,
            "comparison": change and _change(change),
        }
    return section


def _counts(summary: Summary, result: RobustResult) -> Json:
    facts = [summary.perturbations[result.benchmark, name] for name in result.perturbations]
    invalid: dict[str, str] = {}
    for one in facts:
        invalid |= one.reasons
    return {
        "perturbations": list(result.perturbations),
        "category": facts[0].category if len({one.category for one in facts}) == 1 else None,
        "level": facts[0].level if len({one.level for one in facts}) == 1 else None,
        "seeds": max(one.seeds for one in facts),
        **{name: sum(getattr(one, name) for one in facts) for name in ("applied", "unchanged", "repeated", "invalid")},
        "invalid_cases": invalid,
    }


def _means(result: RobustResult) -> Json:
    names = {**_MEASURES, "lost": "lost", "gained": "gained"}
    return {
        f"{said}@{k}": quantity_to_dict(getattr(means, name))
        for k, means in result.means.items()
        for name, said in names.items()
    }


def _change(change: RobustChange) -> Json:
    return {
        "baseline": change.baseline,
        "drop_increase": quantity_to_dict(change.increase),
        "robust_pass_delta": quantity_to_dict(change.delta),
        "broken": list(change.broken),
        "mended": list(change.mended),
        "mcnemar_p": change.p,
        "mcnemar_p_adjusted": change.p_adjusted,
        "evidence": change.evidence,
        "margin": change.margin,
        "examples": [
            {
                "case": one.case,
                "reason": one.reason,
                "prompt_diff": one.prompt_diff,
                "completion_diff": one.completion_diff,
            }
            for one in change.examples
        ],
    }


def robust_lines(summary: Summary, benchmark: str) -> Iterator[tuple[str, _Colour | None]]:
    """Yield lines and colours: categories and all in a table, then what became of each candidate, with one example."""
    results = [one for one in summary.robust_results if one.benchmark == benchmark]
    single = {name for one in results for name in one.perturbations}
    shown = [one for one in results if one.problems + one.missing and (one.scope not in single or len(single) == 1)]
    scopes = list(dict.fromkeys(one.scope for one in shown))
    shown.sort(key=lambda one: scopes.index(one.scope))
    changes = {(one.recipe, one.scope): one for one in summary.robust_changes if one.benchmark == benchmark}
    head = [f"{benchmark}, perturbed", "", "problems", "pass@1", "robust", "lost", "gained", "robust drop"]
    rows = [[*_row(one), _last(one, changes)] for one in shown]
    last = "increase, pt [95 %]" if changes else "95 % interval"
    yield from ((text, None) for text in align([[*head, last], *rows]))
    yield from _left_out(summary, benchmark)
    for change in summary.robust_changes:
        if change.benchmark == benchmark and change.scope == ALL:
            yield "", None
            yield from _about(change, summary)


def _row(result: RobustResult) -> list[str]:
    means = result.means.get(1)
    missing = f" ({result.missing} missing!)" if result.missing else ""
    names = ("nominal", "robust", "lost", "gained", "drop")
    shares = [_share(getattr(means, name)) if means else "" for name in names]
    return [f"  {result.scope}", result.recipe, f"{result.problems}{missing}", *shares]


def _last(result: RobustResult, changes: Mapping[tuple[str, str], RobustChange]) -> str:
    """Say how much more than the baseline's the drop is, since a drop alone says little of a recipe."""
    change = changes.get((result.recipe, result.scope))
    if change:
        return _increase(change.increase)
    means = result.means.get(1)
    return _interval(means.drop) if means and not changes else ""


def _increase(increase: Quantity) -> str:
    if isinstance(increase, Undefined):
        return "–"
    interval = _interval(increase, signed=True)
    return f"{_points(increase.value)} [{interval}]" if interval else _points(increase.value)


def _left_out(summary: Summary, benchmark: str) -> Iterator[tuple[str, _Colour | None]]:
    """Say what could not be asked."""
    facts = [one for (name, _), one in summary.perturbations.items() if name == benchmark]
    counts = {name: sum(getattr(one, name) for one in facts) for name in ("unchanged", "repeated", "invalid")}
    applied = sum(one.applied for one in facts)
    left = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    whole = [one for one in summary.robust_results if (one.benchmark, one.scope) == (benchmark, ALL)]
    asked, unpaired = (max((getattr(one, name) for one in whole), default=0) for name in ("asked", "unpaired"))
    part = f", of which {asked} were selected" if asked < applied else ""
    kinds = "1 perturbation" if len(facts) == 1 else f"{len(facts)} perturbations"
    yield f"  {applied} questions from {kinds}{part}" + (f"; left out: {left}" if left else ""), None
    if unpaired:
        nominal = "the same nominal was not selected, or answered by another number of samples"
        yield f"  {unpaired} answers are compared with nothing: {nominal}", "yellow"


def _about(change: RobustChange, summary: Summary) -> Iterator[tuple[str, _Colour | None]]:
    increase = change.increase
    name = f"  {change.recipe} against {change.baseline}: robust drop"
    if isinstance(increase, Undefined):
        yield f"{name}: {increase.reason}", "yellow"
        return
    p, adjusted = f"{change.p:.2g}", f"{change.p_adjusted:.2g}"
    said = f"p = {p}" if p == adjusted else f"p = {p} ({adjusted} corrected)"
    interval = _interval(increase, signed=True)
    about = f"{name} {_points(increase.value)} pt{f' [{interval}]' if interval else ''}, {said}"
    yield f"{about}; {change.evidence} at a margin of {100 * change.margin:g} pt", _COLOURS[change.evidence]
    only = (f"{len(broken)} robust under {recipe} only" for recipe, broken in _only(change).items())
    yield f"    {', '.join(only)}", None
    worse = [one for one in summary.robust_changes if _is_part(one, change) and one.evidence == "worse"]
    if worse:
        yield f"    worse by itself: {', '.join(one.scope for one in worse)}", "red"
    if change.examples:
        yield from _example(change.examples[0])


def _only(change: RobustChange) -> Mapping[str, tuple[str, ...]]:
    """Return the problems that only one of the two keeps when they are perturbed."""
    return {change.baseline: change.broken, change.recipe: change.mended}


def _is_part(one: RobustChange, whole: RobustChange) -> bool:
    return (one.benchmark, one.recipe) == (whole.benchmark, whole.recipe) and one.scope != ALL


def _example(example: BrokenExample) -> Iterator[tuple[str, _Colour | None]]:
    yield f"    for example {example.case}: {example.reason}", None
    for title, diff in (("prompt", example.prompt_diff), ("completion", example.completion_diff)):
        lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
        yield f"      {title}:", None
        for line in lines[:_SHOWN_LINES]:
            yield f"        {line}", "red" if line.startswith("-") else "green" if line.startswith("+") else None
        if len(lines) > _SHOWN_LINES:
            yield f"        … {len(lines) - _SHOWN_LINES} more lines in report.json", None


def _share(quantity: Quantity) -> str:
    return "–" if isinstance(quantity, Undefined) else f"{quantity.value:.1%}".replace("-", "−")


def _interval(quantity: Quantity, *, signed: bool = False) -> str:
    if isinstance(quantity, Undefined) or quantity.low is None or quantity.high is None:
        return quantity.reason if isinstance(quantity, Undefined) else ""
    if signed:
        return f"{_points(quantity.low)}, {_points(quantity.high)}"
    return f"{quantity.low:.1%} – {quantity.high:.1%}".replace("-", "−")


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−")
