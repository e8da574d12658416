"""The compiled attention of decoding steps as functions of tensors, tried before they are used."""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from torch.nn.functional import scaled_dot_product_attention

from pytest_qeval.quantize.kernels.compiled.compiler import tried

_POINTER, _LONG, _FLOAT, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_int
_ATTEND = (
    *(_POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
    *(_LONG, _LONG, _LONG, _LONG, _LONG, _FLOAT, _POINTER, _POINTER),
)
_APPEND = (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _LONG, _LONG, _LONG, _LONG)
_SIZE_STEP, _LARGEST_SIZE, _COLUMN_STEP = 32, 256, 16
_ERROR = 0.02
"""Of numbers around 1 in bfloat16, whose own error is 0.004."""


class StepAttention:
    """The functions of `attention.c`. All tensors are bfloat16 on the CPU, unless stated, each token's contiguous."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Take the loaded library.

        Raises:
            AttributeError: when it was compiled for a processor that cannot attend so.
        """
        self._attend, self._append = library.attend, library.append
        self._attend.argtypes, self._attend.restype = _ATTEND, _INT
        self._append.argtypes, self._append.restype = _APPEND, None

    def fits(self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> bool:
        """Return whether tensors are what `attend` takes."""
        size = query.shape[-1]
        return (
            all(one.dtype == torch.bfloat16 and one.device.type == "cpu" for one in (query, keys, values))
            and size % _SIZE_STEP == 0
            and size <= _LARGEST_SIZE
            and keys.shape == values.shape
            and keys.stride() == values.stride()
            and query.stride(-1) == keys.stride(-1) == 1
            and keys.shape[2] % _COLUMN_STEP == 0
            and query.shape[0] == keys.shape[0]
            and query.shape[1] % keys.shape[1] == 0
        )

    def attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, befores: torch.Tensor, *, scale: float
    ) -> torch.Tensor:
        """Let every row attend to its own keys.

        Args:
            query: [rows, heads, tokens, size].
            keys: [rows, key heads, columns, size]; each is shared by as many query heads.
            values: Of the same shape and strides.
            befores: int64 [rows]; keys that a row has before those of the tokens, each of which also attends to its own
                key and to those of earlier tokens. No key beyond has an influence.
            scale: Of the scores.

        Returns:
            [rows, tokens, heads, size], contiguous.

        Raises:
            MemoryError: when there is none for the scores.
        """
        rows, heads, tokens, size = query.shape
        out = query.new_empty(rows, tokens, heads, size)
        failed = self._attend(
            *(query.data_ptr(), _strides(query), keys.data_ptr(), values.data_ptr(), _strides(keys)),
            *(befores.data_ptr(), rows, heads, keys.shape[1], tokens, size, scale),
            *(out.data_ptr(), _strides(out.transpose(1, 2))),
        )
        if failed:
            raise MemoryError
        return out

    def append(self, new: torch.Tensor, stored: torch.Tensor, befores: torch.Tensor) -> None:
        """Write keys or values [rows, heads, tokens, size] behind the `befores` that rows of `stored` have."""
        rows, heads, tokens, size = new.shape
        self._append(
            *(new.data_ptr(), _strides(new), stored.data_ptr(), _strides(stored), befores.data_ptr()),
            *(rows, heads, tokens, size),
        )


@cache
def step_attention() -> StepAttention | None:
    """Return the functions; None where there are none, or what they give is wrong."""
    return tried(StepAttention, is_right)


@torch.inference_mode()
def is_right(attention: StepAttention) -> bool:
    """Compare with torch's attention in float64: two query heads for a key head, and several tokens."""
    generator = torch.Generator().manual_seed(0)
    befores, columns, tokens = torch.tensor([40, 3, 76]), 80, 4
    query = torch.randn(3, tokens, 6, 64, generator=generator).bfloat16().transpose(1, 2)
    keys, values = (torch.zeros(3, 3, columns, 64, dtype=torch.bfloat16) for _ in range(2))
    for stored in (keys, values):
        attention.append(torch.randn(3, 3, 76, 64, generator=generator).bfloat16(), stored, torch.zeros_like(befores))
        attention.append(torch.randn(3, tokens, 3, 64, generator=generator).bfloat16().transpose(1, 2), stored, befores)
    visible = torch.arange(columns) <= befores[:, None, None] + torch.arange(tokens)[:, None]
    wide_keys, wide_values = (one.double().repeat_interleave(2, 1) for one in (keys, values))
    expected = scaled_dot_product_attention(
        query.double(), wide_keys, wide_values, attn_mask=visible[:, None], scale=0.125
    )
    found = attention.attend(query, keys, values, befores, scale=0.125).transpose(1, 2)
    return bool((found.double() - expected).abs().max() < _ERROR)


def _strides(tensor: torch.Tensor) -> ctypes.Array[ctypes.c_long]:
    return (_LONG * 3)(*tensor.stride()[:3])
