"""Load a model by vLLM: what of a run's settings becomes which argument of `vllm.LLM`."""

from __future__ import annotations

import os
from typing import Any

from pytest_qeval.engines.hf.checkpoint import load_tokenizer
from pytest_qeval.engines.listed_scores import LISTED
from pytest_qeval.engines.model_config import read_json, text_entry
from pytest_qeval.engines.sources import ModelSource, find_file
from pytest_qeval.engines.vllm.engine import VllmEngine
from pytest_qeval.engines.vllm.prompts import Prompts
from pytest_qeval.errors import EngineError
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Json
from pytest_qeval.settings import GenerationSettings, ModelSettings, VllmSettings

_PROMPT_TOKENS = 4096
"""Room for a prompt beside the new tokens: the cache is planned for it, and not for all that the model could read."""
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
"""Unless the user has set them: vLLM reports its use over the network, and writes pages of messages."""
_BATCHED = "vLLM decides which requests it computes together"


def open_engine(
    source: ModelSource, recipe: Recipe, *, model: ModelSettings, generation: GenerationSettings
) -> VllmEngine:
    """Load a model, and return its engine.

    Raises:
        EngineError: when vLLM refuses, or cannot load it.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    tokenizer = load_tokenizer(source)
    try:
        import vllm  # noqa: PLC0415 - imported lazily: it takes seconds

        llm = vllm.LLM(**arguments(source, recipe, model=model, generation=generation))
    except Exception as error:  # vLLM raises anything, and its own processes say more on the terminal
        raise EngineError(f"vLLM cannot load {source.name} as {recipe.name}: {_reason(error)}") from error
    config = llm.llm_engine.vllm_config
    return VllmEngine(
        llm.llm_engine,
        prompts=Prompts(tokenizer),
        generation=generation,
        width=config.scheduler_config.max_num_seqs,
        context_tokens=config.model_config.max_model_len,
        facts=_facts(recipe, config, version=vllm.__version__),
    )


def arguments(source: ModelSource, recipe: Recipe, *, model: ModelSettings, generation: GenerationSettings) -> Json:
    """Return the arguments of `vllm.LLM`; what the user leaves open is left to vLLM."""
    settings = model.vllm or VllmSettings()
    found = {
        "model": source.location,
        "revision": source.commit,
        "tokenizer_revision": source.commit,
        "trust_remote_code": source.remote_code,
        "dtype": _dtype(source, recipe),
        "quantization": recipe.config or None,
        "tensor_parallel_size": settings.tensor_parallel,
        "pipeline_parallel_size": settings.pipeline_parallel,
        "distributed_executor_backend": settings.executor,
        "gpu_memory_utilization": settings.memory_share,
        "max_num_seqs": model.batch_size,
        "max_model_len": _context(source, generation),
        "max_logprobs": LISTED,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "seed": generation.seed,
    }
    return {name: value for name, value in found.items() if value is not None}


def _dtype(source: ModelSource, recipe: Recipe) -> str:
    """Return the type of the weights: the checkpoint's own, which vLLM's `auto` would round from float32 to 16 bits."""
    if recipe.dtype != "checkpoint":
        return recipe.dtype
    return "auto" if source.stored or recipe.quantizer else source.dtype or "auto"


def _context(source: ModelSource, generation: GenerationSettings) -> int | None:
    """Return the tokens of prompt and completion together; None where the config does not say what is possible."""
    file = find_file(source, "config.json")
    most = text_entry(read_json(file), "max_position_embeddings") if file else None
    return min(int(most), _PROMPT_TOKENS + generation.max_new_tokens) if most else None


def _facts(recipe: Recipe, config: Any, *, version: str) -> Json:
    """Describe a loaded model by those fields of `RecipeFacts` that vLLM tells."""
    method = config.model_config.quantization
    return {
        "engine": f"vllm ({version})",
        "scheme": method or recipe.scheme,
        "dtype": str(config.model_config.dtype).removeprefix("torch."),
        "device": str(config.device_config.device_type),
        "execution": "native" if method else "full precision",
        "batch_size": config.scheduler_config.max_num_seqs,
        "batch_dependence": _BATCHED,
        "decoding": "vLLM's continuous batch",
    }


def _reason(error: Exception) -> str:
    """Return the line of a message that says why; pydantic has its own around it."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    found = next((line.partition("Value error, ")[2] for line in lines if "Value error, " in line), lines[0])
    return found.partition(" [type=")[0].rstrip(".")
