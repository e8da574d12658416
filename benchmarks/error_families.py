"""Ways in which candidates lose, with their true loss, and how often the limits in use err for each.

Every family has a box of parameters, in which `error_rates.py` searches the worst case. Problems are drawn as counts of
the values that a problem can have, so that a run of 500 problems costs no more than one of 20. The margin is the true
loss, so that "not worse" is wrong when the limit on the good side passes it, and "worse" when the other one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, roots_jacobi
from scipy.stats import beta, binom

from benchmarks.divergence_interval import Divergences, errors, in_use
from benchmarks.flip_limits import UNSEEN, Floats, Z, limits_beyond
from pytest_qeval.stats.passk import KS, pass_at_k
from pytest_qeval.stats.widened_limits import difference_statistics

Point = Mapping[str, float]

SAMPLES = 10
COINCIDING = 0.9
"""Share of samples that are the baseline's, as shared seeds make them."""


class Errors(NamedTuple):
    """Shares of runs; the interval covers the truth in all others."""

    not_worse: float
    worse: float


class Range(NamedTuple):
    """Values of a parameter that are searched; on a logarithmic scale if wanted."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A box of parameters, and the errors at one of its points for n problems."""

    box: Mapping[str, Range]
    errors: Callable[[Point, int, int, np.random.Generator], Errors]
    """Of a point, a number of problems, a number of runs; the generator draws them."""
    exact: bool = False
    """Whether the errors are sums over all outcomes, so that nothing is drawn."""


def greedy(point: Point, n: int, _runs: int, _rng: np.random.Generator) -> Errors:
    """Add up the chances of all likely outcomes of n problems that flip, each with the loss as its margin."""
    loss, more = point["loss"], point["more flips"]
    lost = min(loss + more * (1 - loss) / 2, 1.0)
    gained = lost - loss
    b, c = np.meshgrid(*(_likely(n, chance) for chance in (gained, lost)), indexing="ij")
    possible = b + c <= n
    b, c = b[possible], c[possible]
    logs = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(n - b - c + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        for count, chance in ((b, gained), (c, lost), (n - b - c, 1 - gained - lost)):
            logs = logs + np.where(count > 0, count * np.log(max(chance, 0.0)), 0.0)
    chances, z = np.exp(logs), difference_statistics(b, c, n, -loss)
    return Errors(float(chances[z.low > Z].sum()), float(chances[z.high < -Z].sum()))


def _likely(n: int, chance: float) -> Floats:
    low, high = binom.ppf(1e-9, n, chance), binom.ppf(1 - 1e-9, n, chance)
    return np.arange(max(float(low), 0.0), float(high) + 1)


def samples(point: Point, n: int, runs: int, rng: np.random.Generator, *, unseen: float = UNSEEN) -> Errors:
    """Lose some problems whole, while nine of ten other samples are the baseline's."""
    alpha, beta = point["alpha"], point["beta"]
    loss = point["lost"] * alpha / (alpha + beta)
    counts = rng.multinomial(n, _sample_chances(alpha, beta, point["lost"]), runs)
    return Errors(*limits_beyond(np.arange(-SAMPLES, SAMPLES + 1) / SAMPLES, counts, -loss, unseen=unseen))


def _sample_chances(alpha: float, beta: float, lost: float) -> Floats:
    """Return the chances of −10 to 10 samples more than the baseline, over problems of a beta distribution."""
    nodes, weights = roots_jacobi(40, beta - 1, alpha - 1)
    chance, weight = (nodes + 1) / 2, weights / weights.sum()
    fresh = binom.pmf(np.arange(SAMPLES + 1), SAMPLES, 1 - COINCIDING)
    chances = np.zeros(2 * SAMPLES + 1)
    chances[: SAMPLES + 1] = lost * (weight @ binom.pmf(np.arange(SAMPLES + 1), SAMPLES, chance[:, None]))[::-1]
    for m in range(SAMPLES + 1):  # of the samples that are drawn anew, by both recipes
        solved = np.arange(m + 1)
        each = binom.pmf(solved, m, chance[:, None])
        both = np.einsum("n,ni,nj->ij", weight, each, each)
        np.add.at(chances, SAMPLES + solved[:, None] - solved, (1 - lost) * fresh[m] * both)
    return np.asarray(np.maximum(chances, 0) / chances.sum())


def scores(point: Point, n: int, runs: int, rng: np.random.Generator) -> Errors:
    """Lose much of a few scores, while a share of the others moves a little in either direction."""
    rare, moved = point["rare"], point["moved"]
    chances = [rare, (1 - rare) * moved / 2, (1 - rare) * moved / 2, (1 - rare) * (1 - moved)]
    values = np.array([-point["lost"], -point["small"], point["small"], 0.0])
    return Errors(*limits_beyond(values, rng.multinomial(n, chances, runs), -rare * point["lost"]))


def robustness(point: Point, n: int, runs: int, rng: np.random.Generator) -> Errors:
    """Lose more of the solved problems when perturbed than the baseline does."""
    kinds = np.array(list(product((0.0, 1.0), repeat=4)))  # baseline nominal and robust, candidate nominal and robust
    chances = np.array([_chance(point, *(kind > 0)) for kind in kinds])
    counts = rng.multinomial(n, chances / chances.sum(), runs)
    truth = float(_drop(chances @ kinds, 2) - _drop(chances @ kinds, 0))
    means = counts @ kinds / n
    solved = (means[:, 0] > 0) & (means[:, 2] > 0)  # else nothing is said
    means, counts = means[solved], counts[solved]
    own, base = (
        (kinds[:, at] - kinds[:, at + 1] - _drop(means, at)[:, None] * kinds[:, at]) / means[:, at, None]
        for at in (2, 0)
    )
    increase = _drop(means, 2) - _drop(means, 0)
    whole = 1 / np.minimum(means[:, 0], means[:, 2])
    above, below = limits_beyond(increase[:, None] + own - base, counts, truth, whole=whole)
    share = len(means) / runs
    return Errors(below * share, above * share)  # an increase is a loss


def _drop(means: Floats, at: int) -> Floats:
    return np.asarray(1 - means[..., at + 1] / means[..., at])


def _chance(point: Point, base: bool, base_robust: bool, own: bool, own_robust: bool) -> float:  # noqa: FBT001
    """Return the chance of a problem's four outcomes; flips draw them again, `extra` loses what was robust."""
    rate, flips, extra = point["rate"], point["flips"], point["extra"]

    def of(outcome: bool, chance: float) -> float:  # noqa: FBT001
        return chance if outcome else 1 - chance

    def perturbed(nominal: bool) -> float:  # noqa: FBT001
        return 1 - point["loss"] if nominal else point["gain"]

    again = (1 - flips) * (own == base) + flips * of(own, rate)
    kept = (1 - flips) * (own == base)
    robust = (kept * base_robust + (1 - kept) * perturbed(own)) * (1 - extra * own)
    return of(base, rate) * of(base_robust, perturbed(base)) * again * of(own_robust, robust)


def rates(point: Point, n: int, runs: int, rng: np.random.Generator) -> Errors:
    """Return how often the interval of one recipe's own pass@k misses, above the truth and below it."""
    k = KS[min(int(point["k"]), 2)]
    nodes, weights = roots_jacobi(60, point["beta"] - 1, point["alpha"] - 1)
    chance, weight = (nodes + 1) / 2, weights / weights.sum()
    solved = np.array([(weight * binom.pmf(count, SAMPLES, chance)).sum() for count in range(SAMPLES + 1)])
    values = np.array([pass_at_k(SAMPLES, count, k) for count in range(SAMPLES + 1)])
    truth, counts = float(values @ solved), rng.multinomial(n, solved / solved.sum(), runs)
    mean = counts @ values / n
    spread = counts @ values**2 - n * mean**2
    draws = n * (n * mean * (1 - mean) + 1) / (spread + 1)  # as in `intervals.mean_of_problems`
    found, slack = mean * draws, 1e-9
    low = np.nan_to_num(beta.ppf(0.025, found, draws - found + 1)) - slack
    high = np.nan_to_num(beta.ppf(0.975, found + 1, draws - found), nan=1.0) + slack
    return Errors(float(np.mean(low > truth)), float(np.mean(high < truth)))


def divergence(point: Point, n: int, runs: int, rng: np.random.Generator) -> Errors:
    """Diverge by a skewed amount in each problem; "not worse" is wrong when the upper limit is too low."""
    case = Divergences(spread=point["spread"], share=point["share"], outliers=point["outliers"])
    return Errors(*errors(case, n, interval=in_use, runs=runs, seed=int(rng.integers(2**32))))


SHAPE = Range(0.1, 20.0, log=True)
OF_SAMPLES = {"alpha": SHAPE, "beta": SHAPE, "lost": Range(0.002, 0.3, log=True)}
OF_DIVERGENCES = {"spread": Range(0.3, 1.25), "share": Range(0.1, 1.0), "outliers": Range(0.0, 0.05)}
FAMILIES: Mapping[str, Family] = {
    "greedy": Family(
        box={"loss": Range(0.001, 0.3, log=True), "more flips": Range(0.001, 0.6, log=True)}, errors=greedy, exact=True
    ),
    "10 samples": Family(box=OF_SAMPLES, errors=samples),
    "10 samples, no unseen flips": Family(box=OF_SAMPLES, errors=partial(samples, unseen=0)),
    "scores": Family(
        box={
            "rare": Range(0.002, 0.3, log=True),
            "lost": Range(0.1, 1.0),
            "moved": Range(0.0, 1.0),
            "small": Range(0.005, 0.2, log=True),
        },
        errors=scores,
    ),
    "robust drop": Family(
        box={
            "rate": Range(0.1, 0.95),
            "loss": Range(0.05, 0.6),
            "gain": Range(0.0, 0.2),
            "flips": Range(0.01, 0.3, log=True),
            "extra": Range(0.0, 0.3),
        },
        errors=robustness,
    ),
    "KL": Family(box=OF_DIVERGENCES, errors=divergence),
    "pass@k alone": Family(box={"alpha": SHAPE, "beta": SHAPE, "k": Range(0.0, 3.0)}, errors=rates),
}
