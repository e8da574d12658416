"""Layers with packed weights compute what the integers say, on both sides of every threshold."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.quantize.kernels import weight_only
from pytest_qeval.quantize.kernels.weight_only import (
    Int4Kernel,
    Int8PackKernel,
    WeightOnlyKernel,
    WeightOnlyLinear,
    int4_group,
    weight_only_kernel,
)
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, quantize_weight
from pytest_qeval.quantize.recipe import WeightScheme

DTYPES = [torch.float32, torch.bfloat16]
CHANNEL = {bits: WeightScheme(bits=bits) for bits in range(2, 9)}
ROWS = [1, 2, 7, 8, 9, 20, 65, 95, 96, 97]
"""The kernels stop at 8 and 96."""


def grouped(group: int, bits: int = 4) -> WeightScheme:
    """Make a scheme with groups."""
    return WeightScheme(bits=bits, granularity="per_group", group_size=group)


def random_weight(seed: int, features: int, columns: int, dtype: torch.dtype, scheme: WeightScheme) -> QuantizedWeight:
    """Quantize rows of different sizes, one of them zero."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(features, columns, generator=rng) * torch.randn(features, 1, generator=rng).exp()
    weight[-1] = 0
    return quantize_weight(weight.to(dtype), scheme)


def pack(weight: QuantizedWeight, bits: int, dtype: torch.dtype) -> WeightOnlyKernel:
    """Pack a weight; the layout of 4 bits is that of AVX-512."""
    if bits == 4 and torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("this CPU packs 4 bits otherwise")
    kernel = weight_only_kernel(weight, bits=bits, dtype=dtype)
    assert kernel is not None
    return kernel


def exact(rows: torch.Tensor, weight: QuantizedWeight) -> tuple[torch.Tensor, torch.Tensor]:
    """Multiply in float64, and sum up the magnitudes of what is added."""
    floats = weight.values.double() * weight.scales.double().repeat_interleave(weight.group_size, dim=1)
    return rows.double() @ floats.t(), rows.double().abs() @ floats.abs().t()


def random_rows(seed: int, rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    """Make rows with an outlier, and one of zeros where there are several."""
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).to(dtype)
    x[0, 0] = 50
    x[1:2] = 0
    return x


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=60, deadline=None)
@given(
    rows=st.sampled_from(ROWS),
    features=st.integers(1, 70),
    blocks=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    scheme=st.sampled_from([WeightScheme(bits=8), WeightScheme(bits=8, granularity="per_tensor")]),
)
def test_8_bits_agree_with_a_product_in_float64(
    *, dtype: torch.dtype, rows: int, features: int, blocks: int, seed: int, scheme: WeightScheme
) -> None:
    """The sum is rounded to the dtype, and so is its product with the scale."""
    weight = random_weight(seed, features, 16 * blocks, dtype, scheme)
    x = random_rows(seed, rows, 16 * blocks, dtype)
    product = pack(weight, 8, dtype).product(x)
    expected, magnitude = exact(x, weight)
    assert product.dtype == dtype
    error = (product.double() - expected).abs()
    assert bool((error <= 1.01 * torch.finfo(dtype).eps * expected.abs() + 2e-6 * magnitude).all())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=60, deadline=None)
@given(
    rows=st.sampled_from(ROWS),
    features=st.sampled_from([64, 128, 192]),
    group=st.sampled_from([32, 64, 96, 128, 160, 256, None]),
    groups=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_4_bits_agree_with_a_product_in_float64(
    *, dtype: torch.dtype, rows: int, features: int, group: int | None, groups: int, seed: int
) -> None:
    """Weights are rounded to the dtype, and so is the sum."""
    scheme, columns = grouped(group) if group else CHANNEL[4], (group or 32) * groups
    weight, x = random_weight(seed, features, columns, dtype, scheme), random_rows(seed, rows, columns, dtype)
    product = pack(weight, 4, dtype).product(x)
    expected, magnitude = exact(x, weight)
    eps = torch.finfo(dtype).eps
    assert product.dtype == dtype
    assert bool(((product.double() - expected).abs() <= eps * expected.abs() + (eps + 2e-6) * magnitude).all())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", [1, 8, 9, 96, 97])
@pytest.mark.parametrize(
    ("bits", "scheme"), [(8, CHANNEL[8]), (4, grouped(32)), (4, grouped(128))], ids=["int8", "g32", "g128"]
)
def test_every_weight_is_read_from_its_place(bits: int, scheme: WeightScheme, rows: int, dtype: torch.dtype) -> None:
    """Rows with a single 1 give the dequantized weight's columns, exactly."""
    weight = random_weight(0, 128, 256, dtype, scheme)
    kernel = pack(weight, bits, dtype)
    product = torch.cat([kernel.product(part.contiguous()) for part in torch.split(torch.eye(256, dtype=dtype), rows)])
    assert torch.equal(product, weight.dequantize(dtype).t())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "packed"), [(1, True), (2, False)])
def test_torchs_kernel_multiplies_8_bits_of_a_single_row(
    rows: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, *, packed: bool
) -> None:
    """A batch takes a cast and an ordinary product, whatever its width."""
    kernel, calls = pack(random_weight(1, 64, 64, dtype, CHANNEL[8]), 8, dtype), list[int]()
    original = torch._weight_int8pack_mm

    def counted(*arguments: torch.Tensor) -> torch.Tensor:
        calls.append(arguments[0].shape[0])
        return original(*arguments)

    monkeypatch.setattr(torch, "_weight_int8pack_mm", counted)
    kernel.product(random_rows(1, rows, 64, dtype))
    assert calls == ([rows] if packed else [])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", [1, 97])
@pytest.mark.parametrize("prefill", [False, True])
def test_torchs_kernel_multiplies_4_bits_but_for_prefill(
    rows: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, *, prefill: bool
) -> None:
    """Whatever the number of rows; a prefill is unpacked for an ordinary product."""
    kernel, calls = pack(random_weight(1, 64, 64, dtype, CHANNEL[4]), 4, dtype), list[torch.dtype]()
    original = Int4Kernel.unpack

    def counted(self: Int4Kernel, dtype: torch.dtype) -> torch.Tensor:
        calls.append(dtype)
        return original(self, dtype)

    monkeypatch.setattr(Int4Kernel, "unpack", counted)
    kernel.product(random_rows(1, rows, 64, dtype), prefill=prefill)
    assert calls == ([dtype] if prefill else [])


@pytest.mark.parametrize(
    ("bits", "scheme", "shape"),
    [
        (4, grouped(32), (63, 64)),
        (4, grouped(32), (96, 64)),
        (4, grouped(33), (64, 66)),
        (4, grouped(16), (64, 64)),
        (4, grouped(64), (64, 96)),
        (4, CHANNEL[4], (64, 33)),
        (3, CHANNEL[3], (64, 64)),
        (8, grouped(32, 8), (64, 64)),
        (8, CHANNEL[8], (64, 40)),
    ],
    ids=[
        *("odd features", "half a block", "g33", "g16", "last group shorter", "odd row", "3 bits", "8 bits in groups"),
        "40 columns",
    ],
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_fits_no_kernel_gets_none(
    bits: int, scheme: WeightScheme, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    """Such a layer is simulated: what no kernel reads as integers is not called native."""
    weight = random_weight(2, *shape, dtype, scheme)
    assert weight_only_kernel(weight, bits=bits, dtype=dtype) is None


@pytest.mark.parametrize("bits", [4, 8])
def test_half_precision_and_other_devices_get_none(bits: int) -> None:
    """Sums of 8-bit products overflow half precision, and the kernels are a CPU's."""
    weight = random_weight(3, 64, 64, torch.float32, CHANNEL[bits])
    elsewhere = QuantizedWeight(weight.values.to("meta"), weight.scales.to("meta"), 64)
    assert weight_only_kernel(weight, bits=bits, dtype=torch.float16) is None
    assert weight_only_kernel(elsewhere, bits=bits, dtype=torch.float32) is None


@pytest.mark.parametrize(
    ("scheme", "columns", "expected"),
    [
        (grouped(32), 64, 32),
        (grouped(96), 192, 32),
        (grouped(128), 256, 128),
        (grouped(512), 512, 256),
        (grouped(512), 64, 64),
        (CHANNEL[4], 896, 128),
        (CHANNEL[4], 48, None),
    ],
)
def test_groups_are_split_into_the_largest_that_the_kernel_knows(
    scheme: WeightScheme, columns: int, expected: int | None
) -> None:
    assert int4_group(random_weight(4, 64, columns, torch.float32, scheme)) == expected


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_packed_bytes_are_those_that_are_held(dtype: torch.dtype) -> None:
    """4 bits are half a byte, a group has a scale and a zero of the dtype; 8 bits a byte, a channel 4 bytes."""
    int4 = pack(random_weight(5, 128, 256, dtype, grouped(64)), 4, dtype)
    int8 = pack(random_weight(5, 128, 256, dtype, CHANNEL[8]), 8, dtype)
    assert int4.nbytes == 128 * 256 // 2 + 128 * 4 * 2 * dtype.itemsize
    assert int8.nbytes == 128 * 256 + 4 * 128


def make_layer(bits: int, dtype: torch.dtype, *, biased: bool = True) -> WeightOnlyLinear:
    """Pack a layer of 64 × 64."""
    weight = random_weight(6, 64, 64, dtype, CHANNEL[bits])
    return WeightOnlyLinear(weight, pack(weight, bits, dtype), torch.ones(64, dtype=dtype) if biased else None)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(0, 64), (2, 0, 64), (64,), (2, 3, 64), (5, 11, 64)], ids=str)
def test_leading_dimensions_are_kept(shape: tuple[int, ...], dtype: torch.dtype, bits: int) -> None:
    layer, x = make_layer(bits, dtype), torch.randn(shape, dtype=dtype)
    out = layer(x)
    assert (out.shape, out.dtype) == (shape, dtype)
    flat = layer(x.reshape(-1, 64).contiguous())
    torch.testing.assert_close(out.reshape(-1, 64), flat)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_bias_is_added(bits: int) -> None:
    x = random_rows(7, 3, 64, torch.float32)
    plain, biased = (make_layer(bits, torch.float32, biased=biased)(x) for biased in (False, True))
    assert torch.equal(biased, plain + 1)


def turned(rows: int, dtype: torch.dtype) -> torch.Tensor:
    """Make rows that lie column by column."""
    return torch.randn(64, rows).to(dtype).t()


@pytest.mark.parametrize(
    ("bits", "rows"),
    [(4, 60), (8, 60), pytest.param(4, 5), pytest.param(8, 5)],
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_inputs_need_not_be_contiguous(bits: int, rows: int, dtype: torch.dtype) -> None:
    layer, x = make_layer(bits, dtype), turned(rows, dtype)
    torch.testing.assert_close(layer(x), layer(x.contiguous()))


class OutOfBoundsError(Exception):
    """Torch's kernel would read memory that is not the tensor's, or trap."""


def checked_int8pack(rows: torch.Tensor, values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Compute as torch's int8 kernel does where it can, and refuse what makes it read beyond its arguments.

    In bfloat16 it takes 16 columns at a time without a remainder, from addresses that are multiples of 32 bytes.
    """
    if rows.dtype == torch.bfloat16 and (rows.shape[1] % 16 or rows.data_ptr() % 32):
        raise OutOfBoundsError
    return (rows @ values.to(rows.dtype).t()).mul_(scales)


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [
        (64, torch.bfloat16),
        (48, torch.bfloat16),
        (7, torch.float32),
        pytest.param(
            40,
            torch.bfloat16,
        ),
    ],
)
def test_torch_is_given_only_columns_that_it_can_read(
    columns: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of columns is computed, with torch's kernel or without."""
    monkeypatch.setattr(torch, "_weight_int8pack_mm", checked_int8pack)
    weight, x = random_weight(8, 5, columns, dtype, CHANNEL[8]), random_rows(8, 3, columns, dtype)
    kernel = weight_only_kernel(weight, bits=8, dtype=dtype)
    if kernel is not None:
        torch.testing.assert_close(kernel.product(x).double(), exact(x, weight)[0], rtol=0.02, atol=0.05)


def test_torch_is_given_only_rows_that_it_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of one row is contiguous wherever it starts."""
    layer = make_layer(8, torch.bfloat16)
    monkeypatch.setattr(torch, "_weight_int8pack_mm", checked_int8pack)
    x = torch.randn(1, 65).bfloat16()[:, 1:]
    torch.testing.assert_close(layer(x), layer(x.clone()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_kernel_that_is_missing_or_wrong_is_noticed(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError

    for broken in (missing, lambda rows, values, _: (rows @ values.to(rows.dtype).t()) + 1):
        monkeypatch.setattr(torch, "_weight_int8pack_mm", broken)
        assert not weight_only.int8_pack_works.__wrapped__(dtype)


def test_a_layout_that_is_not_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of AVX2, where 32 output features lie together."""
    original = Int4Kernel.unpack
    monkeypatch.setattr(Int4Kernel, "unpack", lambda self, dtype: original(self, dtype).roll(32, 1))
    assert not weight_only.int4_pack_works.__wrapped__(torch.float32)


def test_a_layer_counts_what_it_computes() -> None:
    layer = make_layer(8, torch.float32)
    assert layer.packed_bytes == 64 * 64 + 4 * 64
    assert isinstance(layer._kernel, Int8PackKernel)
    assert "in_features=64, out_features=64" in repr(layer)
