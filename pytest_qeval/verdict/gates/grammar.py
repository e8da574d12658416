"""Gates such as `pass@1 drop <= 2pt`, read before anything is loaded.

    [benchmark:] [p50 | p90 | p99] metric [drop | increase | ratio] comparator number[pt | % | ms | s | x | GB] [rough]

`drop` is baseline minus candidate in points, or the lost share of the baseline where the number is in per cent;
`increase` is candidate minus baseline; `ratio` is candidate over baseline, or baseline over candidate where the number
is in times as fast (`1.2x`); without any of these words, it is the candidate's own value. The benchmark `all` is the
pool of all executed ones. `rough` accepts that a single reading decides. A metric's name may have blanks in it (`peak
memory <= 6GB`), and `fits 16GB` needs no comparator. `metrics.METRICS` lists the metrics.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_qeval.errors import GateError, did_you_mean
from pytest_qeval.measure.byte_sizes import unit_bytes
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.verdict.gates.metrics import LATENCIES, METRICS, Form, Metric

_COMPARATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_DIGITS = 12
"""Decimals that are compared: in floating point 25/50 − 24/50 is a little more than 2 points."""
_DIVISORS = {"pt": 100, "%": 100, "ms": 1000}
"""What a number with a unit is divided by."""
_BEFORE = re.compile(
    r"(?:(?P<benchmark>[\w-]+)\s*:)?\s*(?:(?P<percentile>p50|p90|p99)\s+)?(?P<metric>[a-z][a-z0-9_]*)"
    r"(?:@(?P<k>[0-9]{1,9}))?(?:\s+(?P<form>[a-z]+))?"
)
_PATTERN = re.compile(
    _BEFORE.pattern + r"\s*(?P<comparator><=|>=|<|>)\s*(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"\s*(?P<unit>pt|%|ms|s|x|[A-Za-z]?i?[Bb])?"
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
    rough: bool = False
    """Whether a single reading, or energy that is not measured, may decide."""
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
    match = _PATTERN.fullmatch(_spelled_out(expression.strip()))
    if match is None:
        raise GateError(f"cannot read the gate {expression!r}: {_unreadable(expression)}. Examples: {_EXAMPLES}.")
    name, k = _name(match["percentile"], match["metric"]), match["k"]
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
    if form == "speedup" and match["comparator"] in {"<=", "<"}:
        raise GateError(
            f"the gate {expression!r} would hold for a slow candidate: the number of times as fast is the baseline's "
            f"time over the candidate's, more is faster; write '{name} ratio >= {match['number']}x'."
        )
    threshold = _threshold(expression, metric, form, match["number"], match["unit"])
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
            rough=bool(match["rough"]),
        )
    )


def _spelled_out(expression: str) -> str:
    """Return an expression with the underscores of metrics' names, and the comparator that `fits` implies."""
    for name in METRICS:
        if "_" in name:
            expression = re.sub(rf"\b{name.replace('_', ' +')}\b", name, expression)
    return re.sub(r"^fits\s+(?=[0-9])", "fits <= ", expression)


def _name(percentile: str | None, metric: str) -> str:
    """Return the name of a metric and its percentile; the median is the metric's own."""
    return metric if percentile is None or (percentile == "p50" and metric in LATENCIES) else f"{percentile} {metric}"


def _unreadable(expression: str) -> str:
    """Return which part of a gate does not fit the grammar."""
    found = re.search(r"<=|>=|<|>", expression)
    if found is None:
        return "it has no comparison, which is one of <=, >=, < and >"
    before, after = expression[: found.start()].strip(), expression[found.end() :].strip()
    if not _BEFORE.fullmatch(_spelled_out(before)):
        about = f"not {before!r}" if before else "and nothing is there"
        return f"before {found[0]} it expects a metric, perhaps after 'benchmark:' and before one word more, {about}"
    about = f"not {after!r}" if after else "and nothing is there"
    return f"after {found[0]} it expects a number, perhaps with a unit (pt, %, ms, s, x or GB), {about}"


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
    if metric.single_reading and not accepted and not metric.is_energy:
        raise GateError(
            f"the gate {expression!r} would be decided by a single reading: a run measures {metric.name} once, and "
            "other work on the machine changes it. Accept that by "
            f"'{expression.strip()} rough', or gate single_stream or prefill, which are medians of several readings."
        )
    if accepted and not metric.single_reading:
        raise GateError(f"the gate {expression!r}: {metric.name} is no single reading; leave 'rough' out.")


def _form(expression: str, metric: Metric, word: str | None, unit: str | None) -> Form:
    wanted = {("drop", "%"): "relative_drop", ("ratio", "x"): "speedup"}.get((word or "", unit or ""), word or "value")
    for form in metric.forms:
        if form == wanted:
            return form
    if word == "ratio" and "speedup" in metric.forms:
        raise GateError(
            f"the gate {expression!r}: write the number with an x, as in '{metric.name} ratio >= 1.2x': the baseline's "
            "time over the candidate's, more is faster."
        )
    possible = [form for form in metric.forms if form in {"drop", "increase", "ratio"}]
    listed = "".join(f"{form}, " for form in possible)
    raise GateError(
        f"the gate {expression!r}: {word!r} does not apply to {metric.name}, {metric.help}. "
        f"{did_you_mean(word or '', possible)}Possible: {listed}or no word for the candidate's own value."
    )


def _wrong_unit(expression: str, metric: Metric, form: Form, unit: str) -> GateError:
    if metric.of_bytes and form == "value":
        return GateError(f"the gate {expression!r}: {unit!r} is no unit of {metric.name}; expected GB, GiB, MB or MiB.")
    what = "is no share"
    if metric.is_time:
        what = "is in seconds (s, ms), and a ratio of two times may end in x"
    elif metric.units:
        what = f"is a share ({', '.join(metric.units)})"
    return GateError(f"the gate {expression!r}: {metric.name} {what}; leave the unit {unit!r} out.")


def _threshold(expression: str, metric: Metric, form: Form, number: str, unit: str | None) -> float:
    size = unit_bytes(unit) if unit and metric.of_bytes and form == "value" else None
    timed = () if not metric.is_time else ("x",) if form == "speedup" else ("ms", "s") if form == "value" else ()
    if unit and unit not in (*metric.units, *timed) and size is None:
        raise _wrong_unit(expression, metric, form, unit)
    threshold = float(number) * size if size else float(number) / _DIVISORS.get(unit or "", 1)
    if not math.isfinite(threshold):
        raise GateError(f"the gate {expression!r}: the number is too large.")
    if metric.units and abs(threshold) > 1:
        advice = "nothing exceeds 100" if unit else f"write '{number}pt' for points"
        raise GateError(f"the gate {expression!r}: {number}{unit or ''} is no share; {advice}.")
    return threshold
