"""Conclude from timed rounds: medians and speed-ups with intervals, and what was measured on a disturbed machine.

The values of one block are not independent, so that a block counts once, by its median. A ratio is that of two blocks
of one round. Disturbed rounds are left out as long as six others are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from pytest_qeval.facts import StreamFacts
from pytest_qeval.measure.rounds import MIN_ROUNDS
from pytest_qeval.measure.timing_facts import Block, Contention, ProblemTime, ProblemTimingFacts, TimingFacts, Workload
from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.quantiles import estimate_quantile
from pytest_qeval.summary.percentiles import Percentiles, percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadTimes:
    """One workload under one recipe."""

    workload: Workload
    beside: tuple[str, ...]
    """Recipes that were timed in turns with this one."""
    seconds: Estimate
    """Of a prefill, or of a step of decoding."""
    speedup: Quantity
    """The baseline's seconds over the recipe's: above 1 is faster."""
    contended: str
    """What disturbed the machine, where fewer than six rounds were undisturbed; else empty."""
    rounds: frozenset[int]
    """Those that `seconds` is of."""
    blocks: tuple[Block, ...]

    @property
    def values(self) -> Iterator[float]:
        """The seconds of these rounds, one by one."""
        return (value for block in self.blocks if block.round in self.rounds for value in block.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Latencies of some problems, answered alone."""

    n: int
    ttft_s: Percentiles | None
    tpot_s: Percentiles | None
    """Seconds per token after the first."""
    prompt_tokens: float | None
    """Mean per problem."""
    new_tokens: float | None
    """Mean per problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemTimes:
    """Whole problems under one recipe."""

    beside: tuple[str, ...]
    all: Latencies
    solved: Latencies
    unsolved: Latencies
    speedup: Quantity
    """The baseline's TPOT over the recipe's, by problem."""
    contended: str
    """What disturbed the machine, where that happened at any problem; else empty."""
    problems: tuple[ProblemTime, ...]


def workload_times(own: TimingFacts, baseline: TimingFacts | None) -> WorkloadTimes:
    """Conclude from a workload's blocks, and compare them with the baseline's."""
    rounds, contended = _usable({block.round: block.contention for block in own.blocks})
    return WorkloadTimes(
        workload=own.workload,
        beside=own.beside,
        seconds=estimate_quantile([value for at, value in _medians(own) if at in rounds], 0.5, unit="rounds"),
        speedup=_speedup(own, baseline),
        contended=contended,
        rounds=frozenset(rounds),
        blocks=own.blocks,
    )


def stream_of(recipe: str, timings: Sequence[WorkloadTimes]) -> list[StreamFacts]:
    """Return the single stream that is among the workloads; empty where none of it was timed."""
    named = {one.workload.name: one for one in timings}
    prefill, decode = named.get("prefill-128"), named.get("decode-1")
    found = [one for one in (prefill, decode) if one]
    if not found:
        return []
    return [
        StreamFacts(
            recipe=recipe,
            prompt_tokens=found[0].workload.prompt_tokens,
            new_tokens=found[-1].workload.new_tokens,
            prefill_s=tuple(prefill.values) if prefill else (),
            decode_s=tuple(decode.values) if decode else (),
            contended=next((one.contended for one in found if one.contended), ""),
        )
    ]


def _speedup(own: TimingFacts, baseline: TimingFacts | None) -> Quantity:
    if baseline is None or baseline.recipe == own.recipe:
        return Undefined(reason="there is no baseline to compare with")
    ours, theirs = dict(_medians(own)), dict(_medians(baseline))
    if baseline.recipe not in own.beside:
        value = median(theirs.values()) / median(ours.values())
        return Estimate(value=value, low=None, high=None, n=len(ours), method="medians, not alternating")
    conditions = [*own.blocks, *baseline.blocks]
    disturbed = {block.round: block.contention for block in conditions if block.contention.reason}
    rounds, _ = _usable({**{block.round: block.contention for block in own.blocks}, **disturbed})
    ratios = [theirs[at] / ours[at] for at in rounds if at in theirs]
    return estimate_quantile(ratios, 0.5, unit="paired rounds")


def _medians(facts: TimingFacts) -> list[tuple[int, float]]:
    return [(block.round, median(block.seconds)) for block in facts.blocks]


def _usable(rounds: Mapping[int, Contention]) -> tuple[Collection[int], str]:
    """Return the undisturbed rounds if they are enough, else all rounds and what disturbed them most."""
    undisturbed = [at for at, contention in rounds.items() if not contention.reason]
    if len(undisturbed) >= MIN_ROUNDS:
        return undisturbed, ""
    return list(rounds), _worst(rounds.values())


def _worst(conditions: Iterable[Contention]) -> str:
    """Return the reason of the block in which others took most."""
    disturbed = [one for one in conditions if one.reason]
    return max(disturbed, key=lambda one: (one.others or 0) + (one.stolen or 0)).reason if disturbed else ""


def problem_times(own: ProblemTimingFacts, baseline: ProblemTimingFacts | None) -> ProblemTimes:
    """Conclude from whole problems, and compare them with the baseline's."""
    return ProblemTimes(
        beside=own.beside,
        all=_latencies(own.problems),
        solved=_latencies([one for one in own.problems if one.solved is True]),
        unsolved=_latencies([one for one in own.problems if one.solved is False]),
        speedup=_problem_speedup(own, baseline),
        contended=_worst(one.contention for one in own.problems),
        problems=own.problems,
    )


def _latencies(problems: Sequence[ProblemTime]) -> Latencies:
    return Latencies(
        n=len(problems),
        ttft_s=percentiles(one.ttft_s for one in problems),
        tpot_s=percentiles(one.tpot_s for one in problems if one.tpot_s is not None),
        prompt_tokens=fmean(one.prompt_tokens for one in problems) if problems else None,
        new_tokens=fmean(one.new_tokens for one in problems) if problems else None,
    )


def _problem_speedup(own: ProblemTimingFacts, baseline: ProblemTimingFacts | None) -> Quantity:
    if baseline is None or baseline.recipe == own.recipe:
        return Undefined(reason="there is no baseline to compare with")
    theirs = {(one.benchmark, one.task_id): one.tpot_s for one in baseline.problems}
    pairs = [(theirs.get((one.benchmark, one.task_id)), one.tpot_s) for one in own.problems]
    ratios = [base / ours for base, ours in pairs if base and ours]
    if not ratios:
        return Undefined(reason="no problem has a time per token under both recipes")
    found = estimate_quantile(ratios, 0.5, unit="problems")
    if baseline.recipe in own.beside:
        return found
    return replace(found, low=None, high=None, method=f"{found.method}, not alternating")
