"""torchao quantizes what a recipe does not keep, and its configurations are found without importing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.backends.torchao import TORCHAO
from pytest_qeval.quantize.footprint import model_bytes
from pytest_qeval.quantize.kernels.int8_product import int_mm_is_exact
from tests.unit.quantize.models import TOKENS, make_llama

pytest.importorskip("torchao", reason="the torchao extra is not installed")

needs_int_mm = pytest.mark.skipif(not int_mm_is_exact(), reason="torch._int_mm saturates on this CPU")
GROUPED = "IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(16))"


def make_llama_with_outliers() -> Any:
    """Make the same one with three channels that are 50 times as large as the others."""
    model = make_llama()
    for layer in model.model.layers:
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.weight.data[[3, 17, 40]] *= 50
    return model


def quantize(model: Any, config: str, show_texts: Callable[[], None] | None = None) -> Any:
    """Apply a recipe; without texts, it shows none."""
    return quantize_(model, TORCHAO.recipe(config), show_texts=show_texts or (lambda: pytest.fail("texts are shown")))


def show(model: Any) -> None:
    """Run texts of different lengths through a model, as calibration does."""
    with torch.inference_mode():
        for length in (9, 40, 23):
            model(torch.arange(length).mul(37).remainder(128).reshape(1, -1), use_cache=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("config", "error"),
    [
        pytest.param("Int8DynamicActivationInt8WeightConfig", 0.05, marks=needs_int_mm),
        ("Int8WeightOnlyConfig", 0.05),
        ("IntxWeightOnlyConfig", 0.05),
        (GROUPED, 0.3),
    ],
)
def test_the_quantized_model_stays_close(config: str, error: float, dtype: torch.dtype) -> None:
    model = make_llama(dtype=dtype)
    with torch.inference_mode():
        expected = model(TOKENS).logits.float()
        quantize(model, config)
        actual = model(TOKENS).logits.float()
    assert 0 < float((actual - expected).norm() / expected.norm()) < error


def test_every_linear_layer_but_the_head_is_torchaos() -> None:
    model = make_llama()
    result = quantize(model, "Int8WeightOnlyConfig")
    kinds = {name: type(module.weight) for name, module in model.named_modules() if type(module) is nn.Linear}
    assert kinds.pop("lm_head") is nn.Parameter
    assert {kind.__name__ for kind in kinds.values()} == {"Int8Tensor"}
    assert [layer.name for layer in result.layers] == [*kinds, "lm_head"]
    assert [layer.name for layer in result.layers if layer.kept] == ["lm_head"]


def test_a_record_says_what_is_held() -> None:
    """int8 values, and per row a scale in float32 and a zero point in int8."""
    model = make_llama()
    result = quantize(model, "Int8WeightOnlyConfig")
    layer = next(layer for layer in result.layers if layer.name == "model.layers.1.mlp.up_proj")
    assert (layer.shape, layer.bits, layer.granularity) == ((176, 64), 8, "per_channel")
    assert (layer.bytes_before, layer.bytes_after) == (4 * 176 * 64, 176 * (64 + 4 + 1))
    assert (result.execution, layer.execution) == ("native", "native")
    assert result.notes == (
        "computed by torchao in eager mode, which may be slower than the floating point it replaces on a CPU",
    )


def test_weights_that_are_not_packed_are_called_so() -> None:
    result = quantize(make_llama(), GROUPED)
    assert (result.layers[0].bits, result.layers[0].granularity) == (4, "per_group(16)")
    assert result.notes == ("torchao holds each 4-bit weight in a byte, and computes in floating point",)


@pytest.mark.parametrize("config", ["Int8WeightOnlyConfig", "Int8WeightOnlyConfig(granularity=PerTensor())", GROUPED])
def test_the_footprint_counts_what_is_held(config: str) -> None:
    model = make_llama()
    before = model_bytes(model)
    result = quantize(model, config)
    after = model_bytes(model)
    assert after == before - result.bytes_before + result.bytes_after
    assert result.bytes_after < 0.35 * result.bytes_before


def test_compiler_settings_of_the_process_stay_as_they_are() -> None:
    import torch._inductor.config as inductor  # noqa: PLC0415 - needed here only

    before = inductor.coordinate_descent_tuning
    quantize(make_llama(), "Int8WeightOnlyConfig")
    assert inductor.coordinate_descent_tuning == before


def test_the_recipe_is_torchaos_and_loads_the_checkpoints_type() -> None:
    recipe = TORCHAO.recipe("Int8WeightOnlyConfig")
    assert (recipe.name, recipe.scheme) == ("torchao:Int8WeightOnlyConfig", "Int8WeightOnlyConfig")
    assert (recipe.quantizer, recipe.dtype, recipe.kept) == ("torchao", "checkpoint", ("lm_head",))


def test_smoothquant_lowers_the_error_that_outliers_make() -> None:
    errors = []
    for config in ("SmoothQuantConfig", "Int8DynamicActivationInt8WeightConfig"):
        model = make_llama_with_outliers()
        with torch.inference_mode():
            expected = model(TOKENS).logits
            quantize(model, config, lambda: show(model))  # noqa: B023 - called at once
            errors.append(float((model(TOKENS).logits - expected).norm() / expected.norm()))
    assert errors[0] < 0.6 * errors[1]


def test_awq_lowers_the_error_of_a_layer_on_what_it_has_seen() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(1, 40, 64)
    inputs[..., 3] *= 50
    weight = torch.randn(32, 64)
    errors = []
    for config in ("AWQConfig", "Int8WeightOnlyConfig"):
        model = nn.Sequential(nn.Linear(64, 32, bias=False))
        model[0].weight = nn.Parameter(weight, requires_grad=False)
        expected = model(inputs)
        quantize(model, config, lambda: model(inputs))  # noqa: B023 - called at once
        errors.append(float((model(inputs) - expected).norm() / expected.norm()))
    assert errors[0] < 0.8 * errors[1]


def test_alpha_is_the_share_that_moves() -> None:
    """With 0 the scale of an input is only that of the weights, with 1 only its own."""
    scales = {}
    for alpha in ("0", "0.7", "1"):
        model = make_llama_with_outliers()
        weight = model.model.layers[0].mlp.up_proj.weight.detach()
        quantize(model, f"SmoothQuantConfig(alpha={alpha})", lambda: show(model))  # noqa: B023 - called at once
        scales[alpha] = model.model.layers[0].mlp.up_proj.weight.act_pre_scale
    torch.testing.assert_close(scales["0"], weight.abs().amax(dim=0))
    torch.testing.assert_close(scales["0.7"], scales["0"] ** 0.3 * scales["1"] ** 0.7)


@pytest.mark.parametrize("config", ["SmoothQuantConfig", "AWQConfig"])
def test_texts_are_shown_once_to_layers_that_observe(config: str) -> None:
    model = make_llama()
    seen = []

    def show_and_look() -> None:
        seen.append({type(module).__name__ for module in model.modules() if isinstance(module, nn.Linear)})
        show(model)

    quantize(model, config, show_and_look)
    assert seen == [{config.replace("Config", "ObservedLinear"), "Linear"}]
    assert {type(module) for module in model.modules() if isinstance(module, nn.Linear)} == {nn.Linear}
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("config", ["SmoothQuantConfig", "AWQConfig"])
def test_a_record_counts_the_scales_of_inputs(config: str) -> None:
    """int8 values, per row a scale in float32 and a zero point in int8, and per column a scale in float32."""
    model = make_llama()
    before = model_bytes(model)
    result = quantize(model, config, lambda: show(model))
    after = model_bytes(model)
    assert [layer.name for layer in result.layers if layer.kept] == ["lm_head"]
    assert type(model.lm_head.weight) is nn.Parameter
    assert (result.quantized_layers, result.execution) == (14, "native")
    layer = next(layer for layer in result.layers if layer.name == "model.layers.1.mlp.up_proj")
    assert (layer.shape, layer.bits, layer.granularity) == ((176, 64), 8, "per_channel")
    assert (layer.bytes_before, layer.bytes_after) == (4 * 176 * 64, 176 * (64 + 4 + 1) + 64 * 4)
    assert after == before - result.bytes_before + result.bytes_after


@pytest.mark.parametrize("config", ["SmoothQuantConfig", "AWQConfig"])
def test_a_layer_with_two_names_is_calibrated_at_both(config: str) -> None:
    shared = nn.Linear(8, 8)
    model: Any = nn.Sequential(nn.Sequential(shared), shared)
    result = quantize(model, config, lambda: model(torch.ones(1, 3, 8)))
    assert model[1] is model[0][0]
    assert type(model[1].weight) is not nn.Parameter
    assert len(result.layers) == 1


@pytest.mark.parametrize("config", ["SmoothQuantConfig", "AWQConfig"])
def test_a_layer_that_no_text_reaches_is_refused(config: str) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    with pytest.raises(RecipeError) as refusal:
        quantize(model, config, lambda: model[0](torch.ones(1, 3, 8)))
    expected = f"recipe 'torchao:{config}': no calibration text has reached 1, which has to see some."
    assert str(refusal.value) == expected


def test_what_goes_wrong_while_texts_are_shown_is_not_torchaos() -> None:
    def fail() -> None:
        raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        quantize(make_llama(), "SmoothQuantConfig", fail)


def test_what_torchao_refuses_is_one_sentence() -> None:
    with pytest.raises(RecipeError, match=r"PerGroup\(48\)\)': torchao cannot do this to this model here: .*48"):
        quantize(make_llama(), "IntxWeightOnlyConfig(granularity=PerGroup(48))")
