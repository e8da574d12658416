"""Activations become integers as their scheme says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.quantize.kernels.activations import ActivationQuantizer, StaticRange
from pytest_qeval.quantize.kernels.grid import QuantizedRows
from pytest_qeval.quantize.recipe import ActivationScheme

BITS = st.integers(4, 8)
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
RANGE = StaticRange(low=-1.0, high=3.0)
KINDS = ["token", "tensor", "static"]


def quantizer(kind: str, *, bits: int = 8, symmetric: bool = True, static: StaticRange = RANGE) -> ActivationQuantizer:
    """Make the quantizer of a scheme, `static` where it needs a range."""
    scheme = ActivationScheme(
        bits=bits,
        granularity="per_token" if kind == "token" else "per_tensor",
        dynamic=kind != "static",
        symmetric=symmetric,
    )
    return ActivationQuantizer(scheme, static if kind == "static" else None)


def quantize(kind: str, rows: torch.Tensor, *, bits: int = 8, symmetric: bool = True) -> QuantizedRows:
    """Round all rows at once."""
    return quantizer(kind, bits=bits, symmetric=symmetric).prepare(rows)(rows)


def random_rows(seed: int, rows: int, columns: int) -> torch.Tensor:
    """Make rows of quite different sizes, one of them zero."""
    rng = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=rng) * torch.randn(rows, 1, generator=rng).exp()
    matrix[-1] = 0
    return matrix


@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", ["token", "tensor"])
@given(bits=BITS, seed=st.integers(0, 2**31), rows=st.integers(1, 6), columns=st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_nothing_is_clipped_where_scales_are_dynamic(
    kind: str, bits: int, seed: int, rows: int, columns: int, *, symmetric: bool
) -> None:
    """No element moves by more than half a scale, and the scale is no larger than the range needs."""
    matrix = random_rows(seed, rows, columns)
    rounded = quantize(kind, matrix, bits=bits, symmetric=symmetric)
    dim = (1,) if kind == "token" else (0, 1)
    low, high = matrix.amin(dim, keepdim=True).clamp_max(0), matrix.amax(dim, keepdim=True).clamp_min(0)
    span = 2 * torch.maximum(-low, high) if symmetric else high - low
    steps = 2**bits - (2 if symmetric else 1)
    assert rounded.scales.shape == span.shape
    torch.testing.assert_close(rounded.scales, (span / steps).clamp_min(torch.finfo(torch.float32).tiny))
    error = (rounded.dequantize().double() - matrix.double()).abs()
    assert bool((error <= rounded.scales.double() * (0.5 + 1e-3)).all())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_rounded_as_the_whole_is(kind: str, dtype: torch.dtype, *, symmetric: bool) -> None:
    """A product may be computed in chunks of rows."""
    rows = random_rows(0, 9, 13).to(dtype)
    rounding = quantizer(kind, symmetric=symmetric).prepare(rows)
    whole = rounding(rows)
    parts = torch.cat([rounding(rows[:4]).values, rounding(rows[4:]).values])
    assert torch.equal(parts, whole.values)


@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("kind", KINDS)
def test_only_a_dynamic_scale_for_all_rows_depends_on_neighbours(kind: str, *, symmetric: bool) -> None:
    rows = random_rows(1, 4, 8)
    alone, among = (quantize(kind, part, symmetric=symmetric).dequantize() for part in (rows[:1], rows * 1))
    louder = quantize(kind, torch.cat([rows[:1], 100 * rows[1:]]), symmetric=symmetric).dequantize()
    assert torch.equal(among[0], louder[0]) == (kind != "tensor")
    assert torch.equal(alone[0], louder[0]) == (kind != "tensor")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("bits", range(4, 9))
def test_integers_stay_on_the_grid(kind: str, bits: int, *, symmetric: bool) -> None:
    values = quantize(kind, 5 * random_rows(2, 40, 50), bits=bits, symmetric=symmetric).values
    last = 2 ** (bits - 1) - 1
    assert (int(values.min()), int(values.max())) >= (-last - (not symmetric), -last)
    assert int(values.max()) == last


@given(bits=BITS, low=st.floats(-1e4, 0, width=32), high=st.floats(0, 1e4, width=32), symmetric=st.booleans())
@settings(max_examples=60)
def test_a_static_grid_spans_its_range(bits: int, low: float, high: float, *, symmetric: bool) -> None:
    """Zero is exact, the range's ends are within half a scale, and what lies beyond is clipped to them."""
    static = StaticRange(low=low, high=high)
    made = quantizer("static", bits=bits, symmetric=symmetric, static=static)
    lowest, highest = (-max(high, -low), max(high, -low)) if symmetric else (low, high)
    x = torch.tensor([[0.0, low, high, 2 * lowest - 1, 2 * highest + 1, float("inf"), -float("inf")]])
    rounded = made.prepare(x)(x)
    zero, *others = rounded.dequantize()[0].tolist()
    room = 0.51 * rounded.scales.item() + 1e-30
    assert zero == 0
    assert others == pytest.approx([low, high, lowest, highest, highest, lowest], abs=room)


def test_a_static_scale_does_not_depend_on_the_rows() -> None:
    made = quantizer("static")
    scales = [made.prepare(rows)(rows).scales.item() for rows in (torch.ones(1, 3), 50 * torch.ones(2, 3))]
    assert scales == [pytest.approx(3 / 127)] * 2


def test_a_grid_is_a_scale_and_an_integer_for_zero() -> None:
    scheme = ActivationScheme(granularity="per_tensor", dynamic=False, symmetric=False)
    scale, zero = StaticRange(low=-1.0, high=4.1).grid(scheme)
    symmetric_scale, none = RANGE.grid(replace(scheme, symmetric=True))
    assert (scale, symmetric_scale) == pytest.approx((5.1 / 255, 3 / 127))
    assert (zero, none) == (-78, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
@pytest.mark.parametrize("value", [0.0, 1e-42])
def test_zeros_and_denormals_become_zero(kind: str, value: float, *, symmetric: bool) -> None:
    rounded = quantize(kind, torch.full((2, 3), value), symmetric=symmetric)
    assert not rounded.dequantize().any()
    assert bool((rounded.scales > 0).all())


def test_an_unused_range_still_has_a_grid() -> None:
    """Calibration may have seen only zeros."""
    made = quantizer("static", static=StaticRange(low=0.0, high=0.0))
    x = torch.tensor([[0.0, 1.0, -1.0]])
    assert made.prepare(x)(x).values.tolist() == [[0, 127, -127]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
def test_what_is_not_finite_shows_in_dynamic_scales(value: float, *, symmetric: bool) -> None:
    """Of its own row, per token; of all, per tensor."""
    rows = torch.ones(3, 4)
    rows[1, 2] = value
    assert quantize("token", rows, symmetric=symmetric).scales.isfinite().flatten().tolist() == [True, False, True]
    assert not quantize("tensor", rows, symmetric=symmetric).scales.isfinite()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symmetric", [True, False], ids=["sym", "asym"])
def test_scales_and_offsets_are_floats(kind: str, *, symmetric: bool) -> None:
    rounded = quantize(kind, torch.randn(3, 4, dtype=torch.bfloat16), symmetric=symmetric)
    assert (rounded.values.dtype, rounded.scales.dtype) == (torch.int8, torch.float32)
    assert (rounded.offsets is None) == symmetric
    if rounded.offsets is not None and kind != "static":
        assert rounded.offsets.dtype == torch.float32


def test_offsets_of_a_static_grid_are_floats() -> None:
    offsets = quantize("static", torch.randn(3, 4), symmetric=False).offsets
    assert offsets is not None
    assert offsets.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_left_alone(kind: str) -> None:
    rows = torch.randn(3, 4)
    before = rows.clone()
    quantize(kind, rows, symmetric=False)
    assert torch.equal(rows, before)


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_range_belongs_to_a_static_scheme(*, dynamic: bool) -> None:
    scheme = ActivationScheme(granularity="per_tensor", dynamic=dynamic)
    with pytest.raises(AssertionError):
        ActivationQuantizer(scheme, RANGE if dynamic else None)
