"""Round keys and values as a quantized cache would hold them; no kernel here reads such a cache, so it is simulated."""

from __future__ import annotations

import torch

from pytest_qeval.errors import EngineError
from pytest_qeval.quantize.recipe import CacheScheme


def round_vectors(states: torch.Tensor, scheme: CacheScheme) -> torch.Tensor:
    """Quantize and dequantize the keys, or values, of each token and head by themselves.

    Symmetric, with b bits: s = max |x| / (2^(b-1) - 1) in float32, q = round(x / s), x' = s q. This is the cache
    `int8_per_token_head` of vLLM. Asymmetric: m = min x and s = (max x - m) / (2^b - 1), both kept in float16,
    q = round((x - m) / s), x' = s q + m. This is the cache `quant_policy=4` of LMDeploy, which keeps -m / s instead of
    m; here the smallest value of a bfloat16 model is exact. Codes are rounded to the nearest, to even where both are.

    Args:
        states: [rows, heads, tokens, head_dim], in any floating-point type.
        scheme: How many bits, and so which of the two.

    Returns:
        What attention reads back, in the type of `states`.

    Raises:
        EngineError: A value is not finite, or beyond float16 where the grid is kept in it.
    """
    values = states.float()
    rounded = _symmetric(values, scheme.bits) if scheme.symmetric else _asymmetric(values, scheme.bits)
    rounded = rounded.to(states.dtype)  # which is beyond float16 where rounding went up from its largest values
    if not bool(torch.isfinite(rounded).all()):
        raise EngineError(
            f"keys or values of the model are not finite, or too large for a cache of {scheme.bits} bits: this model "
            f"cannot be evaluated with +kv{scheme.bits}."
        )
    return rounded


def _symmetric(values: torch.Tensor, bits: int) -> torch.Tensor:
    largest = 2 ** (bits - 1) - 1
    scale = values.abs().amax(dim=-1, keepdim=True) / largest
    return _codes(values, scale).clamp_(-largest, largest).mul_(scale)


def _asymmetric(values: torch.Tensor, bits: int) -> torch.Tensor:
    largest = 2**bits - 1
    low = values.amin(dim=-1, keepdim=True).half().float()
    high = values.amax(dim=-1, keepdim=True)
    scale = ((high - low).clamp_(min=0) / largest).half().float()
    return _codes(values - low, scale).clamp_(0, largest).mul_(scale).add_(low)


def _codes(values: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Divide by the scale and round; where it is 0, as of equal values, the code is 0."""
    return torch.where(scale > 0, values / scale, 0).round_()
