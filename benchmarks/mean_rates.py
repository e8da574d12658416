"""How often does the interval of pass@k cover the truth? `python benchmarks/mean_rates.py`: no model is needed.

Problems have chances of being solved from beta distributions, and ten samples each. Prints, for each number of
problems, the worst coverage over the distributions and k = 1, 5 and 10, of the interval in use and of a percentile
bootstrap over problems; 95 % are promised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pytest_qeval.schema import Estimate
from pytest_qeval.stats.intervals import mean_of_problems
from pytest_qeval.stats.passk import pass_at_k

Floats = NDArray[np.float64]
Interval = tuple[float, float]

SIZES = (20, 40, 89, 164, 500)
SHAPES = ((0.3, 0.3), (0.1, 0.2), (5.0, 2.0), (9.0, 0.5), (20.0, 0.4), (0.3, 6.0))
KS = (1, 5, 10)
SAMPLES, RUNS, RESAMPLES = 10, 2000, 500
SLACK = 1e-9
RNG = np.random.default_rng(0)


def effective(values: Floats) -> Interval:
    """Return the interval in use."""
    found = mean_of_problems(values.tolist())
    assert isinstance(found, Estimate)  # noqa: S101 - there are values
    assert found.low is not None  # noqa: S101 - as above
    assert found.high is not None  # noqa: S101 - as above
    return found.low, found.high


def percentile(values: Floats) -> Interval:
    """Return a percentile bootstrap."""
    means = RNG.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def cases(n: int) -> Iterator[tuple[str, float, Floats]]:
    """Yield a name, the true mean, and runs of every setting."""
    table = {k: np.array([pass_at_k(SAMPLES, c, k) for c in range(SAMPLES + 1)]) for k in KS}
    for (alpha, beta), k in product(SHAPES, KS):
        true = float(np.mean(1 - (1 - RNG.beta(alpha, beta, 1_000_000)) ** k))
        solved = RNG.binomial(SAMPLES, RNG.beta(alpha, beta, (RUNS, n)))
        yield f"beta({alpha:g}, {beta:g}), k = {k}", true, table[k][solved]


def coverage(interval: Callable[[Floats], Interval], true: float, runs: Floats) -> float:
    """Return the share of runs that cover the truth."""
    found = (interval(values) for values in runs)
    return float(np.mean([low - SLACK <= true <= high + SLACK for low, high in found]))


def main() -> None:
    """Print a table."""
    print("| problems | interval in use, worst | percentile bootstrap, worst |\n| --- | --- | --- |")
    for n in SIZES:
        drawn = list(cases(n))
        worst = [
            min((coverage(interval, true, runs), name) for name, true, runs in drawn)
            for interval in (effective, percentile)
        ]
        print(f"| {n} | {' | '.join(f'{share:.1%} ({name})' for share, name in worst)} |", flush=True)


if __name__ == "__main__":
    main()
