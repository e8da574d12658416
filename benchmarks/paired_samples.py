"""How often does a verdict over several samples miss a loss? `python benchmarks/paired_samples.py`.

Each problem is solved by the baseline with a chance of its own. The candidate loses some problems whole; elsewhere most
of its samples are the baseline's, as shared seeds make them, and the others are drawn anew. The margin is the true loss
itself: "not worse" is wrong there, and 2.5 % is promised. Prints a Markdown table, the worst case of a grid for each
number of problems, for different numbers of whole flips that may not have been seen (`stats.paired.Flips`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pytest_qeval.stats.score_limits import paired_difference_statistic

Floats = NDArray[np.float64]

SIZES = (20, 50, 89, 164, 500)
SHAPES = ((0.3, 0.3), (1.0, 1.0), (5.0, 2.0))
"""Beta distributions of the chance that the baseline solves a problem."""
LOST = (0.01, 0.02, 0.05, 0.1)
"""Shares of problems that the candidate loses whole."""
COINCIDING = (0.5, 0.9, 1.0)
"""Shares of samples that are the baseline's."""
UNSEEN = (0, 1, 2, 3, 5)
SAMPLES = 10
RUNS = 20_000
Z = float(norm.ppf(0.975))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Case:
    """One way in which a candidate loses."""

    n: int
    shape: tuple[float, float]
    lost: float
    coinciding: float

    @property
    def loss(self) -> float:
        """The true loss, 0 to 1: chances are lost whole."""
        alpha, beta = self.shape
        return self.lost * alpha / (alpha + beta)

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw candidate minus baseline, [runs, problems]."""
        chance = rng.beta(*self.shape, (RUNS, self.n))
        shared = rng.binomial(SAMPLES, self.coinciding, (RUNS, self.n))
        common, base, own = (rng.binomial(count, chance) for count in (shared, SAMPLES - shared, SAMPLES - shared))
        candidate = np.where(rng.random((RUNS, self.n)) < self.lost, 0, common + own)
        return (candidate - common - base) / SAMPLES


def step_of(deltas: Floats, unseen: int) -> Floats:
    """Return the size of effective flips as `Flips` does; 1 where nothing differs and nothing is added."""
    moved = np.abs(deltas).sum(axis=1) + unseen
    return np.where(moved > 0, ((deltas**2).sum(axis=1) + unseen) / np.where(moved > 0, moved, 1), 1.0)


def false_not_worse(deltas: Floats, loss: float, unseen: int) -> float:
    """Return the share of runs whose interval lies above -loss."""
    size = step_of(deltas, unseen)
    gained, lost = np.maximum(deltas, 0).sum(axis=1) / size, np.maximum(-deltas, 0).sum(axis=1) / size
    statistic = paired_difference_statistic(gained, lost, deltas.shape[1], -loss / size)
    return float(np.mean(statistic > Z))


def cases(n: int) -> Iterator[Case]:
    """Yield the grid."""
    for shape, lost, coinciding in product(SHAPES, LOST, COINCIDING):
        yield Case(n=n, shape=shape, lost=lost, coinciding=coinciding)


def main() -> None:
    """Print the table."""
    print(f"| problems | {' | '.join(f'{unseen} unseen' for unseen in UNSEEN)} |")
    print(f"| --- |{' --- |' * len(UNSEEN)}")
    for n in SIZES:
        rng = np.random.default_rng(n)
        drawn = [(case, case.draw(rng)) for case in cases(n)]
        found = [max((false_not_worse(deltas, case.loss, unseen), case) for case, deltas in drawn) for unseen in UNSEEN]
        texts = (
            f"{share:.1%} ({case.lost:.0%} lost, {case.coinciding:.0%} the same, beta{case.shape})"
            for share, case in found
        )
        print(f"| {n} | {' | '.join(texts)} |", flush=True)


if __name__ == "__main__":
    main()
