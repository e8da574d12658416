"""Which cases a benchmark has, and which worker runs which test items: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, zip_longest
from math import floor

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.schema import Case, Problem


def cases_of(benchmark: Benchmark, *, limit: int | None) -> tuple[Case, ...]:
    """Return the cases of `limit` problems of a benchmark, or of all, in its own order; see `first_problems`."""
    found = first_problems([*benchmark.problems.values()], limit)
    return tuple(Case(benchmark=benchmark.name, task_id=problem.task_id) for problem in found)


def first_problems(problems: Sequence[Problem], limit: int | None) -> list[Problem]:
    """Return the first `limit` problems, or all, in their order; of problems that share a source one of each source.

    There is a second one of a source only if every source has a first one, and so on: twenty lines of one function say
    less than a line of each of twenty. Of the i-th source the (i + r)-th problem is taken in round r, around the end,
    so that they are not all first lines. A larger limit has all problems of a smaller one.
    """
    if limit is None:
        return [*problems]
    sources: dict[str, list[int]] = {}
    for at, problem in enumerate(problems):
        sources.setdefault(problem.cluster or problem.task_id, []).append(at)
    turns = sorted(
        (turn, source, members[(source + turn) % len(members)])
        for source, members in enumerate(sources.values())
        for turn in range(len(members))
    )
    return [problems[at] for at in sorted(at for _, _, at in turns[:limit])]


def shares(
    recipes: Sequence[str | None], n_workers: int, *, together: bool, scopes: Sequence[str | None] = ()
) -> tuple[tuple[int, ...], ...]:
    """Deal test items out to workers, each share in the items' order.

    A recipe costs a load and fills a batch, so by default it stays on as few workers as possible: with fewer workers
    than recipes each worker gets whole recipes, with more the items of one recipe are cut into runs. `together` cuts
    every recipe the same way instead, so that one worker sees a case under all recipes and can tell a regression.
    Ordinary tests (recipe None) are cut into runs like a recipe. Items of one scope stay together, whatever they are.

    Args:
        recipes: Each item's recipe, in collection order.
        n_workers: Number of shares, at least 1.
        together: Whether one worker gets the same cases of all recipes.
        scopes: Each item's scope, None for an item without; by default no item has one.

    Returns:
        For every worker the indices of its items.
    """
    groups: dict[str | None, list[int]] = {}
    scoped: dict[str, list[int]] = {}
    for index, (recipe, scope) in enumerate(zip_longest(recipes, scopes)):
        if scope is None:
            groups.setdefault(recipe, []).append(index)
        else:
            scoped.setdefault(scope, []).append(index)
    ordinary = groups.pop(None, [])
    dealt: list[list[int]] = [[] for _ in range(n_workers)]
    if together:
        for indices in groups.values():
            _deal(indices, dealt)
    elif n_workers <= len(groups):
        for indices in sorted(groups.values(), key=len, reverse=True):
            min(dealt, key=len).extend(indices)
    elif groups:
        workers = iter(dealt)
        for indices, count in zip(groups.values(), _crews(groups, n_workers), strict=True):
            _deal(indices, list(islice(workers, count)))
    _deal(ordinary, dealt)
    for indices in sorted(scoped.values(), key=len, reverse=True):
        min(dealt, key=len).extend(indices)
    return tuple(tuple(sorted(share)) for share in dealt)


def _deal(indices: Sequence[int], workers: Sequence[list[int]]) -> None:
    """Cut a run of items into equal parts, one a worker."""
    bounds = [round(i * len(indices) / len(workers)) for i in range(len(workers) + 1)]
    for worker, start, stop in zip(workers, bounds, bounds[1:], strict=False):
        worker.extend(indices[start:stop])


def _crews(groups: Mapping[str | None, Sequence[int]], n_workers: int) -> list[int]:
    """Return every recipe at least one worker and the rest in proportion to its items (largest remainder)."""
    total = sum(map(len, groups.values()))
    spare = n_workers - len(groups)
    quotas = [spare * len(indices) / total for indices in groups.values()]
    crews = [1 + floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: quotas[i] - floor(quotas[i]), reverse=True)
    for i in by_remainder[: n_workers - sum(crews)]:
        crews[i] += 1
    return crews
