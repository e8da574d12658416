"""The spread of a latency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_qeval.stats.quantiles import quantile

_LEAST_FOR_P90, _LEAST_FOR_P99 = 10, 100
"""Values, of which one lies above the percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Spread of a latency, in seconds; None where there are too few values for a percentile."""

    p50: float
    p90: float | None
    """From 10 values on."""
    p99: float | None
    """From 100 values on."""
    max: float
    n: int


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """Return p50, p90 and p99, interpolated linearly between the order statistics; None for no values.

    A percentile above which there is less than one value is only another name for the maximum, and is left out.
    """
    found = list(values)
    if not found:
        return None
    return Percentiles(
        p50=quantile(found, 0.5),
        p90=quantile(found, 0.9) if len(found) >= _LEAST_FOR_P90 else None,
        p99=quantile(found, 0.99) if len(found) >= _LEAST_FOR_P99 else None,
        max=max(found),
        n=len(found),
    )
