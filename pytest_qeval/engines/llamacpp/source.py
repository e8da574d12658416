"""The engine `llamacpp`: a GGUF file, loaded by a `llama-server` of this run's own."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.llamacpp.cache_types import cache_arguments, cache_facts, cache_type
from pytest_qeval.engines.llamacpp.process import LlamaServer, find_program
from pytest_qeval.engines.openai.connection import ask
from pytest_qeval.engines.openai.identity import identify
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.engines.templates import has_chat_template
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import MissingPackageError, ModelSourceError
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import PREFIX_ONLY, InfillingForm, Json, LoadingProgress
from pytest_qeval.settings import GenerationSettings, LlamaSettings, ModelSettings, ServerSettings

_SLOTS = 8
"""Requests at a time unless the user says otherwise."""
_PROMPT_TOKENS = 2048
"""Room for a prompt beside the new tokens; the longest of HumanEval and MBPP have 500."""


class LlamaCppSource:
    """llama.cpp in a process of its own; see `EngineSource`."""

    name = "llamacpp"
    summary = "a GGUF file by llama.cpp's own arithmetic: starts and stops llama-server (--qeval-llama-server FILE)"
    in_process = False

    def find(self, model: ModelSettings) -> ModelSource:
        """Find the file and the program.

        Raises:
            ModelSourceError: for anything but a GGUF file.
            UsageError: when llama-server is not there.
        """
        if find_spec("httpx2") is None:
            raise MissingPackageError("httpx2", extra="server", purpose="asking llama-server")
        source = resolve(model)
        if source.kind != "gguf":
            raise ModelSourceError(
                f"{source.name} is no GGUF file, which --qeval-engine llamacpp runs: make one by llama.cpp's "
                "convert_hf_to_gguf.py, or leave --qeval-engine out. A baseline of another engine is a saved one "
                "(*.json.gz) or a server (URL)."
            )
        find_program(model.llama.program if model.llama else None)
        return source

    def describe(self, source: ModelSource) -> Json:
        """Return what the file is."""
        return TRANSFORMERS.describe(source)

    def conditions(self, model: ModelSettings) -> Json:
        """Return the device, as far as it is known: that of this machine's processor."""
        return TRANSFORMERS.conditions(model)

    def has_chat_template(self, source: ModelSource) -> bool:
        """Return whether the file has a template."""
        return has_chat_template(source)

    def infilling_form(self, source: ModelSource, template: str | None) -> InfillingForm:
        """Return the user's template; llama.cpp reads its special tokens."""
        del source
        return InfillingForm(template=template) if template else PREFIX_ONLY

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
        """Start the server, and return what sends it requests and stops it; of the recipe it takes the cache.

        Raises:
            EngineError: when the server does not come up.
        """
        from pytest_qeval.engines.openai.opening import open_server  # noqa: PLC0415 - needs an extra

        del texts, export
        assert source.path is not None  # noqa: S101 - a GGUF file
        llama = model.llama or LlamaSettings()
        cache = cache_type(recipe.cache)
        slots = max(1, (llama.slots or _SLOTS) // llama.processes)
        on_loading(LoadingProgress(action=f"llama-server loads {source.path.name}", share=0.0))
        if llama.logs:
            llama.logs.mkdir(parents=True, exist_ok=True)
        server = LlamaServer(
            find_program(llama.program),
            source.path,
            slots=slots,
            context_tokens=_PROMPT_TOKENS + generation.max_new_tokens,
            threads=model.threads,
            log=llama.logs / "llama-server.log" if llama.logs else None,
            arguments=cache_arguments(cache),
        )
        settings = ServerSettings(endpoint=server.endpoint, concurrency=slots)
        try:
            engine = open_server(
                ModelSource(kind="server", name=source.path.stem, endpoint=server.endpoint),
                settings,
                generation=generation,
                identity=ask(settings, identify),
                engine=self.name,
                more_facts=cache_facts(source, cache),
                on_close=server.stop,
            )
        except BaseException:
            server.stop()
            raise
        on_loading(LoadingProgress(action="llama-server is ready", share=1.0))
        return engine


LLAMACPP: EngineSource = LlamaCppSource()
