"""Load a model in a recipe's precision and quantize it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from pytest_qeval.engines.fit.cache_checks import cache_refusal
from pytest_qeval.engines.hf.arrivals import Taker
from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.calibration import Calibration, CalibrationRun, observe_ranges
from pytest_qeval.engines.hf.checkpoint import from_pretrained, stored_checkpoint
from pytest_qeval.engines.hf.compiled_layers import use_compiled_loops
from pytest_qeval.engines.hf.direct_reads import find_direct_reads
from pytest_qeval.engines.hf.early import plan_early
from pytest_qeval.engines.hf.encoder_decoder import encoder_decoder_of
from pytest_qeval.engines.hf.generation_config import bare_generation_config, end_tokens
from pytest_qeval.engines.hf.invariance import multiply_in_blocks
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.loading_progress import describe_arrivals
from pytest_qeval.engines.hf.memory_check import check_memory
from pytest_qeval.engines.hf.stored import count_bytes, describe_stored, note_gguf
from pytest_qeval.engines.hf.trial import find_fallback_reason
from pytest_qeval.engines.identity import source_identity
from pytest_qeval.engines.sources import ModelSource, find_file
from pytest_qeval.errors import ModelSourceError, RecipeError
from pytest_qeval.measure.machine import available_memory_bytes, cpu_class
from pytest_qeval.measure.memory import PeakMemory
from pytest_qeval.quantize.apply import NO_RANGES, quantize_
from pytest_qeval.quantize.checkpoints.export import Exporter
from pytest_qeval.quantize.checkpoints.prequantized import scheme_of
from pytest_qeval.quantize.checkpoints.reader import ExportedCheckpoint
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.experts import unpack_experts_
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops
from pytest_qeval.quantize.quantization import ExecutionKind, Quantization
from pytest_qeval.quantize.recipe import Dtype, Recipe
from pytest_qeval.schema import LoadingProgress
from pytest_qeval.settings import ModelSettings

_GENERATION = "generation_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(LanguageModel):
    """A model to which a recipe has been applied, and what was done to it."""

    recipe: Recipe
    """The user's recipe, with `direct_reads` kept, or the one that an exported checkpoint holds."""
    direct_reads: tuple[str, ...]
    """Layers that are kept because the model reads their weights itself."""
    quantization: Quantization
    quantize_peak_bytes: int | None
    """Highest resident size of the process while quantizing, model included; None where it is unknown."""
    calibration: Calibration | None
    """What static activations were observed on; None for recipes that have none."""
    disk_bytes: int | None
    """Size of the exported checkpoint's weight files; None where nothing was exported."""
    load_s: float
    """Seconds from the call to the model in memory, tokenizer included, quantization not."""
    model_bytes: int
    """Parameters and buffers; where execution is simulated, their size when packed."""
    scheme: str
    """`W8A8` and the like; for a checkpoint that is quantized already, from its files."""

    @property
    def execution(self) -> ExecutionKind:
        """As `Quantization.execution`; simulated where the cache is, because no kernel reads a quantized one."""
        return "simulated" if self.cache_scheme else self.quantization.execution

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
    on_loading: Callable[[LoadingProgress], None] = lambda _: None,
) -> Loaded:
    """Load a model and its tokenizer, and apply a recipe; see `EngineSource.open`.

    `device` is a torch device, or `auto`: CUDA where there is one, else the CPU. `threads` are torch's in the whole
    process; None leaves its own choice.

    Raises:
        ModelSourceError: when transformers cannot load it.
        RecipeError: when the recipe does not fit the model.
    """
    compiled_loops()  # now, because compiling is no part of loading or quantizing
    started = time.perf_counter()
    exported = stored_checkpoint(source)
    cache_scheme, name = recipe.cache, recipe.name
    recipe = replace(exported.content.recipe, cache=cache_scheme) if exported else recipe
    early = None if exported else plan_early(source, recipe)
    memory = PeakMemory() if early or exported else None
    show = describe_arrivals(source, quantizing_to=recipe.name if early else "", on_loading=on_loading)
    arguments: dict[str, Any] = {"device": device, "threads": threads, "exported": exported, "show": show}
    language_model = load_language_model(source, recipe.dtype, taker=early and early.rounding, **arguments)
    if early and not early.rounding.fits(language_model.model, early.recipe):  # it is not what its config says
        del language_model
        early, memory = None, None
        language_model = load_language_model(source, recipe.dtype, **arguments)
    load_s = time.perf_counter() - started - (early.rounding.duration_s if early else 0.0)
    model = language_model.model
    if recipe.quantizes:
        unpack_experts_(model)
    if early:
        direct_reads = early.direct_reads
    else:
        direct_reads = () if exported else find_direct_reads(model, recipe, language_model.encoder_decoder)
    recipe = replace(recipe, kept=(*recipe.kept, *direct_reads))
    if not (early or exported):
        language_model = replace(language_model, fallback_reason=_fallback_reason(source, language_model))
    run = CalibrationRun(language_model, texts, recipe.calibration) if texts and recipe.calibration else None
    ranges = observe_ranges(model, recipe, run) if run else exported.content.ranges if exported else NO_RANGES
    rounding = exported.round if exported else early.rounding.round if early else None
    exporter = Exporter(model, recipe, rounding) if export else None
    memory = memory or PeakMemory()
    quantization = quantize_(
        model,
        recipe,
        ranges=ranges,
        rounding=exporter.round if exporter else rounding,
        show_texts=run.run if run else lambda: None,
    )
    quantize_peak_bytes = memory.read()
    if early:
        quantization = replace(quantization, duration_s=quantization.duration_s + early.rounding.duration_s)
    if early or exported:
        reason = _fallback_reason(source, language_model, rounds=recipe.rounds_activations)
        language_model = replace(language_model, fallback_reason=reason)
    if cache_scheme:  # only now, so that static activations are calibrated as without it
        if language_model.fallback_reason:
            raise RecipeError(cache_refusal(name, source.name, language_model.fallback_reason))
        language_model = replace(language_model, cache_scheme=cache_scheme)
    multiply_in_blocks(model)
    use_compiled_loops(model)
    as_stored = bool(source.stored) and not (exported or recipe.quantizes)
    if as_stored:
        quantization = describe_stored(source, model)
    elif source.kind == "gguf":
        quantization = note_gguf(quantization)
    return Loaded(
        **{field.name: getattr(language_model, field.name) for field in fields(language_model)},
        recipe=recipe,
        quantization=quantization,
        quantize_peak_bytes=quantize_peak_bytes,
        calibration=run.calibration(ranges) if run else None,
        disk_bytes=exporter.write(
            export, model.config, language_model.tokenizer, ranges, find_file(source, _GENERATION)
        )
        if exporter and export
        else None,
        load_s=load_s,
        model_bytes=count_bytes(source, model, quantization, as_stored=as_stored),
        direct_reads=direct_reads,
        scheme=recipe.with_cache(scheme_of(source.stored, quantization)) if as_stored else recipe.scheme,
    )


def load_language_model(
    source: ModelSource,
    dtype: Dtype,
    *,
    device: str,
    threads: int | None,
    exported: ExportedCheckpoint | None = None,
    taker: Taker | None = None,
    show: Callable[[int], None] = lambda _: None,
) -> LanguageModel:
    """Load a model and its tokenizer without looking for a `fallback_reason`; see `load` and `from_pretrained`."""
    if threads is not None:
        torch.set_num_threads(threads)
    model, tokenizer = from_pretrained(source, dtype, choose_device(device), exported, taker=taker, show=show)
    use_grouped_attention(model)
    # Weights keep requires_grad: without it, torch's matmul copies the output layer for every row of a slice of hidden
    # states (2.13, on a CPU: 5 s instead of 1 s for a prefill of 8 × 128). Inference mode records no graph anyway.
    model.eval()
    eos_ids = end_tokens(source, model, tokenizer)
    encoder_decoder = encoder_decoder_of(model, tokenizer)
    model.generation_config = bare_generation_config(eos_ids, encoder_decoder)
    return LanguageModel(model=model, tokenizer=tokenizer, eos_ids=eos_ids, encoder_decoder=encoder_decoder)


_fallback_reasons: dict[Hashable, str] = {}
"""What was found, by all that the trial depends on: every recipe begins with the same model."""


def _fallback_reason(source: ModelSource, language_model: LanguageModel, *, rounds: bool = False) -> str:
    """Return why `generate` has to decode a model, which may have been found out before.

    Linear layers do not matter, whatever has taken their place. What holds without rounded activations holds with them,
    which are allowed more difference.
    """
    model = language_model.model
    # Experts may have been unpacked.
    modules = tuple(type(module) for module in model.modules() if not hasattr(module, "in_features"))
    key = (source, source_identity(source), model.dtype, model.device, modules)
    for known in ((key, False), (key, rounds)):
        if known in _fallback_reasons:
            return _fallback_reasons[known]
    reason = find_fallback_reason(model, language_model.encoder_decoder, rounds=rounds)
    _fallback_reasons[key, rounds] = reason
    return reason


def choose_device(name: str, *, place: int = 0) -> torch.device:
    """Turn `--qeval-device` into a torch device; `auto` is CUDA where there is one.

    Args:
        name: What the user named.
        place: Number of this process among those that share the run. Each has a GPU of its own where the user names
            none; with more processes than GPUs, the first GPU has the next process.

    Raises:
        ModelSourceError: when torch does not know the device, or this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelSourceError(
            f"--qeval-device {name}: torch does not know this device. Expected auto, cpu, cuda or cuda:1."
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelSourceError(
            f"--qeval-device {name}: torch {torch.__version__} finds no CUDA device here. "
            "Choose cpu, or leave the option out."
        )
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", place % torch.cuda.device_count())
    return device


def device_class(name: str) -> str:
    """Return what kind of device `--qeval-device` names, such as `cuda (NVIDIA H200)`; see `choose_device`."""
    device = choose_device(name)
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return cpu_class() if device.type == "cpu" else device.type


def check_fits(source: ModelSource, recipe: Recipe, model: ModelSettings) -> None:
    """Make sure that the weights fit on the device that they are to be loaded on.

    Raises:
        ModelSourceError: when they do not, or there is no such device.
    """
    device = choose_device(model.device, place=model.place)
    check_memory(source, recipe, available_bytes=free_bytes(device, model.memory_bytes), device=str(device))


def free_bytes(device: torch.device, share_bytes: int | None = None) -> int:
    """Return the free memory of a device; of the machine's own not more than this process's share."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    available = available_memory_bytes()
    return available if share_bytes is None else max(0, min(available, share_bytes))
