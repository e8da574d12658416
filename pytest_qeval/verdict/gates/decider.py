"""When a run may leave a candidate: every gate on a benchmark is settled, or its evidence is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any as Settings

from pytest_qeval.facts import Decision
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.stats.paired import PairedCounts
from pytest_qeval.stats.sequential import sequential_evidence
from pytest_qeval.verdict.gates.early import settled
from pytest_qeval.verdict.gates.grammar import Gate

__all__ = ["Decider", "is_decidable", "needs_everything"]

_Rates = tuple[float, float]
"""Of one case: the share of samples that passed, baseline's and candidate's."""

_DECIDABLE = ("pass@K", "regressed")
"""Metrics whose number has known ends while cases are missing."""


def is_decidable(gate: Gate) -> bool:
    """Return whether a gate can be decided before all cases are asked."""
    return gate.metric in _DECIDABLE and gate.k in {None, 1}


def needs_everything(gate: Gate) -> bool:
    """Return whether a gate is about all that is generated, so that nothing may be left out."""
    return gate.needs_cases and not is_decidable(gate)


class Decider:
    """Looks at a candidate after each of its cases; once all gates on a benchmark are decided, it says so."""

    def __init__(self, settings: Settings, gates: Sequence[Gate]) -> None:
        """Take the gates of a run."""
        self._settings = settings
        self._gates = [gate for gate in gates if is_decidable(gate)]
        self._found: dict[tuple[str, str], dict[Gate, Decision]] = {}
        self._closed: set[tuple[str, str]] = set()

    def early_stop_reason(self, recipe: str | None, benchmark: str) -> str:
        """Say why a recipe is asked nothing more on a benchmark; empty while it is."""
        if (recipe, benchmark) not in self._closed:
            return ""
        return "; ".join(decision.reason for decision in self._found[str(recipe), benchmark].values())

    def decide(
        self, recipe: str, benchmark: str, cases: Sequence[Case], outcomes: Mapping[tuple[str, Case], Record]
    ) -> Iterator[Json]:
        """Yield one decision per gate, as plain values, at the moment when the last of them is made.

        Args:
            recipe: A candidate that has just finished a case.
            benchmark: That the case belongs to.
            cases: All that the candidate is to be asked of the benchmark.
            outcomes: What is known by now, by recipe and case.
        """
        gates = [gate for gate in self._gates if gate.judges(recipe) and gate.benchmark in {None, benchmark}]
        found = self._found.setdefault((recipe, benchmark), {})
        done, remaining = self._rates(recipe, cases, outcomes)
        if not gates or not remaining or done is None or (recipe, benchmark) in self._closed:
            return
        for gate in gates:
            if gate not in found and (decision := self._decision(gate, done, remaining)):
                found[gate] = decision
        if len(found) == len(gates):
            self._closed.add((recipe, benchmark))
            for gate, decision in found.items():
                yield {"gate": gate.expression, "recipe": recipe, "benchmark": benchmark, **asdict(decision)}

    def _rates(
        self, recipe: str, cases: Sequence[Case], outcomes: Mapping[tuple[str, Case], Record]
    ) -> tuple[list[_Rates] | None, list[float]]:
        """Return the rates of finished cases and the baseline's of the others; None when a baseline rate is missing."""
        done, remaining = [], []
        for case in cases:
            own, base = outcomes.get((recipe, case)), outcomes.get((self._settings.baseline or recipe, case))
            if base is None and self._settings.baseline:
                return None, [0.0]
            if own:
                done.append((_rate(base or own), _rate(own)))
            else:
                remaining.append(_rate(base) if base else 0.0)
        return done, remaining

    def _decision(self, gate: Gate, done: Sequence[_Rates], remaining: Sequence[float]) -> Decision | None:
        asked = f"after {len(done)} of {len(done) + len(remaining)} problems"
        outcome = settled(gate, done=done, remaining_baseline=remaining, require_proof=self._settings.require_proof)
        if outcome:
            word = "kept" if outcome == "pass" else "broken"
            reason = f"{word} whatever the others bring, {asked}"
            return Decision(outcome=outcome, evidence="unproven", reason=reason)
        if gate.form != "drop" or gate.comparator not in {"<=", "<"} or not _greedy(done):
            return None
        counts = _counts(done)
        evidence = sequential_evidence(counts, planned=len(done) + len(remaining), margin=gate.threshold)
        if evidence == "unproven":
            return None
        reason = f"proven {evidence} by a sequential test that errs in at most 5 % of runs, {asked}"
        return Decision(outcome="fail" if evidence == "worse" else "pass", evidence=evidence, reason=reason)


def _rate(record: Record) -> float:
    return record.n_solved / len(record.samples)


def _greedy(done: Sequence[_Rates]) -> bool:
    return all(rate in {0.0, 1.0} for rates in done for rate in rates)


def _counts(done: Sequence[_Rates]) -> PairedCounts:
    empty = PairedCounts(both=0, regressed=0, fixed=0, neither=0)
    for base, own in done:
        name = ("both" if own else "regressed") if base else ("fixed" if own else "neither")
        empty = replace(empty, **{name: getattr(empty, name) + 1})
    return empty
