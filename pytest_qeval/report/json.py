"""`report.json`: the whole session for machines, as `schema.json` beside this file describes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_qeval.report.costs import cost_dict
from pytest_qeval.report.divergence import divergence_dict
from pytest_qeval.report.length import length_dict
from pytest_qeval.report.memory import memory_dict
from pytest_qeval.report.pass_rates import pass_rate_dict
from pytest_qeval.report.plain import to_plain, without
from pytest_qeval.report.pooled import pooled_dict
from pytest_qeval.report.robustness import robustness_dict
from pytest_qeval.report.scores import score_dict
from pytest_qeval.report.throughput import throughput_dict
from pytest_qeval.schema import Json
from pytest_qeval.summary.results import GateResult, Summary, overall_verdict
from pytest_qeval.summary.selection import selection_of

SCHEMA = "qeval-report/1"
SCHEMA_PATH = Path(__file__).parent / "schema.json"


def report_dict(summary: Summary, gates: Sequence[GateResult]) -> Json:
    """Return the report as JSON-ready values."""
    return {
        "schema": SCHEMA,
        "verdict": overall_verdict(gates, interrupted=summary.interrupted),
        "run": {
            **to_plain(summary.run),
            "duration_s": summary.duration_s,
            "planned": summary.planned,
            "received": summary.received,
            "missing": summary.missing,
        },
        "comparability": to_plain(summary.comparability),
        "recipes": {name: without(facts, "name") for name, facts in summary.recipes.items()},
        "benchmarks": pass_rate_dict(summary),
        "pooled": pooled_dict(summary),
        "robustness": robustness_dict(summary),
        "summarization": score_dict(summary),
        "length": length_dict(summary),
        "evaluation": throughput_dict(summary.throughput),
        "efficiency": {name: cost_dict(costs) for name, costs in summary.efficiency.items()},
        "memory": {name: memory_dict(use) for name, use in summary.memory.items()},
        "divergence": {name: divergence_dict(found) for name, found in summary.divergence.items()},
        "sensitivity": {name: without(facts, "recipe") for name, facts in summary.sensitivity.items()},
        "gates": to_plain(gates),
        "selection": to_plain(selection_of(summary, gates)),
        "selftest": to_plain(summary.selftest),
    }
