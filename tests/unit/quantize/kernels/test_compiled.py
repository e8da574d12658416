"""The compiled loops have the bits of torch's own operations, and nothing depends on their presence."""

from __future__ import annotations

import copy
import ctypes
import pickle
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import gelu, silu

from pytest_qeval.quantize.kernels import panels
from pytest_qeval.quantize.kernels.activations import ActivationQuantizer
from pytest_qeval.quantize.kernels.compiled import compiler
from pytest_qeval.quantize.kernels.compiled.loops import Loops, activation_table
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops, lanes_of_sums
from pytest_qeval.quantize.kernels.grid import quantize_rows
from pytest_qeval.quantize.kernels.int8_product import onednn_is_exact
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.weights import quantize_weight
from pytest_qeval.quantize.recipe import ActivationScheme, WeightScheme
from tests.unit.quantize.loops import HAS_LOOPS

shapes = st.tuples(st.integers(1, 40), st.integers(1, 700))
magnitudes = st.sampled_from((0.0, 1e-38, 1e-3, 1.0, 1e4, 1e38))
bits = st.integers(4, 8)


@pytest.fixture(scope="module")
def loops() -> Loops:
    if not HAS_LOOPS:
        pytest.skip("no gcc on x86-64 Linux, or torch does not use GNU OpenMP")
    found = compiled_loops()
    assert found
    return found


def numbers(rows: int, columns: int, magnitude: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, columns, generator=generator) * magnitude).bfloat16()


@given(shape=shapes, magnitude=magnitudes, bits=bits, seed=st.integers(0, 99))
def test_rows_are_rounded_alike(loops: Loops, shape: tuple[int, int], magnitude: float, bits: int, seed: int) -> None:
    rows = numbers(*shape, magnitude, seed)
    expected, found = quantize_rows(rows, bits=bits), loops.quantize(rows, bits)
    assert torch.equal(found.values, expected.values.view(torch.uint8) ^ 128)
    assert torch.equal(found.scales, expected.scales[:, 0])


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_a_row_that_is_not_finite_has_such_a_scale(loops: Loops, odd: float) -> None:
    rows = numbers(3, 50, 1.0, 0)
    rows[1, 7] = odd
    found, expected = loops.quantize(rows, 8), quantize_rows(rows)
    assert not found.scales[1].isfinite()
    assert torch.equal(found.scales[[0, 2]], expected.scales[[0, 2], 0])


@given(shape=shapes, magnitude=magnitudes, biased=st.sampled_from(("", "biased")), seed=st.integers(0, 99))
def test_products_are_finished_and_gated_alike(
    loops: Loops, shape: tuple[int, int], magnitude: float, biased: str, seed: int
) -> None:
    """Multiples of 32 columns: torch's scalar exponential, for what is left over, may differ in the last bit."""
    rows, columns = shape[0], 32 * (1 + shape[1] // 100)
    sums = numbers(rows, 2 * columns, 50.0, seed).float()
    scales = numbers(rows, 1, magnitude, seed + 1).float().abs()
    bias = numbers(1, 2 * columns, 1.0, seed + 2)[0].float() if biased else None
    product = sums * scales if bias is None else sums * scales + bias
    gates, ups = (part.to(torch.bfloat16).contiguous() for part in product.chunk(2, -1))
    outs = [torch.empty_like(gates), torch.empty_like(ups)]
    loops.finish(sums, scales, bias, outs)
    assert torch.equal(outs[0].view(torch.int16), gates.view(torch.int16))
    assert torch.equal(outs[1].view(torch.int16), ups.view(torch.int16))

    table, expected = activation_table(silu), silu(gates) * ups
    assert torch.equal(loops.gate(gates, ups, table).nan_to_num(), expected.nan_to_num())
    together = torch.zeros(rows, columns + 3, dtype=torch.bfloat16)
    loops.finish_and_gate(sums, scales, bias, table, together[:, 2:-1])
    assert torch.equal(together[:, 2:-1].nan_to_num(), expected.nan_to_num())
    assert not together[:, :2].any()
    assert not together[:, -1].any()


@pytest.mark.parametrize("activation", [silu, gelu, torch.relu], ids=lambda one: one.__name__)
def test_a_table_has_an_activation_of_every_number(activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = torch.tensor([0.0, -0.0, 1.0, -3.5, 1e30, -1e-30]).bfloat16()
    places = x.view(torch.int16).int() & 0xFFFF
    found = activation_table(activation)[places].to(torch.int16).view(torch.bfloat16)
    assert torch.equal(found, activation(x))


@given(shape=st.tuples(st.integers(1, 20), st.sampled_from((1, 64, 896, 1000, 2048, 17000))), seed=st.integers(0, 99))
def test_a_normalization_adds_up_as_torch_does(loops: Loops, shape: tuple[int, int], seed: int) -> None:
    x, weight = numbers(*shape, 3.0, seed), numbers(1, shape[1], 1.0, seed + 1)[0]
    lanes = lanes_of_sums(shape[1])
    assert lanes
    wide = x.float()
    scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
    assert torch.equal(loops.rms_norm(x, weight, 1e-6, lanes), weight * scaled.to(torch.bfloat16))


@pytest.mark.parametrize("sizes", [(896, 32), (3072, 3072)], ids=str)
@pytest.mark.parametrize("rows", [1, 5, 3000])
def test_int8_layers_have_the_same_bits_without_the_loops(
    loops: Loops, rows: int, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """3,000 rows are more than one chunk, and 6,144 features more than one panel."""
    if not onednn_is_exact():
        pytest.skip("this processor has no exact product by oneDNN")
    assert loops
    monkeypatch.setattr(panels, "compiled_products", lambda: None)
    torch.manual_seed(0)
    weights = [quantize_weight(torch.randn(size, 96), WeightScheme(bits=8)) for size in sizes]
    layers = Int8Linear.fuse(weights, [torch.randn(sizes[0]), None], ActivationQuantizer(ActivationScheme()))
    x = torch.randn(rows, 96).bfloat16()
    assert len(layers[0].fused.panels) == (1 if sizes[0] < 1000 else 3)
    found = [layer(x) for layer in layers]
    layers[0].fused.loops = None
    for layer, one in zip(layers, found, strict=True):
        assert torch.equal(layer(x.clone()), one)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Return a cache without a library."""
    monkeypatch.delenv(compiler.SWITCH, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: tmp_path)
    compiler.load_library.cache_clear()
    yield tmp_path / "compiled"
    compiler.load_library.cache_clear()


def test_the_loops_are_compiled_once(loops: Loops, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loops
    assert compiler.load_library() is not None
    (made,) = fresh.iterdir()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    compiler.load_library.cache_clear()
    assert compiler.load_library() is not None
    assert [made] == list(fresh.iterdir())


def test_nothing_is_compiled_where_that_is_switched_off(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiler.SWITCH, "0")
    assert compiler.load_library() is None
    assert not fresh.exists()


def test_a_library_that_was_damaged_is_compiled_again(loops: Loops, fresh: Path) -> None:
    assert loops
    assert compiler.load_library() is not None
    (made,) = fresh.iterdir()
    whole = made.read_bytes()
    made.write_bytes(whole[:20_000])
    compiler.load_library.cache_clear()
    assert compiler.load_library() is not None
    assert made.read_bytes() == whole


@pytest.mark.parametrize("place", ["folder", "library"])
def test_no_library_is_loaded_that_others_can_write(loops: Loops, fresh: Path, place: str) -> None:
    assert loops
    assert compiler.load_library() is not None
    (made,) = fresh.iterdir()
    assert not (made.stat().st_mode | fresh.stat().st_mode) & 0o077
    (fresh if place == "folder" else made).chmod(0o777)
    compiler.load_library.cache_clear()
    if place == "folder":
        assert compiler.load_library() is None
    else:
        assert compiler.load_library() is not None
        assert not made.stat().st_mode & 0o077


def test_a_library_without_the_functions_is_no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_qeval.quantize.kernels.compiled.compiler.load_library", lambda: ctypes.CDLL(None))
    compiled_loops.cache_clear()
    try:
        assert compiled_loops() is None
    finally:
        compiled_loops.cache_clear()


def test_loops_can_be_copied_and_pickled(loops: Loops) -> None:
    rows = numbers(2, 8, 1.0, 0)
    for twin in (copy.deepcopy(loops), pickle.loads(pickle.dumps(loops))):  # noqa: S301 - its own
        assert torch.equal(twin.quantize(rows, 8).values, loops.quantize(rows, 8).values)


@pytest.mark.parametrize("fault", ["none", "fails", "hangs", "writes nothing", "not a library"])
def test_without_a_working_compiler_there_are_no_loops(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    scripts = {"fails": "exit 1", "hangs": "sleep 9", "writes nothing": "true", "not a library": 'echo x > "$LAST"'}
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    if fault != "none":
        script = bin_folder / "gcc"
        body = 'for LAST; do [ "$PREVIOUS" = -o ] && break; PREVIOUS=$LAST; done'
        script.write_text(f"#!/bin/sh\n{body}\n{scripts[fault]}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_folder) if fault == "none" else f"{bin_folder}:/usr/bin:/bin")
    monkeypatch.setattr(compiler, "_TIMEOUT_S", 0.2)
    assert compiler.load_library() is None
    if fault != "not a library":
        assert not fresh.exists() or not list(fresh.iterdir())
