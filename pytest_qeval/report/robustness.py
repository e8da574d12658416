"""Robustness: the report's section `robustness`, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_qeval.errors import counted
from pytest_qeval.report.plain import to_plain, without
from pytest_qeval.report.text import (
    COLOURS,
    Colour,
    Line,
    change,
    evidence_at_margin,
    p_value,
    percent,
    table,
    value_and_interval,
)
from pytest_qeval.schema import Json, Undefined
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robust_examples import BrokenExample
from pytest_qeval.summary.robustness import ALL, RobustResult

_MEASURES: Mapping[str, str] = {
    "nominal": "pass",
    "robust": "robust_pass",
    "drop": "robust_drop",
    "relative": "robust_relative",
    "lost": "lost",
    "gained": "gained",
}
"""Names of the means in the report, each with `@k`."""
_DIFF_COLOURS: Mapping[str, Colour] = {"-": "red", "+": "green"}
_SHOWN_LINES = 12
"""Of a diff in the terminal; the report has all."""


def robustness_dict(summary: Summary) -> Json:
    """Return the report's section: by benchmark, recipe and scope."""
    section: dict[str, dict[str, Json]] = {}
    changes = {(one.benchmark, one.recipe, one.scope): one for one in summary.robust_changes}
    for result in summary.robust_results:
        found = changes.get((result.benchmark, result.recipe, result.scope))
        section.setdefault(result.benchmark, {}).setdefault(result.recipe, {})[result.scope] = {
            **to_plain(result.counts),
            **{
                f"{measure}@{k}": to_plain(getattr(means, name))
                for k, means in result.means.items()
                for name, measure in _MEASURES.items()
            },
            "problems": result.problems,
            "asked": result.planned,
            "unpaired": result.unpaired,
            "missing": result.missing,
            "comparison": found and without(found, "benchmark", "recipe", "scope"),
        }
    return section


def robustness_lines(summary: Summary, benchmark: str) -> Iterator[Line]:
    """Yield a table of categories and all, then each candidate's change, with one example."""
    results = [one for one in summary.robust_results if one.benchmark == benchmark]
    single = {name for one in results for name in one.counts.perturbations}
    shown = [one for one in results if one.problems + one.missing and (one.scope not in single or len(single) == 1)]
    scopes = list(dict.fromkeys(one.scope for one in shown))
    shown.sort(key=lambda one: scopes.index(one.scope))
    changes = {(one.recipe, one.scope): one for one in summary.robust_changes if one.benchmark == benchmark}
    head = [f"{benchmark}, perturbed", "", "problems", "pass@1", "robust", "lost", "gained", "robust drop"]
    last = "increase, pt [95 %]" if changes else "95 % interval"
    yield from table([[*head, last], *([*_row(one), _last_cell(one, changes)] for one in shown)])
    yield from _count_lines([one for one in results if one.scope == ALL])
    for found in changes.values():
        if found.scope == ALL:
            yield Line("")
            yield from _change_lines(found, [one.scope for one in changes.values() if _is_worse_part(one, found)])


def _is_worse_part(one: RobustChange, whole: RobustChange) -> bool:
    return one.recipe == whole.recipe and one.scope != ALL and one.evidence == "worse"


def _row(result: RobustResult) -> list[str]:
    means = result.means[1]
    missing = f" ({result.missing} missing!)" if result.missing else ""
    names = ("nominal", "robust", "lost", "gained", "drop")
    shares = [value_and_interval(getattr(means, name), percent)[0] for name in names]
    return [f"  {result.scope}", result.recipe, f"{result.problems}{missing}", *shares]


def _last_cell(result: RobustResult, changes: Mapping[tuple[str, str], RobustChange]) -> str:
    """Return the drop's increase over the baseline's; without a baseline the drop's own interval."""
    found = changes.get((result.recipe, result.scope))
    if found:
        return "–" if isinstance(found.drop_increase, Undefined) else change(found.drop_increase, unit="")
    return "" if changes else value_and_interval(result.means[1].drop, percent)[1]


def _count_lines(results: list[RobustResult]) -> Iterator[Line]:
    """Yield how many perturbed problems there are, how many were left out, and how many have no counterpart."""
    counts = results[0].counts
    left_out = {"unchanged": counts.unchanged, "repeated": counts.repeated, "invalid": counts.invalid}
    left = ", ".join(f"{count} {name}" for name, count in left_out.items() if count)
    planned, unpaired = max(one.planned for one in results), max(one.unpaired for one in results)
    part = f", of which {planned} were selected" if planned < counts.applied else ""
    kinds = counted(len(counts.perturbations), "perturbation")
    yield Line(
        f"  {counted(counts.applied, 'perturbed problem')} from {kinds}{part}" + (f"; left out: {left}" if left else "")
    )
    if unpaired:
        why = "the nominal case was not selected, or has another number of samples"
        yield Line(f"  {counted(unpaired, 'case')} without a nominal completion to compare with: {why}", "yellow")


def _change_lines(found: RobustChange, worse_scopes: list[str]) -> Iterator[Line]:
    increase = found.drop_increase
    name = f"  {found.recipe} against {found.baseline}: robust drop"
    if isinstance(increase, Undefined):
        yield Line(f"{name}: {increase.reason}", "yellow")
        return
    evidence = evidence_at_margin(found.evidence, found.margin)
    yield Line(
        f"{name} {change(increase)}, {p_value(found.mcnemar_p, found.mcnemar_p_adjusted)}; {evidence}",
        COLOURS[found.evidence],
    )
    only = ((found.baseline, found.broken), (found.recipe, found.mended))
    yield Line("    " + ", ".join(f"{len(labels)} robust under {recipe} only" for recipe, labels in only))
    if worse_scopes:
        yield Line(f"    worse on their own: {', '.join(worse_scopes)}", "red")
    if found.examples:
        yield from _example_lines(found.examples[0])


def _example_lines(example: BrokenExample) -> Iterator[Line]:
    yield Line(f"    for example {example.case}: {example.reason}")
    for title, diff in (("prompt", example.prompt_diff), ("completion", example.completion_diff)):
        lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
        yield Line(f"      {title}:")
        for line in lines[:_SHOWN_LINES]:
            yield Line(f"        {line}", _DIFF_COLOURS.get(line[:1]))
        if len(lines) > _SHOWN_LINES:
            yield Line(f"        … {counted(len(lines) - _SHOWN_LINES, 'more line')} in report.json")
