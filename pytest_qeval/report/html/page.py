"""Put the page together: sections from the summary, plots, completions, style and script in one file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from pytest_qeval.report.choice import options_of, pick
from pytest_qeval.report.html.blocks import Figure, Section
from pytest_qeval.report.html.ledger import KINDS, Payload, entries_of, pack
from pytest_qeval.report.html.sections.choice import choice_section
from pytest_qeval.report.html.sections.conditions import conditions_section, reproduce_section
from pytest_qeval.report.html.sections.differences import differences_section
from pytest_qeval.report.html.sections.divergence import divergence_section
from pytest_qeval.report.html.sections.failures import failures_section
from pytest_qeval.report.html.sections.gates import gates_section
from pytest_qeval.report.html.sections.lengths import lengths_section
from pytest_qeval.report.html.sections.memory import memory_section
from pytest_qeval.report.html.sections.robustness import robustness_section
from pytest_qeval.report.html.sections.sensitivity import sensitivity_section
from pytest_qeval.report.html.svg import draw
from pytest_qeval.report.sentences import CandidateVerdict, verdicts
from pytest_qeval.report.text import describe_recipe, model_name
from pytest_qeval.report.visible import one_line
from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.comparability import Remark
from pytest_qeval.summary.results import GateResult, Summary, overall_verdict

_FOLDER = Path(__file__).parent
_SCRIPTS = ("page.js", "diff.js", "ledger.js")
_LONGEST_SENTENCE = 1000
"""Characters: the reason of a gate may hold what a program said."""
_WIDTHS = {"wide": 1020, "narrow": 330}
"""Of a plot on a screen and on a phone, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page shows, as plain text and data: a pure function of the summary, the gates and the records."""

    title: str
    model: str
    benchmarks: str
    verdict: str
    banner: str
    """The verdict in words."""
    pick: str
    """The recipe to take; empty where there is no choice, or none is to be taken."""
    candidates: tuple[CandidateVerdict, ...]
    doubts: tuple[Remark, ...]
    """What makes the comparison inconclusive."""
    baseline: str
    baseline_is: str
    """What the baseline is, such as `bfloat16`."""
    before: tuple[Section, ...]
    """Sections before the problems."""
    payload: Payload
    kinds: tuple[str, ...]
    """Kinds of flips that there are."""
    after: tuple[Section, ...]
    started_at: str
    version: str


def page_of(summary: Summary, gates: Sequence[GateResult], records: Mapping[tuple[str, Case], Record]) -> Page:
    """Return the page's content."""
    before = (gates_section(summary, gates), differences_section(summary), choice_section(summary, gates))
    after = (
        failures_section(summary),
        lengths_section(summary, records),
        divergence_section(summary),
        robustness_section(summary),
        memory_section(summary),
        sensitivity_section(summary),
        conditions_section(summary),
        reproduce_section(summary),
    )
    found, verdict = verdicts(summary, gates), overall_verdict(gates, interrupted=summary.interrupted)
    entries = entries_of(summary, records)
    options = options_of(summary, gates)
    chosen = pick(summary, gates, options) if len(found) > 1 and len(options) > 1 else None
    present = {one.kind for one in entries}
    names = list(dict.fromkeys(case.benchmark for _, case in records))
    return Page(
        title=one_line(f"{_joined(summary.candidates)} of {model_name(summary.run)}"),
        model=one_line(str(summary.run.model["id"])),
        benchmarks=one_line(", ".join(names)) or "no benchmark",
        verdict=verdict,
        banner=_banner(verdict, found),
        pick=one_line((chosen and chosen.recipe) or ""),
        candidates=found,
        doubts=tuple(one for one in summary.comparability if one.level == "inconclusive"),
        baseline=one_line(summary.baseline or ""),
        baseline_is=one_line(describe_recipe(summary.recipes.get(summary.baseline or "")).removesuffix(" baseline")),
        before=tuple(one for one in before if one),
        payload=pack(entries),
        kinds=tuple(kind for kind in KINDS if kind in present),
        after=tuple(one for one in after if one),
        started_at=summary.run.started_at,
        version=summary.run.versions.get("pytest-qeval", ""),
    )


def render(page: Page, *, plot: Callable[[Figure, str], str] | None = None) -> str:
    """Return the page as HTML; needs the packages of the extra `report`.

    Args:
        page: What is shown.
        plot: Draws a figure, `wide` or `narrow`, as SVG; None for `svg.draw`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - an extra

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _read("page.css"), _script()
    return environment.get_template("page.html.jinja").render(
        page=page,
        plot=plot or _plot,
        sentence=partial(one_line, longest=_LONGEST_SENTENCE),
        style=style,
        script=script,
        policy=_policy(style, script),
    )


def _banner(verdict: str, candidates: Sequence[CandidateVerdict]) -> str:
    """Say the verdict; where candidates differ, whose."""
    if verdict == "interrupted":
        return "Interrupted before it was judged"
    if verdict == "none":
        return "No gate was set"
    said = {
        "fail": ("breaks a gate", "break a gate"),
        "pass": ("passes", "pass"),
        "none": ("has no gate", "have no gate"),
    }
    names = {status: [one.recipe for one in candidates if one.status == status] for status in said}
    if not names[verdict] or sum(map(bool, names.values())) == 1:
        return "Every gate holds" if verdict == "pass" else "A gate is broken"
    parts = [f"{_joined(own)} {said[status][len(own) > 1]}" for status, own in names.items() if own]
    return one_line("; ".join(parts), longest=_LONGEST_SENTENCE)


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: nothing is loaded, sent or run but the page's own style and script."""
    allowed = f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _plot(figure: Figure, width: str) -> str:
    spec = figure.draw(_WIDTHS[width])
    return draw(spec, name=f"{figure.name}-{width}", title=figure.title, description=figure.description)


def _script() -> str:
    """Return what the page does, as one function, so that it leaves no names behind."""
    return "".join(['"use strict";\n(() => {\n', *map(_read, _SCRIPTS), "})();\n"])


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the hash by which a Content-Security-Policy allows an element with just this text."""
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode('ascii')}"
