"""Int8 layers compute what the integers say, on every path."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytest_qeval.quantize.kernels import activations, linear, panels
from pytest_qeval.quantize.kernels import int8_product as kernels
from pytest_qeval.quantize.kernels.activations import ActivationQuantizer, StaticRange
from pytest_qeval.quantize.kernels.grid import quantize_rows
from pytest_qeval.quantize.kernels.int8_product import (
    FloatKernel,
    Int8Kernel,
    IntMmKernel,
    OneDnnKernel,
    int_mm_is_exact,
    kernel_for,
    onednn_is_exact,
)
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, quantize_weight
from pytest_qeval.quantize.recipe import ActivationScheme, WeightScheme

needs_onednn = pytest.mark.skipif(not onednn_is_exact(), reason="no exact oneDNN int8 product on this CPU")
needs_int_mm = pytest.mark.skipif(not int_mm_is_exact(), reason="torch._int_mm saturates on this CPU")
KERNELS = [
    pytest.param(OneDnnKernel, marks=needs_onednn, id="onednn"),
    pytest.param(IntMmKernel, marks=needs_int_mm, id="int_mm"),
    pytest.param(FloatKernel, id="float"),
]
MakeKernel = Callable[[torch.Tensor, torch.Tensor], Int8Kernel]
SIZES = st.integers(1, 70)
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
TOKEN = ActivationScheme()
SCHEMES = {
    "token": TOKEN,
    "tensor": ActivationScheme(granularity="per_tensor"),
    "static": ActivationScheme(granularity="per_tensor", dynamic=False),
}


def quantizer(scheme: ActivationScheme = TOKEN) -> ActivationQuantizer:
    """Return a static scheme the range of most random numbers, which clips some."""
    low = -2.5 if scheme.symmetric else -1.5
    return ActivationQuantizer(scheme, None if scheme.dynamic else StaticRange(low=low, high=2.5))


def quantized(weight: torch.Tensor, scheme: WeightScheme | None = None) -> QuantizedWeight:
    """Round a weight, by default to 8 bits per channel."""
    return quantize_weight(weight.detach().clone(), scheme or WeightScheme(bits=8))


def int8(weight: torch.Tensor, bias: torch.Tensor | None = None, scheme: ActivationScheme = TOKEN) -> Int8Linear:
    """Quantize one layer."""
    return Int8Linear.fuse([quantized(weight)], [bias], quantizer(scheme))[0]


def assert_exact(
    out: torch.Tensor, x: torch.Tensor, weight: QuantizedWeight, bias: torch.Tensor | None, scheme: ActivationScheme
) -> None:
    """Compare with int64 sums and float64 scales.

    Allowed is the rounding of the output's dtype; and that of float32 before it, relative to the parts that are added:
    the product, what the zero point takes from it, and the bias may cancel.
    """
    rows = x.reshape(-1, x.shape[-1])
    values, scales, offsets = quantizer(scheme).prepare(rows)(rows)
    both = scales.double() * weight.scales.double().T
    integers = values.long() @ weight.values.long().T
    parts = integers.abs()
    if offsets is not None:
        shift = offsets.long() * weight.values.long().sum(1)
        integers, parts = integers - shift, parts + shift.abs()
    expected, magnitude = integers * both, parts * both
    if bias is not None:
        expected, magnitude = expected + bias.double(), magnitude + bias.double().abs()
    info = torch.finfo(out.dtype)
    error = (out.reshape(expected.shape).double() - expected).abs()
    allowed = info.eps / 2 * expected.abs() + 5e-7 * magnitude + info.smallest_normal * info.eps + 1e-37
    assert out.dtype == x.dtype
    assert bool((error <= allowed).all()), (error / allowed).max()


def decorated(x: torch.Tensor, kind: str) -> torch.Tensor:
    """Return the same rows or worse ones."""
    if kind == "outliers":
        x[0, 0] = 1000
    elif kind == "zeros":
        x[-1] = 0
    elif kind == "denormals":
        x[0] = x[0].clamp(-1, 1) * torch.finfo(x.dtype).smallest_normal / 4
    elif kind == "positive":
        x.abs_()
    elif kind == "strided":
        x = torch.cat([x, x], dim=1)[:, : x.shape[1]]
    elif kind == "transposed":
        x = x.t().contiguous().t()
    elif kind == "expanded":
        x = x[:1].expand(x.shape)
    return x


KINDS = ["plain", "outliers", "zeros", "denormals", "positive", "strided", "transposed", "expanded"]


@pytest.mark.parametrize("make", KERNELS)
@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_layer_agrees_with_integer_arithmetic(
    kind: str, make: MakeKernel, data: st.DataObject, *, symmetric: bool
) -> None:
    """Whatever the shape, the bits, the granularity, the layout of the input and its dtype."""
    rows, columns, outputs = (data.draw(SIZES) for _ in range(3))
    scheme = replace(SCHEMES[kind], symmetric=symmetric, bits=data.draw(st.integers(4, 8)))
    dtype = data.draw(st.sampled_from(DTYPES))
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    weight, bias = torch.randn(outputs, columns, generator=rng), torch.randn(outputs, generator=rng).to(dtype)
    weight[data.draw(st.integers(0, outputs - 1))] = 0
    weights = data.draw(st.sampled_from([WeightScheme(bits=8), WeightScheme(bits=8, granularity="per_tensor")]))
    integers = quantized(weight.to(dtype), replace(weights, bits=data.draw(st.integers(2, 8))))
    x = decorated(torch.randn(rows, columns, generator=rng).to(dtype), data.draw(st.sampled_from(KINDS)))
    given_bias = bias if data.draw(st.booleans()) else None
    with mock.patch.object(panels, "kernel_for", make):
        (layer,) = Int8Linear.fuse([integers], [given_bias], quantizer(scheme))
    assert_exact(layer(x), x, integers, given_bias, scheme)


@pytest.mark.parametrize("make", KERNELS)
@settings(max_examples=40, deadline=None)
@given(rows=SIZES, columns=SIZES, outputs=SIZES, seed=st.integers(0, 2**31))
def test_kernels_sum_exactly(make: MakeKernel, rows: int, columns: int, outputs: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    x, weight = (torch.randint(-127, 128, (n, columns), dtype=torch.int8, generator=rng) for n in (rows, outputs))
    expected = (x.long() @ weight.long().T).float()
    assert torch.equal(make(weight, torch.ones(outputs, 1)).product(x.clone()), expected)


@pytest.mark.parametrize("make", KERNELS)
@pytest.mark.parametrize("rows", [1, 2, 17, 130])
def test_kernels_do_not_saturate(make: MakeKernel, rows: int) -> None:
    weight = torch.full((128, 896), 127, dtype=torch.int8)
    product = make(weight, torch.ones(128, 1)).product(torch.full((rows, 896), -127, dtype=torch.int8))
    assert torch.equal(product, torch.full((rows, 128), -127.0 * 127 * 896))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", SCHEMES)
@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [1e-42, -1e-41, 0.0], [3e38, -1.0, 2e-3]], ids=str)
def test_extreme_rows_are_computed(values: list[float], kind: str, dtype: torch.dtype, *, symmetric: bool) -> None:
    scheme = replace(SCHEMES[kind], symmetric=symmetric)
    x, weight = torch.tensor([values, [1.0, 2.0, 3.0]], dtype=dtype), 0.01 * torch.ones(2, 3, dtype=dtype)
    assert_exact(int8(weight, None, scheme)(x), x, quantized(weight), None, scheme)


def test_a_row_does_not_depend_on_its_batch() -> None:
    layer, x = int8(torch.randn(33, 65, dtype=torch.bfloat16)), torch.randn(40, 65, dtype=torch.bfloat16)
    assert torch.equal(layer(x)[7], layer(x[7:8])[0])


@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_rows_that_are_not_finite_stay_so_and_spoil_no_other(value: float, *, symmetric: bool) -> None:
    layer, x = int8(torch.randn(16, 8), None, replace(TOKEN, symmetric=symmetric)), torch.randn(3, 8)
    clean = layer(x.clone())
    x[1, 2] = value
    out = layer(x)
    assert not out[1].isfinite().any()
    assert torch.equal(out[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", SCHEMES)
@pytest.mark.parametrize("shape", [(0, 8), (2, 0, 8), (8,), (2, 3, 8)], ids=str)
def test_leading_dimensions_are_kept(shape: tuple[int, ...], kind: str, *, symmetric: bool) -> None:
    """An empty batch, which has no range, too."""
    layer = int8(torch.randn(5, 8), torch.randn(5), replace(SCHEMES[kind], symmetric=symmetric))
    assert layer(torch.randn(shape)).shape == (*shape[:-1], 5)


def test_weights_need_not_be_contiguous() -> None:
    x, weight = torch.randn(6, 8), torch.randn(8, 5).T
    for make in (kernel_for, FloatKernel):
        with mock.patch.object(panels, "kernel_for", make):
            (layer,) = Int8Linear.fuse([quantize_weight(weight.bfloat16(), WeightScheme(bits=8))], [None], quantizer())
        assert_exact(layer(x), x, quantized(weight.bfloat16()), None, TOKEN)


@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", SCHEMES)
def test_long_inputs_are_computed_in_chunks(kind: str, monkeypatch: pytest.MonkeyPatch, *, symmetric: bool) -> None:
    """Which changes nothing, also where all rows share a scale."""
    layer = int8(torch.randn(9, 12), torch.randn(9), replace(SCHEMES[kind], symmetric=symmetric))
    x = torch.randn(23, 12) * torch.arange(1.0, 24).unsqueeze(1)
    whole = layer(x)
    monkeypatch.setattr(linear, "CHUNK_ELEMENTS", 5 * 12)
    assert torch.equal(layer(x.clone()), whole)


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_of_few_bits_are_held_and_multiplied_as_int8(bits: int) -> None:
    weight, x = quantized(torch.randn(64, 32), WeightScheme(bits=bits)), torch.randn(3, 32)
    (layer,) = Int8Linear.fuse([weight], [None], quantizer())
    assert layer.weight_bytes >= 64 * 32 + 4 * 64
    assert_exact(layer(x), x, weight, None, TOKEN)


def make_fused(scheme: ActivationScheme = TOKEN) -> tuple[list[nn.Linear], list[Int8Linear]]:
    """Quantize three layers together, one of them with a bias."""
    layers = [nn.Linear(12, 20), nn.Linear(12, 4, bias=False), nn.Linear(12, 7, bias=False)]
    weights, biases = [quantized(layer.weight) for layer in layers], [layer.bias for layer in layers]
    return layers, Int8Linear.fuse(weights, biases, quantizer(scheme))


@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", SCHEMES)
def test_fused_layers_compute_what_each_would_compute_alone(kind: str, *, symmetric: bool) -> None:
    scheme = replace(SCHEMES[kind], symmetric=symmetric)
    floats, layers = make_fused(scheme)
    x = torch.randn(5, 12)
    for original, layer in zip(floats, layers, strict=True):
        assert torch.equal(layer(x), int8(original.weight, original.bias, scheme)(x))


def test_fused_layers_share_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(matrix: torch.Tensor, *, bits: int = 8) -> object:
        calls.append(bits)
        return quantize_rows(matrix, bits=bits)

    _, layers = make_fused()
    monkeypatch.setattr(activations, "quantize_rows", counted)
    x = torch.randn(5, 12)
    for layer in layers:
        layer(x)
    assert len(calls) == 1


def test_fused_layers_do_not_mix_up_inputs() -> None:
    _, (query, key, value) = make_fused()
    x, y = torch.randn(5, 12), torch.randn(3, 12)
    expected = [query(x), key(y), value(y), query(y)]
    again = [query(x.clone()), key(y.clone()), value(y.clone()), query(y.clone())]
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


def test_fused_layers_notice_a_change_in_place() -> None:
    _, (query, key, _) = make_fused()
    x = torch.randn(5, 12)
    query(x)
    x.mul_(2)
    assert torch.equal(key(x), key(x.clone()))


def test_fused_layers_let_go_of_their_input() -> None:
    _, layers = make_fused()
    x = torch.randn(5, 12)
    reference = weakref.ref(x)
    for layer in layers:
        layer(x)
    del x
    assert reference() is None


def test_fused_layers_work_in_inference_mode() -> None:
    _, layers = make_fused()
    with torch.inference_mode():
        x = torch.randn(5, 12)
        assert [layer(x).shape[1] for layer in layers] == [20, 4, 7]


def test_shares_of_the_packed_bytes_add_up() -> None:
    _, layers = make_fused()
    assert sum(layer.weight_bytes for layer in layers) == layers[0].fused.packed_bytes


@pytest.mark.parametrize(
    ("onednn", "int_mm", "kind"),
    [(True, True, OneDnnKernel), (False, True, IntMmKernel), (False, False, FloatKernel)],
    ids=["onednn", "int_mm", "float"],
)
def test_the_fastest_exact_kernel_is_taken(
    kind: type[Int8Kernel], monkeypatch: pytest.MonkeyPatch, *, onednn: bool, int_mm: bool
) -> None:
    monkeypatch.setattr(kernels, "onednn_is_exact", lambda: onednn)
    monkeypatch.setattr(kernels, "int_mm_is_exact", lambda: int_mm)
    assert isinstance(kernel_for(*quantize_rows(torch.randn(3, 4))[:2]), kind)


def test_long_sums_are_exact_in_floating_point() -> None:
    """Sums of more than 2^24 are no float32, so that only their last rounding may differ from the integers'."""
    weight = torch.full((2, 5000), 127, dtype=torch.int8)
    product = FloatKernel(weight, torch.ones(2, 1)).product(torch.full((1, 5000), -128, dtype=torch.int8))
    assert torch.equal(product, torch.full((1, 2), float(-5000 * 127 * 128)))


def test_a_torch_without_the_operator_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(values: torch.Tensor, scales: torch.Tensor) -> Int8Kernel:
        raise AttributeError(values.shape, scales.shape)

    monkeypatch.setattr(kernels, "OneDnnKernel", missing)
    assert not onednn_is_exact.__wrapped__()


def test_a_layer_prints_its_shape() -> None:
    assert "in_features=4, out_features=3" in repr(int8(torch.randn(3, 4)))
