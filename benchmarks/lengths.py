"""How often does the interval of a ratio of lengths cover the truth? `python benchmarks/lengths.py`: without a model.

Completions of the baseline have lengths from a lognormal distribution, and a share runs into the token limit. Those of
the candidate are equal with some chance, else longer or shorter at random, and a share runs into the limit, as a model
does that repeats itself. Prints, for each number of problems, the worst coverage over these settings of the interval
in use and of the same one without its unseen problem; 95 % are promised. The columns "too low" and "too high" have the
worst share of intervals that lie wholly below, or above, the truth: 2.5 % each are promised.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import exp, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from pytest_qeval.schema import Estimate
from pytest_qeval.stats.lengths import ratio_of_lengths

Floats = NDArray[np.float64]

SIZES = (20, 50, 164, 500)
LIMIT = 512.0
TYPICAL, SPREAD = 80.0, 0.7
EQUAL, NOISE, FACTORS = (0.0, 0.5, 0.95), (0.1, 0.5), (1.0, 1.25)
LOOPING, LOOPING_BEFORE = (0.0, 0.005, 0.02, 0.1), (0.0, 0.02)
RUNS, POPULATION = 1000, 1_000_000
SLACK = 1e-9
RNG = np.random.default_rng(0)


class Setting(NamedTuple):
    """What completions are drawn from."""

    equal: float
    noise: float
    factor: float
    looping: float
    looping_before: float

    def draw(self, *shape: int) -> tuple[Floats, Floats]:
        """Return lengths of baseline and candidate."""
        base: Floats = np.exp(RNG.normal(log(TYPICAL), SPREAD, shape)).round().clip(1.0, LIMIT)
        base = np.where(RNG.random(shape) < self.looping_before, LIMIT, base)
        own = (base * self.factor * np.exp(RNG.normal(0, self.noise, shape))).round().clip(1.0, LIMIT)
        own = np.where(RNG.random(shape) < self.equal, base, own)
        return base, np.where(RNG.random(shape) < self.looping, LIMIT, own)


class Errors(NamedTuple):
    """Shares of intervals that miss the truth, and the median width."""

    too_low: float
    too_high: float
    width: float

    @property
    def covered(self) -> float:
        """Share of intervals with the truth."""
        return 1 - self.too_low - self.too_high


def in_use(base: Floats, own: Floats) -> tuple[float, float]:
    """Return the interval in use."""
    found = ratio_of_lengths(base.tolist(), own.tolist(), limit=LIMIT)
    assert isinstance(found, Estimate)  # noqa: S101 - there are lengths
    assert found.low is not None  # noqa: S101 - as above
    assert found.high is not None  # noqa: S101 - as above
    return found.low, found.high


def plain(base: Floats, own: Floats) -> tuple[float, float]:
    """Return the interval without an unseen problem."""
    n, ratio = len(base), own.mean() / base.mean()
    error = np.sqrt(((own - ratio * base) ** 2).sum() / (n - 1) / n) / own.mean()
    reach = stdtrit(n - 1, 0.975) * error
    return ratio * exp(-reach), ratio * exp(reach)


def settings() -> Iterator[Setting]:
    """Yield all settings."""
    yield from (Setting(*values) for values in product(EQUAL, NOISE, FACTORS, LOOPING, LOOPING_BEFORE))


def errors(ends: list[tuple[float, float]], truth: float) -> Errors:
    """Compare intervals with the truth."""
    low, high = np.array(ends).T
    too_low, too_high = np.mean(high < truth - SLACK), np.mean(low > truth + SLACK)
    return Errors(float(too_low), float(too_high), float(np.median(high - low)))


def main() -> None:
    """Print a table."""
    print("| problems | covered, worst | too low, worst | too high, worst | median width | covered without, worst |")
    print("| --- | --- | --- | --- | --- | --- |")
    truths = {}
    for setting in settings():
        base, own = setting.draw(POPULATION)
        truths[setting] = float(own.mean() / base.mean())
    for n in SIZES:
        ours, without = [], []
        for setting, truth in truths.items():
            runs = list(zip(*setting.draw(RUNS, n), strict=True))
            ours.append(errors([in_use(*run) for run in runs], truth))
            without.append(errors([plain(*run) for run in runs], truth))
        cells = [
            f"{min(one.covered for one in ours):.1%}",
            f"{max(one.too_low for one in ours):.1%}",
            f"{max(one.too_high for one in ours):.1%}",
            f"{np.median([one.width for one in ours]):.2f}",
            f"{min(one.covered for one in without):.1%}",
        ]
        print(f"| {n} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
