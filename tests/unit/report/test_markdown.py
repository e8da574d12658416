"""`summary.md`: its order, its limit, and hostile text in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.report.markdown import LIMIT, block, code, escape, markdown
from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.hostile_texts import HOSTILE, hostile_session
from tests.unit.summary.builders import BASELINE, HEADER, session, several_benchmarks

GATE = GateResult(
    expression="pass@1 drop <= 2pt",
    recipe="int8",
    benchmark="micro",
    observed=Estimate(value=0.125, low=-0.2, high=0.4, n=8, method="score interval"),
    threshold=0.02,
    outcome="fail",
    evidence="unproven",
    reason="observed 12.5 pt, required <= 2.0 pt",
)


def shown(found: SummaryInput, gates: Sequence[GateResult] = ()) -> str:
    records = {(one.recipe, one.case): one for one in found.records}
    return markdown(summarize(found), gates, records)


def test_parts_follow_in_a_stable_order() -> None:
    """Verdict, gates, differences, costs, regressions, failures, conditions."""
    text = shown(session("++++----", "+++-+--t"), [GATE])

    heads = re.findall(r"^(?:#+ (.+)|<summary>(.+)</summary>)$", text, flags=re.MULTILINE)
    assert ["".join(pair) for pair in heads] == [
        "❌ A gate is broken",
        "Gates",
        "Against the baseline",
        "Costs",
        "1 regression, the first 1 with code",
        "Unsolved because",
        "Conditions",
    ]


def test_parts_without_content_are_left_out() -> None:
    """A run without gates, baseline and costs ends after the verdict, what failed and the conditions."""
    found = session("++", "++")
    bare = replace(found, baseline=None, planned=found.planned[2:], records=found.records[2:], generation=[])
    text = shown(replace(bare, recipes={"int8": found.recipes["int8"]}))

    assert re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE) == ["⚪ No gate was set", "Conditions"]


def test_a_row_says_what_changed() -> None:
    """Base and candidate, the change with its interval, what regressed and what was fixed."""
    text = shown(session("++++----", "+++-+--t"))

    (row,) = re.findall(r"^\| `int8` \| `micro` \| .+$", text, flags=re.MULTILINE)
    assert row.startswith("| `int8` | `micro` | 50.0% → 50.0% | **+0.0** ")
    assert row.endswith(" | 1 | 1 | unproven at 2 pt |")
    assert "| `int8` | weights in memory | 4 kB → 1.5 kB | **0.38 ×** | exact |" in text
    assert "| `int8` | energy of generating | 0.4 Wh → 0.1 Wh | **0.25 ×** | estimated |" in text


def test_only_the_first_five_regressions_have_code() -> None:
    text = shown(session("+" * 9, "-" * 9))

    assert "<summary>9 regressions, the first 5 with code</summary>" in text
    assert len(re.findall(r"^```python$", text, flags=re.MULTILINE)) == 10


def test_a_saved_baseline_has_an_age() -> None:
    origin = {"path": "b.json.gz", "started_at": "2026-01-01T00:00:00+00:00", "host": {"cpu": "older"}}
    run = replace(HEADER, saved_baseline={**origin, "accepted_differences": ["device"]})
    text = shown(replace(session("+", "+"), run=run))

    assert "saved on 2026-01-01T00:00:00+00:00, 30 days before this run, on older; accepted differences: device" in text


def test_commit_and_link_are_those_of_the_job() -> None:
    run = replace(HEADER, ci={"commit": "abc123", "url": "https://ci.example/a b)(c"})
    text = shown(replace(session("+", "+"), run=run))

    assert "- Commit abc123\n- [CI job](https://ci.example/a b%29%28c)".replace("a b", "a%20b") in text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """Outside of code, no element but ours, no mention, no link; nothing hidden anywhere; the folds are closed."""
    found = shown(hostile_session(text), [replace(GATE, expression=text, recipe="int8", reason=text)])

    assert len(found) < LIMIT
    found.encode()
    assert not re.search("[\0\x1b\u202e\u200b]", found)
    outside = without_code(found)
    assert set(re.findall(r"<[^>]*>?", outside)) <= {"<details>", "</details>", "<summary>", "</summary>"}
    assert outside.count("<details>") == outside.count("</details>")
    assert not re.search(r"(?<!\w)@\w|://|(?<!&)#\d|\]\(", outside)
    assert outside.count("\n## ") + outside.startswith("## ") == 1


def without_code(text: str) -> str:
    """Return what GitHub does not show as code: without blocks, and without spans, whose fences are equally long."""
    text = re.sub(r"^ *(`{3,})\w*\n.*?^ *\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`)(.*?[^`])\1(?!`)", "", text)


@given(st.text(st.characters(codec=None), max_size=90))
def test_a_code_span_ends_where_it_should(text: str) -> None:
    """Whatever stands in it, also in a table, where a bar ends a cell."""
    span = code(text)

    assert without_code(f"{span}.") == "."
    assert not re.search(r"(?<!\\)\|", span)


@given(st.text(alphabet="`~ab\n", max_size=60))
def test_a_code_block_ends_where_it_should(text: str) -> None:
    assert without_code(block(text)).strip() == ""


@given(st.text(max_size=300))
def test_a_sentence_holds_no_markup(text: str) -> None:
    assert not re.search(r"[\\`*_\[\]<>|~$]", escape(text))


def test_text_without_markup_is_kept() -> None:
    assert escape("pass@1 fell by 2.0 pt (3 of 164), see the log.") == "pass@1 fell by 2.0 pt (3 of 164), see the log."


@pytest.mark.parametrize("letter", ["n", "`|<&@", "漢"])
def test_no_run_is_too_long(letter: str) -> None:
    """Many recipes, gates and long names stay below GitHub's limit, and the verdict is always there."""
    found = several_benchmarks(**{f"{letter * 150}{number}": ("++-", "-++") for number in range(3)})
    recipes = {f"{letter * 150}{number}": BASELINE for number in range(40)}
    wide = replace(found, candidates=("int8", *recipes), recipes={**found.recipes, **recipes})
    text = shown(wide, [replace(GATE, recipe=name, reason=letter * 5000) for name in wide.candidates])

    assert len(text) < LIMIT
    assert text.startswith("## ❌ A gate is broken")
    assert "- … and 29 more recipes" in text
