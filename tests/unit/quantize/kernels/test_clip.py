"""Where grids end: the clip methods."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.quantize.kernels import clip
from pytest_qeval.quantize.kernels.clip import clip_histogram, clip_rows, range_of_histogram
from pytest_qeval.quantize.kernels.observers import BINS, Histogram
from pytest_qeval.quantize.recipe import ClipMethod

BITS = st.integers(2, 8)
ACTIVATION_BITS = st.integers(4, 8)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(-8, 8, width=32) | st.just(0.0)
MATRICES = st.integers(1, 40).flatmap(
    lambda columns: st.lists(st.lists(FLOATS, min_size=columns, max_size=columns), min_size=1, max_size=4)
)
VALUES = st.lists(FLOATS, min_size=1, max_size=60)
METHODS: list[tuple[ClipMethod, float | None]] = [
    ("minmax", None),
    ("mse", None),
    ("entropy", None),
    ("percentile", 99.0),
]
TINY = torch.finfo(torch.float32).tiny


def squared_error(matrix: torch.Tensor, bounds: torch.Tensor, bits: int) -> torch.Tensor:
    """Round as a quantizer does: its scale is float32 and no denormal."""
    levels = 2 ** (bits - 1) - 1
    scales = (bounds.float() / levels).clamp_min(TINY).double()
    moved = (matrix.double() / scales).round().clamp(-levels, levels) * scales - matrix.double()
    return torch.sum(moved.square(), dim=-1)


def gaussian(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))


def observe(values: torch.Tensor | list[float]) -> Histogram:
    histogram = Histogram()
    histogram.add(torch.as_tensor(values, dtype=torch.float32))
    return histogram


@given(rows=MATRICES, bits=BITS)
def test_minmax_is_the_largest_magnitude(rows: list[list[float]], bits: int) -> None:
    bounds = clip_rows(torch.tensor(rows, dtype=torch.float32), bits=bits, clip="minmax")
    assert bounds.tolist() == [[max(map(abs, row))] for row in rows]


@given(rows=MATRICES, bits=BITS)
@settings(max_examples=300)
def test_mse_is_never_worse_than_minmax(rows: list[list[float]], bits: int) -> None:
    matrix = torch.tensor(rows, dtype=torch.float32)
    minmax = clip_rows(matrix, bits=bits, clip="minmax")
    bounds = clip_rows(matrix, bits=bits, clip="mse")
    assert bool((squared_error(matrix, bounds, bits) <= squared_error(matrix, minmax, bits)).all())
    assert bool((bounds <= minmax).all())


@given(rows=MATRICES, bits=BITS, data=st.data())
def test_rows_do_not_depend_on_each_other(rows: list[list[float]], bits: int, data: st.DataObject) -> None:
    """The search may end early only where it cannot matter."""
    matrix = torch.tensor(rows, dtype=torch.float32)
    row = data.draw(st.integers(0, len(rows) - 1))
    assert clip_rows(matrix, bits=bits, clip="mse")[row] == clip_rows(matrix[row : row + 1], bits=bits, clip="mse")


@pytest.mark.parametrize(("bits", "sigmas"), [(2, 1.22), (3, 1.94), (4, 2.55), (5, 3.05)])
def test_mse_finds_the_best_grid_of_a_gaussian(bits: int, sigmas: float) -> None:
    """Its bound is within 6 % of the one that a search in steps of 0.1 % finds on the same values."""
    matrix = gaussian(1, 20_000)
    tried = torch.arange(0.5, 4.5, 0.001)
    errors = torch.stack([squared_error(matrix, bound.reshape(1, 1), bits) for bound in tried])
    best = float(tried[errors.argmin()])
    found = clip_rows(matrix, bits=bits, clip="mse")
    assert float(found) == pytest.approx(best, rel=0.06)
    assert float(squared_error(matrix, found, bits)) <= 1.01 * float(errors.min())
    assert best == pytest.approx(sigmas, rel=0.06)


def test_mse_gives_up_an_outlier_for_all_others() -> None:
    matrix = torch.cat([gaussian(1, 4096), torch.tensor([[12.0]])], dim=1)
    assert 2 < float(clip_rows(matrix, bits=4, clip="mse")) < 4


def test_mse_looks_behind_a_rise_of_the_error() -> None:
    """At 0.85, 1 is clipped and 0.3 is still rounded to 0; near 0.3, a hundred values are almost exact."""
    bound = clip_rows(torch.tensor([[1.0] + [0.3] * 100]), bits=2, clip="mse")
    assert bound.item() == pytest.approx(0.3, rel=0.05)


def test_rows_on_the_grid_are_not_clipped() -> None:
    """Where nothing can be gained, mse is minmax: full grids, constants, one element, zeros."""
    full = torch.arange(-127.0, 128) * 0.5
    assert clip_rows(full.unsqueeze(0), bits=8, clip="mse").item() == 63.5
    for row in ([3.0] * 5, [-7.0], [0.0, 0.0], [1e-45], [1e-40, -1e-39]):
        bounds = clip_rows(torch.tensor([row]), bits=4, clip="mse")
        assert bounds.item() == torch.tensor(row).abs().max()


@given(rows=MATRICES, percentile=st.floats(50, 100, exclude_min=True))
def test_percentile_is_the_smallest_magnitude_that_enough_do_not_exceed(
    rows: list[list[float]], percentile: float
) -> None:
    bounds = clip_rows(torch.tensor(rows, dtype=torch.float32), bits=8, clip="percentile", percentile=percentile)
    for row, bound in zip(rows, bounds.flatten().tolist(), strict=True):
        enough = len(row) * percentile / 100 - 1e-6
        magnitudes = [abs(value) for value in row]
        assert sum(value <= bound for value in magnitudes) >= enough
        assert sum(value < bound for value in magnitudes) < enough + 1e-5
        assert bound in magnitudes


@pytest.mark.parametrize(("percentile", "expected"), [(99.9, 999.0), (99.0, 990.0), (100.0, 1000.0), (50.01, 501.0)])
def test_percentiles_of_a_thousand(percentile: float, expected: float) -> None:
    row = -torch.arange(1.0, 1001).flip(0).unsqueeze(0)
    assert clip_rows(row, bits=8, clip="percentile", percentile=percentile).item() == expected


@pytest.mark.parametrize("method", ["minmax", "mse", "percentile"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_every_dtype_gives_float32_bounds_and_is_left_alone(dtype: torch.dtype, method: ClipMethod) -> None:
    matrix = gaussian(3, 50).to(dtype)
    before = matrix.clone()
    percentile = 90.0 if method == "percentile" else None
    bounds = clip_rows(matrix, bits=4, clip=method, percentile=percentile)
    assert (bounds.dtype, bounds.shape) == (torch.float32, (3, 1))
    assert torch.equal(matrix, before)
    assert torch.equal(bounds, clip_rows(matrix.float(), bits=4, clip=method, percentile=percentile))


@pytest.mark.parametrize("method", ["minmax", "mse", "percentile"])
@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
def test_what_is_not_finite_stays_visible(value: float, method: ClipMethod) -> None:
    """In its own row only."""
    matrix = torch.tensor([[value, 1.0, 2.0], [1.0, 1.0, 2.0]])
    bounds = clip_rows(matrix, bits=8, clip=method, percentile=60 if method == "percentile" else None)
    assert bounds.isfinite().flatten().tolist() == [False, True]


@pytest.mark.parametrize("method", ["minmax", "mse", "percentile"])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, method: ClipMethod) -> None:
    """Neither chunks of rows nor, for a row longer than a block, chunks of columns."""
    matrix = gaussian(7, 100)
    percentile = 90.0 if method == "percentile" else None
    whole = clip_rows(matrix, bits=4, clip=method, percentile=percentile)
    for block in (350, 30):
        monkeypatch.setattr(clip, "BLOCK_ELEMENTS", block)
        assert torch.equal(clip_rows(matrix, bits=4, clip=method, percentile=percentile), whole)


def centers(histogram: Histogram) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where the histogram's values are taken to lie, and how many they are."""
    bins = torch.arange(1 - BINS, BINS, dtype=torch.float64)
    values = (bins + bins.sign() / 2) * histogram.width
    return values, histogram.counts.double()


def symmetric_error(histogram: Histogram, bound: float, bits: int) -> float:
    values, counts = centers(histogram)
    levels = 2 ** (bits - 1) - 1
    scale = max(bound / levels, TINY)
    moved = (values / scale).round().clamp(-levels, levels) * scale - values
    return float((moved.square() * counts).sum())


def asymmetric_error(histogram: Histogram, low: float, high: float, bits: int) -> float:
    values, counts = centers(histogram)
    levels = 2**bits - 1
    scale = max((high - low) / levels, TINY)
    zero = round(-low / scale)
    moved = (((values / scale).round() + zero).clamp(0, levels) - zero) * scale - values
    return float((moved.square() * counts).sum())


@given(values=VALUES, bits=ACTIVATION_BITS, method=st.sampled_from(METHODS))
def test_bounds_lie_between_zero_and_the_largest_magnitude(
    values: list[float], bits: int, method: tuple[ClipMethod, float | None]
) -> None:
    histogram = observe(values)
    bound = clip_histogram(histogram, bits=bits, clip=method[0], percentile=method[1])
    assert 0 <= bound <= histogram.largest
    assert (bound > 0) == any(values)


@given(values=VALUES, bits=ACTIVATION_BITS, method=st.sampled_from(METHODS))
def test_ranges_hold_zero_and_do_not_exceed_what_was_seen(
    values: list[float], bits: int, method: tuple[ClipMethod, float | None]
) -> None:
    low, high = range_of_histogram(observe(values), bits=bits, clip=method[0], percentile=method[1])
    assert min(0.0, *values) <= low <= 0 <= high <= max(0.0, *values)


@given(values=VALUES, bits=ACTIVATION_BITS)
def test_minmax_of_a_histogram_is_exact(values: list[float], bits: int) -> None:
    histogram = observe(values)
    assert clip_histogram(histogram, bits=bits, clip="minmax") == max(map(abs, values))
    assert range_of_histogram(histogram, bits=bits, clip="minmax") == (min(0.0, *values), max(0.0, *values))


@given(values=VALUES, bits=ACTIVATION_BITS)
def test_mse_of_a_histogram_is_never_worse_than_minmax(values: list[float], bits: int) -> None:
    histogram = observe(values)
    bound = clip_histogram(histogram, bits=bits, clip="mse")
    best = symmetric_error(histogram, bound, bits)
    assert best <= symmetric_error(histogram, histogram.largest, bits) * (1 + 1e-9)
    found = range_of_histogram(histogram, bits=bits, clip="mse")
    widest = range_of_histogram(histogram, bits=bits, clip="minmax")
    assert asymmetric_error(histogram, *found, bits) <= asymmetric_error(histogram, *widest, bits) * (1 + 1e-9)


@pytest.mark.parametrize(("bits", "sigmas"), [(4, 2.55), (5, 3.05), (8, 3.94)])
def test_mse_of_a_gaussians_histogram_is_that_of_its_values(bits: int, sigmas: float) -> None:
    matrix = gaussian(1, 200_000)
    bound = clip_histogram(observe(matrix), bits=bits, clip="mse")
    assert bound == pytest.approx(sigmas, rel=0.05)
    exact = clip_rows(matrix, bits=bits, clip="mse")
    assert float(squared_error(matrix, torch.tensor([[bound]]), bits)) <= 1.02 * float(
        squared_error(matrix, exact, bits)
    )


def test_an_asymmetric_grid_spends_no_step_on_signs_that_do_not_occur() -> None:
    """Values from 0 to 1 and from -1 to 4: only the outer end is clipped."""
    positive = torch.linspace(0, 1, 5000)
    assert range_of_histogram(observe(positive), bits=4, clip="mse")[0] == 0
    skewed = observe(torch.cat([torch.linspace(-1, 1, 5000), torch.tensor([4.0])]))
    low, high = range_of_histogram(skewed, bits=4, clip="mse")
    assert low == -1
    assert 1 <= high < 2


@pytest.mark.parametrize("percentile", [51.0, 90.0, 99.0, 99.9, 100.0])
def test_a_percentile_of_a_histogram_is_reached_within_a_bin(percentile: float) -> None:
    values = gaussian(1, 10_000)
    histogram = observe(values)
    exact = clip_rows(values, bits=8, clip="percentile", percentile=percentile).item()
    bound = clip_histogram(histogram, bits=8, clip="percentile", percentile=percentile)
    assert exact <= bound <= exact + histogram.width


def test_a_percentile_clips_magnitudes_of_either_sign() -> None:
    """Of the magnitudes, 1 % are larger; all of those are negative here."""
    histogram = observe(torch.cat([torch.full((99,), 1.0), torch.full((1,), -8.0)]))
    low, high = range_of_histogram(histogram, bits=8, clip="percentile", percentile=99.0)
    assert low == pytest.approx(-1, rel=0.01)
    assert high == 1


def divergence_by_definition(counts: list[int], kept: int, levels: int) -> float:
    """Follow the slides step by step: reference, merged and spread candidate, Kullback-Leibler divergence."""
    reference = [float(count) for count in counts[:kept]]
    reference[-1] += sum(counts[kept:])
    members: dict[int, list[int]] = {}
    for position in range(kept):
        members.setdefault(position * levels // kept, []).append(position)
    candidate = [0.0] * kept
    for positions in members.values():
        occupied = [position for position in positions if counts[position]]
        for position in occupied:
            candidate[position] = sum(counts[position] for position in positions) / len(occupied)
    total, total_candidate = sum(reference), sum(candidate)
    divergence = 0.0
    for p, q in zip(reference, candidate, strict=True):
        if p and not q:
            return math.inf
        if p:
            divergence += p / total * math.log((p / total) / (q / total_candidate))
    return divergence


@given(counts=st.lists(st.integers(0, 50) | st.just(0), min_size=2, max_size=40), bits=st.integers(2, 4))
def test_entropy_is_the_threshold_search_of_its_definition(counts: list[int], bits: int) -> None:
    """No threshold has a smaller divergence than the one found; half a bin is added to it."""
    levels = 2 ** (bits - 1)
    while counts and not counts[-1]:
        counts.pop()
    bins = clip.entropy_threshold(torch.tensor(counts, dtype=torch.int64), levels=levels)
    if len(counts) <= levels:
        assert bins == math.inf
        return
    divergences = {kept: divergence_by_definition(counts, kept, levels) for kept in range(levels, len(counts) + 1)}
    assert divergences[int(bins - 0.5)] == pytest.approx(min(divergences.values()), abs=1e-9)


def test_entropy_keeps_a_uniform_distribution_whole() -> None:
    histogram = observe(torch.linspace(-1, 1, 100_000))
    assert clip_histogram(histogram, bits=8, clip="entropy") == pytest.approx(1, rel=0.01)


def test_entropy_clips_a_thin_tail() -> None:
    """Symmetric or not, for the threshold is one of magnitudes."""
    histogram = observe(gaussian(1, 500_000))
    bound = clip_histogram(histogram, bits=8, clip="entropy")
    assert 3 < bound < 0.95 * histogram.largest
    assert range_of_histogram(histogram, bits=8, clip="entropy") == (-bound, bound)


def test_entropy_does_not_clip_in_a_gap() -> None:
    """By its definition: there, the divergence is infinite."""
    histogram = observe(torch.cat([gaussian(1, 10_000).flatten(), torch.tensor([100.0])]))
    assert clip_histogram(histogram, bits=8, clip="entropy") == 100


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method[0])
def test_zeros_and_nothing_at_all_have_no_extent(method: tuple[ClipMethod, float | None]) -> None:
    for histogram in (Histogram(), observe([0.0, 0.0])):
        assert clip_histogram(histogram, bits=8, clip=method[0], percentile=method[1]) == 0
        assert range_of_histogram(histogram, bits=8, clip=method[0], percentile=method[1]) == (0, 0)
