"""Check before loading that a model fits in memory; the kernel would kill the session otherwise."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pytest_qeval.engines.hub import hub_weight_counts
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import read_gguf, safetensors_headers
from pytest_qeval.quantize.recipe import EXPORT_FILE, Dtype

_DTYPE_BYTES = {"float64": 8, "bfloat16": 2, "float16": 2}
"""All others have 4."""
_FLOATING = ("F64", "F32", "F16", "BF16")
"""Stored types that are converted to the model's own."""
_STORED_BYTES = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
"""Of stored types that stay as they are; all others have 1."""


def estimate_bytes(source: ModelSource, dtype: Dtype) -> int | None:
    """Estimate the memory of a model's weights once loaded; None where the hub does not know.

    `checkpoint` means the type that the config names, or float32 without one. A GGUF file is unpacked to float32 first,
    whatever follows: 0.5 billion parameters took 2.6 GB on their way to bfloat16 (transformers 5.23, 2026-11).
    """
    if source.kind == "gguf" and source.path:
        return 4 * sum(int(tensor.n_elements) for tensor in read_gguf(source.path).tensors)
    float_bytes = _DTYPE_BYTES.get(source.dtype if dtype == "checkpoint" else dtype, 4)
    counts = _count(source.path) if source.path else hub_weight_counts(source.name, source.commit)
    if counts is None:
        return None
    return sum(n * (float_bytes if name in _FLOATING else _STORED_BYTES.get(name, 1)) for name, n in counts.items())


def check_memory(source: ModelSource, dtype: Dtype, *, available_bytes: int, device: str = "cpu") -> None:
    """Refuse a model whose weights alone, loaded in `dtype`, exceed the available memory of a device.

    Raises:
        ModelSourceError: with both numbers and what to do.
    """
    needed = estimate_bytes(source, dtype)
    if needed is None or needed <= available_bytes:
        return
    halve = " choose the recipe bf16, which needs less;" if needed > (estimate_bytes(source, "bfloat16") or 0) else ""
    where = "" if device == "cpu" else f" on {device}"
    raise ModelSourceError(
        f"{source.name} needs about {needed / 2**30:.1f} GiB for its weights, and {available_bytes / 2**30:.1f} GiB of "
        f"memory are free{where}. Close other programs, or run fewer workers (-n);{halve} choose a smaller model; or "
        "evaluate it on a machine with more."
    )


def _count(directory: Path) -> Mapping[str, int]:
    """Return the elements per stored dtype; an exported checkpoint's integers stay beside the floats made of them."""
    counts: Counter[str] = Counter()
    bits = _packed_bits(directory / EXPORT_FILE)
    for name, header in safetensors_headers(directory).items():
        elements, layer_weight = math.prod(header.shape), name.rpartition(".")[2]
        if bits and header.dtype in {"I8", "I32"} and layer_weight in {"weight", "weight_packed"}:
            elements = elements * 32 // bits if header.dtype == "I32" else elements
            counts += Counter({"I8": elements, "BF16": elements})
        else:
            counts[header.dtype] += elements
    return counts


def _packed_bits(file: Path) -> int | None:
    """Return the bits of an exported checkpoint's packed integers, the fewest of several; None for any other model."""
    try:
        recipe = json.loads(file.read_text(encoding="utf-8"))["recipe"]
        schemes = [recipe.get("weights"), *(rule["weights"] for rule in recipe.get("rules") or ())]
        return min(int(scheme["bits"]) for scheme in schemes if scheme)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # `read_checkpoint` says what is wrong with it
