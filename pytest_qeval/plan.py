"""What will be asked, and by which worker: pure functions from settings and names to cases and shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from math import floor

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.schema import SCORES, Case
from pytest_qeval.settings import Settings

__all__ = [
    "OF_DIVERGENCE",
    "OF_ROBUSTNESS",
    "cases_of",
    "default_benchmark",
    "default_benchmarks",
    "default_suites",
    "shares",
]

OF_DIVERGENCE = ("kl", "reverse_kl", "same_top1")
"""Metrics that the suite `divergence` measures."""
OF_ROBUSTNESS = ("robust_drop", "robust_pass")
"""Metrics that the suite `robustness` measures."""
_SUITE_OF = {
    "HumanEval": "humaneval",
    "MBPP": "mbpp",
    "Mbpp": "mbpp-plus",
    "micro": "micro",
    "summarization": "summarization",
    "CodeSearchNet": "codesearchnet",
}
"""By what stands before the slash of a task id."""


def cases_of(benchmark: Benchmark, *, limit: int | None, tasks: Iterable[str] | None = None) -> tuple[Case, ...]:
    """Return a benchmark's cases in its own order.

    Args:
        benchmark: whose problems.
        limit: only the first so many; None for all.
        tasks: only these task ids (a replay knows no others); None for all.
    """
    wanted = benchmark.problems.keys() if tasks is None else benchmark.problems.keys() & set(tasks)
    chosen = (task_id for task_id in benchmark.problems if task_id in wanted)
    return tuple(Case(benchmark=benchmark.name, task_id=task_id) for task_id in islice(chosen, limit))


def default_suites(settings: Settings, *, gated: Iterable[str] = (), replayed: Iterable[str] = ()) -> tuple[str, ...]:
    """Choose the suites of a run that names none: by the model, or by the task ids of the samples that are replayed.

    The divergence is measured where one of the `gated` metrics is about it, and where a baseline is saved, for others
    to be compared with. Functions are summarized where one is about scores, and problems perturbed where one is about
    robustness, or perturbations are named.
    """
    if settings.suites:
        return settings.suites
    if settings.completions:
        return (*_suites_of(replayed), *(["robustness"] if settings.perturbations else []))
    wanted = settings.save_baseline is not None or any(metric in OF_DIVERGENCE for metric in gated)
    divergence = ["divergence"] if wanted else []
    summarization = ["summarization"] if any(metric in SCORES for metric in gated) else []
    perturbed = settings.perturbations or any(metric in OF_ROBUSTNESS for metric in gated)
    robustness = ["robustness"] if perturbed else []
    return (*divergence, default_benchmark(settings), *summarization, *robustness, "efficiency")


def _suites_of(task_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the suites whose problems these are; HumanEval where that is not known, which will say what it misses."""
    families = {task_id.partition("/")[0] for task_id in task_ids}
    return tuple(suite for family, suite in _SUITE_OF.items() if family in families) or ("humaneval",)


def default_benchmark(settings: Settings) -> str:
    """Choose what is asked of a model where nothing else is said."""
    if settings.benchmarks:
        return settings.benchmarks[0]
    return "micro" if settings.model.name == "demo" else "humaneval"


def default_benchmarks(settings: Settings, *, replayed: Iterable[str] | None) -> tuple[str, ...]:
    """Choose what suites that work on any benchmark ask: of samples, the benchmarks that they answer."""
    return (default_benchmark(settings),) if replayed is None else _suites_of(replayed)


def shares(recipes: Sequence[str | None], n_workers: int, *, together: bool) -> tuple[tuple[int, ...], ...]:
    """Deal test items out to workers, each share in the items' order.

    A recipe costs a load and fills a batch, so by default it stays on as few workers as possible: with fewer workers
    than recipes each worker gets whole recipes, with more the items of one recipe are cut into runs. `together` cuts
    every recipe the same way instead, so that one worker sees a case under all recipes and can tell a regression.
    Ordinary tests (recipe None) are cut into runs like a recipe.

    Args:
        recipes: each item's recipe, in collection order.
        n_workers: number of shares, at least 1.
        together: keep the same cases of all recipes on one worker.

    Returns:
        For every worker the indices of its items.
    """
    groups: dict[str | None, list[int]] = {}
    for index, recipe in enumerate(recipes):
        groups.setdefault(recipe, []).append(index)
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
