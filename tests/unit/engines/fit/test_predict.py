"""Predictions never fall as more is decoded, and limits are the largest that fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.engines.fit.architectures import tensors_by_formula
from pytest_qeval.engines.fit.predict import Predictor, predict
from pytest_qeval.engines.fit.shapes import ModelShape
from pytest_qeval.errors import ModelSourceError, RecipeError
from pytest_qeval.quantize.lookup import find_recipe
from tests.unit.engines.fit.test_architectures import LLAMA_2_7B, QWEN_05B

GB = 10**9


def shape(config: Mapping[str, Any], **fields: Any) -> ModelShape:
    tensors = tensors_by_formula(config, tied=False)
    assert tensors is not None
    known: dict[str, Any] = {"name": "m", "origin": "config.json", "dtype": "bfloat16"}
    return ModelShape(config=config, tensors=tensors, **{**known, **fields})


SHAPES = {"llama": shape(LLAMA_2_7B), "qwen": shape(QWEN_05B), "window": shape({**QWEN_05B, "sliding_window": 500})}


@cache
def predictor(name: str, recipe: str) -> Predictor:
    return Predictor.of(SHAPES[name], find_recipe(recipe))


RECIPES = st.sampled_from(["fp32", "bf16", "int8", "int4", "w3a16"])


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(SHAPES)),
    recipe=RECIPES,
    rows=st.integers(1, 200),
    tokens=st.integers(1, 40_000),
    more=st.integers(0, 1000),
)
def test_more_never_needs_less(name: str, recipe: str, rows: int, tokens: int, more: int) -> None:
    """More rows, or longer ones."""
    found = predictor(name, recipe)
    assert found.decoding(rows, tokens) <= found.decoding(rows + more, tokens)
    assert found.decoding(rows, tokens) <= found.decoding(rows, tokens + more)


@settings(deadline=None)
@given(recipe=RECIPES, budget=st.integers(1, 60).map(lambda size: size * GB))
def test_limits_are_the_largest_that_fit(recipe: str, budget: int) -> None:
    """One token or one row more does not; nothing fits where loading does not."""
    found = predictor("llama", recipe)
    tokens, rows = found.longest_context(budget), found.widest_batch(budget, 1024)
    if found.loading > budget:
        assert (tokens, rows) == (0, 0)
        return
    assert tokens == 0 or found.decoding(1, tokens) <= budget
    assert tokens == 4096 or found.decoding(1, tokens + 1) > budget
    assert rows == 0 or found.decoding(rows, 1024) <= budget
    assert rows == 4096 or found.decoding(rows + 1, 1024) > budget


def test_a_checkpoint_of_12_gigabytes_is_int8_in_half_of_them() -> None:
    """Llama-2-7B in int8: one byte a weight, and embeddings and output layer in bfloat16."""
    found = predict(SHAPES["llama"], find_recipe("int8"), budget_bytes=16 * GB, batch_size=1, context_tokens=1024)
    assert 6.9 * GB < found.model_bytes < 7.1 * GB
    assert found.cache_bytes == 2 * (1024 + 64) * 512 * 1024
    assert set(found.widest_batch) == {"1024", "2048"}


def test_the_context_ends_with_the_models_positions() -> None:
    small = shape({**QWEN_05B, "max_position_embeddings": 256})
    found = predict(small, find_recipe("bf16"), budget_bytes=60 * GB, batch_size=2, context_tokens=1024)
    assert (found.shape.context_tokens, found.longest_context, found.widest_batch) == (256, 256, {})


def test_the_batch_is_the_engines_own_within_the_budget() -> None:
    """Half of what the model leaves of it is for the cache."""
    tight, wide = (
        predict(SHAPES["llama"], find_recipe("int8"), budget_bytes=size, batch_size=None, context_tokens=1024)
        for size in (16 * GB, 200 * GB)
    )
    assert tight.shape.batch_size < 16
    assert wide.shape.batch_size == 128


def test_another_packages_quantizer_is_counted_in_floating_point() -> None:
    found = predict(SHAPES["qwen"], find_recipe("study-dynamic"), budget_bytes=None, batch_size=1, context_tokens=64)
    assert "counted in floating point" in found.notes[0]
    assert found.longest_context is None


def test_a_config_without_layers_is_refused() -> None:
    with pytest.raises(ModelSourceError, match=r"its key/value cache is \(no num_hidden_layers"):
        Predictor.of(replace(SHAPES["qwen"], config={"num_attention_heads": 4, "hidden_size": 64}), find_recipe("bf16"))


def test_loading_peaks_at_the_quantized_model_unless_calibration_needs_the_floats() -> None:
    """Weights are rounded as they are read; static activations are calibrated on the model in bfloat16."""
    dynamic, static = predictor("llama", "int8"), predictor("llama", "int8-static")
    assert dynamic.weights.resident < dynamic.loading < dynamic.weights.resident + GB
    assert static.loading > 13 * GB


def test_a_quantized_cache_is_told_as_packed_and_counted_as_held() -> None:
    """It is simulated: the process needs what it needs without it, and no width of the batch changes."""
    plain, rounded = (
        predict(SHAPES["qwen"], find_recipe(name), budget_bytes=8 * GB, batch_size=None, context_tokens=1024)
        for name in ("int8", "int8+kv4")
    )
    assert plain.held_cache_bytes == plain.cache_bytes == rounded.held_cache_bytes
    assert rounded.cache_bytes * 128 == plain.cache_bytes * (32 + 4)
    assert rounded.cache_token_bytes * 128 == plain.cache_token_bytes * (32 + 4)
    assert (rounded.decoding_bytes, rounded.shape) == (plain.decoding_bytes, plain.shape)
    assert (plain.notes, len(rounded.notes)) == ((), 1)


def test_a_cache_with_a_window_is_not_quantized() -> None:
    with pytest.raises(RecipeError, match=r"int8\+kv8: the key/value cache of m cannot be quantized here \(sliding"):
        predictor("window", "int8+kv8")
