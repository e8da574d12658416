"""The loss that evidence is about is the one that a gate allows, where a gate allows one."""

from dataclasses import replace

import pytest

from pytest_qeval.verdict.gates.grammar import Gate, allowed_loss, parse_gate

TWO, FIVE = parse_gate("pass@1 drop <= 2pt"), parse_gate("pass@1 drop <= 5pt")


def margin(*gates: Gate, recipe: str | None = "int8", benchmark: str = "micro") -> float:
    return allowed_loss(gates, recipe, benchmark, default=0.01)


def test_without_a_gate_the_default_counts() -> None:
    """A run without gates has evidence about a margin, too."""
    assert margin() == 0.01


def test_the_first_gate_on_a_drop_counts() -> None:
    """Of several, one margin has to be chosen: the user's first."""
    assert (margin(FIVE, TWO), margin(TWO, FIVE)) == (0.05, 0.02)


@pytest.mark.parametrize(
    "expression",
    [
        "pass@1 drop <= 5%",
        "pass@1 >= 0.5",
        "pass@10 drop <= 5pt",
        "regressed <= 3",
        "pass@1 drop <= 0pt",
        "pass@1 drop >= 3pt",
        "kl <= 0.05",
    ],
)
def test_other_gates_are_passed_over(expression: str) -> None:
    """Only at most so many points of pass@1 are a margin, not a share of the baseline, a count or a nought."""
    assert margin(parse_gate(expression), TWO) == 0.02


def test_every_metric_has_its_own_margin() -> None:
    """A point of BLEU is no point of pass@1."""
    bleu = parse_gate("bleu drop <= 3pt")

    assert margin(bleu, TWO) == 0.02
    assert allowed_loss([TWO, bleu], "int8", "text", default=0.01, metric="bleu") == 0.03
    assert allowed_loss([TWO, bleu], "int8", "text", default=0.01, metric="chrf") == 0.01


def test_a_gate_counts_on_its_benchmark_only() -> None:
    """A gate on one benchmark says nothing about another."""
    gate = parse_gate("humaneval:pass@1 drop <= 5pt")

    assert margin(gate) == 0.01
    assert margin(gate, benchmark="humaneval") == 0.05


def test_a_gate_counts_for_its_recipes_only() -> None:
    """A gate file has gates for single recipes; without a recipe, as before a run, any gate counts."""
    gate = replace(FIVE, recipe="w4*")

    assert margin(gate) == 0.01
    assert margin(gate, recipe="w4a16") == 0.05
    assert margin(gate, recipe=None) == 0.05
