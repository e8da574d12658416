"""Bounds on what can still be observed are exact, and what is settled is never contradicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_qeval.verdict.gates.early import CaseRates, bounds, settled
from pytest_qeval.verdict.gates.grammar import Gate, parse_gate

Pairs = list[tuple[float, float]]


def rates_of(*pairs: tuple[float, float]) -> list[CaseRates]:
    return [CaseRates(*pair) for pair in pairs]


DONE: Pairs = [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]


def outcome(gate: Gate, done: Pairs, remaining: list[float], *, require_proof: bool = False) -> str | None:
    return settled(gate, done=rates_of(*done), remaining_baseline=remaining, require_proof=require_proof)


@pytest.mark.parametrize(
    ("expression", "done", "remaining", "expected"),
    [
        ("pass@1 >= 0", [(0, 1.0), (0, 0.5), (0, 0.0)], [0.0, 0.0], (0.3, 0.7)),
        ("pass@1 >= 0", [(0, 1.0), (0, 0.0)], [], (0.5, 0.5)),
        ("pass@1 drop <= 0", DONE, [1.0], (0.2, 0.0)),
        ("pass@1 drop <= 0", [(1.0, 0.0)], [0.0], (0.5, 0.0)),
        ("pass@1 drop <= 0%", DONE, [1.0, 1.0], (0.5, 0.0)),
        ("pass@1 drop <= 0%", [(0.0, 1.0)], [0.0], None),
        ("regressed <= 0", [*DONE, (0.5, 0.0), (0.5, 0.25)], [1.0, 0.5, 0.0], (4, 2)),
        ("energy ratio <= 1 rough", DONE, [1.0], None),
        ("pass@10 >= 0", DONE, [1.0], None),
    ],
)
def test_bounds(expression: str, done: Pairs, remaining: list[float], expected: tuple[float, float] | None) -> None:
    """The candidate fails, or solves, everything that remains."""
    found = bounds(parse_gate(expression), rates_of(*done), remaining)

    assert found == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("expression", "done", "remaining", "expected"),
    [
        ("pass@1 drop <= 2pt", [(1, 1)] * 99, [1], "pass"),
        ("pass@1 drop <= 2pt", [(1, 1)] * 97, [1] * 3, None),
        ("pass@1 drop <= 2pt", [(1, 0)] * 5, [1, 1], "fail"),
        ("pass@1 drop <= 5%", [(1, 1)] * 19 + [(0, 0)] * 80, [1], "pass"),
        ("pass@1 drop <= 4%", [(1, 1)] * 19 + [(0, 0)] * 80, [1], None),
        ("pass@1 >= 0.5", [(0, 1)] * 5, [0] * 5, "pass"),
        ("pass@1 >= 0.5", [(0, 0)] * 6, [0] * 5, "fail"),
        ("regressed <= 0", [(1, 0)], [1] * 100, "fail"),
        ("regressed <= 1", [(1, 0)], [0] * 100, "pass"),
        ("pass@1 drop <= 5%", [(0, 1)], [0], None),
        ("pass@10 >= 0", [(1, 1)], [], None),
        ("energy ratio <= 1 rough", [(1, 1)], [], None),
        ("model_bytes <= 1", [(1, 1)], [], None),
        ("kl <= 1", [(1, 1)], [], None),
        ("pass@1 >= 0", [], [1], None),
    ],
)
def test_a_gate_is_settled_when_both_ends_agree(
    expression: str, done: Pairs, remaining: list[float], expected: str | None
) -> None:
    """Costs, divergences and pass@k never are, nor anything before the first finished case."""
    assert outcome(parse_gate(expression), done, remaining) == expected


def test_what_has_to_be_proven_can_only_be_broken_early() -> None:
    """The interval is known at the end; the gate's own wish comes before the session's."""
    kept, broken = [(1.0, 1.0)] * 99, [(1.0, 0.0)] * 9
    gate = parse_gate("pass@1 drop <= 2pt")

    assert outcome(gate, kept, [1.0], require_proof=True) is None
    assert outcome(gate, broken, [1.0], require_proof=True) == "fail"
    for wish, expected in ((True, None), (False, "pass")):
        proven = replace(gate, require_proof=wish)
        assert outcome(proven, kept, [1.0], require_proof=not wish) == expected


def observed(gate: Gate, pairs: Sequence[tuple[float, float]]) -> float | None:
    """Work out what a finished run would observe, from the definition."""
    base, own = sum(b for b, _ in pairs) / len(pairs), sum(o for _, o in pairs) / len(pairs)
    if gate.compares and not base:
        return None
    if gate.metric == "regressed":
        return sum(b > 0 and o == 0 for b, o in pairs)
    if gate.form == "value":
        return own
    if gate.form == "drop":
        return sum(b - o for b, o in pairs) / len(pairs)
    return 1 - own / base


METRICS = st.sampled_from(["pass@1 {} {}pt", "pass@1 drop {} {}pt", "pass@1 drop {} {}%", "regressed {} {}"])


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    text = draw(METRICS)
    number = draw(st.integers(0, 6) if text.startswith("regressed") else st.sampled_from([-50, -25, 0, 10, 20, 25, 50]))
    return parse_gate(text.format(draw(st.sampled_from(["<=", "<", ">=", ">"])), number))


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[float], Pairs, list[float]]:
    """Draw possible rates of a case (of one, two or four samples), finished pairs and the baseline's other rates."""
    samples = draw(st.sampled_from([1, 2, 4]))
    rates = [passed / samples for passed in range(samples + 1)]
    rate = st.sampled_from(rates)
    done = draw(st.lists(st.tuples(rate, rate), min_size=1, max_size=6))
    return rates, done, draw(st.lists(rate, max_size=4 if samples == 1 else 3))


@given(gates(), runs())
@example(parse_gate("pass@1 drop <= 10pt"), ([0.0, 1.0], [(1.0, 1.0)] * 6, [1.0, 0.0, 0.0, 0.0]))
def test_no_completion_contradicts_what_is_settled(gate: Gate, run: tuple[list[float], Pairs, list[float]]) -> None:
    """Every way the remaining cases may end, tried out."""
    rates, done, remaining = run
    verdict = outcome(gate, done, remaining)
    ends = [observed(gate, [*done, *zip(remaining, own, strict=True)]) for own in product(rates, repeat=len(remaining))]
    outcomes = {"pass" if end is not None and gate.holds(end) else "fail" for end in ends}

    if verdict is not None:
        assert outcomes == {verdict}
    elif None not in ends:
        assert outcomes == {"pass", "fail"}
