"""Results of a teacher-forced comparison of a candidate with its baseline. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.measure.topk import Scores, TextDivergence, compare_scores

_NAMES = ("min", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max")
_SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDivergence:
    """The divergence over one problem's solution: sums over its tokens, so that problems can be drawn again."""

    task_id: str
    tokens: int
    """At least 1."""
    kl: float
    """KL(baseline ‖ candidate), nats."""
    reverse_kl: float
    """KL(candidate ‖ baseline), nats."""
    same_top1: int
    delta_p: float
    """Candidate minus baseline probability of the solution's token."""
    delta_p_squared: float
    baseline_log_prob: float
    """Of the solution's tokens, nats."""
    candidate_log_prob: float

    @property
    def mean_kl(self) -> float:
        """KL(baseline ‖ candidate) in nats per token."""
        return self.kl / self.tokens

    @classmethod
    def total(cls, text: TextDivergence) -> ProblemDivergence:
        """Add up a text's tokens."""
        return cls(
            task_id=text.task_id,
            tokens=len(text.kl),
            kl=math.fsum(text.kl),
            reverse_kl=math.fsum(text.reverse_kl),
            same_top1=sum(text.same_top1),
            delta_p=math.fsum(text.delta_p),
            delta_p_squared=math.fsum(delta * delta for delta in text.delta_p),
            baseline_log_prob=math.fsum(text.baseline_log_probs),
            candidate_log_prob=math.fsum(text.candidate_log_probs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceFacts:
    """A candidate against its baseline over the solutions of a benchmark's problems, or over completions of them."""

    recipe: str
    baseline: str
    benchmark: str
    k: int
    """Tokens that were kept of the baseline's distributions, at most; all others are the tail."""
    problems: tuple[ProblemDivergence, ...]
    """In the benchmark's order."""
    kl_percentiles: Mapping[str, float]
    """Of all tokens: `min`, `p1` … `p999`, `max`; empty without tokens."""
    delta_p_percentiles: Mapping[str, float]
    duration_s: float
    """Of running the candidate over the texts."""
    incomparable: int
    """Problems that could not be compared: see `Scores.incomparable`."""
    texts: Literal["solutions", "completions"] = "solutions"
    """What both models read: canonical solutions, or the completions of the user's file."""
    listed: int | None = None
    """Likeliest tokens that the candidate's engine lists at each position; None where all are known."""
    unlisted_share: float = 0.0
    """Mean baseline probability of tokens that were kept and not listed, and so count as one with the rest, 0 to 1."""

    @property
    def tokens(self) -> int:
        """Number of predictions that were compared."""
        return sum(problem.tokens for problem in self.problems)


def divergence_facts(
    baseline: Scores,
    candidate: Scores,
    *,
    recipe: str,
    baseline_recipe: str,
    benchmark: str,
    texts: Literal["solutions", "completions"] = "solutions",
) -> DivergenceFacts:
    """Compare a baseline's scores with those of a candidate (`recipe`), which were made `against` them."""
    compared = [compare_scores(baseline.texts[task_id], scores) for task_id, scores in candidate.texts.items()]
    return DivergenceFacts(
        recipe=recipe,
        baseline=baseline_recipe,
        benchmark=benchmark,
        k=baseline.k,
        problems=tuple(map(ProblemDivergence.total, compared)),
        kl_percentiles=percentiles(value for text in compared for value in text.kl),
        delta_p_percentiles=percentiles(value for text in compared for value in text.delta_p),
        duration_s=candidate.duration_s,
        texts=texts,
        incomparable=len(candidate.incomparable),
        listed=candidate.listed,
        unlisted_share=math.fsum(text.unlisted for text in compared) / max(1, sum(len(text.kl) for text in compared)),
    )


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return `min`, `p1` … `p999`, `max`, interpolated linearly between the order statistics; empty without values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {name: _quantile(ordered, share) for name, share in zip(_NAMES, _SHARES, strict=True)}


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = min(math.floor(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
