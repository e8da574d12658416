"""`quantize_` replaces what it should, and says what it did."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval import registry
from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize import apply
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.builtin import AUTO, INT8, W2A16
from pytest_qeval.quantize.grammar import parse_recipe
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.simulated import SimulatedLinear
from pytest_qeval.quantize.kernels.weight_only import WeightOnlyLinear
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, packed_bytes, quantize_weight
from pytest_qeval.quantize.layers import LayerPlan, find_linear_layers, weight_of
from pytest_qeval.quantize.quantization import LayerRecord, Quantization
from pytest_qeval.quantize.recipe import LayerRule, Recipe, WeightScheme
from tests.unit.quantize.models import Pair, distance, logits, make_bart, make_gpt2, make_llama, make_t5

DTYPES = [torch.float32, torch.bfloat16]
AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
Make = Callable[..., Any]


class Ranges(dict[str, StaticRange]):
    """The range of any layer."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> StaticRange:
        return StaticRange(low=-6.0, high=6.0)


class Attention(nn.Module):
    """Layers that are named as if they had the same input."""

    def __init__(self, query: nn.Module, key: nn.Module) -> None:
        super().__init__()
        self.q_proj, self.k_proj = query, key


@pytest.fixture
def llama() -> Any:
    """Return a random Llama."""
    return make_llama()


def single(layer: nn.Module, scheme: str, ranges: dict[str, StaticRange] | None = None) -> tuple[Any, Quantization]:
    """Quantize a model of one layer and give what takes its place."""
    model = Pair(layer, nn.Identity())
    done = quantize_(model, parse_recipe(scheme), ranges=ranges or {})
    return model.first, done


def test_every_linear_layer_but_the_head_becomes_int8(llama: Any) -> None:
    result = quantize_(llama, INT8)
    kinds = {name: type(module) for name, module in llama.named_modules() if hasattr(module, "in_features")}
    assert kinds.pop("lm_head") is nn.Linear
    assert {kind.__name__ for name, kind in kinds.items() if not name.endswith("fused")} == {"Int8Linear"}
    assert (result.execution, result.quantized_layers, len(result.layers)) == ("native", 14, 15)
    assert [layer.name for layer in result.layers if layer.kept] == ["lm_head"]


def test_the_share_is_of_all_parameters(llama: Any) -> None:
    total = sum(parameter.numel() for parameter in llama.parameters())
    quantized = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 176)
    result = quantize_(llama, INT8)
    assert result.parameters == total
    assert result.quantized_share == pytest.approx(quantized / total)


CELLS = {
    "w8a8": 0.05,
    "w8a8-static": 0.3,
    "w8a8-static-asym": 0.3,
    "w8a8-dynamic-tensor-asym": 0.05,
    "w8a8-tensor": 0.07,
    "w8a8-g16": 0.05,
    "w8a16": 0.05,
    "w8a16-g33": 0.05,
    "w6a8": 0.2,
    "w4a16-g32-mse": 0.6,
    "w4a16-g33": 0.6,
}
"""Schemes, and how far logits of a random model may be off: an error of the arithmetic makes that 1 or more."""


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scheme", CELLS)
@pytest.mark.parametrize("make", [make_llama, make_gpt2, make_t5, make_bart])
def test_the_quantized_model_stays_close(make: Make, scheme: str, dtype: torch.dtype) -> None:
    """Decoders and encoder-decoders, made of `nn.Linear` or Conv1D."""
    model = make(dtype=dtype)
    expected, n_layers = logits(model), len(find_linear_layers(model))
    done = quantize_(model, parse_recipe(scheme), ranges=Ranges())
    error = distance(logits(model), expected)
    assert 0 < error < CELLS[scheme]
    assert (len(done.layers), done.quantized_layers) == (n_layers, n_layers - 1)


@pytest.mark.parametrize("make", [make_llama, make_gpt2, make_t5, make_bart])
@pytest.mark.parametrize("scheme", ["w3a16", "w4a16", "w8a16", "w4a16-g32", "w4a16-g33-mse", "w2a16-tensor"])
def test_weights_alone_give_the_model_of_the_rounded_weights(make: Make, scheme: str) -> None:
    """Whatever computes it: in float32, to rounding."""
    recipe = parse_recipe(scheme)
    model, rounded = make(), make()
    assert recipe.weights is not None
    for place in find_linear_layers(rounded)[:-1]:
        weight = weight_of(place.module(rounded))
        weight.copy_(quantize_weight(weight.clone(), recipe.weights).dequantize(weight.dtype))
    quantize_(model, recipe)
    assert distance(logits(model), logits(rounded)) < 1e-4


@pytest.mark.parametrize("make", [make_llama, make_gpt2])
@pytest.mark.parametrize("scheme", ["w8a8", "w4a8-tensor", "w8a4-dynamic-tensor-asym", "w8a8-static"])
def test_native_and_simulated_execution_agree(make: Make, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model keeps its integers when there is no kernel for them."""
    native, simulated = make(), make()
    quantize_(native, parse_recipe(scheme), ranges=Ranges())

    def build(
        weights: list[QuantizedWeight], biases: list[Any], activations: Any, dtype: torch.dtype = torch.float32
    ) -> list[Any]:
        pairs = zip(weights, biases, strict=True)
        return [SimulatedLinear(weight.dequantize(dtype), bias, activations) for weight, bias in pairs]

    monkeypatch.setattr(SimulatedLinear, "weight_bytes", 0, raising=False)
    monkeypatch.setattr(Int8Linear, "fuse", build)
    quantize_(simulated, parse_recipe(scheme), ranges=Ranges())
    assert {type(module) for module in native.modules()}.isdisjoint({SimulatedLinear})
    assert distance(logits(native), logits(simulated)) < (0.05 if "a4" in scheme else 5e-3)


@pytest.mark.parametrize("scheme", ["w8a8", "w8a8-g16", "w8a16", "w4a16-g32", "w3a16"])
def test_a_conv1d_becomes_what_a_linear_layer_becomes(scheme: str) -> None:
    """Its weight is stored the other way round."""
    conv: Any = make_gpt2().transformer.h[0].mlp.c_fc
    linear = nn.Linear(64, 256)
    linear.weight.data, linear.bias.data = conv.weight.detach().t().contiguous(), conv.bias.detach().clone()
    x = torch.randn(5, 64)
    (one, done), (other, expected) = single(conv, scheme), single(linear, scheme)
    torch.testing.assert_close(one(x), other(x))
    assert done.layers == expected.layers


def test_simulated_layers_stay_float_and_report_packed_bytes(llama: Any) -> None:
    before = llama.model.layers[0].mlp.up_proj.weight.detach().clone()
    result = quantize_(llama, W2A16)
    layer = next(layer for layer in result.layers if layer.name.endswith("layers.0.mlp.up_proj"))
    assert result.execution == "simulated"
    assert (layer.bits, layer.bytes_after) == (2, 176 * 64 // 4 + 4 * 176)
    assert type(llama.model.layers[0].mlp.up_proj) is nn.Linear
    assert not torch.equal(llama.model.layers[0].mlp.up_proj.weight, before)
    assert result.simulated_savings_bytes == result.bytes_before - result.bytes_after


def test_full_precision_changes_nothing(llama: Any) -> None:
    before = {name: tensor.clone() for name, tensor in llama.state_dict().items()}
    result = quantize_(llama, AUTO)
    assert (result.execution, result.layers, result.quantized_share) == ("full precision", (), 0.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in llama.state_dict().items())


@pytest.mark.parametrize("scheme", ["w2a16+lm_head", "w8a8+lm_head", "w8a16+lm_head"])
def test_a_tied_head_is_kept_whatever_the_recipe_says(scheme: str) -> None:
    model = make_llama(tie_word_embeddings=True)
    before = model.lm_head.weight.detach().clone()
    done = quantize_(model, parse_recipe(scheme))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.equal(model.lm_head.weight, before)
    assert [layer.name for layer in done.layers if layer.kept] == ["lm_head"]


def test_a_head_of_its_own_is_quantized_where_the_recipe_says_so(llama: Any) -> None:
    done = quantize_(llama, parse_recipe("w8a8+lm_head"))
    assert isinstance(llama.lm_head, Int8Linear)
    assert done.quantized_layers == 15


def test_patterns_keep_layers(llama: Any) -> None:
    recipe = replace(INT8, kept=("model.layers.0.*", "down_proj"))
    names = {layer.name for layer in quantize_(llama, recipe).layers if layer.kept}
    assert names == {
        *(f"model.layers.0.self_attn.{leaf}_proj" for leaf in "qkvo"),
        *(f"model.layers.0.mlp.{leaf}_proj" for leaf in ("gate", "up", "down")),
        "model.layers.1.mlp.down_proj",
    }


def test_rules_treat_single_layers_otherwise(llama: Any) -> None:
    """Layers that share an input but not a rule are not fused."""
    rules = (LayerRule(pattern="v_proj", weights=WeightScheme(bits=3)), LayerRule(pattern="k_proj", weights=_group(16)))
    done = quantize_(llama, replace(INT8, rules=rules))
    attention = llama.model.layers[0].self_attn
    by_leaf = {layer.name.rpartition(".")[2]: layer for layer in done.layers}
    assert [type(getattr(attention, f"{leaf}_proj")) for leaf in "qkv"] == [Int8Linear, nn.Linear, nn.Linear]
    assert [by_leaf[f"{leaf}_proj"].bits for leaf in "qkv"] == [8, 8, 3]
    assert by_leaf["k_proj"].granularity == "per_group(16)"
    assert [by_leaf[f"{leaf}_proj"].execution for leaf in "qkv"] == ["native", "simulated", "simulated"]
    assert done.execution == "simulated"


def test_only_the_layers_of_one_part_may_be_quantized(llama: Any) -> None:
    done = quantize_(llama, INT8, within="model.layers.1")
    assert {layer.name.rpartition(".")[0] for layer in done.layers} == {
        "model.layers.1.self_attn",
        "model.layers.1.mlp",
    }
    assert type(llama.model.layers[0].mlp.up_proj) is nn.Linear
    assert type(llama.model.layers[1].mlp.up_proj) is Int8Linear


def test_a_layer_with_two_parents_is_replaced_at_both() -> None:
    shared = nn.Linear(4, 3)
    model = Pair(Pair(shared, nn.Linear(4, 4)), shared)
    result = quantize_(model, INT8)
    assert isinstance(model.second, Int8Linear)
    assert model.second is model.first.first
    assert [layer.name for layer in result.layers] == ["first.first", "first.second"]


def test_subclasses_of_linear_are_left_alone() -> None:
    """They are recorded as kept, and so are matrices of other modules."""
    model = Pair(nn.MultiheadAttention(8, 2), nn.Linear(8, 8))
    layers = quantize_(model, INT8).layers
    assert [layer.name for layer in layers if not layer.kept] == ["second"]
    assert [layer.name for layer in layers if layer.kept] == ["first.in_proj_weight", "first.out_proj"]


@pytest.mark.parametrize("scheme", [pytest.param("w8a8"), pytest.param("w8a16"), "w3a16"])
def test_two_layers_may_share_a_weight(scheme: str) -> None:
    first, second = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
    second.weight = first.weight
    model, expected = Pair(first, second), first.weight.detach().clone()
    quantize_(model, parse_recipe(scheme))
    x = torch.eye(16)
    assert distance(model.first(x), expected.t()) < 0.3
    assert distance(model.second(x), expected.t()) < 0.3


@pytest.mark.parametrize("scheme", ["w8a8", "w8a16", "w4a16-g32", "w3a16", "w8a8-g16"])
def test_the_weights_of_a_replaced_layer_are_not_changed(scheme: str) -> None:
    """They may be a mapped file, or somebody else's."""
    layer = nn.Linear(64, 64, dtype=torch.bfloat16)
    tensor, before = layer.weight.data, layer.weight.detach().clone()
    single(layer, scheme)
    assert torch.equal(tensor, before)


def _group(size: int, bits: int = 8) -> WeightScheme:
    return WeightScheme(bits=bits, granularity="per_group", group_size=size)


RECORDS = {
    "w8a8": ("per_channel", "native", ""),
    "w4a8": ("per_channel", "native", "4-bit weights are held and multiplied as int8"),
    "w8a8-tensor": ("per_tensor", "native", ""),
    "w8a8-g128": ("per_group(128)", "native", ""),
    "w8a8-g16": ("per_group(16)", "simulated", "several scales in a row of weights have no int8 kernel"),
    "w8a16": ("per_channel", "native", "8-bit weights pay for a single stream"),
    "w4a16-g32": ("per_group(32)", "native", "4-bit weights pay at up to about 8 rows"),
    "w8a16-g32": ("per_group(32)", "simulated", "no cpu kernel multiplies per_group(32) weights of 8 bits here"),
    "w4a16-g33": ("per_group(33)", "simulated", "no cpu kernel multiplies per_group(33) weights of 4 bits here"),
    "w3a16": ("per_channel", "simulated", "no cpu kernel multiplies per_channel weights of 3 bits here"),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scheme", RECORDS)
def test_a_record_says_what_became_of_a_layer(scheme: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are those that are held; where execution is simulated, what packed storage would need."""
    monkeypatch.setattr(apply, "onednn_is_exact", lambda: True)
    recipe, layer = parse_recipe(scheme), nn.Linear(64, 128, dtype=dtype)
    assert recipe.weights is not None
    new, done = single(layer, scheme)
    (record,) = done.layers
    granularity, execution, note = RECORDS[scheme]
    if recipe.weights.bits == 4 and recipe.activations is None and not AVX512:
        pytest.skip("this CPU packs 4 bits otherwise")
    assert (record.name, record.shape, record.bits, record.kept) == ("first", (128, 64), recipe.weights.bits, False)
    assert (record.granularity, record.execution) == (granularity, execution)
    assert record.note.startswith(note)
    assert bool(record.note) == bool(note)
    assert record.bytes_before == 128 * 64 * dtype.itemsize
    held = {Int8Linear: lambda: new.fused.packed_bytes, WeightOnlyLinear: lambda: new.packed_bytes}
    packed = packed_bytes(torch.empty(128, 64, dtype=dtype), recipe.weights)
    assert record.bytes_after == held.get(type(new), lambda: packed)()
    assert type(new) in ({SimulatedLinear, nn.Linear} if execution == "simulated" else {Int8Linear, WeightOnlyLinear})
    assert done.simulated_savings_bytes == (record.bytes_before - packed if execution == "simulated" else 0)
    assert (done.execution, done.notes) == (execution, (record.note,) if note else ())


def test_execution_is_simulated_as_soon_as_one_layer_is() -> None:
    model = Pair(nn.Linear(64, 64), nn.Linear(40, 64))
    done = quantize_(model, parse_recipe("w8a8-g40"))
    assert [layer.execution for layer in done.layers] == ["simulated", "native"]
    assert done.execution == "simulated"


def test_a_cpu_without_a_fast_product_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "onednn_is_exact", lambda: False)
    _, done = single(nn.Linear(8, 8), "w8a8")
    assert done.notes == ("no speed-up on this CPU: it has no fast int8 product (VNNI)",)


@pytest.mark.skipif(not AVX512, reason="this CPU packs 4 bits otherwise")
def test_layers_with_and_without_a_kernel_are_recorded_one_by_one() -> None:
    """What is packed already is no saving that is only simulated."""
    model = Attention(nn.Linear(64, 64), nn.Linear(64, 32))
    done = quantize_(model, parse_recipe("w4a16-g32"))
    assert [type(layer) for layer in model.children()] == [WeightOnlyLinear, nn.Linear]
    assert [layer.execution for layer in done.layers] == ["native", "simulated"]
    assert done.simulated_savings_bytes == done.layers[1].bytes_before - done.layers[1].bytes_after


def test_bytes_are_halved_where_sizes_fit_the_kernel() -> None:
    model = Pair(nn.Linear(896, 1024, dtype=torch.bfloat16), nn.Identity())
    result = quantize_(model, INT8)
    assert result.bytes_before == 2 * 896 * 1024
    assert result.bytes_after <= 0.52 * result.bytes_before
    assert result.simulated_savings_bytes == 0


@pytest.mark.parametrize("scheme", ["w8a8", "w8a16", "w4a16-g32", "w3a16", "w8a8-g16"])
def test_a_weight_is_freed_before_the_next_group_is_quantized(scheme: str) -> None:
    """Memory peaks at the model plus the layers that are replaced together: those whose input is rounded once."""
    model, references, alive = make_llama(), list[weakref.ref[Any]](), list[int]()

    def rounding(layer: LayerPlan, weight: torch.Tensor) -> QuantizedWeight:
        alive.append(sum(reference() is not None for reference in references))
        # The tensor's memory, since a layer that is simulated gets another tensor under the same name.
        references.append(weakref.ref(layer.module(model).weight.data.untyped_storage()))
        assert layer.rule is not None
        return quantize_weight(weight, layer.rule.weights)

    quantize_(model, parse_recipe(scheme), rounding=rounding)
    assert alive == 2 * ([0, 1, 2, 0, 0, 1, 0] if "a8" in scheme else [0] * 7)


def test_a_model_without_linear_layers_is_refused_with_what_it_has() -> None:
    with pytest.raises(RecipeError, match=r"Pair has none; its parameters are in 1 Embedding, 1 LayerNorm"):
        quantize_(Pair(nn.Embedding(4, 4), nn.LayerNorm(4)), INT8)


def test_static_activations_without_a_range_are_refused_naming_the_layer(llama: Any) -> None:
    ranges = {place.name: StaticRange(low=-1.0, high=1.0) for place in find_linear_layers(llama)}
    del ranges["model.layers.1.mlp.down_proj"]
    with pytest.raises(RecipeError, match=r"layer model\.layers\.1\.mlp\.down_proj has static activations"):
        quantize_(llama, parse_recipe("w8a8-static"), ranges=ranges)


def test_a_range_that_is_missing_for_a_fused_layer_is_noticed() -> None:
    model = Attention(nn.Linear(8, 8), nn.Linear(8, 8))
    with pytest.raises(RecipeError, match="layer k_proj has static activations"):
        quantize_(model, parse_recipe("w8a8-static"), ranges={"q_proj": StaticRange(low=-1.0, high=1.0)})


def test_every_layer_clips_to_its_own_range() -> None:
    """Cross-attention has queries from the decoder and keys from the encoder, under the names of self-attention."""
    model = Attention(nn.Linear(8, 8), nn.Linear(8, 8))
    x, expected = torch.arange(-3.0, 5).repeat(2, 1), nn.Linear(8, 8)
    expected.load_state_dict(model.k_proj.state_dict())
    ranges = {"q_proj": StaticRange(low=-0.1, high=0.1), "k_proj": StaticRange(low=-4.0, high=4.0)}
    quantize_(model, parse_recipe("w8a8-static"), ranges=ranges)
    assert distance(model.k_proj(x), expected(x)) < 0.05


def test_layers_of_different_inputs_may_have_the_names_of_fused_ones() -> None:
    """Only speed depends on names."""
    model = Attention(nn.Linear(8, 8), nn.Linear(12, 8))
    quantize_(model, INT8)
    assert model.k_proj(torch.randn(2, 12)).shape == (2, 8)


@pytest.mark.parametrize(
    "scheme",
    [
        "w8a8-g16",
        "w3a16",
        *(pytest.param(scheme) for scheme in ("w8a8", "w8a16", "w4a16-g32")),
    ],
)
def test_a_t5_in_half_precision_computes_its_last_projections_in_float32(scheme: str) -> None:
    """As transformers loads it: `wo` overflows half precision."""
    model = make_t5(dtype=torch.float16)
    outputs: list[torch.dtype] = []
    for module in model.modules():
        if hasattr(module, "wo"):
            module.wo.float()
    quantize_(model, parse_recipe(scheme))
    wo = model.encoder.block[0].layer[-1].DenseReluDense.wo
    wo.register_forward_hook(lambda _, __, out: outputs.append(out.dtype))
    assert logits(model).isfinite().all()
    assert outputs == [torch.float32]


def test_integers_may_come_from_elsewhere() -> None:
    """A checkpoint holds them already."""
    model = Pair(nn.Linear(8, 8), nn.Identity())
    given = QuantizedWeight(torch.eye(8, dtype=torch.int8), torch.full((8, 1), 2.0), 8)
    asked: list[tuple[str, torch.Size]] = []

    def rounding(place: Any, weight: torch.Tensor) -> QuantizedWeight:
        asked.append((place.name, weight.shape))
        return given

    model.first.bias.data.zero_()  # type: ignore[operator]
    quantize_(model, parse_recipe("w8a16"), rounding=rounding)
    x = torch.randn(3, 8)
    torch.testing.assert_close(model.first(x), 2 * x)
    assert asked == [("first", torch.Size([8, 8]))]


def test_another_quantizer_gets_the_model_and_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    record, calls = LayerRecord(name="", shape=(2, 2), bits=8, kept=False, bytes_before=16, bytes_after=4), list[Any]()

    class Other:
        def apply(self, *arguments: Any) -> list[LayerRecord]:
            calls.append(arguments)
            return [record]

    known = {("quantizers", "o"): Other()}
    monkeypatch.setattr(registry, "load", lambda group, name: known[group, name])
    recipe, model = Recipe(name="r", summary="", quantizer="o"), nn.Linear(2, 2)

    def show() -> None:
        """Run nothing."""

    done = quantize_(model, recipe, show_texts=show)
    assert (done.layers, done.parameters) == ((record,), 6)
    assert calls == [(model, recipe, show)]
