"""Experts of a mixture are linear layers for every recipe, whatever the layout in which transformers holds them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.engines.hf.loading import load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.builtin import AS_IS, INT8
from pytest_qeval.quantize.experts import unpack_experts_
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ModelSettings
from tests.unit.quantize.models import distance, logits, make_llama, make_mixture

FAMILIES = ("mixtral", "qwen3_moe", "deepseek_v2", "gpt_oss")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_unpacked_experts_compute_the_same(family: str, dtype: torch.dtype) -> None:
    """To the last bit in float32, and to the rounding of one sum in bfloat16; also a copy of them."""
    model = make_mixture(family, dtype=dtype)
    expected = logits(model)
    unpack_experts_(model)
    unpack_experts_(model)
    found = logits(model)
    assert distance(found, expected) <= (0 if dtype == torch.float32 else 0.02)
    assert torch.equal(logits(copy.deepcopy(model)), found)
    assert not any(parameter.ndim > 2 for parameter in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("scheme", "near"), [("w8a8", 0.15), ("w8a16", 0.05), ("w4a16-g32", 0.7)])
def test_experts_are_quantized(family: str, scheme: str, near: float) -> None:
    """Most parameters outside embeddings; routers and the output layer are kept, and named."""
    model = make_mixture(family)
    expected = logits(model)
    done = quantize_(model, find_recipe(scheme))
    assert 0 < distance(logits(model), expected) < near
    assert done.share_outside_embeddings > 0.85
    assert not any("only" in note for note in done.notes)
    kept = {layer.name.rpartition(".")[2] for layer in done.layers if layer.kept and layer.name != "lm_head"}
    assert kept == {"router" if family == "gpt_oss" else "gate"}
    whole = [
        parameter.numel()
        for name, parameter in make_mixture(family).named_parameters()
        if parameter.ndim > 1 and "embed" not in name and "bias" not in name
    ]
    assert sum(layer.shape[0] * layer.shape[1] for layer in done.layers) == sum(whole)


def test_experts_are_int8_layers() -> None:
    """Of their own scales each."""
    model = make_mixture("mixtral")
    quantize_(model, INT8)
    experts = model.model.layers[0].mlp.experts
    assert [type(layer) for layer in experts.down_proj] == [Int8Linear] * 4
    assert len({id(layer.fused) for layer in experts.gate_up_proj}) == 4


def test_experts_of_another_form_are_kept_by_name() -> None:
    """And a warning says how little is quantized."""
    model = make_mixture("llama4")
    expected = logits(model)
    done = quantize_(model, INT8)
    kept = [layer.name for layer in done.layers if layer.kept]
    assert "model.layers.0.feed_forward.experts.gate_up_proj" in kept
    assert distance(logits(model), expected) < 0.04
    assert done.notes[0].startswith(
        "only 35% of the parameters outside embeddings are quantized: the verdict is mostly"
    )
    assert "the largest model.layers.0.feed_forward.experts.gate_up_proj)" in done.notes[0]
    assert "experts that transformers computes in a way of their own stay in floating point" in done.notes


@pytest.mark.parametrize("family", FAMILIES)
def test_unpacking_copies_no_weights(family: str) -> None:
    """They are most of the model."""
    model = make_mixture(family)
    experts = model.model.layers[1].mlp.experts
    before = {name: getattr(experts, name).data_ptr() for name in ("gate_up_proj", "down_proj")}
    unpack_experts_(model)
    assert {name: getattr(experts, name)[0].weight.data_ptr() for name in before} == before


def test_a_dense_model_is_left_alone() -> None:
    """It has no experts."""
    model = make_llama()
    before = [type(module) for module in model.modules()]
    unpack_experts_(model)
    assert [type(module) for module in model.modules()] == before
    assert not any(isinstance(module, nn.ModuleList) for module in model.model.layers[0].modules())


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss"])
def test_an_exported_mixture_is_the_same_again(tmp_path: Path, family: str) -> None:
    """Biases and transposed tensors included; it is for this program alone."""
    make_mixture(family).save_pretrained(tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).write_bytes((MODEL_DIR / name).read_bytes())
    source = resolve(ModelSettings(name=str(tmp_path / "model")))
    first = load(source, find_recipe("w8a8"), device="cpu", export=tmp_path / "out")
    again = load(resolve(ModelSettings(name=str(tmp_path / "out"))), AS_IS, device="cpu")
    assert torch.equal(logits(again.model), logits(first.model))
    assert again.quantization.quantized_layers == first.quantization.quantized_layers
    assert (tmp_path / "out" / "qeval.safetensors").is_file()
