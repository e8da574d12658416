"""How the engine `transformers` is found and opened, without importing torch before a model is really loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from pytest_qeval.engines import templates
from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.fingerprint import files_sha256, weights_sha256
from pytest_qeval.engines.sources import is_encoder_decoder, resolve
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.quantize.corpus import CalibrationTexts, calibration_texts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Json
from pytest_qeval.settings import ModelSettings, Settings, file_stem

__all__ = ["TRANSFORMERS"]


def check(model: ModelSettings) -> Json:
    """Find the model and say what it is; see `EngineSource.check`."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingPackageError(package, extra="transformers", purpose="running a model")
    source = resolve(model)
    if model.device not in {"auto", "cpu"}:
        with _no_warnings():
            from pytest_qeval.engines.hf.loading import choose_device  # noqa: PLC0415 - imports torch, which auto need not
        choose_device(model.device)
    return {
        "id": source.name,
        "source": source.kind,
        "revision": source.revision,
        "weights_sha256": weights_sha256(source),
        "files_sha256": files_sha256(source),
    }


def stored(model: ModelSettings) -> str:
    """Say how a checkpoint is already quantized; see `EngineSource.stored`."""
    return resolve(model).stored


def has_chat_template(model: ModelSettings) -> bool:
    """Return whether the model's tokenizer has a chat template; see `EngineSource.has_chat_template`."""
    return templates.has_chat_template(resolve(model))


def open_engine(settings: Settings, recipe: Recipe, model: ModelSettings) -> ModelEngine:
    """Load the model and apply the recipe; see `EngineSource.open`."""
    with _no_warnings():  # where torchao is installed, it says which kernels of other devices it cannot load
        from pytest_qeval.engines.hf.engine import TransformersEngine  # noqa: PLC0415 - imports torch

    return TransformersEngine(
        source=resolve(model),
        recipe=recipe,
        model=model,
        generation=settings.generation,
        texts=_texts(settings, recipe),
        export=settings.export / file_stem(recipe.name)
        if settings.export and recipe.quantizes and recipe.name in settings.recipes
        else None,
    )


def sensitivity(
    settings: Settings, recipe: Recipe, model: ModelSettings, solved: Sequence[tuple[str, str]]
) -> SensitivityFacts:
    """Quantize one block at a time; see `EngineSource.sensitivity`."""
    with _no_warnings():
        from pytest_qeval.engines.hf.sensitivity import measure_sensitivity  # noqa: PLC0415 - imports torch
    return measure_sensitivity(
        resolve(model),
        recipe,
        solved,
        device=model.device,
        threads=model.threads,
        texts=_texts(settings, recipe),
    )


def _texts(settings: Settings, recipe: Recipe) -> CalibrationTexts | None:
    plan, seed = recipe.calibration, settings.generation.seed
    if plan is None:
        return None
    source = settings.calibration.source
    return calibration_texts(source, samples=plan.samples, characters=plan.characters, seed=seed)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep warnings that are logged off the terminal."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


TRANSFORMERS = EngineSource(
    name="transformers",
    summary="Hugging Face transformers in this process, decoding all cases of a recipe in one continuous batch",
    check=check,
    has_chat_template=has_chat_template,
    has_encoder=is_encoder_decoder,
    stored=stored,
    open=open_engine,
    sensitivity=sensitivity,
)
