"""Robustness: what is left of pass@k when the worst of several perturbed prompts counts.

The definitions are ReCode's (Wang et al., 2022, arXiv:2212.10264): a sample is robust when it passes under every
perturbation (seeds of one perturbation, or all perturbations of a category). Losses and gains are kept apart here,
since a candidate may lose much and gain as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.stats.clusters import stand_alone
from pytest_qeval.stats.intervals import NO_PROBLEM, mean_of_problems, transform
from pytest_qeval.stats.paired import NO_PAIRS, PairedCounts, mean_difference, relative_drop, relative_drop_of_means
from pytest_qeval.stats.passk import pass_at_k

_NOTHING_SOLVED = Undefined(reason="no nominal problem was solved, so nothing could be dropped")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRobustness:
    """One problem under one set of perturbations; each number is estimated like pass@k, 0 to 1."""

    nominal: float
    """pass@k of the nominal prompt."""
    robust: float
    """pass@k where a sample passes only if it passes under every perturbation."""
    lost: float
    """Chance that at least one of k samples passes with the nominal prompt and not under every perturbation."""
    gained: float
    """Chance that at least one of k samples fails with the nominal prompt and passes under a perturbation of it."""
    relative: float
    """ReCode's robust relative: how often correctness changes at all; up to 2 for several samples."""
    greedy: bool
    """Whether there is a single sample."""


def problem_robustness(
    nominal: Sequence[bool],
    perturbed: Sequence[Sequence[bool]],
    *,
    k: int = 1,
    originals: Sequence[Sequence[bool]] | None = None,
) -> ProblemRobustness:
    """Estimate the robustness of one problem.

    Args:
        nominal: Which samples pass with the nominal prompt.
        perturbed: The same for each perturbation, with as many samples; at least one perturbation. The i-th samples are
            paired, which for sampled completions is as good as any other pairing.
        k: At most the number of samples.
        originals: Where the problem has several nominal prompts: for each perturbation, which samples pass with the
            prompt that it perturbs. `nominal` then says what passes with all of them.

    Raises:
        ValueError: If there is no perturbation, or if numbers of samples differ.
    """
    n = len(nominal)
    if not perturbed or any(len(samples) != n for samples in perturbed):
        raise ValueError("a problem needs at least one perturbation, with as many samples as nominal")
    worst = [all(samples) for samples in zip(*perturbed, strict=True)]
    best = _best(nominal, perturbed, originals or [nominal] * len(perturbed))
    outcomes = list(zip(nominal, worst, best, strict=True))
    # ReCode: negative where the worst outcome is not the nominal one, positive where only the best is not
    negative = sum(own != low for own, low, _ in outcomes)
    positive = sum(own == low and own != high for own, low, high in outcomes)
    return ProblemRobustness(
        nominal=pass_at_k(n, sum(nominal), k),
        robust=pass_at_k(n, sum(worst), k),
        lost=pass_at_k(n, sum(own and not low for own, low, _ in outcomes), k),
        gained=pass_at_k(n, sum(high and not own for own, _, high in outcomes), k),
        relative=pass_at_k(n, negative, k) + pass_at_k(n, positive, k),
        greedy=n == 1,
    )


def _best(
    nominal: Sequence[bool], perturbed: Sequence[Sequence[bool]], originals: Sequence[Sequence[bool]]
) -> list[bool]:
    """Return which samples pass nominally or gain: a sample gains if it failed with the prompt that was perturbed."""
    gains = (
        [not own and now for own, now in zip(*pair, strict=True)] for pair in zip(originals, perturbed, strict=True)
    )
    return [own or any(gained) for own, *gained in zip(nominal, *gains, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessMeans:
    """One recipe under one set of perturbations, over problems."""

    nominal: Quantity
    robust: Quantity
    """Robust pass_s@k."""
    drop: Quantity
    """Robust drop_s@k: (nominal − robust) / nominal."""
    relative: Quantity
    """Robust relative_s@k."""
    lost: Quantity
    gained: Quantity


def mean_robustness(problems: Sequence[ProblemRobustness], clusters: Sequence[str] | None = None) -> RobustnessMeans:
    """Average over problems, with exact intervals, for several samples and for clusters of their effective number."""
    names = ("nominal", "robust", "relative", "lost", "gained")
    return RobustnessMeans(
        drop=_mean_drop(problems, clusters), **{name: _mean(problems, clusters, name) for name in names}
    )


def _mean_drop(problems: Sequence[ProblemRobustness], clusters: Sequence[str] | None) -> Quantity:
    """Return the lost share: the nominal and the robust outcome of a problem are a pair like any other."""
    if not any(problem.nominal for problem in problems):
        return _NOTHING_SOLVED if problems else NO_PROBLEM
    if _greedy(problems) and stand_alone(clusters):
        return relative_drop(PairedCounts.of((one.nominal > 0, one.robust > 0) for one in problems))
    return relative_drop_of_means([one.nominal for one in problems], [one.robust for one in problems], clusters)


def _mean(problems: Sequence[ProblemRobustness], clusters: Sequence[str] | None, name: str) -> Quantity:
    values = [float(getattr(problem, name)) for problem in problems]
    most = 2 if name == "relative" and not _greedy(problems) else 1
    return transform(mean_of_problems([value / most for value in values], clusters), lambda mean: most * mean)


def _greedy(problems: Sequence[ProblemRobustness]) -> bool:
    return all(problem.greedy for problem in problems)


def drop_increase(
    baseline: Sequence[ProblemRobustness],
    candidate: Sequence[ProblemRobustness],
    clusters: Sequence[str] | None = None,
) -> Quantity:
    """Estimate the candidate's robust drop minus the baseline's, over the same problems in the same order.

    A problem with all its perturbations and samples is one observation of the interval. Both drops are ratios, so each
    problem stands for its contribution dᵢ to the difference, linearised in numerators and denominators; the interval is
    that of their mean (`mean_difference`), with `clusters` as there. `benchmarks/error_rates.py` searches how seldom it
    covers the truth at worst.

    Raises:
        ValueError: If there are not as many problems of one as of the other.
    """
    if not baseline and not candidate:
        return NO_PAIRS
    if not (any(one.nominal for one in baseline) and any(one.nominal for one in candidate)):
        return _NOTHING_SOLVED
    increase = _drop(candidate) - _drop(baseline)
    influences = zip(_linearised(candidate), _linearised(baseline), strict=True)
    contributions = [increase + own - base for own, base in influences]
    smallest = min(_nominal(candidate), _nominal(baseline))
    found = mean_difference(contributions, clusters, whole=1 / smallest)
    method = "tango paired score, effective flips of linearised drops"
    return found if isinstance(found, Undefined) else replace(found, value=increase, method=method)


def _nominal(problems: Sequence[ProblemRobustness]) -> float:
    return sum(one.nominal for one in problems) / len(problems)


def _drop(problems: Sequence[ProblemRobustness]) -> float:
    return 1 - sum(one.robust for one in problems) / sum(one.nominal for one in problems)


def _linearised(problems: Sequence[ProblemRobustness]) -> list[float]:
    """Return each problem's influence on the robust drop; they add up to 0."""
    drop, nominal = _drop(problems), _nominal(problems)
    return [(one.nominal - one.robust - drop * one.nominal) / nominal for one in problems]
