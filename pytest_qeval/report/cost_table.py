"""The cost part of the terminal summary: one row a quantity, one column a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_qeval.facts import RecipeFacts
from pytest_qeval.summary.results import Efficiency, Percentiles, Summary

__all__ = ["cost_rows", "saved_costs"]

_Cell = Callable[[Efficiency], str | None]


def cost_rows(summary: Summary) -> list[list[str]]:
    """Return the rows that hold at least one number; parentheses say that it was measured on a simulation."""
    columns = list(summary.efficiency.values())
    rows = [[f"  {label}", *(cell(facts) or "–" for facts in summary.recipes.values())] for label, cell in _DONE]
    rows += [[f"  {label}", *(_shown(cell, costs) for costs in columns)] for label, cell in _ROWS]
    return [row for row in rows if any(cell != "–" for cell in row[1:])]


def saved_costs(summary: Summary) -> str:
    """Say whose costs stand under a baseline that was not run, or not as a whole, or why there are none."""
    origin, costs = summary.run.saved_baseline, summary.efficiency.get(summary.baseline or "")
    if origin and costs and costs.busy_s:
        return f"costs that were not measured in this run are those of {origin['started_at']}"
    return (
        "what generating took is left out: not all answers are of one run of these problems, on this machine with the "
        "same threads, workers and batch size; --qeval-baseline run measures it"
    )


def _quantized(facts: RecipeFacts) -> str | None:
    if not facts.quantized_layers:
        return None
    return f"{facts.quantized_layers} ({facts.quantized_share or 0:.0%})"


def _bits(facts: RecipeFacts) -> str | None:
    return None if facts.bits_per_weight is None else f"{facts.bits_per_weight:.1f}"


def _seconds(facts: RecipeFacts) -> str | None:
    if not facts.quantized_layers or facts.quantize_s is None:
        return None
    calibrating = f" + {facts.calibration['duration_s']:.0f} calibrating" if facts.calibration else ""
    return f"{facts.quantize_s:.1f}{calibrating}"


_DONE: Sequence[tuple[str, Callable[[RecipeFacts], str | None]]] = (
    ("quantized layers (share of parameters)", _quantized),
    ("bits per weight, whole model", _bits),
    ("quantizing, s", _seconds),
    ("exported checkpoint", lambda facts: _size(facts.disk_bytes)),
)


def _shown(cell: _Cell, costs: Efficiency) -> str:
    text = cell(costs)
    if text is None:
        return "–"
    return f"({text})" if costs.simulated and cell is not _model else text


def _spread(of: Callable[[Efficiency], Percentiles | None], *, scale: float = 1000.0, digits: int = 0) -> _Cell:
    def cell(costs: Efficiency) -> str | None:
        spread = of(costs)
        if spread is None:
            return None
        return " / ".join(f"{scale * value:.{digits}f}" for value in (spread.p50, spread.p90, spread.p99))

    return cell


def _size(size: float | None) -> str | None:
    if size is None:
        return None
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004 - decimal units, as on a disk's label
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def _model(costs: Efficiency) -> str | None:
    """Return what the weights take; where they are only simulated, what they would: that is the recipe's own."""
    size = _size(costs.model_bytes)
    return f"{size} packed" if size and costs.simulated else size


def _number(value: float | None, digits: str) -> str | None:
    return None if value is None else format(value, digits)


_ROWS: Sequence[tuple[str, _Cell]] = (
    ("throughput, tokens/s", lambda c: _number(c.throughput, ".0f")),
    ("generated tokens", lambda c: str(c.new_tokens) if c.new_tokens else None),
    ("TTFT, ms (p50 / p90 / p99)", _spread(lambda c: c.ttft_s)),
    ("time per token in the batch, ms", _spread(lambda c: c.tpot_s)),
    ("single stream, ms per token", _spread(lambda c: c.decode_s, digits=1)),
    ("single stream, prefill ms", _spread(lambda c: c.prefill_s)),
    ("model in memory", _model),
    ("peak memory of the process", lambda c: _size(c.peak_memory_bytes)),
    ("energy of generating, Wh", lambda c: _number(c.energy.energy_wh, ".3g")),
    ("emissions, gCO2e", lambda c: _number(c.energy.emissions_g, ".3g")),
    ("energy per solved problem, mWh", lambda c: _number(c.wh_per_solved and 1000 * c.wh_per_solved, ".3g")),
)
