"""Check before loading that a model fits in memory; the kernel would kill the session otherwise."""

from __future__ import annotations

import psutil

from pytest_qeval.engines.hub import hub_weight_bytes
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.weight_files import gguf_tensors, safetensors_tensors
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.recipe import Dtype

_ELEMENT_BYTES = {"float32": 4, "bfloat16": 2}
_STORED_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1}


def estimate_bytes(source: ModelSource, dtype: Dtype) -> int | None:
    """Estimate the memory of a model's weights once loaded; None where the hub does not know.

    A GGUF file is unpacked to `dtype`; `checkpoint` means float32 there, the only type that all its blocks unpack to.
    """
    if source.kind == "gguf" and source.path:
        return gguf_tensors(source.path).elements * _ELEMENT_BYTES.get(dtype, 4)
    if source.path is not None:
        stored = safetensors_tensors(source.path)
        return stored.elements * _ELEMENT_BYTES[dtype] if dtype in _ELEMENT_BYTES else stored.stored_bytes
    counts = hub_weight_bytes(source.name, source.revision)
    if counts is None:
        return None
    return sum(n * _ELEMENT_BYTES.get(dtype, _STORED_BYTES.get(stored, 4)) for stored, n in counts.items())


def check_memory(source: ModelSource, dtype: Dtype, *, available_bytes: int | None = None) -> None:
    """Refuse a model whose weights alone, loaded in `dtype`, exceed the available memory (by default the system's).

    Raises:
        ModelSourceError: with both numbers and what to do.
    """
    needed = estimate_bytes(source, dtype)
    available = psutil.virtual_memory().available if available_bytes is None else available_bytes
    if needed is None or needed <= available:
        return
    halve = " choose the recipe bf16, which needs half;" if dtype == "float32" else ""
    raise ModelSourceError(
        f"{source.name} needs about {needed / 2**30:.1f} GiB for its weights ({dtype} precision), and "
        f"{available / 2**30:.1f} GiB of memory are free. Close other programs;{halve} choose a smaller model; or "
        "evaluate it on a machine with more."
    )
