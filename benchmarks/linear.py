"""Compare kernels of linear layers by number of rows, fused and separate layers, and chunk sizes.

    python benchmarks/linear.py [--blocks]

Shapes are those of Qwen2.5-Coder-0.5B. Every call takes the next of several weights, some hundred megabytes in all, so
that each is read from memory as in a decoding model. Variants take turns; times are medians in microseconds. See
`recipes.py` for how to get a quiet machine.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from pytest_qeval.quantize.kernels import linear
from pytest_qeval.quantize.kernels.activations import ActivationQuantizer
from pytest_qeval.quantize.kernels.grid import quantize_rows
from pytest_qeval.quantize.kernels.int8_product import FloatKernel, Int8Kernel, IntMmKernel, OneDnnKernel
from pytest_qeval.quantize.kernels.linear import Int8Linear
from pytest_qeval.quantize.kernels.onednn_product import pack
from pytest_qeval.quantize.kernels.row_blocks import multiply, undivided
from pytest_qeval.quantize.kernels.weight_only import Int4Kernel, Int8PackKernel, WeightOnlyKernel
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, quantize_weight
from pytest_qeval.quantize.recipe import ActivationScheme, WeightScheme

SHAPES = ((4864, 896), (896, 4864), (896, 896), (128, 896))
"""(out_features, in_features): up, down, query, key"""
OUTPUT_LAYER = (151936, 896)
BLOCK_ROWS = (1, 8, 32, 64, 112, 128)
ROWS = (1, 8, 16, 64, 128, 512, 1024)
WEIGHT_ONLY_ROWS = (1, 8, 12, 16, 32, 64, 96, 128, 512)
INT8 = WeightScheme(bits=8)
INT4 = WeightScheme(bits=4, granularity="per_group", group_size=128)
COLD_BYTES = 300e6
MIN_ROUNDS = 9
BF16 = torch.bfloat16

Variants = Mapping[str, Callable[[], object]]


def cycled(make: Callable[[], Any], n_bytes: int) -> Callable[[], Any]:
    """Return a function that returns the next of several weights, enough that none is still in a cache."""
    copies = itertools.cycle([make() for _ in range(min(64, max(2, int(COLD_BYTES / n_bytes))))])
    return lambda: next(copies)


def race(variants: Variants, *, seconds: float = 1.0) -> dict[str, float]:
    """Time variants in turns for about `seconds`; return medians in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for call in variants.values():
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < MIN_ROUNDS:
        for name, call in variants.items():
            start = time.perf_counter()
            call()
            times[name].append(1e6 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def print_table(first: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print a Markdown table."""
    titles = [first, *next(iter(rows.values()))]
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.0f}' for value in values.values())} |")
    print(flush=True)


def onednn_int8_rows(outputs: int, columns: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Prepare oneDNN's product with rows in int8, an alternative to `OneDnnKernel`."""
    packed = torch.ops.onednn.qlinear_prepack(torch.randint(-127, 128, (outputs, columns), dtype=torch.int8), None)
    scales, zeros = torch.ones(outputs), torch.zeros(1, dtype=torch.int64)

    def product(values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            values, 1.0, 0, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return result

    return product


def kernel(make: Callable[[torch.Tensor, torch.Tensor], Int8Kernel], outputs: int, columns: int) -> Int8Kernel:
    """Pack random weights for a kernel."""
    weight = random_weight(outputs, columns)
    return make(weight.values, weight.scales)


def random_weight(outputs: int, columns: int, scheme: WeightScheme = INT8) -> QuantizedWeight:
    """Quantize random weights."""
    return quantize_weight(torch.randn(outputs, columns, dtype=BF16), scheme)


def kernel_variants(outputs: int, columns: int, rows: int) -> Variants:
    """Prepare the products of one shape; the last variant is the whole layer, activations quantized."""
    x = torch.randn(rows, columns, dtype=BF16)
    values = quantize_rows(x).values
    x_float, elements = x.float(), outputs * columns
    floats, halves = (
        cycled(partial(torch.randn, outputs, columns, dtype=dtype), elements * dtype.itemsize)
        for dtype in (torch.float32, BF16)
    )
    int_mm = cycled(partial(kernel, IntMmKernel, outputs, columns), elements)
    onednn = cycled(partial(kernel, OneDnnKernel, outputs, columns), elements)
    exact_floats = cycled(partial(kernel, FloatKernel, outputs, columns), elements)
    int8_rows = cycled(partial(onednn_int8_rows, outputs, columns), elements)
    layer = cycled(partial(int8_layers, (outputs,), columns), elements)
    return {
        "fp32": lambda: nn.functional.linear(x_float, floats()),
        "bf16": lambda: nn.functional.linear(x, halves()),
        "_int_mm": lambda: int_mm().product(values),
        "exact floats": lambda: exact_floats().product(values),
        "onednn, int8 rows": lambda: int8_rows()(values),
        "onednn, uint8 rows": lambda: onednn().product(values.clone()),
        "Int8Linear": lambda: layer()[0](x),
    }


def block_variants(outputs: int, columns: int, rows: int) -> Variants:
    """Prepare products in bfloat16 as torch makes them, and in blocks of rows, with plain and with packed weights."""
    x, size = torch.randn(rows, columns, dtype=BF16), 2 * outputs * columns
    plain = cycled(partial(torch.randn, outputs, columns, dtype=BF16), size)
    packed = cycled(lambda: pack(torch.randn(outputs, columns, dtype=BF16)), size)

    def at_once() -> None:
        with undivided():
            multiply(x, packed(), None)

    return {
        "torch": lambda: nn.functional.linear(x, plain()),
        "blocks": lambda: multiply(x, plain(), None, prefill=False),
        "packed blocks": lambda: multiply(x, packed(), None, prefill=False),
        "packed, at once": at_once,
    }


def int8_layers(sizes: tuple[int, ...], columns: int) -> list[Int8Linear]:
    """Make random layers with the same input."""
    weights = [random_weight(size, columns) for size in sizes]
    return Int8Linear.fuse(weights, [None] * len(sizes), ActivationQuantizer(ActivationScheme()))


def weight_only_variants(outputs: int, columns: int, rows: int) -> Variants:
    """Prepare products with packed weights (8 bits per channel, 4 in groups of 128), by the kernel and unpacked."""
    x, elements = torch.randn(rows, columns, dtype=BF16), outputs * columns
    halves = cycled(partial(torch.randn, outputs, columns, dtype=BF16), 2 * elements)
    int8 = cycled(lambda: Int8PackKernel(random_weight(outputs, columns)), elements)
    int4 = cycled(lambda: Int4Kernel(random_weight(outputs, columns, INT4), BF16), elements // 2)

    def run(make: Callable[[], WeightOnlyKernel], *, prefill: bool = False) -> None:
        make().product(x, prefill=prefill)

    return {
        "bf16": lambda: nn.functional.linear(x, halves()),
        "int8": partial(run, int8),
        "int4, packed": partial(run, int4),
        "int4, unpacked": partial(run, int4, prefill=True),
    }


def fused_variants(sizes: tuple[int, ...], rows: int) -> Variants:
    """Prepare layers that share an input, separate and fused."""
    x = torch.randn(rows, 896, dtype=BF16)
    n_bytes = 896 * sum(sizes)
    separate = cycled(lambda: [layer for size in sizes for layer in int8_layers((size,), 896)], n_bytes)
    fused = cycled(lambda: int8_layers(sizes, 896), n_bytes)
    return {
        "separate": lambda: [layer(x) for layer in separate()],
        "fused": lambda: [layer(x) for layer in fused()],
    }


def chunk_variants(rows: int) -> Variants:
    """Prepare the feed-forward layers under several chunk sizes."""
    x, y = (torch.randn(rows, columns, dtype=BF16) for columns in (896, 4864))
    wide, down = (
        cycled(lambda: int8_layers((4864, 4864), 896), 8 << 20),
        cycled(lambda: int8_layers((896,), 4864), 4 << 20),
    )

    def run(elements: int) -> None:
        linear.CHUNK_ELEMENTS = elements
        for layer in wide():
            layer(x)
        down()[0](y)

    return {f"2^{power} elements": partial(run, 2**power) for power in range(18, 25)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--blocks", action="store_true", help="only bfloat16 in blocks of rows")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; microseconds\n")
    with torch.inference_mode():
        for outputs, columns in (*SHAPES, OUTPUT_LAYER):
            print(f"Weight {outputs} × {columns}, bfloat16 in blocks of rows\n")
            print_table("rows", {str(rows): race(block_variants(outputs, columns, rows)) for rows in BLOCK_ROWS})
        if arguments.blocks:
            return
        for outputs, columns in SHAPES:
            print(f"Weight {outputs} × {columns}\n")
            print_table("rows", {str(rows): race(kernel_variants(outputs, columns, rows)) for rows in ROWS})
        for outputs, columns in SHAPES:
            print(f"Weight {outputs} × {columns}, activations in bfloat16\n")
            kernels = {str(rows): race(weight_only_variants(outputs, columns, rows)) for rows in WEIGHT_ONLY_ROWS}
            print_table("rows", kernels)
        print("Query, key, value and gate, up: layers that share an input\n")
        families = {"q, k, v": (896, 128, 128), "gate, up": (4864, 4864)}
        cells = {f"{name}; {rows}": fused_variants(sizes, rows) for name, sizes in families.items() for rows in ROWS}
        print_table("layers; rows", {name: race(variants) for name, variants in cells.items()})
        print("Gate, up and down by chunk size\n")
        print_table("rows", {str(rows): race(chunk_variants(rows), seconds=3.0) for rows in (128, 512, 1024)})


if __name__ == "__main__":
    main()
