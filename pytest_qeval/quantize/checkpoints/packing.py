"""Pack integers of a few bits into words of 32 bits, in the layout of the compressed-tensors format.

compressed-tensors has functions for this, but their layout depends on its version: before 0.18 no value crosses a word.
An export has to be read back bit by bit whatever is installed, so the layout is fixed here; both are equally fast.
"""

from __future__ import annotations

import numpy as np
import torch

_WORD_BYTES = 4


def pack_int32(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Pack int8 `[rows, columns]` of 2 to 8 bits into int32 `[rows, ceil(columns * bits / 32)]`.

    Every row is one stream of bits, the lowest bit of a value first; a value v is stored as v + 2^(bits-1).
    """
    rows, columns = values.shape
    shifted = values.cpu().numpy().view(np.uint8) + np.uint8(1 << (bits - 1))
    stream = np.unpackbits(shifted[..., None], axis=-1, count=bits, bitorder="little").reshape(rows, columns * bits)
    packed = np.packbits(stream, axis=-1, bitorder="little")
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % _WORD_BYTES)))
    return torch.from_numpy(padded.view(np.int32))


def unpack_int32(words: torch.Tensor, bits: int, columns: int) -> torch.Tensor:
    """Undo `pack_int32`: return int8 `[rows, columns]`."""
    stream = np.unpackbits(words.numpy().view(np.uint8), axis=-1, bitorder="little")[:, : columns * bits]
    shifted = np.packbits(stream.reshape(len(words), columns, bits), axis=-1, bitorder="little")[..., 0]
    return torch.from_numpy((shifted - np.uint8(1 << (bits - 1))).view(np.int8))
