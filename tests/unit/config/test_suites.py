"""Which suites run where none is named."""

from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.config.suites import default_suites
from pytest_qeval.settings import ModelSettings
from pytest_qeval.verdict.gates.grammar import parse_gate

REPLAY: dict[str, Any] = {
    "model": ModelSettings(name="samples.jsonl"),
    "candidates": ("replay",),
    "baseline": None,
    "completions": Path("samples.jsonl"),
}


def settings(model: str, *, suites: tuple[str, ...] = (), gates: tuple[str, ...] = ()) -> RunSettings:
    return RunSettings(
        model=ModelSettings(name=model),
        candidates=("int8",),
        baseline="auto",
        suites=suites,
        gates=tuple(map(parse_gate, gates)),
    )


@pytest.mark.parametrize(
    ("task_ids", "suites"),
    [
        (["micro/0", "micro/1"], ("micro",)),
        (["HumanEval/3"], ("humaneval",)),
        (["HumanEval_javascript/3"], ("humaneval-js",)),
        (["MBPP/11"], ("mbpp",)),
        (["Mbpp/2"], ("mbpp-plus",)),
        (["CRUXEval-O/1", "CRUXEval-I/1"], ("cruxeval-input", "cruxeval-output")),
        (["SingleLineInfilling/HumanEval/0/L0"], ("infilling-single-line",)),
        (["MultiLineInfilling/HumanEval/0/L0_L1"], ("infilling-multi-line",)),
        (["RandomSpanInfillingLight/HumanEval/0/1"], ("infilling-random-span",)),
        (["MBPP/11", "HumanEval/3"], ("humaneval", "mbpp")),
        (["mine/1"], ("humaneval",)),
    ],
)
def test_samples_choose_the_suites_by_their_task_ids(task_ids: list[str], suites: tuple[str, ...]) -> None:
    """What is unknown is taken for HumanEval's, whose refusal says what was expected."""
    replay = RunSettings(**REPLAY)

    assert default_suites(replay, replayed=task_ids) == suites


def test_default_suites_follow_the_model() -> None:
    """The embedded model gets micro, any other one HumanEval, both with efficiency; names win."""
    assert default_suites(settings("demo")) == ("micro", "efficiency")
    assert default_suites(settings("org/model")) == ("humaneval", "efficiency")
    assert default_suites(settings("demo", suites=("humaneval",))) == ("humaneval",)


def test_replayed_task_ids_tell_the_suites() -> None:
    """By what stands before the slash; HumanEval where nothing is known."""
    replay = RunSettings(**REPLAY)

    assert default_suites(replay, replayed=["micro/1"]) == ("micro",)
    assert default_suites(replay, replayed=["CodeSearchNet/3"]) == ("codesearchnet",)
    assert default_suites(replay, replayed=["summarization/0", "micro/1"]) == ("micro", "summarization")
    assert default_suites(replay, replayed=["HumanEval/0"]) == default_suites(replay) == ("humaneval",)


def test_a_gate_on_scores_brings_its_suite() -> None:
    assert default_suites(settings("demo", gates=("bleu drop <= 1pt",))) == ("micro", "summarization", "efficiency")


@pytest.mark.parametrize(
    ("gate", "suite"), [("kl <= 0.05", "divergence"), ("robust_drop increase <= 3pt", "robustness")]
)
def test_a_gate_brings_the_suite_that_measures_it(gate: str, suite: str) -> None:
    """The divergence runs first, since nothing has to be generated for it."""
    found = default_suites(settings("demo", gates=(gate,)))

    assert suite in found
    assert (found[0] == "divergence") == (suite == "divergence")
