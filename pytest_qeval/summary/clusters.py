"""Which problems share something, as benchmarks state it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_qeval.schema import Case, Json

Clusters = Callable[[Case], str]
"""The cluster of a case's problem; a name of its own where it stands alone."""


def clusters_of(benchmarks: Mapping[str, Json]) -> Clusters:
    """Return the look-up for benchmarks, whose facts may hold `clusters` by task id and what they cover.

    The task id of a problem that stands alone is a cluster only where others refer to it: by their own cluster, or by
    an edition that covers it. In all other cases two files may have the same ids for problems that share nothing.
    """
    known = {name: facts.get("clusters", {}) for name, facts in benchmarks.items()}
    named = {cluster for clusters in known.values() for cluster in clusters.values()}
    editions = {name for name, facts in benchmarks.items() if facts.get("covers")}
    editions |= {name for facts in benchmarks.values() for name in facts.get("covers", ())}

    def cluster(case: Case) -> str:
        found = known.get(case.benchmark, {}).get(case.task_id)
        if found is not None:
            return str(found)
        is_shared = case.task_id in named or case.benchmark in editions
        return case.task_id if is_shared else f"{case.benchmark}: {case.task_id}"

    return cluster


def each_alone(case: Case) -> str:
    """Take every problem for independent of the others."""
    return case.task_id
