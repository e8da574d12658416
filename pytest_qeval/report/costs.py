"""Costs: the report's section `efficiency`, and lines for the terminal: one row per quantity, one column per recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_qeval.facts import RecipeFacts
from pytest_qeval.measure.byte_sizes import format_bytes
from pytest_qeval.report.energy import ENERGY_ROWS, energy_dict, energy_notes
from pytest_qeval.report.plain import to_plain
from pytest_qeval.report.text import Line, say_once, table
from pytest_qeval.report.timing import ms, of_problems, speedup_of, times_of, timing_dict, timing_notes
from pytest_qeval.schema import Json
from pytest_qeval.summary.costs import Efficiency, Slowdown
from pytest_qeval.summary.results import Summary

_Cell = Callable[[Efficiency], str | None]


def cost_dict(costs: Efficiency) -> Json:
    """Return the report's form, for one recipe."""
    row = to_plain(costs)
    return {
        "latency": {name: row[name] for name in ("ttft_s", "tpot_s", "duration_s")},
        "generation": {
            "throughput_tokens_per_s": costs.throughput,
            "new_tokens": costs.new_tokens,
            "busy_s": costs.busy_s,
            "contended": costs.contended,
        },
        "prefill": {"latency_s": row["prefill_s"], "prompt_tokens": costs.stream_prompt_tokens},
        "decode": {"latency_per_token_s": row["decode_s"]},
        "memory": {"model_bytes": costs.model_bytes, "peak_bytes": costs.peak_memory_bytes},
        "energy": energy_dict(costs),
        "timing": timing_dict(costs),
        "simulated": costs.simulated,
        "drafted": costs.drafted,
        "slower": _describe_slowdown(costs.slower),
    }


def _describe_slowdown(slower: Slowdown | None) -> str:
    """Say how a recipe is slower; only one that is slower both ways has no speed-up."""
    if slower is None:
        return ""
    parts = []
    if slower.stream_s:
        base, own = slower.stream_s
        parts.append(f"single stream {1000 * own:.1f} ms per token against {1000 * base:.1f}")
    if slower.throughput:
        base, own = slower.throughput
        parts.append(f"batch {own:.0f} tokens/s against {base:.0f}")
    both = "no speed-up on this device, " if slower.stream_s and slower.throughput else ""
    return f"{both}slower than {slower.baseline}: {'; '.join(parts)}"


def cost_lines(summary: Summary) -> Iterator[Line]:
    """Yield the table and its notes; nothing where nothing was measured."""
    rows = _rows(summary)
    if not rows:
        return
    yield Line("")
    yield from table([["cost", *summary.efficiency], *rows], right=True)
    if any(costs.simulated for costs in summary.efficiency.values()):
        what = "speed, peak memory and energy are not the recipe's"
        rounded = "weights or cache" if any(facts.cache for facts in summary.recipes.values()) else "weights"
        yield Line(f"  (…) simulated: {rounded} are rounded but computed in float, so {what}")
    if drafted := [name for name, costs in summary.efficiency.items() if costs.drafted]:
        left_out = "what generating cost is left out"
        yield Line(f"  {', '.join(drafted)}: completions were drafted from the baseline's, so {left_out}")
    yield from (Line(f"  {note}") for note in energy_notes(list(summary.efficiency.values())))
    yield from (Line(f"  {note}", "yellow" if "contended" in note else None) for note in timing_notes(summary))
    if summary.planned and summary.run.saved_baseline and summary.baseline in summary.efficiency:
        yield Line(f"  {summary.baseline}: {_describe_saved(summary)}", "yellow")
    for name, costs in summary.efficiency.items():
        if costs.slower:
            yield Line(f"  {name}: {_describe_slowdown(costs.slower)}", "yellow")
    told = {name: facts for name, facts in summary.recipes.items() if facts.execution != "server"}
    # What a server cannot do is said before the numbers.
    for names, note in say_once((name, note) for name, facts in told.items() for note in facts.notes):
        yield Line(f"  {names}: {note}", "yellow")
    decodings = ((name, facts.decoding) for name, facts in summary.recipes.items() if facts.decoding)
    for names, decoding in say_once((name, how) for name, how in decodings if how != "continuous batch"):
        yield Line(f"  {names} {'were' if ',' in names else 'was'} decoded by {decoding}", "yellow")


def _describe_saved(summary: Summary) -> str:
    """Say where the costs of a saved baseline are from, or why there are none."""
    origin, costs = summary.run.saved_baseline, summary.efficiency.get(summary.baseline or "")
    if origin and costs and costs.busy_s:
        return f"costs that were not measured in this run are from {origin['started_at']}"
    return (
        "the costs of generating are left out, because the completions are not all from one run of these problems on "
        "this machine with the same threads, workers and batch size; --qeval-baseline run measures them"
    )


def _rows(summary: Summary) -> list[list[str]]:
    """Return the rows that hold at least one number; parentheses mark what was measured on a simulation."""
    rows = [[f"  {label}", *(cell(facts) or "–" for facts in summary.recipes.values())] for label, cell in _LOADED]
    rows += [[f"  {label}", *(_shown(cell, costs) for costs in summary.efficiency.values())] for label, cell in _ROWS]
    return [row for row in rows if any(cell != "–" for cell in row[1:])]


def _quantized(facts: RecipeFacts) -> str | None:
    layers = facts.quantized_layers
    return f"{layers} ({facts.quantized_share or 0:.0%})" if layers else None


def _cache(facts: RecipeFacts) -> str | None:
    size = (facts.cache or {}).get("token_bytes")
    return f"{format_bytes(size)} packed" if size else None


def _quantize_s(facts: RecipeFacts) -> str | None:
    if not facts.quantized_layers or facts.quantize_s is None:
        return None
    calibrating = f" + {facts.calibration['duration_s']:.0f} calibrating" if facts.calibration else ""
    return f"{facts.quantize_s:.1f}{calibrating}"


_LOADED: Sequence[tuple[str, Callable[[RecipeFacts], str | None]]] = (
    ("quantized layers (share of parameters)", _quantized),
    ("bits per weight, whole model", lambda facts: _number(facts.bits_per_weight, ".1f")),
    ("key/value cache of a token", _cache),
    ("loading, s", lambda facts: _number(facts.load_s, ".1f")),
    ("quantizing, s", _quantize_s),
    ("exported checkpoint", lambda facts: _size(facts.disk_bytes)),
)


def _shown(cell: _Cell, costs: Efficiency) -> str:
    text = cell(costs)
    if text is None:
        return "–"
    return f"({text})" if costs.simulated and cell is not _model else text


def _size(size: float | None) -> str | None:
    return None if size is None else format_bytes(size)


def _model(costs: Efficiency) -> str | None:
    """Return the size of the weights; where they are only simulated, their packed size, which is the recipe's own."""
    size = _size(costs.model_bytes)
    return f"{size} packed" if size and costs.packed else size


def _number(value: float | None, digits: str) -> str | None:
    return None if value is None else format(value, digits)


_ROWS: Sequence[tuple[str, _Cell]] = (
    ("throughput, tokens/s", lambda c: _number(c.throughput, ".0f")),
    ("generated tokens", lambda c: str(c.new_tokens) if c.new_tokens else None),
    ("TTFT, ms (p50 / p90 / p99)", lambda c: ms(c.ttft_s)),
    ("time per token in the batch, ms", lambda c: ms(c.tpot_s)),
    ("single stream, ms per token", lambda c: ms(c.decode_s, digits=1)),
    ("  times as fast as the baseline", lambda c: speedup_of(c, "decode-1")),
    ("8 streams, ms per step", lambda c: times_of(c, "decode-8", 1)),
    ("  times as fast as the baseline", lambda c: speedup_of(c, "decode-8")),
    ("32 streams, ms per step", lambda c: times_of(c, "decode-32", 1)),
    ("  times as fast as the baseline", lambda c: speedup_of(c, "decode-32")),
    ("single stream, prefill ms", lambda c: ms(c.prefill_s)),
    ("  times as fast as the baseline", lambda c: speedup_of(c, "prefill-128")),
    ("prefill of 512 tokens, ms", lambda c: times_of(c, "prefill-512")),
    ("  times as fast as the baseline", lambda c: speedup_of(c, "prefill-512")),
    ("whole problems, TTFT ms", lambda c: of_problems(c, "ttft")),
    ("whole problems, ms per token", lambda c: of_problems(c, "tpot")),
    ("model in memory", _model),
    ("peak memory of the process", lambda c: _size(c.peak_memory_bytes)),
    *ENERGY_ROWS,
)
