"""From a model source and a recipe to a model that answers: loaded in the recipe's precision, checked, quantized."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging as transformers_logging

from pytest_qeval.engines.attention import use_grouped_attention
from pytest_qeval.engines.compat import why_not_continuous
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.measure.footprint import measure_footprint
from pytest_qeval.quantize.apply import Quantization, quantize_
from pytest_qeval.quantize.recipe import Dtype, Recipe

__all__ = ["Loaded", "choose_device", "load"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model ready to answer, and what was done to it."""

    model: Any
    tokenizer: Any
    eos_ids: tuple[int, ...]
    """Tokens that end a sequence, from the model's generation config, its config or its tokenizer."""
    not_continuous: str
    """Why the continuous batch cannot carry the model; empty when it can."""
    quantization: Quantization
    load_s: float
    """Seconds from the call to the model in memory, tokenizer included, quantization not."""
    model_bytes: int
    """Parameters and buffers; where execution is simulated, what they would take when packed."""

    @property
    def dtype(self) -> str:
        """The floating-point type of activations, such as `bfloat16`."""
        return str(self.model.dtype).removeprefix("torch.")


def load(source: ModelSource, recipe: Recipe, *, device: str = "auto", threads: int | None = None) -> Loaded:
    """Load a model and its tokenizer, and apply a recipe.

    Args:
        source: What `resolve` found.
        recipe: Precision and quantization.
        device: A torch device, or `auto`: CUDA where there is one, else the CPU.
        threads: CPU threads for torch, in the whole process; None leaves torch's own choice.

    Raises:
        ModelSourceError: when transformers cannot load it.
        RecipeError: when the recipe does not fit the model.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    started = time.perf_counter()
    with _quiet():
        try:
            model, tokenizer = _from_pretrained(source, recipe.dtype, choose_device(device))
            use_grouped_attention(model)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelSourceError(
                f"transformers {transformers.__version__} cannot load {source.name}: {reason}"
            ) from error
    model.eval().requires_grad_(requires_grad=False)
    load_s = time.perf_counter() - started
    eos_ids = _eos_ids(model, tokenizer)
    # Only these: penalties and sampling settings that ship with a model would change what is measured.
    model.generation_config = GenerationConfig(eos_token_id=list(eos_ids) or None, pad_token_id=next(iter(eos_ids), 0))
    not_continuous = why_not_continuous(model)
    quantization = quantize_(model, recipe)
    simulated = quantization.saved_bytes if quantization.execution == "simulated" else 0
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        eos_ids=eos_ids,
        not_continuous=not_continuous,
        quantization=quantization,
        load_s=load_s,
        model_bytes=measure_footprint(model, simulated_savings_bytes=simulated).model_bytes,
    )


def choose_device(name: str) -> torch.device:
    """Turn `--qeval-device` into a torch device; `auto` is CUDA where there is one.

    Raises:
        ModelSourceError: when torch knows no such device, or this machine has none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelSourceError(f"torch knows no device {name!r}: expected `auto`, `cpu` or `cuda`.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelSourceError(
            f"device {name!r} was asked for, and torch {torch.__version__} finds no CUDA device here."
        )
    return device


def _from_pretrained(source: ModelSource, dtype: Dtype, device: torch.device) -> tuple[Any, Any]:
    where: dict[str, Any] = {"pretrained_model_name_or_path": source.location}
    if source.kind == "hub" and source.path is None:
        where["revision"] = source.revision
    extra: dict[str, Any] = {}
    if source.kind == "gguf" and source.path is not None:
        where["gguf_file"] = source.path.name
        if hasattr(transformers, "GgufConfig"):  # newer transformers keep the blocks packed unless told otherwise
            extra["quantization_config"] = transformers.GgufConfig(dequantize=True)
    torch_dtype = _torch_dtype(source, dtype, where)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model = AutoModelForCausalLM.from_pretrained(**where, **extra, dtype=torch_dtype, device_map={"": device})
    return model, tokenizer


def _torch_dtype(source: ModelSource, dtype: Dtype, where: dict[str, Any]) -> torch.dtype:
    if dtype != "checkpoint":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    if source.kind == "gguf":
        return torch.float32  # its blocks state no floating-point type
    stated = getattr(AutoConfig.from_pretrained(**where), "dtype", None)
    return stated if isinstance(stated, torch.dtype) else torch.float32


def _eos_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    text_config = model.config.get_text_config(decoder=True)
    stated = (getattr(model.generation_config, "eos_token_id", None), getattr(text_config, "eos_token_id", None))
    for ids in (*stated, tokenizer.eos_token_id):
        if ids is not None:
            return tuple(ids) if isinstance(ids, (list, tuple)) else (int(ids),)
    return ()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars, advice and warnings of the loader off the terminal, and put everything back."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
