"""What JUnit XML says of gates, cases and the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.report.junit import case_message, case_properties, gate_test, suite_properties
from pytest_qeval.schema import Case, Undefined
from pytest_qeval.summary.summarize import summarize
from tests.unit.report.gates import BROKEN
from tests.unit.summary.builders import record, scored, session, several_benchmarks

SUMMARY = summarize(session("++++", "+--+"))


def test_a_broken_gate_has_what_was_observed_and_what_was_lost() -> None:
    """The message is one sentence; the details hold interval, n and the ids."""
    test = gate_test(BROKEN, SUMMARY)

    assert test.name == "pass@1 drop <= 2pt (int8, micro)"
    assert test.failure == "pass@1 drop <= 2pt (int8, micro): observed 25.0 pt; unproven"
    assert {
        "qeval.observed": "0.25",
        "qeval.interval": "[-0.125, 0.5] (95%)",
        "qeval.n": "4",
        "qeval.threshold": "0.02",
        "qeval.evidence": "unproven",
        "qeval.regressed.micro": "micro/1 micro/2",
    }.items() <= dict(test.properties).items()
    assert "regressed.micro: micro/1 micro/2" in test.details.splitlines()


def test_a_gate_that_holds_does_not_fail() -> None:
    assert gate_test(replace(BROKEN, outcome="pass"), SUMMARY).failure == ""


def test_a_gate_on_the_run_names_what_was_lost_anywhere() -> None:
    """One on a benchmark names only its own."""
    summary = summarize(several_benchmarks(micro=("++", "+-"), other=("++", "-+")))
    lost = {
        name: value for name, value in gate_test(replace(BROKEN, benchmark=None), summary).properties if "regr" in name
    }
    own = [name for name, _ in gate_test(BROKEN, summary).properties if "regressed" in name]

    assert lost == {"qeval.regressed.micro": "micro/1", "qeval.regressed.other": "other/0"}
    assert own == ["qeval.regressed.micro"]


def test_what_was_not_measured_has_its_reason() -> None:
    gate = replace(BROKEN, observed=Undefined(reason="no meter"))

    assert ("qeval.observed", "undefined: no meter") in gate_test(gate, SUMMARY).properties


@pytest.mark.parametrize(
    ("base", "own", "message"),
    [
        ("+", "-", "regressed: auto solved it, int8 did not (failed: assert 1 == 2)"),
        ("t", "-", "unsolved by both: int8: failed: assert 1 == 2; auto: timeout: 5 s"),
        ("-", "+", ""),
        ("+", "+", ""),
        ("?", "-", ""),
        ("+", "?", ""),
    ],
)
def test_an_unsolved_case_says_what_the_baseline_did(base: str, own: str, message: str) -> None:
    """With both failure texts; nothing is said of a case that one of them could not be judged on."""
    assert case_message(record("int8", 0, own), record("auto", 0, base)) == message


def test_without_a_baseline_there_is_nothing_to_add() -> None:
    assert case_message(record("auto", 0, "-"), None) == ""


def test_a_case_names_itself() -> None:
    """Benchmark, problem, recipe, and for a perturbed one how it was perturbed; one value a sample."""
    perturbed = replace(
        record("int8", 0, "+-"), case=Case(benchmark="micro", task_id="micro/0", perturbation="x", seed=3)
    )

    assert dict(case_properties(perturbed)) == {
        "qeval.benchmark": "micro",
        "qeval.task_id": "micro/0",
        "qeval.recipe": "int8",
        "qeval.perturbation": "x",
        "qeval.seed": "3",
        "qeval.status": "passed failed",
        "qeval.n_tokens": "11 11",
    }
    assert ("qeval.bleu", "0.5000") in case_properties(scored("int8", 0, 0.5))


def test_the_suite_has_the_verdict_and_the_scores() -> None:
    """With their intervals and counts."""
    found = dict(suite_properties(SUMMARY, (BROKEN,)))

    assert (found["qeval.verdict"], found["qeval.baseline"], found["qeval.missing"]) == ("fail", "auto", "0 of 8")
    assert found["qeval.micro.int8.pass@1"].startswith("0.5000 [")
    assert found["qeval.micro.int8.pass@1"].endswith("] (2 of 4)")
