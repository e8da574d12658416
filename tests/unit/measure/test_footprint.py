"""A footprint counts what is there, once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval.measure.footprint import Footprint, measure_footprint
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.builtin import INT8


def test_parameters_and_buffers_are_counted() -> None:
    model = nn.BatchNorm1d(10)
    footprint = measure_footprint(model)
    assert (footprint.parameters, footprint.model_bytes) == (20, 2 * 40 + 2 * 40 + 8)


def test_shared_parameters_count_once() -> None:
    embedding, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    head.weight = embedding.weight
    assert measure_footprint(nn.Sequential(embedding, head)) == Footprint(model_bytes=160, parameters=40)


def test_parameters_that_share_memory_count_once() -> None:
    embedding, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    head.weight = nn.Parameter(embedding.weight.data)
    assert measure_footprint(nn.Sequential(embedding, head)) == Footprint(model_bytes=160, parameters=40)


def test_packed_weights_are_counted() -> None:
    model = nn.Sequential(nn.Linear(64, 192, dtype=torch.bfloat16))
    before = measure_footprint(model)
    quantized = quantize_(model, INT8)
    after = measure_footprint(model)
    assert after.parameters == before.parameters
    assert after.model_bytes == quantized.bytes_after + 4 * 192
    assert after.model_bytes < before.model_bytes


class Hiding(nn.Module):
    """Holds a packed weight of 64 values in 40 bytes."""

    packed_bytes, packed_parameters = 40, 64


def test_what_modules_say_of_themselves_is_counted() -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False), Hiding())
    assert measure_footprint(model) == Footprint(model_bytes=4 * 64 + 40, parameters=64 + 64)


class Wrapping:
    """Stands for 64 floats, and holds int8 values, a scale and an offset for them, as quantized tensors do."""

    nbytes = 4 * 64

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)

    def data_ptr(self) -> int:
        return 0

    def numel(self) -> int:
        return 64

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return list(vars(self)), None


def test_a_tensor_made_of_others_counts_as_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    values, scale, offset = torch.zeros(8, 8, dtype=torch.int8), torch.ones(8, 1), torch.zeros(8, 1, dtype=torch.int8)
    weight = Wrapping(values=values, grid=Wrapping(scale=scale, offset=offset))
    model = nn.Linear(8, 8)
    monkeypatch.setattr(model, "parameters", lambda: [weight])
    assert measure_footprint(model) == Footprint(model_bytes=64 + 4 * 8 + 8, parameters=64)


def test_bits_per_weight() -> None:
    assert measure_footprint(nn.Linear(8, 8, dtype=torch.bfloat16)).bits_per_weight == 16.0


def test_savings_that_are_only_simulated_can_be_subtracted() -> None:
    model = nn.Linear(8, 8, bias=False)
    assert measure_footprint(model, simulated_savings_bytes=128).bits_per_weight == pytest.approx(16.0)


def test_a_model_without_parameters_has_no_bits() -> None:
    assert measure_footprint(nn.Identity()).bits_per_weight == 0.0
