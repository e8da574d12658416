"""Student's t, for means of few values."""

from __future__ import annotations

from pytest_qeval.stats.intervals import CONFIDENCE


def student_t(degrees: int) -> float:
    """Return the quantile that a two-sided interval reaches to, in standard errors: 2.57 for five degrees."""
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy takes some time, which an inert plugin must not

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
