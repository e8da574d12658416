"""Rounding activations to integer grids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.quantize.kernels.grid import QuantizedRows, affine_scale, quantize_rows, round_rows

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
MATRICES = st.integers(1, 9).flatmap(
    lambda columns: st.lists(st.lists(FLOATS, min_size=columns, max_size=columns), min_size=1, max_size=5)
)
BITS = st.integers(2, 8)


def round_affine(matrix: torch.Tensor, bits: int) -> QuantizedRows:
    """Round every row over its own range."""
    low, high = torch.aminmax(matrix, dim=-1, keepdim=True)
    return round_rows(matrix, *affine_scale(low, high, bits=bits), bits=bits)


def moved(rows: QuantizedRows, matrix: torch.Tensor) -> torch.Tensor:
    """Say by how many scales elements were moved, in exact arithmetic."""
    offsets = 0.0 if rows.offsets is None else rows.offsets.double()
    floats = (rows.values.double() - offsets) * rows.scales.double()
    return (floats - matrix.double()).abs() / rows.scales.double()


@given(rows=MATRICES, bits=BITS)
def test_no_element_moves_by_more_than_half_a_scale(rows: list[list[float]], bits: int) -> None:
    matrix = torch.tensor(rows, dtype=torch.float32)
    assert float(moved(quantize_rows(matrix, bits=bits), matrix).max()) <= 0.5 + 1e-4


@given(rows=MATRICES, bits=BITS)
def test_no_element_of_an_asymmetric_grid_moves_by_more_than_half_a_scale(rows: list[list[float]], bits: int) -> None:
    matrix = torch.tensor(rows, dtype=torch.float32)
    assert float(moved(round_affine(matrix, bits), matrix).max()) <= 0.5 + 1e-4


@given(rows=MATRICES, bits=BITS)
def test_integers_stay_on_the_grid_and_zero_stays_zero(rows: list[list[float]], bits: int) -> None:
    matrix = torch.tensor([[*row, 0.0] for row in rows], dtype=torch.float32)
    values, scales, _ = quantize_rows(matrix, bits=bits)
    assert int(values.abs().max()) <= 2 ** (bits - 1) - 1
    assert not values[:, -1].any()
    assert bool((scales > 0).all())


@given(rows=MATRICES, bits=BITS)
def test_zero_falls_on_an_integer_of_the_asymmetric_grid(rows: list[list[float]], bits: int) -> None:
    matrix = torch.tensor([[*row, 0.0] for row in rows], dtype=torch.float32)
    rounded = round_affine(matrix, bits)
    assert rounded.offsets is not None
    assert torch.equal(rounded.offsets, rounded.offsets.round())
    assert torch.equal(rounded.values[:, -1:].float(), rounded.offsets)
    assert bool((rounded.scales > 0).all())


@pytest.mark.parametrize(("low", "high"), [(1.0, 3.0), (-3.0, -1.0), (0.0, 0.0), (-3.4e38, 3.4e38), (-1e-45, 1e-45)])
def test_an_asymmetric_range_is_widened_to_hold_zero(low: float, high: float) -> None:
    """The ends of the grid are as far apart as the widened range, also where float32 cannot hold the span."""
    scale, offset = affine_scale(torch.tensor([low]), torch.tensor([high]), bits=8)
    ends = (torch.tensor([-128.0, 127.0], dtype=torch.float64) - offset.double()) * scale.double()
    assert ends[0] - 0.51 * scale <= min(low, 0.0)
    assert ends[1] + 0.51 * scale >= max(high, 0.0)
    assert torch.isfinite(scale)
    assert -128 <= offset.item() <= 127


@pytest.mark.parametrize("bits", range(2, 9))
def test_an_asymmetric_grid_uses_all_its_steps(bits: int) -> None:
    """Inputs that are never negative lose no sign bit."""
    rows = round_affine(torch.linspace(0, 1, 2**bits).unsqueeze(0), bits)
    assert rows.values[0].tolist() == list(range(-(2 ** (bits - 1)), 2 ** (bits - 1)))


@given(rows=MATRICES, bits=BITS, scale=st.floats(2**-10, 2**10, width=32))
def test_values_beyond_a_given_grid_are_clipped_to_its_ends(rows: list[list[float]], bits: int, scale: float) -> None:
    matrix, scales = torch.tensor(rows, dtype=torch.float32), torch.tensor([[scale]])
    last = 2 ** (bits - 1) - 1
    symmetric = round_rows(matrix, scales, bits=bits)
    shifted = round_rows(matrix, scales, torch.tensor([[1.0]]), bits=bits)
    steps = (matrix / scales).round()
    assert torch.equal(symmetric.values.float(), steps.clamp(-last, last))
    assert torch.equal(shifted.values.float(), (steps + 1).clamp(-last - 1, last))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_largest_magnitude_takes_the_last_step(dtype: torch.dtype) -> None:
    values, scales, offsets = quantize_rows(torch.tensor([[0.5, -2.0, 1.0]], dtype=dtype))
    assert values.tolist() == [[32, -127, 64]]
    assert scales.item() == pytest.approx(2 / 127)
    assert offsets is None


def test_rows_of_zeros_and_denormals_become_zero() -> None:
    values, _, _ = quantize_rows(torch.tensor([[0.0, 0.0], [1e-42, -1e-43]]))
    assert not values.any()


def test_small_and_large_matrices_are_rounded_alike() -> None:
    """Large ones find their magnitudes without a copy."""
    matrix = torch.randn(2, 2**17 + 1)
    assert torch.equal(quantize_rows(matrix).scales[:1], quantize_rows(matrix[:1]).scales)


@pytest.mark.parametrize("rounding", [quantize_rows, lambda matrix: round_affine(matrix, 8)], ids=["symmetric", "asym"])
def test_the_matrix_itself_is_left_alone(rounding: object) -> None:
    assert callable(rounding)
    matrix = torch.randn(3, 4)
    before = matrix.clone()
    rounding(matrix)
    assert torch.equal(matrix, before)


def test_an_outlier_costs_only_its_own_row() -> None:
    matrix = torch.full((2, 4), 0.1)
    matrix[0, 0] = 1e4
    values, scales, _ = quantize_rows(matrix)
    assert values[0].tolist() == [127, 0, 0, 0]
    assert (values[1] * scales[1]).tolist() == pytest.approx([0.1] * 4)


def test_integers_stand_for_floats() -> None:
    values, scales = torch.tensor([[-3, 5]], dtype=torch.int8), torch.tensor([[0.5]])
    assert QuantizedRows(values, scales).dequantize().tolist() == [[-1.5, 2.5]]
    assert QuantizedRows(values, scales, torch.tensor([[-3.0]])).dequantize().tolist() == [[0.0, 4.0]]
