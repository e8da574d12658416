"""`summary.md`: the run as a comment on a pull request, and on the page of a CI job.

GitHub refuses comments above 65,536 characters, so that every part has a limit, and the last parts are left out where
all of them together are too long. Names, failures and code are hostile: they stand in code spans and blocks, in which
Markdown, HTML, mentions and links mean nothing; sentences are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pytest_qeval.errors import counted
from pytest_qeval.report.changes import Change, all_changes
from pytest_qeval.report.cost_ratios import amount, cost_ratios
from pytest_qeval.report.sentences import evidence_of, verdicts
from pytest_qeval.report.text import percent, points, value_and_interval
from pytest_qeval.report.visible import cut, one_line, visible
from pytest_qeval.schema import Case, Estimate, Record
from pytest_qeval.summary.results import GateResult, Summary, overall_verdict

LIMIT = 65_000
"""Characters; GitHub's own limit is 65,536."""
_MOST_ROWS = 30
_MOST_NAMED = 60
"""Characters of a name."""
_MOST_SAID = 400
"""Characters of a sentence; escaped it may have twice as many."""
_MOST_VERDICTS = 12
_MOST_CODE = 2_000
"""Characters of a program."""
_REGRESSIONS = 5
_TITLES = {
    "pass": "✅ Every gate holds",
    "fail": "❌ A gate is broken",
    "none": "⚪ No gate was set",
    "interrupted": "⏸️ Interrupted before it was judged",
}
_MARKS = {"pass": "✅", "fail": "❌", "none": "⚪", "interrupted": "⏸️"}
_SPECIAL = re.compile(
    r"(?P<linking>(?<!\w)@(?=\w)|#(?=\d)|:(?=//)|(?<=www)\.|(?<=\bGH)-(?=\d))|(?P<marking>[\\`*_\[\]<>&|~$])"
)
"""Mentions, issues and links; and what Markdown, HTML and mathematics are written with."""

Records = Mapping[tuple[str, Case], Record]


def markdown(summary: Summary, gates: Sequence[GateResult], records: Records) -> str:
    """Return the comment: verdict, gates, differences, costs, regressions, failures, conditions; in this order."""
    parts = [
        _verdict(summary, gates),
        _gates(gates),
        _differences(summary),
        _costs(summary),
        _regressions(summary, records),
        _failures(summary),
        _conditions(summary),
    ]
    kept: list[str] = []
    for part in filter(None, parts):
        if sum(map(len, kept)) + len(part) + 2 * len(kept) < LIMIT - 100:
            kept.append(part)
        else:
            kept.append("*More is in the report: it is too long for a comment.*")
            break
    return "\n\n".join(kept) + "\n"


def code(text: str) -> str:
    """Return a name as a code span that is safe anywhere, in tables as well."""
    name = one_line(text, longest=_MOST_NAMED) or " "
    fence = "`" * (max(map(len, re.findall("`+", name)), default=0) + 1)
    blank = " " if name.startswith("`") or name.endswith("`") else ""
    return f"{fence}{blank}{name}{blank}{fence}".replace("|", "\\|")


def escape(text: str) -> str:
    """Return a sentence in which no character means anything to Markdown or HTML, nor is a mention, issue or link."""
    plain = one_line(text, longest=_MOST_SAID)
    while len(safe := _SPECIAL.sub(_harmless, plain)) > 2 * _MOST_SAID:
        plain = cut(plain, longest=len(plain) // 2)
    return safe


def _harmless(found: re.Match[str]) -> str:
    """Write a character as an entity, or put one without width behind it, by which GitHub finds no name or address."""
    return f"{found[0]}&#8203;" if found["linking"] else f"&#{ord(found[0])};"


def block(text: str) -> str:
    """Return a program as a code block."""
    body = cut(visible(text[: 2 * _MOST_CODE]), longest=_MOST_CODE).strip("\n")
    fence = "`" * max(3, max(map(len, re.findall("`+", body)), default=0) + 1)
    return f"{fence}python\n{body}\n{fence}"


def _verdict(summary: Summary, gates: Sequence[GateResult]) -> str:
    title = _TITLES[overall_verdict(gates, interrupted=summary.interrupted)]
    against = f", compared with {code(summary.baseline)}" if summary.baseline else ""
    lines = [f"## {title}", "", f"{code(str(summary.run.model['id']))}{against}", ""]
    found = verdicts(summary, gates)
    for one in found[:_MOST_VERDICTS]:
        lines += [f"- {_MARKS[one.status]} {escape(one.headline)}", f"  {escape(one.may_ship)} {escape(one.sure)}"]
    lines += [f"- ⚠️ {escape(f'{one.level}: {one.text}.')}" for one in summary.comparability[:_MOST_VERDICTS]]
    lines += [f"- … and {len(found) - _MOST_VERDICTS} more recipes"] if len(found) > _MOST_VERDICTS else []
    return "\n".join(lines)


def _gates(gates: Sequence[GateResult]) -> str:
    rows = [
        (
            "✅ holds" if gate.outcome == "pass" else "❌ **broken**",
            code(gate.expression),
            code(gate.recipe),
            code(gate.benchmark) if gate.benchmark else "whole run",
            escape(gate.reason),
            evidence_of(gate),
        )
        for gate in sorted(gates, key=lambda gate: gate.outcome)
    ]
    return _table("Gates", ("", "gate", "recipe", "benchmark", "observed", "evidence"), rows)


def _differences(summary: Summary) -> str:
    head = ("recipe", "benchmark", "base → candidate", "Δ, pt [95 %]", "regressed", "fixed", "evidence")
    return _table("Against the baseline", head, [_difference(one) for one in all_changes(summary)])


def _difference(one: Change) -> tuple[str, ...]:
    value, interval = value_and_interval(one.delta, points, interval="[{}, {}]")
    own, base = (percent(rate.value) if isinstance(rate, Estimate) else "–" for rate in (one.own, one.base))
    counts = (str(len(one.regressed)), str(len(one.fixed))) if one.measure == "pass@1" else ("–", "–")
    delta = f"**{value}** {escape(interval)}"
    measure = "" if one.measure == "pass@1" else f" {one.measure}"
    evidence = f"{one.evidence} at {100 * one.margin:g} pt"
    return (code(one.recipe), f"{code(one.benchmark)}{measure}", f"{base} → {own}", delta, *counts, evidence)


def _costs(summary: Summary) -> str:
    rows = [
        (
            code(recipe),
            one.name,
            f"{amount(one.baseline, one.unit)} → {amount(one.candidate, one.unit)}",
            f"**{one.ratio:.2f} ×**",
            one.kind,
        )
        for recipe in summary.candidates
        for one in cost_ratios(summary, recipe)
        if one.ratio is not None
    ]
    return _table("Costs", ("recipe", "cost", "base → candidate", "ratio", "kind"), rows)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table below its title; empty without rows, and with a limit to them."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows[:_MOST_ROWS])]
    more = [f"\n*{len(rows) - _MOST_ROWS} more rows are in the report.*"] if len(rows) > _MOST_ROWS else []
    return "\n".join([f"### {title}", "", *lines, *more])


def _regressions(summary: Summary, records: Records) -> str:
    lost = [(one, label) for one in summary.comparisons if one.recipe in summary.candidates for label in one.regressed]
    if not lost:
        return ""
    by_label = {(recipe, case.benchmark, case.label): record for (recipe, case), record in records.items()}
    shown = [
        text
        for one, label in lost[:_REGRESSIONS]
        if (own := by_label.get((one.recipe, one.benchmark, label)))
        and (base := by_label.get((one.baseline, one.benchmark, label)))
        for text in _regression(own, base)
    ]
    title = f"{counted(len(lost), 'regression')}, the first {min(len(lost), _REGRESSIONS)} with code"
    return "\n".join(["<details>", f"<summary>{title}</summary>", "", *shown, "</details>"])


def _regression(own: Record, base: Record) -> Iterator[str]:
    passed = next(one for one in base.samples if one.execution.status == "passed")
    yield f"**{code(own.case.label)}** under {code(own.recipe)}: {escape(own.reason)}"
    yield from ("", f"{code(base.recipe)} solved it:", "", block(passed.code))
    yield from ("", f"{code(own.recipe)} did not:", "", block(own.samples[0].code), "")


def _failures(summary: Summary) -> str:
    recipes = list(dict.fromkeys(one.recipe for one in summary.results))[:8]
    counts = {
        (one.benchmark, status, one.recipe): count for one in summary.results for status, count in one.failures.items()
    }
    rows = [
        (code(benchmark), status, *(str(counts.get((benchmark, status, recipe), 0)) for recipe in recipes))
        for benchmark, status in dict.fromkeys((benchmark, status) for benchmark, status, _ in counts)
    ]
    return _table("Unsolved because", ("benchmark", "cause", *map(code, recipes)), rows)


def _conditions(summary: Summary) -> str:
    run = summary.run
    lines = [f"- Run {code(run.id)} of {escape(run.started_at)} on {escape(str(run.host.get('cpu')))}"]
    if summary.baseline:
        lines.append(f"- Baseline {code(summary.baseline)}: {_age(summary)}")
    if summary.missing:
        lines.append(f"- **{summary.missing} of {counted(summary.planned, 'case')} missing**")
    lines.append(f"- Command: {_command(run.command)}")
    if commit := run.ci.get("commit"):
        lines.append(f"- Commit {escape(commit)}")
    if url := run.ci.get("url"):
        lines.append(f"- [CI job]({_link(url)})")
    return "\n".join(["### Conditions", "", *lines])


def _command(text: str) -> str:
    """Return a command as a code span of its own line; longer than a name may be."""
    return code(text) if len(text) <= _MOST_NAMED else f"\n{_indented(block(text))}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.replace("python\n", "\n", 1).splitlines())


def _link(url: str) -> str:
    """Return an address that cannot end the link."""
    return re.sub(r"[\s()<>\"\\]", lambda found: f"%{ord(found[0]):02x}", one_line(url))


def _age(summary: Summary) -> str:
    origin = summary.run.saved_baseline
    if not origin:
        return "run in the same session"
    made = str(origin.get("started_at"))
    try:
        age = (datetime.fromisoformat(summary.run.started_at) - datetime.fromisoformat(made)).days
        days = f", {counted(age, 'day')} before this run"
    except (TypeError, ValueError):  # an edited file; with and without a time zone
        days = ""
    accepted = origin.get("accepted_differences") or ()
    other = f"; accepted differences: {'; '.join(map(str, accepted))}" if accepted else ""
    host = origin.get("host") or {}
    return escape(f"saved on {made}{days}, on {host.get('cpu')}{other}")
