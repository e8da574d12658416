"""Gates: small typed promises such as `pass@1 drop <= 2pt`, read before anything is loaded.

    [benchmark:] metric [drop | ratio] comparator number[pt | %]

`drop` is baseline minus candidate, `ratio` is candidate over baseline, neither means the candidate's own value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.errors import GateError

__all__ = ["METRICS", "Gate", "parse_gate", "parse_gates"]

Form = Literal["value", "drop", "ratio"]

METRICS: Mapping[str, str] = {
    "pass@K": "share of problems solved, pass@1 and so on (drop, or its own value)",
    "regressed": "number of problems that the baseline solved and the candidate did not",
    "throughput": "generated tokens per second of the whole batch (ratio, or its own value)",
    "energy": "watt-hours of generating (ratio, or its own value)",
    "peak_memory": "highest resident size of the process in bytes (ratio, or its own value)",
    "model_bytes": "bytes of the model's weights in memory (ratio, or its own value)",
}

_COMPARATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORMS: Mapping[str, tuple[Form, ...]] = {"pass@K": ("value", "drop"), "regressed": ("value",)}
_PATTERN = re.compile(
    r"(?:(?P<benchmark>[\w-]+)\s*:)?\s*(?P<metric>[a-z_]+(?:@\d+)?)"
    r"(?:\s+(?P<form>[a-z]+))?\s*(?P<comparator><=|>=|<|>)\s*(?P<number>-?\d+(?:\.\d+)?)\s*(?P<unit>pt|%)?"
)
_EXAMPLES = "`pass@1 drop <= 2pt`, `humaneval:pass@1 >= 0.35`, `energy ratio <= 1.0`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One promise about every candidate recipe."""

    expression: str
    """As the user wrote it."""
    benchmark: str | None
    """None judges every benchmark of the run."""
    metric: str
    k: int | None
    """The k of pass@k, None for other metrics."""
    form: Form
    comparator: str
    threshold: float
    """A fraction for pass@k, however it was written."""

    @property
    def per_benchmark(self) -> bool:
        """Whether the metric belongs to a benchmark rather than to the whole run."""
        return self.k is not None or self.metric == "regressed"

    @property
    def compares(self) -> bool:
        """Whether a baseline is needed."""
        return self.form != "value" or self.metric == "regressed"

    def holds(self, observed: float) -> bool:
        """Tell whether an observed value keeps the promise."""
        return _COMPARATORS[self.comparator](observed, self.threshold)


def parse_gates(expressions: Sequence[str], *, has_baseline: bool) -> tuple[Gate, ...]:
    """Read every `--qeval-gate`.

    Raises:
        GateError: for one that cannot be read, or that compares with a baseline where there is none.
    """
    gates = tuple(parse_gate(expression) for expression in expressions)
    for gate in gates:
        if gate.compares and not has_baseline:
            raise GateError(
                f"the gate {gate.expression!r} compares with a baseline, but this run has none. "
                "Name one with --qeval-baseline, or gate the value itself, such as 'pass@1 >= 0.35'."
            )
    return gates


def parse_gate(expression: str) -> Gate:
    """Read one gate.

    Raises:
        GateError: saying which part cannot be read, with examples.
    """
    match = _PATTERN.fullmatch(expression.strip())
    if match is None:
        raise GateError(f"cannot read the gate {expression!r}: expected something like {_EXAMPLES}.")
    name, _, k = match["metric"].partition("@")
    metric = "pass@K" if k else name
    if metric not in METRICS or (k and name != "pass"):
        raise GateError(f"the gate {expression!r} names no known metric: {', '.join(METRICS)}.")
    form = _form(expression, metric, match["form"])
    return Gate(
        expression=expression.strip(),
        benchmark=match["benchmark"],
        metric=metric,
        k=_k(expression, k),
        form=form,
        comparator=match["comparator"],
        threshold=_threshold(expression, metric, form, float(match["number"]), match["unit"]),
    )


def _form(expression: str, metric: str, word: str | None) -> Form:
    for form in _FORMS.get(metric, ("value", "ratio")):
        if form == (word or "value"):
            return form
    raise GateError(f"the gate {expression!r}: {metric} is {METRICS[metric]}; {word!r} does not apply to it.")


def _k(expression: str, k: str) -> int | None:
    if k and int(k) < 1:
        raise GateError(f"the gate {expression!r}: the k of pass@k is at least 1.")
    return int(k) if k else None


def _threshold(expression: str, metric: str, form: Form, number: float, unit: str | None) -> float:
    if unit and metric != "pass@K":
        raise GateError(f"the gate {expression!r}: the unit {unit!r} belongs to pass@k only.")
    if unit == "%" and form == "drop":
        raise GateError(f"the gate {expression!r}: write a drop in points, such as '2pt'; '%' of what would be open.")
    threshold = number / 100 if unit else number
    if metric == "pass@K" and abs(threshold) > 1:
        raise GateError(f"the gate {expression!r}: {number:g} is no fraction; write '{number:g}pt' for points.")
    return threshold
