"""The engine `transformers`, found and described without importing torch."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.engines import templates
from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.checkpoint_checks import check_checkpoint
from pytest_qeval.engines.fill_in_the_middle import find_form
from pytest_qeval.engines.fingerprint import files_sha256, weights_sha256
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.errors import EngineError, MissingPackageError, ModelSourceError, about
from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.measure.machine import cpu_class, may_have_gpu
from pytest_qeval.quantize.checkpoints.weight_files import GGUF_FLOATS, gguf_type
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import InfillingForm, Json, LoadingProgress
from pytest_qeval.settings import GenerationSettings, ModelSettings


class TransformersSource:
    """Hugging Face transformers in this process; see `EngineSource`."""

    name = "transformers"
    summary = "Hugging Face transformers in this process, decoding all cases of a recipe in one continuous batch"
    in_process = True

    def find(self, model: ModelSettings) -> ModelSource:
        """Find the model, and make sure that it can be loaded here."""
        for package in ("torch", "transformers"):
            if find_spec(package) is None:
                raise MissingPackageError(package, extra="transformers", purpose="running a model")
        source = resolve(model)
        with _no_warnings():
            check_checkpoint(source)
        if model.device not in {"auto", "cpu"}:
            with _importing():
                from pytest_qeval.engines.hf.loading import choose_device  # noqa: PLC0415 - imports torch
            choose_device(model.device)
        return source

    def describe(self, source: ModelSource) -> Json:
        """Return what the model is: by the checksums of its files, or by a hub model's commit, fetched or not."""
        return {
            "id": source.name,
            "source": source.kind,
            "revision": source.revision,
            "commit": source.commit,
            "weights_sha256": weights_sha256(source),
            "files_sha256": files_sha256(source),
            "quantization": _quantization(source),
            "made_from": source.made_from,
        }

    def conditions(self, model: ModelSettings) -> Json:
        """Return the class of the device: `cuda (NVIDIA H200)`, or `cpu (amx_bf16)` by the instruction set of products.

        Of 16 texts in bfloat16, 2 changed from AMX to AVX-512 (Qwen2.5-0.5B, torch 2.13, 2026-11).
        """
        if model.device == "cpu" or (model.device == "auto" and not may_have_gpu()):
            return {"device": cpu_class()}
        with _importing():
            from pytest_qeval.engines.hf.loading import device_class  # noqa: PLC0415 - imports torch
        return {"device": device_class(model.device)}

    def has_chat_template(self, source: ModelSource) -> bool:
        """Return whether the model's tokenizer has a chat template.

        Raises:
            ModelSourceError: when the template cannot render a single user message; a GGUF file's is not tried.
        """
        found = templates.has_chat_template(source)
        if found and source.kind != "gguf":  # whose tokenizer takes as long to load as a small model
            with _importing():
                from pytest_qeval.engines.hf.checkpoint import load_tokenizer  # noqa: PLC0415 - imports torch
            try:
                templates.render(load_tokenizer(source), "Add two numbers.", "")
            except EngineError as error:
                raise ModelSourceError(f"{source.name}: {error}") from error
        return found

    def infilling_form(self, source: ModelSource, template: str | None) -> InfillingForm:
        """Find the form by the tokens that the tokenizer has."""
        with _importing():
            from pytest_qeval.engines.hf.checkpoint import load_tokenizer  # noqa: PLC0415 - imports torch
        tokens = {str(token.content) for token in load_tokenizer(source).added_tokens_decoder.values()}
        with about("fim"):
            return find_form(tokens, template, name=source.name)

    def open(
        self,
        source: ModelSource,
        recipe: Recipe,
        *,
        model: ModelSettings,
        generation: GenerationSettings,
        texts: CalibrationTexts | None,
        export: Path | None,
        on_loading: Callable[[LoadingProgress], None] = lambda _: None,
    ) -> ModelEngine:
        """Load the model and apply the recipe."""
        with _importing():
            from pytest_qeval.engines.hf.engine import TransformersEngine  # noqa: PLC0415 - imports torch

        return TransformersEngine(
            source=source,
            recipe=recipe,
            model=model,
            generation=generation,
            texts=texts,
            export=export,
            on_loading=on_loading,
        )

    def sensitivity(
        self,
        source: ModelSource,
        recipe: Recipe,
        solutions: Sequence[tuple[str, str]],
        *,
        model: ModelSettings,
        texts: CalibrationTexts | None,
    ) -> SensitivityFacts:
        """Quantize one block at a time."""
        with _importing():
            from pytest_qeval.engines.hf.loading import check_fits  # noqa: PLC0415 - imports torch
            from pytest_qeval.engines.hf.sensitivity import measure_sensitivity  # noqa: PLC0415 - as above
        check_fits(source, recipe, model)
        return measure_sensitivity(source, recipe, solutions, device=model.device, threads=model.threads, texts=texts)


def _quantization(source: ModelSource) -> str:
    """Return how a checkpoint's own weights are quantized: `gptq`, `gguf Q4_K`; empty for floating point."""
    if source.kind != "gguf" or source.path is None:
        return source.stored
    kind = gguf_type(source.path)
    return "" if kind in GGUF_FLOATS else f"gguf {kind}"


@contextmanager
def _importing() -> Iterator[None]:
    """Import torch and transformers without warnings: torchao logs which kernels of other devices it cannot load.

    Importing makes half a million objects that live as long as the process. Without them, each pass of the garbage
    collector is faster by some tenths of a second, and so is the end of the process. Later imports freeze nothing: a
    model may be loaded, which has to be collected.
    """
    enabled, is_first = gc.isenabled(), "torch" not in sys.modules
    gc.disable()
    try:
        with _no_warnings():
            yield
    finally:
        if is_first:
            gc.freeze()
        if enabled:
            gc.enable()


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep warnings that are logged off the terminal."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


TRANSFORMERS: EngineSource = TransformersSource()
