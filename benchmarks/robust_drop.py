"""Measure how often the interval of a robust drop's increase covers the true value.

    python -m benchmarks.robust_drop

Outcomes of problems are drawn at random: a baseline solves a share of them; under a perturbation it loses a quarter of
those and gains a few others; a candidate has some outcomes drawn anew (flips) and, in half of the rows, loses a tenth
more. For comparison the table shows a percentile bootstrap over problems.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_qeval.schema import Estimate
from pytest_qeval.stats.robustness import ProblemRobustness, drop_increase

RATE, LOSS, GAIN, FLIPS = 0.45, 0.25, 0.05, 0.08
Bools = NDArray[np.bool_]


def draw(rng: np.random.Generator, n: int, extra: float) -> tuple[Bools, Bools, Bools, Bools]:
    """Draw n problems: baseline nominal, baseline perturbed, and the same of the candidate."""

    def chance(p: float) -> Bools:
        return rng.random(n) < p

    def perturbed(nominal: Bools, more: float) -> Bools:
        return np.where(nominal, ~chance(LOSS + more), chance(GAIN))

    base = chance(RATE)
    base_robust = perturbed(base, 0.0)
    own = np.where(chance(FLIPS), chance(RATE), base)
    kept = (own == base) & ~chance(FLIPS)
    own_robust = np.where(kept, base_robust, perturbed(own, 0.0)) & ~(own & chance(extra))
    return base, base_robust, own, own_robust


def increase(outcomes: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return the difference of robust drops, along the last axis."""
    base, base_robust, own, own_robust = (one.astype(float).sum(-1) for one in outcomes)
    with np.errstate(all="ignore"):
        return np.asarray(base_robust / base - own_robust / own)


def interval(outcomes: Sequence[Bools]) -> tuple[float, float]:
    """Return our interval."""
    base, base_robust, own, own_robust = outcomes
    found = drop_increase(problems(base, base_robust), problems(own, own_robust))
    if not isinstance(found, Estimate) or found.low is None or found.high is None:
        return -np.inf, np.inf
    return found.low, found.high


def problems(nominal: Bools, robust: Bools) -> list[ProblemRobustness]:
    """Return the outcomes as greedy problems."""
    return [
        ProblemRobustness(nominal=a, robust=b, lost=0.0, gained=0.0, relative=0.0, greedy=True)
        for a, b in zip(nominal.astype(float).tolist(), robust.astype(float).tolist(), strict=True)
    ]


def bootstrap(rng: np.random.Generator, outcomes: Sequence[Bools]) -> tuple[float, float]:
    """Return the percentile interval over 600 resamples of the problems."""
    n = len(outcomes[0])
    drawn = rng.integers(0, n, (600, n))
    low, high = np.nanpercentile(increase([one[drawn] for one in outcomes]), [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    print("problems  increase  covers  misses above  misses below  width  bootstrap covers")
    for n in (30, 60, 164):
        for extra in (0.0, 0.1):
            truth = float(increase(draw(rng, 2_000_000, extra)))
            runs = [draw(rng, n, extra) for _ in range(args.runs)]
            ours = np.array([interval(run) for run in runs])
            theirs = np.array([bootstrap(rng, run) for run in runs])
            low, high = ours[:, 0] > truth, ours[:, 1] < truth
            covered = (theirs[:, 0] <= truth) & (truth <= theirs[:, 1])
            print(
                f"{n:8d}  {truth:8.3f}  {1 - (low | high).mean():6.1%}  {low.mean():12.1%}  {high.mean():12.1%}  "
                f"{np.median(ours[:, 1] - ours[:, 0]):5.3f}  {covered.mean():16.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
