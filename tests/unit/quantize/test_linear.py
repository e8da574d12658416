"""Int8 layers compute what the integers say, on every path."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytest_qeval.quantize import kernels, linear
from pytest_qeval.quantize.grid import quantize_rows
from pytest_qeval.quantize.kernels import Int8Kernel, IntMmKernel, OneDnnKernel, kernel_for, onednn_is_exact
from pytest_qeval.quantize.linear import Int8Linear

needs_onednn = pytest.mark.skipif(not onednn_is_exact(), reason="no exact oneDNN int8 product on this CPU")
KERNELS = [pytest.param(OneDnnKernel, marks=needs_onednn, id="onednn"), pytest.param(IntMmKernel, id="int_mm")]
MakeKernel = Callable[[torch.Tensor, torch.Tensor], Int8Kernel]
SIZES = st.integers(1, 70)


def int8(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Int8Linear:
    """Quantize one layer."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = bias
    return Int8Linear.from_linears([layer])[0]


def exact(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Compute the layer with int64 sums and float64 scales."""
    (x_int, x_scales), (w_int, w_scales) = quantize_rows(x), quantize_rows(weight)
    product = (x_int.long() @ w_int.long().T) * x_scales.double() * w_scales.double().T
    return product if bias is None else product + bias.double()


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Allow the rounding of the output's dtype, and of float32 before it."""
    relative = {torch.float32: 1e-6, torch.bfloat16: 2**-8, torch.float16: 2**-10}[actual.dtype]
    # A bias can cancel the product: its rounding is relative to the parts, which are about as large as the row.
    largest = expected.abs().amax(-1, keepdim=True)
    error = (actual.double() - expected).abs()
    assert bool((error <= relative * expected.abs() + 1e-6 * largest + 1e-30).all()), error.max()


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@settings(max_examples=30, deadline=None)
@given(rows=SIZES, columns=SIZES, outputs=SIZES, seed=st.integers(0, 2**31), biased=st.booleans())
def test_a_layer_agrees_with_integer_arithmetic(
    dtype: torch.dtype, rows: int, columns: int, outputs: int, seed: int, *, biased: bool
) -> None:
    rng = torch.Generator().manual_seed(seed)
    x, weight = (torch.randn(n, columns, generator=rng).to(dtype) for n in (rows, outputs))
    x[0, 0] = 100  # an outlier
    weight[-1] = 0
    bias = torch.randn(outputs, generator=rng).to(dtype) if biased else None
    assert_close(int8(weight, bias)(x), exact(x, weight, bias))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [1e-42, -1e-41, 0.0], [3e38, -1.0, 2e-3]])
def test_extreme_rows_are_computed(dtype: torch.dtype, values: list[float]) -> None:
    x, weight = torch.tensor([values, [1.0, 2.0, 3.0]], dtype=dtype), 0.01 * torch.ones(2, 3, dtype=dtype)
    assert_close(int8(weight)(x), exact(x, weight))


def test_a_row_does_not_depend_on_its_batch() -> None:
    layer, x = int8(torch.randn(33, 65, dtype=torch.bfloat16)), torch.randn(40, 65, dtype=torch.bfloat16)
    assert torch.equal(layer(x)[7], layer(x[7:8])[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_rows_that_are_not_finite_stay_so_and_spoil_no_other(value: float) -> None:
    layer, x = int8(torch.randn(16, 8)), torch.randn(3, 8)
    clean = layer(x.clone())
    x[1, 2] = value
    out = layer(x)
    assert not out[1].isfinite().any()
    assert torch.equal(out[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("shape", [(0, 8), (2, 0, 8), (8,), (2, 3, 8)], ids=str)
def test_leading_dimensions_are_kept(shape: tuple[int, ...]) -> None:
    assert int8(torch.randn(5, 8))(torch.randn(shape)).shape == (*shape[:-1], 5)


def test_inputs_and_weights_need_not_be_contiguous() -> None:
    x, weight = torch.randn(8, 6).T, torch.randn(8, 5).T
    assert_close(int8(weight)(x), exact(x, weight))


def test_long_inputs_are_computed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = int8(torch.randn(9, 12), torch.randn(9)), torch.randn(23, 12)
    whole = layer(x)
    monkeypatch.setattr(linear, "_CHUNK_ELEMENTS", 5 * 12)
    assert torch.equal(layer(x.clone()), whole)


def make_siblings() -> tuple[list[nn.Linear], list[Int8Linear]]:
    """Quantize three layers together, one of them with a bias."""
    layers = [nn.Linear(12, 20), nn.Linear(12, 4, bias=False), nn.Linear(12, 7, bias=False)]
    return layers, Int8Linear.from_linears(layers)


def test_siblings_compute_what_each_would_compute_alone() -> None:
    layers, siblings = make_siblings()
    x = torch.randn(5, 12)
    for layer, sibling in zip(layers, siblings, strict=True):
        assert torch.equal(sibling(x), Int8Linear.from_linears([layer])[0](x))


def test_siblings_share_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(matrix: torch.Tensor, *, bits: int = 8) -> object:
        calls.append(bits)
        return quantize_rows(matrix, bits=bits)

    _, siblings = make_siblings()
    monkeypatch.setattr(linear, "quantize_rows", counted)
    x = torch.randn(5, 12)
    for sibling in siblings:
        sibling(x)
    assert len(calls) == 1


def test_siblings_do_not_mix_up_inputs() -> None:
    _, (query, key, value) = make_siblings()
    x, y = torch.randn(5, 12), torch.randn(3, 12)
    expected = [query(x), key(y), value(y), query(y)]
    again = [query(x.clone()), key(y.clone()), value(y.clone()), query(y.clone())]
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


def test_siblings_notice_a_change_in_place() -> None:
    _, (query, key, _) = make_siblings()
    x = torch.randn(5, 12)
    query(x)
    x.mul_(2)
    assert torch.equal(key(x), key(x.clone()))


def test_siblings_let_go_of_their_input() -> None:
    _, siblings = make_siblings()
    x = torch.randn(5, 12)
    for sibling in siblings:
        sibling(x)
    assert siblings[0].siblings._source is None


def test_siblings_work_in_inference_mode() -> None:
    _, siblings = make_siblings()
    with torch.inference_mode():
        x = torch.randn(5, 12)
        assert [sibling(x).shape[1] for sibling in siblings] == [20, 4, 7]


def test_shares_of_the_packed_bytes_add_up() -> None:
    _, siblings = make_siblings()
    assert sum(sibling.weight_bytes for sibling in siblings) == siblings[0].siblings.packed_bytes


def test_without_an_exact_kernel_another_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "onednn_is_exact", lambda: False)
    assert isinstance(kernel_for(*quantize_rows(torch.randn(3, 4))), IntMmKernel)


def test_a_torch_without_the_operator_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(values: torch.Tensor, scales: torch.Tensor) -> Int8Kernel:
        raise AttributeError(values.shape, scales.shape)

    monkeypatch.setattr(kernels, "OneDnnKernel", missing)
    assert not onednn_is_exact.__wrapped__()


def test_a_layer_prints_its_shape() -> None:
    assert "in_features=4, out_features=3" in repr(int8(torch.randn(3, 4)))
