"""What JUnit XML says of cases, gates and the run, as plain texts; `hooks.junit` hands them to pytest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_qeval.report.text import value_and_interval
from pytest_qeval.schema import Estimate, Record
from pytest_qeval.summary.results import GateResult, Summary, overall_verdict

Property = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraTest:
    """A test case that no test function stands for, such as a gate."""

    name: str
    failure: str
    """What went wrong, in one sentence; empty where it passed."""
    details: str = ""
    """Several lines for whoever opens the failure."""
    properties: tuple[Property, ...] = ()


def gate_test(gate: GateResult, summary: Summary) -> ExtraTest:
    """Describe a gate: what was observed, and which problems were lost where it is about a comparison of outcomes."""
    properties = tuple(_gate_properties(gate))
    lost = {
        one.benchmark: one.regressed
        for one in summary.comparisons
        if one.recipe == gate.recipe and one.regressed and gate.benchmark in {None, one.benchmark}
    }
    regressed = tuple((f"qeval.regressed.{benchmark}", " ".join(ids)) for benchmark, ids in lost.items())
    details = [f"{name.removeprefix('qeval.')}: {value}" for name, value in (*properties, *regressed)]
    return ExtraTest(
        name=gate.label,
        failure=f"{gate.label}: {gate.reason}; {gate.evidence}" if gate.outcome == "fail" else "",
        details="\n".join(details),
        properties=(*properties, *regressed),
    )


def _gate_properties(gate: GateResult) -> Iterator[Property]:
    yield "qeval.gate", gate.expression
    yield "qeval.recipe", gate.recipe
    if gate.benchmark:
        yield "qeval.benchmark", gate.benchmark
    observed = gate.observed
    if isinstance(observed, Estimate):
        yield "qeval.observed", f"{observed.value:.6g}"
        if observed.low is not None and observed.high is not None:
            yield "qeval.interval", f"[{observed.low:.6g}, {observed.high:.6g}] ({observed.confidence:.0%})"
        yield "qeval.n", str(observed.n)
        yield "qeval.method", observed.method
    else:
        yield "qeval.observed", f"undefined: {observed.reason}"
    yield "qeval.threshold", f"{gate.threshold:.6g}"
    yield "qeval.evidence", gate.evidence


def case_properties(record: Record) -> Iterator[Property]:
    """Yield which case a test is, and what its completions cost."""
    case = record.case
    yield "qeval.benchmark", case.benchmark
    yield "qeval.task_id", case.task_id
    yield "qeval.recipe", record.recipe
    if case.perturbation:
        yield "qeval.perturbation", case.perturbation
        yield "qeval.seed", str(case.seed)
    yield "qeval.status", " ".join(sample.execution.status for sample in record.samples)
    tokens = [sample.completion.n_tokens for sample in record.samples]
    if None not in tokens:
        yield "qeval.n_tokens", " ".join(map(str, tokens))
    yield from ((f"qeval.{name}", f"{value:.4f}") for name, value in record.measurements.items())


def case_message(record: Record, base: Record | None) -> str:
    """Return why a case is not solved, beside the baseline's fate; empty where there is nothing to add."""
    if record.outcome != "unsolved" or base is None:
        return ""
    if base.outcome == "solved":
        return f"regressed: {base.recipe} solved it, {record.recipe} did not ({record.reason})"
    if base.outcome == "unsolved":
        return f"unsolved by both: {record.recipe}: {record.reason}; {base.recipe}: {base.reason}"
    return ""


def suite_properties(summary: Summary, gates: tuple[GateResult, ...]) -> Iterator[Property]:
    """Yield what the run was, and pass@1 of every recipe and benchmark."""
    run = summary.run
    yield "qeval.verdict", overall_verdict(gates, interrupted=summary.interrupted)
    yield "qeval.run", run.id
    yield "qeval.model", str(run.model["id"])
    yield "qeval.engine", run.engine
    yield "qeval.sandbox", run.sandbox
    yield "qeval.candidates", " ".join(summary.candidates)
    if summary.baseline:
        yield "qeval.baseline", summary.baseline
    yield "qeval.missing", f"{summary.missing} of {summary.planned}"
    for result in summary.results:
        if 1 in result.pass_at:
            value, interval = value_and_interval(result.pass_at[1], "{:.4f}".format, interval="[{}, {}]")
            counts = f"{len(result.solved)} of {result.received}"
            yield f"qeval.{result.benchmark}.{result.recipe}.pass@1", f"{value} {interval} ({counts})"
