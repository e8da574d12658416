"""Attention over shared key/value heads without copying them: the largest cost of a step after the matrix products.

In most models several query heads share one key/value head. Torch's CPU kernels need equally many of both, so that
transformers copies keys and values (older versions always, 5.23 where a row has several queries). Here the queries of a
group are stacked instead, as if they were more positions: 3.2 ms per layer instead of 35.6 with 64 rows of 300 tokens,
the heads of Qwen2.5-0.5B and one thread (torch 2.13, bfloat16).

The stack is padded, because torch multiplies one, a few or many positions in different orders. A row's result depends
on its own keys then, and not on how many tokens a step has for every row.

Where there is a compiled attention for steps in bfloat16 (`quantize.kernels.compiled`), it takes torch's place. Each
row attends to as many keys as it has, not to those of the longest row.

Prompts of a prefill stand one behind the other in a single row, without padding, and each attends to itself alone, and
to the beginning that it shares with others (`packs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from pytest_qeval.quantize.kernels.compiled.attention import step_attention

_NAME = "qeval_grouped"
_STACK_STEP = 16
"""MKL and oneDNN add a product of 16 positions, or a multiple, in one order (torch 2.13; 1, 2 and 6 have others)."""


class _Part(NamedTuple):
    """A sequence of a pack: its columns among the queries, and among the keys."""

    queries: tuple[int, int]
    keys: tuple[int, int]
    mask: torch.Tensor | None
    """[queries, keys], additive; None where both are the same columns."""


class _Pack(NamedTuple):
    parts: tuple[_Part, ...]
    columns: tuple[int, int]
    """Queries and keys of all sequences."""


class _Step(NamedTuple):
    befores: torch.Tensor
    """[rows], cached tokens of each row before the step's."""
    mask: torch.Tensor
    """The step's mask, which says the same."""


_pack: _Pack | None = None
"""See `packed`."""
_step: _Step | None = None
"""See `in_step`."""


@contextmanager
def packed(lengths: Sequence[int], prefixes: Sequence[int], dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Let sequences that stand one behind the other in a single row attend each to itself alone.

    Args:
        lengths: Tokens of each sequence that are computed.
        prefixes: Tokens before them, of which the cache adds the keys and values.
        dtype: The model's.
        device: The model's.
    """
    global _pack  # noqa: PLW0603 - a model's forward passes nothing on to its attention
    own, all_keys = pairwise([0, *accumulate(lengths)]), [a + b for a, b in zip(lengths, prefixes, strict=True)]
    masks = [_after(length, prefix, dtype, device) for length, prefix in zip(lengths, prefixes, strict=True)]
    parts = map(_Part, own, pairwise([0, *accumulate(all_keys)]), masks)
    try:
        _pack = _Pack(tuple(parts), (sum(lengths), sum(all_keys)))
        yield
    finally:
        _pack = None


@contextmanager
def in_step(befores: torch.Tensor, mask: torch.Tensor) -> Iterator[None]:
    """Let rows attend to their own keys only, in a decoding step.

    Args:
        befores: int64 [rows], tokens of each row before the step's, which the cache has.
        mask: What the model is given; a layer that attends by another one, such as one with biases, is left to torch.
    """
    global _step  # noqa: PLW0603 - as `packed`
    try:
        _step = _Step(befores, mask)
        yield
    finally:
        _step = None


def _after(length: int, prefix: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor | None:
    """Return a causal mask for tokens behind a prefix, which torch's own is not made for; None without one."""
    if not prefix:
        return None
    return torch.full((length, prefix + length), -torch.inf, dtype=dtype, device=device).triu_(prefix + 1)


def attends_in_packs(model: Any) -> bool:
    """Return whether a model's attention can be told of sequences that are `packed`."""
    return getattr(model.config, "_attn_implementation", None) == _NAME


def use_grouped_attention(model: Any) -> None:
    """Route torch's attention through `_grouped`; a model with another attention stays as it is."""
    if getattr(model.config, "_attn_implementation", None) != "sdpa":
        return
    AttentionInterface.register(_NAME, _grouped)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)


def _grouped(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' `sdpa` does: query [rows, heads, queries, head_dim], result [rows, queries, heads, …]."""
    # an interruption may leave a pack behind
    if _pack and query.shape[0] == 1 and (query.shape[2], key.shape[2]) == _pack.columns:
        return _within_parts(_pack.parts, module, query, key, value, **kwargs)
    rows, heads, queries, _ = query.shape
    shared, columns = key.shape[1], key.shape[2]
    fits = attention_mask is not None and attention_mask.shape[1] == 1 and queries < columns
    is_plain = not kwargs.get("softcap") and kwargs.get("position_bias") is None and kwargs.get("s_aux") is None
    step, compiled = _own_step(query, key, attention_mask), step_attention()
    if is_plain and fits and step and compiled and compiled.fits(query, key, value):
        scale = query.shape[-1] ** -0.5 if (given := kwargs.get("scaling")) is None else given
        return compiled.attend(query, key, value, step.befores, scale=scale), None
    if attention_mask is None or not fits or not is_plain:
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return result
    group = heads // shared
    mask = attention_mask
    if queries > 1:
        mask = mask[:, :, None].expand(-1, 1, group, queries, columns).reshape(-1, 1, group * queries, columns)
    padding = -group * queries % _STACK_STEP
    stacked = pad(query.reshape(rows, shared, group * queries, query.shape[-1]), (0, 0, 0, padding))
    mask = pad(mask, (0, 0, 0, padding)) if queries > 1 else mask
    output = scaled_dot_product_attention(stacked, key, value, attn_mask=mask, scale=kwargs.get("scaling"))
    output = output[:, :, : group * queries]
    return output.reshape(rows, heads, queries, -1).transpose(1, 2).contiguous(), None


def _own_step(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None) -> _Step | None:
    """Return the step, if these are its queries, keys and mask."""
    if _step is None or mask is None or mask.data_ptr() != _step.mask.data_ptr():
        return None
    shape = (query.shape[0], 1, query.shape[2], key.shape[2])
    return _step if mask.shape == _step.mask.shape == shape and len(_step.befores) == len(query) else None


def _within_parts(
    parts: Sequence[_Part],
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each of the `packed` sequences: everything is [1, heads, tokens, head_dim]."""
    outputs = [
        sdpa_attention_forward(
            module,
            query[:, :, slice(*part.queries)],
            key[:, :, slice(*part.keys)],
            value[:, :, slice(*part.keys)],
            part.mask if part.mask is None else part.mask[None, None],
            **kwargs,
        )[0]
        for part in parts
    ]
    return torch.cat(outputs, dim=1), None
