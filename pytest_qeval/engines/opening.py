"""How the engine `transformers` is found and opened, without importing torch before a model is really loaded."""

from __future__ import annotations

from importlib.util import find_spec

from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.fingerprint import weights_sha256
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Json
from pytest_qeval.settings import Settings

__all__ = ["TRANSFORMERS"]


def check(settings: Settings) -> Json:
    """Find the model and say what it is; see `EngineSource.check`."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingPackageError(package, extra="transformers", purpose="running a model")
    source = resolve(settings.model)
    return {
        "id": source.name,
        "source": source.kind,
        "revision": source.revision,
        "weights_sha256": weights_sha256(source),
    }


def open_engine(settings: Settings, recipe: Recipe) -> ModelEngine:
    """Load the model and apply the recipe; see `EngineSource.open`."""
    from pytest_qeval.engines.transformers import TransformersEngine  # noqa: PLC0415 - imports torch

    return TransformersEngine(
        source=resolve(settings.model), recipe=recipe, model=settings.model, generation=settings.generation
    )


TRANSFORMERS = EngineSource(
    name="transformers",
    summary="Hugging Face transformers in this process, decoding all cases of a recipe in one continuous batch",
    check=check,
    open=open_engine,
)
