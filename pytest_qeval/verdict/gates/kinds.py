"""Whether gates and benchmarks are of a kind: what is executed is solved or not, what is scored has scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_qeval.errors import GateError
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.metrics import METRICS

__all__ = ["check_benchmark_kinds"]


def check_benchmark_kinds(gates: Sequence[Gate], *, executed: Collection[str], scored: Collection[str]) -> None:
    """Make sure that gates on scores and on solved problems meet benchmarks of their kind.

    Args:
        gates: What was promised.
        executed: The benchmarks of the run whose answers are executed.
        scored: Those whose answers are scored.

    Raises:
        GateError: for a metric that its benchmark, or every benchmark of the run, does not have.
    """
    for gate in gates:
        if not gate.per_benchmark:
            continue
        fitting, others = (scored, executed) if METRICS[gate.metric].of_scores else (executed, scored)
        if gate.benchmark in others or (gate.benchmark is None and not fitting):
            kind = "scored" if fitting is scored else "executed"
            raise GateError(
                f"the gate {gate.expression!r} needs a benchmark whose answers are {kind}; "
                f"{gate.benchmark or ', '.join(others)} has none. Those of this run: {', '.join(fitting) or 'none'}."
            )
