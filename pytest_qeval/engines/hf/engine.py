"""The `transformers` engine: a Hugging Face model, loaded once per recipe and decoded ahead."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, Request
from pytest_qeval.engines.fit.batch_width import default_rows
from pytest_qeval.engines.fit.cache_layout import CacheLayout, cache_layout
from pytest_qeval.engines.hf.calibration import Calibration
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.invariance import find_batch_dependence
from pytest_qeval.engines.hf.loading import Loaded, check_fits, choose_device, free_bytes, load
from pytest_qeval.engines.hf.scoring import score
from pytest_qeval.engines.hf.stream import prepare
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.measure.topk import Scores
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.heap import trim_heap
from pytest_qeval.quantize.quantization import LayerRecord
from pytest_qeval.quantize.recipe import CacheScheme, Recipe
from pytest_qeval.schema import EngineProgress, Json, LoadingProgress
from pytest_qeval.settings import GenerationSettings, ModelSettings
from pytest_qeval.stats.forecast import WorkLeft


class TransformersEngine:
    """Implements `ModelEngine` with a model of Hugging Face transformers; raises EngineError after `close`."""

    def __init__(
        self,
        *,
        source: ModelSource,
        recipe: Recipe,
        model: ModelSettings,
        generation: GenerationSettings,
        texts: CalibrationTexts | None = None,
        export: Path | None = None,
        on_loading: Callable[[LoadingProgress], None] = lambda _: None,
    ) -> None:
        """Load the model and quantize it, calibrated on `texts`; write the quantized checkpoint to `export`.

        Raises:
            ModelSourceError: when the model cannot be loaded or does not fit in memory.
            RecipeError: when the recipe does not fit the model.
        """
        check_fits(source, recipe, model)
        loaded = load(
            source,
            recipe,
            device=str(choose_device(model.device, place=model.place)),
            threads=model.threads,
            texts=texts,
            export=export,
            on_loading=on_loading,
        )
        rows = model.batch_size or _default_rows(loaded, model.memory_bytes)
        decoder = make_decoder(loaded, generation, rows=rows)
        self._open: tuple[Loaded, Decoder] | None = (loaded, decoder)
        self._progress = decoder.progress
        batch = {"batch_size": rows, "batch_dependence": find_batch_dependence(loaded, loaded.recipe)}
        self._facts = {**_facts(loaded), **batch}

    @property
    def _loaded(self) -> Loaded:
        return self._require_open()[0]

    @property
    def _decoder(self) -> Decoder:
        return self._require_open()[1]

    def _require_open(self) -> tuple[Loaded, Decoder]:
        if self._open is None:
            raise EngineError("the engine is closed: its model has been freed.")
        return self._open

    def submit(self, requests: Sequence[Request]) -> None:
        """Append requests to the queue; see `Engine.submit`."""
        self._decoder.submit(requests)

    def step(self) -> Sequence[FinishedCompletion | FailedCompletion]:
        """Prefill a group of prompts or decode one token of every row; see `Engine.step`."""
        return self._decoder.step()

    @property
    def progress(self) -> EngineProgress:
        """Counts so far; they stay readable after `close`."""
        return self._decoder.progress if self._open else self._progress

    def work_left(self) -> WorkLeft:
        """Return what a forecast of the time left needs; see `Engine.work_left`."""
        return self._decoder.work_left()

    def facts(self) -> Json:
        """Return what was loaded, and how, as plain values; see `ModelEngine.facts`.

        The batch's size is less than at first where memory ran out meanwhile.
        """
        return {**self._facts, "batch_size": self._decoder.rows} if self._open else dict(self._facts)

    def prepare(self, workload: Workload) -> Callable[[], tuple[float, ...]]:
        """Return what does a workload once, without touching the queue; see `ModelEngine.prepare`."""
        return prepare(self._loaded, workload)

    def score(self, solutions: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        """Score solutions after their prompts, without touching the queue; see `ModelEngine.score`."""
        loaded = self._loaded
        return score(loaded.model, loaded.tokenizer, solutions, against=against, new_cache=loaded.new_cache)

    def close(self) -> None:
        """Return the model's memory to the operating system and drop unfinished requests."""
        if self._open is None:
            return
        self._progress, self._facts = self._decoder.progress, self.facts()
        self._open = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        trim_heap()  # so that the next recipe's memory is measured from a clean start


def _facts(loaded: Loaded) -> Json:
    """Describe the loaded model by those fields of `RecipeFacts` that the engine knows."""
    quantization = loaded.quantization
    recipe = loaded.recipe.to_dict()
    return {
        "scheme": loaded.scheme,
        **{name: recipe[name] for name in ("weights", "activations", "kept")},
        "cache": _cache_facts(loaded),
        "execution": loaded.execution,
        "quantized_layers": quantization.quantized_layers,
        "quantized_share": quantization.quantized_share,
        "model_bytes": loaded.model_bytes,
        "bits_per_weight": 8 * loaded.model_bytes / quantization.parameters,
        "load_s": loaded.load_s,
        "quantize_s": quantization.duration_s,
        "quantize_peak_bytes": loaded.quantize_peak_bytes if quantization.layers else None,
        "calibration": _without(loaded.calibration, "ranges") if loaded.calibration else None,
        "layers": [_without(layer, "note") for layer in quantization.layers],
        "disk_bytes": loaded.disk_bytes,
        "notes": _notes(loaded),
        "dtype": loaded.dtype,
        "device": str(loaded.model.device),
        "architecture": "encoder-decoder" if loaded.encoder_decoder else "decoder-only",
        "decoding": f"generate: {loaded.fallback_reason}" if loaded.fallback_reason else "continuous batch",
        "parameters": quantization.parameters,
    }


def _without(value: Calibration | LayerRecord, name: str) -> Json:
    return {key: field for key, field in asdict(value).items() if key != name}


def _notes(loaded: Loaded) -> list[str]:
    """Explain why layers are no faster, and warn of too little calibration and of an unsafe precision."""
    few = loaded.calibration is not None and loaded.calibration.samples == 1
    overflows = (
        loaded.encoder_decoder is not None
        and loaded.model.config.model_type.endswith("t5")
        and loaded.dtype == "float16"
    )
    notes = {
        f"kept, because the model reads their weights itself: {', '.join(loaded.direct_reads)}": bool(
            loaded.direct_reads
        ),
        "calibrated on a single text: static scales are a guess": few,
        "T5 overflows float16 in places, where transformers clamps it: bf16 or fp32 is safer": overflows,
    }
    return [*loaded.quantization.notes, *_cache_notes(loaded), *(note for note, applies in notes.items() if applies)]


def _cache_facts(loaded: Loaded) -> Json | None:
    """Describe a quantized cache; its bytes a token are counted as packed, beside those that are held here."""
    scheme = loaded.cache_scheme
    if scheme is None:
        return None
    sizes = {"token_bytes": _layout(loaded, scheme).token_bytes, "held_token_bytes": _layout(loaded).token_bytes}
    return {**scheme.to_dict(), "execution": "simulated", **sizes}


def _cache_notes(loaded: Loaded) -> list[str]:
    if loaded.cache_scheme is None:
        return []
    bits = loaded.cache_scheme.bits
    return [f"key/value cache of {bits} bits simulated: rounded as it is written, held and read in {loaded.dtype}"]


def _default_rows(loaded: Loaded, memory_bytes: int | None) -> int:
    """Choose the batch's width: as wide as pays off, unless the cache would not fit."""
    free = free_bytes(loaded.model.device, memory_bytes - loaded.model_bytes if memory_bytes else None)
    return default_rows(token_bytes=_layout(loaded).token_bytes, free_bytes=free)


def _layout(loaded: Loaded, scheme: CacheScheme | None = None) -> CacheLayout:
    config = loaded.model.config
    if not loaded.encoder_decoder:  # whose decoder has names of its own
        config = config.get_text_config(decoder=True)
    return cache_layout(config.to_dict(), dtype=loaded.dtype, itemsize=loaded.model.dtype.itemsize, scheme=scheme)
