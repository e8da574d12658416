"""Weights become integers as their scheme says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.quantize.kernels import weights
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, packed_bytes, quantize_weight
from pytest_qeval.quantize.recipe import WeightScheme

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
BITS = st.integers(2, 8)
TENSOR = WeightScheme(bits=8, granularity="per_tensor")
CHANNEL = WeightScheme(bits=8)
GROUP = WeightScheme(bits=8, granularity="per_group", group_size=8)
SCHEMES = [
    pytest.param(TENSOR, id="tensor"),
    pytest.param(CHANNEL, id="channel"),
    pytest.param(GROUP, id="g8"),
    pytest.param(replace(GROUP, group_size=33), id="g33"),
]


def random_weight(seed: int, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Make rows of different sizes with an outlier; the last one is zero."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=rng) * torch.randn(rows, 1, generator=rng).exp()
    weight[0, 0] *= 10
    weight[-1] = 0
    return weight.to(dtype)


def repeated(quantized: QuantizedWeight) -> torch.Tensor:
    """Return every element's own scale."""
    columns = torch.arange(quantized.values.shape[1]) // quantized.group_size
    return quantized.scales.double()[:, columns]


def squared_error(weight: torch.Tensor, scheme: WeightScheme) -> torch.Tensor:
    """Sum up each row's squared error."""
    quantized = quantize_weight(weight.clone(), scheme)
    return (quantized.values.double() * repeated(quantized) - weight.double()).square().sum(1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("clip", ["minmax", "mse", "p95"])
@pytest.mark.parametrize("scheme", SCHEMES)
@given(bits=BITS, seed=st.integers(0, 2**31), rows=st.integers(1, 6), columns=st.integers(1, 70))
@settings(max_examples=12, deadline=None)
def test_what_is_not_clipped_moves_by_at_most_half_a_scale(
    *, scheme: WeightScheme, clip: str, dtype: torch.dtype, bits: int, seed: int, rows: int, columns: int
) -> None:
    """Under minmax nothing is clipped; whatever is takes an end of the grid."""
    scheme = replace(scheme, bits=bits)
    if clip != "minmax":
        scheme = replace(scheme, clip="mse") if clip == "mse" else replace(scheme, clip="percentile", percentile=95.0)
    weight = random_weight(seed, rows, columns, dtype)
    quantized = quantize_weight(weight.clone(), scheme)
    scales, last = repeated(quantized), 2 ** (bits - 1) - 1
    steps = weight.double() / scales
    moved = (quantized.values.double() - steps).abs()
    clipped = steps.abs() > last + (0.5 if clip == "minmax" else 0.0)
    assert bool((moved <= 0.5 + 1e-4)[~clipped].all())
    assert torch.equal(quantized.values[clipped].double(), last * steps[clipped].sign())
    assert clip != "minmax" or not clipped.any()
    assert int(quantized.values.abs().max()) <= last


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_shapes_and_types(scheme: WeightScheme, dtype: torch.dtype) -> None:
    quantized = quantize_weight(random_weight(0, 3, 70, dtype), scheme)
    groups = {8: 9, 33: 3}.get(scheme.group_size or 0, 1)
    assert (quantized.values.shape, quantized.values.dtype) == ((3, 70), torch.int8)
    assert (quantized.scales.shape, quantized.scales.dtype) == ((3, groups), torch.float32)
    assert quantized.group_size == (scheme.group_size or 70)
    assert bool((quantized.scales > 0).all())


@pytest.mark.parametrize("clip", ["minmax", "mse"])
def test_one_scale_serves_a_whole_tensor(clip: str) -> None:
    weight = random_weight(3, 9, 40)
    scales = quantize_weight(weight.clone(), replace(TENSOR, clip="minmax" if clip == "minmax" else "mse")).scales
    assert len(set(scales.flatten().tolist())) == 1
    assert scales[0].item() == pytest.approx(weight.abs().max().item() / 127) or clip == "mse"


def test_every_channel_has_the_scale_of_its_own_largest_weight() -> None:
    weight = random_weight(4, 9, 40)
    expected = (weight.abs().amax(1, keepdim=True) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    torch.testing.assert_close(quantize_weight(weight.clone(), CHANNEL).scales, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("clip", ["minmax", "mse"])
@given(group=st.integers(8, 40), columns=st.integers(1, 100), bits=BITS, seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_a_group_is_quantized_as_if_it_were_alone(
    *, clip: str, dtype: torch.dtype, group: int, columns: int, bits: int, seed: int
) -> None:
    """So is a last one that is shorter; and a group larger than the row is the row."""
    scheme = WeightScheme(
        bits=bits, granularity="per_group", group_size=group, clip="mse" if clip == "mse" else "minmax"
    )
    weight = random_weight(seed, 4, columns, dtype)
    whole = quantize_weight(weight.clone(), scheme)
    alone = [quantize_weight(part.clone(), scheme) for part in torch.split(weight, group, dim=1)]
    assert torch.equal(whole.values, torch.cat([part.values for part in alone], dim=1))
    assert torch.equal(whole.scales, torch.cat([part.scales for part in alone], dim=1))
    assert torch.equal(
        whole.dequantize(torch.float32), torch.cat([part.dequantize(torch.float32) for part in alone], dim=1)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("columns", [17, 128])
def test_a_group_as_large_as_the_row_is_a_channel(columns: int, dtype: torch.dtype) -> None:
    """Only the scale is rounded, to the weight's own dtype."""
    weight = random_weight(5, 6, columns, dtype)
    group = quantize_weight(weight.clone(), replace(GROUP, group_size=128))
    channel = quantize_weight(weight.clone(), CHANNEL)
    tiny = 2.0**-24 if dtype == torch.float16 else 0.0
    assert torch.equal(group.scales, channel.scales.to(dtype).float().clamp_min(tiny))
    assert int((group.values.int() - channel.values.int()).abs().max()) <= (0 if dtype == torch.float32 else 1)
    assert group.group_size == columns


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [0.0, 1e-42, 1e-7, 1e-3, 1.0, 1e4])
def test_scales_of_groups_are_numbers_of_the_weights_dtype(size: float, dtype: torch.dtype) -> None:
    scales = quantize_weight((size * random_weight(6, 5, 30)).to(dtype), GROUP).scales
    assert torch.equal(scales.to(dtype).float(), scales)
    assert bool((scales > 0).all())


@pytest.mark.parametrize("scheme", [TENSOR, CHANNEL, GROUP, replace(CHANNEL, clip="mse"), replace(GROUP, clip="mse")])
@pytest.mark.parametrize("elements", [1, 30, 100])
def test_chunks_change_nothing(scheme: WeightScheme, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = random_weight(7, 11, 30, torch.bfloat16)
    whole = quantize_weight(weight, scheme)
    floats = whole.dequantize(torch.bfloat16)
    monkeypatch.setattr(weights, "CHUNK_ELEMENTS", elements)
    parts = quantize_weight(weight, scheme)
    assert torch.equal(parts.values, whole.values)
    assert torch.equal(parts.scales, whole.scales)
    assert torch.equal(parts.dequantize(torch.bfloat16), floats)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(bits=BITS, seed=st.integers(0, 2**31), columns=st.integers(1, 90))
@settings(max_examples=20, deadline=None)
def test_mse_is_never_worse_than_minmax(scheme: WeightScheme, bits: int, seed: int, columns: int) -> None:
    """For every row, or for the tensor where that shares a scale."""
    weight = random_weight(seed, 5, columns)
    minmax, mse = (squared_error(weight, replace(scheme, bits=bits, clip=clip)) for clip in ("minmax", "mse"))
    if scheme.granularity == "per_tensor":
        minmax, mse = minmax.sum(), mse.sum()
    assert bool((mse <= minmax * (1 + 1e-5) + 1e-30).all())


def test_mse_is_never_worse_than_minmax_where_scales_are_rounded() -> None:
    scheme = WeightScheme(bits=5, granularity="per_group", group_size=8)
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(2000, 8, generator=rng).to(torch.bfloat16)
    minmax, mse = (squared_error(weight, replace(scheme, clip=clip)) for clip in ("minmax", "mse"))
    assert bool((mse <= minmax * (1 + 1e-5)).all())


def demo_layers() -> Iterator[torch.Tensor]:
    """Read the weights of the embedded model's linear layers."""
    with safe_open(MODEL_DIR / "model.safetensors", "pt") as file:
        names = [name for name in file.keys() if name.endswith("_proj.weight")]  # noqa: SIM118 - no mapping
        assert len(names) == 49
        for name in names:
            yield file.get_tensor(name)


def test_mse_is_never_worse_than_minmax_on_trained_weights() -> None:
    """And better somewhere on every layer at 2 and 3 bits."""
    for weight in demo_layers():
        for bits in (2, 3, 4, 8):
            schemes = WeightScheme(bits=bits), WeightScheme(bits=bits, clip="mse")
            minmax, mse = (squared_error(weight, scheme) for scheme in schemes)
            assert bool((mse <= minmax * (1 + 1e-5)).all())
            assert bits > 3 or bool((mse < minmax).any())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_weight_itself_is_left_alone(scheme: WeightScheme, dtype: torch.dtype) -> None:
    weight = random_weight(8, 4, 40, dtype)
    before = weight.clone()
    quantize_weight(weight, scheme)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_float32_weight_is_left_alone(scheme: WeightScheme) -> None:
    weight = random_weight(8, 4, 40)
    before = weight.clone()
    quantize_weight(weight, scheme)
    assert torch.equal(weight, before)


def test_transposed_weights_are_rounded_alike() -> None:
    weight = random_weight(9, 12, 20, torch.bfloat16)
    for scheme in (TENSOR, CHANNEL, GROUP, replace(GROUP, clip="mse")):
        straight, turned = quantize_weight(weight, scheme), quantize_weight(weight.t().contiguous().t(), scheme)
        assert torch.equal(straight.values, turned.values)


def test_zeros_and_denormals_become_zero() -> None:
    weight = torch.tensor([[0.0] * 9, [1e-42] * 9])
    for scheme in (TENSOR, CHANNEL, GROUP):
        assert not quantize_weight(weight.clone(), scheme).values.any()


def test_a_percentile_clips_what_is_beyond() -> None:
    weight = torch.arange(1.0, 101).unsqueeze(0)
    quantized = quantize_weight(weight.clone(), WeightScheme(bits=8, clip="percentile", percentile=90.0))
    assert quantized.scales.item() == pytest.approx(90 / 127)
    assert quantized.values[0, 89:].tolist() == [127] * 11


def test_two_bits_leave_three_values_per_channel() -> None:
    rounded = quantize_weight(torch.linspace(-1, 1, 64).repeat(4, 1), WeightScheme(bits=2))
    assert {len(set(row.tolist())) for row in rounded.values} == {3}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_integers_times_scales_are_rounded_once(dtype: torch.dtype) -> None:
    quantized = quantize_weight(random_weight(10, 4, 50, dtype), GROUP)
    expected = (quantized.values.double() * repeated(quantized)).float().to(dtype)
    assert torch.equal(quantized.dequantize(dtype), expected)


@pytest.mark.parametrize(
    ("scheme", "dtype", "expected"),
    [
        (WeightScheme(bits=2), torch.float32, 4 + 12),
        (WeightScheme(bits=2), torch.bfloat16, 4 + 12),
        (TENSOR, torch.bfloat16, 15 + 4),
        (GROUP, torch.bfloat16, 15 + 6),
        (GROUP, torch.float32, 15 + 12),
    ],
)
def test_packed_storage_counts_bits_and_scales(scheme: WeightScheme, dtype: torch.dtype, expected: int) -> None:
    assert packed_bytes(torch.zeros(3, 5, dtype=dtype), scheme) == expected


def test_packed_storage_counts_a_shorter_last_group() -> None:
    assert packed_bytes(torch.zeros(2, 17, dtype=torch.bfloat16), GROUP) == 34 + 2 * 3 * 2
