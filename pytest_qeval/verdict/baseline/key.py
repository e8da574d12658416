"""The key of a baseline: conditions that have to be equal before a saved baseline stands in for one that is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_qeval.facts import RunHeader
from pytest_qeval.schema import Json
from pytest_qeval.settings import ExecutionSettings, ModelSettings
from pytest_qeval.verdict.baseline.location import cache_folder

REMEDY = "make the baseline again with --qeval-save-baseline"
_PACKAGES = ("pytest-qeval", "torch", "transformers", "tokenizers")
"""Packages whose version may change a completion."""


def key_of(run: RunHeader, *, execution: ExecutionSettings, replays: bool) -> Json:
    """Return the conditions that a baseline's results depend on, as a flat mapping.

    `benchmark_key` has those of the data. The device is known once a model is loaded, and compared then. The precision
    follows from the weights, the recipe and the versions.

    Args:
        run: The header; its model, engine, generation and versions count.
        execution: Limits of the programs.
        replays: Whether completions come from a file: nothing is known then about their model.
    """
    limits = {"execution.timeout_s": execution.timeout_s, "execution.memory_bytes": execution.memory_bytes}
    if replays:
        return limits
    model = run.baseline_model or run.model
    # Known weights make the name irrelevant, but not the files beside them.
    which = ("weights_sha256", "files_sha256") if model.get("weights_sha256") else ("id", "revision")
    return {
        **{f"model.{name}": model.get(name) for name in which},
        "engine": run.engine,
        **{f"generation.{name}": value for name, value in run.generation.items()},
        **limits,
        **{f"versions.{name}": run.versions[name] for name in _PACKAGES if name in run.versions},
    }


def benchmark_key(checksums: Mapping[str, str]) -> Json:
    """Return the conditions that are the data: SHA-256 by name of benchmark."""
    return {f"benchmarks.{name}": sha256 for name, sha256 in checksums.items()}


def cost_key(run: RunHeader, *, model: ModelSettings, n_workers: int) -> Json:
    """Return the conditions that costs depend on, and results do not."""
    return {
        **{f"costs.{name}": run.host.get(name) for name in ("system", "cpu", "cores", "ram_bytes")},
        "costs.device": model.device,
        "costs.threads": model.threads,
        "costs.batch_size": model.batch_size,
        "costs.workers": n_workers,
    }


def cache_path(
    run: RunHeader, *, baseline: str | None, execution: ExecutionSettings, model: ModelSettings
) -> Path | None:
    """Return the path of this run's baseline in the cache; None where the weights are not known.

    The name is a digest of everything that results and costs depend on.
    """
    if not run.model.get("weights_sha256"):
        return None
    results, costs = key_of(run, execution=execution, replays=False), cost_key(run, model=model, n_workers=1)
    key = json.dumps({**results, **costs, "baseline": baseline}, sort_keys=True)
    return cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json.gz"


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one line for each condition of a run that a baseline does not share; others of the baseline do not count.

    Example: `generation.max_new_tokens: 512 here, 256 there`.
    """
    return tuple(
        f"{name}: {_shown(value)} here, {_shown(theirs[name]) if name in theirs else 'unknown'} there"
        for name, value in ours.items()
        if name not in theirs or theirs[name] != value
    )


def refusal(path: Path, found: Sequence[str]) -> str:
    """Return the message about differing conditions, with the ways out."""
    return (
        f"{path} was made under other conditions ({'; '.join(found)}): "
        f"{REMEDY}, or accept the differences with --qeval-baseline-force."
    )


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
