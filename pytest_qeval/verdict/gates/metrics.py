"""The table of metrics that gates can be about.

A new metric is one entry here and one look-up in `observe`; grammar, checks and documentation follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Form = Literal["value", "drop", "relative_drop", "increase", "ratio"]
"""value: the candidate's own. drop: baseline minus candidate. increase: candidate minus baseline. relative_drop:
1 − candidate / baseline, a drop in per cent. ratio: candidate over baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that gates can be about."""

    name: str
    """As in an expression; `@K` stands for `@1`, `@10` and so on."""
    help: str
    forms: tuple[Form, ...]
    units: tuple[str, ...] = ()
    """Units of a share from 0 to 1; empty for all other numbers."""
    per_benchmark: bool = False
    """Whether every benchmark has its own value; otherwise the run has one."""
    needs_baseline: bool = False
    """Whether even the candidate's own value comes from a comparison."""
    needs_cases: bool = True
    """Whether a missing case leaves the value unknown."""
    of_perturbed: bool = False
    """Whether the metric is about perturbed problems."""
    of_scores: bool = False
    """Whether the metric is about benchmarks whose completions are scored instead of executed."""
    of_all: bool = False
    """Whether the metric is about both kinds of benchmarks."""
    single_reading: bool = False
    """Whether a run reads the value only once, so that noise may decide; a gate has to accept that (`rough`)."""
    has_interval: bool = True
    """Whether an interval can prove the value at all."""
    lower_bound: str = ""
    """Why the value, and so its interval, is below the one that is meant; empty where it is not."""


OF_GENERATION = ("throughput", "energy", "peak_memory")
"""Costs of generating completions, which drafts change."""
_SHARE = ("pt", "%")
_ENTRIES = (
    Metric(
        name="pass@K",
        help="share of problems solved by at least one of K samples",
        forms=("value", "drop", "relative_drop"),
        units=_SHARE,
        per_benchmark=True,
    ),
    Metric(
        name="regressed",
        help="number of problems that the baseline solved and the candidate did not",
        forms=("value",),
        per_benchmark=True,
        needs_baseline=True,
        has_interval=False,
    ),
    *(
        Metric(
            name=name,
            help=f"mean {what} of generated code summaries",
            forms=("value", "drop", "relative_drop"),
            units=_SHARE,
            per_benchmark=True,
            of_scores=True,
        )
        for name, what in (("bleu", "smoothed BLEU-4"), ("chrf", "chrF"))
    ),
    Metric(
        name="robust_drop",
        help="share of the nominally solved problems that is no longer solved when perturbed (suite robustness)",
        forms=("value", "increase"),
        units=_SHARE,
        per_benchmark=True,
        of_perturbed=True,
    ),
    Metric(
        name="robust_pass",
        help="share of problems solved under every perturbation (suite robustness)",
        forms=("value", "drop"),
        units=_SHARE,
        per_benchmark=True,
        of_perturbed=True,
    ),
    Metric(
        name="tokens",
        help="mean generated tokens per completion",
        forms=("value", "ratio"),
        per_benchmark=True,
        of_all=True,
    ),
    *(
        Metric(name=name, help=help_, forms=("value", "increase"), units=_SHARE, per_benchmark=True, of_all=True)
        for name, help_ in (
            ("truncated", "share of completions that ran into the token limit"),
            ("loops", "share of completions that end by repeating one stretch of text"),
        )
    ),
    *(
        Metric(
            name=name,
            help=f"mean Kullback-Leibler divergence {what}, nats per token",
            forms=("value",),
            needs_baseline=True,
            needs_cases=False,
            lower_bound=bound,
        )
        for name, what, bound in (
            ("kl", "KL(baseline ‖ candidate)", "a lower bound, since rare tokens count as one"),
            ("reverse_kl", "KL(candidate ‖ baseline)", "a lower bound that may miss half of the full value"),
        )
    ),
    Metric(
        name="same_top1",
        help="share of token positions where both models rank the same token first",
        forms=("value",),
        units=_SHARE,
        needs_baseline=True,
        needs_cases=False,
    ),
    *(
        Metric(
            name=name,
            help=help_,
            forms=("value", "ratio"),
            needs_cases=name in OF_GENERATION,
            single_reading=name in {"throughput", "energy"},
            has_interval=False,
        )
        for name, help_ in (
            ("throughput", "generated tokens per second of the whole batch"),
            ("single_stream", "median seconds per token of a single stream"),
            ("prefill", "median seconds to read a single stream's prompt"),
            ("energy", "watt-hours of generating"),
            ("peak_memory", "highest resident size of the process in bytes"),
            ("model_bytes", "bytes of the model's weights in memory"),
        )
    ),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ENTRIES}
