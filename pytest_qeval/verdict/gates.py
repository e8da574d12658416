"""Gates: small typed promises such as `pass@1 drop <= 2pt`, read before anything is loaded.

    [benchmark:] metric [drop | ratio] comparator number[pt | %]

`drop` is baseline minus candidate in points, or the lost share of the baseline where the number is in per cent; `ratio`
is candidate over baseline; neither means the candidate's own value. `observe.METRICS` lists the metrics.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_qeval.errors import GateError
from pytest_qeval.stats.passk import KS
from pytest_qeval.verdict.observe import METRICS, Form, Metric

__all__ = [
    "Gate",
    "check_baseline",
    "check_gates",
    "check_samples",
    "did_you_mean",
    "parse_gate",
    "parse_gates",
]

_COMPARATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_DIGITS = 12
"""Decimals that count: 25/50 − 24/50 is 2 points, and a little more in floating point."""
_PATTERN = re.compile(
    r"(?:(?P<benchmark>[\w-]+)\s*:)?\s*(?P<metric>[a-z][a-z0-9_]*)(?:@(?P<k>[0-9]{1,9}))?"
    r"(?:\s+(?P<form>[a-z]+))?\s*(?P<comparator><=|>=|<|>)\s*(?P<number>-?[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>pt|%)?"
)
_EXAMPLES = "`pass@1 drop <= 2pt`, `humaneval:pass@1 >= 0.35`, `energy ratio <= 1.0`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One promise about candidate recipes."""

    expression: str
    """As the user wrote it."""
    benchmark: str | None
    """None judges every benchmark of the run."""
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
    """Whether the interval has to prove it; None leaves that to the session."""
    reason: str = ""
    """Why the promise was made, for whoever sees it broken."""

    @property
    def per_benchmark(self) -> bool:
        """Whether the metric belongs to a benchmark rather than to the whole run."""
        return METRICS[self.metric].per_benchmark

    @property
    def compares(self) -> bool:
        """Whether a baseline is needed."""
        return self.form != "value" or METRICS[self.metric].needs_baseline

    @property
    def needs_cases(self) -> bool:
        """Whether the number is unknown as long as a case is missing."""
        return METRICS[self.metric].needs_cases

    def holds(self, observed: float) -> bool:
        """Tell whether an observed value keeps the promise."""
        return _COMPARATORS[self.comparator](round(observed - self.threshold, _DIGITS), 0.0)

    def judges(self, recipe: str) -> bool:
        """Tell whether a candidate is one of those that the promise is about."""
        return self.recipe is None or self.recipe == recipe or fnmatchcase(recipe, self.recipe)


def parse_gates(expressions: Sequence[str], *, has_baseline: bool) -> tuple[Gate, ...]:
    """Read every `--qeval-gate`: expressions, and paths of gate files, which end in `.toml`.

    Raises:
        GateError: for one that cannot be read, or that compares with a baseline where there is none.
    """
    from pytest_qeval.verdict.gate_file import read_gate_file  # noqa: PLC0415 - it reads expressions with `parse_gate`

    gates: list[Gate] = []
    for expression in expressions:
        if expression.strip().endswith(".toml"):
            gates += read_gate_file(Path(expression.strip()), has_baseline=has_baseline)
        else:
            gates.append(check_baseline(parse_gate(expression), has_baseline=has_baseline))
    return tuple(gates)


def check_baseline(gate: Gate, *, has_baseline: bool) -> Gate:
    """Give the gate back.

    Raises:
        GateError: if it compares with a baseline where there is none.
    """
    if gate.compares and not has_baseline:
        raise GateError(
            f"the gate {gate.expression!r} compares with a baseline, but this run has none. Add a recipe, such as "
            "--qeval-recipe int8, which is compared with the checkpoint unless --qeval-baseline is 'none', or gate the "
            "value itself, such as 'pass@1 >= 0.35'."
        )
    return gate


def check_samples(gates: Sequence[Gate], *, n_samples: int) -> None:
    """Make sure that there will be a pass@k for every gate about one.

    Raises:
        GateError: for a k that is not reported, or that needs more samples than are drawn.
    """
    for gate in gates:
        if gate.k is not None and gate.k not in KS:
            listed = ", ".join(map(str, KS))
            raise GateError(f"the gate {gate.expression!r} asks for a k that is not reported, which are {listed}.")
        if gate.k is not None and gate.k > n_samples:
            raise GateError(
                f"the gate {gate.expression!r} needs {gate.k} samples of every problem, but {n_samples} "
                f"{'is' if n_samples == 1 else 'are'} drawn: add --qeval-samples {gate.k} --qeval-temperature 0.2."
            )


def check_gates(
    gates: Sequence[Gate], *, candidates: Collection[str], benchmarks: Collection[str] | None = None
) -> None:
    """Make sure that every gate judges something: a promise about nothing must not pass.

    Args:
        gates: What was promised.
        candidates: The recipes that are judged.
        benchmarks: The benchmarks of the run; None where they are not known yet.

    Raises:
        GateError: for a recipe that is no candidate, or a benchmark that the run does not have.
    """
    seen: dict[tuple[str, str | None], Gate] = {}
    for gate in gates:
        twin = seen.setdefault((gate.expression, gate.recipe), gate)
        if twin.require_proof != gate.require_proof:
            raise GateError(f"the gate {gate.expression!r} is given twice, with and without proof: leave one out.")
        about = None
        if gate.recipe is not None and not any(map(gate.judges, candidates)):
            about = ("recipe", gate.recipe, candidates, "candidate")
        elif gate.benchmark is not None and benchmarks is not None and gate.benchmark not in benchmarks:
            about = ("benchmark", gate.benchmark, benchmarks, "benchmark")
        if about:
            kind, name, known, role = about
            raise GateError(
                f"the gate {gate.expression!r} is about the {kind} {name!r}, which is no {role} of this run. "
                f"{did_you_mean(name, known)}Possible: {', '.join(known) or 'none'}."
            )


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Suggest the nearest known name, as a sentence and a blank; empty where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


def parse_gate(expression: str) -> Gate:
    """Read one gate.

    Raises:
        GateError: saying which part cannot be read, with examples.
    """
    match = _PATTERN.fullmatch(expression.strip())
    if match is None:
        raise GateError(f"cannot read the gate {expression!r}: expected something like {_EXAMPLES}.")
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
    return Gate(
        expression=expression.strip(),
        benchmark=match["benchmark"],
        metric=metric.name,
        k=int(k) if k else None,
        form=form,
        comparator=match["comparator"],
        threshold=_threshold(expression, metric, match["number"], match["unit"]),
    )


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
