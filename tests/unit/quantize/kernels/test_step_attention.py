"""The compiled attention of decoding steps is right, and a row depends on nothing but its own tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from pytest_qeval.quantize.kernels.compiled.attention import StepAttention, is_right, step_attention
from tests.unit.quantize.loops import HAS_PRODUCTS

pytestmark = pytest.mark.skipif(not HAS_PRODUCTS, reason="no gcc, or no AVX-512 with bfloat16")


@pytest.fixture(scope="module")
def attention() -> StepAttention:
    found = step_attention()
    assert found
    return found


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


@settings(deadline=None)  # the first call takes longer
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 5), st.sampled_from((32, 64, 96, 256))),
    befores=st.lists(st.integers(0, 90), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_results_are_those_of_exact_attention(
    attention: StepAttention, shape: tuple[int, int, int, int], befores: list[int], seed: int
) -> None:
    rows, (shared, group, tokens, size) = len(befores), shape
    query = draw(rows, tokens, shared * group, size, seed=seed).transpose(1, 2)
    keys, values = (draw(rows, shared, 96, size, seed=seed + at) for at in (1, 2))
    starts = torch.tensor(befores)
    assert attention.fits(query, keys, values)
    visible = torch.arange(96) <= starts[:, None, None] + torch.arange(tokens)[:, None]
    wide_keys, wide_values = (one.double().repeat_interleave(group, 1) for one in (keys, values))
    expected = scaled_dot_product_attention(
        query.double(), wide_keys, wide_values, attn_mask=visible[:, None], scale=0.1
    )
    found = attention.attend(query, keys, values, starts, scale=0.1)
    torch.testing.assert_close(found.transpose(1, 2).double(), expected, rtol=0.01, atol=0.002)


def test_scores_may_be_large(attention: StepAttention) -> None:
    """A single key gets all of the weight."""
    keys, values = torch.zeros(1, 1, 32, 32, dtype=torch.bfloat16), draw(1, 1, 32, 32, seed=0)
    keys[0, 0, 5] = 100
    query = torch.full((1, 1, 1, 32), 100.0).bfloat16()
    found = attention.attend(query, keys, values, torch.tensor([20]), scale=1.0)
    assert torch.equal(found[0, 0, 0], values[0, 0, 5])


def test_other_rows_tokens_and_threads_change_nothing(attention: StepAttention) -> None:
    query, keys, values = draw(6, 14, 4, 64, seed=0), draw(6, 2, 320, 64, seed=1), draw(6, 2, 320, 64, seed=2)
    befores, threads = torch.tensor([3, 300, 17, 15, 16, 100]), torch.get_num_threads()
    expected = attention.attend(query, keys, values, befores, scale=0.125)
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            for row in range(6):
                for tokens in (1, 2, 4):
                    one = slice(row, row + 1)
                    found = attention.attend(query[one, :, :tokens], keys[one], values[one], befores[one], scale=0.125)
                    assert torch.equal(found, expected[one, :tokens])
    finally:
        torch.set_num_threads(threads)


def test_keys_behind_the_tokens_have_no_influence(attention: StepAttention) -> None:
    query, keys, values = draw(2, 4, 2, 64, seed=0), draw(2, 4, 64, 64, seed=1), draw(2, 4, 64, 64, seed=2)
    befores = torch.tensor([30, 11])
    expected = attention.attend(query, keys, values, befores, scale=0.125)
    for row, before in enumerate(befores.tolist()):
        keys[row, :, before + 2 :] = torch.nan
        values[row, :, before + 2 :] = torch.nan
    assert torch.equal(attention.attend(query, keys, values, befores, scale=0.125), expected)


def test_keys_are_put_behind_those_of_each_row(attention: StepAttention) -> None:
    stored, new, befores = torch.zeros(4, 2, 64, 32).bfloat16(), draw(3, 5, 2, 32, seed=0).transpose(1, 2), [7, 0, 50]
    expected = stored.clone()
    for row, before in enumerate(befores):
        expected[row, :, before : before + 5] = new[row]
    attention.append(new, stored, torch.tensor(befores))
    assert torch.equal(stored, expected)


def test_what_cannot_be_attended_is_left_alone(attention: StepAttention) -> None:
    query, keys = draw(2, 4, 3, 64, seed=0), draw(2, 2, 64, 64, seed=1)
    assert attention.fits(query, keys, keys)
    assert not attention.fits(query.float(), keys, keys)
    assert not attention.fits(query, keys.float(), keys)
    assert not attention.fits(query[..., :48], keys[..., :48], keys[..., :48])
    assert not attention.fits(query, keys, keys[..., :32])
    assert not attention.fits(query, keys[:, :, :40], keys[:, :, :40])
    assert not attention.fits(query[:1], keys, keys)
    assert not attention.fits(query[:, :3], keys, keys)
    assert not attention.fits(query.transpose(2, 3).contiguous().transpose(2, 3), keys, keys)


def test_a_wrong_result_is_found(attention: StepAttention) -> None:
    class Wrong(StepAttention):
        def __init__(self) -> None:
            """Take another's functions."""

        def append(self, *args: torch.Tensor) -> None:
            """Put keys where they belong."""
            attention.append(*args)

        def attend(self, query: torch.Tensor, *args: torch.Tensor, **options: float) -> torch.Tensor:  # type: ignore[override]
            """Attend with other queries."""
            return attention.attend(query * 1.1, *args, **options)  # type: ignore[arg-type]

    assert not is_right(Wrong())
