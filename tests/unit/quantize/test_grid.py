"""Rounding to a symmetric grid."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.quantize.grid import quantize_rows
from pytest_qeval.quantize.recipe import WeightScheme
from pytest_qeval.quantize.simulated import packed_bytes, round_weight

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
MATRICES = st.integers(1, 9).flatmap(
    lambda columns: st.lists(st.lists(FLOATS, min_size=columns, max_size=columns), min_size=1, max_size=5)
)


@given(rows=MATRICES, bits=st.integers(2, 8))
def test_no_element_moves_by_more_than_half_a_scale(rows: list[list[float]], bits: int) -> None:
    matrix = torch.tensor(rows, dtype=torch.float32)
    values, scales = quantize_rows(matrix, bits=bits)
    error = (values.double() * scales.double() - matrix.double()).abs()
    assert bool((error <= scales.double() * (0.5 + 1e-4)).all())


@given(rows=MATRICES, bits=st.integers(2, 8))
def test_integers_stay_on_the_grid_and_zero_stays_zero(rows: list[list[float]], bits: int) -> None:
    matrix = torch.tensor([[*row, 0.0] for row in rows], dtype=torch.float32)
    values, scales = quantize_rows(matrix, bits=bits)
    assert int(values.abs().max()) <= 2 ** (bits - 1) - 1
    assert not values[:, -1].any()
    assert bool((scales > 0).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_largest_magnitude_takes_the_last_step(dtype: torch.dtype) -> None:
    values, scales = quantize_rows(torch.tensor([[0.5, -2.0, 1.0]], dtype=dtype))
    assert values.tolist() == [[32, -127, 64]]
    assert scales.item() == pytest.approx(2 / 127)


def test_rows_of_zeros_and_denormals_become_zero() -> None:
    values, _ = quantize_rows(torch.tensor([[0.0, 0.0], [1e-42, -1e-43]]))
    assert not values.any()


def test_the_matrix_itself_is_left_alone() -> None:
    matrix = torch.randn(3, 4)
    before = matrix.clone()
    quantize_rows(matrix)
    assert torch.equal(matrix, before)


def test_an_outlier_costs_only_its_own_row() -> None:
    matrix = torch.full((2, 4), 0.1)
    matrix[0, 0] = 1e4
    values, scales = quantize_rows(matrix)
    assert values[0].tolist() == [127, 0, 0, 0]
    assert (values[1] * scales[1]).tolist() == pytest.approx([0.1] * 4)


def test_two_bits_leave_three_values_per_channel() -> None:
    rounded = round_weight(torch.randn(4, 64), WeightScheme(bits=2))
    assert {len(set(row.tolist())) for row in rounded} == {3}


def test_rounding_keeps_shape_and_dtype() -> None:
    weight = torch.randn(3, 5, dtype=torch.bfloat16)
    rounded = round_weight(weight, WeightScheme(bits=8))
    assert (rounded.shape, rounded.dtype) == (weight.shape, weight.dtype)


def test_packed_storage_counts_bits_and_scales() -> None:
    assert packed_bytes(torch.zeros(3, 5), WeightScheme(bits=2)) == 4 + 12
