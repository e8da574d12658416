"""From a model source and a recipe to a model that answers: loaded in the recipe's precision, checked, quantized."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.calibration import Calibration, Reader, observed_ranges
from pytest_qeval.engines.hf.checkpoint import from_pretrained, stored_checkpoint
from pytest_qeval.engines.hf.compat import why_not_continuous
from pytest_qeval.engines.hf.seq2seq import Sides, sides_of
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.weight_files import gguf_tensors, safetensors_tensors
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.measure.footprint import measure_footprint
from pytest_qeval.measure.memory import PeakMemory
from pytest_qeval.quantize.apply import NO_RANGES, quantize_
from pytest_qeval.quantize.backends.bitsandbytes import hidden_bytes
from pytest_qeval.quantize.checkpoints.export import Exporter
from pytest_qeval.quantize.checkpoints.prequantized import describe_gguf, describe_prequantized, scheme_of
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.quantization import Quantization
from pytest_qeval.quantize.recipe import Recipe

__all__ = ["Loaded", "choose_device", "load"]

_TWICE_ROUNDED = "made from a GGUF file's blocks unpacked to floating point"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model ready to answer, and what was done to it."""

    recipe: Recipe
    """As asked for, or the one that an exported checkpoint holds."""
    model: Any
    tokenizer: Any
    eos_ids: tuple[int, ...]
    """Tokens that end a sequence, from the model's generation config, its config or its tokenizer."""
    sides: Sides | None
    """Of a model whose prompts go to an encoder; None where it goes on with them."""
    not_continuous: str
    """Why the continuous batch cannot carry the model; empty when it can."""
    quantization: Quantization
    quantize_peak_bytes: int | None
    """Highest resident size of the process while quantizing, the model included; None where nobody tells."""
    calibration: Calibration | None
    """What static activations were observed on; None for recipes that have none."""
    disk_bytes: int | None
    """Of the exported checkpoint's weight files; None where nothing was exported."""
    load_s: float
    """Seconds from the call to the model in memory, tokenizer included, quantization not."""
    model_bytes: int
    """Parameters and buffers; where execution is simulated, what they would take when packed."""
    scheme: str
    """`W8A8` and the like; what its files say for a checkpoint that is quantized already."""

    @property
    def dtype(self) -> str:
        """The floating-point type of activations, such as `bfloat16`."""
        return str(self.model.dtype).removeprefix("torch.")


def load(
    source: ModelSource,
    recipe: Recipe,
    *,
    device: str = "auto",
    threads: int | None = None,
    texts: CalibrationTexts | None = None,
    export: Path | None = None,
) -> Loaded:
    """Load a model and its tokenizer, and apply a recipe.

    Args:
        source: What `resolve` found.
        recipe: Precision and quantization.
        device: A torch device, or `auto`: CUDA where there is one, else the CPU.
        threads: CPU threads for torch, in the whole process; None leaves torch's own choice.
        texts: What to calibrate on; given if and only if the recipe needs it.
        export: Where to write the quantized checkpoint, if anywhere.

    Raises:
        ModelSourceError: when transformers cannot load it.
        RecipeError: when the recipe does not fit the model.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    started = time.perf_counter()
    exported = stored_checkpoint(source)
    recipe = exported.recipe if exported else recipe
    model, tokenizer = from_pretrained(source, recipe.dtype, choose_device(device), exported)
    use_grouped_attention(model)
    # Weights keep requires_grad: without it, torch's matmul copies the output layer for every row of a slice of hidden
    # states (2.13, on a CPU: 5 s instead of 1 s for a prefill of 8 × 128). Inference mode records no graph anyway.
    model.eval()
    load_s = time.perf_counter() - started
    eos_ids = _eos_ids(model, tokenizer)
    sides = sides_of(model, tokenizer)
    model.generation_config = _generation_config(eos_ids, sides)
    not_continuous = why_not_continuous(model, sides)
    reader = None
    if texts and recipe.calibration:
        plan, continuous = recipe.calibration, not not_continuous
        reader = Reader(model, tokenizer, texts, plan, eos_ids=eos_ids, continuous=continuous, sides=sides)
    ranges = exported.ranges if exported else NO_RANGES
    if reader:
        ranges = observed_ranges(model, recipe, reader)
    exporter = Exporter(model, recipe) if export else None
    memory = PeakMemory()
    quantization = quantize_(
        model,
        recipe,
        ranges=ranges,
        rounding=exported.round if exported else exporter.round if exporter else None,
        show_texts=reader.show if reader else _show_nothing,
    )
    quantize_peak_bytes = memory.read()
    as_it_is = "" if exported or recipe.quantizes else source.stored
    if as_it_is:
        quantization = _described(source, model)
    elif source.kind == "gguf":
        quantization = _made_from_gguf(quantization)
    return Loaded(
        recipe=recipe,
        model=model,
        tokenizer=tokenizer,
        eos_ids=eos_ids,
        sides=sides,
        not_continuous=not_continuous,
        quantization=quantization,
        quantize_peak_bytes=quantize_peak_bytes,
        calibration=reader.calibration(ranges) if reader else None,
        disk_bytes=exporter.write(export, model, tokenizer, ranges) if exporter and export else None,
        load_s=load_s,
        model_bytes=_model_bytes(source, model, quantization, as_it_is=bool(as_it_is)),
        scheme=scheme_of(as_it_is, quantization) if as_it_is else recipe.scheme,
    )


def _generation_config(eos_ids: tuple[int, ...], sides: Sides | None) -> GenerationConfig:
    """Keep only these: penalties and sampling settings that ship with a model would change what is measured."""
    start, forced = (*sides.start, None)[:2] if sides else (None, None)
    return GenerationConfig(
        eos_token_id=list(eos_ids) or None,
        pad_token_id=next(iter(eos_ids), 0),
        decoder_start_token_id=start,
        forced_bos_token_id=forced,
    )


def _described(source: ModelSource, model: Any) -> Quantization:
    """Say what a checkpoint's own quantization is."""
    if source.kind == "gguf" and source.path is not None:
        return describe_gguf(source.path, itemsize=model.dtype.itemsize)
    config = getattr(model.config, "quantization_config", {})
    return describe_prequantized(model, source.stored, config if isinstance(config, dict) else config.to_dict())


def _made_from_gguf(quantization: Quantization) -> Quantization:
    """Say of every quantized layer that its floating point was rounded before."""
    layers = (
        layer if layer.kept else replace(layer, note="; ".join(filter(None, (layer.note, _TWICE_ROUNDED))))
        for layer in quantization.layers
    )
    return replace(quantization, layers=tuple(layers))


def _model_bytes(source: ModelSource, model: Any, quantization: Quantization, *, as_it_is: bool) -> int:
    """Count what the model takes; where a quantized checkpoint is computed in floating point, what its files take."""
    if as_it_is and quantization.execution == "simulated" and source.path is not None:
        return (gguf_tensors if source.kind == "gguf" else safetensors_tensors)(source.path).stored_bytes
    if as_it_is:
        return measure_footprint(model).model_bytes + sum(hidden_bytes(module) for module in model.modules())
    return measure_footprint(model, simulated_savings_bytes=quantization.simulated_savings_bytes).model_bytes


def _show_nothing() -> None:
    """Stand in for calibration where a recipe asks for none."""


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
        raise ModelSourceError(
            f"--qeval-device {name}: torch knows no such device. Expected auto, cpu, cuda or cuda:1."
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelSourceError(
            f"--qeval-device {name}: torch {torch.__version__} finds no CUDA device here. "
            "Choose cpu, or leave the option out."
        )
    return device


def _eos_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    text_config = model.config.get_text_config(decoder=True)
    stated = (getattr(model.generation_config, "eos_token_id", None), getattr(text_config, "eos_token_id", None))
    for ids in (*stated, tokenizer.eos_token_id):
        if ids is not None:
            return tuple(ids) if isinstance(ids, (list, tuple)) else (int(ids),)
    return ()
