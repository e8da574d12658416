"""Simulated layers compute in floating point what native ones compute in integers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.quantize.kernels.activations import ActivationQuantizer, StaticRange
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.simulated import SimulatedLinear
from pytest_qeval.quantize.kernels.weights import quantize_weight
from pytest_qeval.quantize.recipe import ActivationScheme, WeightScheme

SIZES = st.integers(1, 70)
KINDS = ["token", "tensor", "static"]


def quantizer(kind: str = "token", *, bits: int = 8, symmetric: bool = True) -> ActivationQuantizer:
    """Make the quantizer of a scheme; a static one clips some random numbers."""
    scheme = ActivationScheme(
        bits=bits,
        granularity="per_token" if kind == "token" else "per_tensor",
        dynamic=kind != "static",
        symmetric=symmetric,
    )
    return ActivationQuantizer(scheme, StaticRange(low=-1.5, high=2.0) if kind == "static" else None)


@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_simulated_layer_computes_what_a_native_one_does(kind: str, data: st.DataObject, *, symmetric: bool) -> None:
    """In float32, to its rounding, relative to the products that are added."""
    rows, columns, outputs = (data.draw(SIZES) for _ in range(3))
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    x, floats = (torch.randn(size, columns, generator=rng) for size in (rows, outputs))
    x[0, 0] = data.draw(st.sampled_from([0.0, 1.0, 100.0, 1e-42]))
    bias = torch.randn(outputs, generator=rng) if data.draw(st.booleans()) else None
    scheme = data.draw(st.sampled_from([WeightScheme(bits=8), WeightScheme(bits=8, granularity="per_tensor")]))
    weight = quantize_weight(floats, replace(scheme, bits=data.draw(st.integers(2, 8))))
    activations = quantizer(kind, bits=data.draw(st.integers(4, 8)), symmetric=symmetric)
    (native,) = Int8Linear.fuse([weight], [bias], activations)
    simulated = SimulatedLinear(weight.dequantize(torch.float32), bias, activations)
    rounded = activations.prepare(x)(x)
    sizes = rounded.values.double().abs() * rounded.scales
    if rounded.offsets is not None:
        sizes += rounded.offsets.abs() * rounded.scales
    magnitude = sizes @ weight.dequantize(torch.float64).abs().t() + (0 if bias is None else bias.abs())
    error = (native(x).double() - simulated(x).double()).abs()
    assert bool((error <= 4e-6 * magnitude + 1e-37).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_several_scales_in_a_row_are_simulated(dtype: torch.dtype) -> None:
    """The output is the product of the rounded rows and the rounded weight, in the dtype of both."""
    scheme = WeightScheme(bits=4, granularity="per_group", group_size=8)
    weight, x = quantize_weight(torch.randn(7, 20, dtype=dtype), scheme), torch.randn(5, 20, dtype=dtype)
    out = SimulatedLinear(weight.dequantize(dtype), None, quantizer())(x)
    rows = quantizer().prepare(x)(x).dequantize().to(dtype).double()
    scales = weight.scales.double().repeat_interleave(8, dim=1)[:, :20]
    exact = rows @ (weight.values.double() * scales).t()
    magnitude = rows.abs() @ (weight.values.double() * scales).abs().t()
    assert out.dtype == dtype
    assert bool(((out.double() - exact).abs() <= torch.finfo(dtype).eps * 2 * magnitude).all())


@pytest.mark.parametrize("shape", [(0, 8), (2, 0, 8), (8,), (2, 3, 8)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_leading_dimensions_are_kept(kind: str, shape: tuple[int, ...]) -> None:
    """An empty batch, which has no range, too."""
    layer = SimulatedLinear(torch.randn(5, 8), torch.randn(5), quantizer(kind, symmetric=False))
    assert layer(torch.randn(shape)).shape == (*shape[:-1], 5)


def test_inputs_need_not_be_contiguous() -> None:
    """A BLAS may sum in another order; the integers are the same."""
    activations, x = quantizer(), torch.randn(8, 3).t()
    layer = SimulatedLinear(torch.randn(5, 8), None, activations)
    assert torch.equal(activations.prepare(x)(x).values, activations.prepare(x.contiguous())(x.contiguous()).values)
    torch.testing.assert_close(layer(x), layer(x.contiguous()))


def test_inputs_are_rounded() -> None:
    """4 bits of a row leave 15 values."""
    layer = SimulatedLinear(torch.eye(64), None, quantizer(bits=4))
    assert len(layer(torch.randn(1, 64)).unique()) <= 15


def test_a_row_that_is_not_finite_stays_so_and_spoils_no_other() -> None:
    layer, x = SimulatedLinear(torch.randn(5, 8), None, quantizer()), torch.randn(3, 8)
    x[1, 0] = float("nan")
    assert layer(x).isfinite().all(1).tolist() == [True, False, True]


def test_nothing_is_trained_and_the_shape_is_printed() -> None:
    layer = SimulatedLinear(torch.randn(3, 4), torch.randn(3, requires_grad=True), quantizer())
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    assert "in_features=4, out_features=3" in repr(layer)
