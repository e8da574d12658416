"""What changed from the baseline to a candidate, of pools, benchmarks and scores alike: the rows of a forest plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_qeval.schema import Evidence, Quantity, Undefined
from pytest_qeval.summary.comparison import Comparison
from pytest_qeval.summary.pooled import PooledComparison
from pytest_qeval.summary.results import Summary

SCORE_NAMES = {"bleu": "BLEU", "chrf": "chrF"}
_UNKNOWN = Undefined(reason="nothing was finished")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A candidate against the baseline in one measure."""

    recipe: str
    baseline: str
    benchmark: str
    """`all benchmarks` for their pool."""
    measure: str
    """`pass@1`, `BLEU` or `chrF`."""
    delta: Quantity
    """Candidate minus baseline, as a fraction."""
    evidence: Evidence
    margin: float
    """The loss that the evidence is about, as a fraction."""
    p: float | None
    """Corrected for the number of comparisons where the summary has it so; None after an early stop."""
    base: Quantity
    own: Quantity
    regressed: tuple[str, ...] = ()
    """Labels of cases that only the baseline solved; none for scores."""
    fixed: tuple[str, ...] = ()
    is_pool: bool = False
    early: bool = False
    """Whether the recipe was stopped early there, so that there is no valid interval."""


def changes_of(summary: Summary, recipe: str) -> tuple[Change, ...]:
    """Return the changes of a recipe, that over all benchmarks first, if there are several."""
    return tuple(_changes(summary, recipe))


def all_changes(summary: Summary) -> tuple[Change, ...]:
    """Return the changes of the candidates, and then those of the control."""
    others = (one.recipe for one in summary.comparisons)
    names = dict.fromkeys([*summary.candidates, *others])
    return tuple(change for name in names for change in _changes(summary, name))


def _changes(summary: Summary, recipe: str) -> Iterator[Change]:
    compared = [one for one in summary.comparisons if one.recipe == recipe]
    yield from (_of_pool(one, compared) for one in summary.pooled if one.recipe == recipe and len(one.strata) > 1)
    for one in compared:
        yield Change(
            recipe=recipe,
            baseline=one.baseline,
            benchmark=one.benchmark,
            measure="pass@1",
            delta=one.delta,
            evidence=one.evidence,
            margin=one.margin,
            p=one.mcnemar_p_adjusted,
            base=_rate(summary, one.baseline, one.benchmark),
            own=_rate(summary, recipe, one.benchmark),
            regressed=one.regressed,
            fixed=one.fixed,
            early=(recipe, one.benchmark) in summary.decided,
        )
    for scores in (one for one in summary.score_comparisons if one.recipe == recipe):
        for name, score in scores.changes.items():
            yield Change(
                recipe=recipe,
                baseline=scores.baseline,
                benchmark=scores.benchmark,
                measure=SCORE_NAMES[name],
                delta=score.delta,
                evidence=score.evidence,
                margin=score.margin,
                p=score.p_adjusted,
                base=_score(summary, scores.baseline, scores.benchmark, name),
                own=_score(summary, recipe, scores.benchmark, name),
            )


def _of_pool(pool: PooledComparison, compared: Sequence[Comparison]) -> Change:
    return Change(
        recipe=pool.recipe,
        baseline=pool.baseline,
        benchmark="all benchmarks",
        measure="pass@1",
        delta=pool.delta,
        evidence=pool.evidence,
        margin=pool.margin,
        p=pool.p_adjusted,
        base=pool.pass_at_1[pool.baseline],
        own=pool.pass_at_1[pool.recipe],
        regressed=tuple(label for one in compared for label in one.regressed),
        fixed=tuple(label for one in compared for label in one.fixed),
        is_pool=True,
    )


def _rate(summary: Summary, recipe: str, benchmark: str) -> Quantity:
    found = (one for one in summary.results if (one.recipe, one.benchmark) == (recipe, benchmark))
    return next((one.pass_at.get(1, _UNKNOWN) for one in found), _UNKNOWN)


def _score(summary: Summary, recipe: str, benchmark: str, name: str) -> Quantity:
    found = (one for one in summary.score_results if (one.recipe, one.benchmark) == (recipe, benchmark))
    return next((one.means[name] for one in found), _UNKNOWN)
