"""Say what loading a model does, and how far it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.quantize.checkpoints.weight_files import read_gguf, safetensors_headers
from pytest_qeval.schema import LoadingProgress

_GIGABYTE, _MEGABYTE = 10**9, 10**6


class _Weights(NamedTuple):
    elements: int
    stored_bytes: int


def describe_arrivals(
    source: ModelSource, *, quantizing_to: str, on_loading: Callable[[LoadingProgress], None]
) -> Callable[[int], None]:
    """Return a function that takes how many elements have been read so far.

    `quantizing_to` is the recipe that weights are rounded by meanwhile; empty where they are not. Nothing is known of a
    hub model that has to be fetched first.
    """
    if source.path is None:
        return lambda _: None
    weights = _count(source)
    size = _size(weights.stored_bytes)
    action = f"unpacking {source.path.name}, {size}" if source.kind == "gguf" else f"loading {size}"
    action += f", quantizing to {quantizing_to}" if quantizing_to else ""

    def show(elements: int) -> None:
        on_loading(LoadingProgress(action=action, share=min(1.0, elements / max(1, weights.elements))))

    return show


def _count(source: ModelSource) -> _Weights:
    assert source.path is not None  # noqa: S101 - checked by the caller
    if source.kind == "gguf":
        elements = sum(int(tensor.n_elements) for tensor in read_gguf(source.path).tensors)
        return _Weights(elements, source.path.stat().st_size)
    headers = safetensors_headers(source.path).values()
    return _Weights(sum(math.prod(one.shape) for one in headers), sum(one.stored_bytes for one in headers))


def _size(n_bytes: int) -> str:
    return f"{n_bytes / _GIGABYTE:.1f} GB" if n_bytes >= _GIGABYTE / 10 else f"{n_bytes / _MEGABYTE:.1f} MB"
