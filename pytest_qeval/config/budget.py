"""Hold every recipe of a run to `--qeval-ram-budget` before anything is loaded."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.engines.fit.predict import PROMPT_TOKENS, predict
from pytest_qeval.engines.fit.read import shape_of
from pytest_qeval.errors import UsageError, about
from pytest_qeval.measure.byte_sizes import format_bytes
from pytest_qeval.measure.memory_facts import BudgetFacts, MemoryPrediction


def with_budget(settings: RunSettings, budget_bytes: int | None, *, n_workers: int) -> RunSettings:
    """Predict every recipe that is run, and let the engine plan within the budget; each worker has an equal share.

    Raises:
        UsageError: when the prediction of a recipe exceeds the budget, with by how much and what to do.
    """
    resolved = settings.resolved
    if budget_bytes is None or resolved is None:
        return settings
    if settings.model.engine != "transformers":
        raise UsageError(
            f"--qeval-ram-budget is predicted for the engine transformers only, not for {settings.model.engine}: leave "
            "one of the two out."
        )
    share = budget_bytes // n_workers
    with about("ram-budget"):
        loaded = [name for name in settings.run_names if settings.in_process(name)]
        found = {name: _predict(settings, resolved, name, share) for name in loaded}
        for one in found.values():
            _check(one, share, n_workers=n_workers)
    runtime = max((one.runtime_bytes for one in found.values()), default=0)
    memory = min(settings.model.memory_bytes or share, share - runtime)
    return replace(
        settings,
        model=replace(settings.model, memory_bytes=memory),
        budgets={name: BudgetFacts(recipe=name, budget_bytes=share, predicted=one) for name, one in found.items()},
    )


def _predict(settings: RunSettings, resolved: ResolvedModel, name: str, share: int) -> MemoryPrediction:
    recipe = settings.recipe(name)
    return predict(
        shape_of(resolved.source_of(recipe)),
        recipe,
        budget_bytes=share,
        batch_size=settings.model.batch_size,
        context_tokens=PROMPT_TOKENS + settings.generation.max_new_tokens,
    )


def _check(one: MemoryPrediction, share: int, *, n_workers: int) -> None:
    over = one.peak_bytes - share
    if over <= 0:
        return
    each = f" for each of {n_workers} workers" if n_workers > 1 else ""
    if one.loading_bytes > share:
        what = f"loading and quantizing peaks at {format_bytes(one.loading_bytes)}"
        remedy = "choose a smaller model or a recipe that needs less (--qeval-fit compares them)"
    else:
        shape = f"{one.shape.batch_size} × {one.shape.context_tokens} tokens"
        what = f"decoding {shape} peaks at {format_bytes(one.decoding_bytes)}"
        remedy = "lower --qeval-batch-size or --qeval-max-new-tokens"
    raise UsageError(
        f"{one.recipe} does not fit in --qeval-ram-budget: {what} by prediction, {format_bytes(over)} more than the "
        f"{format_bytes(share)}{each}. Raise the budget, {remedy}, or leave the recipe out (the "
        "baseline by --qeval-baseline none)."
    )
