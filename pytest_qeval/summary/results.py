"""What a session concludes, frozen: results per benchmark, comparisons, divergence, costs, gate results.

A `Summary` is a pure function of the run header, the facts and the records; every report is a rendering of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from pytest_qeval.facts import EnergyFacts, PerturbationFacts, RecipeFacts, RunHeader, SensitivityFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence
from pytest_qeval.schema import Evidence, Json, Quantity, quantity_to_dict
from pytest_qeval.summary.robust_results import RobustChange, RobustResult
from pytest_qeval.summary.score_results import ScoreComparison, ScoreResult

__all__ = [
    "BenchmarkResult",
    "Comparison",
    "ControlExcess",
    "DivergenceSummary",
    "Efficiency",
    "FlipPrediction",
    "GateResult",
    "Percentiles",
    "SelftestResult",
    "Summary",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Spread of a latency, in seconds."""

    p50: float
    p90: float
    p99: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """One recipe on one benchmark."""

    benchmark: str
    recipe: str
    solved: tuple[str, ...]
    """Labels of the cases with at least one passing sample, in the plan's order."""
    unsolved: tuple[str, ...]
    missing: int
    """Planned cases without a record: a lost worker, a harness fault, an interruption."""
    pass_at: Mapping[int, Quantity]
    failures: Mapping[str, int]
    """Unsolved cases by their first sample's status."""

    @property
    def received(self) -> int:
        """Number of cases with a record."""
        return len(self.solved) + len(self.unsolved)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlExcess:
    """A candidate's flips beside those of the baseline's own second run."""

    flips: int
    """Problems whose outcome under the candidate is not the baseline's."""
    control_flips: int
    """Problems whose outcome changed when the baseline was run again."""
    shared: int
    """Problems that are both."""
    excess: Quantity
    """Share of problems that the candidate flips, minus the share that the control flips."""
    p: float
    """Exact McNemar test on the two kinds of flips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against the baseline on one benchmark, over the cases that both finished."""

    benchmark: str
    recipe: str
    baseline: str
    delta: Quantity
    """Candidate minus baseline pass@1, as a fraction."""
    relative_drop: Quantity
    """Lost share of the baseline's pass@1, as a fraction."""
    regressed: tuple[str, ...]
    fixed: tuple[str, ...]
    mcnemar_p: float
    mcnemar_p_adjusted: float
    """Benjamini-Hochberg over all candidates and benchmarks of the run."""
    odds_ratio: Quantity
    """Regressed to fixed problems."""
    evidence: Evidence
    margin: float
    """The loss of pass@1 that the evidence is about, as a fraction."""
    detectable_drop: float | None
    """The smallest loss that so many problems could have proved not to be there, with as many flips as there were."""
    excess: ControlExcess | None = None
    """Where a control was run."""
    delta_at: Mapping[int, Quantity] = field(default_factory=dict)
    """Candidate minus baseline pass@k for every further k that there are samples for."""
    relative_drop_at: Mapping[int, Quantity] = field(default_factory=dict)
    """Lost share of the baseline's pass@k for these k."""


_MEANS = ("kl", "reverse_kl", "same_top1", "delta_p", "rms_delta_p", "perplexity_ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipPrediction:
    """Whether the problems whose outcome changed are those whose solutions diverge most."""

    spearman: Quantity
    """Rank correlation of a problem's mean KL with whether it flipped, -1 to 1."""
    p: float | None
    """Two-sided, of no correlation; None where there is no correlation."""
    auc: Quantity
    """Chance that a flipped problem diverges more than an unflipped one, ties half: 0.5 foretells nothing."""
    flipped: int | None
    """Problems, regressed or fixed; None when nothing was generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceSummary:
    """A candidate against its baseline over given solutions; every token weighs the same."""

    facts: DivergenceFacts
    kl: Quantity
    """KL(baseline ‖ candidate) in nats per token; as the reverse, a lower bound, for rare tokens are one lump."""
    reverse_kl: Quantity
    same_top1: Quantity
    """Share of tokens whose likeliest choice stayed the same, 0 to 1."""
    delta_p: Quantity
    """Candidate minus baseline probability of the solution's token, -1 to 1."""
    rms_delta_p: Quantity
    perplexity_ratio: Quantity
    """Candidate to baseline, of the solutions after their prompts; above 1 the candidate finds them less likely."""
    worst: tuple[ProblemDivergence, ...]
    """Those with the largest mean KL, at most five, the largest first; none that does not diverge."""
    prediction: FlipPrediction

    @property
    def means(self) -> dict[str, Quantity]:
        """The means by their names in reports and gates."""
        return {name: getattr(self, name) for name in _MEANS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """What a recipe costs; None and empty where nothing was measured."""

    recipe: str
    ttft_s: Percentiles | None
    tpot_s: Percentiles | None
    """Time per output token after the first, of completions that shared a batch."""
    duration_s: Percentiles | None
    throughput: float | None
    """Generated tokens per second of engine time, whole batch."""
    new_tokens: int
    busy_s: float
    peak_memory_bytes: int | None
    model_bytes: int | None
    energy: EnergyFacts
    wh_per_solved: float | None
    prefill_s: Percentiles | None
    decode_s: Percentiles | None
    """Seconds per token of a single stream, batch 1."""
    stream_prompt_tokens: int | None
    simulated: bool
    """Rounded, then computed in float: every number but `model_bytes` and `new_tokens` is the simulation's."""
    slower: str = ""
    """In which measured ways a native candidate is slower than the baseline; empty where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate, judged for one recipe (and benchmark)."""

    expression: str
    recipe: str
    benchmark: str | None
    observed: Quantity
    threshold: float
    outcome: Literal["pass", "fail"]
    evidence: Evidence
    reason: str
    """One sentence for a person."""

    def to_dict(self) -> Json:
        """Return the report's form."""
        return {**asdict(self), "observed": quantity_to_dict(self.observed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestResult:
    """What a self-test found on one benchmark."""

    references: int
    """Planned cases; those without a record count nowhere else."""
    references_passed: int
    broken: int
    broken_failed: int
    wrong: tuple[str, ...]
    """Labels of the cases that did not end as they have to, with the recipe: `HumanEval/3 (spoof)`."""

    @property
    def holds(self) -> bool:
        """Whether every case ended as it has to."""
        return (self.references_passed, self.broken_failed) == (self.references, self.broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole session."""

    run: RunHeader
    duration_s: float
    planned: int
    received: int
    candidates: tuple[str, ...]
    """Recipes that gates judge, whether or not they were loaded; at least one."""
    baseline: str | None
    """The recipe that candidates are compared with, if any, whether or not it was loaded."""
    recipes: Mapping[str, RecipeFacts]
    """Those that were loaded."""
    results: tuple[BenchmarkResult, ...]
    comparisons: tuple[Comparison, ...]
    score_results: tuple[ScoreResult, ...] = ()
    """Of benchmarks whose answers are scored; `results` has those whose answers are executed."""
    score_comparisons: tuple[ScoreComparison, ...] = ()
    robust_results: tuple[RobustResult, ...] = ()
    robust_changes: tuple[RobustChange, ...] = ()
    perturbations: Mapping[tuple[str, str], PerturbationFacts] = field(default_factory=dict)
    """What was made of problems, by benchmark and perturbation."""
    efficiency: Mapping[str, Efficiency]
    benchmarks: Mapping[str, Json] = field(default_factory=dict)
    """Name to version, sha256, number of problems, and those left out with the reasons."""
    sensitivity: Mapping[str, SensitivityFacts] = field(default_factory=dict)
    """By recipe, where it was measured."""
    divergence: Mapping[str, DivergenceSummary] = field(default_factory=dict)
    """By recipe, where it was measured."""
    decided: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why a recipe was left before all cases of a benchmark were asked."""
    selftest: Mapping[str, SelftestResult] | None = None
    """By benchmark; None where a model or a samples file was evaluated."""

    @property
    def missing(self) -> int:
        """Planned cases that never reported."""
        return self.planned - self.received
