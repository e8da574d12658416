"""The page: its content as data, and hostile text in its HTML."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from pytest_qeval.facts import BlockSensitivity, SensitivityFacts, StreamFacts
from pytest_qeval.report.html.blocks import Figure, Fold, Section, Table
from pytest_qeval.report.html.page import Page, page_of, render
from pytest_qeval.report.visible import one_line
from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.hostile_texts import HOSTILE, hostile_session
from tests.unit.report.test_choice import with_small
from tests.unit.report.test_sentences import BROKEN, PASSED
from tests.unit.summary.builders import session, several_benchmarks
from tests.unit.summary.divergences import facts, problem
from tests.unit.summary.perturbed import BASE, OWN, robust_session

jinja2 = pytest.importorskip("jinja2", reason="the extra 'report' is not installed")

STREAMS = tuple(
    StreamFacts(recipe=name, prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(seconds,))
    for name, seconds in (("auto", 0.01), ("int8", 0.02))
)
SENSITIVITY = SensitivityFacts(
    recipe="int8",
    texts=2,
    tokens=20,
    duration_s=1.0,
    blocks=(BlockSensitivity(name="model.layers.0", layers=7, kl=0.1, same_top1=0.9),),
)


class Elements(HTMLParser):
    """Collects elements with their attributes, and texts outside of style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in {"style", "script"}:
            self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def page(found: SummaryInput, gates: Sequence[GateResult] = ()) -> Page:
    return page_of(summarize(found), gates, {(one.recipe, one.case): one for one in found.records})


def quickly(found: Page) -> str:
    """Render without drawing."""
    return render(found, plot=lambda figure, width: f"<svg data-width={width}><title>{figure.name}</title></svg>")


def parsed(html: str) -> Elements:
    found = Elements()
    found.feed(html)
    return found


def names(found: Page) -> list[str]:
    return [section.name for section in (*found.before, *found.after)]


def figures(sections: Sequence[Section]) -> list[Figure]:
    blocks = [block for section in sections for block in section.blocks]
    inner = [part for block in blocks for part in (block.blocks if isinstance(block, Fold) else (block,))]
    return [block for block in inner if isinstance(block, Figure)]


def test_sections_without_data_do_not_appear() -> None:
    found = session("++", "++")
    alone = replace(found, baseline=None, planned=found.planned[2:], records=found.records[2:], generation=[])
    bare = {"auto": replace(found.recipes["auto"], model_bytes=None)}

    assert names(page(session("++--", "+-+-"), [PASSED])) == [
        *("gates", "differences", "recipes", "failures", "lengths", "memory", "conditions", "reproduce"),
    ]
    assert names(page(replace(alone, recipes=bare, records=[], planned=[]))) == ["conditions", "reproduce"]


@pytest.mark.parametrize(
    ("judged", "banner", "pick"),
    [
        ({"int8": PASSED, "small": PASSED}, "Every gate holds", "small"),
        ({"int8": PASSED, "small": BROKEN}, "small breaks a gate; int8 passes", "int8"),
        ({"int8": BROKEN, "small": BROKEN}, "A gate is broken", ""),
        ({"int8": PASSED}, "int8 passes; small has no gate", "small"),
        ({"int8": BROKEN}, "int8 breaks a gate; small has no gate", "small"),
        ({"gone": BROKEN}, "A gate is broken", "small"),
        ({}, "No gate was set", "small"),
    ],
)
def test_the_banner_says_who_passes(judged: dict[str, GateResult], banner: str, pick: str) -> None:
    """And which recipe to take, where there are several."""
    found = with_small(session("++--", "++--"), "++--")
    gates = [replace(gate, recipe=name) for name, gate in judged.items()]
    shown = page(found, gates)

    assert (shown.banner, shown.pick, shown.baseline_is) == (banner, pick, "float32")


def test_a_run_that_does_not_say_recommends_nothing() -> None:
    """Nor is there anything to choose from where the baseline has no result."""
    found = with_small(session("++--", "++--"), "++--")
    gone = replace(found, records=[one for one in found.records if one.recipe != "auto"])

    assert page(found).pick == "small"
    assert page(replace(found, interrupted=True)).pick == ""
    assert page(replace(found, records=found.records[:-1])).pick == ""
    assert page(gone).pick == ""


def test_an_unfinished_run_is_not_said_to_be_alike() -> None:
    whole, part = (quickly(page(found)) for found in (session("++", "++"), session("++", "+ ")))

    assert "All recipes had the same problems" in whole
    assert "All recipes had the same problems" not in part


def test_an_exact_value_needs_no_interval() -> None:
    exact = replace(
        PASSED,
        expression="model_bytes ratio <= 0.8",
        observed=Estimate(value=0.5, low=None, high=None, n=1, method="ratio"),
    )
    (section,) = (one for one in page(session("++", "++"), [exact]).before if one.name == "gates")
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    (row,) = table.rows

    assert [cell.text for cell in row][5:7] == ["none needed", "exact"]


def test_what_was_measured_has_a_section() -> None:
    """Robustness and sensitivity, each with a figure and its numbers."""
    found = page(replace(robust_session(BASE, OWN), sensitivity={"int8": SENSITIVITY}, streams=STREAMS))

    assert {"robustness", "sensitivity"} <= {*names(found)}
    drawn = {one.name: one for one in figures(found.after)}
    assert drawn["sensitivity-0"].table.rows[0][0].text == "model.layers.0"
    assert {row[1].text for row in drawn["robustness-0"].table.rows} == {"auto", "int8"}


def test_the_forest_plot_has_a_row_for_each_benchmark_and_for_all() -> None:
    found = page(several_benchmarks(a=("++--", "+---"), b=("++", "++")))
    (plot,) = (one for one in figures(found.before) if one.name == "differences")
    values = plot.draw(600)["data"]["values"]

    assert [row[1].text for row in plot.table.rows] == ["all benchmarks", "a", "b"]
    assert [(one["row"], one["margin"]) for one in values] == [
        ("int8 · all benchmarks", -2.0),
        ("int8 · a", -2.0),
        ("int8 · b", -2.0),
    ]
    assert values[1]["value"] == -25.0
    assert values[1]["low"] < -25.0 < values[1]["high"]


def test_recipes_are_drawn_against_each_cost_that_is_known() -> None:
    found = page(replace(session("++--", "+---"), streams=STREAMS), [BROKEN])
    (plot,) = (one for one in figures(found.before) if one.name == "choice")
    panels = plot.draw(1000)["hconcat"]

    assert [panel["layer"][0]["encoding"]["x"]["title"] for panel in panels] == [
        "weights, MB",
        "ms per token, one request",
        "energy of generating, Wh",
    ]
    assert [(one["recipe"], one["x"], one["kind"]) for one in panels[1]["data"]["values"]] == [
        ("auto", 10.0, "baseline"),
        ("int8", 20.0, "breaks a gate, or is worse"),
    ]
    assert "vconcat" in plot.draw(330)


def test_every_figure_has_a_table_and_is_drawn_for_both_widths() -> None:
    shown = parsed(quickly(page(session("++--", "+-+-"), [PASSED])))

    widths = [attributes["data-width"] for tag, attributes in shown.elements if tag == "svg"]
    assert widths == ["wide", "narrow"] * (len(widths) // 2) != []
    assert shown.count("figure") == shown.count("figcaption") == len(widths) // 2
    assert shown.count("table") >= shown.count("figure")


def test_the_answers_stand_on_top() -> None:
    shown = parsed(quickly(page(session("++--", "+-+-"), [BROKEN]))).texts
    text = " ".join(" ".join(shown).split())

    headline = text.index("int8: FAIL (pass@1 drop <= 2pt), solves 2 of 4 problems against the baseline’s 2")
    assert text.index("A gate is broken") < headline < text.index("May I ship it? No: it breaks 1 of")


def test_the_policy_allows_just_the_style_and_the_script_of_the_page() -> None:
    """Nothing can be loaded or sent, and a script that a completion smuggled in would not run."""
    html = quickly(page(session("+", "-")))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)

    digests = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in (style, script)]
    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert not re.search(r"\s(?:src|style|on\w+)=", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """The elements are those of a harmless run; the text is shown, visibly."""
    gate = replace(PASSED, expression=text, reason=text)
    html = quickly(page(hostile_session(text), [gate]))
    harmless = parsed(quickly(page(hostile_session("harmless"), [replace(gate, expression="x", reason="y")])))
    shown = parsed(html)

    html.encode()
    assert len(html) < 400_000
    assert not re.search("[\0\x1b\u202e\u200b\ud800]", html)
    for tag in ("script", "style", "img", "details", "section", "table", "a", "meta", "code"):
        assert shown.count(tag) == harmless.count(tag), tag
    assert one_line(text, longest=40).rstrip("…") in " ".join(" ".join(shown.texts).split())


def test_plots_are_drawn_with_hostile_names() -> None:
    """By the library itself, offline: well-formed, named for screen readers, without styles that the policy forbids."""
    pytest.importorskip("vl_convert", reason="the extra 'report' is not installed")
    every = " ".join(text[:100] for text in HOSTILE.values())
    html = render(page(replace(hostile_session(every), sensitivity={"int8": SENSITIVITY}), [PASSED]))
    shown = parsed(html)

    plots = [attributes for tag, attributes in shown.elements if tag == "svg"]
    assert len(plots) >= 10
    assert all(attributes["role"] == "img" for attributes in plots)
    known = {attributes.get("id") for _, attributes in shown.elements}
    assert all({attributes["aria-labelledby"], attributes["aria-describedby"]} <= known for attributes in plots)
    assert "style=" not in html
    assert len([name for name in known if name]) == len(re.findall(r'\sid="', html)), "ids are unique"
    assert len(html) < 3_000_000


def test_marks_of_the_divergence_tell_whether_the_outcome_changed() -> None:
    """And the control's own divergence is drawn as a line."""
    found = session("+++", "+-+")
    own = [replace(problem(number), task_id=f"micro/{number}") for number in range(3)]
    measured = {"int8": facts(*own), "control": replace(facts(problem(0, kl=0.01)), recipe="control")}
    shown = page(replace(found, divergence=measured, control="control"))
    (plot,) = (one for one in figures(shown.after) if one.name == "divergence")
    spec = plot.draw(600)

    changed = {(one["row"], one["outcome"]) for one in spec["data"]["values"]}
    assert changed == {("int8", "the same"), ("int8", "changed"), ("control", "the same")}
    assert spec["layer"][1]["encoding"]["x"]["datum"] == pytest.approx(0.001)
