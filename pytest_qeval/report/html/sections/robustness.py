"""Perturbed problems: how much each recipe loses, as a heat map, and the worst examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pytest_qeval.report.html import charts
from pytest_qeval.report.html.blocks import Block, Cell, Figure, Fold, Section, Text, cell, listing, name, table
from pytest_qeval.report.html.sections.gates import evidence_tone
from pytest_qeval.report.text import change, percent, value_and_interval
from pytest_qeval.schema import Estimate, Json
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robustness import ALL, RobustResult

_LEAD = (
    "The same problems with typing errors, other words, renamed functions and the like. The robust drop is the "
    "share of solved problems that are no longer solved once they are perturbed: darker is worse. What counts is "
    "whether a recipe drops more than the baseline does. A dash: nothing was solved, so nothing could be dropped."
)
_BOUNDS = (0.02, 0.05, 0.1, 0.2)
_LIGHT_INK_FROM = 0.1
_CELL_HEIGHT = 26


def robustness_section(summary: Summary) -> Section | None:
    """Return the section, with a heat map for each benchmark."""
    blocks: list[Block | Fold] = []
    for number, benchmark in enumerate(dict.fromkeys(one.benchmark for one in summary.robust_results)):
        results = [one for one in summary.robust_results if one.benchmark == benchmark and one.problems]
        changes = [one for one in summary.robust_changes if one.benchmark == benchmark]
        if results:
            blocks.append(_figure(benchmark, results, changes, number))
            blocks += _examples(changes)
    return Section(name="robustness", title="Robustness", lead=_LEAD, blocks=tuple(blocks)) if blocks else None


def _figure(benchmark: str, results: Sequence[RobustResult], changes: Sequence[RobustChange], number: int) -> Figure:
    increases = {(one.recipe, one.scope): one for one in changes}
    head = (
        "Perturbation",
        "Recipe",
        "Problems",
        "Solved",
        "Solved under all",
        "Robust drop",
        "Increase, pt",
        "Evidence",
    )
    rows = [_row(one, increases.get((one.recipe, one.scope))) for one in results]
    drops = [(one.means[1].drop.value, one) for one in results if isinstance(one.means[1].drop, Estimate)]
    worst = max(drops, key=lambda pair: pair[0], default=None)
    said = f" The largest drop is {percent(worst[0])}, of {worst[1].recipe} under {worst[1].scope}." if worst else ""
    return Figure(
        name=f"robustness-{number}",
        title=f"Robust drop on {benchmark}",
        description=f"One row a perturbation, one column a recipe.{said}",
        draw=partial(_draw, results),
        table=table("Perturbed problems, by perturbation and recipe", head, rows, numeric=(2, 3, 4, 5, 6)),
    )


def _row(one: RobustResult, found: RobustChange | None) -> tuple[Cell, ...]:
    means = one.means[1]
    shares = [value_and_interval(share, percent)[0] for share in (means.nominal, means.robust, means.drop)]
    drop = means.drop.value if isinstance(means.drop, Estimate) else None
    increase = found.drop_increase if found else None
    return (
        name(one.scope),
        name(one.recipe),
        cell(str(one.problems), one.problems),
        *(cell(share) for share in shares[:2]),
        cell(shares[2], drop),
        cell(change(increase, unit="") if isinstance(increase, Estimate) else "–"),
        cell(found.evidence, tone=evidence_tone(found.evidence)) if found else cell("–"),
    )


def _draw(results: Sequence[RobustResult], width: int) -> Json:
    scopes = list(dict.fromkeys(one.scope for one in results))
    recipes = list(dict.fromkeys(one.recipe for one in results))
    values = [
        {
            "row": charts.label(one.scope),
            "recipe": charts.label(one.recipe, longest=14),
            "drop": drop.value if isinstance(drop, Estimate) else 0.0,
            "text": f"{100 * drop.value:.0f}" if isinstance(drop, Estimate) else "–",
        }
        for one in results
        for drop in (one.means[1].drop,)
    ]
    steps = [f"var(--heat-{number})" for number in range(len(_BOUNDS) + 1)]
    x: Json = {
        "field": "recipe",
        "type": "nominal",
        "sort": [charts.label(recipe, longest=14) for recipe in recipes],
        "title": None,
        "axis": {"orient": "top", "labelAngle": 0, "ticks": False, "domain": False},
    }
    y: Json = {**charts.rows_axis([charts.label(scope) for scope in scopes]), "axis": {"ticks": False, "domain": False}}
    ink = {"condition": {"test": f"datum.drop >= {_LIGHT_INK_FROM}", "value": "var(--heat-ink)"}, "value": charts.INK}
    return charts.chart(
        values,
        width=width,
        height={"step": _CELL_HEIGHT},
        layer=[
            {
                "mark": {"type": "rect", "stroke": charts.CARD, "strokeWidth": 2},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {
                        "field": "drop",
                        "type": "quantitative",
                        "title": "robust drop, %; the numbers say the same",
                        "scale": {"type": "threshold", "domain": list(_BOUNDS), "range": steps},
                        "legend": None,
                    },
                },
            },
            {"mark": {"type": "text"}, "encoding": {"x": x, "y": y, "text": {"field": "text"}, "color": ink}},
        ],
    )


def _examples(changes: Sequence[RobustChange]) -> list[Fold]:
    """Return the examples of each candidate that lost a problem only when perturbed."""
    return [
        Fold(
            title=f"{one.recipe}: {example.case} is lost only when perturbed",
            blocks=(
                Text(text=f"{one.baseline} solves it. The candidate: {example.reason}"),
                listing("The perturbed prompt", example.prompt_diff, is_diff=True),
                listing("The candidate’s completions, nominal and perturbed", example.completion_diff, is_diff=True),
            ),
        )
        for one in changes
        if one.scope == ALL
        for example in one.examples
    ]
