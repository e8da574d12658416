"""Records of one process by recipe and case, and whether a candidate's gates are decided by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.records.messages import Message
from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.clusters import Clusters
from pytest_qeval.verdict.gates.decider import Decider

Outcomes = dict[tuple[str, Case], Record]


@dataclass(kw_only=True, eq=False)
class EarlyStop:
    """Ends a candidate's run on a benchmark once its gates are decided, if the user wants that."""

    settings: RunSettings
    planned: Mapping[str, Sequence[Case]]
    """The cases of this process by recipe."""
    outcomes: Outcomes
    """Finished cases."""
    is_scored: Callable[[str], bool]
    """Whether a benchmark's completions are scored instead of executed."""
    clusters: Clusters
    """Returns what a case's problem shares with others."""
    post: Callable[[Message], None]
    """Takes every decision."""
    _decider: Decider | None = field(default=None, init=False)
    _cases: dict[tuple[str, str], list[Case]] = field(default_factory=dict, init=False)
    """Planned cases by recipe and benchmark."""

    def __post_init__(self) -> None:
        """Take the gates, if the user wants to stop early."""
        settings = self.settings
        if settings.until_decided:
            self._decider = Decider(
                settings.gates,
                baseline=settings.baseline,
                require_proof=settings.require_proof,
                clusters=self.clusters,
            )

    def applies_to(self, recipe: str) -> bool:
        """Return whether a recipe may end before all its cases are finished."""
        return self._decider is not None and recipe in self.settings.candidates

    def decide(self, recipe: str, benchmark: str) -> None:
        """Post the decisions on a candidate's gates on a benchmark, once the last of them is made."""
        if self._decider is None or not self.applies_to(recipe) or self.is_scored(benchmark):
            return
        key = recipe, benchmark
        if key not in self._cases:  # once, and not for every record
            self._cases[key] = [case for case in self.planned.get(recipe, ()) if case.benchmark == benchmark]
        cases = self._cases[key]
        if not all(case.is_own for case in cases):
            return  # perturbed completions are compared with all nominal ones
        for decision in self._decider.decide(recipe, benchmark, cases, self.outcomes):
            self.post(decision)

    def reason(self, recipe: str | None, case: Case | None) -> str:
        """Return why a case need not run any more; empty where it has to."""
        if case is None or not case.is_own or self._decider is None:
            return ""
        return self._decider.early_stop_reason(recipe, case.benchmark)
