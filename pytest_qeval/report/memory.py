"""Memory: the report's section `memory`, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_qeval.measure.byte_sizes import format_bytes
from pytest_qeval.measure.memory_facts import MemoryFacts, MemoryPrediction, PhaseMemory
from pytest_qeval.report.plain import to_plain, without
from pytest_qeval.report.text import Line, table
from pytest_qeval.schema import Json
from pytest_qeval.summary.memory import MemoryUse
from pytest_qeval.summary.results import Summary


def memory_dict(use: MemoryUse) -> Json:
    """Return the report's form, for one recipe."""
    return {
        "budget_bytes": use.budget_bytes,
        "fits": use.fits,
        "over_bytes": use.over_bytes,
        "peak_bytes": use.peak_bytes,
        "peak_origin": use.peak_origin,
        "predicted": _predicted(use.predicted) if use.predicted else None,
        "measured": without(use.measured, "recipe", "predicted") if use.measured else None,
    }


def _predicted(one: MemoryPrediction) -> Json:
    return {
        **without(one, "recipe"),
        "parts": to_plain(one.parts),
        "model_bytes": one.model_bytes,
        "peak_bytes": one.peak_bytes,
    }


def memory_lines(summary: Summary) -> Iterator[Line]:
    """Yield a table of what was measured in processes of their own, and whether each recipe fits in the budget."""
    measured = [use for use in summary.memory.values() if use.measured]
    if summary.memory:
        yield Line("")
    if measured:
        rows = [[f"  {label}", *(_cell(cell, use) for use in measured)] for label, cell in _ROWS]
        rows = [row for row in rows if any(cell != "–" for cell in row[1:])]
        yield from table([["memory, in a fresh process", *(use.recipe for use in measured)], *rows], right=True)
    if any(use.measured and use.measured.simulated for use in measured):
        yield Line("  simulated recipes hold their weights or cache in floating point: such a peak is not the recipe's")
    for use in summary.memory.values():
        if use.budget_bytes is not None:
            yield _budget_line(use, use.budget_bytes)


def _budget_line(use: MemoryUse, budget: int) -> Line:
    predicted = f"predicted {format_bytes(use.predicted.peak_bytes)}" if use.predicted else ""
    peak = f"measured {format_bytes(use.peak_bytes)} ({use.peak_origin})" if use.peak_bytes else "not measured"
    over = use.over_bytes or 0
    words = f"exceeds it by {format_bytes(over)}" if over > 0 else f"fits, {format_bytes(-over)} to spare"
    text = f"  {use.recipe}: budget {format_bytes(budget)}: {words}; peak {predicted}, {peak}"
    return Line(text, "red" if over > 0 else "green")


def _cell(cell: Callable[[MemoryUse, MemoryFacts], str | None], use: MemoryUse) -> str:
    return (cell(use, use.measured) if use.measured else None) or "–"


def _phase(phase: PhaseMemory | None) -> str | None:
    if phase is None:
        return None
    apart = " + ".join(f"{size / 1e9:.2f}" for size in (phase.private_bytes, phase.mapped_bytes, phase.shared_bytes))
    return f"{format_bytes(phase.peak_bytes)} ({apart})"


def _predicted_peak(use: MemoryUse, _: MemoryFacts) -> str | None:
    if use.predicted is None or not use.peak_bytes:
        return None
    error = use.predicted.peak_bytes / use.peak_bytes - 1
    return f"{format_bytes(use.predicted.peak_bytes)} ({error:+.0%})".replace("-", "−")


def _cache(_: MemoryUse, facts: MemoryFacts) -> str | None:
    if facts.cache_bytes is None:
        return None
    measured, formula = format_bytes(facts.cache_bytes), facts.predicted
    if formula is None:
        return measured
    held = formula.held_cache_bytes or formula.cache_bytes
    packed = f" ({format_bytes(formula.cache_bytes)} packed)" if held != formula.cache_bytes else ""
    return f"{measured}, by formula {format_bytes(held)}{packed}"


_ROWS: Sequence[tuple[str, Callable[[MemoryUse, MemoryFacts], str | None]]] = (
    ("batch × context, tokens", lambda _, facts: f"{facts.shape.batch_size} × {facts.shape.context_tokens}"),
    ("Python, torch, this package", lambda _, facts: format_bytes(facts.runtime_bytes)),
    ("weight files that were read", lambda _, facts: format_bytes(facts.files_bytes) if facts.files_bytes else None),
    ("model", lambda _, facts: format_bytes(facts.model_bytes)),
    ("key/value cache", _cache),
    ("peak while loading (GB private + mapped + shared)", lambda _, facts: _phase(facts.loading)),
    ("peak while quantizing", lambda _, facts: _phase(facts.quantizing)),
    ("peak while decoding", lambda _, facts: _phase(facts.decoding)),
    (
        "peak of the CUDA allocator",
        lambda _, facts: format_bytes(facts.device_peak_bytes) if facts.device_peak_bytes else None,
    ),
    ("peak, predicted before loading", _predicted_peak),
)
