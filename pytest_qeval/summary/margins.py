"""The losses that evidence is about: a gate's threshold, or a default where no gate names one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

DEFAULT_MARGINS: Mapping[str, float] = {"pass@K": 0.02, "bleu": 0.01, "chrf": 0.01, "robust_drop": 0.03}
"""By metric, as a fraction: a loss of pass@1 or of a mean score, an increase of the robust drop."""

Margins = Callable[[str, str, str], float]
"""The margin of a metric, for a recipe on a benchmark, as a fraction."""


def default_margins(metric: str, _recipe: str, _benchmark: str) -> float:
    """Return the margin of a metric in a run without gates."""
    return DEFAULT_MARGINS[metric]
