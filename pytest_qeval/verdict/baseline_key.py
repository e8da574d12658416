"""What has to be equal before a saved baseline may stand in for one that is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

from pytest_qeval.facts import RecipeFacts, RunHeader
from pytest_qeval.schema import Json
from pytest_qeval.settings import Settings

__all__ = ["benchmark_key", "cache_name", "key_of"]

_PACKAGES = ("pytest-qeval", "torch", "transformers", "tokenizers")
"""Whose versions may change an answer."""
_HERE = ("system", "cpu", "cores")
"""What costs depend on: a cached baseline is used on the machine that made it."""


def key_of(settings: Settings, run: RunHeader, facts: RecipeFacts | None = None) -> Json:
    """Give the conditions of a run's baseline as a flat mapping; `benchmark_key` has those of the data.

    Args:
        settings: Of the run.
        run: Its header.
        facts: The loaded baseline's; without them, what only a loaded model knows is left out.
    """
    if settings.completions:
        return {}  # nothing is known about who answered, and how
    model = run.baseline_model or run.model
    # Weights that are known make name and folder irrelevant.
    which = ("weights_sha256",) if model.get("weights_sha256") else ("id", "revision")
    loaded = {"dtype": facts.dtype, "device": facts.device} if facts else {}
    return {
        **{f"model.{name}": model.get(name) for name in which},
        "engine": run.engine,
        **loaded,
        **{f"generation.{name}": value for name, value in asdict(settings.generation).items()},
        "execution.timeout_s": settings.execution.timeout_s,
        "execution.memory_bytes": settings.execution.memory_bytes,
        **{f"versions.{name}": run.versions[name] for name in _PACKAGES if name in run.versions},
    }


def benchmark_key(benchmarks: Mapping[str, Json]) -> Json:
    """Give the checksums of the benchmarks' data."""
    return {f"benchmarks.{name}": facts["sha256"] for name, facts in benchmarks.items()}


def cache_name(settings: Settings, run: RunHeader) -> str | None:
    """Name the file that keeps this run's baseline; None where the weights are not known."""
    if not run.model.get("weights_sha256"):
        return None
    key = {
        **key_of(settings, run),
        **{f"host.{name}": run.host.get(name) for name in _HERE},
        "baseline": settings.baseline,
        "device": settings.model.device,
        "threads": settings.model.threads,
        "batch_size": settings.model.batch_size,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return f"{digest[:20]}.json.gz"
