"""What the suite `efficiency` has timed: parts of its section in the report, and rows and notes for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_qeval.report.plain import to_plain
from pytest_qeval.report.text import say_once
from pytest_qeval.schema import Estimate, Json, Quantity
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.percentiles import Percentiles
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.timing import Latencies, WorkloadTimes


def timing_dict(costs: Efficiency) -> Json:
    """Return the report's form of workloads and problems, raw values included."""
    return {
        "contended": costs.stream_contended,
        "workloads": {name: _workload_dict(times) for name, times in costs.timings.items()},
        "problems": to_plain(costs.problems),
    }


def _workload_dict(times: WorkloadTimes) -> Json:
    row: Json = to_plain(times)
    return {**row.pop("workload"), **row, "rounds": sorted(times.rounds)}


def ms(spread: Percentiles | None, digits: int = 0) -> str | None:
    """Render a spread in milliseconds: p50 / p90 / p99, with the maximum and n in place of what few values have not."""
    if spread is None:
        return None
    known = [value for value in (spread.p50, spread.p90, spread.p99) if value is not None]
    text = " / ".join(f"{1000 * value:.{digits}f}" for value in known)
    return text if spread.p99 is not None else f"{text} / max {1000 * spread.max:.{digits}f} of {spread.n}"


def times_of(costs: Efficiency, name: str, digits: int = 0) -> str | None:
    """Render the median of a workload in milliseconds, with its interval."""
    found = costs.timings.get(name)
    return _ranged(found.seconds, 1000, digits) if found else None


def speedup_of(costs: Efficiency, name: str) -> str | None:
    """Render how many times as fast a recipe is as the baseline."""
    found = costs.timings.get(name)
    return _times(found.speedup) if found else None


def _times(speedup: Quantity) -> str | None:
    return f"{_ranged(speedup, 1, 2)}" if isinstance(speedup, Estimate) else None


def _ranged(estimate: Estimate, factor: float, digits: int) -> str:
    text = f"{factor * estimate.value:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({factor * estimate.low:.{digits}f} to {factor * estimate.high:.{digits}f})"


def of_problems(costs: Efficiency, name: str) -> str | None:
    """Render a latency of whole problems."""
    if costs.problems is None:
        return None
    latencies = costs.problems.all
    return ms(latencies.ttft_s) if name == "ttft" else ms(latencies.tpot_s, digits=1)


def timing_notes(summary: Summary) -> Iterator[str]:
    """Yield how whole problems differ by outcome, which recipes were not timed in turns, and what was contended."""
    for name, costs in summary.efficiency.items():
        if costs.problems:
            parts = (("solved", costs.problems.solved), ("unsolved", costs.problems.unsolved))
            told = "; ".join(_describe(label, one) for label, one in parts if one.n)
            if told:
                yield f"{name}, whole problems one at a time: {told}"
    for name, costs in summary.efficiency.items():
        alone = [key for key, times in costs.timings.items() if summary.baseline not in {*times.beside, name}]
        if alone and summary.baseline:
            yield f"{name} did not fit beside {summary.baseline}: timed one after the other, not alternating"
    for names, note in say_once(_contended(summary)):
        yield f"{names} contended {note}"


def _contended(summary: Summary) -> Iterator[tuple[str, str]]:
    for name, costs in summary.efficiency.items():
        found = {key: times.contended for key, times in costs.timings.items() if times.contended}
        if not costs.timings and costs.stream_contended:
            found = {"single stream": costs.stream_contended}
        if costs.problems and costs.problems.contended:
            found["problems"] = costs.problems.contended
        if costs.contended:
            found["generating"] = costs.contended
        if found:
            yield name, f"({', '.join(found)}), up to: {next(iter(found.values()))}"


def _describe(label: str, latencies: Latencies) -> str:
    ttft, tpot = latencies.ttft_s, latencies.tpot_s
    times = [f"TTFT {1000 * ttft.p50:.0f} ms" if ttft else "", f"{1000 * tpot.p50:.1f} ms per token" if tpot else ""]
    return f"{latencies.n} {label} of {latencies.new_tokens:.0f} tokens, {', '.join(filter(None, times))}"
