"""Gates on scores need benchmarks that are scored, gates on solved problems those that are executed."""

from __future__ import annotations

import pytest

from pytest_qeval.errors import GateError
from pytest_qeval.verdict.gates.checks import check_benchmark_kinds
from pytest_qeval.verdict.gates.grammar import parse_gate


@pytest.mark.parametrize(
    ("expression", "executed", "scored", "sentence"),
    [
        ("bleu drop <= 1pt", ["micro"], [], "needs a benchmark whose completions are scored; micro has none"),
        ("micro:bleu >= 0.1", ["micro"], ["text"], "scored; micro has none. Those of this run: text"),
        ("pass@1 drop <= 1pt", [], ["text"], "executed; text has none. Those of this run: none"),
        ("text:regressed <= 1", ["micro"], ["text"], "executed; text has none. Those of this run: micro"),
    ],
)
def test_a_gate_that_does_not_fit_its_benchmarks_is_refused(
    expression: str, executed: list[str], scored: list[str], sentence: str
) -> None:
    with pytest.raises(GateError, match=sentence):
        check_benchmark_kinds([parse_gate(expression)], executed=executed, scored=scored)


@pytest.mark.parametrize(
    "expression", ["bleu >= 0.1", "text:chrf drop <= 1%", "pass@1 >= 0", "micro:regressed <= 1", "kl <= 1"]
)
def test_one_of_a_kind_is_enough(expression: str) -> None:
    """And what is measured once a run needs none."""
    check_benchmark_kinds([parse_gate(expression)], executed=["micro"], scored=["text"])
