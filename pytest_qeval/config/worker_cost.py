"""What several workers cost where one process uses the whole machine as well."""

from __future__ import annotations

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.engines.fit.read import shape_of
from pytest_qeval.engines.fit.weights import model_bytes
from pytest_qeval.errors import EngineError, UsageError
from pytest_qeval.measure.byte_sizes import format_bytes
from pytest_qeval.measure.machine import may_have_gpu, usable_cores


def worker_cost(settings: RunSettings, *, n_workers: int) -> str:
    """Return a sentence on memory and cores; empty where every worker brings a device of its own, or loads no model.

    Bytes are those of weights as each recipe holds them, by prediction, and the largest recipe's: a worker has one
    recipe at a time.
    """
    resolved, model = settings.resolved, settings.model
    runs_here = model.engine == "transformers" and not settings.replays and not settings.all_served
    if n_workers == 1 or resolved is None or not runs_here or model.device not in {"auto", "cpu"}:
        return ""
    if model.device == "auto" and may_have_gpu():
        return ""
    cores = usable_cores()
    share = f"{max(1, cores // n_workers)} of the {cores} cores" if cores > 1 else "a part of the only core"
    try:
        recipes = [settings.recipe(name) for name in settings.run_names if settings.in_process(name)]
        weights = max(model_bytes(shape_of(resolved.source_of(recipe)), recipe).resident for recipe in recipes)
    except (EngineError, UsageError):  # a model whose files do not tell is refused, or not, when it is loaded
        return ""
    return (
        f"-n {n_workers}: each worker has {share} and weights of its own, up to {format_bytes(n_workers * weights)} in "
        f"all by prediction; one process uses all cores with {format_bytes(weights)}"
    )
