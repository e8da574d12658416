"""Benchmarks whose completions are executed: the report's section `benchmarks`, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_qeval.errors import counted
from pytest_qeval.facts import RecipeFacts
from pytest_qeval.report.plain import to_plain, without
from pytest_qeval.report.text import (
    COLOURS,
    Line,
    change,
    describe_recipe,
    excluded_lines,
    no_record_line,
    p_value,
    percent,
    points,
    shorten,
    source_lines,
    table,
    value_and_interval,
)
from pytest_qeval.schema import InfillingForm, Json, Quantity, Undefined
from pytest_qeval.stats.intervals import NO_PROBLEM
from pytest_qeval.summary.comparison import Comparison, ControlExcess
from pytest_qeval.summary.pass_rates import BenchmarkResult
from pytest_qeval.summary.results import Summary

_UNSUPPORTED_SHOWN = 3
_NOT_SHOWN = ("scored", "covers")
_EVIDENCE = {
    "worse": "worse: the whole interval lies below −{margin} pt",
    "not worse": "not worse: the whole interval lies above −{margin} pt",
    "unproven": "unproven at a margin of {margin} pt",
}


def describe_data(summary: Summary, benchmark: str) -> Json:
    """Return the report's facts about a benchmark's data; whether it is scored shows in its section."""
    facts = {"excluded": {}, **summary.benchmarks.get(benchmark, {})}
    shared = facts.get("clusters", {})
    problems = facts.get("problems", 0)
    clusters = len({*shared.values()}) + problems - len(shared)
    shown = {name: facts[name] for name in facts if name not in _NOT_SHOWN and (facts[name] or name != "infilling")}
    return {**shown, "clusters": clusters if clusters < problems else None}


def pass_rate_dict(summary: Summary) -> Json:
    """Return the report's section, by benchmark."""
    return {
        name: {
            **describe_data(summary, name),
            "results": {
                one.recipe: {**_result_dict(one), "decided": summary.decided.get((one.recipe, name))}
                for one in summary.results
                if one.benchmark == name
            },
            "comparisons": {
                one.recipe: without(one, "benchmark", "recipe") for one in summary.comparisons if one.benchmark == name
            },
        }
        for name in dict.fromkeys(result.benchmark for result in summary.results)
    }


def _result_dict(result: BenchmarkResult) -> Json:
    return {
        "solved": len(result.solved),
        "unsolved": len(result.unsolved),
        "missing": result.missing,
        "unsupported": dict(result.unsupported),
        "pass@k": to_plain(result.pass_at),
        "failures": to_plain(result.failures),
        "task_ids": {"solved": list(result.solved), "unsolved": list(result.unsolved)},
    }


def pass_rate_lines(summary: Summary, benchmark: str) -> Iterator[Line]:
    """Yield a table of results, then each candidate's change; one line where there is no record."""
    results = [result for result in summary.results if result.benchmark == benchmark]
    if not any(result.received or result.unsupported for result in results):
        yield no_record_line(benchmark, sum(result.missing for result in results))
        return
    ks = list(dict.fromkeys(k for result in results for k in result.pass_at))
    heads = [cell for k in ks for cell in (f"pass@{k}", "95 % interval")]
    rows = [[benchmark, "", *heads, "solved", "unsolved because"]]
    yield from table([*rows, *(_row(summary.recipes.get(result.recipe), result, ks) for result in results)])
    yield from _remark_lines(summary, benchmark, results)
    for comparison in summary.comparisons:
        if comparison.benchmark == benchmark:
            yield Line("")
            yield from _comparison_lines(comparison, early=(comparison.recipe, benchmark) in summary.decided)


def _remark_lines(summary: Summary, benchmark: str, results: Sequence[BenchmarkResult]) -> Iterator[Line]:
    """Yield what has to be known of the problems and the prompts, and why results are missing."""
    facts = summary.benchmarks.get(benchmark, {})
    yield from source_lines({label for one in results for label in (*one.solved, *one.unsolved)}, facts)
    yield from excluded_lines(benchmark, facts)
    if template := facts.get("infilling"):
        yield Line(f"  {InfillingForm(template=template).summary}")
    for result in results:
        for label, reason in list(result.unsupported.items())[:_UNSUPPORTED_SHOWN]:
            yield Line(
                f"  {result.recipe}: {label} cannot be judged here, which is not the model's failure: {reason}",
                "yellow",
            )
    for (recipe, name), reason in summary.decided.items():
        if name == benchmark:
            yield Line(f"  {recipe} was stopped early: {reason}")


def _row(facts: RecipeFacts | None, result: BenchmarkResult, ks: Sequence[int]) -> list[str]:
    """Return the cells of a recipe, which may have fewer samples than another one, or none yet."""
    cells = [cell for k in ks for cell in value_and_interval(_pass_at(result, k), percent)]
    missing = f" ({result.missing} missing!)" if result.missing else ""
    failures = " · ".join(f"{count} {status}" for status, count in result.failures.items())
    solved = f"{len(result.solved)}/{result.received + result.missing}{missing}"
    return [f"  {result.recipe}", describe_recipe(facts), *cells, solved, failures or "–"]


def _pass_at(result: BenchmarkResult, k: int) -> Quantity:
    few = Undefined(reason=f"a problem has fewer than {k} samples") if result.received else NO_PROBLEM
    return result.pass_at.get(k, few)


def _comparison_lines(comparison: Comparison, *, early: bool) -> Iterator[Line]:
    delta = comparison.delta
    name = f"  {comparison.recipe} against {comparison.baseline}:"
    if isinstance(delta, Undefined):
        yield Line(f"{name} {delta.reason}", "yellow")
        return
    if early:
        yield Line(f"{name} {points(delta.value)} pt over {counted(delta.n, 'problem')}; the gates decide")
    else:
        evidence = _EVIDENCE[comparison.evidence].format(margin=f"{100 * comparison.margin:g}")
        p = p_value(comparison.mcnemar_p, comparison.mcnemar_p_adjusted)
        yield Line(f"{name} {change(delta)}, {comparison.test} {p}; {evidence}", COLOURS[comparison.evidence])
    for word, labels in (("regressed", comparison.regressed), ("fixed", comparison.fixed)):
        if labels:
            yield Line(f"    {len(labels)} {word}: {shorten(labels)}")
    if comparison.excess and not early:
        yield Line(f"    {_describe_excess(comparison.excess)}")


def _describe_excess(excess: ControlExcess) -> str:
    flips = f"{counted(excess.flips, 'flip')}, {excess.control_flips} in the control, {excess.shared} in both"
    share = excess.excess
    return flips if isinstance(share, Undefined) else f"{flips}: {change(share)} above the control"
