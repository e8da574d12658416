"""Which of the compiled loops give torch's bits here; each is tried once, on values of many magnitudes."""

from __future__ import annotations

from functools import cache

import torch

from pytest_qeval.quantize.kernels.compiled.compiler import tried
from pytest_qeval.quantize.kernels.compiled.loops import Loops
from pytest_qeval.quantize.kernels.grid import quantize_rows

_ROWS, _COLUMNS = 25, 1000
_BITS = (8, 4)
_LANES = (8, 16)


@cache
def compiled_loops() -> Loops | None:
    """Return the loops; None where there are none, or rounding differs from torch's."""
    return tried(Loops, _rounds_as_torch)


@cache
def lanes_of_sums(columns: int) -> int:
    """Return in vectors of how many numbers torch adds up so many columns of float32; 0 where it does otherwise."""
    loops = compiled_loops()
    if loops is None:
        return 0
    rows = numbers_of_all_sizes(columns)
    expected = rows.float().pow(2).sum(-1)
    return next((lanes for lanes in _LANES if torch.equal(loops.squares(rows, lanes), expected)), 0)


@torch.inference_mode()
def _rounds_as_torch(loops: Loops) -> bool:
    rows = numbers_of_all_sizes(_COLUMNS)
    sums, bias = rows.float(), rows[-1].float()
    for bits in _BITS:
        found, expected = loops.quantize(rows, bits), quantize_rows(rows, bits=bits)
        out = torch.empty_like(rows)
        loops.finish(sums, found.scales, bias, [out])
        if not (
            torch.equal(found.values, expected.values.view(torch.uint8) ^ 128)
            and torch.equal(found.scales, expected.scales[:, 0])
            and torch.equal(out, sums.mul(expected.scales).add(bias).to(torch.bfloat16))
        ):
            return False
    return True


def numbers_of_all_sizes(columns: int) -> torch.Tensor:
    """Return bfloat16 [rows, columns]: rows from a millionth to a million large, one of zeros, one with an outlier."""
    normal = torch.randn(_ROWS, columns, generator=torch.Generator().manual_seed(0))
    rows = normal * torch.logspace(-6, 6, _ROWS)[:, None]
    rows[0] = 0
    rows[_ROWS // 2, 0] = 1e4
    return rows.bfloat16()
