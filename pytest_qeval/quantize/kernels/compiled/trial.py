"""Which of the compiled loops give torch's bits here; each is tried once, on values of many magnitudes."""

from __future__ import annotations

from functools import cache

import torch

from pytest_qeval.quantize.kernels.compiled.compiler import load_library
from pytest_qeval.quantize.kernels.compiled.loops import Loops
from pytest_qeval.quantize.kernels.grid import quantize_rows

_ROWS, _COLUMNS = 9, 1000
_LANES = (8, 16)


@cache
def compiled_loops() -> Loops | None:
    """Return the loops; None where there are none, or rounding differs from torch's."""
    library = load_library()
    loops = Loops(library) if library else None
    return loops if loops and _rounds_as_torch(loops) else None


@cache
def lanes_of_sums(columns: int) -> int:
    """Return in vectors of how many numbers torch adds up so many columns of float32; 0 where it does otherwise."""
    loops = compiled_loops()
    if loops is None:
        return 0
    rows = _numbers(_ROWS, columns)
    expected = rows.float().pow(2).sum(-1)
    return next((lanes for lanes in _LANES if torch.equal(loops.squares(rows, lanes), expected)), 0)


@torch.inference_mode()
def _rounds_as_torch(loops: Loops) -> bool:
    rows, bias = _numbers(_ROWS, _COLUMNS), _numbers(1, _COLUMNS)[0].float()
    rows[0] = 0
    found, expected = loops.quantize(rows, 8), quantize_rows(rows)
    same = torch.equal(found.values, expected.values.view(torch.uint8) ^ 128)
    sums, out = rows.float(), torch.empty_like(rows)
    loops.finish(sums, found.scales, bias, [out])
    finished = sums.mul(expected.scales).add(bias).to(torch.bfloat16)
    return same and torch.equal(found.scales, expected.scales[:, 0]) and torch.equal(out, finished)


def _numbers(rows: int, columns: int) -> torch.Tensor:
    """Return bfloat16 numbers whose rows are from a thousandth to a thousand large."""
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(rows, columns, generator=generator) * torch.logspace(-3, 3, rows)[:, None]).bfloat16()
