"""How often do the limits of a mean divergence err? `python benchmarks/divergence_interval.py`: no model is needed.

Problems have a number of tokens and a divergence per token, both skewed. Prints, for each distribution and number of
problems, the share of runs whose upper limit lies below the truth and whose lower limit lies above it, of the interval
in use and of a percentile bootstrap over problems. 2.5 % each are promised. It takes two minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from pytest_qeval.schema import Estimate
from pytest_qeval.stats.intervals import ratio_of_positive_sums

Floats = NDArray[np.float64]
Interval = tuple[float, float]

SIZES = (20, 40, 89, 164, 500)
TOKENS, SPREAD_OF_TOKENS = 50, 0.6
"""Median and logarithmic standard deviation of a solution's number of tokens, as in HumanEval."""
_TENFOLD = 10.0
RUNS, RUNS_OF_BOOTSTRAP, RESAMPLES = 2000, 500, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergences:
    """A distribution of the divergence per token."""

    spread: float
    """Logarithmic standard deviation among problems that diverge."""
    share: float = 1.0
    """Of problems that diverge at all."""
    outliers: float = 0.0
    """Share of problems that diverge ten times as much as the others."""
    longer_is_less: bool = False
    """Whether the divergence per token falls with the number of tokens, so that all solutions diverge alike."""

    def draw(self, rng: np.random.Generator, runs: int, n: int) -> tuple[Floats, Floats]:
        """Draw the divergence and the tokens of each problem, [runs, problems]."""
        shape = (runs, n)
        tokens = np.maximum(1.0, np.round(rng.lognormal(np.log(TOKENS), SPREAD_OF_TOKENS, shape)))
        per_token = rng.lognormal(0.0, self.spread, shape) * np.where(rng.random(shape) < self.outliers, _TENFOLD, 1.0)
        per_token = np.where(rng.random(shape) < self.share, per_token, 0.0)
        return per_token * (TOKENS if self.longer_is_less else tokens), tokens

    def true_mean(self) -> float:
        """Return the divergence per token; where it depends on the number of tokens, of two million problems."""
        if not self.longer_is_less:
            return self.share * exp(self.spread**2 / 2) * (1 + (_TENFOLD - 1) * self.outliers)
        found, tokens = self.draw(np.random.default_rng(1), 2000, 1000)
        return float(found.sum() / tokens.sum())


CASES: Mapping[str, Divergences] = {
    "lognormal, σ = 0.5": Divergences(spread=0.5),
    "lognormal, σ = 1": Divergences(spread=1.0),
    "lognormal, σ = 1.5": Divergences(spread=1.5),
    "σ = 1, longer is less": Divergences(spread=1.0, longer_is_less=True),
    "σ = 1, half are 0": Divergences(spread=1.0, share=0.5),
    "σ = 1, 90 % are 0": Divergences(spread=1.0, share=0.1),
    "σ = 0.5, 5 % tenfold": Divergences(spread=0.5, outliers=0.05),
}


def in_use(found: Floats, tokens: Floats) -> Interval:
    """Return the interval that reports have; without any, nothing is claimed."""
    estimate = ratio_of_positive_sums(found.tolist(), tokens.tolist())
    if not isinstance(estimate, Estimate) or estimate.low is None or estimate.high is None:
        return 0.0, np.inf
    return estimate.low, estimate.high


def percentile(found: Floats, tokens: Floats) -> Interval:
    """Return a percentile bootstrap over problems."""
    drawn = np.random.default_rng(0).integers(0, len(found), (RESAMPLES, len(found)))
    low, high = np.quantile(found[drawn].sum(1) / tokens[drawn].sum(1), (0.025, 0.975))
    return float(low), float(high)


def errors(
    case: Divergences, n: int, *, interval: Callable[[Floats, Floats], Interval], runs: int, seed: int | None = None
) -> tuple[float, float]:
    """Return how often the upper limit lies below the truth, and the lower limit above it; the seed is n by default."""
    true, drawn = case.true_mean(), case.draw(np.random.default_rng(n if seed is None else seed), runs, n)
    limits = np.array([interval(*run) for run in zip(*drawn, strict=True)])
    return float(np.mean(limits[:, 1] < true)), float(np.mean(limits[:, 0] > true))


def main() -> None:
    """Print the table."""
    print("| problems | divergence per token | upper too low | lower too high | bootstrap: upper | lower |")
    print("| --- | --- | --- | --- | --- | --- |")
    for n in SIZES:
        for name, case in CASES.items():
            ours = errors(case, n, interval=in_use, runs=RUNS)
            theirs = errors(case, n, interval=percentile, runs=RUNS_OF_BOOTSTRAP)
            print(f"| {n} | {name} | {' | '.join(f'{100 * share:.1f} %' for share in (*ours, *theirs))} |", flush=True)


if __name__ == "__main__":
    main()
