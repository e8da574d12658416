"""A footprint counts what is there, once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.builtin import INT8
from pytest_qeval.quantize.footprint import model_bytes


def test_parameters_and_buffers_are_counted() -> None:
    model = nn.BatchNorm1d(10)
    assert model_bytes(model) == 2 * 40 + 2 * 40 + 8


def test_shared_parameters_count_once() -> None:
    embedding, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    head.weight = embedding.weight
    assert model_bytes(nn.Sequential(embedding, head)) == 160


def test_parameters_that_share_memory_count_once() -> None:
    embedding, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    head.weight = nn.Parameter(embedding.weight.data)
    assert model_bytes(nn.Sequential(embedding, head)) == 160


def test_packed_weights_are_counted() -> None:
    model = nn.Sequential(nn.Linear(64, 192, dtype=torch.bfloat16))
    before = model_bytes(model)
    quantized = quantize_(model, INT8)
    after = model_bytes(model)
    assert after == quantized.bytes_after + 4 * 192
    assert after < before


class Hiding(nn.Module):
    """Holds a packed weight of 40 bytes."""

    packed_bytes = 40


def test_what_modules_say_of_themselves_is_counted() -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False), Hiding())
    assert model_bytes(model) == 4 * 64 + 40


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
    assert model_bytes(model) == 64 + 4 * 8 + 8
