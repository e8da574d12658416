"""Messages in, conclusions out: the same way for a session that runs and for runs that were finished long ago."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_qeval.facts import GenerationFacts, PerturbationFacts, RecipeFacts, RunHeader, SensitivityFacts, StreamFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.report.comparison import MARGIN
from pytest_qeval.report.robustness import ROBUST_MARGIN
from pytest_qeval.report.scores import SCORE_MARGIN
from pytest_qeval.report.summary import Material, summarise
from pytest_qeval.results import GateResult, Summary
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.early import Decision
from pytest_qeval.verdict.gates import Gate
from pytest_qeval.verdict.judge import judge
from pytest_qeval.verdict.margin import margin_of

__all__ = ["Gathering", "Parties", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who is compared with whom."""

    candidates: tuple[str, ...]
    """Recipes that gates judge, whether or not they were loaded."""
    baseline: str | None
    control: str | None = None
    """The baseline's second run."""

    @property
    def recipes(self) -> tuple[str, ...]:
        """All of them, the baseline first."""
        first = [name for name in (self.baseline, self.control) if name]
        return tuple(dict.fromkeys([*first, *self.candidates]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is concluded."""

    summary: Summary
    gates: tuple[GateResult, ...]

    @property
    def holds(self) -> bool:
        """Whether all gates hold."""
        return all(gate.outcome == "pass" for gate in self.gates)


class Gathering:
    """Everything that messages told, by recipe; they come in any order and from any worker.

    Messages are plain dicts with a `type`: `record`, `recipe`, `generation`, `stream`, `sensitivity`, `divergence`,
    `scores`, `decision`, `benchmark`, `perturbation` and `invalid`. A type that is not known is left alone.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self.records: dict[tuple[str, Case], Record] = {}
        self.recipes: dict[str, RecipeFacts] = {}
        self.generation: list[GenerationFacts] = []
        self.streams: list[StreamFacts] = []
        self.sensitivity: dict[str, SensitivityFacts] = {}
        self.divergence: dict[str, DivergenceFacts] = {}
        self.scores: dict[tuple[str, str], Json] = {}
        """Messages with a baseline's log-probabilities, by recipe and benchmark."""
        self.decisions: dict[tuple[str, str, str | None], Decision] = {}
        """By gate expression, recipe and benchmark."""
        self.benchmarks: dict[str, Json] = {}
        self.perturbations: dict[tuple[str, str], PerturbationFacts] = {}
        """By benchmark and name."""
        self.invalid: dict[Case, str] = {}
        """Disturbed cases whose own solution does not pass, with the reason; they are nobody's."""

    def add(self, message: Json) -> None:
        """Take one message."""
        body = {name: value for name, value in message.items() if name != "type"}
        match message["type"]:
            case "record":
                record = Record.from_dict(message)
                self.records[record.recipe, record.case] = record
            case "recipe":
                self.recipes[body["name"]] = RecipeFacts.from_dict(body)
            case "generation":
                self.generation.append(GenerationFacts.from_dict(body))
            case "stream":
                self.streams.append(StreamFacts.from_dict(body))
            case "sensitivity":
                self.sensitivity[body["recipe"]] = SensitivityFacts.from_dict(body)
            case "divergence":
                self.divergence[body["recipe"]] = DivergenceFacts.from_dict(body)
            case "scores":
                self.scores[body["recipe"], body["benchmark"]] = message
            case "perturbation":
                self.perturbations[body["benchmark"], body["name"]] = PerturbationFacts(**body)
            case "invalid":
                reason = body.pop("reason")
                self.invalid[Case(**body)] = reason
            case "decision":
                gate, recipe, benchmark = (body.pop(name) for name in ("gate", "recipe", "benchmark"))
                self.decisions[gate, recipe, benchmark] = Decision(**body)
            case "benchmark":
                self.benchmarks[body.pop("name")] = body

    def conclude(
        self,
        *,
        run: RunHeader,
        duration_s: float,
        planned: Sequence[tuple[str, Case]],
        parties: Parties,
        gates: Sequence[Gate],
        require_proof: bool,
    ) -> Verdict:
        """Compare, and judge the gates."""
        summary = summarise(
            Material(
                run=run,
                duration_s=duration_s,
                planned=list(self._needed(planned)),
                records=list(self.records.values()),
                candidates=parties.candidates,
                baseline=parties.baseline,
                control=parties.control,
                recipes={name: self.recipes[name] for name in parties.recipes if name in self.recipes},
                generation=self.generation,
                streams=self.streams,
                sensitivity=self.sensitivity,
                divergence=self.divergence,
                benchmarks=self.benchmarks,
                margins=lambda recipe, benchmark: margin_of(gates, recipe, benchmark, default=MARGIN),
                score_margins=lambda recipe, benchmark, score: margin_of(
                    gates, recipe, benchmark, default=SCORE_MARGIN, metric=score
                ),
                decided=self._decided(),
                perturbations=self._perturbations(),
                robust_margins=lambda recipe, benchmark: margin_of(
                    gates, recipe, benchmark, default=ROBUST_MARGIN, metric="robust_drop"
                ),
            )
        )
        return Verdict(
            summary=summary,
            gates=judge(gates, summary, require_proof=require_proof, decided=self.decisions),
        )

    def _decided(self) -> Mapping[tuple[str, str], str]:
        return {(recipe, str(name)): decision.reason for (_, recipe, name), decision in self.decisions.items()}

    def _perturbations(self) -> Mapping[tuple[str, str], PerturbationFacts]:
        """Count as invalid what showed itself to be no question only when it was executed."""
        found = dict(self.perturbations)
        for case, reason in self.invalid.items():
            key = case.benchmark, str(case.perturbation)
            if one := found.get(key):
                reasons = {**one.reasons, case.label: reason}
                found[key] = replace(one, applied=one.applied - 1, invalid=one.invalid + 1, reasons=reasons)
        return found

    def _needed(self, planned: Iterable[tuple[str, Case]]) -> Iterable[tuple[str, Case]]:
        """Leave out what is no question, and what was not asked any more, once a recipe was decided."""
        decided = {(recipe, benchmark) for _, recipe, benchmark in self.decisions}
        for recipe, case in planned:
            if case in self.invalid:
                continue
            if case.perturbation or (recipe, case) in self.records or (recipe, case.benchmark) not in decided:
                yield recipe, case
