"""Problems that share something: a source function, a module, a program.

Such problems are not independent: a model that misreads one of them often misreads the others. An interval that takes
them for independent is too narrow. A cluster therefore counts as one draw, by the sum over its problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import fsum


def cluster_sums(values: Sequence[float], clusters: Sequence[Hashable]) -> list[float]:
    """Return the sum of each cluster's values, in the order of the clusters' first problems.

    Raises:
        ValueError: If there are not as many values as clusters.
    """
    members: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        members.setdefault(cluster, []).append(value)
    return [fsum(found) for found in members.values()]


def typical_size(clusters: Sequence[Hashable]) -> float:
    """Return the size of the cluster that a problem is in, the mean over problems: Σm² / Σm for clusters of m problems.

    Problems of the same cluster that always agree prove as much as n / size independent ones (Kish, 1965, "Survey
    Sampling", section 8.2, for unequal sizes). The result is 1.0 where every problem stands alone.
    """
    sizes = Counter(clusters).values()
    return sum(size * size for size in sizes) / sum(sizes) if sizes else 1.0


def effective_clusters(clusters: Sequence[Hashable]) -> float:
    """Return how many clusters of equal size would tell as much about the spread: (Σm²)² / Σm⁴ for clusters of m.

    These are the degrees of freedom of Satterthwaite (1946) for a spread to which a cluster contributes as m², plus
    one: two large clusters among a thousand single problems count as little more than two.
    """
    squares = [size * size for size in Counter(clusters).values()]
    return sum(squares) ** 2 / sum(square * square for square in squares) if squares else 0.0


def stand_alone(clusters: Sequence[Hashable] | None) -> bool:
    """Return whether no two problems share a cluster."""
    return clusters is None or len(set(clusters)) == len(clusters)
