"""The loss that evidence is about: what a gate allows, where one does."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval.verdict.gates.grammar import Gate

__all__ = ["margin_of"]


def margin_of(
    gates: Sequence[Gate], recipe: str | None, benchmark: str, *, default: float, metric: str = "pass@K"
) -> float:
    """Return the drop of a metric, as a fraction, that the first gate on it allows; `default` where there is none.

    Args:
        gates: All gates of the run; those in per cent of the baseline are passed over.
        recipe: Whose gates; None for any.
        benchmark: Whose gates.
        default: Of a run that promises nothing.
        metric: What is lost; of pass@K it is pass@1.
    """
    for gate in gates:
        about = (
            gate.metric == metric and gate.k in {None, 1} and gate.form in {"drop", "increase"} and gate.threshold > 0
        )
        if about and gate.benchmark in {None, benchmark} and (recipe is None or gate.judges(recipe)):
            return gate.threshold
    return default
