"""Completions do not depend on the batch, its width and order, or on the threads; where they do, the engine says so."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.continuous_batch import BatchShape, ContinuousBatch
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.hf.invariance import find_batch_dependence, multiply_in_blocks
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.trial import find_fallback_reason
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.kernels.onednn_product import pack
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings

PROMPTS = (
    "def add(a, b):\n    ",
    "x = [",
    'def count_vowels(text):\n    """Count the vowels of a text."""\n' * 3,
    "def maximum(numbers):\n    ",
)
GREEDY = GenerationSettings(max_new_tokens=12)
Texts = dict[str, tuple[str, int | None]]


def complete(engine: TransformersEngine | Decoder, prompts: Sequence[int], *, at_once: int = 9) -> Texts:
    """Complete prompts, so many at once; texts and numbers of tokens by prompt."""
    found: Texts = {}
    for start in range(0, len(prompts), at_once):
        group = prompts[start : start + at_once]
        engine.submit([Request(key=str(at), prompt=PROMPTS[at], n_samples=1) for at in group])
        while engine.progress.finished < engine.progress.total:
            found.update(
                {one.key: (one.completion.text, one.completion.n_tokens) for one in require_finished(engine.step())}
            )
    return found


def check(open_engine: Callable[[int], TransformersEngine | Decoder]) -> None:
    """Compare a batch of all prompts with others; the argument opens an engine of a width."""
    wide = open_engine(8)
    expected = complete(wide, range(4))
    assert len(set(expected.values())) > 1
    assert complete(wide, [3, 2, 1, 0]) == expected
    assert complete(wide, range(4), at_once=1) == expected
    torch.set_num_threads(2)
    try:
        assert complete(open_engine(3), [2, 0]).items() <= expected.items()
    finally:
        torch.set_num_threads(1)


def skip_unless_attended(dtype: torch.dtype) -> None:
    """Skip where torch cannot attend: in bfloat16, with AMX in the CPU and ATEN_CPU_CAPABILITY below AVX-512."""
    try:
        scaled_dot_product_attention(*torch.zeros(3, 1, 1, 64, 32, dtype=dtype))
    except RuntimeError as error:
        pytest.skip(f"torch cannot attend in {dtype} here: {error}")


@pytest.mark.parametrize("name", ["fp32", "bf16", "int8", "w4a16-g32", "w8a16"])
def test_completions_of_the_demo_model_do_not_depend_on_the_batch(name: str) -> None:
    skip_unless_attended(torch.bfloat16 if name == "bf16" else torch.float32)

    def open_engine(rows: int) -> TransformersEngine:
        model = ModelSettings(name="demo", device="cpu", batch_size=rows)
        engine = TransformersEngine(source=resolve(model), recipe=find_recipe(name), model=model, generation=GREEDY)
        assert not engine.facts()["batch_dependence"]
        return engine

    check(open_engine)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "neox"])
def test_completions_of_other_families_do_not_depend_on_the_batch(
    family: str, dtype: torch.dtype, make_model: Callable[[str], Any], tokenizer: Any
) -> None:
    skip_unless_attended(dtype)
    model = copy.deepcopy(make_model(family)).to(dtype)
    model.set_attn_implementation("sdpa")
    use_grouped_attention(model)
    multiply_in_blocks(model)
    language_model = LanguageModel(model=model, tokenizer=tokenizer, eos_ids=())
    assert not find_batch_dependence(language_model, find_recipe("auto"))
    check(lambda rows: ContinuousBatch(language_model, GREEDY, shape=BatchShape(rows=rows)))


def test_layers_that_are_called_pack_their_weight() -> None:
    """An output layer tied to the embeddings gets a copy; a layer whose weight is read past it keeps it plain."""
    embedding, head, unused = nn.Embedding(40, 32), nn.Linear(32, 40, bias=False), nn.Linear(32, 8)
    head.weight = embedding.weight
    model = nn.ModuleList([embedding, head, unused])
    x = torch.randn(3, 1, 32)
    expected, before = head(x), embedding.weight.detach().clone()
    multiply_in_blocks(model)
    with torch.inference_mode():
        torch.testing.assert_close(head(x), expected)
        torch.testing.assert_close(head(x), expected)
    assert head.weight.is_mkldnn == pack(before).is_mkldnn
    assert torch.equal(embedding.weight, before)
    assert type(unused.weight) is nn.Parameter
    assert not unused.weight.is_mkldnn


def test_an_engine_says_why_completions_depend_on_the_batch(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    def reason(family: str, recipe: str) -> str:
        model = make_model(family)
        fallback = find_fallback_reason(model)
        given = LanguageModel(model=model, tokenizer=tokenizer, eos_ids=(), fallback_reason=fallback)
        return find_batch_dependence(given, find_recipe(recipe))

    assert "`generate` pads" in reason("mistral", "auto")
    assert "one scale is found for the inputs of all rows" in reason("llama", "w8a8-dynamic-tensor")
