"""Predict the peak memory of a recipe, from a model's shapes: while loading, and while decoding a batch.

The rest of the process is a constant that was measured, and the working memory of a step is a bound by formula: both
are estimates. `benchmarks/memory.py` compares predictions with measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_qeval.engines.fit.batch_width import default_rows
from pytest_qeval.engines.fit.cache_checks import check_cache_of
from pytest_qeval.engines.fit.cache_layout import CacheLayout, cache_layout
from pytest_qeval.engines.fit.config_values import find_or_none
from pytest_qeval.engines.fit.loading_peak import loading_peak
from pytest_qeval.engines.fit.shapes import ModelShape
from pytest_qeval.engines.fit.weights import ITEMSIZES, ModelBytes, dtype_of, model_bytes
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.measure.memory_facts import DecodingShape, MemoryPrediction
from pytest_qeval.quantize.recipe import Recipe

PROMPT_TOKENS = 512
"""Of the sequences that a prediction is about, before their new tokens: more than a problem's of HumanEval has."""
CONTEXTS = (1024, 2048)
"""For which the widest batch is looked up."""
_RUNTIME_BYTES = 440 * 10**6
"""Resident once torch, transformers and a model's classes are imported (torch 2.13 for CPUs)."""
_TOKENIZER_FACTOR = 9
"""Bytes in memory for each byte of a tokenizer.json."""
_GROUP_TOKENS = 1024
"""Prompt tokens that are read together, if no single prompt is longer (`engines.hf.continuous_batch`)."""
_WIDTHS, _INNERS = 8, 3
"""Hidden states and inner activations of a layer that are alive at once."""
_TRIED_ROWS, _TRIED_WORK = 512, 2**35
"""Rows of the largest product that is tried, and its multiplications at most (`kernels.block_trial`)."""
_MOST_ROWS, _MOST_TOKENS = 4096, 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """One model under one recipe; asked for one batch after the other."""

    shape: ModelShape
    recipe: Recipe
    weights: ModelBytes
    cache: CacheLayout
    """As it is held, in floating point even where it is quantized, since that is simulated."""
    packed_cache: CacheLayout
    """As the recipe would hold it: payload and scales."""
    itemsize: int

    @classmethod
    def of(cls, shape: ModelShape, recipe: Recipe) -> Predictor:
        """Look up what does not depend on the batch.

        Raises:
            ModelSourceError: when the model's config does not tell its layers.
            RecipeError: when the recipe quantizes the cache of a model that it cannot.
        """
        check_cache_of(shape.config, recipe, model=shape.name)
        scheme = recipe.cache
        recipe = shape.exported or recipe
        dtype = dtype_of(shape, recipe)
        itemsize = ITEMSIZES.get(dtype, 4)
        try:
            held, packed = (
                cache_layout(shape.config, dtype=dtype, itemsize=itemsize, scheme=one) for one in (None, scheme)
            )
        except (KeyError, TypeError, ZeroDivisionError) as error:
            raise ModelSourceError(
                f"the config of {shape.name} does not tell how large its key/value cache is (no {error.args[0]}): name "
                "a config.json of an architecture that transformers knows."
            ) from error
        weights = model_bytes(shape, recipe)
        return cls(shape=shape, recipe=recipe, weights=weights, cache=held, packed_cache=packed, itemsize=itemsize)

    @property
    def runtime(self) -> int:
        """Bytes of the process without the model."""
        return _RUNTIME_BYTES + _TOKENIZER_FACTOR * self.shape.tokenizer_bytes

    @property
    def loading(self) -> int:
        """Peak of the process while loading and quantizing."""
        return self.runtime + loading_peak(self.shape, self.recipe, self.weights)

    def working(self, rows: int, tokens: int) -> int:
        """Return a bound of what a step needs besides weights and cache.

        A prefill keeps the keys and values of its prompts until they are placed, and the activations of one layer; a
        decoding step keeps the logits of all rows.
        """
        config = self.shape.config
        group = max(min(_GROUP_TOKENS, rows * tokens), tokens)
        width, inner = (find_or_none(config, name) or 0 for name in ("width", "inner"))
        layer = group * (_WIDTHS * width + _INNERS * (inner or 4 * width)) * self.itemsize
        prefill = layer + group * self.cache.token_bytes + self.weights.unpacked
        logits = 2 * rows * (find_or_none(config, "vocabulary") or 0) * self.itemsize
        return max(prefill, logits)

    @property
    def first_products(self) -> int:
        """Bytes that the first products need: a layer is packed, and tried with many rows (`kernels.block_trial`)."""
        features, width = self.weights.most_features, find_or_none(self.shape.config, "width") or 1
        rows = min(_TRIED_ROWS, _TRIED_WORK // max(1, features * width))
        return self.weights.packing + 2 * rows * features * self.itemsize

    def decoding(self, rows: int, tokens: int) -> int:
        """Return the peak of the process while it decodes `rows` sequences that end with `tokens` tokens each."""
        step = self.cache.bytes(rows=rows, tokens=tokens) + self.working(rows, tokens)
        return self.runtime + self.weights.resident + max(step, self.first_products)

    def longest_context(self, budget: int) -> int:
        """Return the tokens of a single sequence that fit; 0 where none do, at most the model's positions."""
        most = find_or_none(self.shape.config, "positions") or _MOST_TOKENS
        return self._largest(lambda tokens: self.decoding(1, tokens), budget, most)

    def widest_batch(self, budget: int, tokens: int) -> int:
        """Return the number of sequences of `tokens` tokens that fit; 0 where none do."""
        return self._largest(lambda rows: self.decoding(rows, tokens), budget, _MOST_ROWS)

    def _largest(self, needed: Callable[[int], int], budget: int, most: int) -> int:
        """Return the largest number whose need, which never falls, fits; nothing does where loading does not."""
        if self.loading > budget:
            return 0
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if needed(middle) <= budget else (low, middle - 1)
        return low


def predict(
    shape: ModelShape,
    recipe: Recipe,
    *,
    budget_bytes: int | None,
    batch_size: int | None,
    context_tokens: int,
) -> MemoryPrediction:
    """Predict one recipe.

    Args:
        shape: The model.
        recipe: What is done to it.
        budget_bytes: What it may use; None looks no limits up.
        batch_size: Sequences at a time; None for the engine's own choice within the budget.
        context_tokens: Of each sequence at its end; cut to the model's positions.

    Raises:
        ModelSourceError: as `Predictor.of`.
        RecipeError: as `Predictor.of`.
    """
    found = Predictor.of(shape, recipe)
    positions = find_or_none(shape.config, "positions") or context_tokens
    tokens = min(context_tokens, positions)
    free = max(0, budget_bytes - found.runtime - found.weights.parts.total) if budget_bytes else _UNLIMITED
    rows = batch_size or default_rows(token_bytes=found.cache.token_bytes, free_bytes=free)
    prediction = MemoryPrediction(
        recipe=recipe.name,
        parts=found.weights.parts,
        resident_bytes=found.weights.resident,
        cache_token_bytes=found.packed_cache.token_bytes,
        runtime_bytes=found.runtime,
        shape=DecodingShape(batch_size=rows, context_tokens=tokens),
        cache_bytes=found.packed_cache.bytes(rows=rows, tokens=tokens),
        held_cache_bytes=found.cache.bytes(rows=rows, tokens=tokens),
        working_bytes=found.working(rows, tokens),
        loading_bytes=found.loading,
        decoding_bytes=found.decoding(rows, tokens),
        notes=tuple(_notes(shape, recipe)),
    )
    if budget_bytes is None:
        return prediction
    widest = {str(length): found.widest_batch(budget_bytes, length) for length in CONTEXTS if length <= positions}
    return replace(prediction, longest_context=found.longest_context(budget_bytes), widest_batch=widest)


_UNLIMITED = 2**60


def _notes(shape: ModelShape, recipe: Recipe) -> list[str]:
    notes = {
        f"{recipe.quantizer} quantizes it by rules of its own: its weights are counted in floating point": bool(
            recipe.quantizer
        ),
        "its key/value cache is counted as packed; here it is simulated, and held in floating point while decoding": (
            recipe.cache is not None
        ),
        "recurrent layers keep a state of fixed size, which is not counted": find_or_none(shape.config, "heads")
        is None,
        "an encoder-decoder: the decoder is taken to generate as many tokens as the prompt has": bool(
            shape.config.get("is_encoder_decoder")
        ),
    }
    return [note for note, applies in notes.items() if applies]
