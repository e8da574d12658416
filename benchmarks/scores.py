"""How often the intervals of scores cover the truth, beside the usual other ones: `python benchmarks/scores.py`.

Scores are drawn from skewed distributions with a known mean, and differences from one in which a share of the
sentences changes, losses being larger and more frequent than gains. No model is needed; it takes a few minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import bootstrap, t

from pytest_qeval.schema import Estimate, Quantity
from pytest_qeval.stats.paired import paired_mean
from pytest_qeval.stats.scores import mean_score

RUNS = 1000
SIZES = (20, 50, 150, 500)
SHAPES = ((1.0, 5.0), (0.6, 6.0), (3.0, 4.0))
"""Of beta distributions: BLEU of weak models, of weaker ones, and chrF."""
CHANGED = (0.05, 0.1, 0.3, 0.9)
LOST, GAINED = -0.4, 0.2
"""At most, each between 0 and this."""
OF_LOSSES = 0.6

Interval = tuple[float, float]
RNG = np.random.default_rng(0)


def ends(quantity: Quantity) -> Interval:
    """Return an estimate's interval; where there is none, the value is all that is claimed."""
    assert isinstance(quantity, Estimate)  # noqa: S101 - there are values
    low, high = quantity.low, quantity.high
    return (quantity.value if low is None else low, quantity.value if high is None else high)


def student(values: Sequence[float]) -> Interval:
    """Return Student's interval."""
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
    reach = t.ppf(0.975, len(values) - 1) * error
    return float(mean - reach), float(mean + reach)


def percentile(values: Sequence[float]) -> Interval:
    """Return a percentile bootstrap of 500 resamples."""
    if len(set(values)) == 1:
        return values[0], values[0]
    found = bootstrap((values,), np.mean, n_resamples=500, method="percentile", rng=RNG).confidence_interval
    return float(found.low), float(found.high)


def coverage(interval: Callable[[Sequence[float]], Interval], runs: Sequence[Sequence[float]], true: float) -> str:
    """Say in which share of runs an interval covers the truth."""
    found = [interval(values) for values in runs]
    return f"{np.mean([low <= true <= high for low, high in found]):.1%}".rjust(7)


def means(n: int) -> Iterator[tuple[str, float, list[list[float]]]]:
    """Yield distributions of scores, with their means and runs."""
    for a, b in SHAPES:
        yield f"beta({a:g}, {b:g})", a / (a + b), RNG.beta(a, b, (RUNS, n)).tolist()


def differences(n: int) -> Iterator[tuple[str, float, list[list[float]]]]:
    """Yield distributions of differences, with their means and runs."""
    for share in CHANGED:
        size = np.where(RNG.random((RUNS, n)) < OF_LOSSES, LOST, GAINED) * RNG.random((RUNS, n))
        true = share * (OF_LOSSES * LOST + (1 - OF_LOSSES) * GAINED) / 2
        yield f"{share:.0%} change", true, np.where(RNG.random((RUNS, n)) < share, size, 0.0).tolist()


def main() -> None:
    """Print both tables."""
    print(f"share of {RUNS} runs whose interval covers the truth, 95 % promised")
    for title, cases, own in (
        ("mean of scores", means, lambda values: ends(mean_score(values))),
        ("mean difference", differences, lambda values: ends(paired_mean([0.0] * len(values), values))),
    ):
        print(f"\n{title.ljust(24)}    ours       t  percentile")
        for n in SIZES:
            for name, true, runs in cases(n):
                cells = (coverage(interval, runs, true) for interval in (own, student, percentile))
                print(f"n = {n}".ljust(9), name.ljust(14), *cells)


if __name__ == "__main__":
    main()
