"""What a session concludes, frozen: a pure function of run header, facts and records. Reports only render it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pytest_qeval.facts import RecipeFacts, RunHeader, SensitivityFacts
from pytest_qeval.schema import Evidence, Json, Quantity
from pytest_qeval.summary.comparability import Remark
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.divergence import DivergenceSummary
from pytest_qeval.summary.length import LengthSummary
from pytest_qeval.summary.memory import MemoryUse
from pytest_qeval.summary.pass_rates import BenchmarkResult
from pytest_qeval.summary.pooled import PooledComparison
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robustness import RobustResult
from pytest_qeval.summary.scores import ScoreComparison, ScoreResult
from pytest_qeval.summary.selftest import SelftestResult
from pytest_qeval.summary.throughput import Throughput


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
    primary: bool = False
    """Whether it was declared the one that a choice among several candidates is about."""

    @property
    def label(self) -> str:
        """The expression and what it was judged for: `pass@1 drop <= 2pt (int8, humaneval)`."""
        return f"{self.expression} ({', '.join(filter(None, (self.recipe, self.benchmark)))})"


def overall_verdict(
    gates: Sequence[GateResult], *, interrupted: bool
) -> Literal["none", "pass", "fail", "interrupted"]:
    """Return the verdict of a run: none without gates, fail if any gate fails; one that was cut short is not judged."""
    if interrupted:
        return "interrupted"
    if not gates:
        return "none"
    return "pass" if all(gate.outcome == "pass" for gate in gates) else "fail"


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
    comparability: tuple[Remark, ...] = ()
    """What limits the comparison."""
    results: tuple[BenchmarkResult, ...]
    """Of benchmarks whose completions are executed."""
    comparisons: tuple[Comparison, ...]
    pooled: tuple[PooledComparison, ...] = ()
    """All executed benchmarks together, one for each recipe that is compared."""
    score_results: tuple[ScoreResult, ...] = ()
    """Of benchmarks whose completions are scored."""
    score_comparisons: tuple[ScoreComparison, ...] = ()
    robust_results: tuple[RobustResult, ...] = ()
    robust_changes: tuple[RobustChange, ...] = ()
    lengths: LengthSummary = field(default_factory=LengthSummary)
    """Of completions, executed and scored alike."""
    efficiency: Mapping[str, Efficiency]
    """By recipe."""
    throughput: Throughput | None = None
    """Of the whole run; None where it evaluated nothing."""
    benchmarks: Mapping[str, Json] = field(default_factory=dict)
    """Name to version, sha256, number of problems, and excluded problems with the reasons."""
    memory: Mapping[str, MemoryUse] = field(default_factory=dict)
    """By recipe, where it was predicted or measured in a process of its own."""
    sensitivity: Mapping[str, SensitivityFacts] = field(default_factory=dict)
    """By recipe, where it was measured."""
    divergence: Mapping[str, DivergenceSummary] = field(default_factory=dict)
    """By recipe, where it was measured."""
    decided: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why a recipe was stopped early on a benchmark, by recipe and benchmark."""
    selftest: Mapping[str, SelftestResult] | None = None
    """By benchmark; None where a model or a samples file was evaluated."""
    interrupted: bool = False
    """Whether the run was cut short, so that no gate was judged."""

    @property
    def missing(self) -> int:
        """Number of planned cases without a record."""
        return self.planned - self.received
