"""Gates such as `pass@1 drop <= 2pt`, read before anything is loaded.

    [benchmark:] metric [drop | increase | ratio] comparator number[pt | %] [rough]

`drop` is baseline minus candidate in points, or the lost share of the baseline where the number is in per cent;
`increase` is candidate minus baseline; `ratio` is candidate over baseline; without any of these words, it is the
candidate's own value. The benchmark `all` is the pool of all executed ones. `rough` accepts that a single reading
decides. `metrics.METRICS` lists the metrics.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_qeval.errors import GateError, did_you_mean
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.verdict.gates.metrics import METRICS, Form, Metric

_COMPARATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_DIGITS = 12
"""Decimals that are compared: in floating point 25/50 − 24/50 is a little more than 2 points."""
_BEFORE = re.compile(
    r"(?:(?P<benchmark>[\w-]+)\s*:)?\s*(?P<metric>[a-z][a-z0-9_]*)(?:@(?P<k>[0-9]{1,9}))?(?:\s+(?P<form>[a-z]+))?"
)
_PATTERN = re.compile(
    _BEFORE.pattern + r"\s*(?P<comparator><=|>=|<|>)\s*(?P<number>-?[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>pt|%)?"
    r"(?P<rough>\s+rough)?"
)
_POOLED = (("pass@K", 1), ("regressed", None))
"""Metrics of all benchmarks together, each with its k."""
_EXAMPLES = "`pass@1 drop <= 2pt`, `humaneval:pass@1 >= 0.35`, `model_bytes ratio <= 0.6`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One threshold that a metric of the candidate recipes has to keep."""

    expression: str
    """As the user wrote it."""
    benchmark: str | None
    """None judges every benchmark of the run, `POOL` all executed ones together."""
    metric: str
    """A key of `METRICS`."""
    k: int | None
    """The k of pass@k, None for other metrics."""
    form: Form
    comparator: str
    threshold: float
    """A fraction where the metric is a share, however it was written."""
    recipe: str | None = None
    """A candidate's name, or a pattern such as `int8*`; None judges every candidate."""
    require_proof: bool | None = None
    """None leaves that to `--qeval-require-proof`."""
    reason: str = ""
    """Why the gate is there, shown when it fails."""
    primary: bool = False
    """Whether it is the gate that a choice among several candidates is about."""

    @property
    def per_benchmark(self) -> bool:
        """Whether the metric belongs to a benchmark rather than to the whole run."""
        return METRICS[self.metric].per_benchmark

    @property
    def compares(self) -> bool:
        """Whether the gate needs a baseline."""
        return self.form != "value" or METRICS[self.metric].needs_baseline or self.benchmark == POOL

    @property
    def needs_cases(self) -> bool:
        """Whether the observed value is unknown as long as a case is missing."""
        return METRICS[self.metric].needs_cases

    def needs_proof(self, *, default: bool) -> bool:
        """Return whether the interval has to prove that the gate holds."""
        return default if self.require_proof is None else self.require_proof

    def holds(self, observed: float) -> bool:
        """Return whether an observed value keeps the threshold."""
        return _COMPARATORS[self.comparator](round(observed - self.threshold, _DIGITS), 0.0)

    def judges(self, recipe: str) -> bool:
        """Return whether the gate is about a candidate."""
        return self.recipe is None or self.recipe == recipe or fnmatchcase(recipe, self.recipe)


def allowed_loss(
    gates: Sequence[Gate], recipe: str | None, benchmark: str, *, default: float, metric: str = "pass@K"
) -> float:
    """Return the loss of a metric, as a fraction, that the first gate on it allows: the margin of the evidence.

    Args:
        gates: All gates of the run; those in per cent of the baseline do not count.
        recipe: Whose gates; None for any.
        benchmark: Whose gates.
        default: Returned where no gate is about the metric.
        metric: What is lost; of pass@K it is pass@1.
    """
    for wanted in (benchmark, None):  # a gate on the benchmark itself comes first
        for gate in gates:
            limits = gate.form in {"drop", "increase"} and gate.comparator in {"<=", "<"} and gate.threshold > 0
            about = gate.metric == metric and gate.k in {None, 1} and gate.benchmark == wanted
            if limits and about and (recipe is None or gate.judges(recipe)):
                return gate.threshold
    return default


def parse_gate(expression: str) -> Gate:
    """Read one gate.

    Raises:
        GateError: saying which part cannot be read, with examples.
    """
    match = _PATTERN.fullmatch(expression.strip())
    if match is None:
        raise GateError(f"cannot read the gate {expression!r}: {_unreadable(expression)}. Examples: {_EXAMPLES}.")
    name, k = match["metric"], match["k"]
    metric = METRICS.get(f"{name}@K" if k else name)
    if metric is None:
        guess = did_you_mean(f"{name}@K" if k else name, METRICS)
        raise GateError(f"the gate {expression!r} names no known metric. {guess}Possible: {', '.join(METRICS)}.")
    if k and int(k) < 1:
        raise GateError(f"the gate {expression!r}: the k of {metric.name.lower()} is at least 1.")
    if match["benchmark"] and not metric.per_benchmark:
        raise GateError(
            f"the gate {expression!r}: {name} is measured once a run, not once a benchmark; "
            f"leave '{match['benchmark']}:' out."
        )
    form = _form(expression, metric, match["form"], match["unit"])
    threshold = _threshold(expression, metric, match["number"], match["unit"])
    _check_rough(expression, metric, accepted=bool(match["rough"]))
    return check_pool(
        Gate(
            expression=expression.strip(),
            benchmark=match["benchmark"],
            metric=metric.name,
            k=int(k) if k else None,
            form=form,
            comparator=match["comparator"],
            threshold=threshold,
        )
    )


def _unreadable(expression: str) -> str:
    """Return which part of a gate does not fit the grammar."""
    found = re.search(r"<=|>=|<|>", expression)
    if found is None:
        return "it has no comparison, which is one of <=, >=, < and >"
    before, after = expression[: found.start()].strip(), expression[found.end() :].strip()
    if not _BEFORE.fullmatch(before):
        about = f"not {before!r}" if before else "and nothing is there"
        return f"before {found[0]} it expects a metric, perhaps after 'benchmark:' and before one word more, {about}"
    about = f"not {after!r}" if after else "and nothing is there"
    return f"after {found[0]} it expects a number, perhaps with pt or %, {about}"


def check_pool(gate: Gate) -> Gate:
    """Return a gate, whose benchmark may have been set after it was read.

    Raises:
        GateError: for one on all benchmarks together whose metric is not pooled.
    """
    if gate.benchmark == POOL and (gate.metric, gate.k) not in _POOLED:
        raise GateError(
            f"the gate {gate.expression!r}: only pass@1 and regressed are pooled over all benchmarks; name one "
            f"benchmark instead of {POOL!r}, or none to judge each."
        )
    return gate


def _check_rough(expression: str, metric: Metric, *, accepted: bool) -> None:
    """Refuse to let a single reading decide unless that is accepted."""
    if metric.single_reading and not accepted:
        raise GateError(
            f"the gate {expression!r} would be decided by a single reading: a run measures {metric.name} once, and "
            "other work on the machine changes it; energy may even be estimated from a power model. Accept that by "
            f"'{expression.strip()} rough', or gate single_stream or prefill, which are medians of several readings."
        )
    if accepted and not metric.single_reading:
        raise GateError(f"the gate {expression!r}: {metric.name} is no single reading; leave 'rough' out.")


def _form(expression: str, metric: Metric, word: str | None, unit: str | None) -> Form:
    wanted = "relative_drop" if word == "drop" and unit == "%" else word or "value"
    for form in metric.forms:
        if form == wanted:
            return form
    possible = [form for form in metric.forms if form in {"drop", "increase", "ratio"}]
    listed = "".join(f"{form}, " for form in possible)
    raise GateError(
        f"the gate {expression!r}: {word!r} does not apply to {metric.name}, {metric.help}. "
        f"{did_you_mean(word or '', possible)}Possible: {listed}or no word for the candidate's own value."
    )


def _threshold(expression: str, metric: Metric, number: str, unit: str | None) -> float:
    if unit and unit not in metric.units:
        raise GateError(f"the gate {expression!r}: {metric.name} is no share; leave the unit {unit!r} out.")
    threshold = float(number) / 100 if unit else float(number)
    if not math.isfinite(threshold):
        raise GateError(f"the gate {expression!r}: the number is too large.")
    if metric.units and abs(threshold) > 1:
        advice = "nothing exceeds 100" if unit else f"write '{number}pt' for points"
        raise GateError(f"the gate {expression!r}: {number}{unit or ''} is no share; {advice}.")
    return threshold
