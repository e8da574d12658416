"""The compiled products are exact, depend on a row alone, and round as the layers they replace."""

from __future__ import annotations

import copy
import ctypes
import pickle
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import silu

from pytest_qeval.quantize.kernels import panels
from pytest_qeval.quantize.kernels.activations import ActivationQuantizer
from pytest_qeval.quantize.kernels.compiled import compiler
from pytest_qeval.quantize.kernels.compiled.loops import activation_table
from pytest_qeval.quantize.kernels.compiled.products import PackedWeights, Products, Rows, compiled_products, is_exact
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.weights import quantize_weight
from pytest_qeval.quantize.recipe import ActivationScheme, WeightScheme
from tests.unit.quantize.loops import HAS_PRODUCTS, HAS_TILES

needs_products = pytest.mark.skipif(not HAS_PRODUCTS, reason="no gcc, or no AVX-512 with bfloat16 and VNNI")
pytestmark = needs_products
WIDTHS = st.lists(st.integers(1, 100), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def products() -> Products:
    found = compiled_products()
    assert found
    return found


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Products:
    """Return the products without AMX: a second copy of the library has its own choice."""
    library = compiler.load_library()
    assert library
    path = tmp_path_factory.mktemp("library") / "again.so"
    shutil.copy(library._name, path)
    return Products(ctypes.CDLL(str(path)), tiles=False)


@pytest.fixture(params=["tiles", "vectors"])
def either(request: pytest.FixtureRequest, products: Products, vectors: Products) -> Products:
    return products if request.param == "tiles" else vectors


def test_tiles_are_used_where_the_processor_has_them(products: Products, vectors: Products) -> None:
    assert products.has_tiles == HAS_TILES
    assert not vectors.has_tiles


def test_results_are_exact(either: Products) -> None:
    assert is_exact(either)


def test_a_wrong_product_is_found(products: Products) -> None:
    class Wrong(Products):
        def __init__(self) -> None:
            """Take another's functions."""

        def pack(self, weights: list[torch.Tensor]) -> PackedWeights:  # type: ignore[override]
            """Pack other weights than were given."""
            return products.pack([weight + (weight == 7) for weight in weights])

        def multiply(self, *args: object, **kwargs: object) -> None:
            """Multiply."""
            products.multiply(*args, **kwargs)  # type: ignore[arg-type]

    assert not is_exact(Wrong())


def integers(rows: int, columns: int, seed: int, most: int) -> torch.Tensor:
    return torch.randint(-most, most + 1, (rows, columns), generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)  # the first call takes longer
@given(shape=st.tuples(st.integers(1, 70), st.integers(1, 2300)), widths=WIDTHS, seed=st.integers(0, 99))
def test_integers_of_any_shape_are_multiplied_exactly(
    products: Products, vectors: Products, shape: tuple[int, int], widths: list[int], seed: int
) -> None:
    """More than 2,048 columns are added up in two parts."""
    rows, columns = shape
    given_rows = integers(rows, columns, seed, 127)
    weights = [integers(width, columns, seed + 1 + at, 127) for at, width in enumerate(widths)]
    for one in (products, vectors):
        packed = one.pack([weight.to(torch.int8) for weight in weights])
        outs = [torch.full((rows, width), torch.nan) for width in widths]
        ones = packed.pad([torch.ones(width) for width in widths])
        one.multiply(Rows.INTEGERS, given_rows.to(torch.int8), packed, outs, scales=ones)
        for out, weight in zip(outs, weights, strict=True):
            assert torch.equal(out, (given_rows @ weight.t()).float())


@settings(deadline=None)  # the first call takes longer
@given(shape=st.tuples(st.integers(1, 70), st.integers(1, 2300)), widths=WIDTHS, seed=st.integers(0, 99))
def test_floats_of_any_shape_are_multiplied_exactly(
    products: Products, vectors: Products, shape: tuple[int, int], widths: list[int], seed: int
) -> None:
    """Small integers in bfloat16, whose sums float32 represents, with a bias."""
    rows, columns = shape
    given_rows = integers(rows, columns, seed, 7)
    weights = [integers(width, columns, seed + 1 + at, 7) for at, width in enumerate(widths)]
    biases = [torch.arange(width, dtype=torch.bfloat16) for width in widths]
    for one in (products, vectors):
        packed = one.pack([weight.bfloat16() for weight in weights])
        outs = [torch.full((rows, width), torch.nan, dtype=torch.bfloat16) for width in widths]
        one.multiply(Rows.FLOATS, given_rows.bfloat16(), packed, outs, bias=packed.pad(biases))
        for at, (out, weight, bias) in enumerate(zip(outs, weights, biases, strict=True)):
            expected = ((given_rows @ weight.t()).float() + bias.float()).bfloat16()
            assert torch.equal(out, expected)
            alone = torch.empty_like(out)
            one.multiply(Rows.FLOATS, given_rows.bfloat16(), packed.only(at), [alone], bias=packed.pad([bias]))
            assert torch.equal(alone, expected)


@pytest.mark.parametrize("shape", [(70, 2300), (128, 96), (33, 17)], ids=str)
def test_no_number_of_rows_or_threads_changes_a_row(either: Products, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    packed = either.pack([torch.randn(shape).bfloat16()])
    rows = torch.randn(700, shape[1]).bfloat16()
    threads = torch.get_num_threads()

    def multiply(some: torch.Tensor) -> torch.Tensor:
        out = torch.empty(len(some), shape[0], dtype=torch.bfloat16)
        either.multiply(Rows.FLOATS, some.contiguous(), packed, [out])
        return out

    try:
        torch.set_num_threads(1)
        expected = multiply(rows)
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            for count in (1, 2, 16, 17, 33, 256, 257, 600):
                assert torch.equal(multiply(rows[-count:]), expected[-count:])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("columns", [96, 250])
@pytest.mark.parametrize("size", [32, 100])
@pytest.mark.parametrize("rows", [1, 40])
def test_a_gate_is_that_of_two_products(either: Products, rows: int, size: int, columns: int) -> None:
    torch.manual_seed(0)
    activated = activation_table(silu)
    x = torch.randn(rows, columns).bfloat16()
    for kind in (Rows.FLOATS, Rows.ROUNDED):
        weights = [torch.randn(size, columns).mul(20).round() for _ in range(2)]
        packed = either.pack([weight.to(torch.int8 if kind is Rows.ROUNDED else torch.bfloat16) for weight in weights])
        bias = packed.pad([torch.randn(size) for _ in range(2)])
        scales = packed.pad([torch.rand(size) * 0.1 for _ in range(2)])
        gates, ups, gated = (torch.empty(rows, size, dtype=torch.bfloat16) for _ in range(3))
        either.multiply(kind, x, packed, [gates, ups], scales=scales, bias=bias)
        either.multiply(kind, x, packed, [gated], scales=scales, bias=bias, activated=activated)
        assert torch.equal(gated, silu(gates) * ups)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("sizes", [(64,), (96, 96), (70, 33, 33)], ids=str)
def test_int8_layers_have_the_same_bits_as_by_other_kernels(
    sizes: tuple[int, ...], bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    weights = [quantize_weight(torch.randn(size, 160), WeightScheme(bits=8)) for size in sizes]
    biases = [torch.randn(sizes[0]), *[None] * (len(sizes) - 1)]
    x = torch.randn(3, 50, 160).bfloat16() * torch.logspace(-6, 6, 50)[:, None].bfloat16()

    def outputs() -> list[torch.Tensor]:
        layers = Int8Linear.fuse(weights, biases, ActivationQuantizer(ActivationScheme(bits=bits)))
        return [one for given_x in (x, x.float()) for one in [layer(given_x) for layer in layers]]

    found = outputs()
    monkeypatch.setattr(panels, "compiled_products", lambda: None)
    assert all(map(torch.equal, found, outputs()))


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_stays_so_and_changes_no_other(either: Products, odd: float) -> None:
    torch.manual_seed(0)
    packed = either.pack([torch.randn(40, 100).bfloat16()])
    rows = torch.randn(20, 100).bfloat16()
    out, other = (torch.empty(20, 40, dtype=torch.bfloat16) for _ in range(2))
    either.multiply(Rows.FLOATS, rows, packed, [out])
    rows[7, 3] = odd
    either.multiply(Rows.FLOATS, rows, packed, [other])
    assert not other[7].isfinite().any()
    keep = [at for at in range(20) if at != 7]
    assert torch.equal(out[keep], other[keep])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])  # noqa: S301
def test_products_can_be_copied(products: Products, again: Callable[[Products], Products]) -> None:
    assert is_exact(again(products))


@pytest.mark.parametrize(
    "x", [torch.ones(1, 64), torch.ones(2, 32).bfloat16(), torch.ones(1, 64, device="meta").bfloat16()]
)
def test_a_layer_tells_which_input_it_wants(make_packing: Callable[..., nn.Linear], x: torch.Tensor) -> None:
    layer = make_packing(nn.Linear(64, 32).bfloat16())
    assert layer(torch.ones(1, 64).bfloat16()).shape == (1, 32)
    with pytest.raises(ValueError, match=r"expected rows of 64 numbers in torch\.bfloat16 on the CPU"):
        layer(x)


def test_a_layer_without_output_features_gives_none(products: Products) -> None:
    packed = products.pack([torch.ones(0, 64, dtype=torch.int8)])
    products.multiply(
        Rows.ROUNDED, torch.ones(1, 64).bfloat16(), packed, [torch.empty(1, 0).bfloat16()], scales=torch.ones(1)
    )


def test_a_pair_is_left_where_a_layer_was_replaced(make_gated: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    module, x = make_gated(), torch.randn(1, 3, 64).bfloat16()
    with torch.inference_mode():
        before = module(x)
        module.gate_proj = nn.Linear(64, 32, bias=False).bfloat16()
        after = module(x)
        expected = module.down_proj(silu(module.gate_proj(x)) * module.up_proj(x))
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, expected)


@pytest.fixture
def make_gated() -> Callable[[], Any]:
    from pytest_qeval.engines.hf.compiled_layers import use_compiled_loops  # noqa: PLC0415 - imports transformers
    from pytest_qeval.engines.hf.invariance import multiply_in_blocks  # noqa: PLC0415 - as above

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_proj, self.up_proj = (nn.Linear(64, 32, bias=False).bfloat16() for _ in range(2))
            self.down_proj, self.act_fn = nn.Linear(32, 64, bias=False).bfloat16(), nn.SiLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Compute a gated layer."""
            return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]

    def make() -> Any:
        module = Gated()
        multiply_in_blocks(module)
        use_compiled_loops(module)
        return module

    return make


@pytest.fixture
def make_packing() -> Callable[[nn.Linear], nn.Linear]:
    from pytest_qeval.engines.hf.invariance import multiply_in_blocks  # noqa: PLC0415 - imports transformers

    def make(layer: nn.Linear) -> nn.Linear:
        multiply_in_blocks(layer)
        return layer

    return make


def test_a_packed_layer_computes_what_torch_does(make_packing: Callable[..., nn.Linear]) -> None:
    """Also for no rows, for several dimensions, and after a copy."""
    torch.manual_seed(0)
    layer = nn.Linear(256, 80).bfloat16()
    x = torch.randn(2, 5, 256).bfloat16()
    expected = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double())
    packed = make_packing(layer)
    with torch.inference_mode():
        for one in (packed, copy.deepcopy(packed)):
            torch.testing.assert_close(one(x).double(), expected, rtol=0.01, atol=0.01)
            assert one(x[:, :0]).shape == (2, 0, 80)
            assert one.weight.shape == (80, 256)
            assert one.weight.isnan().all()
        packed.weight = nn.Parameter(torch.ones(80, 256).bfloat16())
        expected = (256 + packed.bias.double()).expand(1, 80)
        torch.testing.assert_close(packed(torch.ones(1, 256).bfloat16()).double(), expected, rtol=0.01, atol=0.01)


def test_a_packed_weight_is_not_saved(make_packing: Callable[..., nn.Linear]) -> None:
    """Neither by itself nor as a part of a model; before its first product it is."""
    model = nn.Sequential(make_packing(nn.Linear(64, 32).bfloat16()))
    assert set(model.state_dict()) == {"0.weight", "0.bias"}
    with torch.inference_mode():
        model(torch.ones(1, 64).bfloat16())
    with pytest.raises(RuntimeError, match=r"the weight of 0 has been packed: load the model again to save it"):
        model.state_dict()
