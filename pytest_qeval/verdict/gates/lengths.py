"""Look up the lengths and endings of completions that a gate is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.summary.length import LengthComparison, Lengths
from pytest_qeval.summary.results import Summary
from pytest_qeval.verdict.gates.grammar import Gate

_OWN: Mapping[str, Callable[[Lengths], Quantity]] = {
    "tokens": lambda found: found.tokens,
    "truncated": lambda found: found.truncated.share,
    "loops": lambda found: found.loops.share,
}
_COMPARED: Mapping[str, Callable[[LengthComparison], Quantity]] = {
    "tokens": lambda found: found.token_ratio,
    "truncated": lambda found: found.truncated_increase,
    "loops": lambda found: found.loops_increase,
}
OF_LENGTH = tuple(_OWN)
"""The metrics."""


def observe_length(gate: Gate, summary: Summary, recipe: str, benchmark: str | None) -> Quantity:
    """Return the candidate's own value, or what it is beside the baseline's; the reason where there is none."""
    about = (recipe, benchmark)
    if gate.form == "value":
        for one in summary.lengths.results:
            if (one.recipe, one.benchmark) == about:
                return _OWN[gate.metric](one.lengths)
        return Undefined(reason=f"no completion of {recipe} on {benchmark or 'any benchmark'} in this run")
    for compared in summary.lengths.comparisons:
        if (compared.recipe, compared.benchmark) == about:
            return _COMPARED[gate.metric](compared)
    return Undefined(reason=f"no comparison with a baseline on {benchmark or 'any benchmark'}")
