"""Gates on all executed benchmarks together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.errors import GateError
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.checks import check_benchmark_kinds, check_gates, parse_gates
from pytest_qeval.verdict.gates.decider import is_decidable, needs_everything
from pytest_qeval.verdict.gates.file import read_gate_file
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
    assert "auto solves nothing of a, b, where nothing can be lost" in found.reason


def test_problems_that_the_baseline_cannot_lose_prove_nothing() -> None:
    """A hundred of them would hide the loss of the others."""
    found = judged("all:pass@1 drop <= 2pt", several_benchmarks(a=("++++", "+++-"), b=("-" * 100, "-" * 100)))

    assert (found.outcome, found.evidence) == ("fail", "unproven")
    assert "auto solves nothing of b, where nothing can be lost" in found.reason


def test_one_benchmark_is_no_pool() -> None:
    """A suite that was forgotten must not pass for all of them; deselected cases neither."""
    found = judged("all:pass@1 drop <= 2pt", several_benchmarks(a=("++++", "++++")))

    assert found.outcome == "fail"
    assert found.reason.startswith("the run has a only, which is no pool")
    with pytest.raises(GateError, match="pools several benchmarks, and this run has a only"):
        check_benchmark_kinds([parse_gate("all:pass@1 drop <= 2pt")], executed=["a"], scored=["text"])


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


def test_a_benchmark_that_the_baseline_lacks_breaks_the_pool() -> None:
    """The candidate may fail all of it."""
    found = several_benchmarks(a=("++++", "++++"), b=("----", "----"))
    planned = [one for one in found.planned if one[0] != "auto" or one[1].benchmark == "a"]
    result = judged("all:pass@1 drop <= 2pt", replace(found, planned=planned))

    assert (result.outcome, result.reason) == ("fail", "b was not run under auto, and cannot be pooled")


@pytest.mark.parametrize("expression", ["all:regressed <= 0", "regressed <= 0"])
def test_a_gate_on_no_pair_is_broken(expression: str) -> None:
    """Even if missing cases are allowed."""
    found = summarize(several_benchmarks(a=("++", "  "), b=("++", "  ")))
    results = judge([parse_gate(expression)], found, require_proof=False, allow_missing=True)

    assert {one.outcome for one in results} == {"fail"}


@pytest.mark.parametrize("covers", [{"a": ("a",)}, {"a": ("b",), "b": ("a",)}])
def test_benchmarks_that_cover_each_other_count_once(covers: dict[str, tuple[str, ...]]) -> None:
    """Else they would both count nowhere, and a gate would pass on nothing."""
    found = several_benchmarks(a=("++", "--"), b=("++", "--"))
    facts = {
        name: {**row, "covers": covers.get(name, ()), "clusters": {f"{name}/{n}": f"shared {n}" for n in range(2)}}
        for name, row in found.benchmarks.items()
    }

    assert judged("all:regressed <= 0", replace(found, benchmarks=facts)).reason.startswith("observed ")
    assert judged("all:regressed <= 0", replace(found, benchmarks=facts)).outcome == "fail"


def test_a_pool_needs_a_baseline() -> None:
    """Which is known before anything is loaded."""
    with pytest.raises(GateError, match="compares with a baseline, but this run has none"):
        parse_gates(["all:pass@1 >= 0.1"], has_baseline=False)


@pytest.mark.parametrize("expression", ["tokens ratio <= 1.1", "pass@10 drop <= 1pt", "loops increase <= 1pt"])
def test_a_gate_file_pools_no_other_metric_either(tmp_path: Path, expression: str) -> None:
    """There the benchmark stands apart from the expression."""
    file = tmp_path / "gates.toml"
    file.write_text(f'[[gate]]\nexpression = "{expression}"\nbenchmark = "all"\n', encoding="utf-8")

    with pytest.raises(GateError, match="only pass@1 and regressed are pooled"):
        read_gate_file(file)


def test_the_pools_own_gate_states_its_margin() -> None:
    """Whichever gate comes first."""
    gates = [parse_gate("pass@1 drop <= 5pt"), parse_gate("all:pass@1 drop <= 1pt")]

    assert allowed_loss(gates, "int8", "all", default=0.02) == 0.01
    assert allowed_loss(gates, "int8", "micro", default=0.02) == 0.05
