"""What has to be equal before a saved baseline may stand in for one that is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any as Settings

from pytest_qeval.facts import RunHeader
from pytest_qeval.schema import Json

__all__ = ["benchmark_key", "cache_name", "cost_key", "key_of"]

_PACKAGES = ("pytest-qeval", "torch", "transformers", "tokenizers")
"""Whose versions may change an answer."""


def key_of(settings: Settings, run: RunHeader) -> Json:
    """Return the conditions of a run's baseline, as far as answers depend on them, as a flat mapping.

    `benchmark_key` has those of the data; the device, which is known when a model is loaded, is compared then. The
    precision follows from the weights, the recipe and the versions.
    """
    execution = {
        "execution.timeout_s": settings.execution.timeout_s,
        "execution.memory_bytes": settings.execution.memory_bytes,
    }
    if settings.replays:
        return execution  # nothing is known about who answered, and how
    model = run.baseline_model or run.model
    # Weights that are known make the name irrelevant, but not what lies beside them.
    which = ("weights_sha256", "files_sha256") if model.get("weights_sha256") else ("id", "revision")
    return {
        **{f"model.{name}": model.get(name) for name in which},
        "engine": run.engine,
        **{f"generation.{name}": value for name, value in asdict(settings.generation).items()},
        **execution,
        **{f"versions.{name}": run.versions[name] for name in _PACKAGES if name in run.versions},
    }


def benchmark_key(benchmarks: Mapping[str, Json]) -> Json:
    """Return the checksums of the benchmarks' data."""
    return {f"benchmarks.{name}": facts["sha256"] for name, facts in benchmarks.items()}


def cost_key(settings: Settings, run: RunHeader, *, n_workers: int) -> Json:
    """Return the conditions that costs depend on, and answers do not."""
    return {
        **{f"costs.{name}": run.host.get(name) for name in ("system", "cpu", "cores", "ram_bytes")},
        "costs.device": settings.model.device,
        "costs.threads": settings.model.threads,
        "costs.batch_size": settings.model.batch_size,
        "costs.workers": n_workers,
    }


def cache_name(settings: Settings, run: RunHeader) -> str | None:
    """Name the file that keeps this run's baseline; None where the weights are not known."""
    if not run.model.get("weights_sha256"):
        return None
    key = {**key_of(settings, run), **cost_key(settings, run, n_workers=1), "baseline": settings.baseline}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return f"{digest[:20]}.json.gz"
