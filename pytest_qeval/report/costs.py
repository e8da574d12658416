"""What a recipe cost: latencies of its completions, throughput, memory, energy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_qeval.results import Efficiency, EnergyFacts, GenerationFacts, Percentiles, RecipeFacts, StreamFacts
from pytest_qeval.schema import Completion, Record

__all__ = ["efficiency", "no_speed_up", "percentiles"]


def efficiency(
    facts: RecipeFacts,
    records: Sequence[Record],
    generation: Sequence[GenerationFacts],
    streams: Sequence[StreamFacts],
) -> Efficiency:
    """Join one recipe's measurements; several workers' tokens are added, their engine times too."""
    completions = [sample.completion for record in records for sample in record.samples]
    busy_s = sum(part.busy_s for part in generation)
    new_tokens = sum(part.new_tokens for part in generation)
    solved = sum(record.n_solved > 0 for record in records)
    energy = EnergyFacts.total([part.energy for part in generation])
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
    )


def no_speed_up(costs: Efficiency, baseline: Efficiency) -> str:
    """Say in which measured ways a recipe is slower than the baseline; empty where it is not.

    A single stream is compared by the median time per token, the batch by tokens per second.
    """
    slower = []
    if costs.decode_s and baseline.decode_s and costs.decode_s.p50 > baseline.decode_s.p50:
        ours, theirs = 1000 * costs.decode_s.p50, 1000 * baseline.decode_s.p50
        slower.append(f"single stream {ours:.1f} ms per token against {theirs:.1f}")
    if costs.throughput and baseline.throughput and costs.throughput < baseline.throughput:
        slower.append(f"batch {costs.throughput:.0f} tokens/s against {baseline.throughput:.0f}")
    return "; ".join(slower)


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """Give p50, p90 and p99 with linear interpolation between closest ranks (numpy's default); None for no values."""
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
