"""The key of a baseline: conditions that have to be equal before a saved baseline stands in for one that is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_qeval.facts import BenchmarkFacts, RecipeFacts, RunHeader
from pytest_qeval.measure.machine import usable_cores
from pytest_qeval.schema import Case, Json
from pytest_qeval.settings import ExecutionSettings, ModelSettings

REMEDY = "make the baseline again with --qeval-save-baseline"
_JUDGES = ("python", "pytest-qeval")
"""Whose version may change what becomes of a completion."""
_GENERATORS = ("torch", "transformers", "tokenizers")
"""Whose version may change a completion."""


def key_of(run: RunHeader, *, execution: ExecutionSettings, replays: bool, any_engine: bool = False) -> Json:
    """Return the conditions that a baseline's results depend on, as a flat mapping: all that may change an outcome.

    `benchmark_key` has those of the data. What only changes costs is in `cost_key`, whatever else of a setting is
    neither; a test goes through all settings.

    Args:
        run: The header.
        execution: Limits of the programs.
        replays: Whether completions come from a file: nothing is known then about their model.
        any_engine: Whether a baseline may be of another engine, and so of other files, as for candidates on servers;
            the comparability says what differs.
    """
    judging = {
        "execution.sandbox": run.sandbox,
        "execution.timeout_s": execution.timeout_s,
        "execution.memory_bytes": execution.memory_bytes,
        **_versions(run, _JUDGES),
    }
    generation = {f"generation.{name}": value for name, value in run.generation.items()}
    if replays:
        return judging
    if any_engine:
        return {**generation, **judging}
    model = run.baseline_model or run.model
    return {
        **{f"model.{name}": model.get(name) for name in _identity(model) or ("id", "revision")},
        "engine": run.engine,
        **run.conditions,
        **generation,
        **judging,
        **_versions(run, _GENERATORS),
    }


def _versions(run: RunHeader, packages: Sequence[str]) -> Json:
    return {f"versions.{name}": run.versions[name] for name in packages if name in run.versions}


def _identity(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the fields of `run.model` that identify its files; none where only name and revision are known.

    A hub model is its commit, whether its files are here or still to be fetched. Known weights make the name
    irrelevant, but not the files beside them.
    """
    if model.get("commit"):
        return ("id", "commit")
    return ("weights_sha256", "files_sha256") if model.get("weights_sha256") else ()


def benchmark_key(benchmarks: Iterable[BenchmarkFacts]) -> Json:
    """Return the conditions that belong to benchmarks: SHA-256 of the data, and how a suffix is shown where it is."""
    found = {one.name: one for one in benchmarks}
    return {
        **{f"benchmarks.{name}": one.sha256 for name, one in found.items()},
        **{f"infilling.{name}": one.infilling for name, one in found.items() if one.infilling},
    }


def recipe_key(facts: RecipeFacts) -> Json:
    """Return what was done to the baseline's model, known once it is loaded: records of two recipes are not mixed."""
    done = {
        "scheme": [facts.scheme, facts.weights, facts.activations, facts.kept],
        "layers": [[layer.get(name) for name in ("name", "bits", "granularity")] for layer in facts.layers],
        "texts": (facts.calibration or {}).get("texts_sha256"),
    }
    if facts.cache:
        done["cache"] = [facts.cache.get(name) for name in ("bits", "granularity", "symmetric")]
    digest = hashlib.sha256(json.dumps(done, sort_keys=True).encode()).hexdigest()
    return {"dtype": facts.dtype, "recipe_sha256": digest} if facts.dtype else {}


def batch_key(facts: RecipeFacts, composition: Mapping[str, Any]) -> Json:
    """Return what completions depend on where the engine is not batch-invariant, known once a model is loaded."""
    ours = facts.batch_dependence and facts.execution != "server"  # whose batches nobody can repeat
    return {"batch.size": facts.batch_size, **composition} if ours else {}


def composition_of(cases: Iterable[Case], *, threads: int | None, n_workers: int) -> Json:
    """Return what of a run decides which rows are computed together, and by how many threads.

    Args:
        cases: All cases of the run, in their order.
        threads: Of each process; None for all cores.
        n_workers: Number of processes that share the cases.
    """
    rows = "\n".join(f"{case.benchmark} {case.label}" for case in dict.fromkeys(cases))
    return {
        "batch.cases_sha256": hashlib.sha256(rows.encode()).hexdigest()[:12],
        "batch.threads": (threads or usable_cores()) if n_workers == 1 else None,  # else follows from the workers
        "batch.workers": n_workers,
    }


def cost_key(run: RunHeader, *, model: ModelSettings, execution: ExecutionSettings, n_workers: int) -> Json:
    """Return the conditions that costs depend on, and results do not."""
    return {
        **{f"costs.{name}": run.host.get(name) for name in ("system", "cpu", "cores", "ram_bytes")},
        "costs.threads": model.threads,
        "costs.batch_size": model.batch_size,
        "costs.workers": n_workers,
        "costs.sandboxes": execution.workers,
        "costs.codecarbon": run.versions.get("codecarbon"),
        "costs.country": run.energy.get("country"),
        "costs.power_w": run.energy.get("power_w"),
    }


def cache_path(
    run: RunHeader, *, baseline: str | None, execution: ExecutionSettings, model: ModelSettings
) -> Path | None:
    """Return the path of this run's baseline in the cache; None where the model's files are not identified.

    The name is a digest of everything that results and costs depend on.
    """
    if not _identity(run.model):
        return None
    costs = cost_key(run, model=model, execution=execution, n_workers=1)
    key = json.dumps({**key_of(run, execution=execution, replays=False), **costs, "baseline": baseline}, sort_keys=True)
    return cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json.gz"


def cache_folder() -> Path:
    """Return the folder of cached baselines under the user's cache folder."""
    import platformdirs  # noqa: PLC0415 - only for active sessions

    return platformdirs.user_cache_path("pytest-qeval") / "baselines"


def differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], words: str = "{ours} here, {theirs} there"
) -> tuple[str, ...]:
    """Return one line for each condition of a run that a baseline does not share; others of the baseline do not count.

    Example: `generation.max_new_tokens: 512 here, 256 there`.
    """
    return tuple(
        f"{name}: " + words.format(ours=_shown(value), theirs=_shown(theirs[name]) if name in theirs else "unknown")
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
