"""A footprint counts what is there, once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytest_qeval.measure.footprint import Footprint, measure_footprint
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.recipe import INT8


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


def test_bits_per_weight() -> None:
    assert measure_footprint(nn.Linear(8, 8, dtype=torch.bfloat16)).bits_per_weight == 16.0


def test_savings_that_are_only_simulated_can_be_subtracted() -> None:
    model = nn.Linear(8, 8, bias=False)
    assert measure_footprint(model, simulated_savings_bytes=128).bits_per_weight == pytest.approx(16.0)


def test_a_model_without_parameters_has_no_bits() -> None:
    assert measure_footprint(nn.Identity()).bits_per_weight == 0.0
