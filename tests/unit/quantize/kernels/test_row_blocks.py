"""A row's product has the same bits whatever else is multiplied, and on any number of threads."""

from __future__ import annotations

import pytest
import torch

from pytest_qeval.quantize.kernels.onednn_product import pack
from pytest_qeval.quantize.kernels.row_blocks import multiply, undivided

SHAPES = [(4864, 64), (896, 256), (128, 384), (33, 17)]
"""Input and output features; the first one's sums depend on the number of rows with AMX, all of them with MKL."""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", ["plain", "transposed", "packed"])
def test_rows_do_not_depend_on_other_rows_or_threads(shape: tuple[int, int], dtype: torch.dtype, layout: str) -> None:
    columns, features = shape
    torch.manual_seed(0)
    weight = torch.randn(features, columns).to(dtype)
    if layout == "transposed":
        weight = weight.t().contiguous().t()
    elif layout == "packed":
        weight = pack(weight)
    rows, bias = torch.randn(150, columns).to(dtype), torch.randn(features).to(dtype)
    threads = torch.get_num_threads()
    expected = multiply(rows, weight, bias)
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            for count in (1, 2, 7, 33, 100):
                assert torch.equal(multiply(rows[:count], weight, bias), expected[:count])
                assert torch.equal(multiply(rows[-count:, None], weight, bias)[:, 0], expected[-count:])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_no_number_of_rows_changes_a_row(threads: int) -> None:
    """With AMX, 448 and 480 rows of this product differ from 447, 449 and 512 on two threads."""
    torch.manual_seed(0)
    weight, row = pack(torch.randn(896, 896).bfloat16()), torch.randn(1, 896).bfloat16()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        bias = -multiply(row, weight, None)[0]  # leaves the last bits, which rounding would hide
        expected = multiply(row, weight, bias)
        for count in (*range(1, 80), *range(80, 700, 16), 447, 449):
            assert torch.equal(multiply(row.expand(count, -1), weight, bias), expected.expand(count, -1)), count
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 5, 600])
def test_a_product_is_that_of_torch(count: int) -> None:
    weight, bias = torch.randn(24, 48), torch.randn(24)
    rows = torch.randn(2, count, 48)
    torch.testing.assert_close(multiply(rows, weight, bias), torch.nn.functional.linear(rows, weight, bias))
    assert multiply(rows, weight, None).shape == (2, count, 24)
    torch.testing.assert_close(multiply(rows, pack(weight), bias), multiply(rows, weight, bias))


def test_an_undivided_product_is_that_of_torch_too() -> None:
    weight, bias, rows = torch.randn(24, 48), torch.randn(24), torch.randn(1, 5, 48)
    expected = torch.nn.functional.linear(rows, weight, bias)
    with undivided():
        torch.testing.assert_close(multiply(rows, pack(weight), bias), expected)
        torch.testing.assert_close(multiply(rows, weight, bias), expected)


def test_a_weight_is_packed_without_a_change() -> None:
    """Float64 stays as it is: oneDNN does not multiply it."""
    weight = torch.randn(33, 17)
    assert torch.equal(pack(weight).to_dense(), weight)
    assert pack(weight.double()).dtype == torch.float64
    assert not pack(weight.double()).is_mkldnn
