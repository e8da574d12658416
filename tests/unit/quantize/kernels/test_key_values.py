"""Keys and values come back within half a step, each vector by itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.errors import EngineError
from pytest_qeval.quantize.kernels.key_values import round_vectors
from pytest_qeval.quantize.recipe import CacheScheme

SCHEMES = [CacheScheme(bits=8), CacheScheme(bits=4)]
DTYPES = [torch.float32, torch.bfloat16]
SIZE = 6


@st.composite
def vectors(draw: st.DrawFn) -> torch.Tensor:
    """Draw [1, heads, tokens, SIZE] of one order of magnitude, or of several, some of it equal or zero."""
    count, largest = draw(st.integers(1, 6)), draw(st.sampled_from([1e-3, 1.0, 300.0]))
    number = st.one_of(st.floats(-1, 1, width=32), st.sampled_from([0.0, 1.0, -1.0]))
    flat = draw(st.lists(number, min_size=count * SIZE, max_size=count * SIZE))
    offset = draw(st.sampled_from([0.0, 5.0]))
    return largest * (torch.tensor(flat).reshape(1, count, 1, SIZE) + offset)


def steps(values: torch.Tensor, scheme: CacheScheme) -> torch.Tensor:
    """Return the distance of neighbours on the grid of each vector, by the definition in float64."""
    wide = values.double()
    if scheme.symmetric:
        return wide.abs().amax(-1, keepdim=True) / 127
    return (wide.amax(-1, keepdim=True) - wide.amin(-1, keepdim=True)) / 15


@pytest.mark.parametrize("scheme", SCHEMES, ids=["kv8", "kv4"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["fp32", "bf16"])
@settings(deadline=None)
@given(values=vectors())
def test_an_element_is_off_by_half_a_step_at_most(
    scheme: CacheScheme, dtype: torch.dtype, values: torch.Tensor
) -> None:
    """Beside what float16 scales and minima, and the type of the values themselves, add."""
    values = values.to(dtype)
    size = values.double().abs().amax(-1, keepdim=True)
    kept = 2.0**-11 * size + 1e-6 if not scheme.symmetric else 1e-6 * size
    stored = 2.0**-8 * size if dtype == torch.bfloat16 else 1e-6 * size
    error = (round_vectors(values, scheme).double() - values.double()).abs()
    assert bool((error <= 0.505 * steps(values, scheme) + kept + stored + 1e-30).all())


@pytest.mark.parametrize("scheme", SCHEMES, ids=["kv8", "kv4"])
@settings(deadline=None)
@given(values=vectors())
def test_there_are_no_more_values_than_codes(scheme: CacheScheme, values: torch.Tensor) -> None:
    """A grid of 15 or 255 steps: what comes back lies on it."""
    wide = torch.linspace(0, 1, 1000).expand(1, 1, 1, -1) * values.max() + values.min()
    assert len(set(round_vectors(wide, scheme).flatten().tolist())) <= 2**scheme.bits


@pytest.mark.parametrize("scheme", SCHEMES, ids=["kv8", "kv4"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["fp32", "bf16"])
@settings(deadline=None)
@given(values=vectors())
def test_a_vector_depends_on_itself_alone(scheme: CacheScheme, dtype: torch.dtype, values: torch.Tensor) -> None:
    """Bit by bit: alone, and among other heads, tokens and rows."""
    values = values.to(dtype)
    among = torch.cat([values, 10 * values.flip(1), torch.zeros_like(values)], dim=2)
    assert torch.equal(round_vectors(among, scheme)[:, :, :1], round_vectors(values, scheme))


@pytest.mark.parametrize("scheme", SCHEMES, ids=["kv8", "kv4"])
@settings(deadline=None)
@given(values=vectors())
def test_rounding_twice_is_rounding_once(scheme: CacheScheme, values: torch.Tensor) -> None:
    """To the last digits of the scale, which is found anew."""
    once = round_vectors(values, scheme)
    tolerance = float(steps(values, scheme).max()) * 0.02 + 2.0**-10 * float(values.abs().max()) * (scheme.bits == 4)
    torch.testing.assert_close(round_vectors(once, scheme), once, rtol=1e-5, atol=tolerance + 1e-6)


@pytest.mark.parametrize("scheme", SCHEMES, ids=["kv8", "kv4"])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16], ids=["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("value", [0.0, 1.5, -300.0, 2.0**-20])
def test_equal_values_stay_what_they_are(scheme: CacheScheme, dtype: torch.dtype, value: float) -> None:
    """Zeros as well: no division by a range of nothing."""
    states = torch.full((2, 2, 3, SIZE), value, dtype=dtype)
    torch.testing.assert_close(round_vectors(states, scheme), states, rtol=1e-6, atol=0)


def test_the_formulas_by_hand() -> None:
    """Eight bits around zero; four bits from the smallest to the largest, with steps of 1 here."""
    assert round_vectors(torch.tensor([127.0, -127, 0.4, 0.6, -63.7]), SCHEMES[0]).tolist() == [127, -127, 0, 1, -64]
    assert round_vectors(torch.tensor([10.0, 25, 10.4, 11.6, 24.6]), SCHEMES[1]).tolist() == [10, 25, 10, 12, 25]


@pytest.mark.parametrize("scheme", SCHEMES, ids=["kv8", "kv4"])
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_what_is_not_finite_is_refused(scheme: CacheScheme, value: float) -> None:
    """Instead of a cache of NaN, from which any token would be chosen."""
    with pytest.raises(EngineError, match=f"cannot be evaluated with \\+kv{scheme.bits}"):
        round_vectors(torch.tensor([[1.0, value, 2.0]]), scheme)


def test_four_bits_need_a_minimum_in_float16() -> None:
    """Eight have a float32 scale and nothing else."""
    states = torch.tensor([[1e5, 1.1e5]])
    torch.testing.assert_close(round_vectors(states, SCHEMES[0]), states, rtol=0.01, atol=0)
    with pytest.raises(EngineError, match="too large for a cache of 4 bits"):
        round_vectors(states, SCHEMES[1])
