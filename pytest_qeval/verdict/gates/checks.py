"""Read the gates of a run from the command line, and check that the run can judge them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from pytest_qeval.errors import GateError, did_you_mean
from pytest_qeval.stats.passk import KS
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.verdict.gates.file import read_gate_file
from pytest_qeval.verdict.gates.grammar import Gate, parse_gate
from pytest_qeval.verdict.gates.metrics import METRICS

_OF_REPLAYS = "Name a saved one, as in --qeval-baseline FILE.json.gz"
_OF_MODELS = (
    "Add a recipe, such as --qeval-recipe int8, which is compared with the checkpoint unless --qeval-baseline is none"
)
"""Where a baseline comes from."""


def parse_gates(expressions: Sequence[str], *, has_baseline: bool, replays: bool = False) -> tuple[Gate, ...]:
    """Read every `--qeval-gate`: expressions, and paths of gate files, which end in `.toml`.

    Raises:
        GateError: for one that cannot be read, or that compares with a baseline where there is none.
    """
    gates: list[Gate] = []
    for text in map(str.strip, expressions):
        is_file = text.endswith(".toml")
        found = read_gate_file(Path(text)) if is_file else (parse_gate(text),)
        for gate in found:
            if gate.compares and not has_baseline:
                origin = f" of {text}" if is_file else ""
                raise GateError(
                    f"the gate {gate.expression!r}{origin} compares with a baseline, but this run has none. "
                    f"{_OF_REPLAYS if replays else _OF_MODELS}, or gate the value itself, such as 'pass@1 >= 0.35'."
                )
        gates += found
    return tuple(gates)


def check_samples(gates: Sequence[Gate], *, n_samples: int) -> None:
    """Make sure that the run reports the pass@k of every gate.

    Raises:
        GateError: for a k that is not reported, or that needs more samples than are drawn.
    """
    for gate in gates:
        if gate.k is not None and gate.k not in KS:
            listed = ", ".join(map(str, KS))
            raise GateError(f"the gate {gate.expression!r} has a k that is not reported; possible are {listed}.")
        if gate.k is not None and gate.k > n_samples:
            raise GateError(
                f"the gate {gate.expression!r} needs {gate.k} samples of every problem, but {n_samples} "
                f"{'is' if n_samples == 1 else 'are'} drawn: add --qeval-samples {gate.k} --qeval-temperature 0.2."
            )


def check_provable(gates: Sequence[Gate], *, require_proof: bool) -> None:
    """Make sure that no gate has to be proven whose metric has no interval.

    Raises:
        GateError: for such a gate, which would always be broken.
    """
    for gate in gates:
        if gate.needs_proof(default=require_proof) and not METRICS[gate.metric].has_interval:
            raise GateError(
                f"the gate {gate.expression!r} has to be proven, but {gate.metric} is a single number without an "
                "interval: set require_proof = false for it in a gate file, or leave it out."
            )


def check_gates(
    gates: Sequence[Gate], *, candidates: Collection[str], benchmarks: Collection[str] | None = None
) -> None:
    """Make sure that every gate judges something: a gate about nothing must not pass.

    `benchmarks` are those of the run; None where they are not known yet.

    Raises:
        GateError: for a recipe that is no candidate, or a benchmark that the run does not have.
    """
    seen: dict[tuple[str, str | None, str | None], Gate] = {}
    for gate in gates:
        twin = seen.setdefault((gate.expression, gate.recipe, gate.benchmark), gate)
        if twin.require_proof != gate.require_proof:
            raise GateError(f"the gate {gate.expression!r} is given twice, with and without proof: leave one out.")
        about = None
        if gate.recipe is not None and not any(map(gate.judges, candidates)):
            about = ("recipe", gate.recipe, candidates, "candidate")
        elif gate.benchmark and benchmarks is not None and gate.benchmark not in {POOL, *benchmarks}:
            about = ("benchmark", gate.benchmark, [*benchmarks, *([POOL] if len(benchmarks) > 1 else [])], "benchmark")
        if about:
            kind, name, known, role = about
            raise GateError(
                f"the gate {gate.expression!r} is about the {kind} {name!r}, which is no {role} of this run. "
                f"{did_you_mean(name, known)}Possible: {', '.join(known) or 'none'}."
            )


def check_benchmark_kinds(gates: Sequence[Gate], *, executed: Collection[str], scored: Collection[str]) -> None:
    """Make sure that gates on scores are about scored benchmarks, and gates on solved problems about executed ones.

    Raises:
        GateError: for a metric that its benchmark, or every benchmark of the run, does not have.
    """
    for gate in gates:
        if gate.benchmark == POOL and len(executed) == 1:
            (only,) = executed
            raise GateError(
                f"the gate {gate.expression!r} pools several benchmarks, and this run has {only} only: add another "
                f"one, such as --qeval-suite humaneval --qeval-suite mbpp, or write {only!r} for 'all'."
            )
        if not gate.per_benchmark or METRICS[gate.metric].of_all:
            continue
        fitting, others = (scored, executed) if METRICS[gate.metric].of_scores else (executed, scored)
        if gate.benchmark in others or (gate.benchmark in {None, POOL} and not fitting):
            kind = "scored" if fitting is scored else "executed"
            without = gate.benchmark if gate.benchmark in others else ", ".join(others)
            raise GateError(
                f"the gate {gate.expression!r} needs a benchmark whose completions are {kind}; "
                f"{without} has none. Those of this run: {', '.join(fitting) or 'none'}."
            )
