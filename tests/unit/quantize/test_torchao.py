"""torchao quantizes what a recipe does not keep, and its configurations are found without importing it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.measure.footprint import measure_footprint
from pytest_qeval.quantize import torchao
from pytest_qeval.quantize.torchao import TORCHAO

pytest.importorskip("torchao", reason="the torchao extra is not installed")

TOKENS = torch.arange(24).reshape(2, 12)
GROUPED = "IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(16))"


def make_llama(*, tied: bool = False, dtype: torch.dtype = torch.float32) -> Any:
    """Make a random Llama of two layers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=128,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).to(dtype).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("Int8DynamicActivationInt8WeightConfig", 0.05),
        ("Int8WeightOnlyConfig", 0.05),
        ("IntxWeightOnlyConfig", 0.05),
        (GROUPED, 0.3),
    ],
)
def test_the_quantized_model_stays_close(config: str, error: float, dtype: torch.dtype) -> None:
    model = make_llama(dtype=dtype)
    with torch.inference_mode():
        expected = model(TOKENS).logits.float()
        TORCHAO.apply(model, TORCHAO.recipe(config))
        actual = model(TOKENS).logits.float()
    assert 0 < float((actual - expected).norm() / expected.norm()) < error


def test_every_linear_layer_but_the_head_is_torchaos() -> None:
    model = make_llama()
    result = TORCHAO.apply(model, TORCHAO.recipe("Int8WeightOnlyConfig"))
    kinds = {name: type(module.weight) for name, module in model.named_modules() if type(module) is nn.Linear}
    assert kinds.pop("lm_head") is nn.Parameter
    assert {kind.__name__ for kind in kinds.values()} == {"Int8Tensor"}
    assert [layer.name for layer in result.layers] == [*kinds, "lm_head"]
    assert [layer.name for layer in result.layers if layer.kept] == ["lm_head"]


def test_a_record_says_what_is_held() -> None:
    """int8 values, and per row a scale in float32 and a zero point in int8."""
    model = make_llama()
    result = TORCHAO.apply(model, TORCHAO.recipe("Int8WeightOnlyConfig"))
    layer = next(layer for layer in result.layers if layer.name == "model.layers.1.mlp.up_proj")
    assert (layer.shape, layer.bits, layer.granularity) == ((176, 64), 8, "per_channel")
    assert (layer.bytes_before, layer.bytes_after) == (4 * 176 * 64, 176 * (64 + 4 + 1))
    assert (result.execution, layer.execution) == ("native", "native")
    assert result.notes == (
        "computed by torchao in eager mode, which may be slower than the floating point it replaces on a CPU",
    )


def test_weights_that_are_not_packed_are_called_so() -> None:
    result = TORCHAO.apply(make_llama(), TORCHAO.recipe(GROUPED))
    assert (result.layers[0].bits, result.layers[0].granularity) == (4, "per_group(16)")
    assert result.notes == ("torchao holds each 4-bit weight in a byte, and computes in floating point",)


@pytest.mark.parametrize("config", ["Int8WeightOnlyConfig", "Int8WeightOnlyConfig(granularity=PerTensor())", GROUPED])
def test_the_footprint_counts_what_is_held(config: str) -> None:
    model = make_llama()
    before = measure_footprint(model)
    result = TORCHAO.apply(model, TORCHAO.recipe(config))
    after = measure_footprint(model)
    assert after.parameters == before.parameters
    assert after.model_bytes == before.model_bytes - result.bytes_before + result.bytes_after
    assert result.bytes_after < 0.35 * result.bytes_before


def test_a_tied_head_is_kept() -> None:
    model = make_llama(tied=True)
    TORCHAO.apply(model, TORCHAO.recipe("Int8WeightOnlyConfig"))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert type(model.lm_head.weight) is nn.Parameter


def test_compiler_settings_of_the_process_stay_as_they_are() -> None:
    import torch._inductor.config as inductor  # noqa: PLC0415 - needed here only

    before = inductor.coordinate_descent_tuning
    TORCHAO.apply(make_llama(), TORCHAO.recipe("Int8WeightOnlyConfig"))
    assert inductor.coordinate_descent_tuning == before


def test_the_recipe_is_torchaos_and_loads_the_checkpoints_type() -> None:
    recipe = TORCHAO.recipe("Int8WeightOnlyConfig")
    assert (recipe.name, recipe.scheme) == ("torchao:Int8WeightOnlyConfig", "Int8WeightOnlyConfig")
    assert (recipe.quantizer, recipe.dtype, recipe.kept) == ("torchao", "checkpoint", ("lm_head",))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param(
            "Int8WeightOnly",
            "torchao has no configuration 'Int8WeightOnly' that a recipe can name. Did you mean 'Int8WeightOnlyConfig'",
            id="configuration",
        ),
        pytest.param(
            "Int8StaticActivationInt8WeightConfig",
            "torchao has no configuration 'Int8StaticActivationInt8WeightConfig' that a recipe can name.",
            id="static",
        ),
        pytest.param(
            "Int8WeightOnlyConfig(group=3)",
            "torchao's Int8WeightOnlyConfig has no argument 'group' that a recipe can name. Did you mean 'group_size'?",
            id="argument",
        ),
        pytest.param(
            "Int8WeightOnlyConfig(granularity=open('x'))", "granularity=open('x') cannot be read; a number", id="call"
        ),
        pytest.param("IntxWeightOnlyConfig(weight_dtype=int9)", "weight_dtype=int9 cannot be read", id="type"),
        pytest.param("Int8WeightOnlyConfig(32)", "is no configuration of torchao; one is written as", id="positional"),
        pytest.param("Int8WeightOnlyConfig(**{})", "is no configuration of torchao; one is written as", id="unpacking"),
        pytest.param("Int8WeightOnlyConfig(", "'Int8WeightOnlyConfig(' is no configuration of torchao", id="syntax"),
    ],
)
def test_what_cannot_be_read_is_refused(config: str, message: str) -> None:
    with pytest.raises(RecipeError) as refusal:
        TORCHAO.recipe(config)
    assert message in str(refusal.value)


def test_available_configurations_are_listed() -> None:
    with pytest.raises(RecipeError, match=r"Available: .*Int4WeightOnlyConfig, .*IntxWeightOnlyConfig\.$"):
        TORCHAO.recipe("NoSuch")


def test_what_torchao_refuses_is_one_sentence() -> None:
    recipe = TORCHAO.recipe("IntxWeightOnlyConfig(granularity=PerGroup(48))")
    with pytest.raises(RecipeError, match=r"PerGroup\(48\)\)': torchao cannot do this to this model here: .*48"):
        TORCHAO.apply(make_llama(), recipe)


def test_layers_of_gpt_2_are_kept_and_recorded() -> None:
    """Their weight lies the other way round."""
    model = nn.Sequential(Conv1D(64, 32), nn.Linear(64, 64))
    first, second = TORCHAO.apply(model, TORCHAO.recipe("Int8WeightOnlyConfig")).layers
    assert type(model[0]) is Conv1D
    assert (first.kept, first.shape, first.bytes_after) == (True, (64, 32), 4 * 64 * 32)
    assert not second.kept


def test_a_model_of_other_layers_is_refused_with_what_it_has() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=20, n_positions=8))
    with pytest.raises(RecipeError, match=r"GPT2LMHeadModel has none that it does not keep .*4 Conv1D"):
        TORCHAO.apply(model, TORCHAO.recipe("Int8WeightOnlyConfig"))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchao, "find_spec", lambda _: None)
    with pytest.raises(
        MissingPackageError, match=r"'torchao:X' needs the package 'torchao': .*pytest-qeval\[torchao\]"
    ):
        TORCHAO.recipe("X")


def test_a_recipe_is_checked_without_importing_torch() -> None:
    code = (
        "import sys; from pytest_qeval.quantize.torchao import TORCHAO; TORCHAO.recipe('Int8WeightOnlyConfig'); "
        "sys.exit(bool({'torch', 'torchao', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
