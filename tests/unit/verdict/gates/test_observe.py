"""Where the value of each metric is found in a summary, and the reason where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.facts import EnergyFacts
from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.energy import EnergyRates
from pytest_qeval.summary.pass_rates import BenchmarkResult
from pytest_qeval.summary.percentiles import Percentiles
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.timing import problem_times, workload_times
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.metrics import METRICS
from pytest_qeval.verdict.gates.observe import observe
from tests.unit.measure.timings import BUSY, QUIET, problems, timing
from tests.unit.summary.builders import BASELINE, HEADER, INT8, divergence


def estimate(value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=8, method="some")


def spread(median: float) -> Percentiles:
    return Percentiles(p50=median, p90=None, p99=None, max=9.0, n=3)


def result(recipe: str, rate: float) -> BenchmarkResult:
    return BenchmarkResult(
        benchmark="micro",
        recipe=recipe,
        solved=(),
        unsolved=(),
        missing=0,
        pass_at={1: estimate(rate / 2), 10: estimate(rate)},
        failures={},
    )


def costs(recipe: str, factor: float) -> Efficiency:
    return Efficiency(
        recipe=recipe,
        ttft_s=None,
        tpot_s=None,
        duration_s=None,
        throughput=100 * factor,
        new_tokens=1,
        busy_s=1.0,
        peak_memory_bytes=1000,
        model_bytes=500,
        energy=EnergyFacts(undefined="no meter"),
        rates=EnergyRates(),
        prefill_s=spread(factor),
        decode_s=spread(2 * factor),
        stream_prompt_tokens=1,
        simulated=False,
    )


COMPARISON = Comparison(
    benchmark="micro",
    recipe="int8",
    baseline="auto",
    delta=estimate(-0.1, -0.3, 0.1),
    relative_drop=estimate(0.25, -0.2, 0.6),
    regressed=("a", "b", "c"),
    fixed=(),
    test="McNemar",
    mcnemar_p=1.0,
    mcnemar_p_adjusted=1.0,
    odds_ratio=Undefined(reason="not here"),
    evidence="unproven",
    margin=0.02,
    detectable_drop=None,
    delta_at={10: estimate(-0.2, -0.3, -0.1)},
    relative_drop_at={10: estimate(0.25, 0.1, 0.4)},
)
SUMMARY = Summary(
    run=HEADER,
    duration_s=1.0,
    planned=0,
    received=0,
    candidates=("int8",),
    baseline="auto",
    recipes={"auto": BASELINE, "int8": INT8},
    results=(result("auto", 0.8), result("int8", 0.6)),
    comparisons=(COMPARISON,),
    efficiency={"auto": costs("auto", 1.0), "int8": costs("int8", 0.5)},
    divergence={
        "int8": divergence(kl=estimate(0.01, 0.005, 0.02), reverse_kl=estimate(0.02), same_top1=estimate(0.97))
    },
)


def seen(expression: str, summary: Summary = SUMMARY) -> Quantity:
    gate = parse_gate(expression)
    return observe(gate, summary, "int8", "micro" if gate.per_benchmark else None)


@pytest.mark.parametrize("expression", ["pass@1 drop <= 2pt", "pass@10 drop <= 2%", "regressed <= 0"])
def test_where_the_baseline_solves_nothing_no_gate_on_a_drop_holds(expression: str) -> None:
    """With the wrong prompt style a model solves nothing before and after, which must not look like no loss."""
    barren = replace(SUMMARY, results=(result("auto", 0.0), result("int8", 0.0)))

    assert seen(expression, barren) == Undefined(
        reason="auto itself has 0, so that nothing can drop; check that --qeval-prompt fits the model"
    )
    assert isinstance(seen("pass@1 >= 0", barren), Estimate)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("pass@1 >= 0", (0.3, None, None)),
        ("pass@1 drop <= 2pt", (0.1, -0.1, 0.3)),
        ("pass@1 drop <= 2%", (0.25, -0.2, 0.6)),
        ("pass@10 drop <= 2pt", (0.2, 0.1, 0.3)),
        ("pass@10 drop <= 2%", (0.25, 0.1, 0.4)),
        ("regressed <= 1", (3, None, None)),
        ("kl <= 1", (0.01, 0.005, 0.02)),
        ("reverse_kl <= 1", (0.02, None, None)),
        ("same_top1 >= 0", (0.97, None, None)),
        ("throughput ratio >= 1 rough", (0.5, None, None)),
        ("single_stream <= 1", (1.0, None, None)),
        ("single_stream ratio <= 1", (0.5, None, None)),
        ("prefill <= 1", (0.5, None, None)),
        ("prefill ratio <= 1", (0.5, None, None)),
        ("model_bytes ratio <= 1", (1.0, None, None)),
    ],
)
def test_what_is_observed(expression: str, expected: tuple[float, float | None, float | None]) -> None:
    """Value and interval, where there is one."""
    found = seen(expression)

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(expected[0])
    assert (found.low, found.high) == expected[1:]


SILENT = replace(SUMMARY, results=(), comparisons=(), efficiency={}, divergence={})
NO_DIVERGENCE = "no divergence from auto was measured: it takes a run with --qeval-suite divergence"


@pytest.mark.parametrize(
    ("expression", "summary", "reason"),
    [
        ("kl <= 1", SILENT, NO_DIVERGENCE),
        ("same_top1 >= 0", replace(SUMMARY, divergence={}), NO_DIVERGENCE),
        ("kl <= 1", replace(SUMMARY, recipes={"int8": INT8}), "auto was never loaded"),
        ("pass@1 drop <= 1%", replace(SUMMARY, comparisons=()), "no comparison with a baseline on micro"),
        ("pass@10 drop <= 1%", replace(SUMMARY, comparisons=()), "no comparison with a baseline on micro"),
        (
            "pass@10 drop <= 1%",
            replace(SUMMARY, comparisons=(replace(COMPARISON, delta_at={}, relative_drop_at={}),)),
            "the baseline has fewer than 10 samples on micro",
        ),
        (
            "pass@1 drop <= 1pt",
            replace(
                SUMMARY,
                comparisons=(
                    replace(COMPARISON, recipe="int4"),
                    replace(COMPARISON, delta=Undefined(reason="no problem was evaluated under both recipes")),
                ),
            ),
            "no problem was evaluated under both recipes",
        ),
        ("pass@100 >= 0", SUMMARY, "no pass@100 of int8 on micro in this run"),
        ("energy ratio <= 1 rough", SUMMARY, "no meter"),
        ("energy per solved ratio <= 1 rough", SUMMARY, "no meter"),
        (
            "energy per solved <= 1 rough",
            replace(SUMMARY, efficiency={"int8": replace(costs("int8", 1.0), energy=EnergyFacts(energy_wh=1.0))}),
            "int8 solved no problem that is executed, so that no energy can be divided among solved ones",
        ),
        (
            "single_stream <= 1",
            replace(SUMMARY, efficiency={"int8": replace(costs("int8", 1.0), decode_s=None)}),
            "no single_stream was measured",
        ),
        (
            "prefill ratio <= 1",
            replace(SUMMARY, efficiency={"int8": costs("int8", 1.0), "auto": costs("auto", 0.0)}),
            "baseline: no prefill was measured",
        ),
        (
            "prefill <= 1",
            replace(SUMMARY, efficiency={"int8": replace(costs("int8", 1.0), simulated=True)}),
            "simulated: its prefill is not the recipe's",
        ),
    ],
)
def test_what_cannot_be_observed_says_why(expression: str, summary: Summary, reason: str) -> None:
    """Not measurable is a value with a reason."""
    assert seen(expression, summary) == Undefined(reason=reason)


@pytest.mark.parametrize("name", ["throughput", "single_stream", "prefill", "energy", "peak_memory", "model_bytes"])
def test_a_cost_of_nothing_was_not_measured(name: str) -> None:
    """A counter that stands still must not keep a gate."""
    nothing = replace(
        costs("int8", 0.0), peak_memory_bytes=0, model_bytes=0, energy=EnergyFacts(energy_wh=0.0, emissions_g=0.0)
    )
    for form in ("", " ratio"):
        rough = " rough" if METRICS[name].single_reading else ""
        found = seen(
            f"{name}{form} <= 1{rough}", replace(SUMMARY, efficiency={"int8": nothing, "auto": costs("auto", 1.0)})
        )
        remedy = ": add --qeval-suite memory" if name == "peak_memory" else ""
        assert found == Undefined(reason=f"no {name} was measured{remedy}")


def test_costs_of_other_cases_are_not_compared() -> None:
    """Half of the problems take half of the energy."""
    fewer = replace(
        SUMMARY, results=(replace(result("auto", 1), solved=("a", "b")), replace(result("int8", 1), solved=("a",)))
    )

    assert seen("throughput ratio >= 0.1 rough", fewer) == Undefined(
        reason="int8 and auto generated different cases, whose costs differ"
    )
    assert isinstance(seen("model_bytes ratio <= 1", fewer), Estimate)


@pytest.mark.parametrize("name", METRICS)
def test_no_metric_of_the_table_lacks_its_look_up(name: str) -> None:
    """In a run that measured nothing, each says so."""
    rough = " rough" if METRICS[name].single_reading else ""
    assert isinstance(seen(f"{name.replace('@K', '@1')} >= 0{rough}", SILENT), Undefined)


def in_turns(*, busy: bool = False, n_problems: int = 10) -> Summary:
    """Make a run of the whole suite: a baseline of 0.1 s a step, and a candidate that is twice as fast."""
    disturbed = range(6) if busy else ()
    base = timing("auto", [0.1] * 6, beside=("int8",), busy=disturbed)
    own = timing("int8", [0.05] * 6, beside=("auto",), busy=disturbed)
    asked = problems("int8", [0.01 * (at + 1) for at in range(n_problems)], contention=BUSY if busy else QUIET)
    found = {
        "auto": replace(costs("auto", 1.0), timings={"decode-1": workload_times(base, base)}),
        "int8": replace(
            costs("int8", 1.0),
            timings={"decode-1": workload_times(own, base)},
            problems=problem_times(asked, None),
        ),
    }
    return replace(SUMMARY, efficiency=found)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("decode <= 100ms", (0.05, 0.05, 0.05)),
        ("decode ratio >= 1.2x", (2.0, 2.0, 2.0)),
        ("single_stream ratio <= 1", (0.5, 0.5, 0.5)),
        ("single_stream ratio >= 1.2x", (2.0, 2.0, 2.0)),
        ("ttft <= 800ms", (0.55, 0.2, 0.9)),
        ("p90 ttft <= 800ms", (0.91, 0.7, None)),
        ("tpot <= 1s", (0.055, 0.02, 0.09)),
    ],
)
def test_what_was_timed_in_turns_has_an_interval(expression: str, expected: tuple[float, float, float | None]) -> None:
    """Of the sign test; on a disturbed machine it has none, and the method says why."""
    found, contended = seen(expression, in_turns()), seen(expression, in_turns(busy=True))

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(expected[0])
    assert found.low == pytest.approx(expected[1])
    assert found.high == (expected[2] if expected[2] is None else pytest.approx(expected[2]))
    assert isinstance(contended, Estimate)
    assert (contended.value, contended.low, contended.high) == (found.value, None, None)
    assert contended.method.endswith("contended: other processes took 50% of the machine")


@pytest.mark.parametrize(
    ("expression", "summary", "reason"),
    [
        ("decode <= 1", SUMMARY, "decode-1 was not measured: it takes a run with --qeval-suite efficiency"),
        ("p90 ttft <= 1", SUMMARY, "problems was not measured: it takes a run with --qeval-suite efficiency"),
        ("p90 ttft <= 1", in_turns(n_problems=9), "p90 ttft takes at least 10 problems, and 9 were timed"),
        ("p99 tpot <= 1", in_turns(), "p99 tpot takes at least 100 problems, and 10 were timed"),
        (
            "decode ratio >= 1x",
            replace(in_turns(), baseline="int8"),
            "there is no baseline to compare with",
        ),
        (
            "decode ratio >= 1x",
            replace(SUMMARY, efficiency={"auto": replace(costs("auto", 1.0), simulated=True)}),
            "simulated: decode is not the recipe's",
        ),
    ],
)
def test_what_was_not_timed_says_why(expression: str, summary: Summary, reason: str) -> None:
    if "no baseline" in reason:
        summary = replace(
            summary,
            efficiency={
                "int8": replace(
                    costs("int8", 1.0), timings={"decode-1": workload_times(timing("int8", [0.1] * 6), None)}
                )
            },
        )
    assert seen(expression, summary) == Undefined(reason=reason)


def test_a_single_stream_on_a_disturbed_machine_is_contended() -> None:
    """In a run that measures nothing else, too."""
    busy = replace(costs("int8", 1.0), stream_contended="other processes took 50% of the machine")
    found = seen("single_stream <= 1", replace(SUMMARY, efficiency={"int8": busy}))

    assert isinstance(found, Estimate)
    assert found.method == "median of 3 readings, contended: other processes took 50% of the machine"


@pytest.mark.parametrize(
    ("expression", "n", "method"),
    [
        ("single_stream <= 1", 3, "median of 3 readings"),
        ("prefill ratio <= 1", 3, "ratio to the baseline, median of 3 readings"),
        ("throughput >= 1 rough", 1, "single reading"),
        ("energy <= 1 rough", 1, "single reading, estimated"),
    ],
)
def test_a_cost_says_how_often_it_was_read(expression: str, n: int, method: str) -> None:
    """And whether it was measured at all."""
    metered = EnergyFacts(energy_wh=0.5, emissions_g=0.1, provenance="estimated", method="a power model")
    summary = replace(
        SUMMARY, efficiency={name: replace(costs(name, 1.0), energy=metered) for name in ("int8", "auto")}
    )
    found = seen(expression, summary)

    assert isinstance(found, Estimate)
    assert (found.n, found.method) == (n, method)
