"""The decoder layers of Llama and its relatives, computed in fewer operations, with the same bits.

Transformers' own layers are written to be read. A step of a few rows spends a third of its time between the matrix
products, in some forty calls a layer. The layers here do the same arithmetic with fewer calls, and write fewer large
tensors in a prefill. A layer is replaced only where it is built of the known parts and where its results are the same,
bit for bit, on a trial.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import rms_norm
from transformers.cache_utils import Cache, DynamicCache

from pytest_qeval.engines.hf.attention import attends_in_packs, grouped

_PARTS = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_OPTIONAL = {"q_norm", "k_norm"}
_MLP = {"gate_proj", "up_proj", "down_proj", "act_fn"}
_TRIAL = (2, 3)
"""Rows and tokens that are tried."""


def use_lean_layers(model: Any) -> None:
    """Replace the forward passes of a model's decoder layers where they can be; call it after `use_grouped_attention`.

    The layers' modules stay where they are, and are called as before: they may be quantized, patched, and hooked.
    """
    layers = getattr(getattr(model, "model", None), "layers", None)
    if not (layers and attends_in_packs(model)):
        return
    tables = _RotaryTables()
    lean = [_LeanLayer(layer, tables) for layer in layers if _has_known_parts(layer)]
    if len(lean) == len(layers) and _gives_same_bits(model, layers[0], lean[0]):
        for layer, one in zip(layers, lean, strict=True):
            layer.forward = one


class _RotaryTables:
    """Cosine and sine of a step's positions, made ready once for all layers: [rows, tokens, 1, head_dim]."""

    def __init__(self) -> None:
        self._source: tuple[torch.Tensor, torch.Tensor] | None = None
        self._tables = (torch.empty(0), torch.empty(0))

    def of(self, embeddings: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the cosine, and the sine whose first half is negative, as `rotate` needs it."""
        if self._source is not embeddings:
            cosine, sine = embeddings
            half = sine.shape[-1] // 2
            signed = torch.cat((-sine[..., :half], sine[..., half:]), dim=-1)
            self._source, self._tables = embeddings, (cosine[:, :, None], signed[:, :, None])
        return self._tables


class _LeanLayer:
    """The forward pass of one decoder layer."""

    def __init__(self, layer: Any, tables: _RotaryTables) -> None:
        self._layer, self._tables = layer, tables

    def __call__(
        self,
        hidden_states: torch.Tensor,
        *,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        **_: Any,
    ) -> torch.Tensor:
        """Compute a layer's output, [rows, tokens, features]; arguments are those of transformers' own layers."""
        layer, mlp = self._layer, self._layer.mlp
        normed = _normalize(layer.input_layernorm, hidden_states)
        hidden_states = hidden_states + self._attend(normed, attention_mask, past_key_values, position_embeddings)
        normed = _normalize(layer.post_attention_layernorm, hidden_states)
        gate = mlp.act_fn(mlp.gate_proj(normed))
        return hidden_states + mlp.down_proj(gate.mul_(mlp.up_proj(normed)))  # type: ignore[no-any-return]

    def _attend(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        cache: Cache | None,
        embeddings: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        attention = self._layer.self_attn
        heads = (*x.shape[:-1], -1, attention.head_dim)
        query, key, value = attention.q_proj(x).view(heads), attention.k_proj(x).view(heads), attention.v_proj(x)
        if hasattr(attention, "q_norm"):
            query, key = _normalize(attention.q_norm, query), _normalize(attention.k_norm, key)
        cosine, sine = self._tables.of(embeddings)
        query = _rotate(query, cosine, sine).transpose(1, 2)
        key = _rotate(key, cosine, sine).transpose(1, 2)
        value = value.view(heads).transpose(1, 2)
        if cache is not None:
            key, value = cache.update(key, value, attention.layer_idx)
        attended, _ = grouped(attention, query, key, value, mask, scaling=attention.scaling)
        return attention.o_proj(attended.reshape(*x.shape[:-1], -1))  # type: ignore[no-any-return]


def _normalize(norm: Any, x: torch.Tensor) -> torch.Tensor:
    """Apply a root mean square norm: statistics in float32, the weight in the dtype of `x`."""
    normed = rms_norm(x.float(), (x.shape[-1],), None, norm.variance_epsilon)
    return normed.to(x.dtype).mul_(norm.weight)


def _rotate(x: torch.Tensor, cosine: torch.Tensor, signed_sine: torch.Tensor) -> torch.Tensor:
    """Turn pairs of features (i, i + half) of `x` [rows, tokens, heads, head_dim] by the angles of their positions."""
    turned = torch.roll(x, x.shape[-1] // 2, -1).mul_(signed_sine)
    return (x * cosine).add_(turned)


def _has_known_parts(layer: Any) -> bool:
    def names(module: Any) -> set[str]:
        return {name for name, _ in module.named_children()}

    if names(layer) != _PARTS:
        return False
    norms = (layer.input_layernorm, layer.post_attention_layernorm)
    attention = names(layer.self_attn)
    return (
        attention in (_ATTENTION, _ATTENTION | _OPTIONAL)
        and names(layer.mlp) == _MLP
        and all(hasattr(norm, "variance_epsilon") for norm in norms)
        and hasattr(layer.self_attn, "scaling")
    )


@torch.inference_mode()
def _gives_same_bits(model: Any, layer: Any, lean: _LeanLayer) -> bool:
    """Compare a layer with its replacement: a step of a few tokens behind an empty cache, and another behind that."""
    rows, tokens = _TRIAL
    features = model.get_input_embeddings().weight.shape[1]
    generator = torch.Generator().manual_seed(0)
    try:
        caches = [DynamicCache(config=model.config) for _ in range(2)]
        for start in (0, tokens):
            hidden = torch.randn((rows, tokens, features), generator=generator).to(model.device, model.dtype)
            positions = torch.arange(start, start + tokens, device=model.device)[None].expand(rows, -1)
            visible = torch.arange(start + tokens, device=model.device) <= positions[0, :, None]
            mask = torch.zeros(visible.shape, dtype=model.dtype, device=model.device)
            mask = mask.masked_fill_(~visible, torch.finfo(model.dtype).min).expand(rows, 1, -1, -1)
            shared = {"attention_mask": mask, "position_embeddings": model.model.rotary_emb(hidden, positions)}
            outputs = [
                one(hidden, past_key_values=cache, position_ids=positions, **shared)
                for one, cache in zip((layer, lean), caches, strict=True)
            ]
            if not torch.equal(*outputs):
                return False
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return False  # a layer that wants or has something else
    return True
