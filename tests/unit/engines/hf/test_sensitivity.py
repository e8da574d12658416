"""Sensitivity quantizes one block at a time and leaves the others as they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from pytest_qeval.engines.hf.sensitivity import block_names, measure_sensitivity
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import RecipeError
from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.corpus import calibration_texts
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ModelSettings

SOLUTIONS = [("def add(a, b):\n", "    return a + b\n"), ("def first(items):\n", "    return items[0]\n")]


def llama() -> Any:
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, vocab_size=64
    )
    return LlamaForCausalLM(config)


def measure(recipe: str) -> SensitivityFacts:
    found = find_recipe(recipe)
    plan = found.calibration
    texts = plan and calibration_texts("stdlib", samples=2, characters=100, seed=0)
    source = resolve(ModelSettings(name="demo"))
    return measure_sensitivity(source, found, SOLUTIONS, device="cpu", threads=1, texts=texts or None)


def test_every_block_is_named_with_its_quantized_layers() -> None:
    model = llama()
    assert block_names(model, find_recipe("int8")) == {f"model.layers.{index}": 7 for index in range(3)}


def test_an_output_layer_is_a_block_of_its_own() -> None:
    assert block_names(llama(), find_recipe("w8a8+lm_head"))["lm_head"] == 1


def test_encoder_and_decoder_have_blocks() -> None:
    config = T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_decoder_layers=1, num_heads=2, vocab_size=32)
    names = block_names(T5ForConditionalGeneration(config), find_recipe("int8"))
    assert list(names) == ["encoder.block.0", "encoder.block.1", "decoder.block.0"]


def test_only_layers_within_the_block_are_quantized() -> None:
    model = llama()
    done = quantize_(model, find_recipe("int8"), within="model.layers.1")
    assert {layer.name.split(".")[2] for layer in done.layers} == {"1"}
    assert type(model.model.layers[0].mlp.up_proj) is torch.nn.Linear


def test_blocks_are_ranked_by_what_they_do() -> None:
    facts = measure("w2a16")
    kls = [block.kl for block in facts.blocks]
    assert kls == sorted(kls, reverse=True)
    assert len(kls) == 7
    assert kls[-1] > 0
    assert all(0 <= block.same_top1 <= 1 for block in facts.blocks)
    assert (facts.texts, facts.recipe) == (2, "w2a16")


def test_fewer_bits_do_more() -> None:
    assert measure("w3a16").blocks[0].kl > 10 * measure("w8a16").blocks[0].kl


def test_static_recipes_are_calibrated_first() -> None:
    assert len(measure("w8a8-static-mse").blocks) == 7


def test_another_package_s_recipes_are_refused() -> None:
    with pytest.raises(RecipeError, match="study-dynamic: sensitivity takes this package's own schemes"):
        measure("study-dynamic")


def test_an_output_layer_alone_is_really_quantized() -> None:
    """A layer that was not quantized would rank as harmless."""
    model = llama()
    done = quantize_(model, find_recipe("w2a16+lm_head"), within="lm_head")
    assert [layer.name for layer in done.layers if not layer.kept] == ["lm_head"]
    assert quantize_(llama(), find_recipe("int8"), within="model.layers.1").quantized_layers == 7
