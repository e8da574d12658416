"""The terminal summary as a whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_qeval.facts import BlockSensitivity, SensitivityFacts
from pytest_qeval.report.terminal import lines
from pytest_qeval.report.text import Line
from pytest_qeval.schema import Estimate, Execution, Undefined
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import HEADER, INT8, divergence, session, session_of_both_kinds
from tests.unit.summary.perturbed import BASE, OWN, robust_session

FOUND = session("++++----", "+++-+--t")
PASSED = GateResult(
    expression="pass@1 drop <= 2pt",
    recipe="int8",
    benchmark="micro",
    observed=Undefined(reason="not needed"),
    threshold=0.02,
    outcome="pass",
    evidence="unproven",
    reason="observed 0.0 pt",
)
HOSTILE = Execution(status="failed", duration_s=0.1, detail="\x1b[2J\nbad")
SENTENCE = (
    "int8: no gate, solves 4 of 8 problems against the baseline’s 4; too few problems to tell, a loss of up to "
    "46.7 points is possible; weights 62% smaller; 2× faster (in a batch)."
)
FAILED = replace(PASSED, expression="energy ratio <= 1 rough", benchmark=None, outcome="fail", reason="observed 2")


def shown(found: SummaryInput, *gates: GateResult, verbosity: int = 0) -> list[Line]:
    records = {(one.recipe, one.case): one for one in found.records}
    return list(lines(summarize(found), gates, output=Path("out"), verbosity=verbosity, records=records))


def test_sections_follow_each_other() -> None:
    """Headline, a sentence, results, costs, verdict, path of the report, with a blank line between sections."""
    text = [line.text for line in shown(FOUND, PASSED)]

    assert text[:4] == [
        "tiny · transformers · 16 cases · greedy · sandbox bwrap",
        SENTENCE.replace("no gate", "PASS"),
        "",
        "micro                     pass@1  95 % interval  solved  unsolved because",
    ]
    assert text[text.index("  energy estimated, not measured: a model") :] == [
        "  energy estimated, not measured: a model",
        "  emissions are those of the electricity; the machine's own are not known (--qeval-embodied)",
        "",
        "  PASS  pass@1 drop <= 2pt  (int8, micro): observed 0.0 pt; unproven",
        "verdict: PASS, the gate holds",
        "report: out/report.json",
    ]


@pytest.mark.parametrize(
    ("found", "heads"),
    [
        (session_of_both_kinds(), ["micro ", "text ", "cost "]),
        (robust_session(BASE, OWN), ["micro ", "micro, perturbed", "cost "]),
    ],
    ids=["executed and scored", "perturbed"],
)
def test_every_kind_of_benchmark_has_a_section(found: SummaryInput, heads: list[str]) -> None:
    text = [line.text for line in shown(found)]
    first = [after for before, after in pairwise(text) if not before]

    assert [head for head in heads if any(line.startswith(head) for line in first)] == heads


@pytest.mark.parametrize(
    ("gates", "verdict"),
    [
        ((), Line("verdict: none, no gate was set (such as --qeval-gate 'pass@1 drop <= 2pt')")),
        ((PASSED,), Line("verdict: PASS, the gate holds", "green")),
        ((PASSED, PASSED), Line("verdict: PASS, all 2 gates hold", "green")),
        ((PASSED, FAILED), Line("verdict: FAIL, 1 of 2 gates broken", "red")),
    ],
    ids=["none", "one", "all", "one of two"],
)
def test_the_verdict_is_the_last_line_but_one(gates: tuple[GateResult, ...], verdict: Line) -> None:
    assert shown(FOUND, *gates)[-2] == verdict


def test_a_gate_is_a_line_with_its_colour() -> None:
    found = shown(FOUND, PASSED, FAILED)

    assert Line("  PASS  pass@1 drop <= 2pt  (int8, micro): observed 0.0 pt; unproven", "green") in found
    assert Line("  FAIL  energy ratio <= 1 rough  (int8): observed 2; unproven", "red") in found


def test_an_exact_number_is_not_unproven() -> None:
    ratio = Estimate(value=0.72, low=None, high=None, n=1, method="ratio")
    exact = replace(
        PASSED, expression="model_bytes ratio <= 0.8", benchmark=None, observed=ratio, reason="observed 0.72"
    )

    assert Line("  PASS  model_bytes ratio <= 0.8  (int8): observed 0.72; exact", "green") in shown(FOUND, exact)


def test_a_quiet_run_has_sentences_and_the_verdict_only() -> None:
    """And what makes them doubtful."""
    assert shown(FOUND, PASSED, verbosity=-1) == [
        Line(SENTENCE.replace("no gate", "PASS"), "green"),
        Line("verdict: PASS, the gate holds", "green"),
    ]
    header = replace(HEADER, model={**HEADER.model, "quantization": "gptq"}, prompt_doubt="perhaps")
    doubtful = shown(replace(session("++++", "++ +"), run=header), verbosity=-1)
    assert [line.text.split()[0] for line in doubtful] == ["inconclusive:", "int8:", "1", "verdict:"]


def test_a_verbose_run_has_the_reason_of_every_flip() -> None:
    """That of the recipe that did not solve the problem, which may be hostile; other runs only have the names."""
    hostile = replace(
        FOUND,
        records=[
            replace(one, samples=(replace(one.samples[0], execution=HOSTILE),))
            if (one.recipe, one.case.label) == ("int8", "micro/3")
            else one
            for one in FOUND.records
        ],
    )
    texts = [line.text for line in shown(hostile, verbosity=1)]

    assert texts[texts.index("    1 fixed: micro/4") + 1 :][:2] == [
        "    int8 lost micro/3 (failed: ␛[2J bad)",
        "    int8 won micro/4, unsolved by auto (failed: assert 1 == 2)",
    ]
    assert not any("int8 lost" in line.text for line in shown(hostile))


@pytest.mark.parametrize("more", ["", "; reason of the gate: nightly"])
def test_the_option_for_missing_cases_is_named(more: str) -> None:
    gate = replace(FAILED, reason=f"2 cases missing{more}")

    assert any("--qeval-allow-missing" in line.text for line in shown(FOUND, gate))
    assert not any("--qeval-allow-missing" in line.text for line in shown(FOUND, FAILED))


def test_what_limits_the_comparison_stands_before_the_numbers() -> None:
    """What makes it inconclusive in red."""
    header = replace(HEADER, model={**HEADER.model, "quantization": "gptq"}, prompt_doubt="perhaps")
    found = shown(replace(FOUND, run=header))

    assert found[1:5] == [
        Line(
            "  inconclusive: the baseline auto is itself quantized (gptq): a drop relative to it says little about the "
            "original model",
            "red",
        ),
        Line(SENTENCE, "yellow"),
        Line("  note: the prompt style completion is a guess: perhaps", "yellow"),
        Line(""),
    ]


def test_missing_cases_are_red() -> None:
    assert Line("1 of 8 cases missing", "red") in shown(session("++++", "++ +"))


@pytest.mark.parametrize(
    ("engine", "generation", "recipe", "headline"),
    [
        ("replay", {}, {}, "tiny · replay · 2 cases · sandbox bwrap"),
        (
            "transformers",
            {"temperature": 0.2},
            {"device": "cpu"},
            "tiny · transformers on cpu · 2 cases · temperature 0.2 · sandbox bwrap",
        ),
        (
            "transformers",
            {"prompt_style": "chat"},
            {"architecture": "encoder-decoder"},
            "tiny (encoder-decoder) · transformers · 2 cases · greedy · chat prompts · sandbox bwrap",
        ),
        (
            "transformers",
            {"prompt_style": "chat-prefilled"},
            {},
            "tiny · transformers · 2 cases · greedy · chat-prefilled prompts · sandbox bwrap",
        ),
    ],
    ids=["replay", "sampling", "chat", "prefilled"],
)
def test_the_headline_names_model_engine_and_decoding(
    engine: str, generation: dict[str, object], recipe: dict[str, str], headline: str
) -> None:
    found = session("+", "+")
    header = replace(HEADER, engine=engine, generation={**HEADER.generation, **generation})
    recipes = {**found.recipes, "int8": replace(INT8, **recipe)}  # type: ignore[arg-type]

    assert shown(replace(found, run=header, recipes=recipes))[0] == Line(headline, "bold")


def test_the_most_sensitive_blocks_are_shown() -> None:
    """Eight in the terminal; the others are counted."""
    blocks = tuple(BlockSensitivity(name=f"b{i}", layers=7, kl=1 / (i + 1), same_top1=0.5) for i in range(10))
    facts = SensitivityFacts(recipe="int8", texts=2, tokens=30, duration_s=1.0, blocks=blocks)
    text = [line.text for line in shown(replace(FOUND, sensitivity={"int8": facts}))]
    start = next(i for i, line in enumerate(text) if line.startswith("sensitivity to int8"))

    assert text[start + 2].split()[:2] == ["b0", "1"]
    assert text[start + 10] == "  … 2 more down to b9 (0.1); all are in the report"


def test_a_run_that_generates_nothing_has_no_cases() -> None:
    """Divergence and sensitivity are measured on given solutions."""
    assert shown(replace(FOUND, planned=[], records=[]))[0] == Line("tiny · transformers", "bold")


def test_divergence_has_a_section() -> None:
    found = replace(FOUND, divergence={"int8": divergence().facts})

    assert Line("divergence of int8 from auto: 0 tokens of 0 micro solutions") in shown(found)
