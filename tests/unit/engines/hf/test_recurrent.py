"""Models with a recurrent state: they are decoded, measured and quantized, and what cannot be quantized is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, JambaConfig, MambaConfig, PreTrainedConfig, RecurrentGemmaConfig

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.hf.direct_reads import find_direct_reads
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.hf.loading import load
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.quantize.builtin import AS_IS, INT8
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings
from tests.unit.quantize.models import distance, make_llama, make_t5


def _config(family: str, tokenizer: Any) -> PreTrainedConfig:
    ids = dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id"), tokenizer.eos_token_id)
    size: dict[str, Any] = {"vocab_size": len(tokenizer), "hidden_size": 64, "num_hidden_layers": 2, **ids}
    if family == "mamba":
        return MambaConfig(**size, state_size=8, tie_word_embeddings=False)
    heads = {"num_attention_heads": 4, "num_key_value_heads": 1, "intermediate_size": 96}
    if family == "recurrent_gemma":
        return RecurrentGemmaConfig(**size, **heads, lru_width=64, block_types=["recurrent", "attention"])
    layers = {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1}
    return JambaConfig(**size, **heads, **layers, num_experts=4, mamba_d_state=8, use_mamba_kernels=False)


@pytest.fixture
def save(tokenizer: Any, tmp_path: Path) -> Any:
    """Save a random model of a family with the tests' tokenizer."""

    def save_family(family: str) -> ModelSource:
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(_config(family, tokenizer)).save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        return resolve(ModelSettings(name=str(tmp_path / family)))

    return save_family


@pytest.mark.parametrize("family", ["mamba", "jamba", "recurrent_gemma"])
def test_a_recurrent_model_is_evaluated_in_int8(save: Any, family: str) -> None:
    """By `generate`; its single stream is timed token by token as well."""
    source = save(family)
    settings = ModelSettings(name=source.name, device="cpu")
    engine = TransformersEngine(
        source=source, recipe=INT8, model=settings, generation=GenerationSettings(max_new_tokens=4)
    )
    engine.submit([Request(key=str(at), prompt=prompt) for at, prompt in enumerate(["def add(a, b):", "x"])])
    finished = 0
    while finished < 2:
        finished += len(engine.step())
    facts = engine.facts()
    assert facts["decoding"] == "generate: recurrent state instead of a key/value cache"
    assert facts["quantized_layers"] > 5
    for workload, values in (
        (Workload(kind="prefill", prompt_tokens=4), 1),
        (Workload(kind="decode", prompt_tokens=4, new_tokens=3), 3),
        (Workload(kind="decode", prompt_tokens=4, new_tokens=3, batch=2), 3),
    ):
        times = engine.prepare(workload)()
        assert len(times) == values
        assert min(times) > 0
    read = family != "recurrent_gemma"
    assert ("dt_proj" in facts["kept"]) == read
    assert ("kept, because the model reads their weights itself: dt_proj" in facts["notes"]) == read


@pytest.mark.parametrize("scheme", ["w8a8", "w8a8+lm_head", "w8a16", "torchao:Int8WeightOnlyConfig"])
def test_layers_whose_weight_is_read_are_kept(save: Any, scheme: str) -> None:
    """The other layers are quantized, and the model stays close; Mamba asks the output layer for its dtype too."""
    if ":" in scheme:
        pytest.importorskip("torchao", reason="the torchao extra is not installed")
    source, ids = save("mamba"), torch.arange(12)[None]
    expected = load(source, AS_IS, device="cpu").model(ids).logits
    loaded = load(source, find_recipe(scheme), device="cpu")
    assert set(loaded.direct_reads) == {"dt_proj", *(["lm_head"] if "lm_head" in scheme else [])}
    layers = {layer.name.rpartition(".")[2]: layer.kept for layer in loaded.quantization.layers}
    assert {name: layers[name] for name in ("dt_proj", "lm_head", "in_proj")} == {
        "dt_proj": True,
        "lm_head": True,
        "in_proj": False,
    }
    assert 0 < distance(loaded.model(ids).logits, expected) < 0.05


def test_models_that_read_no_weights_keep_nothing_more() -> None:
    """T5 asks whether there is a weight before it reads its type."""
    model = make_llama()
    assert find_direct_reads(model, INT8, None) == ()
    assert {type(module) for module in model.modules() if isinstance(module, nn.Linear)} == {nn.Linear}
    start = type("Start", (), {"start": (0,)})
    assert find_direct_reads(make_t5(), INT8, start) == ()  # type: ignore[arg-type]
    assert find_direct_reads(model, AS_IS, None) == ()
