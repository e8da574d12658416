"""The table of `--qeval-fit`: what each recipe needs, and what fits in the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_qeval.measure.byte_sizes import format_bytes
from pytest_qeval.measure.memory_facts import MemoryPrediction
from pytest_qeval.report.text import Line, table

_ROWS: Sequence[tuple[str, Callable[[MemoryPrediction], int | None]]] = (
    ("quantized layers", lambda one: one.parts.quantized),
    ("scales", lambda one: one.parts.scales),
    ("layers kept in floating point", lambda one: one.parts.kept),
    ("embeddings and output layer", lambda one: one.parts.embeddings),
    ("norms and biases", lambda one: one.parts.others),
    ("model", lambda one: one.model_bytes),
    ("as held in memory", lambda one: one.resident_bytes if one.resident_bytes != one.model_bytes else None),
    ("Python, torch, tokenizer", lambda one: one.runtime_bytes),
    ("key/value cache, per token", lambda one: one.cache_token_bytes),
    ("key/value cache of the batch", lambda one: one.cache_bytes),
    ("cache as held in memory", lambda one: one.held_cache_bytes if one.held_cache_bytes != one.cache_bytes else None),
    ("activations and logits", lambda one: one.working_bytes),
    ("peak while loading and quantizing", lambda one: one.loading_bytes),
    ("peak while decoding", lambda one: one.decoding_bytes),
)


def fit_lines(
    headline: str, predictions: Sequence[MemoryPrediction], *, budget_bytes: int, budget_origin: str
) -> Iterator[Line]:
    """Yield the table, one column per recipe, and a line for each recipe that says whether it fits."""
    yield Line(headline, "bold")
    yield Line(f"budget: {format_bytes(budget_bytes)} ({budget_origin}); all numbers are estimated")
    yield Line("")
    yield from table([["memory", *(one.recipe for one in predictions)], *_table_rows(predictions)], right=True)
    yield Line("")
    for one in predictions:
        yield fit_line(one, budget_bytes)
        yield from (Line(f"    {note}", "yellow") for note in one.notes)


def fit_line(one: MemoryPrediction, budget_bytes: int) -> Line:
    """Say whether a recipe fits, by how much, and what else would."""
    room = budget_bytes - one.peak_bytes
    fits = f"fits, {format_bytes(room)} to spare" if room >= 0 else f"does not fit: {format_bytes(-room)} too much"
    shape = f"{one.shape.batch_size} × {one.shape.context_tokens} tokens"
    text = f"  {one.recipe}: {fits} (peak {format_bytes(one.peak_bytes)}, {shape})"
    return Line(f"{text}; {_limits(one)}", "green" if room >= 0 else "red")


def _limits(one: MemoryPrediction) -> str:
    if not one.longest_context:
        return "no context fits"
    widest = ", ".join(f"{rows} at {tokens} tokens" for tokens, rows in one.widest_batch.items())
    return f"longest context at batch 1: {one.longest_context}" + (f"; widest batch: {widest}" if widest else "")


def _table_rows(predictions: Sequence[MemoryPrediction]) -> Iterator[list[str]]:
    for label, size in _ROWS:
        cells = [size(one) for one in predictions]
        if any(cells):
            yield [f"  {label}", *("–" if cell is None else format_bytes(cell) for cell in cells)]
    shapes = [f"{one.shape.batch_size} × {one.shape.context_tokens}" for one in predictions]
    yield ["  batch × context, tokens", *shapes]
