"""Integers of a few bits as words of 32, the way the compressed-tensors format packs them."""

from __future__ import annotations

import torch

__all__ = ["pack", "unpack"]

_WORD = 32
_CHUNK_ELEMENTS = 2**19
"""Integers at a time: each takes eight bytes per bit on its way (32 MB for eight bits)."""


def pack(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Pack int8 `[rows, columns]` of 2 to 8 bits to int32 `[rows, ceil(columns * bits / 32)]`.

    Every row is one stream of bits, the lowest bit of a value first; a value v is stored as v + 2^(bits-1).
    """
    rows, columns = values.shape
    words = torch.empty(rows, -(-columns * bits // _WORD), dtype=torch.int32)
    for part in _chunks(rows, columns):
        shifted = values[part].to(torch.int64) + (1 << (bits - 1))
        stream = ((shifted.unsqueeze(-1) >> torch.arange(bits)) & 1).flatten(1)
        stream = torch.nn.functional.pad(stream, (0, -columns * bits % _WORD))
        packed = (stream.reshape(stream.shape[0], -1, _WORD) << torch.arange(_WORD)).sum(-1)
        words[part] = (packed - ((packed >> (_WORD - 1)) << _WORD)).to(torch.int32)
    return words


def unpack(words: torch.Tensor, bits: int, columns: int) -> torch.Tensor:
    """Undo `pack`: int8 `[rows, columns]`."""
    values = torch.empty(words.shape[0], columns, dtype=torch.int8)
    for part in _chunks(words.shape[0], columns):
        stream = ((words[part].unsqueeze(-1) >> torch.arange(_WORD)) & 1).flatten(1)[:, : columns * bits]
        shifted = (stream.reshape(stream.shape[0], columns, bits) << torch.arange(bits)).sum(-1)
        values[part] = (shifted - (1 << (bits - 1))).to(torch.int8)
    return values


def _chunks(rows: int, columns: int) -> list[slice]:
    step = max(1, _CHUNK_ELEMENTS // max(1, columns))
    return [slice(start, start + step) for start in range(0, rows, step)]
