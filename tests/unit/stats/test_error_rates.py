"""The search for the worst error rates uses the limits of reports, and finds what it found before."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.error_families import FAMILIES, Errors, Family, Point, Range
from benchmarks.error_rates import Effort, worst
from benchmarks.flip_limits import limits_beyond
from pytest_qeval.schema import Estimate
from pytest_qeval.stats.intervals import mean_of_problems
from pytest_qeval.stats.paired import paired_mean
from pytest_qeval.stats.passk import pass_at_k
from pytest_qeval.stats.robustness import ProblemRobustness, drop_increase

QUICK = Effort(points=40, closer=15, search_runs=2000, confirm_runs=20_000)


def ends(found: object) -> tuple[float, float]:
    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


@pytest.mark.parametrize("truth", [-0.15, -0.04, 0.0, 0.03])
def test_limits_of_many_runs_are_those_of_single_ones(truth: float) -> None:
    """Of differences of samples, among them runs without any."""
    values, rng = np.array([-1.0, -0.2, 0.1, 0.0]), np.random.default_rng(0)
    counts = rng.multinomial(30, [0.03, 0.05, 0.05, 0.87], 100)
    found = [ends(paired_mean([0.0] * 30, np.repeat(values, row).tolist())) for row in counts]

    assert limits_beyond(values, counts, truth) == pytest.approx(
        (np.mean([low > truth for low, _ in found]), np.mean([high < truth for _, high in found]))
    )


def test_errors_of_a_robust_drop_are_those_of_its_interval() -> None:
    """The same draws, judged one by one."""
    point = {"rate": 0.5, "loss": 0.3, "gain": 0.1, "flips": 0.2, "extra": 0.0}
    rng = np.random.default_rng(3)
    found = FAMILIES["robust drop"].errors(point, 20, 4000, rng)
    wrong = np.zeros(2)
    for _ in range(400):
        base, own = (np.random.default_rng(rng.integers(2**32)).random((20, 2)) for _ in range(2))
        nominal = base[:, 0] < 0.5
        again = np.random.default_rng(rng.integers(2**32)).random((20, 3))
        flipped = again[:, 0] < 0.2
        candidate = np.where(flipped, own[:, 0] < 0.5, nominal)
        robust = np.where(nominal, base[:, 1] >= 0.3, base[:, 1] < 0.1)
        fresh = np.where(candidate, own[:, 1] >= 0.3, own[:, 1] < 0.1)
        kept = (candidate == nominal) & (again[:, 1] >= 0.2)
        candidate_robust = np.where(kept, robust, fresh)
        low, high = ends(drop_increase(_greedy(nominal, robust), _greedy(candidate, candidate_robust)))
        wrong += high < 0, low > 0
    assert tuple(wrong / 400) == pytest.approx(found, abs=0.03)


def _greedy(nominal: np.ndarray, robust: np.ndarray) -> list[ProblemRobustness]:
    return [
        ProblemRobustness(nominal=float(a), robust=float(b), lost=0.0, gained=0.0, relative=0.0, greedy=True)
        for a, b in zip(nominal, robust, strict=True)
    ]


def test_errors_of_a_pass_rate_are_those_of_its_interval() -> None:
    point = {"alpha": 5.0, "beta": 0.5, "k": 1.5}
    found = FAMILIES["pass@k alone"].errors(point, 20, 20_000, np.random.default_rng(0))
    rng, wrong = np.random.default_rng(1), np.zeros(2)
    truth = float(np.mean(1 - (1 - rng.beta(5.0, 0.5, 400_000)) ** 5))
    for solved in rng.binomial(10, rng.beta(5.0, 0.5, (1000, 20))):
        low, high = ends(mean_of_problems([pass_at_k(10, int(c), 5) for c in solved]))
        wrong += low > truth + 1e-9, high < truth - 1e-9
    assert tuple(wrong / 1000) == pytest.approx(found, abs=0.02)


def test_exact_errors_are_those_of_a_simulation() -> None:
    """Of flips, at a loss of two points among forty problems."""
    loss, more, n = 0.02, 0.1, 40
    exact = FAMILIES["greedy"].errors({"loss": loss, "more flips": more}, n, 0, np.random.default_rng(0))
    lost = loss + more * (1 - loss) / 2
    counts = np.random.default_rng(0).multinomial(n, [lost, lost - loss, 1 - 2 * lost + loss], 40_000)

    assert limits_beyond(np.array([-1.0, 1.0, 0.0]), counts, -loss) == pytest.approx(exact, abs=0.003)


def test_the_search_finds_the_worst_point() -> None:
    """Of a family whose errors are known: the peak lies at 0.02 on a logarithmic side, and at the end of the other."""

    def errors(point: Point, *_: object) -> Errors:
        return Errors(0.05 - 0.01 * abs(np.log(point["x"] / 0.02)), 0.01 * point["y"])

    family = Family(box={"x": Range(0.001, 1.0, log=True), "y": Range(0.0, 2.0)}, errors=errors, exact=True)
    found = worst(family, 20, Effort(points=200, closer=100))

    assert found["wrong not worse"][0] == pytest.approx(0.05, abs=0.001)
    assert found["wrong worse"][0] == pytest.approx(0.02, abs=0.001)
    assert found["missed"][0] == pytest.approx(0.07, abs=0.002)


@pytest.mark.parametrize(
    ("name", "most"), [("greedy", 0.0275), ("10 samples", 0.0275), ("scores", 0.03), ("robust drop", 0.0275)]
)
def test_not_worse_is_rarely_wrong_at_40_problems(name: str, most: float) -> None:
    """A short search with a seed; docs/statistics.md has the results of the long one."""
    share, _ = worst(FAMILIES[name], 40, QUICK)["wrong not worse"]

    assert share < most
