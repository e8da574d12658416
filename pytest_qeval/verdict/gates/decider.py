"""Decide when a run may stop early: every gate on a benchmark is settled, or its evidence is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pytest_qeval.facts import GateDecision
from pytest_qeval.schema import Case, Evidence, Record
from pytest_qeval.stats.clusters import stand_alone
from pytest_qeval.stats.paired import PairedCounts
from pytest_qeval.stats.sequential import sequential_evidence
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.verdict.gates.early import CaseRates, settled
from pytest_qeval.verdict.gates.grammar import Gate

_DECIDABLE = ("pass@K", "regressed")
"""Metrics whose value has known bounds while cases are missing."""


def is_decidable(gate: Gate) -> bool:
    """Return whether a gate can be decided before all cases are finished."""
    return gate.metric in _DECIDABLE and gate.k in {None, 1} and gate.benchmark != POOL


def needs_everything(gate: Gate) -> bool:
    """Return whether a gate is about all that is generated, so that no case may be left out."""
    return gate.needs_cases and not is_decidable(gate)


class Decider:
    """Decides the gates on a candidate and a benchmark, after each of the candidate's cases."""

    def __init__(
        self, gates: Sequence[Gate], *, baseline: str | None, require_proof: bool, clusters: Clusters = each_alone
    ) -> None:
        """Take the gates of a run, and what problems share; the sequential test takes independent ones only."""
        self._clusters = clusters
        self._gates = [gate for gate in gates if is_decidable(gate)]
        self._baseline = baseline
        self._require_proof = require_proof
        self._decided: dict[tuple[str, str], dict[Gate, GateDecision]] = {}
        self._closed: set[tuple[str, str]] = set()

    def early_stop_reason(self, recipe: str | None, benchmark: str) -> str:
        """Return why no further case of a benchmark is run under a recipe; empty while cases are run."""
        if (recipe, benchmark) not in self._closed:
            return ""
        return "; ".join(decision.reason for decision in self._decided[str(recipe), benchmark].values())

    def decide(
        self, recipe: str, benchmark: str, cases: Sequence[Case], records: Mapping[tuple[str, Case], Record]
    ) -> Iterator[GateDecision]:
        """Yield one decision for each gate as soon as the last of them is made, once."""
        gates = [gate for gate in self._gates if gate.judges(recipe) and gate.benchmark in {None, benchmark}]
        if not gates or (recipe, benchmark) in self._closed:
            return
        decided = self._decided.setdefault((recipe, benchmark), {})
        rates = self._rates(recipe, cases, records)
        if rates is None or not rates[1]:
            return
        tests = stand_alone([self._clusters(case) for case in cases])
        for gate in gates:
            if gate not in decided and (decision := self._decision(gate, recipe, benchmark, *rates, tests=tests)):
                decided[gate] = decision
        if len(decided) == len(gates):
            self._closed.add((recipe, benchmark))
            yield from decided.values()

    def _rates(
        self, recipe: str, cases: Sequence[Case], records: Mapping[tuple[str, Case], Record]
    ) -> tuple[list[CaseRates], list[float]] | None:
        """Return the rates of finished cases and the baseline's of the others; None where one is missing."""
        done: list[CaseRates] = []
        remaining: list[float] = []
        for case in cases:
            own = _judged(records.get((recipe, case)))
            base = _judged(records.get((self._baseline, case))) if self._baseline else own
            if base is None and self._baseline:
                return None
            if own:
                done.append(CaseRates(baseline=_rate(base), candidate=_rate(own)))
            else:
                remaining.append(_rate(base))
        return done, remaining

    def _decision(
        self,
        gate: Gate,
        recipe: str,
        benchmark: str,
        done: Sequence[CaseRates],
        remaining: Sequence[float],
        *,
        tests: bool,
    ) -> GateDecision | None:
        n = len(done) + len(remaining)
        if gate.compares and not any((*(rates.baseline for rates in done), *remaining)):
            return None  # of a baseline that solved nothing, nothing can be lost: the gate is broken at the end
        evidence: Evidence = "unproven"
        outcome = settled(gate, done=done, remaining_baseline=remaining, require_proof=self._require_proof)
        if outcome:
            reason = f"{'kept' if outcome == 'pass' else 'broken'} whatever the others bring"
        else:
            evidence = _evidence(gate, done, n) if tests else "unproven"
            if evidence == "unproven":
                return None
            outcome = "fail" if evidence == "worse" else "pass"
            reason = f"proven {evidence} by a sequential test that errs in at most 5 % of runs"
        return GateDecision(
            gate=gate.expression,
            recipe=recipe,
            benchmark=benchmark,
            outcome=outcome,
            evidence=evidence,
            reason=f"{reason}, after {len(done)} of {n} problems",
        )


def _evidence(gate: Gate, done: Sequence[CaseRates], planned: int) -> Evidence:
    """Return what a sequential test proves about a drop; every case has to be solved or not, with no rate between."""
    is_binary = all(rate in {0.0, 1.0} for rates in done for rate in rates)
    if gate.form != "drop" or gate.comparator not in {"<=", "<"} or not is_binary:
        return "unproven"
    counts = Counter((rates.baseline > 0, rates.candidate > 0) for rates in done)
    paired = PairedCounts(
        both=counts[True, True],
        regressed=counts[True, False],
        fixed=counts[False, True],
        neither=counts[False, False],
    )
    return sequential_evidence(paired, planned=planned, margin=gate.threshold)


def _judged(record: Record | None) -> Record | None:
    """Return a record whose outcome is known."""
    return record if record and record.outcome != "unsupported" else None


def _rate(record: Record | None) -> float:
    return record.n_solved / len(record.samples) if record else 0.0
