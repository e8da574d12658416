"""The table of metrics that gates can be about.

A new metric is one entry here and one look-up in `observe`; grammar, checks and documentation follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Form = Literal["value", "drop", "relative_drop", "increase", "ratio", "speedup"]
"""value: the candidate's own. drop: baseline minus candidate. increase: candidate minus baseline. relative_drop:
1 − candidate / baseline, a drop in per cent. ratio: candidate over baseline. speedup: baseline over candidate of two
times, a ratio written with an x: how many times as fast."""


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
    of_bytes: bool = False
    """Whether the value is a size, which a threshold may give as `6GB` or `6GiB`."""
    single_reading: bool = False
    """Whether a run reads the value only once, so that noise may decide; a gate has to accept that (`rough`)."""
    is_energy: bool = False
    """Whether repeats show how noisy the single reading is, so that `rough` is needed only for what is not measured."""
    is_time: bool = False
    """Whether the value is in seconds, and may be written in ms or s."""
    has_interval: bool = True
    """Whether an interval can prove the value at all."""
    lower_bound: str = ""
    """Why the value, and so its interval, is below the one that is meant; empty where it is not."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A percentile over whole problems."""

    name: Literal["ttft", "tpot"]
    share: float
    """0.5 for the median."""


LATENCIES: Mapping[str, Latency] = {
    f"{prefix}{name}": Latency(name, share)
    for name in ("ttft", "tpot")
    for prefix, share in (("", 0.5), ("p90 ", 0.9), ("p99 ", 0.99))
}
"""By the metric's name."""
_OF_LATENCY = {"ttft": "time to the first token", "tpot": "time per token after the first"}
_COST: tuple[Form, ...] = ("value", "ratio")
_TIME: tuple[Form, ...] = ("value", "ratio", "speedup")
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
    Metric(
        name="throughput",
        help="generated tokens per second of the whole batch",
        forms=_COST,
        single_reading=True,
        has_interval=False,
    ),
    *(
        Metric(name=name, help=f"median seconds {what}", forms=_TIME, needs_cases=False, is_time=True)
        for name, what in (
            ("single_stream", "per token of a single stream"),
            ("prefill", "to read a single stream's prompt"),
        )
    ),
    *(
        Metric(name=name, help=f"median seconds {what}", forms=("value", "speedup"), needs_cases=False, is_time=True)
        for name, what in (
            ("prefill_512", "to read a prompt of 512 tokens"),
            ("decode", "per token of one sequence, recipes in turns"),
            ("decode_8", "per step of 8 sequences, recipes in turns"),
            ("decode_32", "per step of 32 sequences, recipes in turns"),
        )
    ),
    *(
        Metric(
            name=name,
            help=f"{'median' if latency.share == 0.5 else name[:3]} {_OF_LATENCY[latency.name]} of whole problems",  # noqa: PLR2004 - the median
            forms=("value",),
            needs_cases=False,
            is_time=True,
        )
        for name, latency in LATENCIES.items()
    ),
    Metric(
        name="energy",
        help="watt-hours of generating",
        forms=_COST,
        single_reading=True,
        is_energy=True,
        has_interval=False,
    ),
    Metric(
        name="energy_per_solved",
        help="joules of generating per solved problem",
        forms=_COST,
        single_reading=True,
        has_interval=False,
        is_energy=True,
    ),
    Metric(
        name="peak_memory",
        help="highest resident size of the process: a fresh one (suite memory), or the run's",
        forms=_COST,
        of_bytes=True,
        has_interval=False,
    ),
    Metric(
        name="fits",
        help="the same peak, whatever was generated; `fits 16GB` is short for `fits <= 16GB`",
        forms=("value",),
        needs_cases=False,
        of_bytes=True,
        has_interval=False,
    ),
    Metric(
        name="model_bytes",
        help="bytes of the model's weights in memory",
        forms=_COST,
        needs_cases=False,
        of_bytes=True,
        has_interval=False,
    ),
    Metric(
        name="disk",
        help="bytes of the exported checkpoint's weight files (--qeval-export)",
        forms=_COST,
        needs_cases=False,
        of_bytes=True,
        has_interval=False,
    ),
)
OF_MEMORY = ("peak_memory", "fits", "disk")
"""Metrics of memory and files."""
OF_EFFICIENCY = ("prefill_512", "decode", "decode_8", "decode_32", *LATENCIES)
"""Metrics that only the whole suite `efficiency` measures."""
OF_GENERATION = ("throughput", "energy", "energy_per_solved", "peak_memory")
"""Costs of generating completions, which drafts change."""
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ENTRIES}
