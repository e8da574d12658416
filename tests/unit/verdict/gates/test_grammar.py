"""Gates as text: what is read, what is refused, and whom a gate is about."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.errors import GateError
from pytest_qeval.verdict.gates.checks import check_gates, check_provable, check_samples, parse_gates
from pytest_qeval.verdict.gates.grammar import Gate, parse_gate
from pytest_qeval.verdict.gates.metrics import METRICS


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("pass@1 drop <= 2pt", (None, "pass@K", 1, "drop", "<=", 0.02)),
        ("humaneval:pass@1 >= 0.35", ("humaneval", "pass@K", 1, "value", ">=", 0.35)),
        ("pass@10>=35%", (None, "pass@K", 10, "value", ">=", 0.35)),
        ("energy ratio <= 1.0 rough", (None, "energy", None, "ratio", "<=", 1.0)),
        ("energy per solved ratio <= 1.0 rough", (None, "energy_per_solved", None, "ratio", "<=", 1.0)),
        ("peak  memory <= 6", (None, "peak_memory", None, "value", "<=", 6.0)),
        ("micro: regressed < 3", ("micro", "regressed", None, "value", "<", 3.0)),
        ("throughput ratio > 1.2 rough", (None, "throughput", None, "ratio", ">", 1.2)),
        ("pass@1 drop <= 5%", (None, "pass@K", 1, "relative_drop", "<=", 0.05)),
        ("pass@1 drop <= 0.05", (None, "pass@K", 1, "drop", "<=", 0.05)),
        ("kl <= 0.01", (None, "kl", None, "value", "<=", 0.01)),
        ("same_top1 >= 98%", (None, "same_top1", None, "value", ">=", 0.98)),
        ("single_stream ratio<=0.9", (None, "single_stream", None, "ratio", "<=", 0.9)),
        ("decode ratio >= 1.2x", (None, "decode", None, "speedup", ">=", 1.2)),
        ("prefill ratio > 2 x", (None, "prefill", None, "speedup", ">", 2.0)),
        ("p90 ttft <= 800ms", (None, "p90 ttft", None, "value", "<=", 0.8)),
        ("p50  ttft <= 0.8s", (None, "ttft", None, "value", "<=", 0.8)),
        ("p99 tpot < 0.05", (None, "p99 tpot", None, "value", "<", 0.05)),
        ("decode_8 <= 50 ms", (None, "decode_8", None, "value", "<=", 0.05)),
    ],
)
def test_a_gate_is_read_into_its_parts(expression: str, expected: tuple[object, ...]) -> None:
    """Benchmark, metric, k, form, comparator and threshold as a fraction."""
    gate = parse_gate(expression)

    assert (gate.benchmark, gate.metric, gate.k, gate.form, gate.comparator, gate.threshold) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "it has no comparison, which is one of"),
        ("pass@1 drop 2pt", "it has no comparison, which is one of"),
        ("<= 2pt", "before <= it expects a metric, perhaps .*, and nothing is there. Examples"),
        ("pass@1 drop of <= 2pt", "before <= it expects a metric, perhaps .*, not 'pass@1 drop of'. Examples"),
        ("pass@1 drop <= two", "after <= it expects a number, perhaps with a unit .*, not 'two'. Examples"),
        ("pass@1 drop <=", "after <= it expects a number, perhaps with a unit .*, and nothing is there. Examples"),
        ("pass@1 <= 2", "write '2pt' for points"),
        ("pass@1 drop <= 200%", "nothing exceeds 100"),
        ("pass@" + "1" * 5000 + " >= 0.1", "before >= it expects a metric"),
        ("kl <= " + "9" * 400, "too large"),
        ("same_top >= 0.9", "Did you mean 'same_top1'"),
        ("kl drop <= 1", "does not apply"),
        ("pass@1 dorp <= 2pt", "Did you mean 'drop'[?] Possible: drop, or no word"),
        ("energy drop <= 5%", "does not apply"),
        ("micro:energy ratio <= 1 rough", "leave 'micro:' out"),
        ("pass@0 >= 0.1", "at least 1"),
        ("pas@1 >= 0.1", "names no known metric"),
        ("pass >= 0.1", "names no known metric"),
        ("energy@1 <= 2", "names no known metric"),
        ("energy drop <= 1", "does not apply"),
        ("regressed ratio <= 1", "does not apply"),
        ("energy ratio <= 5pt rough", "leave the unit 'pt' out"),
        ("kl <= 5%", "leave the unit '%' out"),
        ("decode ratio >= 1.2", "write the number with an x, as in 'decode ratio >= 1.2x'"),
        ("decode ratio <= 1.2x", "more is faster; write 'decode ratio >= 1.2x'"),
        ("decode ratio >= 20ms", "write the number with an x"),
        ("decode >= 1.2x", "is in seconds .* leave the unit 'x' out"),
        ("single_stream ratio <= 20ms", "leave the unit 'ms' out"),
        ("model_bytes ratio <= 1.2x", "'ratio' does not apply to model_bytes|leave the unit 'x' out"),
        ("pass@1 >= 30ms", "is a share .* leave the unit 'ms' out"),
        ("p90 decode <= 20ms", "names no known metric"),
        ("p50 pass@1 >= 0.3", "names no known metric"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(expression: str, message: str) -> None:
    """Every broken gate names itself and says what would be right."""
    with pytest.raises(GateError, match=message):
        parse_gate(expression)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser raise anything but GateError."""
    with contextlib.suppress(GateError):
        assert isinstance(parse_gate(text), Gate)


@pytest.mark.parametrize(
    "expression", ["pass@1 drop <= 2pt", "pass@1 drop <= 2%", "regressed <= 1", "energy ratio <= 1 rough", "kl <= 1"]
)
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
    gate = parse_gate(f"regressed {comparator} 2")

    assert [gate.holds(value) for value in (1.0, 2.0, 3.0)] == kept


@pytest.mark.parametrize("metric", ["throughput"])
def test_a_single_reading_decides_only_where_that_is_accepted(metric: str) -> None:
    """Before anything is loaded, since no run reads it twice; the remedy can be copied."""
    with pytest.raises(GateError, match=f"by '{metric} ratio <= 1.0 rough', or gate single_stream"):
        parse_gate(f" {metric} ratio <= 1.0")

    gate = parse_gate(f"{metric} ratio <= 1.0 rough")
    assert (gate.metric, gate.threshold, gate.expression) == (metric, 1.0, f"{metric} ratio <= 1.0 rough")


@pytest.mark.parametrize("expression", ["single_stream ratio <= 1 rough", "pass@1 drop <= 2pt rough"])
def test_what_is_no_single_reading_cannot_be_rough(expression: str) -> None:
    """Nothing that a user writes is ignored."""
    with pytest.raises(GateError, match="is no single reading; leave 'rough' out"):
        parse_gate(expression)


def test_a_threshold_is_met_in_spite_of_floating_point() -> None:
    """One problem of fifty is 2 points, although 25/50 - 24/50 is a little more in floating point."""
    drop = 25 / 50 - 24 / 50

    assert drop > 0.02
    assert parse_gate("pass@1 drop <= 2pt").holds(drop)
    assert not parse_gate("pass@1 drop < 2pt").holds(drop)


GATE = parse_gate("micro:pass@1 drop <= 2pt")


@pytest.mark.parametrize(
    ("pattern", "judged"),
    [
        (None, ["int8", "int8-static", "w[4]"]),
        ("int8", ["int8"]),
        ("int8*", ["int8", "int8-static"]),
        ("w[4]", ["w[4]"]),
        ("INT8", []),
    ],
)
def test_a_gate_is_about_a_name_or_a_pattern(pattern: str | None, judged: list[str]) -> None:
    """A recipe's own name comes before its reading as a pattern; capitals matter."""
    gate = replace(GATE, recipe=pattern)

    assert [name for name in ("int8", "int8-static", "w[4]") if gate.judges(name)] == judged


def test_a_gate_about_something_of_the_run_is_accepted() -> None:
    """Benchmarks are not looked at where they are not known yet."""
    check_gates([GATE, replace(GATE, recipe="int*")], candidates=["int8", "int4"], benchmarks=["micro"])
    check_gates([GATE], candidates=["int8"])


@pytest.mark.parametrize(
    ("gate", "about", "advice"),
    [
        (replace(GATE, recipe="int9"), "recipe 'int9', which is no candidate", "Did you mean 'int8'? Possible: int8."),
        (replace(GATE, recipe="w4*"), "recipe 'w4*', which is no candidate", "Possible: int8."),
        (
            replace(GATE, benchmark="mirco"),
            "benchmark 'mirco', which is no benchmark",
            "Did you mean 'micro'? Possible: micro.",
        ),
    ],
    ids=["recipe", "pattern", "benchmark"],
)
def test_a_gate_about_nothing_is_refused(gate: Gate, about: str, advice: str) -> None:
    """A gate that nothing can break must not pass."""
    with pytest.raises(GateError) as caught:
        check_gates([gate], candidates=["int8"], benchmarks=["micro"])

    assert str(caught.value) == f"the gate 'micro:pass@1 drop <= 2pt' is about the {about} of this run. {advice}"


def test_the_pool_is_possible_where_there_are_two_benchmarks() -> None:
    with pytest.raises(GateError, match=r"Possible: micro, mine, all\."):
        check_gates([replace(GATE, benchmark="text")], candidates=["int8"], benchmarks=["micro", "mine"])


@pytest.mark.parametrize("expression", ["regressed <= 5", "model_bytes ratio <= 1", "energy ratio <= 1 rough"])
def test_what_has_no_interval_cannot_be_proven(expression: str) -> None:
    """The gate would be broken after the whole run; a gate that needs no proof of its own is fine."""
    gate = parse_gate(expression)
    check_provable([gate, parse_gate("pass@1 drop <= 2pt")], require_proof=False)
    check_provable([replace(gate, require_proof=False)], require_proof=True)

    for own, default in ((True, False), (None, True)):
        with pytest.raises(GateError, match="is a single number without an interval"):
            check_provable([replace(gate, require_proof=own)], require_proof=default)


def test_a_run_without_benchmarks_has_none_to_name() -> None:
    """Such as one of single streams alone."""
    with pytest.raises(GateError, match=r"no benchmark of this run\. Possible: none\."):
        check_gates([GATE], candidates=["int8"], benchmarks=[])


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_of_the_table_can_be_written(name: str) -> None:
    """Its forms and units, as the table says."""
    metric, word = METRICS[name], name.replace("@K", "@1")
    rough = " rough" if metric.single_reading else ""
    written = {
        "value": f"{word} >= 1",
        "drop": f"{word} drop >= 1",
        "relative_drop": f"{word} drop >= 1%",
        "increase": f"{word} increase >= 1",
        "ratio": f"{word} ratio >= 1",
        "speedup": f"{word} ratio >= 1x",
    }

    for form in metric.forms:
        gate = parse_gate(written[form] + rough)
        assert (gate.form, gate.per_benchmark, gate.needs_cases) == (form, metric.per_benchmark, metric.needs_cases)
        assert gate.compares == (form != "value" or metric.needs_baseline)
    assert all(parse_gate(f"{word} >= 1{unit}").threshold == 0.01 for unit in metric.units)


def test_a_gate_needs_its_samples() -> None:
    """A k that is not reported, or above the number of samples, is refused before anything is loaded."""
    check_samples([parse_gate("pass@10 >= 0.5"), parse_gate("regressed <= 1")], n_samples=10)
    with pytest.raises(GateError, match="needs 10 samples of every problem, but 9 are drawn: add --qeval-samples 10"):
        check_samples([parse_gate("pass@10 >= 0.5")], n_samples=9)
    with pytest.raises(GateError, match="not reported; possible are 1, 5, 10, 100"):
        check_samples([parse_gate("pass@7 >= 0.5")], n_samples=9)


def test_one_expression_may_be_about_two_benchmarks() -> None:
    """With proof for the larger one only; for one benchmark it contradicts itself."""
    gate = parse_gate("pass@1 drop <= 2pt")
    large, small = (replace(gate, benchmark=name, require_proof=name == "large") for name in ("large", "small"))

    check_gates([large, small], candidates=["int8"], benchmarks=["large", "small"])
    with pytest.raises(GateError, match="is given twice, with and without proof"):
        check_gates([large, replace(large, require_proof=False)], candidates=["int8"], benchmarks=["large"])
