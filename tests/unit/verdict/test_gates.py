import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.errors import GateError
from pytest_qeval.verdict.gates import Gate, parse_gate, parse_gates


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("pass@1 drop <= 2pt", (None, "pass@K", 1, "drop", "<=", 0.02)),
        ("humaneval:pass@1 >= 0.35", ("humaneval", "pass@K", 1, "value", ">=", 0.35)),
        ("pass@10>=35%", (None, "pass@K", 10, "value", ">=", 0.35)),
        ("energy ratio <= 1.0", (None, "energy", None, "ratio", "<=", 1.0)),
        ("micro: regressed < 3", ("micro", "regressed", None, "value", "<", 3.0)),
        ("throughput ratio > 1.2", (None, "throughput", None, "ratio", ">", 1.2)),
    ],
)
def test_a_gate_is_read_into_its_parts(expression: str, expected: tuple[object, ...]) -> None:
    """Benchmark, metric, k, form, comparator and threshold as a fraction."""
    gate = parse_gate(expression)

    assert (gate.benchmark, gate.metric, gate.k, gate.form, gate.comparator, gate.threshold) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "expected something like"),
        ("pass@1 drop 2pt", "expected something like"),
        ("pass@1 <= 2", "write '2pt' for points"),
        ("pass@1 drop <= 2%", "write a drop in points"),
        ("pass@0 >= 0.1", "at least 1"),
        ("pas@1 >= 0.1", "names no known metric"),
        ("pass >= 0.1", "names no known metric"),
        ("energy@1 <= 2", "names no known metric"),
        ("energy drop <= 1", "does not apply"),
        ("regressed ratio <= 1", "does not apply"),
        ("energy ratio <= 5pt", "belongs to pass@k only"),
    ],
)
def test_what_cannot_be_read_is_answered_by_a_sentence(expression: str, message: str) -> None:
    """Every broken gate names itself and says what would be right."""
    with pytest.raises(GateError, match=message):
        parse_gate(expression)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser raise anything but GateError."""
    with contextlib.suppress(GateError):
        assert isinstance(parse_gate(text), Gate)


@pytest.mark.parametrize("expression", ["pass@1 drop <= 2pt", "regressed <= 1", "energy ratio <= 1"])
def test_a_comparison_needs_a_baseline(expression: str) -> None:
    """Without a baseline a comparing gate is refused before anything is loaded."""
    assert parse_gates([expression], has_baseline=True)
    with pytest.raises(GateError, match="this run has none"):
        parse_gates([expression], has_baseline=False)


@pytest.mark.parametrize(
    ("comparator", "kept"), [("<=", [True, True, False]), ("<", [True, False, False]), (">=", [False, True, True])]
)
def test_comparators(comparator: str, kept: list[bool]) -> None:
    """Below, at and above the threshold."""
    gate = parse_gate(f"energy {comparator} 2")

    assert [gate.holds(value) for value in (1.0, 2.0, 3.0)] == kept
