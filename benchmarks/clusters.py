"""Do intervals hold where problems share a source? `python benchmarks/clusters.py`: no model is needed.

Problems come in clusters. In a share of the clusters all problems have one common fate, in the others each its own. The
candidate loses more than it gains, and the margin is the true loss itself: "not worse" is wrong there, and 2.5 % is
promised. Prints a Markdown table: for each design the worst false "not worse" and the worst coverage of pass@1, with
clusters and, for comparison, with all problems taken for independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pytest_qeval.schema import Quantity, Undefined
from pytest_qeval.stats.intervals import mean_of_problems
from pytest_qeval.stats.paired import evidence_of, paired_mean

Floats = NDArray[np.float64]

_RNG = np.random.default_rng(0)
DESIGNS: Mapping[str, Sequence[int]] = {
    "49 clusters of 1 to 5": (_RNG.integers(1, 6, 49)).tolist(),
    "164 clusters of 1 to 12": (_RNG.integers(1, 13, 164)).tolist(),
    "500 alone and 60 together": [1] * 500 + [60],
    "974 alone and two of 50": [1] * 974 + [50] * 2,
    "400 pairs": [2] * 400,
    "660 alone and 800 pairs": [1] * 660 + [2] * 800,
}
"""Sizes of the clusters; the second is like infilling, the last like HumanEval, MBPP and two directions of CRUXEval."""
SHARED = (0.0, 0.5, 1.0)
"""Shares of clusters with a common fate."""
FLIPS = ((0.02, 0.0), (0.05, 0.01), (0.10, 0.05), (0.25, 0.0))
"""Chances to regress and to be fixed."""
RATES = (0.1, 0.5, 0.95)
"""pass@1."""
RUNS = 600


def draw(sizes: Sequence[int], chances: Sequence[float], values: Sequence[float], shared: float) -> Floats:
    """Draw one value per problem, [problems]."""
    common = np.repeat(_RNG.choice(values, len(sizes), p=chances), sizes)
    alone = _RNG.choice(values, sum(sizes), p=chances)
    is_common = np.repeat(_RNG.random(len(sizes)) < shared, sizes)
    return np.where(is_common, common, alone)


def names(sizes: Sequence[int]) -> list[str]:
    """Return the cluster of every problem."""
    return [str(at) for at, size in enumerate(sizes) for _ in range(size)]


def covers(found: Quantity, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    assert not isinstance(found, Undefined)  # noqa: S101 - there are values
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def false_not_worse(sizes: Sequence[int], runs: int) -> Iterator[tuple[float, float]]:
    """Yield how often "not worse" is wrong, with clusters and without."""
    clusters = names(sizes)
    for shared, (regressed, fixed) in product(SHARED, FLIPS):
        loss, wrong = regressed - fixed, np.zeros((2, runs))
        for run in range(runs):
            deltas = draw(sizes, (regressed, fixed, 1 - regressed - fixed), (-1.0, 1.0, 0.0), shared).tolist()
            zeros = [0.0] * len(deltas)
            for at, found in enumerate((paired_mean(zeros, deltas, clusters), paired_mean(zeros, deltas))):
                wrong[at, run] = evidence_of(found, margin=loss) == "not worse"
        yield float(wrong[0].mean()), float(wrong[1].mean())


def coverage(sizes: Sequence[int], runs: int) -> Iterator[tuple[float, float]]:
    """Yield how often pass@1 is covered, with clusters and without."""
    clusters = names(sizes)
    for shared, rate in product(SHARED, RATES):
        held = np.zeros((2, runs))
        for run in range(runs):
            values = draw(sizes, (rate, 1 - rate), (1.0, 0.0), shared).tolist()
            for at, found in enumerate((mean_of_problems(values, clusters), mean_of_problems(values))):
                held[at, run] = covers(found, rate)
        yield float(held[0].mean()), float(held[1].mean())


def main() -> None:
    """Print the table."""
    print('| problems | false "not worse" | taken for independent | coverage of pass@1 | taken for independent |')
    print("| --- | --- | --- | --- | --- |")
    for name, sizes in DESIGNS.items():
        wrong, held = list(false_not_worse(sizes, RUNS)), list(coverage(sizes, RUNS))
        worst = [max(one[at] for one in wrong) for at in (0, 1)] + [min(one[at] for one in held) for at in (0, 1)]
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in worst)} |", flush=True)


if __name__ == "__main__":
    main()
