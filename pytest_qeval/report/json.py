"""`report.json`: the whole session for machines, in the shape that `schema.json` beside this file describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_qeval.facts import RecipeFacts, SensitivityFacts
from pytest_qeval.report.divergence import divergence_dict
from pytest_qeval.report.robustness import robustness_dict
from pytest_qeval.report.scores import benchmark_dict, scores_dict
from pytest_qeval.schema import Json, quantity_to_dict
from pytest_qeval.summary.results import BenchmarkResult, Comparison, Efficiency, GateResult, Summary

__all__ = ["SCHEMA", "SCHEMA_PATH", "report_dict"]

SCHEMA = "qeval-report/1"
SCHEMA_PATH = Path(__file__).parent / "schema.json"


def report_dict(summary: Summary, gates: Sequence[GateResult]) -> Json:
    """Return the report as JSON-ready values."""
    return {
        "schema": SCHEMA,
        "verdict": _verdict(gates),
        "run": {
            **asdict(summary.run),
            "duration_s": summary.duration_s,
            "planned": summary.planned,
            "received": summary.received,
            "missing": summary.missing,
        },
        "recipes": {name: _recipe(facts) for name, facts in summary.recipes.items()},
        "benchmarks": {name: _benchmark(summary, name) for name in dict.fromkeys(r.benchmark for r in summary.results)},
        "robustness": robustness_dict(summary),
        "summarization": scores_dict(summary),
        "efficiency": {name: _efficiency(costs) for name, costs in summary.efficiency.items()},
        "divergence": {name: divergence_dict(found) for name, found in summary.divergence.items()},
        "sensitivity": {name: _sensitivity(facts) for name, facts in summary.sensitivity.items()},
        "gates": [gate.to_dict() for gate in gates],
        "selftest": _selftest(summary),
    }


def _sensitivity(facts: SensitivityFacts) -> Json:
    row = asdict(facts)
    del row["recipe"]
    return {**row, "blocks": list(row["blocks"])}


def _selftest(summary: Summary) -> Json | None:
    if summary.selftest is None:
        return None
    return {name: {**asdict(result), "wrong": list(result.wrong)} for name, result in summary.selftest.items()}


def _verdict(gates: Sequence[GateResult]) -> str:
    if not gates:
        return "none"
    return "pass" if all(gate.outcome == "pass" for gate in gates) else "fail"


def _recipe(facts: RecipeFacts) -> Json:
    row = asdict(facts)
    del row["name"]
    return {**row, **{name: list(row[name]) for name in ("kept", "layers", "notes")}}


def _benchmark(summary: Summary, name: str) -> Json:
    results = [result for result in summary.results if result.benchmark == name]
    comparisons = [comparison for comparison in summary.comparisons if comparison.benchmark == name]
    return {
        **benchmark_dict(summary, name),
        "results": {
            result.recipe: {**_result(result), "decided": summary.decided.get((result.recipe, name))}
            for result in results
        },
        "comparisons": {comparison.recipe: _comparison(comparison) for comparison in comparisons},
    }


def _result(result: BenchmarkResult) -> Json:
    return {
        "solved": len(result.solved),
        "unsolved": len(result.unsolved),
        "missing": result.missing,
        "pass@k": {str(k): quantity_to_dict(quantity) for k, quantity in result.pass_at.items()},
        "failures": dict(result.failures),
        "task_ids": {"solved": list(result.solved), "unsolved": list(result.unsolved)},
    }


def _comparison(comparison: Comparison) -> Json:
    row = asdict(comparison)
    del row["benchmark"], row["recipe"]
    by_k = {
        name: {str(k): quantity_to_dict(quantity) for k, quantity in getattr(comparison, name).items()}
        for name in ("delta_at", "relative_drop_at")
    }
    excess = comparison.excess and {**row["excess"], "excess": quantity_to_dict(comparison.excess.excess)}
    return {
        **row,
        **by_k,
        **{name: quantity_to_dict(getattr(comparison, name)) for name in ("delta", "relative_drop", "odds_ratio")},
        "regressed": list(comparison.regressed),
        "fixed": list(comparison.fixed),
        "excess": excess,
    }


def _efficiency(costs: Efficiency) -> dict[str, Any]:
    row = asdict(costs)
    return {
        "latency": {name: row[name] for name in ("ttft_s", "tpot_s", "duration_s")},
        "generation": {
            "throughput_tokens_per_s": costs.throughput,
            "new_tokens": costs.new_tokens,
            "busy_s": costs.busy_s,
        },
        "prefill": {"latency_s": row["prefill_s"], "prompt_tokens": costs.stream_prompt_tokens},
        "decode": {"latency_per_token_s": row["decode_s"]},
        "memory": {"model_bytes": costs.model_bytes, "peak_bytes": costs.peak_memory_bytes},
        "energy": _energy(row, costs),
        "simulated": costs.simulated,
        "slower": costs.slower,
    }


def _energy(row: dict[str, Any], costs: Efficiency) -> Json:
    if costs.energy.undefined:
        return {"undefined": costs.energy.undefined}
    energy = row["energy"]
    del energy["undefined"]
    return {**energy, "wh_per_solved": costs.wh_per_solved}
