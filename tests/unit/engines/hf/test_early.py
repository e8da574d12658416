"""Weights that are rounded while a model is being loaded are the same to the bit, and floats one at a time."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.engines.hf import checkpoint, loading
from pytest_qeval.engines.hf.early import plan_early
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.errors import ModelSourceError, RecipeError
from pytest_qeval.quantize.builtin import INT8, STUDY_STATIC
from pytest_qeval.quantize.early import EarlyRounding
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.recipe import Dtype, Recipe
from pytest_qeval.schema import LoadingProgress
from pytest_qeval.settings import ModelSettings
from tests.unit.odd_checkpoints import Tensors, copy_demo, edit_tensors
from tests.unit.quantize.models import logits, make_bart, make_gpt2, make_llama, make_mixture, make_t5

FAMILIES: dict[str, Callable[[], Any]] = {
    "tied": lambda: make_llama(tie_word_embeddings=True),
    "untied": make_llama,
    "gpt2": make_gpt2,
    "t5": make_t5,
    "bart": make_bart,
    **{name: partial(make_mixture, name) for name in ("mixtral", "deepseek_v2", "gpt_oss")},
}
MIXED = """
scheme = "w8a8"

[[layers]]
pattern = "*.0.*"
scheme = "kept"

[[layers]]
pattern = "down_proj"
scheme = "w4a16-g32"
"""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def load_late(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loaded]:
    """Load everything in floating point first, and quantize it then."""

    def load_all(source: ModelSource, recipe: Recipe, **arguments: Any) -> Loaded:
        with monkeypatch.context() as patch:
            patch.setattr(loading, "plan_early", lambda *_: None)
            return load(source, recipe, device="cpu", **arguments)

    return load_all


def find(path: Path) -> ModelSource:
    return resolve(ModelSettings(name=str(path)))


def save(model: Any, path: Path, **arguments: Any) -> ModelSource:
    model.save_pretrained(path, **arguments)
    for name in TOKENIZER:
        shutil.copy(MODEL_DIR / name, path)
    return find(path)


def state(loaded: Loaded) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in loaded.model.state_dict().items() if isinstance(tensor, torch.Tensor)}


def assert_same(early: Loaded, late: Loaded) -> None:
    """Compare what a model computes, what it holds, and what is said of it."""
    assert torch.equal(logits(early.model), logits(late.model))
    states = state(early), state(late)
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items() if not tensor.is_mkldnn)
    for name in ("recipe", "direct_reads", "model_bytes", "scheme", "eos_ids", "dtype", "fallback_reason"):
        assert getattr(early, name) == getattr(late, name), name
    for name in ("layers", "parameters", "embeddings"):
        assert getattr(early.quantization, name) == getattr(late.quantization, name), name


@pytest.mark.parametrize(
    "scheme",
    ["int8", "w8a8+lm_head", "w8a8-tensor", "w8a16", "w4a16-g128", "w4a16-g32-mse", "w3a16", "w4a8", "mixed.toml"],
)
def test_every_scheme_is_the_same(tmp_path: Path, load_late: Callable[..., Loaded], scheme: str) -> None:
    """As with everything loaded first."""
    (tmp_path / "mixed.toml").write_text(MIXED, encoding="utf-8")
    recipe = find_recipe(str(tmp_path / scheme) if scheme.endswith(".toml") else scheme)
    source = find(MODEL_DIR)
    assert plan_early(source, recipe) is not None
    assert_same(load(source, recipe, device="cpu"), load_late(source, recipe))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scheme", ["w8a8+lm_head", "w3a16"])
def test_every_kind_of_model_is_the_same(
    tmp_path: Path, load_late: Callable[..., Loaded], family: str, scheme: str
) -> None:
    """Tied weights, transposed ones, an encoder, stacks of experts."""
    source, recipe = save(FAMILIES[family](), tmp_path / family), find_recipe(scheme)
    assert plan_early(source, recipe) is not None
    assert_same(load(source, recipe, device="cpu"), load_late(source, recipe))


def test_the_exports_are_the_same(tmp_path: Path, load_late: Callable[..., Loaded]) -> None:
    """To the byte."""
    source, recipe = find(MODEL_DIR), find_recipe("w4a16-g32")
    load(source, recipe, device="cpu", export=tmp_path / "early")
    load_late(source, recipe, export=tmp_path / "late")
    files = [{file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("early", "late")]
    assert files[0] == files[1]


@pytest.fixture
def alive() -> Iterator[list[int]]:
    """Note, whenever a matrix is set, how many bytes of matrices are alive that have been set before.

    Zeros that take no memory do not count.
    """
    noted: list[int] = []
    parameters: list[weakref.ref[nn.Parameter]] = []

    def note(_module: nn.Module, _name: str, parameter: Any) -> None:
        if parameter is not None and not parameter.is_meta and parameter.ndim > 1 and any(parameter.stride()):
            known = (one() for one in parameters)
            noted.append(sum(one.nbytes for one in known if one is not None))
            parameters.append(weakref.ref(parameter))

    hook = register_module_parameter_registration_hook(note)
    yield noted
    hook.remove()


@pytest.mark.parametrize(("shard", "n_files"), [("1GB", 1), ("200KB", 4)], ids=["one file", "shards"])
@pytest.mark.parametrize("dtype", ["checkpoint", "float32"])
def test_one_matrix_at_a_time_is_a_float(
    tmp_path: Path, alive: list[int], shard: str, n_files: int, dtype: Dtype
) -> None:
    """Beside the embeddings and the output layer, which stay; whatever the number of layers and files."""
    model = make_llama(dtype=torch.bfloat16, num_hidden_layers=6)
    source = save(model, tmp_path / "model", max_shard_size=shard)
    assert len(list((tmp_path / "model").glob("*.safetensors"))) == n_files
    elements = [
        one.weight.numel() for one in (model.model.embed_tokens, model.lm_head, model.model.layers[0].mlp.up_proj)
    ]
    del model
    alive.clear()
    load(source, replace(INT8, dtype=dtype), device="cpu")
    assert len(alive) == 6 * 7 + 2
    assert max(alive) <= sum(elements) * (4 if dtype == "float32" else 2)


def test_a_plan_that_the_loaded_model_does_not_fit_is_dropped(
    monkeypatch: pytest.MonkeyPatch, load_late: Callable[..., Loaded]
) -> None:
    """It is loaded again, and quantized afterwards."""
    monkeypatch.setattr(EarlyRounding, "fits", lambda *_: False)
    assert_same(load(find(MODEL_DIR), INT8, device="cpu"), load_late(find(MODEL_DIR), INT8))


def test_a_plan_fits_the_model_that_it_was_made_for() -> None:
    """And not one that keeps a layer which has been rounded."""
    model = make_llama()
    early = EarlyRounding(make_llama(), INT8)
    assert early.take("model.layers.0.mlp.up_proj.weight", model.model.layers[0].mlp.up_proj.weight.detach())
    assert not early.take("lm_head.weight", model.lm_head.weight.detach())
    assert early.fits(model, INT8)
    assert not early.fits(model, replace(INT8, kept=("up_proj",)))


def test_weights_that_two_layers_share_are_left_for_later() -> None:
    """The first layer would take them from the second."""
    skeleton = make_llama()
    layers = skeleton.model.layers
    layers[1].mlp.up_proj.weight = layers[0].mlp.up_proj.weight
    early = EarlyRounding(skeleton, INT8)
    assert not early.take("model.layers.0.mlp.up_proj.weight", layers[0].mlp.up_proj.weight.detach())
    assert early.take("model.layers.0.mlp.gate_proj.weight", layers[0].mlp.gate_proj.weight.detach())


def test_what_needs_the_whole_model_is_loaded_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration, full precision, checkpoints of other packages, and models that cannot do without weights."""
    source = find(MODEL_DIR)
    assert plan_early(source, STUDY_STATIC) is None
    assert plan_early(source, find_recipe("bf16")) is None
    config = {"quantization_config": {"quant_method": "gptq"}}
    assert plan_early(find(copy_demo(tmp_path / "gptq", **config)), INT8) is None
    monkeypatch.setattr(checkpoint, "build_skeleton", lambda *_: None)
    assert plan_early(source, INT8) is None


def test_a_recipe_without_a_layer_is_refused_before_loading(tmp_path: Path) -> None:
    """As it is afterwards."""
    source = save(make_llama(), tmp_path / "model")
    recipe = replace(INT8, kept=("*",))
    with pytest.raises(RecipeError, match="quantizes linear layers, and LlamaForCausalLM has none that it does not"):
        load(source, recipe, device="cpu")


def test_weights_that_are_not_finite_are_named_though_they_are_gone(tmp_path: Path) -> None:
    """In the model's order, beside those that stay."""

    def damage(tensors: Tensors) -> Tensors:
        for layer in ("model.layers.3.mlp.down_proj", "model.layers.1.mlp.up_proj", "model.norm"):
            tensors[f"{layer}.weight"].view(-1)[0] = float("nan")
        return tensors

    path = edit_tensors(copy_demo(tmp_path / "model"), damage)
    names = r"model\.layers\.1\.mlp\.up_proj\.weight, model\.layers\.3\.mlp\.down_proj\.weight, model\.norm\.weight"
    with pytest.raises(ModelSourceError, match=rf"holds NaN or infinity in {names}: the checkpoint"):
        load(find(path), INT8, device="cpu")


def test_a_missing_weight_is_named_as_ever(tmp_path: Path) -> None:
    """It would be drawn at random."""
    path = copy_demo(tmp_path / "model")
    tensors = {
        name: one for name, one in load_file(path / "model.safetensors").items() if "layers.3.mlp.up" not in name
    }
    save_file(tensors, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        ModelSourceError, match=r"lack model\.layers\.3\.mlp\.up_proj\.weight, which its config asks for"
    ):
        load(find(path), INT8, device="cpu")


@pytest.mark.parametrize(("recipe", "action"), [("int8", ", quantizing to int8"), ("fp32", "")])
def test_loading_tells_how_far_it_is(recipe: str, action: str) -> None:
    """Up to the end, and what it does."""
    told: list[LoadingProgress] = []
    load(find(MODEL_DIR), find_recipe(recipe), device="cpu", on_loading=told.append)
    size = sum(file.stat().st_size for file in MODEL_DIR.glob("*.safetensors")) / 10**6
    assert {one.action for one in told} == {f"loading {size:.1f} MB{action}"}
    assert [one.share for one in told] == sorted(one.share for one in told)
    assert told[0].share < 0.5
    assert told[-1].share == 1


def test_an_export_with_stacked_experts_starts_from_its_integers(tmp_path: Path) -> None:
    """All of a stack, or some beside floats."""
    source = save(make_mixture("gpt_oss"), tmp_path / "model")
    for kept in ((), ("*.experts.down_proj.1",)):
        recipe = replace(find_recipe("w8a16"), kept=("lm_head", *kept))
        first = load(source, recipe, device="cpu", export=tmp_path / "out")
        assert json.loads((tmp_path / "out" / "qeval.json").read_text(encoding="utf-8"))["stacked"]
        again = load(find(tmp_path / "out"), recipe, device="cpu")
        assert torch.equal(logits(again.model), logits(first.model))
        assert again.quantization.layers == first.quantization.layers
