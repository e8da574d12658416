"""Packed integers come back as they were, and lie where the compressed-tensors format looks for them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.quantize.checkpoints.packing import pack_int32, unpack_int32


def random_values(rows: int, columns: int, bits: int, *, seed: int = 0) -> torch.Tensor:
    """Draw from all that the bits can hold, the lowest value included."""
    generator = torch.Generator().manual_seed(seed)
    half = 1 << (bits - 1)
    return torch.randint(-half, half, (rows, columns), generator=generator).to(torch.int8)


@given(bits=st.integers(2, 8), rows=st.integers(0, 4), columns=st.integers(0, 70), seed=st.integers(0, 2**16))
@settings(max_examples=150, deadline=None)
def test_what_is_packed_comes_back(bits: int, rows: int, columns: int, seed: int) -> None:
    """Of any width, no rows and no columns included, in as few words as hold it."""
    values = random_values(rows, columns, bits, seed=seed)
    words = pack_int32(values, bits)
    assert (words.dtype, tuple(words.shape)) == (torch.int32, (rows, -(-columns * bits // 32)))
    assert torch.equal(unpack_int32(words, bits, columns), values)


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_extremes_come_back(bits: int) -> None:
    """The highest bit of a word is no sign: a row of the largest value, and one of the smallest."""
    half = 1 << (bits - 1)
    values = torch.tensor([[half - 1] * 33, [-half] * 33], dtype=torch.int8)
    assert torch.equal(unpack_int32(pack_int32(values, bits), bits, 33), values)


def test_the_lowest_bits_come_first() -> None:
    """A value v is stored as v + 8: eight of four bits fill a word, the first at its low end."""
    assert pack_int32(torch.arange(-8, 0, dtype=torch.int8).reshape(1, 8), 4).tolist() == [[0x76543210]]


def test_a_value_may_lie_across_two_words() -> None:
    """The eleventh value of three bits has two bits in the first word, and one in the second."""
    values = torch.full((1, 11), -4, dtype=torch.int8)
    values[0, 10] = 3  # stored as 0b111
    assert pack_int32(values, 3).tolist() == [[-(2**30), 1]]


@pytest.mark.parametrize("columns", [1, 31, 64, 100])
@pytest.mark.parametrize("bits", range(2, 9))
def test_the_words_are_those_of_compressed_tensors(bits: int, columns: int) -> None:
    """Its own packing function gives the very same words."""
    helpers = pytest.importorskip(
        "compressed_tensors.compressors.pack_quantized.helpers",
        reason="the package compressed-tensors is not installed",
    )
    values = random_values(5, columns, bits)
    words = pack_int32(values, bits)
    assert torch.equal(words, helpers.pack_to_int32(values, bits))
    assert torch.equal(helpers.unpack_from_int32(words, bits, values.shape), unpack_int32(words, bits, columns))
