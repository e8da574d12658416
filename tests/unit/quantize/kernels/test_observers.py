"""The streaming histogram of activations."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.errors import EngineError
from pytest_qeval.quantize.kernels.observers import BINS, Histogram

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(-8, 8, width=32)
VALUES = st.lists(FLOATS, min_size=1, max_size=30)


def observe(*chunks: list[float], dtype: torch.dtype = torch.float32) -> Histogram:
    histogram = Histogram()
    for chunk in chunks:
        histogram.add(torch.tensor(chunk, dtype=dtype))
    return histogram


def state(histogram: Histogram) -> tuple[object, ...]:
    bins = histogram.counts.nonzero().flatten()
    counts = dict(zip(bins.tolist(), histogram.counts[bins].tolist(), strict=True))
    return counts, histogram.limit, histogram.minimum, histogram.maximum, histogram.n_values


@given(values=VALUES, seed=st.integers(0, 99), size=st.integers(1, 9))
def test_neither_order_nor_chunks_matter(values: list[float], seed: int, size: int) -> None:
    shuffled = random.Random(seed).sample(values, len(values))  # noqa: S311 - reproducible
    chunks = [shuffled[start : start + size] for start in range(0, len(values), size)]
    assert state(observe(*chunks)) == state(observe(values))


@given(values=VALUES)
def test_every_value_lies_in_its_bin(values: list[float]) -> None:
    """Bin i holds what lies from i widths to i + 1, mirrored for negative values; zero's spans a width either way."""
    histogram = observe(values)
    expected = torch.zeros(2 * BINS - 1, dtype=torch.int64)
    for value in values:
        expected[math.trunc(value / histogram.width) + BINS - 1] += 1
    assert torch.equal(histogram.counts, expected)


@given(values=VALUES)
def test_extremes_and_numbers_are_exact(values: list[float]) -> None:
    histogram = observe(values, values)
    assert (histogram.minimum, histogram.maximum) == (min(values), max(values))
    assert histogram.largest == max(map(abs, values))
    assert histogram.n_values == int(histogram.counts.sum()) == 2 * len(values)


@given(values=VALUES.filter(lambda values: max(map(abs, values)) > 1e-20))
def test_the_limit_is_the_least_power_of_two_above_all_magnitudes(values: list[float]) -> None:
    """So half of the bins or more are in use."""
    limit = observe(values).limit
    assert limit / 2 <= max(map(abs, values)) < limit
    assert math.frexp(limit)[0] == 0.5


@given(values=VALUES)
def test_magnitudes_fold_the_signs(values: list[float]) -> None:
    folded = observe(values).magnitudes()
    expected = observe([abs(value) for value in values]).counts[BINS - 1 :]
    assert torch.equal(folded, expected)


def test_folding_leaves_the_counts_alone() -> None:
    histogram = observe([-1.0, 1.0, 0.0])
    histogram.magnitudes()
    assert state(histogram) == state(observe([-1.0, 1.0, 0.0]))


def test_growing_merges_neighbours() -> None:
    histogram = observe([0.9999, -0.9999, 0.0])
    histogram.add(torch.tensor([1.0]))
    assert histogram.limit == 2.0
    bins = (histogram.counts.nonzero().flatten() - (BINS - 1)).tolist()
    assert bins == [-(BINS // 2) + 1, 0, BINS // 2 - 1, BINS // 2]


@pytest.mark.parametrize("value", [3e38, -3e38, 1e-45], ids=str)
def test_the_ends_of_float32_have_a_bin(value: float) -> None:
    """Zeros first, so that the limit grows through all powers of two at once."""
    histogram = observe([0.0, 0.0], [value])
    assert (int(histogram.counts.sum()), histogram.n_values) == (3, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_any_floating_point_dtype_of_any_shape_is_counted(dtype: torch.dtype) -> None:
    histogram = Histogram()
    values = torch.tensor([[[1.5], [-0.25]]], dtype=dtype, requires_grad=True)
    histogram.add(values)
    assert state(histogram) == state(observe([1.5, -0.25]))
    assert values.tolist() == [[[1.5], [-0.25]]]


def test_zeros_alone_are_counted() -> None:
    histogram = observe([0.0] * 5)
    assert (histogram.n_values, histogram.largest) == (5, 0.0)
    assert int(histogram.counts[BINS - 1]) == 5


def test_nothing_is_nothing() -> None:
    histogram = observe([])
    assert state(histogram) == state(Histogram())
    assert histogram.largest == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_what_is_not_finite_is_refused(value: float) -> None:
    """And leaves what was counted before as it is."""
    histogram = observe([1.0])
    with pytest.raises(EngineError, match="activations are not finite"):
        histogram.add(torch.tensor([2.0, value]))
    assert state(histogram) == state(observe([1.0]))
