"""How often is a verdict wrong at worst? `python benchmarks/error_rates.py [FAMILY …]`: no model is needed.

Prints a Markdown table: for every family of `error_families.py` and number of problems the worst share of wrong "not
worse", of wrong "worse", and the lowest coverage. Each is searched in the family's box: random points first, then two
rounds of points ever closer to the worst one. What is simulated is confirmed at the point found by runs of another
seed, because the largest of many noisy shares is too large. It takes a quarter of an hour.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.error_families import FAMILIES, Errors, Family, Point, Range

SIZES = (20, 40, 89, 164, 500)
POINTS, CLOSER = 300, 60
SHRINK = (0.3, 0.1)
"""Of the box in each round after the first."""
SEARCH_RUNS, CONFIRM_RUNS = 4000, 100_000
EFFORT = {"KL": 0.1, "greedy": 5.0}
"""Runs and points of a family, times those of others: KL is not drawn as counts, and greedy is not drawn at all."""
GOALS: Mapping[str, Callable[[Errors], float]] = {
    "wrong not worse": lambda found: found.not_worse,
    "wrong worse": lambda found: found.worse,
    "missed": lambda found: found.not_worse + found.worse,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How thoroughly a box is searched."""

    points: int = POINTS
    closer: int = CLOSER
    search_runs: int = SEARCH_RUNS
    confirm_runs: int = CONFIRM_RUNS

    @classmethod
    def of(cls, name: str) -> Effort:
        """Return the effort for a family; see `EFFORT`."""
        times = EFFORT.get(name, 1.0)
        return cls(
            points=int(times * POINTS),
            closer=int(times * CLOSER),
            search_runs=int(times * SEARCH_RUNS),
            confirm_runs=int(times * CONFIRM_RUNS),
        )


def worst(family: Family, n: int, effort: Effort) -> dict[str, tuple[float, Point]]:
    """Return the worst share found for each goal, and where."""
    rng = np.random.default_rng(n)
    first = [(point, family.errors(point, n, effort.search_runs, rng)) for point in _points(family, effort.points, rng)]
    found = {}
    for name, goal in GOALS.items():
        best = max(first, key=lambda pair: goal(pair[1]))
        for shrink in SHRINK:
            near = _points(family, effort.closer, rng, around=best[0], shrink=shrink)
            pairs = [(point, family.errors(point, n, effort.search_runs, rng)) for point in near]
            best = max([best, *pairs], key=lambda pair: goal(pair[1]))
        point, share = best[0], best[1]
        if not family.exact:
            share = family.errors(point, n, effort.confirm_runs, np.random.default_rng(1000 + n))
        found[name] = (goal(share), point)
    return found


def _points(
    family: Family, count: int, rng: np.random.Generator, *, around: Point | None = None, shrink: float = 1.0
) -> Iterator[Point]:
    """Yield random points of the box, or of a smaller one around a point."""
    for _ in range(count):
        drawn = {}
        for name, side in family.box.items():
            share = rng.random()
            if around is not None:
                share = np.clip(_share_of(side, around[name]) + shrink * (share - 0.5), 0, 1)
            drawn[name] = _value_at(side, float(share))
        yield drawn


def _value_at(side: Range, share: float) -> float:
    if side.log:
        return float(side.low * (side.high / side.low) ** share)
    return side.low + (side.high - side.low) * share


def _share_of(side: Range, value: float) -> float:
    if side.log:
        return float(np.log(value / side.low) / np.log(side.high / side.low))
    return (value - side.low) / (side.high - side.low) if side.high > side.low else 0.0


def _describe(point: Point) -> str:
    return ", ".join(f"{name} {value:.2g}" for name, value in point.items())


def main() -> None:
    """Print the table, and below it where the worst cases are."""
    print("| family | n | wrong `not worse` | wrong `worse` | covered |\n| --- | --- | --- | --- | --- |")
    places = []
    for name in sys.argv[1:] or FAMILIES:
        for n in SIZES:
            found = worst(FAMILIES[name], n, Effort.of(name))
            wrong, other, missed = (found[goal][0] for goal in GOALS)
            print(
                f"| {name} | {n} | {100 * wrong:.1f} % | {100 * other:.1f} % | {100 - 100 * missed:.1f} % |", flush=True
            )
            places += [f"{name}, n = {n}, {goal}: {_describe(point)}" for goal, (_, point) in found.items()]
    print(*("", *places), sep="\n")


if __name__ == "__main__":
    main()
