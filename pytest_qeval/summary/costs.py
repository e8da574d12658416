"""What a recipe cost: latencies of its completions, throughput, memory, energy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_qeval.facts import EnergyFacts, GenerationFacts, RecipeFacts, StreamFacts
from pytest_qeval.schema import Completion, Record
from pytest_qeval.summary.energy import BlockEnergy, EnergyRates, energy_rates
from pytest_qeval.summary.percentiles import Percentiles, percentiles
from pytest_qeval.summary.timing import ProblemTimes, WorkloadTimes, stream_of

NOTHING_TOLD: Mapping[str, Any] = {}
_SLOWER = 1.03
"""A recipe that takes more than this many times as long is slower; up to 3 % may be noise."""
_DRAFTED = "completions were drafted from the baseline's"
_BATCH_TOKENS = 200
"""Generated tokens below which a batch ends too soon to be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """How a candidate is slower than the baseline; at least one of the two is not None, each baseline first."""

    baseline: str
    stream_s: tuple[float, float] | None
    """Median seconds per token of a single stream."""
    throughput: tuple[float, float] | None
    """Tokens per second of the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """What a recipe costs; None and empty where nothing was measured."""

    recipe: str
    ttft_s: Percentiles | None
    tpot_s: Percentiles | None
    """Time per output token after the first, of completions that shared a batch."""
    duration_s: Percentiles | None
    throughput: float | None
    """Generated tokens per second of engine time, whole batch."""
    new_tokens: int
    busy_s: float
    peak_memory_bytes: int | None
    model_bytes: int | None
    energy: EnergyFacts
    rates: EnergyRates
    prefill_s: Percentiles | None
    decode_s: Percentiles | None
    """Seconds per token of a single stream, batch 1."""
    stream_prompt_tokens: int | None
    simulated: bool
    """Rounded, then computed in float: every number but `model_bytes` and `new_tokens` is the simulation's."""
    packed: bool = False
    """Whether `model_bytes` are those of packed storage, while the weights are held in floating point."""
    stream_contended: str = ""
    """What disturbed the machine while the single stream was measured; empty where nothing did."""
    contended: str = ""
    """The same, while the suites' completions were generated."""
    timings: Mapping[str, WorkloadTimes] = field(default_factory=dict)
    """By the workload's name; empty where only a single stream was measured."""
    problems: ProblemTimes | None = None
    block_energies: Mapping[str, BlockEnergy] = field(default_factory=dict)
    """By the workload's name; empty where no block was metered."""
    drafted: bool = False
    """Completions were drafted from the baseline's: latencies, throughput, peak memory and energy are left out."""
    slower: Slowdown | None = None
    """None for a candidate that is not slower than the baseline, or not comparable."""


def summarize_costs(
    facts: RecipeFacts,
    records: Sequence[Record],
    generation: Sequence[GenerationFacts],
    streams: Sequence[StreamFacts],
    *,
    told: Mapping[str, Any] = NOTHING_TOLD,
    timings: Sequence[WorkloadTimes] = (),
    problems: ProblemTimes | None = None,
    block_energies: Sequence[BlockEnergy] = (),
) -> Efficiency:
    """Combine one recipe's measurements; tokens and engine times of several workers are added up.

    If any completion is of an earlier run and its duration is not known, the costs of generating are left out: what
    this process spent on the other problems is not the cost of all of them. The same goes for drafted completions.
    `told` is `RunHeader.energy`.
    """
    streams = stream_of(facts.name, timings) or streams
    completions = [sample.completion for record in records for sample in record.samples]
    if any(completion.duration_s is None for completion in completions):
        completions, generation = [], ()
    busy_s = sum(part.busy_s for part in generation)
    new_tokens = sum(part.new_tokens for part in generation)
    energy = EnergyFacts.total([part.energy for part in generation if part.new_tokens])
    peaks = [part.peak_memory_bytes for part in generation]
    drafted = any(part.drafted for part in generation)
    if drafted:
        completions, energy = [], EnergyFacts(undefined=_DRAFTED)
    return Efficiency(
        recipe=facts.name,
        ttft_s=percentiles(c.ttft_s for c in completions if c.ttft_s is not None),
        tpot_s=percentiles(_tpot(completions)),
        duration_s=percentiles(c.duration_s for c in completions if c.duration_s is not None),
        throughput=new_tokens / busy_s if busy_s and new_tokens and not drafted else None,
        new_tokens=new_tokens,
        busy_s=busy_s,
        peak_memory_bytes=None if drafted else max(filter(None, peaks), default=None),
        model_bytes=facts.model_bytes,
        energy=energy,
        rates=energy_rates(energy, records, generation, told=told),
        prefill_s=percentiles(value for stream in streams for value in stream.prefill_s),
        decode_s=percentiles(value for stream in streams for value in stream.decode_s),
        stream_prompt_tokens=streams[0].prompt_tokens if streams else None,
        stream_contended=next((one.contended for one in streams if one.contended), ""),
        contended=next((part.contended for part in generation if part.contended), ""),
        timings={one.workload.name: one for one in timings},
        problems=problems,
        block_energies={one.workload.name: one for one in block_energies},
        simulated=facts.execution == "simulated",
        packed=facts.execution == "simulated" and (facts.cache is None or _rounds_in_float(facts)),
        drafted=drafted,
    )


def _rounds_in_float(facts: RecipeFacts) -> bool:
    return any(layer.get("execution") == "simulated" for layer in facts.layers)


def _tpot(completions: Iterable[Completion]) -> Iterable[float]:
    for c in completions:
        if c.ttft_s is not None and c.duration_s is not None and c.n_tokens is not None and c.n_tokens > 1:
            yield (c.duration_s - c.ttft_s) / (c.n_tokens - 1)


def mark_slower(
    costs: Mapping[str, Efficiency], candidates: Iterable[str], baseline: str | None
) -> Mapping[str, Efficiency]:
    """Return the costs with `slower` set for native candidates; nothing is compared with a simulated baseline."""
    base = costs.get(baseline or "")
    if base is None or base.simulated:
        return costs
    return {**costs, **{name: replace(costs[name], slower=_slowdown(costs[name], base)) for name in candidates}}


def _slowdown(own: Efficiency, base: Efficiency) -> Slowdown | None:
    """Compare a single stream by its median time per token, and the batch by tokens per second."""
    stream = throughput = None
    contended = own.stream_contended or base.stream_contended
    if not contended and own.decode_s and base.decode_s and own.decode_s.p50 > _SLOWER * base.decode_s.p50:
        stream = base.decode_s.p50, own.decode_s.p50
    undisturbed = not (own.contended or base.contended)
    if undisturbed and own.throughput and base.throughput and min(own.new_tokens, base.new_tokens) >= _BATCH_TOKENS:
        throughput = (base.throughput, own.throughput) if base.throughput > _SLOWER * own.throughput else None
    if stream is None and throughput is None:
        return None
    return Slowdown(baseline=base.recipe, stream_s=stream, throughput=throughput)
