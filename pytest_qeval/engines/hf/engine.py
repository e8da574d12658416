"""The `transformers` engine: a Hugging Face model, loaded once per recipe and decoded ahead."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch

from pytest_qeval.engines.base import EngineProgress, Finished, Request, StreamTimes
from pytest_qeval.engines.hf.continuous_batch import ContinuousBatch
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.decoders import make_batch, make_decoder
from pytest_qeval.engines.hf.fit import check_memory
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.hf.rows import Text
from pytest_qeval.engines.hf.scoring import score
from pytest_qeval.engines.hf.stream import measure_stream
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.topk import Scores
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.quantization import ExecutionKind, Quantization
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Json
from pytest_qeval.settings import GenerationSettings, ModelSettings

__all__ = ["EngineDescription", "TransformersEngine", "continuous_batch"]

_CLOSED = "the engine is closed: its model has been given back."
_ROWS = 128
"""A step's fixed cost, reading the weights, equals that of about 90 rows on 2 cores (Qwen2.5-0.5B, bf16). Replayed with
these costs, 64 rows decode HumanEval in 72 CPU seconds, 128 in 61, all 164 in 61."""
_ROW_TOKENS = 1024
"""Tokens that a row is expected to need at most, for choosing the batch's width by memory."""
_CACHE_SHARE = 0.5
"""Share of the free memory that the key/value cache may plan with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineDescription:
    """What was loaded, and how: the engine's part of the report."""

    scheme: str
    weights: Json | None
    activations: Json | None
    kept: tuple[str, ...]
    """These four as the recipe says, or, for a checkpoint that is quantized already, as it says itself."""
    execution: ExecutionKind
    quantized_layers: int
    quantized_share: float
    """Of the model's parameters, 0 to 1."""
    model_bytes: int
    bits_per_weight: float
    """All bytes of the model, scales and unquantized layers included, per parameter."""
    load_s: float
    quantize_s: float
    """Of rounding the weights, calibration not included."""
    quantize_peak_bytes: int | None
    """Highest resident size of the process meanwhile, the model included; None where the system does not tell."""
    calibration: Json | None
    """What static activations were observed on: source, texts_sha256, seed, samples, tokens, duration_s."""
    layers: tuple[Json, ...]
    """Every linear layer: name, shape, bits, granularity, kept, bytes_before, bytes_after, execution."""
    disk_bytes: int | None
    """Of the exported checkpoint's weight files; None where nothing was exported."""
    notes: tuple[str, ...]
    """What a reader of the speed has to know, such as why there is no speed-up."""
    dtype: str
    device: str
    architecture: str
    """`decoder-only` or `encoder-decoder`."""
    decoding: str
    """`continuous batch`, or `generate: ` and the reason."""
    parameters: int


class TransformersEngine:
    """Implements `ModelEngine` with a model of Hugging Face transformers."""

    def __init__(
        self,
        *,
        source: ModelSource,
        recipe: Recipe,
        model: ModelSettings,
        generation: GenerationSettings,
        texts: CalibrationTexts | None = None,
        export: Path | None = None,
    ) -> None:
        """Load the model and quantize it, calibrated on `texts`; afterwards the engine is ready to answer.

        With `export`, the quantized checkpoint is written to that folder.

        Raises:
            ModelSourceError: when the model cannot be loaded or does not fit in memory.
            RecipeError: when the recipe does not fit the model.
        """
        if model.device in {"auto", "cpu"} and not torch.cuda.is_available():
            check_memory(source, recipe.dtype)
        loaded = load(source, recipe, device=model.device, threads=model.threads, texts=texts, export=export)
        self._loaded: Loaded | None = loaded
        rows = model.batch_size or _default_rows(loaded)
        self._decoder: Decoder | None = _decoder(loaded, generation, rows)
        self._progress = self._decoder.progress
        self._description = _describe(loaded)

    def submit(self, requests: Sequence[Request]) -> None:
        """Append requests to the queue; see `Engine.submit`.

        Raises:
            EngineError: after `close`.
        """
        self._open().submit(requests)

    def step(self) -> Sequence[Finished]:
        """Prefill a group of prompts or decode one token of every row; see `Engine.step`.

        Raises:
            EngineError: after `close`.
        """
        return self._open().step()

    @property
    def progress(self) -> EngineProgress:
        """Counts so far; they stay readable after `close`."""
        return self._decoder.progress if self._decoder else self._progress

    @property
    def description(self) -> EngineDescription:
        """What was loaded, and how."""
        return self._description

    def facts(self) -> Json:
        """Return the description as plain values; see `ModelEngine.facts`."""
        row = asdict(self._description)
        return {**row, **{name: list(row[name]) for name in ("kept", "layers", "notes")}}

    def measure_stream(self, *, prompt_tokens: int = 128, new_tokens: int = 32, rounds: int = 3) -> StreamTimes:
        """Time one sequence alone: prefill and decoding, after a warm-up round. Does not touch the queue.

        Raises:
            EngineError: after `close`.
        """
        if self._loaded is None:
            raise EngineError(_CLOSED)
        model, sides = self._loaded.model, self._loaded.sides
        return measure_stream(model, prompt_tokens=prompt_tokens, new_tokens=new_tokens, rounds=rounds, sides=sides)

    def score(self, solved: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        """Show the model solutions after their prompts; see `ModelEngine.score`. Does not touch the queue.

        Raises:
            EngineError: after `close`.
        """
        if self._loaded is None:
            raise EngineError(_CLOSED)
        return score(self._loaded.model, self._loaded.tokenizer, solved, against=against)

    def close(self) -> None:
        """Return the model's memory back to the operating system; unfinished requests are dropped."""
        if self._decoder is None:
            return
        self._progress = self._decoder.progress
        self._decoder = self._loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _trim_heap()

    def _open(self) -> Decoder:
        if self._decoder is None:
            raise EngineError(_CLOSED)
        return self._decoder


def continuous_batch(loaded: Loaded, generation: GenerationSettings, rows: int) -> ContinuousBatch:
    """Make the decoder of an ordinary model, with nothing in its queue."""
    return make_batch(loaded.model, _text(loaded), generation, rows=rows, sides=loaded.sides)


def _decoder(loaded: Loaded, generation: GenerationSettings, rows: int) -> Decoder:
    sides, continuous = loaded.sides, not loaded.not_continuous
    return make_decoder(loaded.model, _text(loaded), generation, rows=rows, sides=sides, continuous=continuous)


def _text(loaded: Loaded) -> Text:
    return Text(loaded.tokenizer, loaded.eos_ids, apart=loaded.sides is not None)


def _describe(loaded: Loaded) -> EngineDescription:
    quantization = loaded.quantization
    recipe = loaded.recipe.to_dict()
    return EngineDescription(
        scheme=loaded.scheme,
        weights=recipe["weights"],
        activations=recipe["activations"],
        kept=tuple(recipe["kept"]),
        execution=quantization.execution,
        quantized_layers=quantization.quantized_layers,
        quantized_share=quantization.quantized_share,
        model_bytes=loaded.model_bytes,
        bits_per_weight=8 * loaded.model_bytes / quantization.parameters,
        load_s=loaded.load_s,
        quantize_s=quantization.duration_s,
        quantize_peak_bytes=loaded.quantize_peak_bytes if quantization.layers else None,
        calibration=_calibration_facts(loaded),
        layers=_layer_facts(quantization),
        disk_bytes=loaded.disk_bytes,
        notes=_notes(loaded),
        dtype=loaded.dtype,
        device=str(loaded.model.device),
        architecture="encoder-decoder" if loaded.sides else "decoder-only",
        decoding=f"generate: {loaded.not_continuous}" if loaded.not_continuous else "continuous batch",
        parameters=quantization.parameters,
    )


def _layer_facts(quantization: Quantization) -> tuple[Json, ...]:
    """Return the layers as plain values; their notes are said once, for all of them."""
    rows = (asdict(layer) for layer in quantization.layers)
    return tuple({name: value for name, value in row.items() if name != "note"} for row in rows)


def _calibration_facts(loaded: Loaded) -> Json | None:
    if loaded.calibration is None:
        return None
    return {name: value for name, value in asdict(loaded.calibration).items() if name != "ranges"}


def _notes(loaded: Loaded) -> tuple[str, ...]:
    """Say why layers are no faster, when calibration has seen too little, and which precision is unsafe."""
    few = loaded.calibration is not None and loaded.calibration.samples == 1
    overflows = loaded.sides is not None and loaded.model.config.model_type.endswith("t5") and loaded.dtype == "float16"
    notes = {
        "calibrated on a single text: static scales are a guess": few,
        "T5 overflows float16 in places, where transformers clamps it: bf16 or fp32 is safer": overflows,
    }
    return (*loaded.quantization.notes, *(note for note, said in notes.items() if said))


def _default_rows(loaded: Loaded) -> int:
    """Choose the batch's width: as wide as pays, unless the cache would not fit."""
    config = loaded.model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * head_dim * loaded.model.dtype.itemsize
    device = loaded.model.device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    fitting = int(_CACHE_SHARE * free / (token_bytes * _ROW_TOKENS))
    return max(1, min(_ROWS, fitting))


def _trim_heap() -> None:
    """Hand freed heap pages back, so that the next recipe's memory is measured from a clean start (glibc only)."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
