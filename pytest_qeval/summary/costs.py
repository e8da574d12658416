"""What a recipe cost: latencies of its completions, throughput, memory, energy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_qeval.facts import EnergyFacts, GenerationFacts, RecipeFacts, StreamFacts
from pytest_qeval.schema import Completion, Record
from pytest_qeval.summary.results import Efficiency, Percentiles

__all__ = ["efficiency", "percentiles", "slower"]

_SLOWER = 1.03
"""A recipe that takes more than this many times as long is called slower; up to 3 % are not told from noise."""
_BATCH_TOKENS = 200
"""Generated tokens below which a batch is over too soon to be compared."""


def efficiency(
    facts: RecipeFacts,
    records: Sequence[Record],
    generation: Sequence[GenerationFacts],
    streams: Sequence[StreamFacts],
) -> Efficiency:
    """Join one recipe's measurements; several workers' tokens are added, their engine times too.

    Where answers are of an earlier run, and what they took is not told, what this process took for the others, or for
    a single stream, is not the cost of these problems, and left out.
    """
    completions = [sample.completion for record in records for sample in record.samples]
    if any(completion.duration_s is None for completion in completions):
        completions, generation = [], ()
    busy_s = sum(part.busy_s for part in generation)
    new_tokens = sum(part.new_tokens for part in generation)
    only_solved = all(record.outcome != "scored" for record in records)  # or part of the energy went into texts
    solved = sum(record.n_solved > 0 for record in records) if only_solved else 0
    energy = EnergyFacts.total([part.energy for part in generation if part.new_tokens])
    return Efficiency(
        recipe=facts.name,
        ttft_s=percentiles(c.ttft_s for c in completions if c.ttft_s is not None),
        tpot_s=percentiles(_tpot(completions)),
        duration_s=percentiles(c.duration_s for c in completions if c.duration_s is not None),
        throughput=new_tokens / busy_s if busy_s and new_tokens else None,
        new_tokens=new_tokens,
        busy_s=busy_s,
        peak_memory_bytes=max((p.peak_memory_bytes for p in generation if p.peak_memory_bytes), default=None),
        model_bytes=facts.model_bytes,
        energy=energy,
        wh_per_solved=energy.energy_wh / solved if energy.energy_wh is not None and solved else None,
        prefill_s=percentiles(value for stream in streams for value in stream.prefill_s),
        decode_s=percentiles(value for stream in streams for value in stream.decode_s),
        stream_prompt_tokens=streams[0].prompt_tokens if streams else None,
        simulated=facts.execution == "simulated",
    )


def slower(costs: Efficiency, baseline: Efficiency) -> str:
    """Say in which measured ways a recipe is slower than the baseline; empty where it is not.

    A single stream is compared by the median time per token, the batch by tokens per second; only a recipe that is
    slower both ways is said to have no speed-up.
    """
    stream, batch = _slower_stream(costs, baseline), _slower_batch(costs, baseline)
    if stream and batch:
        return f"no speed-up on this device, slower than {baseline.recipe}: {stream}; {batch}"
    return f"slower than {baseline.recipe}: {stream or batch}" if stream or batch else ""


def _slower_stream(costs: Efficiency, baseline: Efficiency) -> str:
    if not costs.decode_s or not baseline.decode_s or costs.decode_s.p50 <= _SLOWER * baseline.decode_s.p50:
        return ""
    return f"single stream {1000 * costs.decode_s.p50:.1f} ms per token against {1000 * baseline.decode_s.p50:.1f}"


def _slower_batch(costs: Efficiency, baseline: Efficiency) -> str:
    if min(costs.new_tokens, baseline.new_tokens) < _BATCH_TOKENS or not costs.throughput or not baseline.throughput:
        return ""
    if baseline.throughput <= _SLOWER * costs.throughput:
        return ""
    return f"batch {costs.throughput:.0f} tokens/s against {baseline.throughput:.0f}"


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """Return p50, p90 and p99 with linear interpolation between closest ranks (numpy's default); None for no values."""
    ordered = sorted(values)
    if not ordered:
        return None

    def at(share: float) -> float:
        position = share * (len(ordered) - 1)
        below = int(position)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (ordered[above] - ordered[below]) * (position - below)

    return Percentiles(p50=at(0.5), p90=at(0.9), p99=at(0.99), n=len(ordered))


def _tpot(completions: Iterable[Completion]) -> Iterable[float]:
    for c in completions:
        if c.ttft_s is not None and c.duration_s is not None and c.n_tokens is not None and c.n_tokens > 1:
            yield (c.duration_s - c.ttft_s) / (c.n_tokens - 1)
