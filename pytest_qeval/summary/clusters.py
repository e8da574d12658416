"""Which problems share something, as benchmarks state it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_qeval.schema import Case, Json

Clusters = Callable[[Case], str]
"""The cluster of a case's problem; its own task id where it stands alone."""


def clusters_of(benchmarks: Mapping[str, Json]) -> Clusters:
    """Return the look-up for benchmarks, whose facts may hold `clusters` by task id."""
    known = {name: facts.get("clusters", {}) for name, facts in benchmarks.items()}

    def cluster(case: Case) -> str:
        return str(known.get(case.benchmark, {}).get(case.task_id, case.task_id))

    return cluster


def each_alone(case: Case) -> str:
    """Take every problem for independent of the others."""
    return case.task_id
