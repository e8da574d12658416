"""Robustness in numbers: what is left of pass@k when the worst of several perturbed prompts counts.

The definitions are ReCode's (Wang et al., 2022, arXiv:2212.10264): a sample is robust when it passes under every
perturbation (seeds of one perturbation, or all perturbations of a category). Losses and gains are kept apart here,
since a candidate may lose much and gain as much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.intervals import mean_of_problems, paired_difference_limits, proportion
from pytest_qeval.stats.paired import PairedCounts, paired_mean, relative_drop, relative_drop_of_means
from pytest_qeval.stats.passk import pass_at_k

__all__ = [
    "ProblemRobustness",
    "RobustnessMeans",
    "drop_increase",
    "means_of",
    "problem_robustness",
    "robust_pass_difference",
]

_NOTHING_SOLVED = "no nominal problem was solved, so nothing could be dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRobustness:
    """One problem under one set of perturbations; every number is an estimate of pass@k's kind, 0 to 1."""

    nominal: float
    """pass@k of the nominal prompt."""
    robust: float
    """pass@k where a sample passes only if it does under every perturbation."""
    lost: float
    """Chance that at least one of k samples passes nominal and not under every perturbation."""
    gained: float
    """Chance that at least one of k samples fails nominal and passes under some perturbation of just that prompt."""
    relative: float
    """ReCode's robust relative: how often correctness changes at all."""
    greedy: bool
    """Whether there is a single sample."""


def problem_robustness(
    nominal: Sequence[bool],
    perturbed: Sequence[Sequence[bool]],
    *,
    k: int = 1,
    originals: Sequence[Sequence[bool]] | None = None,
) -> ProblemRobustness:
    """Judge one problem.

    Args:
        nominal: Which samples pass nominal.
        perturbed: The same for each perturbation, as many samples each; at least one perturbation. The i-th samples are
            paired, which for sampled completions is as good as any other pairing.
        k: At most the number of samples.
        originals: For each perturbation which samples pass of the prompt that it perturbs, where there are several;
            `nominal` is what passes under all of them then.

    Raises:
        ValueError: without a perturbation, or where numbers of samples differ.
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
    """Tell which samples pass nominal or gain: to pass where the very prompt passed before gains nothing."""
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


def means_of(problems: Sequence[ProblemRobustness]) -> RobustnessMeans:
    """Average over problems, with Wilson intervals for greedy outcomes and a bootstrap over problems otherwise."""
    names = ("nominal", "robust", "relative", "lost", "gained")
    nominal = [problem.nominal for problem in problems]
    if any(nominal):
        drop = _drop_with_interval(problems)
    else:
        drop = Undefined(reason=_NOTHING_SOLVED if problems else "no problem was evaluated")
    return RobustnessMeans(drop=drop, **{name: _mean(problems, name) for name in names})


def _drop_with_interval(problems: Sequence[ProblemRobustness]) -> Quantity:
    """Return the lost share: the nominal and the robust outcome of a problem are a pair like any other."""
    if not all(problem.greedy for problem in problems):
        return relative_drop_of_means([one.nominal for one in problems], [one.robust for one in problems])
    table = Counter((problem.nominal > 0, problem.robust > 0) for problem in problems)
    return relative_drop(
        PairedCounts(
            both=table[True, True],
            regressed=table[True, False],
            fixed=table[False, True],
            neither=table[False, False],
        )
    )


def _mean(problems: Sequence[ProblemRobustness], name: str) -> Quantity:
    values = [float(getattr(problem, name)) for problem in problems]
    if all(problem.greedy for problem in problems):
        return proportion(round(sum(values)), len(values))
    return mean_of_problems(values)


def robust_pass_difference(baseline: Sequence[ProblemRobustness], candidate: Sequence[ProblemRobustness]) -> Quantity:
    """Estimate candidate minus baseline robust pass@k over the same problems, in the same order."""
    return paired_mean([one.robust for one in baseline], [one.robust for one in candidate])


def drop_increase(
    baseline: Sequence[ProblemRobustness], candidate: Sequence[ProblemRobustness], *, confidence: float = 0.95
) -> Quantity:
    """Estimate how much more of what it solves nominal the candidate loses: its robust drop minus the baseline's.

    A problem with all its perturbations and samples is one observation of the interval. Both drops are ratios, so each
    problem stands for its contribution dᵢ to the difference, linearised in numerators and denominators; Tango's
    score limits are taken for Σ|dᵢ| / s flips of the size s = Σdᵢ² / Σ|dᵢ|, as for several samples of a problem. In
    simulations (`benchmarks/robust_drop.py`) it covers in 96-100 % of cases where nothing is worse, and with 7.5 points
    worse in 90, 94 and 93 % for 30, 60 and 164 problems; a percentile bootstrap in 63-91 % and in 78-91 %.

    Raises:
        ValueError: when there are not as many problems of one as of the other.
    """
    pairs = list(zip(baseline, candidate, strict=True))
    if not pairs:
        return Undefined(reason="no problem was evaluated under both recipes")
    ours, base = [own for _, own in pairs], [one for one, _ in pairs]
    if not (any(one.nominal for one in ours) and any(one.nominal for one in base)):
        return Undefined(reason=_NOTHING_SOLVED)
    increase = _drop(ours) - _drop(base)
    contributions = [increase + own - other for own, other in zip(_linearised(ours), _linearised(base), strict=True)]
    moved = sum(map(abs, contributions))
    smallest = min(_nominal(ours), _nominal(base))
    step = sum(one * one for one in contributions) / moved if moved > 0 else 1 / smallest
    gained = sum(one for one in contributions if one > 0) / step
    lost = -sum(one for one in contributions if one < 0) / step
    limits = paired_difference_limits(gained, lost, len(pairs), confidence=confidence)
    return Estimate(
        value=increase,
        low=step * float(limits.low),
        high=step * float(limits.high),
        n=len(pairs),
        method="tango paired score, effective flips of linearised drops",
        confidence=confidence,
    )


def _nominal(problems: Sequence[ProblemRobustness]) -> float:
    return sum(one.nominal for one in problems) / len(problems)


def _drop(problems: Sequence[ProblemRobustness]) -> float:
    return 1 - sum(one.robust for one in problems) / sum(one.nominal for one in problems)


def _linearised(problems: Sequence[ProblemRobustness]) -> list[float]:
    """Return each problem's influence on the robust drop; they add up to 0."""
    drop, nominal = _drop(problems), _nominal(problems)
    return [(one.nominal - one.robust - drop * one.nominal) / nominal for one in problems]
