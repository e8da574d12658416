"""Gates on all executed benchmarks together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.errors import GateError
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.checks import check_gates
from pytest_qeval.verdict.gates.decider import is_decidable, needs_everything
from pytest_qeval.verdict.gates.grammar import allowed_loss, parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import several_benchmarks

TWO = several_benchmarks(a=("++++", "+++-"), b=("+" * 16, "+" * 16))


def judged(expression: str, found: SummaryInput = TWO) -> GateResult:
    (result,) = judge([parse_gate(expression)], summarize(found), require_proof=False)
    return result


@pytest.mark.parametrize(
    ("expression", "outcome", "reason"),
    [
        ("all:pass@1 drop <= 6pt", "pass", "observed 5.0 pt"),
        ("all:pass@1 drop <= 4pt", "fail", "observed 5.0 pt, required <= 4.0 pt"),
        ("all:pass@1 drop <= 4%", "fail", "observed 5.0 %, required <= 4.0 %"),
        ("all:pass@1 >= 0.95", "pass", "observed 0.950"),
        ("all:regressed <= 0", "fail", "observed 1, required <= 0"),
    ],
)
def test_a_pool_is_judged_as_a_whole(expression: str, outcome: str, reason: str) -> None:
    """One result, though each benchmark has its own drop."""
    found = judged(expression)

    assert (found.benchmark, found.outcome, found.reason) == ("all", outcome, reason)


def test_many_problems_prove_what_few_cannot() -> None:
    """Four benchmarks that are unproven each prove the margin together."""
    letters = ("+" * 100, "+" * 100)
    found = several_benchmarks(a=letters, b=letters, c=letters, d=letters)

    assert judged("all:pass@1 drop <= 2pt", found).evidence == "not worse"
    singles = judge([parse_gate("pass@1 drop <= 2pt")], summarize(found), require_proof=False)
    assert {one.evidence for one in singles} == {"unproven"}


def test_a_missing_case_of_any_benchmark_breaks_it() -> None:
    found = judged("all:pass@1 drop <= 50pt", several_benchmarks(a=("++", "++"), b=("++", "+ ")))

    assert (found.outcome, found.reason) == ("fail", "1 case missing")


def test_a_baseline_that_solves_nothing_can_lose_nothing() -> None:
    found = judged("all:pass@1 drop <= 2pt", several_benchmarks(a=("--", "++"), b=("--", "--")))

    assert (found.outcome, found.evidence) == ("fail", "unproven")
    assert "auto itself has 0" in found.reason


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(TWO, decided={("int8", "a"): "proven"}), "benchmarks that were stopped early cannot be pooled"),
        (replace(TWO, baseline=None), "auto was never loaded|nothing can be pooled"),
    ],
    ids=["stopped", "no baseline"],
)
def test_what_cannot_be_pooled_is_broken(found: SummaryInput, reason: str) -> None:
    result = judged("all:pass@1 >= 0.1", found)

    assert result.outcome == "fail"
    assert any(part in result.reason for part in reason.split("|"))


@pytest.mark.parametrize(
    "expression", ["all:pass@10 >= 0.1", "all:bleu drop <= 1pt", "all:robust_drop increase <= 3pt"]
)
def test_other_metrics_are_not_pooled(expression: str) -> None:
    with pytest.raises(GateError, match="only pass@1 and regressed are pooled over all benchmarks"):
        parse_gate(expression)


def test_the_pool_is_no_unknown_benchmark() -> None:
    check_gates([parse_gate("all:pass@1 drop <= 2pt")], candidates=["int8"], benchmarks=["a"])


def test_nothing_may_be_left_out_of_a_pool() -> None:
    """So no benchmark may stop early."""
    gate = parse_gate("all:pass@1 drop <= 2pt")

    assert not is_decidable(gate)
    assert needs_everything(gate)


def test_the_margin_of_the_pool_is_its_own() -> None:
    gates = [parse_gate("all:pass@1 drop <= 1pt"), parse_gate("pass@1 drop <= 5pt")]

    assert allowed_loss(gates, "int8", "all", default=0.02) == 0.01
    assert allowed_loss(gates, "int8", "micro", default=0.02) == 0.05
